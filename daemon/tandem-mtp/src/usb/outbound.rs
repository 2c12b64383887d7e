//! The bulk OUT pipe: a few buffers that are filled, submitted and used again, so that the device never waits for us.
//!
//! It must not hold more than [`DEPTH`] buffers of [`BYTES`] bytes: usbfs counts them against all programs together.

use super::{kernel_error, transport_error};
use crate::transport::TransportError;
use nusb::Endpoint;
use nusb::transfer::{Buffer, Bulk, Out};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// Bytes of a buffer.
const BYTES: usize = 256 * 1024;
/// Buffers at most.
const DEPTH: usize = 4;

/// The pipe and its buffers.
pub(super) struct Outbound {
    endpoint: Endpoint<Bulk, Out>,
    /// Whole buffers that nobody uses.
    spare: Vec<Buffer>,
    /// The buffer that is being filled, and how far it is.
    filling: Option<(Buffer, usize)>,
    /// What ends a phase is submitted.
    ending: bool,
    /// Transfers under way whose outcome nobody wants: they were behind one that failed.
    unwanted: usize,
}

impl Outbound {
    pub(super) fn new(endpoint: Endpoint<Bulk, Out>) -> Self {
        Self { endpoint, spare: Vec::new(), filling: None, ending: false, unwanted: 0 }
    }

    /// Takes back what is done. Ready when nothing is under way.
    fn poll_reap(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        while self.endpoint.pending() > 0 {
            let completion = ready!(self.endpoint.poll_next_complete(context));
            if completion.buffer.len() == BYTES && self.spare.len() < DEPTH {
                self.spare.push(completion.buffer);
            }
            if self.unwanted > 0 {
                self.unwanted -= 1;
            } else if let Err(error) = completion.status {
                self.give_up();
                return Poll::Ready(Err(transport_error(error)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Cancels all that is under way and forgets what is filled.
    fn give_up(&mut self) {
        self.unwanted = self.endpoint.pending();
        if self.unwanted > 0 {
            self.endpoint.cancel_all();
        }
        if let Some((buffer, _)) = self.filling.take() {
            self.spare.push(buffer);
        }
        self.ending = false;
    }

    pub(super) fn poll_space(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.ending = false;
        if self.filling.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(Err(error)) = self.poll_reap(context) {
            return Poll::Ready(Err(error));
        }
        let buffer = match self.spare.pop() {
            Some(buffer) => buffer,
            None if self.endpoint.pending() < DEPTH => {
                let mut buffer = self.endpoint.allocate(BYTES);
                buffer.extend_fill(BYTES, 0);
                buffer
            }
            // the poll above has kept the waker
            None => return Poll::Pending,
        };
        self.filling = Some((buffer, 0));
        Poll::Ready(Ok(()))
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        self.filling.as_mut().map_or(&mut [], |(buffer, filled)| &mut buffer[*filled..])
    }

    pub(super) fn filled(&mut self, bytes: usize) {
        let Some((buffer, filled)) = self.filling.take() else { return };
        let filled = (filled + bytes).min(BYTES);
        if filled == BYTES {
            self.endpoint.submit(buffer);
        } else {
            self.filling = Some((buffer, filled));
        }
    }

    pub(super) fn poll_end(
        &mut self,
        context: &mut Context<'_>,
        zero_length_packet: bool,
    ) -> Poll<Result<(), TransportError>> {
        if !self.ending {
            if let Some((buffer, filled)) = self.filling.take() {
                if filled > 0 {
                    // a buffer's length can't be cut, and what is left over is less than one
                    let mut rest = Buffer::new(filled);
                    rest.extend_from_slice(&buffer[..filled]);
                    self.endpoint.submit(rest);
                }
                self.spare.push(buffer);
            }
            if zero_length_packet {
                self.endpoint.submit(Buffer::new(0));
            }
            self.ending = true;
        }
        ready!(self.poll_reap(context))?;
        self.ending = false;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_abort(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.filling.is_some() || self.unwanted < self.endpoint.pending() {
            self.give_up();
        }
        // with all of them unwanted there is no error to tell
        ready!(self.poll_reap(context)).ok();
        Poll::Ready(())
    }

    pub(super) async fn clear_halt(&mut self) -> Result<(), TransportError> {
        poll_fn(|context| self.poll_abort(context)).await;
        self.endpoint.clear_halt().await.map_err(|error| kernel_error(&error))
    }
}
