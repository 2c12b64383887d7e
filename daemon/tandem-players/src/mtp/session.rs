//! An open session with a player: the initiator, what the player is like, and what is known of its objects.
//!
//! It must not outlive its connection: handles mean nothing in the next one.

use super::battery::{Battery, LEVEL};
use super::error::{Fail, failed};
use super::families::Traits;
use super::tree::Tree;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_mtp::codec::property::ObjectPropertyDescription;
use tandem_mtp::codec::storage_info::StorageInfo;
use tandem_mtp::codes::{
    EventCode, FormatCode, ObjectHandle, ObjectPropertyCode, OperationCode, ResponseCode, StorageId,
};
use tandem_mtp::initiator::{Error, ErrorKind, Initiator};
use tokio::sync::{Mutex, MutexGuard};

/// How often a busy device is asked again, with pauses that double from the first.
const BUSY_TRIES: u32 = 6;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Asks again what the device was too busy for, or what went wrong on the way, within bounds.
macro_rules! ask {
    ($session:expr, $doing:expr, $call:expr) => {{
        let mut attempt = 0;
        loop {
            match $call.await {
                Ok(answer) => break Ok(answer),
                Err(error) => {
                    if !$crate::mtp::session::may_ask_again(&error, &mut attempt).await {
                        break Err($crate::mtp::error::failed($doing, &error));
                    }
                }
            }
        }
    }};
}
pub(crate) use ask;

/// Whether to ask again, after a pause where the device needs one.
pub(crate) async fn may_ask_again(error: &Error, attempt: &mut u32) -> bool {
    match error.kind() {
        ErrorKind::Retryable => {
            *attempt += 1;
            *attempt < 2
        }
        // what says nothing of the cause may be over
        ErrorKind::Refused if error.code() == Some(ResponseCode::GENERAL_ERROR) => {
            *attempt += 1;
            *attempt < 2
        }
        _ => was_too_busy(error, attempt).await,
    }
}

/// Whether the device was too busy and may be asked again, after a pause. What makes something is asked for again only
/// then: what went wrong on the way may have happened.
pub(crate) async fn was_too_busy(error: &Error, attempt: &mut u32) -> bool {
    *attempt += 1;
    let again = error.kind() == ErrorKind::Busy && *attempt < BUSY_TRIES;
    if again {
        tokio::time::sleep(BUSY_PAUSE * (1 << *attempt)).await;
    }
    again
}

/// What objects of a format can have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ability {
    /// Their properties.
    pub(crate) properties: Vec<ObjectPropertyCode>,
    /// Their name can be changed.
    pub(crate) rename: bool,
}

/// A session.
pub(crate) struct Session {
    pub(crate) initiator: Initiator,
    pub(crate) traits: Traits,
    /// The storage that is synchronised to.
    pub(crate) storage: StorageId,
    pub(crate) tree: Tree,
    abilities: HashMap<FormatCode, Arc<Ability>>,
    /// Properties of each format that say what tags say, and can be set.
    pub(crate) settable: HashMap<FormatCode, Vec<ObjectPropertyCode>>,
    /// Whether the date of objects of each format can be set, and is kept then.
    pub(crate) keeps_dates: HashMap<FormatCode, bool>,
    /// What can be told of an album's picture besides its bytes.
    pub(crate) told_of_covers: Vec<ObjectPropertyDescription>,
    /// Lists of all objects are of no use.
    pub(crate) no_survey: bool,
    /// They have told of all, and of mostly ours.
    pub(crate) surveyed: bool,
    /// SendObjectPropList was refused for what SendObjectInfo then did.
    pub(crate) lists_refused: bool,
    /// How often a session was opened: handles of one mean nothing in the next.
    pub(crate) number: u32,
    pub(crate) battery: Battery,
}

impl Session {
    /// A session that was opened.
    pub(crate) fn new(initiator: Initiator, traits: Traits, storage: StorageId) -> Self {
        Self {
            initiator,
            traits,
            storage,
            tree: Tree::default(),
            abilities: HashMap::new(),
            settable: HashMap::new(),
            keeps_dates: HashMap::new(),
            told_of_covers: Vec::new(),
            no_survey: false,
            surveyed: false,
            lists_refused: false,
            number: 0,
            battery: Battery::new(),
        }
    }

    /// What the device plays or keeps.
    pub(crate) fn formats(&self) -> &[FormatCode] {
        self.initiator.device().map_or(&[], |device| &device.playback_formats)
    }

    /// What objects of a format can have; nothing where the device doesn't say.
    pub(crate) async fn ability(&mut self, format: FormatCode) -> Result<Arc<Ability>, Fail> {
        if let Some(known) = self.abilities.get(&format) {
            return Ok(Arc::clone(known));
        }
        let ability = Arc::new(self.learn(format).await?);
        self.abilities.insert(format, Arc::clone(&ability));
        Ok(ability)
    }

