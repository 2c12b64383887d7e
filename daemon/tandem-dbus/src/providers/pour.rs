//! A new file's bytes on their way to the device, and the provider's answer that the device has them. It
//! knows no names.

use super::answers::{self, ENTRY, Properties};
use super::fault::Fault;
use super::link::{QUICK, SLOW, TRANSFER};
use super::peer::Peer;
use super::pipe;
use dbus_interfaces::provider::{OBJECT, STORAGE};
use std::collections::HashMap;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::player::{Transfer, WriteRequest};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use zbus::{Fd, OwnedObjectPath, Variant};

/// Metadata by WMDM's names.
pub(super) type Metadata = HashMap<&'static str, Variant<'static>>;

/// Makes a file with its bytes.
pub(super) const INSERT: (&str, &str) = (STORAGE, "Insert");

/// What the provider says of the bytes.
pub(super) enum Taken {
    /// A file that was there has so many.
    Written(u64),
    /// They are a file now, of which it tells this.
    Inserted(OwnedObjectPath, Properties),
}

impl Taken {
    /// Whether that is all of them.
    fn check(&self, size: u64) -> Result<(), Fault> {
        let told = match self {
            Self::Written(count) => *count,
            Self::Inserted(_, metadata) => answers::entry(metadata)?.facts.size,
        };
        answers::moved(told, size, "written")
    }
}

type Answer = Result<Taken, Fault>;

/// Why bytes were not handed over.
pub(super) enum Failed {
    /// The provider refused, or answered what can't be.
    Fault(Fault),
    /// Anything else.
    Other(PlayerError),
}

impl Failed {
    pub(super) fn told(self, about: &str) -> PlayerError {
        match self {
            Self::Fault(fault) => fault.told("writing a file", about),
            Self::Other(error) => error,
        }
    }
}

/// Bytes that were handed over.
pub(super) struct Poured {
    /// XXH3-128 of them.
    hash: u128,
    size: u64,
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
    /// Waits until the provider has answered that the device has all of them; tells what it said, and their
    /// hash.
    pub(super) async fn answered(self, peer: &Peer) -> Result<(Taken, u128), Fault> {
        let taken = self.answer.take(peer).await?;
        taken.check(self.size)?;
        Ok((taken, self.hash))
    }

    /// Waits until the provider has answered, whatever it says.
    pub(super) async fn wait(&mut self, peer: &Peer) {
        self.answer.wait(peer).await;
    }
}

/// Sends a file's bytes into a file that was made for them.
pub(super) async fn write(
    peer: &Arc<Peer>,
    object: &OwnedObjectPath,
    request: &WriteRequest,
    chunk: Option<u32>,
    transfer: &Arc<Transfer>,
) -> Result<Poured, Failed> {
    let (caller, object, size) = (Arc::clone(peer), object.clone(), request.size);
    let call = move |source| async move {
        let body = (Fd::from(source), size);
        caller.call(&object, (OBJECT, "WriteOnClearChannel"), &body, TRANSFER).await.map(Taken::Written)
    };
    pour(peer, call, request, chunk, transfer).await
}

/// Has a folder make a file of this name with a file's bytes.
pub(super) async fn insert(
    peer: &Arc<Peer>,
    folder: &OwnedObjectPath,
    (name, metadata): (&str, Metadata),
    request: &WriteRequest,
    chunk: Option<u32>,
    transfer: &Arc<Transfer>,
) -> Result<Poured, Failed> {
    let (caller, folder, name, size) = (Arc::clone(peer), folder.clone(), name.to_owned(), request.size);
    let call = move |source| async move {
        let body = (name, metadata, size, Fd::from(source), &ENTRY[..]);
        let (object, told) = caller.call(&folder, INSERT, &body, TRANSFER).await?;
        Ok(Taken::Inserted(answers::path(object, &caller.root)?, told))
    };
    pour(peer, call, request, chunk, transfer).await
}

/// Sends a file's bytes. The provider may still be about to read the last of them when it returns.
async fn pour<C, F>(
    peer: &Arc<Peer>,
    call: C,
    request: &WriteRequest,
    chunk: Option<u32>,
    transfer: &Arc<Transfer>,
) -> Result<Poured, Failed>
where
    C: FnOnce(OwnedFd) -> F,
    F: Future<Output = Answer> + Send + 'static,
{
    let size = request.size;
    let no_socket = |error| Failed::Other(PlayerError::Other(format!("a socket can't be made: {error}")));
    let (sender, theirs) = pipe::to_provider().map_err(no_socket)?;
    let source = pipe::again(&request.source).map_err(Failed::Other)?;
    let place = peer.place().await.map_err(Failed::Fault)?;
    let call = call(theirs);
    let mut task = AbortOnDropHandle::new(tokio::spawn(async move {
        let _place = place;
        call.await
    }));
    let mut sending = Box::pin(pipe::send(source, size, chunk, sender, &peer.ahead, transfer));
    let (sent, answer) = tokio::select! {
        biased;
        sent = &mut sending => (sent, Awaited::Coming(task)),
        answer = &mut task => {
            let failed = |error| Fault::Other(format!("waiting for an answer failed: {error}"));
            let taken = answer.map_err(failed).flatten().map_err(Failed::Fault)?;
            taken.check(size).map_err(Failed::Fault)?;
            let late = |_| Failed::Fault(Fault::Lie("that a file is written which it hasn't read".to_owned()));
            let sent = timeout(peer.link.limit(QUICK), &mut sending).await.map_err(late)?;
            (sent, Awaited::Given(Ok(taken)))
        }
    };
    // it has our end of the socket, whose closing ends the transfer
    drop(sending);
    match sent {
        Ok(hash) => Ok(Poured { hash, size, answer }),
        Err(error) => {
            if let PlayerError::TimedOut(_) = &error {
                peer.link.give_up();
            }
            // until then the file is in use
            match answer.take(peer).await {
                // it took no more, and says why; or what it has of the file isn't known
                Err(fault) if error == PlayerError::Removed || peer.link.is_lost() => {
                    Err(Failed::Fault(fault))
                }
                _ => Err(Failed::Other(error)),
            }
        }
    }
}
