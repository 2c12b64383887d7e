//! Tells a player of an object that is about to come: by its ObjectInfo, or by a property list where that says more, or
//! where the player knows nothing else.
//!
//! It must not announce twice what may have been announced: only a device that was too busy is asked again.

use super::error::{Fail, failed};
use super::session::{Session, was_too_busy};
use super::times;
use super::tree::parent;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{
    FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode, ResponseCode,
};
use tandem_mtp::initiator::{Error, Parent};

/// The most bytes that ObjectInfo can tell of; its dates are what ObjectInfo answers later, so it is preferred up to here.
const MOST_IN_INFO: u64 = 0xFFFF_FFFE;

/// An object that is about to be announced.
pub(super) struct Announcement<'a> {
    pub(super) place: Parent,
    pub(super) format: FormatCode,
    pub(super) name: &'a str,
    /// What the user sees of what refers to other objects.
    pub(super) title: Option<&'a str>,
    pub(super) size: u64,
    /// `None` for what has no date of ours.
    pub(super) modified_ns: Option<i64>,
}

/// Why an announcement failed.
pub(super) struct Unmade {
    pub(super) why: Fail,
    /// The device may have made the object all the same.
    pub(super) unsettled: bool,
}

impl Session {
    fn unmade(&self, error: &Error, path: &DevicePath) -> Unmade {
        Unmade { why: refused(error, path), unsettled: self.is_unsettled(error) }
    }

    /// Announces an object, and returns its handle. When nobody knows whether the device made it, what is at its place,
    /// where nothing was before, is deleted.
    pub(super) async fn announced(
        &mut self,
        what: &Announcement<'_>,
        path: &DevicePath,
        at: &str,
    ) -> Result<ObjectHandle, Fail> {
        loop {
            let by_list = !self.lists_refused;
            let Unmade { why, unsettled } = match self.announce(what, path).await {
                Ok(handle) if self.tree.knows(handle) => {
                    // that is another object's: nothing may be done to it
                    return Err(PlayerError::VerifyFailed(path.as_str().to_owned()).into());
                }
                Ok(handle) => return Ok(handle),
                Err(unmade) => unmade,
            };
            if !unsettled {
                return Err(why);
            }
            self.ready_again().await?;
            self.tree.forget_folder(parent(at));
            let made = self.find(at).await?.filter(|made| !made.is_folder && made.facts.size <= what.size);
            if let Some(made) = made {
                self.delete_object(made.handle).await?;
                self.tree.take(at);
            }
            // a refusal of lists that gives no reason: there is another way
            if !(by_list && self.lists_refused) {
                return Err(why);
            }
        }
    }

    /// Announces an object, with its properties where the device takes them, and returns its handle.
    pub(super) async fn announce(
        &mut self,
        what: &Announcement<'_>,
        path: &DevicePath,
    ) -> Result<ObjectHandle, Unmade> {
        let knows_info = self.initiator.supports(OperationCode::SEND_OBJECT_INFO);
        let says_more = what.size > MOST_IN_INFO || what.title.is_some();
        let lists = self.initiator.supports(OperationCode::SEND_OBJECT_PROP_LIST)
            && !self.traits.no_send_property_list
            && !self.lists_refused
            && says_more;
        if (lists || !knows_info)
            && let Some(handle) = self.announce_list(what, path, knows_info).await?
        {
            return Ok(handle);
        }
        let mut info = ObjectInfo::new(what.format, what.size, what.name);
        if let Some(modified_ns) = what.modified_ns {
            info.modified = times::to_text(modified_ns);
            info.created.clone_from(&info.modified);
        }
        let mut attempt = 0;
        loop {
            match self.initiator.send_object_info(self.storage, what.place, &info).await {
                Ok(created) => return Ok(created.handle),
                Err(error) if was_too_busy(&error, &mut attempt).await => {}
                Err(error) => return Err(self.unmade(&error, path)),
            }
        }
    }

    /// By a property list; `None` where the device refuses that and there is another way.
    async fn announce_list(
        &mut self,
        what: &Announcement<'_>,
        path: &DevicePath,
        knows_info: bool,
    ) -> Result<Option<ObjectHandle>, Unmade> {
        let elements = self.elements(what).await.map_err(|why| Unmade { why, unsettled: false })?;
        let mut attempt = 0;
        loop {
            let (place, format, size) = (what.place, what.format, what.size);
            let sent = self.initiator.send_object_property_list(self.storage, place, format, size, &elements);
            match sent.await {
                Ok(created) => return Ok(Some(created.handle)),
                Err(error) if was_too_busy(&error, &mut attempt).await => {}
                Err(error) if !knows_info || is_final(&error) => return Err(self.unmade(&error, path)),
                Err(error) if self.is_unsettled(&error) => {
                    self.lists_refused = true;
                    return Err(self.unmade(&error, path));
                }
                Err(error) => {
                    tracing::debug!(
                        "a property list was not taken, the object is announced without: {error}"
                    );
                    self.lists_refused = true;
                    return Ok(None);
                }
            }
        }
    }

    /// The properties that go with an announcement. No date is among them: some devices then tell another one by
    /// ObjectInfo than by their property lists.
    async fn elements(&mut self, what: &Announcement<'_>) -> Result<Vec<PropertyElement>, Fail> {
        let ability = self.ability(what.format).await?;
        let mut elements = vec![PropertyElement::of_new(Property::OBJECT_FILE_NAME, Value::from(what.name))];
        if let Some(title) = what.title.filter(|_| ability.properties.contains(&Property::NAME)) {
            elements.push(PropertyElement::of_new(Property::NAME, Value::from(title)));
        }
        Ok(elements)
    }
}

/// What a refusal means; some can only mean the name.
fn refused(error: &Error, path: &DevicePath) -> Fail {
    let of_name = [
        ResponseCode::INVALID_PARAMETER,
        ResponseCode::INVALID_DATASET,
        ResponseCode::INVALID_OBJECT_PROP_VALUE,
    ];
    match error.code() {
        Some(code) if of_name.contains(&code) => PlayerError::NameRejected(path.name().to_owned()).into(),
        _ => failed("announcing a file", error),
    }
}

/// Whether another way of announcing would fail alike.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Refused { code, .. } => matches!(
            *code,
            ResponseCode::STORE_FULL
                | ResponseCode::STORE_READ_ONLY
                | ResponseCode::INVALID_PARENT_OBJECT
                | ResponseCode::DEVICE_BUSY
                | ResponseCode::INVALID_OBJECT_HANDLE
                | ResponseCode::OBJECT_TOO_LARGE
        ),
        _ => true,
    }
}
