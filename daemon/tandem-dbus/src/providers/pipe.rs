//! Bytes on their way to a provider and back: hashed while they go, stoppable, one buffer of them in memory
//! however large the file is. They go there through a socket, which takes more at once than a pipe, and come
//! back through a pipe.
//!
//! The other end is the provider's: nothing here waits for it longer than its patience.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::player::ahead::{Ahead, read_at};
use tandem_model::player::{Source, Transfer};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How long a provider may take nothing out of a pipe, or put nothing in.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Bytes that are on the way to a provider at most; the system may have a lower limit.
const MOST_ON_THE_WAY: usize = 1024 * 1024;

/// Bytes that are read at once: so few that they are still in the processor's cache when they are sent.
const CHUNK: usize = 64 * 1024;

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
    ahead: &Arc<Ahead>,
    transfer: &Arc<Transfer>,
) -> Result<u128, PlayerError> {
    let piece =
        chunk.and_then(|chunk| usize::try_from(chunk).ok()).map_or(CHUNK, |chunk| chunk.clamp(1, CHUNK));
    let socket = HangUp(Arc::new(socket));
    let (taker, transfer, ahead) = (Arc::clone(&socket.0), Arc::clone(transfer), Arc::clone(ahead));
    let sending = tokio::task::spawn_blocking(move || {
        let taker = Taker { socket: &taker, piece, transfer: &transfer };
        match &source {
            Source::Bytes(bytes) if bytes.len() as u64 != size => Err(PlayerError::SourceChanged),
            Source::Bytes(bytes) => taker.put(bytes).map(|()| xxh3_128(bytes)),
            Source::File(file) => send_file(file, size, &ahead, &taker),
        }
    });
    sending.await.map_err(|error| PlayerError::Source(error.to_string()))?
}

/// The provider's end of a socket, and who counts what went there.
struct Taker<'a> {
    socket: &'a UnixStream,
    /// Bytes of one write at most; stopping waits for one.
    piece: usize,
    transfer: &'a Transfer,
}

impl Taker<'_> {
    fn put(&self, bytes: &[u8]) -> Result<(), PlayerError> {
        for piece in bytes.chunks(self.piece) {
            if self.transfer.is_cancelled() {
                return Err(PlayerError::Cancelled);
            }
            let mut socket = self.socket;
            socket.write_all(piece).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    PlayerError::TimedOut("taking a file's bytes".to_owned())
                }
                _ => PlayerError::Removed,
            })?;
            self.transfer.add(piece.len() as u64);
        }
        Ok(())
    }
}

fn send_file(file: &File, size: u64, ahead: &Ahead, taker: &Taker<'_>) -> Result<u128, PlayerError> {
    let (mut hasher, mut at, mut buffer) = match ahead.take(file, size) {
        Some(begun) => {
            taker.put(&begun.bytes)?;
            (begun.hasher, begun.bytes.len() as u64, begun.bytes)
        }
        None => (Xxh3::new(), 0, ahead.buffers.take()),
    };
    let left = |at: u64| usize::try_from(size - at).unwrap_or(CHUNK).min(CHUNK);
    if buffer.len() < left(at) {
        buffer.resize(left(at), 0);
    }
    let unread = |error: io::Error| PlayerError::Source(error.to_string());
    while at < size {
        let count = read_at(file, &mut buffer[..left(at)], at).map_err(unread)?;
        if count == 0 {
            return Err(PlayerError::SourceChanged);
        }
        hasher.update(&buffer[..count]);
        taker.put(&buffer[..count])?;
        at += count as u64;
    }
    ahead.buffers.give_back(buffer);
    // one that goes on has changed
    match read_at(file, &mut [0], size).map_err(unread)? {
        0 => Ok(hasher.digest128()),
        _ => Err(PlayerError::SourceChanged),
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

    #[tokio::test]
    async fn what_goes_is_what_is_hashed() {
        for length in [0usize, 1, 512, 5000, 300_000] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (sender, reader) = to_provider().unwrap();
            let mut reader = File::from(reader);
            let taken = std::thread::spawn(move || {
                let mut taken = Vec::new();
                reader.read_to_end(&mut taken).unwrap();
                taken
            });
            let transfer = Arc::default();
            let source = Source::Bytes(bytes.clone().into());
            let hash =
                send(source, length as u64, Some(512), sender, &Arc::default(), &transfer).await.unwrap();
            assert_eq!((hash, transfer.bytes()), (xxh3_128(&bytes), length as u64));
            assert!(taken.join().unwrap() == bytes);
        }
    }

    #[tokio::test]
    async fn what_was_read_ahead_goes_first_and_the_rest_after_it() {
        for length in [0usize, 5000, 3 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let (ahead, transfer) = (Arc::<Ahead>::default(), Arc::default());
            // read ahead, then in a buffer of the one before
            for is_ahead in [true, false] {
                if is_ahead {
                    ahead.read(&file);
                }
                let (sender, reader) = to_provider().unwrap();
                let taken = std::thread::spawn(move || {
                    let mut taken = Vec::new();
                    File::from(reader).read_to_end(&mut taken).unwrap();
                    taken
                });
                let source = Source::File(file.try_clone().unwrap());
                let hash = send(source, length as u64, None, sender, &ahead, &transfer).await;
                assert_eq!(hash, Ok(xxh3_128(&bytes)));
                assert!(taken.join().unwrap() == bytes, "{length} bytes, ahead: {is_ahead}");
            }
        }
    }

    #[tokio::test]
    async fn a_source_that_is_not_as_announced_is_told() {
        for size in [4, 6] {
            let (sender, _reader) = to_provider().unwrap();
            let sent = send(
                Source::Bytes(b"12345"[..].into()),
                size,
                None,
                sender,
                &Arc::default(),
                &Arc::default(),
            )
            .await;
            assert_eq!(sent, Err(PlayerError::SourceChanged));
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"12345").unwrap();
            let (sender, _reader) = to_provider().unwrap();
            let sent = send(Source::File(file), size, None, sender, &Arc::default(), &Arc::default()).await;
            assert_eq!(sent, Err(PlayerError::SourceChanged));
        }
    }

    #[tokio::test]
    async fn a_provider_that_takes_nothing_is_given_up() {
        let (sender, _reader) = to_provider().unwrap();
        // more than fits on the way
        let size = 16 * MOST_ON_THE_WAY;
        let source = Source::Bytes(vec![0; size].into());
        let sent = send(source, size as u64, None, sender, &Arc::default(), &Arc::default()).await;
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
        assert_eq!(
            send(source(), 5, None, sender, &Arc::default(), &Arc::default()).await,
            Err(PlayerError::Removed)
        );
        let (sender, _reader) = to_provider().unwrap();
        let transfer = Arc::new(Transfer::default());
        transfer.cancel();
        assert_eq!(
            send(source(), 5, None, sender, &Arc::default(), &transfer).await,
            Err(PlayerError::Cancelled)
        );
        let (receiver, writer) = from_provider().unwrap();
        drop(writer);
        assert!(matches!(receive(receiver, 1, |_| {}, None).await, Err(PlayerError::VerifyFailed(_))));
    }
}
