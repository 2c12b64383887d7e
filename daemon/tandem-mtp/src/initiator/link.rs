//! The transport's two streams as containers: headers found among zero-length packets and stray bytes, payloads counted,
//! events gathered beside them.
//!
//! It must not know operations; time limits are its callers'.

use crate::codec::DecodeError;
use crate::codec::container::{Event, HEADER_BYTES, Header, MAX_PARAMETERS, Response};
use crate::codes::EventCode;
use crate::transport::{ClassRequest, Transport, TransportError};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Events that are kept for whoever asks; older ones give way.
const KEPT_EVENTS: usize = 256;

/// Short packets that can't begin a container and are skipped before one. A device that appends a byte instead of
/// sending a zero-length packet makes one of them, some players send zero-length packets in between.
const SKIPPED_PACKETS: usize = 16;

/// Why the stream can't be followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LinkError {
    Transport(TransportError),
    Malformed(DecodeError),
    /// Nothing came yet, but the device has told that its store is full. Told once.
    StoreFull,
}

impl From<TransportError> for LinkError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// How sending went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// There is space for more, or everything was taken.
    Ready,
    /// The device has answered before it had everything.
    AnsweredEarly,
    /// The device has told that its store is full; it may take more all the same. Told once.
    StoreFull,
}

/// A payload that is arriving.
#[derive(Debug)]
pub(super) struct Payload {
    /// Bytes to come; `None` when only a short packet tells.
    left: Option<u64>,
    /// Bytes that came.
    pub(super) received: u64,
    /// A short packet came.
    ended: bool,
}

impl Payload {
    pub(super) fn new(length: Option<u64>) -> Self {
        Self { left: length, received: 0, ended: false }
    }

    /// Whether it ended before its announced end.
    pub(super) fn is_cut(&self) -> bool {
        self.ended && self.left.is_some_and(|left| left > 0)
    }
}

pub(super) struct Link {
    transport: Box<dyn Transport>,
    events: VecDeque<Event>,
    interrupts: Vec<u8>,
    /// The interrupt pipe has failed: it isn't polled any more.
    deaf: bool,
    /// The device told that its store is full, since this was last forgotten, and whether whoever sends knows.
    store_full: Option<bool>,
    /// A header that was read before its time, and whether a short packet came right after it.
    peeked: Option<(Header, bool)>,
}

