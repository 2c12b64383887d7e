//! A wire within this process: both bulk pipes with their packet ends, the interrupt pipe and the class requests.
//!
//! The initiator's end polls the responder itself, so that nothing has to be spawned and nothing runs when nobody asks. It
//! must not know containers.

use super::port::{Delivery, Port, Received, Unplugged};
use crate::transport::{Arrived, ClassRequest, Transport, TransportError};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tandem_model::BoxFuture;

/// Bytes that a pipe holds before its writer waits.
const PIPE_BYTES: usize = 256 << 10;

/// Bytes of the initiator's buffer: one transfer.
const TRANSFER_BYTES: usize = 64 << 10;

/// Events that wait to be fetched.
const EVENTS: usize = 256;

#[derive(Debug, Default)]
struct Pipe {
    bursts: VecDeque<(Vec<u8>, bool)>,
    bytes: usize,
    halted: bool,
}

impl Pipe {
    fn push(&mut self, bytes: Vec<u8>, ended: bool) {
        self.bytes += bytes.len();
        self.bursts.push_back((bytes, ended));
    }

    fn pop(&mut self) -> Option<(Vec<u8>, bool)> {
        let burst = self.bursts.pop_front()?;
        self.bytes -= burst.0.len();
        Some(burst)
    }

    fn clear(&mut self) {
        self.bursts.clear();
        self.bytes = 0;
    }
}

#[derive(Debug)]
struct State {
    to_device: Pipe,
    to_host: Pipe,
    events: VecDeque<Vec<u8>>,
    requests: VecDeque<ClassRequest>,
    status: Option<u16>,
    gone: bool,
    host: Option<Waker>,
}

/// What both ends share.
#[derive(Debug, Clone)]
pub(super) struct Wire(Arc<Mutex<State>>);

