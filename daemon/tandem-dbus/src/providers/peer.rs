//! An open device's own objects, and what can be asked of them: it knows no paths and keeps nothing, so that
//! several may ask at a time.

use super::answers::{self, ENTRY, Entry, Properties};
use super::fault::{Fault, Word};
use super::introspection;
use super::link::{Limit, Link, QUICK, SLOW};
use super::tree::Known;
use dbus_interfaces::provider::{DEVICE, OBJECT, STORAGE};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::ahead::Ahead;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zbus::OwnedObjectPath;
use zbus::wire::DynamicDeserialize;

/// Transfers that may be unanswered: a bus holds back few descriptors for one that is slow to take them.
const MOST_UNANSWERED: usize = 32;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const FLUSH: (&str, &str) = (DEVICE, "Flush");
const RENAME_ALL: (&str, &str) = (DEVICE, "RenameAll");
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

/// Members that change nothing which would have to be kept.
const QUESTIONS: [&str; 10] = [
    "EnumStorage",
    "EnumStorageWithMetadata",
    "FindStorage",
    "GetAll",
    "GetParent",
    "GetProperty",
    "GetReferences",
    "GetSpecifiedMetadata",
    "Introspect",
    "ReadOnClearChannel",
];

/// Counts a call that may have changed something when it ends, however that is.
struct Change<'a>(&'a AtomicU64);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A provider's side of an open device.
pub(super) struct Peer {
    pub(super) link: Link,
    /// The provider's root, below which all that it names must lie.
    pub(super) root: OwnedObjectPath,
    pub(super) device: OwnedObjectPath,
    /// Whether the device keeps what was answered for only with the next `Flush`.
    pub(super) keeps_later: AtomicBool,
    /// Calls that may have changed something.
    changes: AtomicU64,
    /// How many of them had ended when the device was last told to keep them, if it does.
    kept: Mutex<Option<u64>>,
    /// Whether it renames several files by one call.
    pub(super) renames_all: AtomicBool,
    /// One for each transfer that may be unanswered.
    transfers: Arc<Semaphore>,
    /// What was read of the source that comes next.
    pub(super) ahead: Arc<Ahead>,
}

impl Peer {
    /// An open device of the provider at the other end.
    pub(super) fn new(link: Link, root: OwnedObjectPath, device: OwnedObjectPath) -> Self {
        let (keeps_later, renames_all) = (AtomicBool::default(), AtomicBool::default());
        Self {
            link,
            root,
            device,
            keeps_later,
            changes: AtomicU64::default(),
            kept: Mutex::default(),
            renames_all,
            transfers: Arc::new(Semaphore::new(MOST_UNANSWERED)),
            ahead: Arc::default(),
        }
    }

