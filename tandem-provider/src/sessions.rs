//! The open devices: who opened each, which paths they have, and how a device is let go of when it is released or its
//! caller has left. Nothing here asks a device for anything but opening and closing.

use crate::answers::Failure;
use crate::device::{Device, Driver, Handle};
use crate::identity::Identity;
use dbus_interfaces::provider::Error;
use std::collections::{BTreeMap, HashSet};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zbus::names::OwnedUniqueName;
use zbus::{ObjectPath, OwnedObjectPath};

/// A call waits so long for others to be done with a device that does one thing at a time.
const TURN: Duration = Duration::from_secs(8);

/// What an open device's calls share.
pub(crate) struct Open {
    number: u64,
    device: Arc<dyn Device>,
    /// Hangs up when the device is released.
    released: Arc<PipeReader>,
    /// Whether the caller calls `Flush`.
    flushes: bool,
    /// Held by each call while it runs; closing waits for all of them.
    running: Arc<tokio::sync::RwLock<()>>,
    turn: Option<Arc<tokio::sync::Mutex<()>>>,
    transfers: Mutex<HashSet<Handle>>,
}

/// A place in the table, also while a device is being opened.
struct Slot {
    caller: OwnedUniqueName,
    canonical_name: String,
    open: Option<Arc<Open>>,
    /// Dropped to hang up.
    hold: Option<PipeWriter>,
}

/// All open devices.
pub(crate) struct Sessions {
    root: OwnedObjectPath,
    driver: Arc<dyn Driver>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    last: u64,
    by_number: BTreeMap<u64, Slot>,
}

/// What lies at a path.
pub(crate) enum Place {
    Root,
    Device(Arc<Open>),
    Storage(Arc<Open>, Handle),
}

/// A lock whose holder panicked is as good as any other here: each holder leaves whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub(crate) fn new(root: OwnedObjectPath, driver: Arc<dyn Driver>) -> Self {
        Self { root, driver, slots: Mutex::default() }
    }

    pub(crate) fn root(&self) -> &str {
        self.root.as_str()
    }

    pub(crate) fn device_path(&self, number: u64) -> OwnedObjectPath {
        self.path(&format!("d{number}"))
    }

    /// The path of a storage.
    pub(crate) fn storage_path(&self, open: &Open, handle: Handle) -> OwnedObjectPath {
        self.path(&format!("d{}/s{handle}", open.number))
    }

    fn path(&self, below: &str) -> OwnedObjectPath {
        let root = self.root.as_str().trim_end_matches('/');
        let path = ObjectPath::try_from(format!("{root}/{below}"));
        path.expect("letters and digits below a legal path are one").into()
    }

    /// What lies at a path; an error for what was released or never was.
    pub(crate) fn place(&self, path: &ObjectPath<'_>) -> Result<Place, Failure> {
        let gone = || Error::InterfaceDead(format!("there is nothing at `{path}`, or no more"));
        let below = path.as_str().strip_prefix(self.root.as_str().trim_end_matches('/')).ok_or_else(gone)?;
        if below.is_empty() || path.as_str() == self.root.as_str() {
            return Ok(Place::Root);
        }
        let mut parts = below.split('/').skip(1);
        let number = parts.next().and_then(|part| part.strip_prefix('d')?.parse().ok());
        let slots = lock(&self.slots);
        let slot = number.and_then(|number: u64| slots.by_number.get(&number));
        let open = slot.and_then(|slot| slot.open.clone()).ok_or_else(gone)?;
        match (parts.next(), parts.next()) {
            (None, _) => Ok(Place::Device(open)),
            (Some(part), None) => {
                let handle = part.strip_prefix('s').and_then(|part| part.parse().ok()).ok_or_else(gone)?;
                Ok(Place::Storage(open, handle))
            }
            _ => Err(gone().into()),
        }
    }

    /// A storage of this very device, as an argument names it.
    pub(crate) fn storage_of(&self, open: &Open, path: &ObjectPath<'_>) -> Result<Handle, Failure> {
        match self.place(path)? {
            Place::Storage(of, handle) if of.number == open.number => Ok(handle),
            _ => Err(Error::InvalidArgument(format!("`{path}` is no storage of this device")).into()),
        }
    }

    /// The names of the root object's children.
    pub(crate) fn children(&self) -> Vec<String> {
        lock(&self.slots).by_number.keys().map(|number| format!("d{number}")).collect()
    }

    /// Opens a device for a caller, whose earlier use of it ends first. `flushes` when that calls `Flush`.
    pub(crate) async fn open(
        &self,
        caller: &OwnedUniqueName,
        identity: Identity,
        usb: Option<OwnedFd>,
        flushes: bool,
    ) -> Result<OwnedObjectPath, Error> {
        let (number, earlier) = self.reserve(caller, &identity)?;
        if let Some(earlier) = earlier {
            close(earlier).await?;
        }
        let driver = Arc::clone(&self.driver);
        let opened = blocking(move || driver.open(&identity, usb)).await;
        let (released, hold) = match std::io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => {
                lock(&self.slots).by_number.remove(&number);
                return Err(Error::Failed(format!("no pipe can be made: {error}")));
            }
        };
        let opened = opened.map(|device| {
            Arc::new(Open {
                number,
                turn: device.one_at_a_time().then(Arc::default),
                device,
                released: Arc::new(released),
                flushes,
                running: Arc::default(),
                transfers: Mutex::default(),
            })
        });
        let abandoned = {
            let mut slots = lock(&self.slots);
            match (opened, slots.by_number.get_mut(&number)) {
                (Ok(open), Some(slot)) => {
                    (slot.open, slot.hold) = (Some(open), Some(hold));
                    return Ok(self.device_path(number));
                }
                (Err(error), _) => {
                    slots.by_number.remove(&number);
                    return Err(error);
                }
                (Ok(open), None) => open,
            }
        };
        close(abandoned).await?;
        Err(Error::InterfaceDead("the caller left while the device was opened".to_owned()))
    }

    fn reserve(
        &self,
        caller: &OwnedUniqueName,
        identity: &Identity,
    ) -> Result<(u64, Option<Arc<Open>>), Error> {
        let mut slots = lock(&self.slots);
        let same = |slot: &Slot| slot.canonical_name == identity.canonical_name;
        let found = slots.by_number.iter().find(|(_, slot)| same(slot)).map(|(number, _)| *number);
        let mut earlier = None;
        if let Some(number) = found {
            let theirs = slots
                .by_number
                .get(&number)
                .is_some_and(|slot| slot.caller == *caller && slot.open.is_some());
            if !theirs {
                let name = &identity.canonical_name;
                return Err(Error::Busy(format!("the device `{name}` is open for another, or being opened")));
            }
            earlier = slots.by_number.remove(&number).and_then(|slot| slot.open);
        }
        slots.last += 1;
        let number = slots.last;
        let canonical_name = identity.canonical_name.clone();
        slots
            .by_number
            .insert(number, Slot { caller: caller.clone(), canonical_name, open: None, hold: None });
        Ok((number, earlier))
    }

    /// Releases a caller's device.
    pub(crate) async fn release(&self, caller: &OwnedUniqueName, path: &ObjectPath<'_>) -> Result<(), Error> {
        let released = {
            let mut slots = lock(&self.slots);
            let theirs = |slot: &Slot| slot.caller == *caller && slot.open.is_some();
            let found = slots
                .by_number
                .iter()
                .find(|(number, slot)| theirs(slot) && self.device_path(**number).as_str() == path.as_str());
            let number = found.map(|(number, _)| *number);
            number.and_then(|number| slots.by_number.remove(&number)).and_then(|slot| slot.open)
        };
        match released {
            Some(open) => close(open).await,
            None => Err(Error::InvalidArgument(format!("`{path}` is no device that the caller has open"))),
        }
    }

    /// Releases all that a caller had, who has left the bus.
    pub(crate) async fn leave(&self, caller: &str) {
        self.release_all(|slot| slot.caller.as_str() == caller).await;
    }

    /// Releases a device that is gone, whoever has it.
    pub(crate) async fn lose(&self, canonical_name: &str) {
        self.release_all(|slot| slot.canonical_name == canonical_name).await;
    }

    /// Releases everything.
    pub(crate) async fn end(&self) {
        self.release_all(|_| true).await;
    }

    async fn release_all(&self, which: impl Fn(&Slot) -> bool) {
        let released: Vec<Slot> = {
            let mut slots = lock(&self.slots);
            let numbers: Vec<u64> =
                slots.by_number.iter().filter(|(_, slot)| which(slot)).map(|(number, _)| *number).collect();
            numbers.iter().filter_map(|number| slots.by_number.remove(number)).collect()
        };
        for slot in released {
            let (open, name) = (slot.open, slot.canonical_name);
            drop(slot.hold);
            if let Some(open) = open
                && let Err(error) = close(open).await
            {
                tracing::warn!(device = name, %error, "a device was not closed well");
            }
        }
    }
}

