//! Frames over a Unix stream socket: a little-endian `u32` length and that many bytes, with a descriptor where a
//! message has one.
//!
//! What comes in is not trusted: lengths and the number of descriptors are bounded before anything is kept.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The longest body of a frame, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// The most descriptors that may wait for their frame.
const MAX_WAITING: usize = 8;
/// The most descriptors that one read takes.
const MAX_AT_ONCE: usize = 4;
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;
/// What a Hello starts with; the version follows.
const GREETING: &[u8; 8] = b"tandemLA";

/// Why a connection can't go on.
#[derive(Debug, Error)]
pub enum WireError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// A length beyond the bound.
    #[error("a frame of {0} bytes is longer than the {MAX_FRAME} that are allowed")]
    TooLong(usize),
    /// The other side closed in the middle of a frame.
    #[error("the connection ended in the middle of a message")]
    Truncated,
    /// The bytes are no message.
    #[error("a message could not be read: {0}")]
    Malformed(String),
    /// More descriptors than frames that need them.
    #[error("more than {MAX_WAITING} descriptors came without a message for them")]
    TooManyDescriptors,
    /// The other side speaks another version.
    #[error(
        "the other side speaks version {found} of the protocol and this one {expected}; restart the daemon"
    )]
    Version {
        /// The other side's.
        found: u32,
        /// Ours.
        expected: u32,
    },
}

impl WireError {
    /// Whether the other side has gone, which is how a connection ends, be it in the middle of a message.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Io(error) => {
                matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
            }
            Self::Truncated => true,
            _ => false,
        }
    }
}

/// A frame ready to be sent.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

impl Frame {
    /// A message's frame.
    ///
    /// # Errors
    /// `TooLong` where the message doesn't fit, `Malformed` where it can't be encoded.
    pub fn new(message: &impl Serialize, descriptor: Option<OwnedFd>) -> Result<Self, WireError> {
        let bytes = postcard::to_extend(message, vec![0; 4])
            .map_err(|error| WireError::Malformed(error.to_string()))?;
        Self::with_length(bytes, descriptor)
    }

    /// The first frame of both sides.
    #[must_use]
    pub fn hello(version: u32) -> Self {
        let length = u32::try_from(GREETING.len() + 4).expect("twelve fits in 32 bits");
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(GREETING);
        bytes.extend_from_slice(&version.to_le_bytes());
        Self { bytes, descriptor: None }
    }

    fn with_length(mut bytes: Vec<u8>, descriptor: Option<OwnedFd>) -> Result<Self, WireError> {
        let body = bytes.len() - 4;
        let length =
            u32::try_from(body).ok().filter(|_| body <= MAX_FRAME).ok_or(WireError::TooLong(body))?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        Ok(Self { bytes, descriptor })
    }
}

