//! Bytes on their way to a provider and back: hashed while they go, stoppable, a few buffers of them in memory however large
//! the file is. They go there through a socket, which takes more at once than a pipe, and come back through a pipe.
//!
//! The other end is the provider's: nothing here waits for it longer than its patience.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::player::{Source, Transfer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use xxhash_rust::xxh3::Xxh3;

/// How long a provider may take nothing out of a pipe, or put nothing in.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// Bytes that are on the way to a provider at most; the system may have a lower limit.
const MOST_ON_THE_WAY: usize = 1024 * 1024;

/// Bytes that are read at once, where the provider's parameters don't say.
const CHUNK: usize = 256 * 1024;

/// How far a source is read and hashed.
struct Reading {
    source: Source,
    at: u64,
    hash: Box<Xxh3>,
}

impl Reading {
    /// The next bytes, into a buffer that is given back; none at the end.
    fn read(&mut self, mut buffer: Vec<u8>, most: usize) -> io::Result<Vec<u8>> {
        buffer.resize(most, 0);
        let mut filled = 0;
        while filled < most {
            let at = self.at + filled as u64;
            let count = match &self.source {
                Source::File(file) => match file.read_at(&mut buffer[filled..], at) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    count => count?,
                },
                Source::Bytes(bytes) => {
                    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                    let count = rest.len().min(most - filled);
                    buffer[filled..filled + count].copy_from_slice(&rest[..count]);
                    count
                }
            };
            if count == 0 {
                break;
            }
            filled += count;
        }
        buffer.truncate(filled);
        self.hash.update(&buffer);
        self.at += filled as u64;
        Ok(buffer)
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
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, MOST_ON_THE_WAY)?;
    theirs.shutdown(Shutdown::Write)?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

/// A pipe whose reading end is ours, and the end that a provider writes.
pub(super) fn from_provider() -> io::Result<(pipe::Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}

/// Sends `size` bytes of a source to a provider and closes its end; tells their hash. The next piece is read while one is taken.
///
/// # Errors
/// `Removed` when the provider closed its end, `TimedOut` when it takes nothing.
pub(super) async fn send(
    source: Source,
    size: u64,
    chunk: Option<u32>,
    mut socket: UnixStream,
    transfer: &Transfer,
) -> Result<u128, PlayerError> {
    let most = chunk.and_then(|chunk| usize::try_from(chunk).ok()).unwrap_or(CHUNK);
    let mut reading = Reading { source, at: 0, hash: Box::default() };
    let mut spare = Vec::new();
    let mut next = read_next(reading, Vec::new(), most).await?;
    loop {
        reading = next.0;
        let piece = next.1;
        if reading.at > size {
            return Err(PlayerError::SourceChanged);
        }
        if piece.is_empty() {
            let whole = reading.at == size;
            return if whole { Ok(reading.hash.digest128()) } else { Err(PlayerError::SourceChanged) };
        }
        let (following, ()) =
            tokio::try_join!(read_next(reading, spare, most), put(&mut socket, &piece, transfer))?;
        (next, spare) = (following, piece);
    }
}

async fn read_next(
    mut reading: Reading,
    buffer: Vec<u8>,
    most: usize,
) -> Result<(Reading, Vec<u8>), PlayerError> {
    let task = tokio::task::spawn_blocking(move || {
        let piece = reading.read(buffer, most)?;
        Ok::<_, io::Error>((reading, piece))
    });
    let read = task.await.map_err(|error| PlayerError::Source(error.to_string()))?;
    read.map_err(|error| PlayerError::Source(error.to_string()))
}

async fn put(socket: &mut UnixStream, mut piece: &[u8], transfer: &Transfer) -> Result<(), PlayerError> {
    while !piece.is_empty() {
        if transfer.is_cancelled() {
            return Err(PlayerError::Cancelled);
        }
        let late = |_| PlayerError::TimedOut("taking a file's bytes".to_owned());
        let count = timeout(PATIENCE, socket.write(piece)).await.map_err(late)?;
        let count = count.map_err(|_| PlayerError::Removed)?;
        transfer.add(count as u64);
        piece = &piece[count..];
    }
    Ok(())
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
            let transfer = Transfer::default();
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
            let sent =
                send(Source::Bytes(b"12345"[..].into()), size, None, sender, &Transfer::default()).await;
            assert_eq!(sent, Err(PlayerError::SourceChanged));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_takes_nothing_is_given_up() {
        let (sender, _reader) = to_provider().unwrap();
        // more than fits on the way
        let size = 16 * MOST_ON_THE_WAY;
        let source = Source::Bytes(vec![0; size].into());
        let sent = send(source, size as u64, None, sender, &Transfer::default()).await;
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
        assert_eq!(send(source(), 5, None, sender, &Transfer::default()).await, Err(PlayerError::Removed));
        let (sender, _reader) = to_provider().unwrap();
        let transfer = Transfer::default();
        transfer.cancel();
        assert_eq!(send(source(), 5, None, sender, &transfer).await, Err(PlayerError::Cancelled));
        let (receiver, writer) = from_provider().unwrap();
        drop(writer);
        assert!(matches!(receive(receiver, 1, |_| {}, None).await, Err(PlayerError::VerifyFailed(_))));
    }
}