impl Wire {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            to_device: Pipe::default(),
            to_host: Pipe::default(),
            events: VecDeque::new(),
            requests: VecDeque::new(),
            status: Some(crate::codes::ResponseCode::OK.0),
            gone: false,
            host: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // no code of ours panics while it holds the lock, and numbers in queues can't be half changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the device off the bus and wakes whoever waits for it.
    pub(super) fn unplug(&self) {
        let waker = {
            let mut state = self.state();
            state.gone = true;
            state.host.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Puts an event on the interrupt pipe and wakes whoever waits for it.
    pub(super) fn event(&self, bytes: Vec<u8>) {
        let waker = {
            let mut state = self.state();
            // as on a real pipe, what nobody fetches is lost
            if state.events.len() < EVENTS {
                state.events.push_back(bytes);
            }
            state.host.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The device's end.
pub(super) struct PipePort {
    wire: Wire,
    packet: usize,
}

impl PipePort {
    pub(super) fn new(wire: Wire, packet: usize) -> Self {
        Self { wire, packet }
    }
}

// The initiator's end polls these whenever anything may have changed: they need no waker.
impl Port for PipePort {
    fn max_packet_size(&self) -> usize {
        self.packet
    }

    fn receive(&mut self) -> BoxFuture<'_, Result<Received, Unplugged>> {
        Box::pin(poll_fn(|_| {
            let mut state = self.wire.state();
            if state.gone {
                return Poll::Ready(Err(Unplugged));
            }
            if let Some(request) = state.requests.pop_front() {
                return Poll::Ready(Ok(Received::Request(request)));
            }
            let burst = state.to_device.pop();
            burst.map_or(Poll::Pending, |(bytes, ended)| Poll::Ready(Ok(Received::Data { bytes, ended })))
        }))
    }

    fn send(&mut self, bytes: Vec<u8>, end: bool) -> BoxFuture<'_, Result<Delivery, Unplugged>> {
        let mut bytes = Some(bytes);
        Box::pin(poll_fn(move |_| {
            let mut state = self.wire.state();
            if state.gone {
                return Poll::Ready(Err(Unplugged));
            }
            if !state.requests.is_empty() {
                return Poll::Ready(Ok(Delivery::Interrupted));
            }
            if state.to_host.bytes >= PIPE_BYTES {
                return Poll::Pending;
            }
            if let Some(bytes) = bytes.take() {
                state.to_host.push(bytes, end);
            }
            Poll::Ready(Ok(Delivery::Done))
        }))
    }

    fn event(&mut self, bytes: Vec<u8>) {
        self.wire.event(bytes);
    }

    fn flush(&mut self) {
        let mut state = self.wire.state();
        state.to_device.clear();
        state.to_host.clear();
    }

    fn stall(&mut self) {
        let mut state = self.wire.state();
        state.to_device.clear();
        (state.to_device.halted, state.to_host.halted) = (true, true);
    }

    fn unstalled(&mut self) -> BoxFuture<'_, Result<(), Unplugged>> {
        Box::pin(poll_fn(|_| {
            let state = self.wire.state();
            match (state.gone, state.to_host.halted || state.to_device.halted) {
                (true, _) => Poll::Ready(Err(Unplugged)),
                (false, true) => Poll::Pending,
                (false, false) => Poll::Ready(Ok(())),
            }
        }))
    }

    fn set_status(&mut self, code: Option<u16>) {
        self.wire.state().status = code;
    }

    fn unplug(&mut self) {
        self.wire.unplug();
    }
}

/// The initiator's end, which keeps the responder going.
pub(super) struct PipeTransport {
    wire: Wire,
    packet: usize,
    device: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    out: Vec<u8>,
    filled: usize,
    /// The zero-length packet of the end that is being sent is already queued.
    ending: bool,
    arrived: Option<(Vec<u8>, bool)>,
    consumed: usize,
}

impl PipeTransport {
    pub(super) fn new(wire: Wire, packet: usize, device: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        Self {
            wire,
            packet,
            device: Some(device),
            out: vec![0; TRANSFER_BYTES],
            filled: 0,
            ending: false,
            arrived: None,
            consumed: 0,
        }
    }

    /// Lets the device go on, and keeps the waker for what comes from elsewhere.
    fn drive(&mut self, context: &mut Context<'_>) -> Result<MutexGuard<'_, State>, TransportError> {
        if let Some(device) = &mut self.device
            && device.as_mut().poll(context).is_ready()
        {
            self.device = None;
            self.wire.unplug();
        }
        let mut state = self.wire.state();
        if state.gone {
            return Err(TransportError::Gone);
        }
        if !state.host.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.host = Some(context.waker().clone());
        }
        Ok(state)
    }

    fn submit(&mut self, ended: bool) {
        if self.filled == 0 && !ended {
            return;
        }
        let bytes = self.out[..self.filled].to_vec();
        self.filled = 0;
        let mut state = self.wire.state();
        if !state.to_device.halted {
            state.to_device.push(bytes, ended);
        }
    }
}

impl Transport for PipeTransport {
    fn max_packet_size(&self) -> usize {
        self.packet
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let state = self.drive(context)?;
        if state.to_device.halted {
            return Poll::Ready(Err(TransportError::Stalled));
        }
        if state.to_device.bytes >= PIPE_BYTES { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn out_space(&mut self) -> &mut [u8] {
        self.ending = false;
        &mut self.out[self.filled..]
    }

    fn out_filled(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(TRANSFER_BYTES);
        if self.filled == TRANSFER_BYTES {
            self.submit(false);
        }
    }

    fn poll_out_end(
        &mut self,
        context: &mut Context<'_>,
        zero_length_packet: bool,
    ) -> Poll<Result<(), TransportError>> {
        if !self.ending {
            self.ending = true;
            let short = !self.filled.is_multiple_of(self.packet);
            self.submit(short || zero_length_packet);
        }
        let state = self.drive(context)?;
        if state.to_device.halted {
            return Poll::Ready(Err(TransportError::Stalled));
        }
        if !state.to_device.bursts.is_empty() {
            return Poll::Pending;
        }
        drop(state);
        self.ending = false;
        Poll::Ready(Ok(()))
    }

    fn poll_out_abort(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        self.filled = 0;
        self.ending = false;
        self.wire.state().to_device.clear();
        Poll::Ready(())
    }

    fn poll_in(&mut self, context: &mut Context<'_>, _expected: u64) -> Poll<Result<(), TransportError>> {
        if self.arrived.is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut state = match self.drive(context) {
            Ok(state) => state,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let burst = state.to_host.pop();
        let halted = state.to_host.halted;
        drop(state);
        match burst {
            Some(burst) => {
                self.arrived = Some(burst);
                self.consumed = 0;
                Poll::Ready(Ok(()))
            }
            None if halted => Poll::Ready(Err(TransportError::Stalled)),
            None => Poll::Pending,
        }
    }

    fn arrived(&self) -> Arrived<'_> {
        match &self.arrived {
            Some((bytes, ended)) => Arrived { bytes: &bytes[self.consumed..], ended: *ended },
            None => Arrived { bytes: &[], ended: false },
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed += bytes;
        if self.arrived.as_ref().is_some_and(|(arrived, _)| self.consumed >= arrived.len()) {
            self.arrived = None;
        }
    }

    fn poll_interrupt(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<Result<(), TransportError>> {
        let mut state = self.drive(context)?;
        state.events.pop_front().map_or(Poll::Pending, |event| {
            into.extend_from_slice(&event);
            Poll::Ready(Ok(()))
        })
    }

    fn class_request(&mut self, request: ClassRequest) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        let mut made = false;
        Box::pin(poll_fn(move |context| {
            let mut state = self.drive(context)?;
            let Some(status) = state.status else {
                if request == ClassRequest::Reset && !made {
                    made = true;
                    state.requests.push_back(request);
                }
                return Poll::Ready(Err(TransportError::Stalled));
            };
            if request == ClassRequest::GetStatus {
                let halted = state.to_host.halted || state.to_device.halted;
                let mut answer = if halted { vec![12, 0] } else { vec![4, 0] };
                answer.extend_from_slice(&status.to_le_bytes());
                if halted {
                    answer.extend_from_slice(&[0x81, 0, 0, 0, 0x02, 0, 0, 0]);
                }
                return Poll::Ready(Ok(answer));
            }
            if made {
                return Poll::Ready(Ok(Vec::new()));
            }
            made = true;
            state.requests.push_back(request);
            Poll::Ready(Ok(Vec::new()))
        }))
    }

    fn clear_halts(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            let mut state = self.wire.state();
            if state.gone {
                return Err(TransportError::Gone);
            }
            (state.to_device.halted, state.to_host.halted) = (false, false);
            Ok(())
        })
    }
}
