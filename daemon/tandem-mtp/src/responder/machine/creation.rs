//! Making, filling, moving and deleting objects.
//!
//! It must not leave a part of an object unless the player is one that does.

use super::{Habit, Machine, Outcome, R, Reply, wide};
use crate::codec::Dataset;
use crate::codec::container::{Command, Parameters};
use crate::codec::object_info::ObjectInfo;
use crate::codec::property_list::PropertyList;
use crate::codec::value::Value;
use crate::codes::{FormatCode, ObjectPropertyCode as P, OperationCode as O};
use crate::responder::tree::{Node, is_name};

/// Bytes that are read at once for a copy.
const COPY_BYTES: usize = 1 << 20;

/// The date of everything on a player that knows none.
const CLOCKLESS: &str = "20000101T000000";

/// An object that was announced and whose bytes didn't come yet.
#[derive(Debug, Clone)]
pub(in crate::responder) struct Announced {
    handle: u32,
    node: Node,
    /// `None`: until a short packet.
    size: Option<u64>,
}

/// Where incoming bytes of an object go.
#[derive(Debug, Clone, Copy)]
pub(in crate::responder) struct Incoming {
    handle: u32,
    at: u64,
    /// Bytes that must come.
    size: Option<u64>,
    /// A whole object and not a part of an existing one.
    whole: bool,
}

impl Machine {
    pub(super) fn announce_info(&mut self, parameters: Parameters, data: &[u8]) -> Outcome {
        let info = ObjectInfo::decode(data).map_err(|_| R::INVALID_DATASET)?;
        let (storage, parent) = (parameters.get(0), parameters.get(1));
        let size = (info.size != 0xFFFF_FFFF).then_some(info.size);
        let mut node = self.plan(storage, parent, info.format, &info.file_name)?;
        node.modified = if self.has(Habit::IgnoresDates) { CLOCKLESS.to_owned() } else { info.modified };
        self.announce(node, size)
    }

    pub(super) fn announce_list(&mut self, parameters: Parameters, data: &[u8]) -> Outcome {
        let list = PropertyList::decode(data).map_err(|_| R::INVALID_DATASET)?;
        let format = u16::try_from(parameters.get(2)).map_err(|_| R::INVALID_OBJECT_FORMAT_CODE)?;
        let format = FormatCode(format);
        let size = wide(parameters.get(4), parameters.get(3));
        let mut name = None;
        let mut values = Vec::new();
        for element in list.0 {
            match element.property {
                P::STORAGE_ID | P::PARENT_OBJECT | P::OBJECT_FORMAT | P::OBJECT_SIZE => {
                    return Err(R::INVALID_DATASET);
                }
                // every object has a name, also of a format whose properties the player doesn't tell
                P::OBJECT_FILE_NAME if self.description(format, P::OBJECT_FILE_NAME).is_err() => {}
                property => self.check_value(format, property, &element.value)?,
            }
            match element.value {
                Value::String(text) if element.property == P::OBJECT_FILE_NAME => name = Some(text),
                value => values.push((element.property, value)),
            }
        }
        let name = name.ok_or(R::INVALID_DATASET)?;
        let mut node = self.plan(parameters.get(0), parameters.get(1), format, &name)?;
        node.values.extend(values);
        self.announce(node, Some(size))
    }

    /// Checks where an object is to be made, and as what.
    fn plan(&self, storage: u32, parent: u32, format: FormatCode, name: &str) -> Result<Node, R> {
        let parent = if parent == 0xFFFF_FFFF { 0 } else { parent };
        let storage = match (storage, parent) {
            (0, 0) => *self.storages().first().ok_or(R::STORE_NOT_AVAILABLE)?,
            (0, folder) => self.tree.get(folder).map_err(|_| R::INVALID_PARENT_OBJECT)?.storage,
            (storage, _) => storage,
        };
        self.check_writable(storage)?;
        if parent != 0 {
            let folder = self.tree.get(parent).map_err(|_| R::INVALID_PARENT_OBJECT)?;
            if !folder.is_folder() || folder.storage != storage {
                return Err(R::INVALID_PARENT_OBJECT);
            }
        }
        // some players take folders without listing them among their formats
        if format != FormatCode::ASSOCIATION && !self.schema.contains_key(&format) {
            return Err(R::INVALID_OBJECT_FORMAT_CODE);
        }
        self.check_name(storage, parent, name)?;
        Ok(Node::new(storage, parent, format, name))
    }

    /// Whether a name can be given.
    pub(super) fn check_name(&self, storage: u32, parent: u32, name: &str) -> Result<(), R> {
        if !is_name(name) {
            return Err(R::INVALID_PARAMETER);
        }
        let unique = self.has(Habit::NameTaken) || self.tree.is_on_disk();
        if unique && self.tree.has_name(storage, parent, name) {
            return Err(R::GENERAL_ERROR);
        }
        Ok(())
    }

    fn announce(&mut self, node: Node, size: Option<u64>) -> Outcome {
        if size.is_some_and(|size| size > self.free(node.storage)) && !self.has(Habit::StoreFullLate) {
            return Err(R::STORE_FULL);
        }
        let handle = self.tree.take_handle();
        let parent = if node.parent == 0 { 0xFFFF_FFFF } else { node.parent };
        let first =
            self.tree.iter().next().map(|(first, _)| first).filter(|_| self.has(Habit::ForeignHandle));
        let reply = Reply::with(&[node.storage, parent, first.unwrap_or(handle)]);
        self.announced = None;
        if node.is_folder() || size == Some(0) {
            self.tree.insert(handle, node.clone())?;
        }
        if !node.is_folder() {
            self.announced = Some(Announced { handle, node, size });
        }
        Ok(reply)
    }

