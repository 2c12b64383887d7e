//! The engine's face: what the bus surface and the tests call. It hands every request to the task that owns the
//! matter, and never touches a device itself.

use crate::blocking::blocking;
use crate::ledger::{self, Ledger};
use crate::manager::Manager;
use crate::parts::{Inputs, Parts};
use crate::preview::PreviewItem;
use crate::registry::Registry;
use crate::run::interrupted::{interrupted, result_of};
use crate::session::assign_default_set;
use crate::session::handle::{Command, SessionHandle};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tandem_model::device::{Status, SyncState};
use tandem_model::error::{RequestError, StoreError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, MediaUri, PartnershipIndex, PlaylistId, Uid};
use tandem_model::library::Library;
use tandem_model::manifest::{EntryState, ItemResult, Origin};
use tandem_model::media::PlaylistEdit;
use tandem_model::partnership::PastRun;
use tandem_model::snapshot::Snapshot;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::warn;

/// Announcements that wait for their listener, at most; then the sessions wait too.
const EVENTS: usize = 256;

/// A setting of a device; WMP's settable attributes and the contract's writable properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The user's name for the device.
    FriendlyName(String),
    /// 0 to 95; needs a partnership.
    PercentSpaceReserved(u32),
    /// Needs a partnership.
    SyncOnConnect(bool),
    /// `true` assigns the default set anew; needs a partnership.
    AutoSyncDefaultRules(bool),
    /// Whether what is copied is read back and compared; `false` also forgets that the device once held something else
    /// than was sent. Needs a partnership.
    Verify(bool),
    /// For the next run; needs a partnership.
    SyncFilter(String),
    /// While the daemon runs; needs a partnership.
    BackgroundSyncState(u8),
    /// The next run copies skipped files again; needs a partnership.
    IncludeSkippedFiles,
    /// The next run may delete what the guard stopped; needs a partnership.
    AllowMassDeletion(bool),
}

/// A handle to the engine; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    parts: Arc<Parts>,
    ledger: Arc<Ledger>,
    registry: Arc<Registry>,
}

/// An engine that has been started.
pub struct Started {
    /// The way to it.
    pub engine: Engine,
    /// What it announces. It must be read: an engine that isn't heard waits.
    pub events: mpsc::Receiver<EngineEvent>,
    /// Ends when the engine was stopped and every run has ended.
    pub task: JoinHandle<()>,
}

impl Engine {
    /// Starts an engine: reads what was kept, and makes a session for each partnered device.
    ///
    /// # Errors
    /// When the record of partnerships can't be read.
    pub async fn start(parts: Parts, inputs: Inputs) -> Result<Started, StoreError> {
        let parts = Arc::new(parts);
        let (sender, events) = mpsc::channel(EVENTS);
        let ledger = Arc::new(Ledger::load(&parts, sender.clone()).await?);
        let ended = ledger.current().ended.clone();
        let unsettled: Vec<_> =
            ledger.current().devices.iter().flat_map(|known| known.unsettled.clone()).collect();
        for removed in
            [ledger.remove_manifests(&parts, &ended).await, ledger.remove_settled(&parts, &unsettled).await]
        {
            if let Err(error) = removed {
                tracing::warn!("the manifests of ended partnerships could not be removed: {error}");
            }
        }
        let registry = Arc::new(Registry::default());
        let engine =
            Self { parts: Arc::clone(&parts), ledger: Arc::clone(&ledger), registry: Arc::clone(&registry) };
        let manager = Manager::new(parts, ledger, registry, sender, inputs);
        let task = tokio::spawn(manager.work());
        Ok(Started { engine, events, task })
    }

