//! What a simulated player does with an operation: a function of its state and the command, without a wire.
//!
//! It enforces what it announces. It must not wait, and must not know packets.

mod creation;
mod listing;
mod properties;

use super::fault::{Fault, Habit, Planned};
use super::profile::{Profile, ProfileError, Schema};
use super::tree::Tree;
use super::{record, standard};
use crate::codec::Dataset;
use crate::codec::container::{Command, Parameters};
use crate::codec::device_info::DeviceInfo;
use crate::codec::property::DevicePropertyDescription;
use crate::codec::storage_info::StorageInfo;
use crate::codes::{
    DevicePropertyCode, EventCode, FormatCode, OperationCode as O, ResponseCode as R, StorageId,
};
use creation::Announced;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What comes back from an operation.
pub(super) type Outcome = Result<Reply, R>;

/// An answer that is OK.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) parameters: Vec<u32>,
    pub(super) data: Payload,
}

/// Data for the initiator.
#[derive(Debug, Default)]
pub(super) enum Payload {
    #[default]
    None,
    Bytes(Vec<u8>),
    /// A part of an object's bytes.
    Object {
        handle: u32,
        offset: u64,
        length: u64,
    },
}

impl Reply {
    fn with(parameters: &[u32]) -> Self {
        Self { parameters: parameters.to_vec(), data: Payload::None }
    }

    fn data<T: Dataset>(dataset: &T) -> Outcome {
        let bytes = dataset.encode().map_err(|_| R::GENERAL_ERROR)?;
        Ok(Self { parameters: Vec::new(), data: Payload::Bytes(bytes) })
    }
}

/// Which way an operation's data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    None,
    ToHost,
    ToDevice,
    /// Bytes of an object to the device.
    Stream,
}

/// The direction of an operation's data.
pub(super) fn direction(operation: O) -> Direction {
    match operation {
        O::SEND_OBJECT | O::SEND_PARTIAL_OBJECT => Direction::Stream,
        O::SEND_OBJECT_INFO
        | O::SET_DEVICE_PROP_VALUE
        | O::SET_OBJECT_PROP_VALUE
        | O::SET_OBJECT_PROP_LIST
        | O::SEND_OBJECT_PROP_LIST
        | O::SET_OBJECT_REFERENCES => Direction::ToDevice,
        O::OPEN_SESSION
        | O::CLOSE_SESSION
        | O::GET_NUM_OBJECTS
        | O::DELETE_OBJECT
        | O::RESET_DEVICE_PROP_VALUE
        | O::MOVE_OBJECT
        | O::COPY_OBJECT
        | O::TRUNCATE_OBJECT
        | O::BEGIN_EDIT_OBJECT
        | O::END_EDIT_OBJECT => Direction::None,
        _ => Direction::ToHost,
    }
}

/// A player's state.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) profile: Profile,
    schema: Schema,
    operations: BTreeSet<O>,
    pub(super) device_properties: BTreeMap<DevicePropertyCode, DevicePropertyDescription>,
    pub(super) tree: Tree,
    pub(super) session: Option<u32>,
    announced: Option<Announced>,
    /// The object that is being sent, for what becomes of it when the rest doesn't come.
    receiving: Option<u32>,
    editing: BTreeSet<u32>,
    /// Objects whose size isn't told the first time.
    late: BTreeSet<u32>,
    pub(super) allowed: bool,
    pub(super) planned: Vec<Planned>,
    pub(super) transactions: u64,
    /// Bytes of data phases to the initiator.
    pub(super) told: u64,
}

impl Machine {
    pub(super) fn new(profile: Profile, directory: Option<PathBuf>) -> Result<Self, super::SimulationError> {
        let schema =
            profile.schema().map_err(|error: ProfileError| super::SimulationError::Profile(error))?;
        let codes = &profile.device_info.device_properties;
        let properties = codes.iter().map(|facts| DevicePropertyCode(facts.code));
        let mut device_properties =
            properties.map(|code| (code, standard::device_property(code, &profile))).collect();
        let storages: Vec<u32> = profile.storages.iter().map(|storage| storage.id).collect();
        let mut tree = Tree::new(directory.clone(), &storages).map_err(super::SimulationError::Directory)?;
        if let Some(directory) = &directory {
            let loaded = record::load(directory, &mut tree, &mut device_properties);
            loaded.map_err(super::SimulationError::Directory)?;
        }
        Ok(Self {
            operations: profile.device_info.operations.iter().map(|code| O(*code)).collect(),
            schema,
            device_properties,
            tree,
            session: None,
            announced: None,
            receiving: None,
            editing: BTreeSet::new(),
            late: BTreeSet::new(),
            allowed: false,
            planned: Vec::new(),
            transactions: 0,
            told: 0,
            profile,
        })
    }