/// Sends a whole frame; waits while the other side doesn't read.
///
/// # Errors
/// What the socket says, when the other side is gone.
pub async fn send(stream: &UnixStream, frame: &Frame) -> Result<(), WireError> {
    let mut sent = 0;
    while sent < frame.bytes.len() {
        stream.writable().await?;
        let descriptor = frame.descriptor.as_ref().filter(|_| sent == 0).map(AsFd::as_fd);
        let rest = &frame.bytes[sent..];
        match stream.try_io(Interest::WRITABLE, || send_some(stream.as_fd(), rest, descriptor)) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn send_some(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("a descriptor did not fit into the control message"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    stream: Arc<UnixStream>,
    buffer: Vec<u8>,
    filled: usize,
    /// The end of the frame that was handed out last.
    consumed: usize,
    descriptors: VecDeque<OwnedFd>,
    takes_descriptors: bool,
}

impl FrameReader {
    /// Reads from this stream; descriptors are taken only where `takes_descriptors`, else the kernel drops them.
    #[must_use]
    pub fn new(stream: Arc<UnixStream>, takes_descriptors: bool) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            filled: 0,
            consumed: 0,
            descriptors: VecDeque::new(),
            takes_descriptors,
        }
    }

    /// The next frame's body; `None` when the other side has closed. Safe to cancel.
    ///
    /// # Errors
    /// The connection can't go on after any error.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, WireError> {
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        loop {
            let needed = match self.buffer.first_chunk::<4>().filter(|_| self.filled >= 4) {
                Some(length) => {
                    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                    if length > MAX_FRAME {
                        return Err(WireError::TooLong(length));
                    }
                    4 + length
                }
                None => 4,
            };
            if self.filled >= 4 && self.filled >= needed {
                self.consumed = needed;
                return Ok(Some(&self.buffer[4..needed]));
            }
            self.buffer.resize(needed.max(self.filled + READ_BYTES), 0);
            let count = self.receive().await?;
            if count == 0 {
                return if self.filled == 0 { Ok(None) } else { Err(WireError::Truncated) };
            }
            self.filled += count;
        }
    }

    /// The next message; `None` when the other side has closed.
    ///
    /// # Errors
    /// The connection can't go on after any error.
    pub async fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        let Some(body) = self.next().await? else { return Ok(None) };
        let malformed = |error: postcard::Error| WireError::Malformed(error.to_string());
        let (message, rest) = postcard::take_from_bytes(body).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(WireError::Malformed(format!("{} bytes too many", rest.len())));
        }
        Ok(Some(message))
    }

    /// Reads the other side's Hello and compares versions.
    ///
    /// # Errors
    /// `Version` where it speaks another one, `Malformed` where it is no Hello at all.
    pub async fn hello(&mut self, expected: u32) -> Result<(), WireError> {
        let body = self.next().await?.ok_or(WireError::Truncated)?;
        let version = body.strip_prefix(GREETING).and_then(|rest| <[u8; 4]>::try_from(rest).ok());
        match version.map(u32::from_le_bytes) {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(WireError::Version { found, expected }),
            None => Err(WireError::Malformed("it does not begin with a Hello".into())),
        }
    }

    /// The descriptor that came with the frame read last.
    pub fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    async fn receive(&mut self) -> Result<usize, WireError> {
        loop {
            self.stream.readable().await?;
            let space = &mut self.buffer[self.filled..];
            let (descriptors, takes) = (&mut self.descriptors, self.takes_descriptors);
            let stream = &self.stream;
            let read = || receive_some(stream.as_fd(), space, descriptors, takes);
            match stream.try_io(Interest::READABLE, read) {
                Ok(_) if self.descriptors.len() > MAX_WAITING => return Err(WireError::TooManyDescriptors),
                Ok(count) => return Ok(count),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn receive_some(
    socket: BorrowedFd<'_>,
    space: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
    takes_descriptors: bool,
) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_AT_ONCE))];
    let room = if takes_descriptors { &mut room[..] } else { &mut [] };
    let mut control = RecvAncillaryBuffer::new(room);
    let received = recvmsg(socket, &mut [IoSliceMut::new(space)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ToAgent, ToDaemon};
    use proptest::prelude::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use tokio::io::AsyncWriteExt;

    fn pair(takes: bool) -> (UnixStream, FrameReader) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, FrameReader::new(Arc::new(theirs), takes))
    }

    #[tokio::test]
    async fn messages_and_descriptors_arrive_together_and_in_order() {
        let (stream, mut reader) = pair(true);
        let sender = async move {
            for index in 0..40u32 {
                let mut file = tempfile::tempfile().unwrap();
                write!(file, "file {index}").unwrap();
                file.rewind().unwrap();
                let descriptor = (index % 2 == 0).then(|| OwnedFd::from(file));
                let filler = vec![7u8; usize::try_from(index).unwrap() * 2000];
                send(&stream, &Frame::new(&(index, filler), descriptor).unwrap()).await.unwrap();
            }
        };
        let receiver = async {
            for index in 0..40u32 {
                let (number, filler): (u32, Vec<u8>) = reader.message().await.unwrap().unwrap();
                assert_eq!((number, filler.len()), (index, usize::try_from(index).unwrap() * 2000));
                if index % 2 == 0 {
                    let mut text = String::new();
                    File::from(reader.take_descriptor().unwrap()).read_to_string(&mut text).unwrap();
                    assert_eq!(text, format!("file {index}"));
                }
            }
            assert!(reader.take_descriptor().is_none());
            assert!(reader.next().await.unwrap().is_none());
        };
        tokio::join!(sender, receiver);
    }

    #[tokio::test]
    async fn descriptors_are_dropped_where_none_are_wanted() {
        let (stream, mut reader) = pair(false);
        let file = tempfile::tempfile().unwrap();
        send(&stream, &Frame::new(&1u32, Some(file.into())).unwrap()).await.unwrap();
        assert_eq!(reader.message::<u32>().await.unwrap(), Some(1));
        assert!(reader.take_descriptor().is_none());
    }

    #[tokio::test]
    async fn a_flood_of_descriptors_ends_the_connection() {
        let (stream, mut reader) = pair(true);
        let flood = async {
            for _ in 0..20 {
                let frame = Frame::new(&1u32, Some(tempfile::tempfile().unwrap().into())).unwrap();
                send(&stream, &frame).await.unwrap();
            }
        };
        flood.await;
        let outcome = async {
            loop {
                if let Err(error) = reader.message::<u32>().await {
                    return error;
                }
            }
        };
        assert!(matches!(outcome.await, WireError::TooManyDescriptors));
    }

    #[tokio::test]
    async fn lengths_beyond_the_bound_and_cut_frames_are_refused() {
        let (mut stream, mut reader) = pair(false);
        stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
        assert!(matches!(reader.next().await, Err(WireError::TooLong(_))));
        let (mut stream, mut reader) = pair(false);
        stream.write_all(&[9, 0, 0, 0, 1, 2]).await.unwrap();
        drop(stream);
        assert!(matches!(reader.next().await, Err(WireError::Truncated)));
        assert!(matches!(Frame::new(&vec![1u8; MAX_FRAME], None), Err(WireError::TooLong(_))));
    }

    #[tokio::test]
    async fn another_version_is_named() {
        let (stream, mut reader) = pair(false);
        send(&stream, &Frame::hello(9)).await.unwrap();
        assert!(matches!(reader.hello(1).await, Err(WireError::Version { found: 9, expected: 1 })));
        send(&stream, &Frame::new(&"hello", None).unwrap()).await.unwrap();
        assert!(matches!(reader.hello(1).await, Err(WireError::Malformed(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for kind in 0..2 {
                    let (mut stream, mut reader) = pair(true);
                    let mut framed = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
                    framed.extend(&bytes);
                    stream.write_all(if kind == 0 { &framed } else { &bytes }).await.unwrap();
                    drop(stream);
                    while let Ok(Some(_)) = reader.message::<ToDaemon>().await {}
                }
                let _ = postcard::take_from_bytes::<ToAgent>(&bytes);
            });
        }
    }
}