/// Closes a device that is in the table no more, after the last of its calls.
async fn close(open: Arc<Open>) -> Result<(), Error> {
    let alone = Arc::clone(&open.running).write_owned().await;
    let ended = move || {
        let kept = open.device.flush();
        open.device.close().and(kept)
    };
    let result = blocking(ended).await;
    drop(alone);
    result
}

/// Runs what may block on a thread of its own.
async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Failed(format!("the provider has a defect: {error}"))),
    }
}

/// A transfer's mark on its file.
pub(crate) struct Transferring<'a> {
    open: &'a Open,
    handle: Handle,
}

impl Drop for Transferring<'_> {
    fn drop(&mut self) {
        lock(&self.open.transfers).remove(&self.handle);
    }
}

impl Open {
    pub(crate) fn released(&self) -> Arc<PipeReader> {
        Arc::clone(&self.released)
    }

    /// Whether calls wait for each other.
    pub(crate) fn is_one_at_a_time(&self) -> bool {
        self.turn.is_some()
    }

    /// Runs a call's work with the device, on a thread of its own.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Device) -> Result<T, Error> + Send + 'static,
    {
        let running = Arc::clone(&self.running)
            .try_read_owned()
            .map_err(|_| Error::InterfaceDead("the device was released".to_owned()))?;
        let turn = match &self.turn {
            None => None,
            Some(turn) => {
                let turn = tokio::time::timeout(TURN, Arc::clone(turn).lock_owned()).await;
                Some(turn.map_err(|_| Error::Busy("the device is doing something else".to_owned()))?)
            }
        };
        let device = Arc::clone(&self.device);
        // The thread holds both, so that a call that nobody waits for any more ends before the device is closed.
        blocking(move || {
            let _both = (running, turn);
            work(&*device)
        })
        .await
    }

    /// The same for work that changes something: when that has been done it lasts, unless the caller sees to that.
    pub(crate) async fn change<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Device) -> Result<T, Error> + Send + 'static,
    {
        let flushes = self.flushes;
        self.run(move |device| {
            let done = work(device)?;
            if flushes { Ok(done) } else { device.flush().map(|()| done) }
        })
        .await
    }

    /// Marks a file as being transferred.
    pub(crate) fn transfer(&self, handle: Handle) -> Result<Transferring<'_>, Error> {
        if lock(&self.transfers).insert(handle) {
            Ok(Transferring { open: self, handle })
        } else {
            Err(Error::Busy("the file is being transferred".to_owned()))
        }
    }
}