    /// A place for one more transfer. A provider that answers none of so many for long is given up.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let place = timeout(self.link.limit(SLOW), Arc::clone(&self.transfers).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| self.link.give_up())
    }

    /// Calls a member of an object.
    pub(super) async fn call<B, R>(
        &self,
        object: &OwnedObjectPath,
        member: (&str, &str),
        body: &B,
        limit: Limit,
    ) -> Result<R, Fault>
    where
        B: serde::Serialize + zbus::DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let is_question = QUESTIONS.contains(&member.1) || member == FLUSH;
        let _change = (!is_question).then(|| Change(&self.changes));
        self.link.call(object, member, body, limit).await
    }

    /// All properties of one of an object's interfaces.
    pub(super) async fn properties(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
    ) -> Result<Properties, Fault> {
        self.call(object, (PROPERTIES, "GetAll"), &interface, QUICK).await
    }

    /// Finds out whether the device has to be told to keep what was done.
    pub(super) async fn ask_to_flush(&self) -> Result<(), Fault> {
        let keeps_later = match self.call::<_, ()>(&self.device, FLUSH, &(), SLOW).await {
            Ok(()) => true,
            Err(Fault::Missing(_) | Fault::Refused(Word::NotSupported, _)) => false,
            Err(fault) => return Err(fault),
        };
        self.keeps_later.store(keeps_later, Ordering::Relaxed);
        Ok(())
    }

    /// Returns when the device keeps all that it has answered for.
    pub(super) async fn flush(&self) -> Result<(), PlayerError> {
        if !self.keeps_later.load(Ordering::Relaxed) {
            return Ok(());
        }
        // whoever comes meanwhile waits: what it did may be what is being kept
        let mut kept = self.kept.lock().await;
        let changes = self.changes.load(Ordering::Relaxed);
        if *kept != Some(changes) {
            let flushed = self.call::<_, ()>(&self.device, FLUSH, &(), SLOW).await;
            flushed.map_err(|fault| fault.told("having the device keep what was sent", "the device"))?;
            *kept = Some(changes);
        }
        Ok(())
    }

    /// What an object says that it has; nothing where it can't be introspected.
    pub(super) async fn introspect(&self, object: &OwnedObjectPath) -> Result<String, Fault> {
        introspect(&self.link, object).await
    }

    /// Whether an object has an interface, by its own introspection.
    pub(super) async fn has_interface(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
    ) -> Result<bool, Fault> {
        introspection::has_interface(&self.introspect(object).await?, interface)
    }

    /// Looks at what the device's object has; false when it is no device.
    pub(super) async fn is_device(&self) -> Result<bool, Fault> {
        let document = self.introspect(&self.device).await?;
        self.renames_all.store(introspection::has_method(&document, RENAME_ALL)?, Ordering::Relaxed);
        introspection::has_interface(&document, DEVICE)
    }

    /// What an answer about an object is; `None` where the provider has no such object, and the device is
    /// still there.
    pub(super) async fn unless_none<T>(&self, answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Fault::Missing(_) | Fault::Refused(Word::InterfaceDead | Word::NotFound, _)) => {
                // an object that is gone and a device that is gone look alike
                self.properties(&self.device, DEVICE).await.map_err(|fault| match fault {
                    Fault::Missing(text) | Fault::Refused(_, text) => {
                        Fault::Refused(Word::InterfaceDead, text)
                    }
                    fault => fault,
                })?;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// What the provider tells of an object now; `None` when it has no such object.
    pub(super) async fn entry(&self, object: &OwnedObjectPath) -> Result<Option<Entry>, Fault> {
        let asked = self.call(object, (STORAGE, "GetSpecifiedMetadata"), &&ENTRY[..], QUICK).await;
        let told: Option<Properties> = self.unless_none(asked).await?;
        told.map(|metadata| answers::entry(&metadata)).transpose()
    }

    /// An object as the provider tells of it now, if it still has that name. `None` when it has no such
    /// object.
    pub(super) async fn look(&self, object: &OwnedObjectPath, name: &str) -> Result<Option<Known>, Fault> {
        let told = self.entry(object).await?.filter(|entry| entry.name == name);
        Ok(told.map(|entry| known(object.clone(), entry)))
    }

    /// A new file as the provider tells of it under this name, if that is all of it; `about` is its final
    /// name.
    pub(super) async fn whole(
        &self,
        object: &OwnedObjectPath,
        at: &str,
        about: &DevicePath,
        size: u64,
    ) -> Result<Known, PlayerError> {
        let looked = self.entry(object).await.map_err(|fault| fault.told("looking at a new file", at))?;
        let whole = looked.and_then(|entry| whole(object, entry, at, size));
        whole.ok_or_else(|| PlayerError::VerifyFailed(about.as_str().to_owned()))
    }

    /// Gives new files their final names by one call; tells what it tells of each then. `None` where it
    /// doesn't do so.
    pub(super) async fn rename_all(
        &self,
        files: &[(&OwnedObjectPath, &DevicePath)],
    ) -> Result<Option<Vec<Result<Entry, Fault>>>, Fault> {
        if !self.renames_all.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let names: Vec<(&OwnedObjectPath, &str)> =
            files.iter().map(|(object, to)| (*object, to.name())).collect();
        let told: Vec<(String, Properties)> =
            match self.call(&self.device, RENAME_ALL, &(names, &ENTRY[..]), SLOW).await {
                Err(Fault::Missing(_) | Fault::Refused(Word::NotSupported, _)) => {
                    self.renames_all.store(false, Ordering::Relaxed);
                    return Ok(None);
                }
                told => told?,
            };
        if told.len() != files.len() {
            return Err(Fault::Lie(format!("what came of {} files, where {} are", told.len(), files.len())));
        }
        let one = |(word, metadata): (String, Properties)| match word.as_str() {
            "" => answers::entry(&metadata),
            word => Err(Fault::Refused(Word::named(word), "it said no more".to_owned())),
        };
        Ok(Some(told.into_iter().map(one).collect()))
    }

    /// Gives a new file its final name; false where the device can't.
    pub(super) async fn rename(
        &self,
        object: &OwnedObjectPath,
        to: &DevicePath,
    ) -> Result<bool, PlayerError> {
        match self.call::<_, ()>(object, (OBJECT, "Rename"), &to.name(), QUICK).await {
            Ok(()) => Ok(true),
            Err(Fault::Refused(Word::NotSupported, _)) => Ok(false),
            Err(fault) => Err(not_renamed(fault, to)),
        }
    }
}

/// Why a file didn't get this name.
pub(super) fn not_renamed(fault: Fault, to: &DevicePath) -> PlayerError {
    match fault {
        Fault::Refused(Word::InvalidArgument, _) => PlayerError::NameRejected(to.name().to_owned()),
        Fault::Refused(Word::NotSupported, _) => {
            Fault::Lie("it can't rename any more".to_owned()).told("renaming a file", to.as_str())
        }
        fault => fault.told("renaming a file", to.as_str()),
    }
}

/// What is told of a new file, if it is a file of this name and size.
pub(super) fn whole(object: &OwnedObjectPath, entry: Entry, at: &str, size: u64) -> Option<Known> {
    let is_whole = entry.name == super::tree::name(at) && !entry.is_folder && entry.facts.size == size;
    is_whole.then(|| known(object.clone(), entry))
}

/// What an object says that it has; nothing where it can't be introspected.
pub(super) async fn introspect(link: &Link, object: &OwnedObjectPath) -> Result<String, Fault> {
    match link.call::<_, String>(object, (INTROSPECTABLE, "Introspect"), &(), QUICK).await {
        Err(Fault::Missing(_) | Fault::Refused(..)) => Ok(String::new()),
        document => document,
    }
}

/// What is known of an object that was asked for.
pub(super) fn known(object: OwnedObjectPath, entry: Entry) -> Known {
    let Entry { is_folder, facts, persistent_id: id, .. } = entry;
    Known { object, is_folder, facts, id }
}
