//! Jobs that wait until nothing holds the device.

use super::{Done, Session, run_input};
use crate::preview::PreviewItem;
use crate::session::handle::Reply;
use crate::session::jobs;
use crate::session::machine::{Event, Phase};
use crate::session::settings::Passing;
use tandem_model::error::{PlayerError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{PlaylistId, Uid};
use tandem_model::partnership::Partnership;
use tandem_model::player::Close;

/// A job that waits.
pub(super) enum Waiting {
    Create { owner: Uid, playlists: Option<Vec<PlaylistId>> },
    Delete { partnership: Box<Partnership>, remove: bool, reply: Option<Reply<()>> },
    Preview { reply: Reply<Vec<PreviewItem>> },
    Rename { name: String },
    Eject,
}

impl Session {
    /// Starts what waits, if nothing holds the device.
    pub(super) async fn start_waiting(&mut self) {
        if self.state.job || self.state.phase != Phase::Stopped {
            return;
        }
        let Some(waiting) = self.waiting.pop_front() else { return };
        self.happen(Event::JobStarted).await;
        match waiting {
            Waiting::Create { owner, playlists } => self.start_job(move |bench, _| async move {
                Done::Created(jobs::create_partnership(bench, owner, playlists).await)
            }),
            Waiting::Delete { partnership, remove, reply } => {
                if remove {
                    self.publisher.update(|snapshot| snapshot.safe_to_remove = false).await;
                }
                self.start_job(move |bench, transfer| async move {
                    let ended = jobs::delete_partnership(bench, *partnership, remove, transfer).await;
                    if let Some(reply) = reply {
                        answer(reply, ended.clone());
                    }
                    Done::Deleted(ended)
                });
            }
            Waiting::Preview { reply } => self.start_job(move |bench, _| async move {
                let preview = match run_input(&bench, &Passing::default()).await {
                    Ok(input) => jobs::preview(input).await,
                    Err(error) => Err(RequestError::Failed(error.message)),
                };
                answer(reply, preview);
                Done::Previewed
            }),
            Waiting::Rename { name } => self.start_job(move |bench, _| async move {
                let renamed = async {
                    let player = bench.parts.opener.open(&bench.arrival).await?;
                    let renamed = player.set_friendly_name(name).await;
                    player.close(Close::Release).await?;
                    renamed
                };
                Done::Renamed(renamed.await.map_err(|error: PlayerError| error.into()))
            }),
            Waiting::Eject => {
                self.publisher.update(|snapshot| snapshot.safe_to_remove = false).await;
                self.start_job(|bench, _| async { Done::Ejected(jobs::eject(bench).await) });
            }
        }
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
                Waiting::Delete { partnership, reply, .. } => {
                    let ended =
                        jobs::delete_absent(&self.context.parts, &self.context.ledger, &partnership).await;
                    if let Some(reply) = reply {
                        answer(reply, ended);
                    }
                    self.show_record().await;
                }
                Waiting::Preview { reply } => answer(reply, Err(gone())),
                Waiting::Rename { .. } | Waiting::Eject => {}
            }
        }
    }
}

/// Answers a request. A client that has left doesn't mind.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, RequestError>) {
    if reply.send(result).is_err() {
        tracing::debug!("the client left before its answer");
    }
}
