//! The two ends of a transfer that the daemon handed over, as a reader and a writer that end when the device is released,
//! and don't wait for ever for the other side. They only move bytes; what those are for is the device's business.

use dbus_interfaces::provider::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl};
use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, Write};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The other side has so long for its next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that are moved at once.
const PIECE: usize = 256 * 1024;

/// Bytes that a file's storage is given to begin with.
const WRITTEN_AT_ONCE: u64 = 1 << 20;

/// A descriptor, and the pipe that hangs up when the device is released.
struct Channel {
    file: File,
    released: Arc<PipeReader>,
}

impl Channel {
    /// Has reading and writing return at once where they would wait; whether it does.
    fn never_blocks(&self) -> bool {
        let flags = fcntl_getfl(&self.file).map(|flags| flags | OFlags::NONBLOCK);
        flags.and_then(|flags| fcntl_setfl(&self.file, flags)).is_ok()
    }

    fn wait_for(&self, wanted: PollFlags) -> io::Result<()> {
        let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        loop {
            let mut both = [
                PollFd::from_borrowed_fd(self.file.as_fd(), wanted),
                PollFd::from_borrowed_fd(self.released.as_fd(), PollFlags::empty()),
            ];
            match poll(&mut both, Some(&limit)) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if !both[1].revents().is_empty() => {
                    return Err(io::Error::new(io::ErrorKind::NotConnected, "the device was released"));
                }
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
            }
        }
    }
}

/// Whether the system call is to be made again.
fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

fn told(error: &io::Error, what: &str) -> Error {
    match error.kind() {
        io::ErrorKind::NotConnected => {
            Error::InterfaceDead("the device was released in the middle".to_owned())
        }
        io::ErrorKind::TimedOut => Error::Failed(format!(
            "the other end of {what} neither went on nor was closed within {} seconds",
            PATIENCE.as_secs()
        )),
        _ => Error::Failed(format!("{what}: {error}")),
    }
}

/// Where a file's bytes come from: exactly [`Source::size`] of them. One that ends before is an error of the reader.
pub struct Source {
    channel: Channel,
    size: u64,
    taken: u64,
    /// Whether reading can be tried without waiting for bytes first.
    never_blocks: bool,
    failure: Option<Error>,
}

impl Source {
    pub(crate) fn new(fd: OwnedFd, size: u64, released: Arc<PipeReader>) -> Self {
        let channel = Channel { file: File::from(fd), released };
        let never_blocks = channel.never_blocks();
        Self { channel, size, taken: 0, never_blocks, failure: None }
    }

