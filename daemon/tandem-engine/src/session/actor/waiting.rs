//! Jobs that wait until nothing holds the device.

use super::{Done, GivingWay, Session};
use crate::preview::PreviewItem;
use crate::run::cancel::unless_cancelled;
use crate::session::handle::Reply;
use crate::session::jobs::{self, Bench};
use crate::session::machine::{Event, Phase};
use crate::session::run_job::run_input;
use crate::session::settings::Passing;
use std::collections::VecDeque;
use std::sync::Arc;
use tandem_model::device::Status;
use tandem_model::error::{PlayerError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{PlaylistId, Uid};
use tandem_model::partnership::Partnership;
use tandem_model::player::{Close, Transfer};

/// Jobs that wait, at most.
const MOST_WAITING: usize = 32;

/// A job that waits.
pub(super) enum Waiting {
    Create { owner: Uid, playlists: Option<Vec<PlaylistId>> },
    Delete { partnership: Box<Partnership>, remove: bool, reply: Option<Reply<()>> },
    Preview { replies: Vec<Reply<Vec<PreviewItem>>> },
    Rename { name: String },
    Eject,
}

impl Session {
    /// Puts a job in line, previews last. What one job can do for two requests is in line once.
    pub(super) fn wait(&mut self, job: Waiting) {
        let preview = self.waiting.iter().position(|waiting| matches!(waiting, Waiting::Preview { .. }));
        let end = preview.unwrap_or(self.waiting.len());
        match job {
            Waiting::Preview { replies } => match self.waiting.get_mut(end) {
                Some(Waiting::Preview { replies: same }) => same.extend(replies),
                _ => self.waiting.push_back(Waiting::Preview { replies }),
            },
            Waiting::Eject if end > 0 && matches!(self.waiting.get(end - 1), Some(Waiting::Eject)) => {}
            Waiting::Rename { name } => {
                let same = self.waiting.iter_mut().find_map(|waiting| match waiting {
                    Waiting::Rename { name } => Some(name),
                    _ => None,
                });
                match same {
                    Some(same) => *same = name,
                    None => self.waiting.insert(end, Waiting::Rename { name }),
                }
            }
            job => self.waiting.insert(end, job),
        }
    }

    /// Refuses what can't be done for several requests at once when too much of it is in line.
    pub(super) fn admit_to_line(&self) -> Result<(), RequestError> {
        if self.waiting.len() < MOST_WAITING {
            return Ok(());
        }
        Err(RequestError::Failed(format!(
            "{} has {MOST_WAITING} requests in line already; try again when they are done",
            self.publisher.snapshot().friendly_name
        )))
    }

    /// Ends a preview that holds the device: the user wants something done with it.
    pub(super) fn give_up_preview(&self) {
        if self.giving_way == Some(GivingWay::Preview) {
            self.cancel.cancel();
        }
    }

    /// Whether a partnership is being made.
    pub(super) fn is_creating(&self) -> bool {
        self.state.job && self.giving_way == Some(GivingWay::Creation)
    }

    /// Ends the making of partnerships: that in progress while its library is asked, and those in line.
    pub(super) async fn give_up_creations(&mut self) {
        if self.is_creating() {
            self.cancel.cancel();
        }
        let (creations, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| matches!(waiting, Waiting::Create { .. }));
        self.waiting = others;
        for _ in creations {
            let result = Err(RequestError::Failed("the partnership was not made: it was stopped".to_owned()));
            let device = self.device.clone();
            self.publisher.announce(EngineEvent::CreatePartnershipComplete { device, result }).await;
        }
    }

    /// Tells how an accepted `DeletePartnership` ended.
    pub(super) async fn announce_deleted(&self, result: Result<(), RequestError>) {
        let device = self.device.clone();
        self.publisher.announce(EngineEvent::DeletePartnershipComplete { device, result }).await;
    }

    /// Starts what waits, if nothing holds the device.
    pub(super) async fn start_waiting(&mut self) {
        if self.state.job || self.state.phase != Phase::Stopped {
            return;
        }
        let Some(waiting) = self.next_waiting().await else { return };
        self.happen(Event::JobStarted).await;
        let giving_way = match waiting {
            Waiting::Preview { .. } => Some(GivingWay::Preview),
            Waiting::Create { .. } => Some(GivingWay::Creation),
            Waiting::Delete { .. } | Waiting::Rename { .. } | Waiting::Eject => None,
        };
        match waiting {
            Waiting::Create { owner, playlists } => {
                let connected = self.connected();
                self.start_job(move |bench, transfer| async move {
                    let created = jobs::create_partnership(bench, owner, playlists, connected, transfer);
                    Done::Created(created.await)
                });
            }
            Waiting::Delete { partnership, remove, reply } => {
                if remove {
                    self.publisher.update(|snapshot| snapshot.safe_to_remove = false).await;
                }
                self.start_job(move |bench, transfer| async move {
                    let ended = jobs::delete_partnership(bench, *partnership, remove, transfer).await;
                    if let Some(reply) = reply {
                        answer(reply, ended.result.clone().map(|_| ()));
                    }
                    Done::Deleted(ended)
                });
            }
            Waiting::Preview { replies } => {
                let passing = self.passing.clone();
                self.start_job(move |bench, transfer| async move {
                    let preview = previewed(&bench, &passing, &transfer).await;
                    for reply in replies {
                        answer(reply, preview.clone());
                    }
                    Done::Previewed
                });
            }
            Waiting::Rename { name } => self.start_job(move |bench, _| async move {
                let renamed = async {
                    let player = bench.open().await?;
                    let renamed = player.set_friendly_name(name).await;
                    player.close(Close::Release).await?;
                    renamed
                };
                Done::Renamed(renamed.await.map_err(|error: PlayerError| error.into()))
            }),
            Waiting::Eject => {
                self.start_job(|bench, _| async { Done::Ejected(jobs::eject(bench).await) });
            }
        }
        self.giving_way = giving_way;
    }

    /// The next job in line that those before it have not made needless.
    async fn next_waiting(&mut self) -> Option<Waiting> {
        loop {
            let waiting = self.waiting.pop_front()?;
            match (waiting, self.partnership()) {
                (Waiting::Create { owner, .. }, Some(now)) if self.has_partnership_of(owner, &now) => {
                    let device = self.device.clone();
                    let name = &self.publisher.snapshot().friendly_name;
                    let unseen = || {
                        format!("{name} can't be looked at, so it isn't known whose it is; plug it in again")
                    };
                    let result = if self.looked { Ok(()) } else { Err(RequestError::Failed(unseen())) };
                    self.publisher.announce(EngineEvent::CreatePartnershipComplete { device, result }).await;
                }
                (Waiting::Delete { partnership, remove, reply }, now) => {
                    match now.filter(|now| now.owner == partnership.owner) {
                        Some(now) => {
                            return Some(Waiting::Delete { partnership: Box::new(now), remove, reply });
                        }
                        None => {
                            reply.into_iter().for_each(|reply| answer(reply, Ok(())));
                            self.announce_deleted(Ok(())).await;
                        }
                    }
                }
                (waiting, _) => return Some(waiting),
            }
        }
    }

    fn has_partnership_of(&self, owner: Uid, now: &Partnership) -> bool {
        now.owner == owner && self.publisher.snapshot().status == Status::PartnershipExists
    }

    /// The device went: nothing that waits for it can be done.
    pub(super) async fn give_up_waiting(&mut self) {
        let name = self.publisher.snapshot().friendly_name.clone();
        let gone = || RequestError::NotConnected(name.clone());
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Create { .. } => {
                    let event = EngineEvent::CreatePartnershipComplete {
                        device: self.device.clone(),
                        result: Err(gone()),
                    };
                    self.publisher.announce(event).await;
                }
                Waiting::Delete { remove: true, reply, .. } => {
                    reply.into_iter().for_each(|reply| answer(reply, Err(gone())));
                    self.forget_removal().await;
                    self.announce_deleted(Err(gone())).await;
                }
                Waiting::Delete { partnership, reply, .. } => {
                    let ended =
                        jobs::delete_absent(&self.context.parts, &self.context.ledger, &partnership).await;
                    if let Some(reply) = reply {
                        answer(reply, ended.clone());
                    }
                    self.show_record().await;
                    self.announce_deleted(ended).await;
                }
                Waiting::Preview { replies } => {
                    for reply in replies {
                        answer(reply, Err(gone()));
                    }
                }
                Waiting::Rename { .. } | Waiting::Eject => {}
            }
        }
    }
}

/// What a run would do now, with what was set for it. One that takes no music does nothing.
async fn previewed(
    bench: &Bench,
    passing: &Passing,
    transfer: &Arc<Transfer>,
) -> Result<Vec<PreviewItem>, RequestError> {
    if !passing.takes_music() {
        return Ok(Vec::new());
    }
    match unless_cancelled(transfer, run_input(bench, passing)).await.flatten() {
        Ok(input) => jobs::preview(input, transfer).await,
        Err(error) => Err(RequestError::Failed(error.message)),
    }
}

/// Answers a request. A client that has left doesn't mind.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, RequestError>) {
    if reply.send(result).is_err() {
        tracing::debug!("the client left before its answer");
    }
}