    async fn learn(&mut self, format: FormatCode) -> Result<Ability, Fail> {
        let name = ObjectPropertyCode::OBJECT_FILE_NAME;
        let needed = [OperationCode::GET_OBJECT_PROPS_SUPPORTED, OperationCode::GET_OBJECT_PROP_DESC];
        if !needed.into_iter().all(|operation| self.initiator.supports(operation)) {
            return Ok(Ability::default());
        }
        let asked = ask!(self, "asking for properties", self.initiator.object_properties_supported(format));
        let properties = self.unless_lost(asked)?.unwrap_or_default();
        let settable = self.initiator.supports(OperationCode::SET_OBJECT_PROP_VALUE);
        if !settable || self.traits.cannot_rename || !properties.contains(&name) {
            return Ok(Ability { properties, rename: false });
        }
        let asked =
            ask!(self, "asking for a property", self.initiator.object_property_description(name, format));
        let rename = self.unless_lost(asked)?.is_some_and(|description| description.writable);
        Ok(Ability { properties, rename })
    }

    /// What the device answered, `None` where it refused; an error where the device or the session is gone.
    pub(crate) fn unless_lost<T>(&self, answer: Result<T, Fail>) -> Result<Option<T>, Fail> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if self.initiator.is_gone() || !self.initiator.has_session() => Err(error),
            Err(Fail::Player(error @ (PlayerError::Removed | PlayerError::TimedOut(_)))) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Makes the session fit for what comes next. What the device says that has changed is looked at first.
    pub(crate) async fn begin(&mut self) -> Result<(), Fail> {
        self.ready().await?;
        if self.look_at_battery().await {
            self.ready().await?;
        }
        Ok(())
    }

    /// Makes the session fit to be used: repairs what was left, opens it again where the device has forgotten it, and
    /// forgets what others changed meanwhile.
    pub(crate) async fn ready(&mut self) -> Result<(), Fail> {
        if self.initiator.is_gone() {
            return Err(PlayerError::Removed.into());
        }
        self.initiator.repair().await.map_err(|error| failed("going on after an interruption", &error))?;
        if !self.initiator.has_session() {
            self.tree.forget();
            self.initiator.open_session().await.map_err(|error| failed("opening a session", &error))?;
            self.number += 1;
        }
        while let Some(event) = self.initiator.take_event() {
            let handle = ObjectHandle(event.parameters.get(0));
            match event.code {
                EventCode::OBJECT_ADDED if !self.tree.knows(handle) => self.tree.forget(),
                EventCode::OBJECT_REMOVED if self.tree.knows(handle) => self.tree.forget(),
                EventCode::DEVICE_PROP_CHANGED if event.parameters.get(0) == u32::from(LEVEL.0) => {
                    self.battery.changed = true;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether nobody knows what became of what was asked: anything but a refusal that says why.
    pub(crate) fn is_unsettled(&self, error: &Error) -> bool {
        let refused = error.kind() == ErrorKind::Refused && error.code() != Some(ResponseCode::GENERAL_ERROR);
        let busy = error.kind() == ErrorKind::Busy;
        !refused && !busy && !self.initiator.is_gone()
    }

    /// Makes the session fit to be used, also where it only now proves lost.
    pub(crate) async fn ready_again(&mut self) -> Result<(), Fail> {
        match self.ready().await {
            Err(Fail::Stale(_)) => self.ready().await,
            other => other,
        }
    }

    /// Deletes an object. What is gone afterwards is deleted, whatever the device answered.
    pub(crate) async fn delete_object(&mut self, handle: ObjectHandle) -> Result<(), Fail> {
        let session = self.number;
        let deleted = ask!(self, "deleting a file", self.initiator.delete_object(handle));
        let Err(error) = deleted else { return Ok(()) };
        if self.initiator.is_gone() || !self.initiator.has_session() {
            return Err(error);
        }
        self.ready().await?;
        if self.number == session && self.look(handle).await?.is_none() { Ok(()) } else { Err(error) }
    }

    /// Kind and space of the storage.
    pub(crate) async fn storage_info(&mut self) -> Result<StorageInfo, Fail> {
        ask!(self, "asking for the storage's space", self.initiator.storage_info(self.storage))
    }
}

/// The session as player, storage and objects share it; one call at a time has it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Option<Session>>>);

impl Shared {
    /// Shares a session.
    pub(crate) fn new(session: Session) -> Self {
        Self(Arc::new(Mutex::new(Some(session))))
    }

    /// The session, until the guard is dropped; `None` after closing.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        self.0.lock().await
    }
}

/// What is told of a player that was closed.
pub(crate) fn closed() -> PlayerError {
    PlayerError::Other("the player is closed; open it again".to_owned())
}

/// Does something with the session, and once more when what was known of the device turned out to be stale.
macro_rules! with_session {
    ($shared:expr, $session:ident => $work:expr) => {{
        let mut guard = $shared.lock().await;
        let mut again = true;
        loop {
            let $session = guard.as_mut().ok_or_else($crate::mtp::session::closed)?;
            let done: Result<_, $crate::mtp::error::Fail> = match $session.begin().await {
                Ok(()) => $work.await,
                Err(error) => Err(error),
            };
            match done {
                Err($crate::mtp::error::Fail::Stale(_)) if again => {
                    again = false;
                    $session.tree.forget();
                }
                done => break done.map_err($crate::mtp::error::Fail::told),
            }
        }
    }};
}
pub(crate) use with_session;
