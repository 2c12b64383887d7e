//! Bytes on their way to a provider and back: hashed while they go, stoppable, one buffer of them in memory
//! however large the file is. They go there through a socket, which takes more at once than a pipe, and come
//! back through a pipe.
//!
//! The other end is the provider's: nothing here waits for it longer than its patience.

use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::player::{Source, Transfer};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use xxhash_rust::xxh3::Xxh3;

/// How long a provider may take nothing out of a pipe, or put nothing in.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Bytes that are on the way to a provider at most; the system may have a lower limit.
const MOST_ON_THE_WAY: usize = 1024 * 1024;

/// Bytes that are read at once, where the provider's parameters don't say.
const CHUNK: usize = 256 * 1024;

/// The next bytes of a source; 0 at its end.
fn read_at(source: &Source, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    match source {
        Source::File(file) => loop {
            match file.read_at(buffer, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                count => return count,
            }
        },
        Source::Bytes(bytes) => {
            let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }
}

/// Bytes that a source has now.
pub(super) fn check_length(source: &Source, size: u64) -> Result<(), PlayerError> {
    let length = match source {
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::File(file) => {
            let metadata = file.metadata().map_err(|error| PlayerError::Source(error.to_string()))?;
            if !metadata.is_file() {
                return Err(PlayerError::Source("it is not a file".to_owned()));
            }
            metadata.len()
        }
    };
    if length == size { Ok(()) } else { Err(PlayerError::SourceChanged) }
}

/// The same source once more.
pub(super) fn again(source: &Source) -> Result<Source, PlayerError> {
    match source {
        Source::Bytes(bytes) => Ok(Source::Bytes(Arc::clone(bytes))),
        Source::File(file) => {
            file.try_clone().map(Source::File).map_err(|error| PlayerError::Source(error.to_string()))
        }
    }
}

/// A socket whose writing end is ours, and the end that a provider reads, which can't be written.
pub(super) fn to_provider() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, MOST_ON_THE_WAY)?;
    ours.set_write_timeout(Some(PATIENCE))?;
    theirs.shutdown(Shutdown::Write)?;
    Ok((ours, theirs.into()))
}

/// A pipe whose reading end is ours, and the end that a provider writes.
pub(super) fn from_provider() -> io::Result<(pipe::Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}

/// Ends a transfer, also one that is no longer waited for: its thread then finds the socket closed.
struct HangUp(Arc<UnixStream>);

impl Drop for HangUp {
    fn drop(&mut self) {
        // one that the provider has closed before needs no closing
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Sends `size` bytes of a source to a provider and closes its end; tells their hash. On a thread of its own
/// from the first byte to the last: handing pieces from thread to thread would cost more than it saves.
///
/// # Errors
/// `Removed` when the provider closed its end, `TimedOut` when it takes nothing.
pub(super) async fn send(
    source: Source,
    size: u64,
    chunk: Option<u32>,
    socket: UnixStream,
    transfer: &Arc<Transfer>,
) -> Result<u128, PlayerError> {
    let most = chunk.and_then(|chunk| usize::try_from(chunk).ok()).unwrap_or(CHUNK);
    let socket = HangUp(Arc::new(socket));
    let (writing, transfer) = (Arc::clone(&socket.0), Arc::clone(transfer));
    let sending = tokio::task::spawn_blocking(move || write_all(&source, size, most, &writing, &transfer));
    sending.await.map_err(|error| PlayerError::Source(error.to_string()))?
}

fn write_all(
    source: &Source,
    size: u64,
    most: usize,
    mut socket: &UnixStream,
    transfer: &Transfer,
) -> Result<u128, PlayerError> {
    // one byte more than it should have, to see that it ends there
    let whole = usize::try_from(size).unwrap_or(most).saturating_add(1);
    let mut buffer = vec![0; most.min(whole)];
    let (mut hash, mut at) = (Xxh3::new(), 0);
    loop {
        let count = read_at(source, &mut buffer, at);
        let count = count.map_err(|error| PlayerError::Source(error.to_string()))?;
        at += count as u64;
        if at > size || count == 0 && at < size {
            return Err(PlayerError::SourceChanged);
        }
        if count == 0 {
            return Ok(hash.digest128());
        }
        hash.update(&buffer[..count]);
        // however much is read at once, stopping waits for one piece
        for piece in buffer[..count].chunks(CHUNK) {
            if transfer.is_cancelled() {
                return Err(PlayerError::Cancelled);
            }
            socket.write_all(piece).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    PlayerError::TimedOut("taking a file's bytes".to_owned())
                }
                _ => PlayerError::Removed,
            })?;
            transfer.add(piece.len() as u64);
        }
    }
}

