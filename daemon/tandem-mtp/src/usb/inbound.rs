//! The bulk IN pipe as one stream with marks: as many bytes are asked for as are known to come, a few buffers at a time.
//!
//! It must not ask for more than the phase has while that is known: what comes next belongs to the next container, and is
//! kept as part of the stream all the same.

use super::{kernel_error, transport_error};
use crate::transport::{Arrived, TransportError};
use nusb::Endpoint;
use nusb::transfer::{Buffer, Bulk, In};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// Bytes of a buffer while much is to come.
const BYTES: usize = 256 * 1024;
/// Bytes of the buffer that waits for what nobody knows the length of.
const WAITING_BYTES: usize = 16 * 1024;
/// Transfers under way at most.
const DEPTH: usize = 4;

/// What one transfer brought.
struct Arrival {
    buffer: Buffer,
    /// Bytes that came.
    length: usize,
    /// Bytes that are done with.
    at: usize,
    /// A short or zero-length packet was its end.
    ended: bool,
}

/// The pipe and its buffers.
pub(super) struct Inbound {
    endpoint: Endpoint<Bulk, In>,
    packet: usize,
    spare: Vec<Buffer>,
    current: Option<Arrival>,
    /// Bytes that are asked for and haven't come.
    asked: u64,
    /// An error that came with bytes, which are handed out first.
    failed: Option<TransportError>,
    /// Transfers under way behind one that failed.
    unwanted: usize,
}

impl Inbound {
    pub(super) fn new(endpoint: Endpoint<Bulk, In>) -> Self {
        let packet = endpoint.max_packet_size().max(1);
        Self { endpoint, packet, spare: Vec::new(), current: None, asked: 0, failed: None, unwanted: 0 }
    }

    /// Whether nothing is asked for and nothing is there.
    pub(super) fn is_idle(&self) -> bool {
        self.endpoint.pending() == self.unwanted && self.current.is_none() && self.failed.is_none()
    }

    /// Takes back what is asked for.
    pub(super) fn withdraw(&mut self) {
        if self.endpoint.pending() > self.unwanted {
            self.give_up();
        }
    }

    fn round_up(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(self.packet as u64)
    }

    fn ask(&mut self, bytes: usize) {
        let fitting = self.spare.iter().position(|buffer| buffer.capacity() >= bytes);
        let capacity = if bytes <= WAITING_BYTES { WAITING_BYTES } else { BYTES };
        let mut buffer = match fitting {
            Some(at) => self.spare.swap_remove(at),
            None => self.endpoint.allocate(capacity.next_multiple_of(self.packet)),
        };
        buffer.set_requested_len(bytes);
        self.asked += bytes as u64;
        self.endpoint.submit(buffer);
    }

    /// Keeps enough transfers under way for what is expected.
    fn top_up(&mut self, expected: u64) {
        if self.unwanted > 0 {
            return;
        }
        let wanted = self.round_up(expected);
        while self.asked < wanted && self.endpoint.pending() < DEPTH {
            let bytes = (wanted - self.asked).min(self.round_up(BYTES as u64));
            // at most one buffer
            self.ask(usize::try_from(bytes).unwrap_or(BYTES).max(self.packet));
        }
        if self.endpoint.pending() == 0 {
            self.ask(WAITING_BYTES.next_multiple_of(self.packet));
        }
    }

    fn recycle(&mut self, buffer: Buffer) {
        if self.spare.len() <= DEPTH {
            self.spare.push(buffer);
        }
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        expected: u64,
    ) -> Poll<Result<(), TransportError>> {
        if self.current.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            self.top_up(expected);
            let completion = ready!(self.endpoint.poll_next_complete(context));
            let requested = completion.buffer.requested_len();
            self.asked = self.asked.saturating_sub(requested as u64);
            if self.unwanted > 0 {
                self.unwanted -= 1;
                self.recycle(completion.buffer);
                continue;
            }
            let error = completion.status.err().map(transport_error);
            if error.is_some() {
                self.give_up();
            }
            let length = completion.actual_len.min(completion.buffer.len());
            if length == 0
                && let Some(error) = error
            {
                self.recycle(completion.buffer);
                return Poll::Ready(Err(error));
            }
            let ended = error.is_none() && length < requested;
            self.failed = error;
            self.current = Some(Arrival { buffer: completion.buffer, length, at: 0, ended });
            return Poll::Ready(Ok(()));
        }
    }

    fn give_up(&mut self) {
        self.unwanted = self.endpoint.pending();
        if self.unwanted > 0 {
            self.endpoint.cancel_all();
        }
    }

    pub(super) fn arrived(&self) -> Arrived<'_> {
        match &self.current {
            Some(arrival) => {
                Arrived { bytes: &arrival.buffer[arrival.at..arrival.length], ended: arrival.ended }
            }
            None => Arrived { bytes: &[], ended: false },
        }
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        let Some(mut arrival) = self.current.take() else { return };
        arrival.at = (arrival.at + bytes).min(arrival.length);
        if arrival.at == arrival.length {
            self.recycle(arrival.buffer);
        } else {
            self.current = Some(arrival);
        }
    }

    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.endpoint.pending() > 0 {
            let completion = ready!(self.endpoint.poll_next_complete(context));
            self.recycle(completion.buffer);
        }
        (self.asked, self.unwanted) = (0, 0);
        Poll::Ready(())
    }

    pub(super) async fn clear_halt(&mut self) -> Result<(), TransportError> {
        self.give_up();
        poll_fn(|context| self.poll_drained(context)).await;
        self.current = None;
        self.failed = None;
        self.endpoint.clear_halt().await.map_err(|error| kernel_error(&error))
    }
}