    /// All known devices, in a stable order.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.registry.snapshots()
    }

    /// Whether a run goes on on any device, as it changes.
    #[must_use]
    pub fn busy(&self) -> watch::Receiver<bool> {
        self.registry.busy()
    }

    /// One device. Cheap: no task is asked.
    #[must_use]
    pub fn snapshot(&self, device: &DeviceId) -> Option<Arc<Snapshot>> {
        self.registry.snapshot(device)
    }

    /// Whose partnership is recorded for a device, whatever mark the device that is there carries.
    #[must_use]
    pub fn owner(&self, device: &DeviceId) -> Option<Uid> {
        self.ledger.partnership(device).map(|partnership| partnership.owner)
    }

    fn session(&self, device: &DeviceId) -> Result<SessionHandle, RequestError> {
        self.registry
            .session(device)
            .ok_or_else(|| RequestError::NotFound(format!("no device `{device}` is known")))
    }

    /// Accepts a new partnership with `owner`'s library; `CreatePartnershipComplete` tells the end. One that exists
    /// already with that library is no error and has no event. The caller has been authorised.
    ///
    /// # Errors
    /// `NotConnected`, `Initializing`, `ManualDevice`, `SyncInProgress`, `PartnershipLimit`.
    pub async fn create_partnership(
        &self,
        device: &DeviceId,
        owner: Uid,
        playlists: Option<Vec<PlaylistId>>,
    ) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::CreatePartnership { owner, playlists, reply }).await
    }

    /// Ends the device's partnership on this computer, whoever's it is; nothing to end is no error. The caller has
    /// been authorised. With `remove_content` it returns at once. `DeletePartnershipComplete` tells the end.
    ///
    /// # Errors
    /// `PartnershipNotExist` when the partnership is with another computer; `ManualDevice`.
    pub async fn delete_partnership(
        &self,
        device: &DeviceId,
        remove_content: bool,
    ) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::DeletePartnership { remove_content, reply }).await
    }

    /// Starts a run. One that goes on plans again before it ends, so that what is there now is on the device then.
    ///
    /// # Errors
    /// `NotConnected`, `Initializing`, `PartnershipNotExist`.
    pub async fn start_sync(&self, device: &DeviceId) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::Start { reply }).await
    }

    /// Asks a run to end at its next safe point; none is no error.
    ///
    /// # Errors
    /// `NotFound` for an unknown device.
    pub async fn stop_sync(&self, device: &DeviceId) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::Stop { reply }).await
    }

    /// Stops, flushes and lets go of the device; `SafeToRemove` turns true at the end.
    ///
    /// # Errors
    /// `NotConnected`, `Initializing`.
    pub async fn eject(&self, device: &DeviceId) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::Eject { reply }).await
    }

    /// Announces that a client wants the device's settings shown.
    ///
    /// # Errors
    /// `NotConnected`, `PartnershipNotExist`, `ManualDevice`.
    pub async fn show_settings(&self, device: &DeviceId) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::ShowSettings { reply }).await
    }

    /// Changes a setting. On return it is kept.
    ///
    /// # Errors
    /// `InvalidArgument` names the value; `PartnershipNotExist` where the setting needs one.
    pub async fn set(&self, device: &DeviceId, setting: Setting) -> Result<(), RequestError> {
        let assigns_anew = setting == Setting::AutoSyncDefaultRules(true);
        self.session(device)?.ask(|reply| Command::Set { setting, reply }).await?;
        if assigns_anew && let Err(error) = self.assign_default_set(device).await {
            warn!("the default playlists are assigned when the next run begins: {error}");
        }
        Ok(())
    }

    async fn assign_default_set(&self, device: &DeviceId) -> Result<(), RequestError> {
        let Some(partnership) = self.ledger.partnership(device) else { return Ok(()) };
        let library = self.library(partnership.owner).await?;
        assign_default_set(&self.ledger, &*library, device).await
    }

    /// Begins an estimate; `EstimationComplete` tells the end. An estimate in progress is cancelled.
    ///
    /// # Errors
    /// `InvalidArgument` without any playlist; `SyncInProgress`.
    pub async fn estimate(
        &self,
        device: &DeviceId,
        non_rule: Option<PlaylistId>,
        rules: Option<PlaylistId>,
    ) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::Estimate { non_rule, rules, reply }).await
    }

    /// Cancels an estimate; none is no error.
    ///
    /// # Errors
    /// `NotFound` for an unknown device.
    pub async fn cancel_estimation(&self, device: &DeviceId) -> Result<(), RequestError> {
        self.session(device)?.ask(|reply| Command::CancelEstimation { reply }).await
    }

    /// What a run would do now.
    ///
    /// # Errors
    /// `NotConnected`, `PartnershipNotExist`, `SyncInProgress`, or why it can't be told.
    pub async fn preview(&self, device: &DeviceId) -> Result<Vec<PreviewItem>, RequestError> {
        self.session(device)?.ask(|reply| Command::Preview { reply }).await
    }

    /// What became of each item in the last run: those that did not come out, then those that are on the device.
    /// Empty without a partnership.
    ///
    /// # Errors
    /// When the record can't be read.
    pub async fn results(&self, device: &DeviceId) -> Result<Vec<ItemResult>, RequestError> {
        let Some(partnership) = self.ledger.partnership(device) else { return Ok(Vec::new()) };
        let manifests = Arc::clone(&self.parts.manifests);
        let runs = self.is_synchronizing(device);
        let read = blocking(manifests.may_block(), move || {
            let manifest = manifests.open(partnership.relationship)?;
            let open = if runs { None } else { manifest.open_run()? };
            let mut results = match interrupted(open, &partnership.history) {
                Some(cut) => vec![result_of(&cut)],
                None => manifest.results()?,
            };
            manifest.each_entry(&mut |entry| {
                if let (EntryState::Present | EntryState::Foreign, Origin::Track(uri)) =
                    (entry.state, entry.origin)
                {
                    results.push(ItemResult { media: uri.to_string(), error: None, message: String::new() });
                }
            })?;
            Ok(results)
        });
        Ok(read.await?)
    }

    /// The last runs, the newest first; none without a partnership. One that was cut since the last is among them.
    pub async fn history(&self, device: &DeviceId) -> Vec<PastRun> {
        let Some(mut partnership) = self.ledger.partnership(device) else { return Vec::new() };
        if !self.is_synchronizing(device) {
            let (manifests, relationship) = (Arc::clone(&self.parts.manifests), partnership.relationship);
            match blocking(manifests.may_block(), move || manifests.open(relationship)?.open_run()).await {
                Ok(open) => {
                    interrupted(open, &partnership.history)
                        .into_iter()
                        .for_each(|cut| partnership.remember(cut));
                }
                Err(error) => warn!("whether the last run was cut can't be told: {error}"),
            }
        }
        partnership.history.reverse();
        partnership.history
    }

    fn is_synchronizing(&self, device: &DeviceId) -> bool {
        self.snapshot(device).is_some_and(|snapshot| snapshot.sync_state == SyncState::Synchronizing)
    }

    /// Manual transfer: adds media that are not in it yet to the device's transfer playlist, assigns it, and starts a
    /// run if the device is there. What the user deleted or changed on the device before is copied all the same.
    ///
    /// # Errors
    /// `ManualDevice`, `PartnershipNotExist`, or why the library doesn't take it.
    pub async fn transfer(&self, device: &DeviceId, media: Vec<MediaUri>) -> Result<(), RequestError> {
        let snapshot = self
            .snapshot(device)
            .ok_or_else(|| RequestError::NotFound(format!("no device `{device}` is known")))?;
        if snapshot.status == Status::ManualDevice {
            return Err(snapshot.manual_device());
        }
        let Some(partnership) = self.ledger.partnership(device) else {
            let text =
                format!("{} has no partnership with this computer; create one first", snapshot.friendly_name);
            return Err(RequestError::PartnershipNotExist(text));
        };
        let library = self.library(partnership.owner).await?;
        for item in &media {
            library.media_info(item.clone()).await?;
        }
        let playlist = library.transfer_playlist(device.clone(), snapshot.friendly_name.clone()).await?;
        let there = library.playlist_items(playlist.id.clone(), 0, 0).await?;
        let mut seen: HashSet<&MediaUri> = there.iter().collect();
        let new: Vec<MediaUri> = media.iter().filter(|item| seen.insert(item)).cloned().collect();
        if !new.is_empty() {
            library.edit_playlist(playlist.id.clone(), PlaylistEdit::Append(new)).await?;
        }
        if !partnership.assignments.iter().any(|assignment| assignment.playlist == playlist.id) {
            self.assign(partnership.owner, partnership.index, playlist.id, 1).await?;
        }
        self.session(device)?.ask(|reply| Command::TakeByHand { media, reply }).await?;
        if snapshot.connected { self.start_sync(device).await } else { Ok(()) }
    }

    /// A user's library; its agent runs while the returned value is held.
    ///
    /// # Errors
    /// `Failed` when the agent can't be started.
    pub async fn library(&self, owner: Uid) -> Result<Arc<dyn Library>, RequestError> {
        Ok(self.parts.libraries.open(owner).await?)
    }

    /// To which of the owner's partnerships a playlist is assigned, and with what priority.
    #[must_use]
    pub fn assignments(&self, owner: Uid, playlist: &PlaylistId) -> BTreeMap<PartnershipIndex, u32> {
        let record = self.ledger.current();
        let own = record.partnerships.iter().filter(|partnership| partnership.owner == owner);
        own.filter_map(|partnership| {
            let assigned =
                partnership.assignments.iter().find(|assignment| assignment.playlist == *playlist)?;
            Some((partnership.index, assigned.priority))
        })
        .collect()
    }

    /// Assigns a playlist to the owner's partnership with that index; priority 0 ends the assignment.
    ///
    /// # Errors
    /// `PartnershipNotExist` without such a partnership.
    pub async fn assign(
        &self,
        owner: Uid,
        index: PartnershipIndex,
        playlist: PlaylistId,
        priority: u32,
    ) -> Result<(), RequestError> {
        let change = move |record: &mut _| ledger::set_assignment(record, owner, index, playlist, priority);
        let device = self.ledger.change(change).await?;
        self.assignments_changed([device]).await;
        Ok(())
    }

    /// Ends all assignments of a playlist that was deleted.
    ///
    /// # Errors
    /// When that can't be kept.
    pub async fn forget_playlist(&self, owner: Uid, playlist: &PlaylistId) -> Result<(), RequestError> {
        let playlist = playlist.clone();
        let devices =
            self.ledger.change(move |record| Ok(ledger::forget_playlist(record, owner, &playlist))).await?;
        self.assignments_changed(devices).await;
        Ok(())
    }

    /// Has the sessions of these devices show it and consider a run.
    async fn assignments_changed(&self, devices: impl IntoIterator<Item = DeviceId>) {
        for device in devices {
            if let Ok(session) = self.session(&device)
                && session.ask(|reply| Command::AssignmentsChanged { reply }).await.is_err()
            {
                tracing::debug!(id = %device, "the session has ended");
            }
        }
    }

    /// WMP's SyncState of a media item in this owner's library: two bits for each partnership, device 1 lowest; the
    /// high one: on the device; the low one alone: it did not fit.
    ///
    /// # Errors
    /// When a record can't be read.
    pub async fn media_sync_state(&self, owner: Uid, media: &MediaUri) -> Result<u32, RequestError> {
        let record = self.ledger.current();
        let manifests = Arc::clone(&self.parts.manifests);
        let media = media.clone();
        let read = blocking(manifests.may_block(), move || {
            let mut bits = 0;
            for partnership in record.partnerships.iter().filter(|partnership| partnership.owner == owner) {
                let (present, no_fit) = manifests.open(partnership.relationship)?.media_state(&media)?;
                let pair = if present { 0b10 } else { u32::from(no_fit) };
                bits |= pair << (2 * (partnership.index.get() - 1));
            }
            Ok(bits)
        });
        Ok(read.await?)
    }
}