    /// How many bytes it gives.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes all of it to a file of this machine, from where that stands; for devices that are directories. Their storage
    /// begins with each piece at once, so that little is left when it has to keep it all.
    ///
    /// # Errors
    /// What reading or writing says.
    pub fn copy_to(&mut self, file: &mut File) -> io::Result<()> {
        let mut piece = vec![0; PIECE.min(usize::try_from(self.size).unwrap_or(PIECE)).max(1)];
        let (mut begun, mut written) = (file.stream_position()?, file.stream_position()?);
        loop {
            let read = self.fill(&mut piece)?;
            file.write_all(&piece[..read])?;
            written += read as u64;
            if written - begun >= WRITTEN_AT_ONCE || read == 0 {
                // advice, that nothing depends on
                let _ = fadvise(&*file, begun, NonZeroU64::new(written - begun), Advice::DontNeed);
                begun = written;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// As many bytes as are wanted, or as are left: few large pieces cost a file system less than many small ones.
    fn fill(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < piece.len() {
            match self.read(&mut piece[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Looks that all was taken and that nothing more comes.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.taken < self.size {
            let text = format!("the provider took {} of {} bytes; that is its defect", self.taken, self.size);
            return Err(Error::Failed(text));
        }
        match self.next(&mut [0; 1]) {
            Ok(0) => Ok(self.taken),
            Ok(_) => Err(Error::InvalidArgument(format!("the source gave more than {} bytes", self.size))),
            Err(error) => Err(told(&error, "the source")),
        }
    }

    /// The source's own failure, if there was one, else this one.
    pub(crate) fn failure_or(self, other: Error) -> Error {
        self.failure.unwrap_or(other)
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wait = !self.never_blocks;
        loop {
            if wait {
                self.channel.wait_for(PollFlags::IN)?;
            }
            match self.channel.file.read(buffer) {
                Err(error) if again(&error) => wait = true,
                other => return other,
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.taken).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.next(&mut buffer[..wanted]) {
            Ok(0) => {
                let text = format!("the source ended after {} of {} bytes", self.taken, self.size);
                self.failure = Some(Error::InvalidArgument(text.clone()));
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
            }
            Ok(read) => {
                self.taken += read as u64;
                Ok(read)
            }
            Err(error) => {
                self.failure = Some(told(&error, "the source"));
                Err(error)
            }
        }
    }
}

/// Where a file's bytes go.
pub struct Sink {
    channel: Channel,
    /// How much is written at once.
    piece: usize,
    written: u64,
    failure: Option<Error>,
}

impl Sink {
    pub(crate) fn new(fd: OwnedFd, released: Arc<PipeReader>) -> Self {
        let channel = Channel { file: File::from(fd), released };
        // a pipe that can be written takes at least 4096 bytes; as many as it has room for only when it doesn't block
        let piece = if channel.never_blocks() { PIECE } else { 4096 };
        Self { channel, piece, written: 0, failure: None }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The sink's own failure, if there was one, else this one.
    pub(crate) fn failure_or(self, other: Error) -> Error {
        self.failure.unwrap_or(other)
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            let piece = &buffer[..buffer.len().min(self.piece)];
            let result = self.channel.wait_for(PollFlags::OUT).and_then(|()| self.channel.file.write(piece));
            match result {
                Ok(written) => {
                    self.written += written as u64;
                    return Ok(written);
                }
                Err(error) if again(&error) => {}
                Err(error) => {
                    self.failure = Some(told(&error, "the sink"));
                    return Err(error);
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8], size: u64) -> Source {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(bytes).unwrap();
        let (released, held) = io::pipe().unwrap();
        std::mem::forget(held);
        Source::new(reader.into(), size, Arc::new(released))
    }

    #[test]
    fn a_source_gives_exactly_its_size() {
        let mut exact = source(b"abc", 3);
        let mut text = String::new();
        exact.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), exact.finish().unwrap()), ("abc", 3));
        let mut long = source(b"abcd", 3);
        let mut text = String::new();
        long.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc", "never more than was said");
        assert!(matches!(long.finish(), Err(Error::InvalidArgument(_))));
        let mut short = source(b"ab", 3);
        assert_eq!(short.read_to_string(&mut text).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let other = Error::Failed("the device's word".to_owned());
        assert!(matches!(short.failure_or(other), Error::InvalidArgument(text) if text.contains("2 of 3")));
    }

    #[test]
    fn a_file_gets_all_of_it_however_it_comes() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let sent = bytes.clone();
        let sending = std::thread::spawn(move || {
            for piece in sent.chunks(10_000) {
                (&ours).write_all(piece).unwrap();
            }
        });
        let (released, _held) = io::pipe().unwrap();
        let mut source = Source::new(theirs.into(), bytes.len() as u64, Arc::new(released));
        let mut file = tempfile::tempfile().unwrap();
        source.copy_to(&mut file).unwrap();
        sending.join().unwrap();
        assert_eq!(source.finish().unwrap(), bytes.len() as u64);
        file.rewind().unwrap();
        let mut written = Vec::new();
        file.read_to_end(&mut written).unwrap();
        assert!(written == bytes);
    }

    #[test]
    fn what_was_not_taken_is_the_providers_defect() {
        assert!(matches!(source(b"abc", 3).finish(), Err(Error::Failed(_))));
    }

    #[test]
    fn releasing_the_device_ends_a_transfer_that_waits() {
        let (reader, _writer) = io::pipe().unwrap();
        let (released, held) = io::pipe().unwrap();
        let mut source = Source::new(reader.into(), 5, Arc::new(released));
        let waiting = std::thread::spawn(move || {
            let error = source.read(&mut [0; 5]).unwrap_err();
            (error.kind(), source.failure_or(Error::Failed(String::new())))
        });
        drop(held);
        let (kind, failure) = waiting.join().unwrap();
        assert_eq!(kind, io::ErrorKind::NotConnected);
        assert!(matches!(failure, Error::InterfaceDead(_)));
    }

    #[test]
    fn a_sink_that_is_closed_fails() {
        let (reader, writer) = io::pipe().unwrap();
        let (released, _held) = io::pipe().unwrap();
        let mut sink = Sink::new(writer.into(), Arc::new(released));
        sink.write_all(b"abc").unwrap();
        assert_eq!(sink.written(), 3);
        drop(reader);
        assert!(sink.write_all(b"abc").is_err());
        assert!(
            matches!(sink.failure_or(Error::NoSpace(String::new())), Error::Failed(text) if text.contains("sink"))
        );
    }
}
