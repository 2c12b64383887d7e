//! Bytes of a file on a provider's device, read back through a pipe: these and no others.
//!
//! It must not wait longer for the provider than for any other answer.

use super::answers;
use super::fault::Fault;
use super::link::{QUICK, SLOW, TRANSFER};
use super::pipe;
use super::session::Session;
use dbus_interfaces::provider::OBJECT;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::Transfer;
use tokio::time::timeout;
use xxhash_rust::xxh3::Xxh3;
use zbus::{Fd, OwnedObjectPath};

/// Bytes that are read back with one call.
const PIECE: u64 = 64 * 1024 * 1024;

impl Session {
    /// A file's bytes, so many at most.
    pub(super) async fn read(&mut self, path: &DevicePath, limit: u64) -> Result<Vec<u8>, PlayerError> {
        let known = self.file(path).await?;
        let size = known.facts.size.min(limit);
        let mut bytes = Vec::new();
        self.read_back(&known.object, (0, size), |piece| bytes.extend_from_slice(piece), None).await?;
        Ok(bytes)
    }

    /// XXH3-128 of a file's bytes.
    pub(super) async fn hash(&mut self, path: &DevicePath, transfer: &Transfer) -> Result<u128, PlayerError> {
        let known = self.file(path).await?;
        let mut hash = Box::new(Xxh3::new());
        let mut at = 0;
        while at < known.facts.size {
            let size = (known.facts.size - at).min(PIECE);
            self.read_back(&known.object, (at, size), |piece| hash.update(piece), Some(transfer)).await?;
            at += size;
        }
        Ok(hash.digest128())
    }

    /// Reads bytes of a file through a pipe: these and no others.
    async fn read_back(
        &self,
        object: &OwnedObjectPath,
        (offset, size): (u64, u64),
        take: impl FnMut(&[u8]),
        transfer: Option<&Transfer>,
    ) -> Result<(), PlayerError> {
        if size == 0 {
            return Ok(());
        }
        let told = |fault: Fault| fault.told("reading a file", "a file");
        let no_pipe = |error| PlayerError::Other(format!("a pipe can't be made: {error}"));
        let (receiver, theirs) = pipe::from_provider().map_err(no_pipe)?;
        let body = (offset, size, Fd::from(std::os::fd::OwnedFd::from(theirs)));
        let call = self.peer.call::<_, u64>(object, (OBJECT, "ReadOnClearChannel"), &body, TRANSFER);
        let mut call = std::pin::pin!(call);
        let mut receiving = std::pin::pin!(pipe::receive(receiver, size, take, transfer));
        let read = tokio::select! {
            biased;
            received = &mut receiving => {
                if let Err(error) = received {
                    if matches!(error, PlayerError::TimedOut(_)) {
                        self.peer.link.give_up();
                    }
                    return Err(error);
                }
                let read = timeout(self.peer.link.limit(SLOW), call).await;
                read.unwrap_or_else(|_| Err(self.peer.link.give_up())).map_err(told)?
            }
            read = &mut call => {
                let read = read.map_err(told)?;
                answers::moved(read, size, "read").map_err(told)?;
                let late = |_| told(Fault::Lie("that bytes were read which did not come".to_owned()));
                timeout(self.peer.link.limit(QUICK), receiving).await.map_err(late)??;
                read
            }
        };
        answers::moved(read, size, "read").map_err(told)
    }
}