    pub(super) fn has(&self, habit: Habit) -> bool {
        self.profile.habits.contains(&habit)
    }

    /// What a new connection finds.
    pub(super) fn plug_in(&mut self) {
        self.abandon();
        self.session = None;
        self.editing.clear();
        if self.has(Habit::HandlesChange) {
            self.tree.renumber();
        }
    }

    /// Writes down what the files of its directory can't hold.
    pub(super) fn remember(&self) {
        let Some(directory) = self.tree.directory() else { return };
        if let Err(error) = record::save(directory, &self.tree, &self.device_properties) {
            tracing::warn!(%error, "the simulated player's properties can't be written to its directory");
        }
    }

    fn is_locked(&self) -> bool {
        let locks = self.has(Habit::LockedUntilAllowed) || self.has(Habit::LockedUntilAllowedInPlace);
        locks && !self.allowed
    }

    /// The fault that strikes at this transaction.
    pub(super) fn strike(&mut self, operation: O) -> Option<Fault> {
        self.transactions += 1;
        let mut struck = None;
        for (index, planned) in self.planned.iter_mut().enumerate() {
            if planned.operation.is_none_or(|wanted| wanted == operation) {
                match planned.after.checked_sub(1) {
                    Some(left) => planned.after = left,
                    None => struck = struck.or(Some(index)),
                }
            }
        }
        struck.map(|index| self.planned.remove(index).fault)
    }

    /// Whether the operation can begin at all.
    pub(super) fn admit(&self, command: &Command) -> Result<(), R> {
        let operation = command.code;
        if !self.operations.contains(&operation) {
            return Err(R::OPERATION_NOT_SUPPORTED);
        }
        match operation {
            O::OPEN_SESSION => Ok(()),
            O::GET_DEVICE_INFO if !self.has(Habit::SessionFirst) => Ok(()),
            _ if self.session.is_none() => Err(R::SESSION_NOT_OPEN),
            _ => Ok(()),
        }
    }

    /// Carries out an operation; `data` is what came with it.
    pub(super) fn execute(&mut self, command: &Command, data: &[u8]) -> Outcome {
        self.admit(command)?;
        let parameters = command.parameters;
        match command.code {
            O::GET_DEVICE_INFO => Reply::data(&self.device_info()),
            O::OPEN_SESSION => self.open_session(parameters),
            O::CLOSE_SESSION => {
                self.session = None;
                self.announced = None;
                self.remember();
                Ok(Reply::default())
            }
            O::GET_STORAGE_IDS => Reply::data(&self.storages()),
            O::GET_STORAGE_INFO => Reply::data(&self.storage_info(parameters.get(0))?),
            O::GET_NUM_OBJECTS => Ok(Reply::with(&[self.handles(parameters)?.len() as u32])),
            O::GET_OBJECT_HANDLES => Reply::data(&self.handles(parameters)?),
            O::GET_OBJECT_INFO => {
                let mut info = self.object_info(parameters.get(0))?;
                if self.late.remove(&parameters.get(0)) {
                    info.size = 0;
                }
                Reply::data(&info)
            }
            O::GET_OBJECT => self.get_object(parameters.get(0)),
            O::GET_PARTIAL_OBJECT => {
                let (handle, offset, limit) = (parameters.get(0), parameters.get(1), parameters.get(2));
                self.get_partial(handle, u64::from(offset), limit)
            }
            O::GET_PARTIAL_OBJECT_64 => {
                let offset = wide(parameters.get(1), parameters.get(2));
                self.get_partial(parameters.get(0), offset, parameters.get(3))
            }
            O::DELETE_OBJECT => self.delete(parameters.get(0)),
            O::SEND_OBJECT_INFO => self.announce_info(parameters, data),
            O::SEND_OBJECT_PROP_LIST => self.announce_list(parameters, data),
            O::MOVE_OBJECT => self.move_object(parameters),
            O::COPY_OBJECT => self.copy_object(parameters),
            O::BEGIN_EDIT_OBJECT => {
                self.tree.get(parameters.get(0))?;
                self.editing.insert(parameters.get(0));
                Ok(Reply::default())
            }
            O::END_EDIT_OBJECT => match self.editing.remove(&parameters.get(0)) {
                true => Ok(Reply::default()),
                false => Err(R::GENERAL_ERROR),
            },
            O::TRUNCATE_OBJECT => self.truncate(parameters),
            _ => self.execute_property(command, data),
        }
    }