impl Link {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        let (events, interrupts) = (VecDeque::new(), Vec::new());
        Self { transport, events, interrupts, deaf: false, store_full: None, peeked: None }
    }

    /// What was told of a full store before counts no more.
    pub(super) fn forget_store_full(&mut self) {
        self.store_full = None;
    }

    /// Whether the device has told that its store is full.
    pub(super) const fn is_store_full(&self) -> bool {
        self.store_full.is_some()
    }

    /// Whether whoever sends has yet to be told that the store is full; from now on he knows.
    fn learn_store_full(&mut self) -> bool {
        let is_news = self.store_full == Some(false);
        self.store_full = self.store_full.map(|_| true);
        is_news
    }

    pub(super) fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Waits for an event; for ever when the interrupt pipe has failed but the device is there.
    pub(super) async fn event(&mut self) -> Result<Event, TransportError> {
        poll_fn(|context| {
            self.poll_events(context)?;
            self.events.pop_front().map_or(Poll::Pending, |event| Poll::Ready(Ok(event)))
        })
        .await
    }

    /// Gathers what the interrupt pipe has. Events may come in pieces or several at once.
    fn poll_events(&mut self, context: &mut Context<'_>) -> Result<(), TransportError> {
        while !self.deaf {
            match self.transport.poll_interrupt(context, &mut self.interrupts) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => self.sort_interrupts(),
                Poll::Ready(Err(TransportError::Gone)) => return Err(TransportError::Gone),
                Poll::Ready(Err(_)) => self.deaf = true,
            }
        }
        Ok(())
    }

    fn sort_interrupts(&mut self) {
        while self.interrupts.len() >= HEADER_BYTES {
            let length = Header::decode(&self.interrupts).map(|header| header.length as usize);
            match length {
                Ok(length @ HEADER_BYTES..=64) if length > self.interrupts.len() => return,
                Ok(length @ HEADER_BYTES..=64) => {
                    if let Ok(event) = Event::decode(&self.interrupts) {
                        if event.code == EventCode::STORE_FULL {
                            self.store_full = self.store_full.or(Some(false));
                        }
                        if self.events.len() == KEPT_EVENTS {
                            self.events.pop_front();
                        }
                        self.events.push_back(event);
                    }
                    self.interrupts.drain(..length);
                }
                // what isn't an event has no end that could be found
                _ => self.interrupts.clear(),
            }
        }
    }

    /// Waits until something has arrived.
    async fn arrival(&mut self, expected: u64) -> Result<(), TransportError> {
        poll_fn(|context| {
            self.poll_events(context)?;
            self.transport.poll_in(context, expected)
        })
        .await
    }

    /// The next container's header, and whether a short packet came right after it.
    pub(super) async fn header(&mut self) -> Result<(Header, bool), LinkError> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(peeked);
        }
        let mut bytes = [0; HEADER_BYTES];
        let (mut have, mut skipped) = (0, 0);
        loop {
            poll_fn(|context| {
                self.poll_events(context)?;
                match self.transport.poll_in(context, 0) {
                    Poll::Pending if have == 0 && self.learn_store_full() => {
                        Poll::Ready(Err(LinkError::StoreFull))
                    }
                    arrived => arrived.map_err(LinkError::from),
                }
            })
            .await?;
            let arrived = self.transport.arrived();
            let taken = arrived.bytes.len().min(HEADER_BYTES - have);
            bytes[have..have + taken].copy_from_slice(&arrived.bytes[..taken]);
            let ended = arrived.ended && taken == arrived.bytes.len();
            self.transport.consume(taken);
            have += taken;
            if have == HEADER_BYTES {
                return Ok((Header::decode(&bytes).map_err(LinkError::Malformed)?, ended));
            }
            if ended {
                skipped += 1;
                have = 0;
            }
            if skipped > SKIPPED_PACKETS {
                let missing = DecodeError::Truncated { at: 0, needed: HEADER_BYTES, have: taken };
                return Err(LinkError::Malformed(missing));
            }
        }
    }

    /// Gives a header back for the next [`Link::header`].
    pub(super) fn unread(&mut self, header: (Header, bool)) {
        self.peeked = Some(header);
    }

    /// Waits for more of a payload: how many bytes of it have arrived, 0 at its end. They are read with
    /// [`Link::arrived`] and given back with [`Link::advance`].
    pub(super) async fn more(&mut self, payload: &mut Payload) -> Result<usize, TransportError> {
        loop {
            if payload.ended || payload.left == Some(0) {
                return Ok(0);
            }
            self.arrival(payload.left.unwrap_or(0)).await?;
            let arrived = self.transport.arrived();
            let wanted = payload.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            match arrived.bytes.len().min(wanted) {
                0 => self.advance(payload, 0),
                available => return Ok(available),
            }
        }
    }

    pub(super) fn arrived(&self, bytes: usize) -> &[u8] {
        &self.transport.arrived().bytes[..bytes]
    }

    pub(super) fn advance(&mut self, payload: &mut Payload, bytes: usize) {
        let arrived = self.transport.arrived();
        payload.ended = arrived.ended && bytes == arrived.bytes.len();
        payload.received += bytes as u64;
        payload.left = payload.left.map(|left| left.saturating_sub(bytes as u64));
        self.transport.consume(bytes);
    }

    /// Reads a payload to its end and forgets it.
    pub(super) async fn skip(&mut self, payload: &mut Payload) -> Result<(), TransportError> {
        loop {
            match self.more(payload).await? {
                0 => return Ok(()),
                bytes => self.advance(payload, bytes),
            }
        }
    }

    /// Waits for space to fill, or for an answer that nobody expects yet.
    pub(super) async fn space(&mut self) -> Result<Sent, TransportError> {
        poll_fn(|context| match self.poll_early(context)? {
            Some(sent) => Poll::Ready(Ok(sent)),
            None => self.transport.poll_out(context).map_ok(|()| Sent::Ready),
        })
        .await
    }

    /// Waits for space to fill, whatever arrives meanwhile.
    async fn out_ready(&mut self) -> Result<(), TransportError> {
        poll_fn(|context| {
            self.poll_events(context)?;
            self.transport.poll_out(context)
        })
        .await
    }

    /// As [`Link::end`], whatever arrives meanwhile.
    pub(super) async fn end_unwatched(&mut self, bytes: u64) -> Result<(), TransportError> {
        let empty_packet = self.ends_with_empty_packet(bytes);
        poll_fn(|context| {
            self.poll_events(context)?;
            self.transport.poll_out_end(context, empty_packet)
        })
        .await
    }

    fn ends_with_empty_packet(&self, bytes: u64) -> bool {
        bytes.is_multiple_of(self.transport.max_packet_size().max(1) as u64)
    }

    pub(super) fn out_space(&mut self) -> &mut [u8] {
        self.transport.out_space()
    }

    pub(super) fn out_filled(&mut self, bytes: usize) {
        self.transport.out_filled(bytes);
    }

    /// Sends bytes, whatever arrives meanwhile, without ending the transfer.
    pub(super) async fn put(&mut self, mut bytes: &[u8]) -> Result<(), TransportError> {
        while !bytes.is_empty() {
            self.out_ready().await?;
            let space = self.transport.out_space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.transport.out_filled(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Ends a transfer of that many bytes: the device sees its end by a short packet, or by one without bytes.
    pub(super) async fn end(&mut self, bytes: u64) -> Result<Sent, TransportError> {
        let empty_packet = self.ends_with_empty_packet(bytes);
        poll_fn(|context| match self.transport.poll_out_end(context, empty_packet)? {
            Poll::Ready(()) => Poll::Ready(Ok(Sent::Ready)),
            Poll::Pending => match self.poll_early(context)? {
                Some(sent) => Poll::Ready(Ok(sent)),
                None => Poll::Pending,
            },
        })
        .await
    }

    /// Looks for what comes while we send: bytes, and that the store is full. Late zero-length packets are skipped.
    fn poll_early(&mut self, context: &mut Context<'_>) -> Result<Option<Sent>, TransportError> {
        self.poll_events(context)?;
        if self.learn_store_full() {
            return Ok(Some(Sent::StoreFull));
        }
        loop {
            match self.transport.poll_in(context, 0) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if !self.transport.arrived().bytes.is_empty() => {
                    return Ok(Some(Sent::AnsweredEarly));
                }
                Poll::Ready(Ok(())) => self.transport.consume(0),
            }
        }
    }

    pub(super) async fn abort_out(&mut self) {
        poll_fn(|context| self.transport.poll_out_abort(context)).await;
    }

    /// Throws away what one transfer brought; true when it was this transaction's response.
    pub(super) async fn drain_one(&mut self, transaction: u32) -> Result<bool, TransportError> {
        self.peeked = None;
        self.arrival(0).await?;
        let bytes = self.transport.arrived().bytes;
        let ends =
            |bytes: &[u8]| Response::decode(bytes).is_ok_and(|response| response.transaction == transaction);
        // glued to the end of data, a response is found by its place: at most 32 bytes from the end
        let is_response = ends(bytes)
            || (0..=MAX_PARAMETERS).any(|parameters| {
                bytes.len().checked_sub(HEADER_BYTES + 4 * parameters).is_some_and(|at| ends(&bytes[at..]))
            });
        let length = bytes.len();
        self.transport.consume(length);
        Ok(is_response)
    }

    pub(super) async fn class_request(&mut self, request: ClassRequest) -> Result<Vec<u8>, TransportError> {
        self.transport.class_request(request).await
    }

    pub(super) async fn clear_halts(&mut self) -> Result<(), TransportError> {
        self.transport.clear_halts().await
    }
}
