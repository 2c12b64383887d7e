//! A new file's bytes on their way to the device, and the provider's answer that the device has them. It knows no names.

use super::answers;
use super::fault::Fault;
use super::link::{QUICK, SLOW, TRANSFER};
use super::peer::Peer;
use super::pipe;
use dbus_interfaces::provider::OBJECT;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::player::{Transfer, WriteRequest};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use zbus::{Fd, OwnedObjectPath};

/// What the provider says was written.
type Answer = Result<u64, Fault>;

/// Bytes that were handed over.
pub(super) struct Poured {
    /// XXH3-128 of them.
    hash: u128,
    size: u64,
    about: String,
    answer: Awaited,
}

/// The provider's answer to a transfer, and whether it is there.
enum Awaited {
    Given(Answer),
    Coming(AbortOnDropHandle<Answer>),
}

impl Awaited {
    /// Waits for it. Whoever doesn't answer is given up.
    async fn wait(&mut self, peer: &Peer) {
        if let Self::Coming(task) = self {
            let answer = match timeout(peer.link.limit(SLOW), task).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => Err(Fault::Other(format!("waiting for an answer failed: {error}"))),
                Err(_) => Err(peer.link.give_up()),
            };
            *self = Self::Given(answer);
        }
    }

    async fn take(mut self, peer: &Peer) -> Answer {
        self.wait(peer).await;
        match self {
            Self::Given(answer) => answer,
            Self::Coming(_) => Err(Fault::Late),
        }
    }
}

impl Poured {
    /// Waits until the provider has answered that the device has all of them; tells their hash.
    pub(super) async fn answered(self, peer: &Peer) -> Result<u128, PlayerError> {
        let told = |fault: Fault| fault.told("writing a file", &self.about);
        let written = self.answer.take(peer).await.map_err(told)?;
        answers::moved(written, self.size, "written").map_err(told)?;
        Ok(self.hash)
    }

    /// Waits until the provider has answered, whatever it says.
    pub(super) async fn wait(&mut self, peer: &Peer) {
        self.answer.wait(peer).await;
    }
}

/// Sends a file's bytes. The provider may still be about to read the last of them when it returns.
pub(super) async fn pour(
    peer: &Arc<Peer>,
    object: &OwnedObjectPath,
    request: &WriteRequest,
    chunk: Option<u32>,
    transfer: &Transfer,
) -> Result<Poured, PlayerError> {
    let (about, size) = (request.path.as_str(), request.size);
    let told = |fault: Fault| fault.told("writing a file", about);
    let no_socket = |error| PlayerError::Other(format!("a socket can't be made: {error}"));
    let (sender, theirs) = pipe::to_provider().map_err(no_socket)?;
    let call = {
        let (peer, object) = (Arc::clone(peer), object.clone());
        let body = (Fd::from(theirs), size);
        async move { peer.call::<_, u64>(&object, (OBJECT, "WriteOnClearChannel"), &body, TRANSFER).await }
    };
    let mut task = AbortOnDropHandle::new(tokio::spawn(call));
    let mut sending = Box::pin(pipe::send(pipe::again(&request.source)?, size, chunk, sender, transfer));
    let (sent, answer) = tokio::select! {
        biased;
        sent = &mut sending => (sent, Awaited::Coming(task)),
        answer = &mut task => {
            let failed = |error| Fault::Other(format!("waiting for an answer failed: {error}"));
            let written = answer.map_err(failed).flatten().map_err(told)?;
            answers::moved(written, size, "written").map_err(told)?;
            let late = |_| told(Fault::Lie("that a file is written which it hasn't read".to_owned()));
            (timeout(peer.link.limit(QUICK), &mut sending).await.map_err(late)?, Awaited::Given(Ok(written)))
        }
    };
    // it has our end of the socket, whose closing ends the transfer
    drop(sending);
    match sent {
        Ok(hash) => Ok(Poured { hash, size, about: about.to_owned(), answer }),
        Err(error) => {
            if let PlayerError::TimedOut(_) = &error {
                peer.link.give_up();
            }
            // until then the file is in use
            match answer.take(peer).await {
                // it took no more, and says why
                Err(fault) if error == PlayerError::Removed => Err(told(fault)),
                _ => Err(error),
            }
        }
    }
}
