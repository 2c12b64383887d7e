//! The responder: a player made from a profile, that does what it announces and nothing else.
//!
//! It serves tests and the daemon's simulation; on a USB device controller it would need another [`Port`] and nothing
//! more. It must not reach outside the directory that it is given.

mod content;
mod engine;
mod fault;
mod machine;
mod pipe;
mod port;
pub mod profile;
mod record;
mod standard;
mod tree;

pub use fault::{Fault, Habit, Planned};
pub use port::{Delivery, Port, Received, Unplugged};
pub use profile::{Profile, ProfileError};

use crate::codec::container::{Event, Parameters};
use crate::codec::value::Value;
use crate::codes::{
    DevicePropertyCode, EventCode, FormatCode, ObjectHandle, ObjectPropertyCode, ResponseCode, StorageId,
};
use crate::transport::Transport;
use engine::{Engine, lock};
use machine::Machine;
use pipe::{PipePort, PipeTransport, Wire};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tree::Node;

/// Bytes of a packet where a profile doesn't tell: high speed.
const DEFAULT_PACKET: usize = 512;

/// Why a player can't be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The profile is not sound.
    #[error(transparent)]
    Profile(ProfileError),
    /// The directory can't be used.
    #[error("the simulated player's directory can't be used: {0}")]
    Directory(std::io::Error),
}

/// Where a simulated player's objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In memory, where zeros take no room.
    Memory,
    /// In a directory: a folder for each storage, and `player.json` with what files can't hold, which is written when a
    /// session or a connection ends.
    Directory(PathBuf),
}

/// An object as it is on a simulated player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its handle in this connection.
    pub handle: ObjectHandle,
    /// Where it is.
    pub storage: StorageId,
    /// From the storage's root, with slashes.
    pub path: String,
    /// What it is.
    pub format: FormatCode,
    /// Bytes.
    pub size: u64,
    /// What it refers to.
    pub references: Vec<ObjectHandle>,
}

/// A player. It keeps its objects from one connection to the next.
#[derive(Debug, Clone)]
pub struct SimulatedPlayer {
    machine: Arc<Mutex<Machine>>,
    wire: Arc<Mutex<Option<Wire>>>,
}

impl SimulatedPlayer {
    /// A player with these facts.
    ///
    /// # Errors
    /// When the profile points at what it doesn't have, or the directory can't be read.
    pub fn new(profile: Profile, place: Place) -> Result<Self, SimulationError> {
        let directory = match place {
            Place::Memory => None,
            Place::Directory(directory) => Some(directory),
        };
        let machine = Machine::new(profile, directory)?;
        Ok(Self { machine: Arc::new(Mutex::new(machine)), wire: Arc::new(Mutex::new(None)) })
    }

    /// Plugs it in, and out before that if it was. The transport makes the player go on whenever it is polled: nothing
    /// has to be spawned.
    #[must_use]
    pub fn connect(&self) -> Box<dyn Transport> {
        self.unplug();
        let wire = Wire::new();
        let mut machine = lock(&self.machine);
        machine.plug_in();
        let packet = machine.profile.usb.in_maxpacket.filter(|packet| packet.is_power_of_two());
        let packet = packet.unwrap_or(DEFAULT_PACKET).clamp(8, 1024);
        drop(machine);
        *self.current() = Some(wire.clone());
        let port = Box::new(PipePort::new(wire.clone(), packet));
        let engine = Engine::new(Arc::clone(&self.machine), port);
        Box::new(PipeTransport::new(wire, packet, Box::pin(engine.run())))
    }

