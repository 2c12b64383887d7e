//! What clients and the manager ask of a session: checked against the table of requests, then handed to the machine
//! or put in line. Nothing here waits for the device.

use super::waiting::{Waiting, answer};
use super::{EstimateRequest, Session};
use crate::engine::Setting;
use crate::ledger::{Creation, create};
use crate::session::handle::{Command, Reply};
use crate::session::jobs;
use crate::session::machine::{Event, Phase};
use crate::session::requests::Request;
use crate::session::retries::Retries;
use crate::session::{settings, view};
use tandem_model::device::{Status, SyncState};
use tandem_model::error::RequestError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId, Uid};
use tandem_model::partnership::Partnerships;
use tandem_model::presence::Arrival;

impl Session {
    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::Arrived(arrival) => self.arrived(arrival).await,
            Command::Departed { reply } => {
                self.departed().await;
                // one whose partnership is still being made stays known until that has ended
                answer(reply, Ok(self.partnership().is_some() || self.is_creating()));
            }
            Command::CreatePartnership { owner, playlists, reply } => {
                let accepted = self.create_partnership(owner, playlists).await;
                answer(reply, accepted);
            }
            Command::DeletePartnership { remove_content, reply } => {
                self.delete_partnership(remove_content, reply).await;
            }
            Command::Start { reply } => {
                let admitted = self.admit(Request::Start);
                let is_admitted = admitted.is_ok();
                answer(reply, admitted);
                if is_admitted {
                    self.ejected = false;
                    self.run_again = self.state.phase == Phase::Synchronizing;
                    self.happen(Event::RunWanted).await;
                }
            }
            Command::Stop { reply } => {
                let admitted = self.admit(Request::Stop);
                if admitted.is_ok() {
                    (self.settle_at, self.retry_at) = (None, None);
                    self.run_again = false;
                    self.give_up_creations().await;
                    self.happen(Event::StopWanted).await;
                }
                answer(reply, admitted);
            }
            Command::Eject { reply } => {
                let admitted = self.admit(Request::Eject);
                if admitted.is_ok() {
                    (self.settle_at, self.retry_at) = (None, None);
                    self.happen(Event::StopWanted).await;
                    self.happen(Event::CancelEstimation).await;
                    self.give_up_preview();
                    self.wait(Waiting::Eject);
                    // one that is kept open for a run was written nothing to
                    let is_safe = self.publisher.snapshot().safe_to_remove || self.opened.is_some();
                    self.ejecting.get_or_insert(is_safe);
                    self.publisher.update(|snapshot| snapshot.safe_to_remove = false).await;
                }
                answer(reply, admitted);
            }
            Command::ShowSettings { reply } => {
                let admitted = self.admit(Request::ShowSettings);
                if admitted.is_ok() {
                    self.publisher.announce(EngineEvent::SettingsRequested(self.device.clone())).await;
                }
                answer(reply, admitted);
            }
            Command::Set { setting, reply } => {
                let set = self.set(setting).await;
                answer(reply, set);
            }
            Command::Estimate { non_rule, rules, reply } => {
                let accepted = self.estimate(EstimateRequest { non_rule, rules }).await;
                answer(reply, accepted);
            }
            Command::CancelEstimation { reply } => {
                let admitted = self.admit(Request::CancelEstimation);
                if admitted.is_ok() {
                    self.forget_next_estimate().await;
                    self.happen(Event::CancelEstimation).await;
                }
                answer(reply, admitted);
            }
            Command::Preview { reply } => match self.admit(Request::Preview) {
                Ok(()) => self.wait(Waiting::Preview { replies: vec![reply] }),
                Err(refusal) => answer(reply, Err(refusal)),
            },
            Command::TakeByHand { media, reply } => {
                let admitted = self.admit(Request::ChangeSetting);
                if admitted.is_ok() {
                    self.passing.by_hand.extend(media);
                }
                answer(reply, admitted);
            }
            Command::AssignmentsChanged { reply } => {
                self.show_record().await;
                self.schedule();
                answer(reply, Ok(()));
            }
            Command::ProvidersChanged => self.look_again = self.state.phase != Phase::Absent,
        }
    }

    async fn arrived(&mut self, arrival: Arrival) {
        self.arrival = Some(arrival);
        (self.looked, self.ejected, self.ejecting) = (false, false, None);
        self.retries = Retries::default();
        self.happen(Event::Arrived).await;
    }

    async fn departed(&mut self) {
        let was_connected = self.publisher.snapshot().connected;
        self.happen(Event::Departed).await;
        self.arrival = None;
        self.held = None;
        (self.settle_at, self.retry_at) = (None, None);
        self.look_again = false;
        (self.fingerprint, self.ejecting) = (None, None);
        self.forget_next_estimate().await;
        self.give_up_waiting().await;
        let (known, partnership) = (self.context.ledger.device(&self.device), self.partnership());
        let verify = self.context.parts.options.verify;
        let first = was_connected.then(|| EngineEvent::Disconnected(self.device.clone()));
        self.publisher
            .update_with(first, |snapshot| {
                snapshot.connected = false;
                snapshot.battery_level = None;
                if snapshot.status == Status::ManualDevice {
                    // that was so of this connection; its partnership can be ended now
                    (snapshot.status, snapshot.manual) = (Status::Unknown, None);
                }
                if snapshot.status == Status::PartnershipAnother && partnership.is_some() {
                    // a twin of the device was there; what is recorded holds of the one that is away
                    snapshot.status = Status::PartnershipExists;
                    view::show_record(snapshot, known.as_ref(), partnership.as_ref(), verify);
                }
                snapshot.sync_state = SyncState::Unknown;
                snapshot.current_item = None;
                snapshot.rate = 0;
                snapshot.expected_end = 0;
                snapshot.safe_to_remove = true;
            })
            .await;
    }

    async fn create_partnership(
        &mut self,
        owner: Uid,
        playlists: Option<Vec<PlaylistId>>,
    ) -> Result<(), RequestError> {
        let snapshot = self.publisher.snapshot();
        let ours = snapshot.status == Status::PartnershipExists
            && snapshot.partnership.is_some_and(|(_, uid)| uid == owner);
        match self.admit(Request::CreatePartnership) {
            Err(RequestError::SyncInProgress(_)) if ours => return Ok(()),
            admitted => admitted?,
        }
        if ours && self.looked {
            return Ok(());
        }
        let trial = Creation {
            device: self.device.clone(),
            owner,
            relationship: Guid::ZERO,
            playlists: Vec::new(),
            default_rules: false,
            now: 0,
            old_mark: None,
            makes_mark: false,
            connected: self.connected(),
        };
        create(&mut (*self.context.ledger.current()).clone(), trial)?;
        self.admit_to_line()?;
        self.ejected = false;
        self.wait(Waiting::Create { owner, playlists });
        if !self.looked {
            // the record alone doesn't know whose it is by now
            self.happen(Event::LookAgain).await;
        }
        Ok(())
    }

    /// All devices that are there.
    pub(super) fn connected(&self) -> Vec<DeviceId> {
        let snapshots = self.context.registry.snapshots();
        let connected = snapshots.iter().filter(|snapshot| snapshot.connected);
        connected.map(|snapshot| snapshot.description.id.clone()).collect()
    }

    pub(super) async fn delete_partnership(&mut self, remove: bool, reply: Reply<()>) {
        let admitted = self.admit(Request::DeletePartnership).and_then(|()| self.admit_to_line());
        if let Err(refusal) = admitted {
            return answer(reply, Err(refusal));
        }
        let is_creating = self.is_creating();
        self.give_up_creations().await;
        if is_creating {
            // it ends at once, made or not; then it is known what there is to end
            return self.after_creation.push((remove, reply));
        }
        let Some(partnership) = self.partnership() else {
            answer(reply, Ok(()));
            return self.announce_deleted(Ok(())).await;
        };
        (self.settle_at, self.retry_at) = (None, None);
        if remove && let Err(refusal) = self.wish_removal().await {
            return answer(reply, Err(refusal));
        }
        if self.state.phase == Phase::Absent {
            let ended = jobs::delete_absent(&self.context.parts, &self.context.ledger, &partnership).await;
            let forgotten = ended.is_ok();
            answer(reply, ended.clone());
            self.show_record().await;
            self.announce_deleted(ended).await;
            if forgotten {
                self.be_forgotten().await;
            }
            return;
        }
        self.happen(Event::StopWanted).await;
        self.happen(Event::CancelEstimation).await;
        self.give_up_preview();
        let reply = if remove {
            answer(reply, Ok(()));
            None
        } else {
            Some(reply)
        };
        self.wait(Waiting::Delete { partnership: Box::new(partnership), remove, reply });
    }

    /// Records that content is to be removed, so that it is even if the daemon ends before.
    async fn wish_removal(&mut self) -> Result<(), RequestError> {
        if self.state.phase == Phase::Absent {
            let name = &self.publisher.snapshot().friendly_name;
            return Err(RequestError::NotConnected(format!(
                "nothing was removed (the partnership can be ended now without removing anything), because {name}"
            )));
        }
        self.note_removal(true).await
    }

    /// Records whether content is still to be removed before the partnership ends.
    pub(super) async fn note_removal(&self, removing: bool) -> Result<(), RequestError> {
        let device = self.device.clone();
        let note = move |record: &mut Partnerships| {
            for partnership in
                record.partnerships.iter_mut().filter(|partnership| partnership.device == device)
            {
                partnership.removing = removing;
            }
            Ok(())
        };
        self.context.ledger.change(note).await
    }

    /// The device is away and has no partnership: it need not be known any more.
    pub(super) async fn be_forgotten(&self) {
        if self.context.forget.send(self.device.clone()).await.is_err() {
            tracing::debug!("the manager has ended");
        }
    }

    /// A device that could never be looked at has no record that would keep a name.
    fn admit_rename(&self) -> Result<(), RequestError> {
        self.admit(Request::Rename)?;
        if self.context.ledger.device(&self.device).is_some() {
            return Ok(());
        }
        let name = self.publisher.snapshot().friendly_name.clone();
        if self.state.phase == Phase::Initializing {
            return Err(RequestError::Initializing(name));
        }
        Err(RequestError::Failed(format!(
            "{name} can't be named before it was looked at, which has failed; unlock it and plug it in again"
        )))
    }

    async fn set(&mut self, setting: Setting) -> Result<(), RequestError> {
        settings::check(&setting)?;
        match setting {
            Setting::FriendlyName(_) => self.admit_rename()?,
            _ => self.admit(Request::ChangeSetting)?,
        }
        let device = self.device.clone();
        let recorded = setting.clone();
        let lasting = self
            .context
            .ledger
            .change(move |record| Ok(settings::record(record, &device, &recorded)))
            .await?;
        if !lasting {
            settings::pass(&mut self.passing, &setting);
        }
        let passing = self.passing.clone();
        self.publisher
            .update(|snapshot| {
                snapshot.sync_filter = passing.sync_filter;
                snapshot.background_sync_state = passing.background_sync_state;
            })
            .await;
        self.show_record().await;
        if settings::matters_to_content(&setting) {
            self.fingerprint = None;
            self.schedule();
        }
        if let Setting::FriendlyName(name) = setting
            && self.state.phase != Phase::Absent
        {
            self.wait(Waiting::Rename { name });
        }
        Ok(())
    }

    async fn estimate(&mut self, request: EstimateRequest) -> Result<(), RequestError> {
        self.admit(Request::Estimate)?;
        if request.non_rule.is_none() && request.rules.is_none() {
            return Err(RequestError::InvalidArgument(
                "name at least one playlist to estimate; both are `/`".to_owned(),
            ));
        }
        if self.state.phase == Phase::Estimating || self.state.job {
            self.forget_next_estimate().await;
            self.next_estimate = Some(request);
            self.happen(Event::CancelEstimation).await;
        } else {
            self.estimate = request;
            self.happen(Event::EstimateWanted).await;
        }
        Ok(())
    }

    /// Shows what is recorded of the device and its partnership.
    pub(super) async fn show_record(&mut self) {
        let known = self.context.ledger.device(&self.device);
        let partnership = self.partnership();
        let verify = self.context.parts.options.verify;
        self.publisher
            .update(|snapshot| {
                let shown = view::shown(snapshot.status, partnership.as_ref());
                view::show_record(snapshot, known.as_ref(), shown, verify);
                if partnership.is_none() && snapshot.status == Status::PartnershipExists {
                    snapshot.status = view::status(known.as_ref(), None, None);
                }
            })
            .await;
    }
}