    /// Begins to take bytes of an object.
    pub(in crate::responder) fn begin_incoming(
        &mut self,
        command: &Command,
        announced: Option<u64>,
    ) -> Result<Incoming, R> {
        self.admit(command)?;
        let parameters = command.parameters;
        if command.code == O::SEND_PARTIAL_OBJECT {
            let handle = parameters.get(0);
            if !self.editing.contains(&handle) {
                return Err(R::GENERAL_ERROR);
            }
            let at = wide(parameters.get(1), parameters.get(2));
            let size = Some(u64::from(parameters.get(3)));
            return Ok(Incoming { handle, at, size, whole: false });
        }
        let Announced { handle, node, size } = self.announced.clone().ok_or(R::NO_VALID_OBJECT_INFO)?;
        if size.zip(announced).is_some_and(|(size, announced)| size != announced) {
            return Err(R::INCOMPLETE_TRANSFER);
        }
        if self.tree.get(handle).is_err() {
            self.tree.insert(handle, node)?;
        }
        self.receiving = Some(handle);
        Ok(Incoming { handle, at: 0, size, whole: true })
    }

    /// Takes some bytes.
    pub(in crate::responder) fn take_incoming(
        &mut self,
        incoming: &mut Incoming,
        bytes: &[u8],
    ) -> Result<(), R> {
        let node = self.tree.get(incoming.handle)?;
        let end = incoming.at + bytes.len() as u64;
        let more = end.saturating_sub(self.tree.size(incoming.handle));
        if more > self.free(node.storage) {
            return Err(R::STORE_FULL);
        }
        self.tree.write(incoming.handle, incoming.at, bytes)?;
        incoming.at = end;
        Ok(())
    }

    /// All bytes came.
    pub(in crate::responder) fn end_incoming(&mut self, incoming: Incoming, received: u64) -> Outcome {
        if incoming.size.is_some_and(|size| size != received) {
            self.abandon();
            return Err(R::INCOMPLETE_TRANSFER);
        }
        if incoming.whole {
            let sent = self.receiving.take();
            if let (Some(sent), Some(last), true) =
                (sent, received.checked_sub(1), self.has(Habit::KeepsOtherBytes))
            {
                let kept = self.tree.read(sent, last, 1)?;
                self.tree.write(sent, last, &kept.iter().map(|byte| !byte).collect::<Vec<u8>>())?;
            }
            if self.has(Habit::SizeLate) {
                self.late.extend(sent);
            }
            self.announced = None;
            return Ok(Reply::default());
        }
        // at most 32 bits were asked for
        Ok(Reply::with(&[received as u32]))
    }

    /// The rest of an object won't come. The announcement stays good for another attempt.
    pub(in crate::responder) fn abandon(&mut self) {
        let Some(handle) = self.receiving.take() else { return };
        if self.has(Habit::PartialKept) {
            self.announced = None;
        } else if self.tree.remove(handle).is_err() {
            tracing::debug!("a part of an object can't be removed from the simulated player's directory");
        }
    }

    pub(super) fn delete(&mut self, handle: u32) -> Outcome {
        if handle == 0xFFFF_FFFF {
            return Err(R::PARAMETER_NOT_SUPPORTED);
        }
        let storage = self.tree.get(handle)?.storage;
        self.check_writable(storage)?;
        self.tree.remove(handle)?;
        Ok(Reply::default())
    }

    /// Checks a destination of a move or a copy.
    fn destination(&self, parameters: Parameters) -> Result<(u32, u32, u32), R> {
        let (handle, storage, parent) = (parameters.get(0), parameters.get(1), parameters.get(2));
        let node = self.tree.get(handle)?;
        self.check_writable(storage)?;
        if parent != 0 {
            let folder = self.tree.get(parent).map_err(|_| R::INVALID_PARENT_OBJECT)?;
            let within = self.tree.family(handle).contains(&parent);
            if !folder.is_folder() || folder.storage != storage || within {
                return Err(R::INVALID_PARENT_OBJECT);
            }
        }
        self.check_name(storage, parent, &node.name)?;
        Ok((handle, storage, parent))
    }

    pub(super) fn move_object(&mut self, parameters: Parameters) -> Outcome {
        let (handle, storage, parent) = self.destination(parameters)?;
        let name = self.tree.get(handle)?.name.clone();
        self.tree.relocate(handle, storage, parent, &name)?;
        Ok(Reply::default())
    }

    pub(super) fn copy_object(&mut self, parameters: Parameters) -> Outcome {
        let (handle, storage, parent) = self.destination(parameters)?;
        let size = self.tree.size(handle);
        let original = self.tree.get(handle)?.clone();
        if original.is_folder() {
            return Err(R::INVALID_OBJECT_HANDLE);
        }
        if size > self.free(storage) {
            return Err(R::STORE_FULL);
        }
        let mut node = Node::new(storage, parent, original.format, &original.name);
        node.values = original.values;
        node.modified = original.modified;
        let copy = self.tree.take_handle();
        self.tree.insert(copy, node)?;
        let mut at = 0;
        while at < size {
            let bytes = self.tree.read(handle, at, COPY_BYTES)?;
            self.tree.write(copy, at, &bytes)?;
            at += bytes.len().max(1) as u64;
        }
        Ok(Reply::with(&[copy]))
    }

    pub(super) fn truncate(&mut self, parameters: Parameters) -> Outcome {
        let handle = parameters.get(0);
        if !self.editing.contains(&handle) {
            return Err(R::GENERAL_ERROR);
        }
        let size = wide(parameters.get(1), parameters.get(2));
        let storage = self.tree.get(handle)?.storage;
        if size.saturating_sub(self.tree.size(handle)) > self.free(storage) {
            return Err(R::STORE_FULL);
        }
        self.tree.resize(handle, size)?;
        Ok(Reply::default())
    }
}