    /// Serves a port until it is unplugged: a USB device controller, or a wire of the caller's making.
    pub async fn serve(&self, port: Box<dyn Port>) {
        lock(&self.machine).plug_in();
        Engine::new(Arc::clone(&self.machine), port).run().await;
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Wire>> {
        self.wire.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Pulls the plug.
    pub fn unplug(&self) {
        if let Some(wire) = self.current().take() {
            wire.unplug();
        }
    }

    /// The user says on the device that its files may be seen. By habit it then leaves the bus, to be connected again, or
    /// tells of its storages.
    pub fn allow(&self) {
        let mut machine = lock(&self.machine);
        machine.allowed = true;
        let leaves = machine.has(Habit::LockedUntilAllowed);
        let storages: Vec<u32> = machine.profile.storages.iter().map(|storage| storage.id).collect();
        drop(machine);
        if leaves {
            return self.unplug();
        }
        for storage in storages {
            self.tell(EventCode::STORE_ADDED, &[storage]);
        }
    }

    /// Sends an event.
    pub fn tell(&self, code: EventCode, parameters: &[u32]) {
        let event = Event { code, transaction: 0xFFFF_FFFF, parameters: Parameters::new(parameters) };
        if let Some(wire) = self.current().as_ref() {
            wire.event(event.encode());
        }
    }

    /// Has something go wrong once.
    pub fn plan(&self, planned: Planned) {
        lock(&self.machine).planned.push(planned);
    }

    /// Forgets what was to go wrong.
    pub fn forget_plans(&self) {
        lock(&self.machine).planned.clear();
    }

    /// How many transactions there were, over all connections.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        lock(&self.machine).transactions
    }

    /// How many bytes of data it has answered with, over all connections.
    #[must_use]
    pub fn told_bytes(&self) -> u64 {
        lock(&self.machine).told
    }

    /// What it answers for string descriptor 0xEE; `None` when it stalls.
    #[must_use]
    pub fn os_string_descriptor(&self) -> Option<Vec<u8>> {
        lock(&self.machine).profile.os_string_descriptor()
    }

    /// Every object, in the order of handles.
    #[must_use]
    pub fn objects(&self) -> Vec<Snapshot> {
        let machine = lock(&self.machine);
        let snapshot = |(handle, node): (u32, &Node)| Snapshot {
            handle: ObjectHandle(handle),
            storage: StorageId(node.storage),
            path: machine.tree.path(handle),
            format: node.format,
            size: machine.tree.size(handle),
            references: node.references.iter().copied().map(ObjectHandle).collect(),
        };
        machine.tree.iter().map(snapshot).collect()
    }

    /// An object's bytes; `None` when there is none of that handle.
    #[must_use]
    pub fn bytes(&self, handle: ObjectHandle) -> Option<Vec<u8>> {
        lock(&self.machine).tree.read(handle.0, 0, usize::MAX).ok()
    }

    /// A property of an object that was set; `None` where it wasn't.
    #[must_use]
    pub fn property(&self, handle: ObjectHandle, property: ObjectPropertyCode) -> Option<Value> {
        lock(&self.machine).tree.get(handle.0).ok()?.values.get(&property).cloned()
    }

    /// Changes a property of the device, as it does itself, and tells that it has.
    pub fn set_device_property(&self, property: DevicePropertyCode, value: Value) {
        if let Some(known) = lock(&self.machine).device_properties.get_mut(&property) {
            known.current = value;
        }
        self.tell(EventCode::DEVICE_PROP_CHANGED, &[u32::from(property.0)]);
    }

    /// Puts an object on the player, as its user or another host does. `parent` 0 is the root.
    ///
    /// # Errors
    /// As the player would refuse it.
    pub fn put(
        &self,
        storage: StorageId,
        parent: ObjectHandle,
        format: FormatCode,
        name: &str,
        bytes: &[u8],
    ) -> Result<ObjectHandle, ResponseCode> {
        let mut machine = lock(&self.machine);
        let handle = machine.tree.take_handle();
        machine.tree.insert(handle, Node::new(storage.0, parent.0, format, name))?;
        if !bytes.is_empty() {
            machine.tree.write(handle, 0, bytes)?;
        }
        Ok(ObjectHandle(handle))
    }

    /// Has an object refer to others, as another host does.
    ///
    /// # Errors
    /// When there is none of that handle.
    pub fn refer(&self, handle: ObjectHandle, references: &[ObjectHandle]) -> Result<(), ResponseCode> {
        let references = references.iter().map(|reference| reference.0).collect();
        lock(&self.machine).tree.get_mut(handle.0)?.references = references;
        Ok(())
    }

    /// Puts an object below another one, also where that can't be.
    ///
    /// # Errors
    /// When there is none of that handle.
    pub fn misplace(&self, handle: ObjectHandle, parent: ObjectHandle) -> Result<(), ResponseCode> {
        lock(&self.machine).tree.misplace(handle.0, parent.0)
    }

    /// The user locks it: as long as he doesn't allow it again, it shows no storage, if it is one that can be locked.
    pub fn lock(&self) {
        lock(&self.machine).allowed = false;
    }

    /// Its storages, whether they are shown or not.
    #[must_use]
    pub fn storages(&self) -> Vec<StorageId> {
        lock(&self.machine).profile.storages.iter().map(|storage| StorageId(storage.id)).collect()
    }

    /// Makes an object exactly so long: cuts it, or extends it with zeros.
    ///
    /// # Errors
    /// When there is none of that handle, or its file can't be changed.
    pub fn resize(&self, handle: ObjectHandle, size: u64) -> Result<(), ResponseCode> {
        lock(&self.machine).tree.resize(handle.0, size)
    }

    /// Deletes an object and all below it, as its user does on the device.
    ///
    /// # Errors
    /// When there is none of that handle, or its file can't be deleted.
    pub fn remove(&self, handle: ObjectHandle) -> Result<(), ResponseCode> {
        lock(&self.machine).tree.remove(handle.0)
    }
}