    fn device_info(&self) -> DeviceInfo {
        let info = &self.profile.device_info;
        let formats = self.profile.formats.iter().map(|format| FormatCode(format.code));
        DeviceInfo {
            standard_version: 100,
            vendor_extension_id: info.vendor_extension_id,
            vendor_extension_version: 100,
            vendor_extension_desc: info.vendor_extension_desc.clone(),
            functional_mode: 0,
            operations: info.operations.iter().map(|code| O(*code)).collect(),
            events: info.events.iter().map(|code| EventCode(*code)).collect(),
            device_properties: self.device_properties_in_order(),
            capture_formats: Vec::new(),
            playback_formats: formats.collect(),
            manufacturer: info.manufacturer.clone(),
            model: info.model.clone(),
            version: info.version.clone(),
            serial: info.serial.clone(),
        }
    }

    fn device_properties_in_order(&self) -> Vec<DevicePropertyCode> {
        let codes = &self.profile.device_info.device_properties;
        codes.iter().map(|facts| DevicePropertyCode(facts.code)).collect()
    }

    fn open_session(&mut self, parameters: Parameters) -> Outcome {
        match (self.session, parameters.get(0)) {
            (Some(_), _) => Err(R::SESSION_ALREADY_OPEN),
            (None, 0 | 0xFFFF_FFFF) => Err(R::INVALID_PARAMETER),
            (None, session) => {
                self.session = Some(session);
                Ok(Reply::default())
            }
        }
    }

    fn storages(&self) -> Vec<u32> {
        if self.is_locked() {
            return Vec::new();
        }
        self.profile.storages.iter().map(|storage| storage.id).collect()
    }

    /// Whether a storage is there for the initiator.
    fn check_storage(&self, storage: u32) -> Result<(), R> {
        let there = self.storages().contains(&storage) && StorageId(storage).has_medium();
        if there { Ok(()) } else { Err(R::INVALID_STORAGE_ID) }
    }

    fn storage_info(&self, storage: u32) -> Result<StorageInfo, R> {
        self.check_storage(storage)?;
        let facts = self.profile.storages.iter().find(|facts| facts.id == storage);
        let facts = facts.ok_or(R::INVALID_STORAGE_ID)?;
        Ok(StorageInfo {
            storage_type: facts.storage_type.unwrap_or(3),
            filesystem_type: facts.filesystem.unwrap_or(2),
            access: facts.access.unwrap_or(0),
            capacity: facts.capacity.unwrap_or(DEFAULT_SPACE),
            free_bytes: self.free(storage),
            free_objects: facts.free_objects.unwrap_or(u32::MAX),
            description: facts.description.clone().unwrap_or_default(),
            volume: facts.volume.clone().unwrap_or_default(),
        })
    }

    /// Bytes that can still be written.
    fn free(&self, storage: u32) -> u64 {
        let facts = self.profile.storages.iter().find(|facts| facts.id == storage);
        let free = facts.and_then(|facts| facts.free_bytes.or(facts.capacity)).unwrap_or(DEFAULT_SPACE);
        free.saturating_sub(self.tree.used(storage))
    }

    fn check_writable(&self, storage: u32) -> Result<(), R> {
        self.check_storage(storage)?;
        let facts = self.profile.storages.iter().find(|facts| facts.id == storage);
        match facts.and_then(|facts| facts.access) {
            None | Some(0) => Ok(()),
            Some(_) => Err(R::STORE_READ_ONLY),
        }
    }
}

/// Space of a storage whose dump doesn't tell.
const DEFAULT_SPACE: u64 = 1 << 30;

/// Two halves of a number.
fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