/// Takes `size` bytes out of a pipe, each piece to `take`; stops when that is wanted.
///
/// # Errors
/// `TimedOut` when nothing comes, `Cancelled`; `VerifyFailed` when the pipe ends early.
pub(super) async fn receive(
    mut pipe: pipe::Receiver,
    size: u64,
    mut take: impl FnMut(&[u8]),
    transfer: Option<&Transfer>,
) -> Result<(), PlayerError> {
    let mut left = size;
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK).clamp(1, CHUNK)];
    while left > 0 {
        if transfer.is_some_and(Transfer::is_cancelled) {
            return Err(PlayerError::Cancelled);
        }
        let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
        let late = |_| PlayerError::TimedOut("sending a file's bytes back".to_owned());
        let count = timeout(PATIENCE, pipe.read(&mut buffer[..most])).await.map_err(late)?;
        let count = count.map_err(|error| PlayerError::Other(format!("reading a pipe failed: {error}")))?;
        if count == 0 {
            return Err(PlayerError::VerifyFailed("a file that was read back".to_owned()));
        }
        take(&buffer[..count]);
        left -= count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use xxhash_rust::xxh3::xxh3_128;

    #[tokio::test]
    async fn what_goes_is_what_is_hashed() {
        for length in [0usize, 1, 512, 5000, 300_000] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (sender, reader) = to_provider().unwrap();
            let mut reader = std::fs::File::from(reader);
            let taken = std::thread::spawn(move || {
                let mut taken = Vec::new();
                reader.read_to_end(&mut taken).unwrap();
                taken
            });
            let transfer = Arc::default();
            let source = Source::Bytes(bytes.clone().into());
            let hash = send(source, length as u64, Some(512), sender, &transfer).await.unwrap();
            assert_eq!((hash, transfer.bytes()), (xxh3_128(&bytes), length as u64));
            assert!(taken.join().unwrap() == bytes);
        }
    }

    #[tokio::test]
    async fn a_source_that_is_not_as_announced_is_told() {
        for size in [4, 6] {
            let (sender, _reader) = to_provider().unwrap();
            let sent = send(Source::Bytes(b"12345"[..].into()), size, None, sender, &Arc::default()).await;
            assert_eq!(sent, Err(PlayerError::SourceChanged));
        }
    }

    #[tokio::test]
    async fn a_provider_that_takes_nothing_is_given_up() {
        let (sender, _reader) = to_provider().unwrap();
        // more than fits on the way
        let size = 16 * MOST_ON_THE_WAY;
        let source = Source::Bytes(vec![0; size].into());
        let sent = send(source, size as u64, None, sender, &Arc::default()).await;
        assert!(matches!(sent, Err(PlayerError::TimedOut(_))), "{sent:?}");
        let (receiver, _writer) = from_provider().unwrap();
        let received = receive(receiver, 1, |_| {}, None).await;
        assert!(matches!(received, Err(PlayerError::TimedOut(_))), "{received:?}");
    }

    #[tokio::test]
    async fn a_closed_end_and_a_wish_to_stop_end_it() {
        let (sender, reader) = to_provider().unwrap();
        drop(reader);
        let source = || Source::Bytes(b"12345"[..].into());
        assert_eq!(send(source(), 5, None, sender, &Arc::default()).await, Err(PlayerError::Removed));
        let (sender, _reader) = to_provider().unwrap();
        let transfer = Arc::new(Transfer::default());
        transfer.cancel();
        assert_eq!(send(source(), 5, None, sender, &transfer).await, Err(PlayerError::Cancelled));
        let (receiver, writer) = from_provider().unwrap();
        drop(writer);
        assert!(matches!(receive(receiver, 1, |_| {}, None).await, Err(PlayerError::VerifyFailed(_))));
    }
}
