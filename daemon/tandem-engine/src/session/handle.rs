//! The typed way to a session: every request becomes a command in its bounded mailbox, and most wait for the answer.

use crate::engine::Setting;
use crate::preview::PreviewItem;
use tandem_model::error::RequestError;
use tandem_model::id::{MediaUri, PlaylistId, Uid};
use tandem_model::presence::Arrival;
use tokio::sync::{mpsc, oneshot};

/// The answer to a command.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

/// What a session can be asked or told.
#[expect(clippy::large_enum_variant, reason = "arrivals are rare, and the mailbox is short")]
pub(crate) enum Command {
    Arrived(Arrival),
    /// The answer tells whether the device has a partnership here or is about to have one, and so stays known.
    Departed {
        reply: Reply<bool>,
    },
    /// A device that no provider served may be served now.
    ProvidersChanged,
    CreatePartnership {
        owner: Uid,
        playlists: Option<Vec<PlaylistId>>,
        reply: Reply<()>,
    },
    DeletePartnership {
        remove_content: bool,
        reply: Reply<()>,
    },
    Start {
        reply: Reply<()>,
    },
    Stop {
        reply: Reply<()>,
    },
    Eject {
        reply: Reply<()>,
    },
    ShowSettings {
        reply: Reply<()>,
    },
    Set {
        setting: Setting,
        reply: Reply<()>,
    },
    Estimate {
        non_rule: Option<PlaylistId>,
        rules: Option<PlaylistId>,
        reply: Reply<()>,
    },
    CancelEstimation {
        reply: Reply<()>,
    },
    Preview {
        reply: Reply<Vec<PreviewItem>>,
    },
    /// The user names media by hand: the next run copies them whatever he did with them on the device.
    TakeByHand {
        media: Vec<MediaUri>,
        reply: Reply<()>,
    },
    /// What is assigned is something else now.
    AssignmentsChanged {
        reply: Reply<()>,
    },
}

/// A session's mailbox.
#[derive(Clone)]
pub(crate) struct SessionHandle {
    mailbox: mpsc::Sender<Command>,
}

impl SessionHandle {
    pub(crate) fn new(mailbox: mpsc::Sender<Command>) -> Self {
        Self { mailbox }
    }

    /// Tells the session something.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), RequestError> {
        self.mailbox.send(command).await.map_err(|_| ended())
    }

    /// Asks the session something and waits for the answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| ended())?
    }
}

fn ended() -> RequestError {
    RequestError::NotFound("the device is not known any more".to_owned())
}
