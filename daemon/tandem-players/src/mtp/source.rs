//! What is sent and what is read back, counted, hashed and stoppable, as streams for the initiator.
//!
//! It must not hold more than a buffer of a file.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tandem_model::error::PlayerError;
use tandem_model::player::{Source, Transfer};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt, AsyncWrite, ReadBuf};
use xxhash_rust::xxh3::Xxh3;

enum Body {
    File(File),
    Bytes(Arc<[u8]>, usize),
}

/// A source on its way to the device.
pub(crate) struct Outgoing<'a> {
    body: Body,
    transfer: &'a Transfer,
    hash: Box<Xxh3>,
}

/// Bytes that a source has, where that can be told.
async fn length(body: &Body) -> Result<Option<u64>, PlayerError> {
    match body {
        Body::Bytes(bytes, _) => Ok(Some(bytes.len() as u64)),
        Body::File(file) => {
            let metadata = file.metadata().await.map_err(|error| PlayerError::Source(error.to_string()))?;
            Ok(metadata.is_file().then_some(metadata.len()))
        }
    }
}

impl<'a> Outgoing<'a> {
    /// The source from its start, if it has as many bytes as it should.
    pub(crate) async fn new(source: &Source, size: u64, transfer: &'a Transfer) -> Result<Self, PlayerError> {
        let unreadable = |error: io::Error| PlayerError::Source(error.to_string());
        let body = match source {
            Source::Bytes(bytes) => Body::Bytes(Arc::clone(bytes), 0),
            Source::File(file) => {
                let mut file = File::from_std(file.try_clone().map_err(unreadable)?);
                file.rewind().await.map_err(unreadable)?;
                Body::File(file)
            }
        };
        let outgoing = Self { body, transfer, hash: Box::new(Xxh3::new()) };
        outgoing.check(size).await?;
        Ok(outgoing)
    }

    /// Whether the source has that many bytes now.
    pub(crate) async fn check(&self, size: u64) -> Result<(), PlayerError> {
        match length(&self.body).await? {
            Some(length) if length != size => Err(PlayerError::SourceChanged),
            Some(_) => Ok(()),
            None => Err(PlayerError::Source("it is not a file".to_owned())),
        }
    }

    /// XXH3-128 of what was read.
    pub(crate) fn hash(&self) -> u128 {
        self.hash.digest128()
    }
}

impl AsyncRead for Outgoing<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.transfer.is_cancelled() {
            return Poll::Ready(Err(io::Error::other("stopped")));
        }
        let before = buffer.filled().len();
        match &mut this.body {
            Body::File(file) => ready!(Pin::new(file).poll_read(context, buffer))?,
            Body::Bytes(bytes, at) => {
                let count = buffer.remaining().min(bytes.len() - *at);
                buffer.put_slice(&bytes[*at..*at + count]);
                *at += count;
            }
        }
        let fresh = &buffer.filled()[before..];
        this.hash.update(fresh);
        this.transfer.add(fresh.len() as u64);
        Poll::Ready(Ok(()))
    }
}

/// What comes from the device: hashed, and kept up to a limit.
pub(crate) struct Incoming<'a> {
    pub(crate) kept: Vec<u8>,
    limit: usize,
    hash: Option<Box<Xxh3>>,
    transfer: Option<&'a Transfer>,
}

impl<'a> Incoming<'a> {
    /// Keeps at most so many bytes, and takes the rest without keeping it.
    pub(crate) fn keep(limit: u64) -> Self {
        Self {
            kept: Vec::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            hash: None,
            transfer: None,
        }
    }

    /// Keeps nothing but the hash, and stops when that is wanted.
    pub(crate) fn hash(transfer: &'a Transfer) -> Self {
        Self { kept: Vec::new(), limit: 0, hash: Some(Box::new(Xxh3::new())), transfer: Some(transfer) }
    }

    /// XXH3-128 of what came.
    pub(crate) fn digest(&self) -> u128 {
        self.hash.as_ref().map_or(0, |hash| hash.digest128())
    }
}

impl AsyncWrite for Incoming<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.transfer.is_some_and(Transfer::is_cancelled) {
            return Poll::Ready(Err(io::Error::other("stopped")));
        }
        if let Some(hash) = &mut this.hash {
            hash.update(bytes);
        }
        let kept = bytes.len().min(this.limit - this.kept.len());
        this.kept.extend_from_slice(&bytes[..kept]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
