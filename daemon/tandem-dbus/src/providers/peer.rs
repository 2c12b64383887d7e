//! An open device's own objects, and what can be asked of them: it knows no paths and keeps nothing, so that several may
//! ask at a time.

use super::answers::{self, ENTRY, Entry, Properties};
use super::fault::{Fault, Word};
use super::link::{Limit, Link, QUICK, SLOW};
use super::tree::Known;
use dbus_interfaces::provider::{DEVICE, OBJECT, STORAGE};
use std::sync::atomic::{AtomicBool, Ordering};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use zbus::OwnedObjectPath;
use zbus::wire::DynamicDeserialize;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const FLUSH: (&str, &str) = (DEVICE, "Flush");
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

/// A provider's side of an open device.
pub(super) struct Peer {
    pub(super) link: Link,
    /// The provider's root, below which all that it names must lie.
    pub(super) root: OwnedObjectPath,
    pub(super) device: OwnedObjectPath,
    /// Whether the device keeps what was answered for only with the next `Flush`.
    pub(super) keeps_later: AtomicBool,
}

impl Peer {
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
        let flushed = self.call(&self.device, FLUSH, &(), SLOW).await;
        flushed.map_err(|fault| fault.told("having the device keep what was sent", "the device"))
    }

    /// Whether an object has an interface, by its own introspection.
    pub(super) async fn has_interface(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
    ) -> Result<bool, Fault> {
        has_interface(&self.link, object, interface).await
    }

    /// What an answer about an object is; `None` where the provider has no such object, and the device is still there.
    async fn unless_none<T>(&self, answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Fault::Missing(_) | Fault::Refused(Word::InterfaceDead | Word::NotFound, _)) => {
                // an object that is gone and a device that is gone look alike
                self.properties(&self.device, DEVICE).await.map_err(|fault| match fault {
                    Fault::Missing(_) | Fault::Refused(..) => Fault::Gone,
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

    /// An object as the provider tells of it now, if it still has that name. `None` when it has no such object.
    pub(super) async fn look(&self, object: &OwnedObjectPath, name: &str) -> Result<Option<Known>, Fault> {
        let told = self.entry(object).await?.filter(|entry| entry.name == name);
        Ok(told.map(|entry| known(object.clone(), entry)))
    }

    /// A new file as the provider tells of it under this name, if that is all of it; `about` is its final name.
    pub(super) async fn whole(
        &self,
        object: &OwnedObjectPath,
        at: &str,
        about: &DevicePath,
        size: u64,
    ) -> Result<Known, PlayerError> {
        let looked = self.look(object, super::tree::name(at)).await;
        let known = looked.map_err(|fault| fault.told("looking at a new file", at))?;
        let whole = known.filter(|known| known.facts.size == size && !known.is_folder);
        whole.ok_or_else(|| PlayerError::VerifyFailed(about.as_str().to_owned()))
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
            Err(Fault::Refused(Word::InvalidArgument, _)) => {
                Err(PlayerError::NameRejected(to.name().to_owned()))
            }
            Err(fault) => Err(fault.told("renaming a file", to.as_str())),
        }
    }
}

/// Whether an object has an interface, by its own introspection; one that can't be introspected has none.
pub(super) async fn has_interface(
    link: &Link,
    object: &OwnedObjectPath,
    interface: &str,
) -> Result<bool, Fault> {
    match link.call::<_, String>(object, (INTROSPECTABLE, "Introspect"), &(), QUICK).await {
        Ok(document) => answers::has_interface(&document, interface),
        Err(Fault::Missing(_) | Fault::Refused(..)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// What is known of an object that was asked for.
pub(super) fn known(object: OwnedObjectPath, entry: Entry) -> Known {
    let Entry { is_folder, facts, persistent_id: id, .. } = entry;
    Known { object, is_folder, facts, id }
}
