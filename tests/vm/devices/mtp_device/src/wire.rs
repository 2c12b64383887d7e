//! The player's end of the wire: transfers of the kernel become what the responder receives, and what it sends ends
//! transfers.
//!
//! It must not know containers. Data goes from one to the other within bounds: a transfer towards the player is ended
//! when the responder has taken it, and the responder waits while the host fetches nothing.

use crate::descriptors::{BULK_IN, BULK_OUT, EVENTS, Identity};
use crate::usbip::{self, End, Message, Setup};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::BoxFuture;
use tandem_mtp::responder::{Delivery, Port, Received, Unplugged};
use tandem_mtp::transport::ClassRequest;
use tokio::sync::Notify;

/// Bytes that wait for the host before the responder does.
const PIPE_BYTES: usize = 512 << 10;
/// Events that wait to be fetched; as on a real pipe, more are lost.
const KEPT_EVENTS: usize = 64;

/// A transfer towards the player.
struct Outgoing {
    number: u32,
    bytes: Vec<u8>,
    ended: bool,
}

/// What the responder sent and the host hasn't fetched.
struct Burst {
    bytes: Vec<u8>,
    at: usize,
    end: bool,
}

#[derive(Default)]
struct State {
    from_host: VecDeque<Outgoing>,
    requests: VecDeque<ClassRequest>,
    to_host: VecDeque<Burst>,
    to_host_bytes: usize,
    /// IN transfers without an end: number and bytes asked for.
    asked: VecDeque<(u32, usize)>,
    events: VecDeque<Vec<u8>>,
    asked_events: VecDeque<u32>,
    halted: bool,
    status: Option<u16>,
    gone: bool,
    /// What the kernel is to be told.
    answers: VecDeque<Vec<u8>>,
}

impl State {
    /// Ends IN transfers for which there is something.
    fn pump(&mut self, packet: usize) {
        while let Some((number, length)) = self.asked.front().copied() {
            if self.halted {
                self.asked.pop_front();
                self.answers.push_back(usbip::brought(number, End::Stalled, &[]));
                continue;
            }
            let Some(data) = self.fetch(length, packet) else { break };
            self.asked.pop_front();
            self.answers.push_back(usbip::brought(number, End::Done, &data));
        }
        while !self.events.is_empty()
            && let Some(number) = self.asked_events.pop_front()
        {
            let event = self.events.pop_front().unwrap_or_default();
            self.answers.push_back(usbip::brought(number, End::Done, &event));
        }
    }

    /// What a transfer of this length brings; `None` while it isn't full and nothing has ended it.
    fn fetch(&mut self, length: usize, packet: usize) -> Option<Vec<u8>> {
        let mut available = 0;
        let mut ended = false;
        for burst in &self.to_host {
            available += burst.bytes.len() - burst.at;
            ended = burst.end;
            if ended || available >= length {
                break;
            }
        }
        if available < length && !ended {
            return None;
        }
        let mut data = Vec::with_capacity(available.min(length));
        while let Some(burst) = self.to_host.front_mut() {
            let count = (length - data.len()).min(burst.bytes.len() - burst.at);
            data.extend_from_slice(&burst.bytes[burst.at..burst.at + count]);
            burst.at += count;
            if burst.at < burst.bytes.len() {
                break;
            }
            // a transfer that was filled by whole packets is ended by the next one
            if burst.end && data.len() == length && length > 0 && length.is_multiple_of(packet) {
                break;
            }
            let end = burst.end;
            self.to_host.pop_front();
            if end || data.len() == length {
                break;
            }
        }
        self.to_host_bytes -= data.len();
        Some(data)
    }

    fn refuse_all(&mut self) {
        for one in std::mem::take(&mut self.from_host) {
            self.answers.push_back(usbip::taken(one.number, End::Stalled, 0));
        }
    }
}

/// What the kernel's side and the responder's share.
#[derive(Clone)]
pub(crate) struct Wire {
    identity: Arc<Identity>,
    state: Arc<Mutex<State>>,
    /// Something has come for the responder.
    player: Arc<Notify>,
    /// There are answers.
    kernel: Arc<Notify>,
}

impl Wire {
    pub(crate) fn new(identity: Identity) -> Self {
        let state = State { status: Some(0x2001), ..State::default() };
        Self {
            identity: Arc::new(identity),
            state: Arc::new(Mutex::new(state)),
            player: Arc::new(Notify::new()),
            kernel: Arc::new(Notify::new()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn packet(&self) -> usize {
        usize::from(self.identity.packet)
    }

    /// Takes a message of the kernel's.
    pub(crate) fn handle(&self, message: Message) {
        let mut state = self.state();
        match message {
            Message::Unlink { number, victim } => {
                let before = (state.asked.len(), state.asked_events.len(), state.from_host.len());
                state.asked.retain(|(number, _)| *number != victim);
                state.asked_events.retain(|number| *number != victim);
                state.from_host.retain(|one| one.number != victim);
                let found = before != (state.asked.len(), state.asked_events.len(), state.from_host.len());
                state.answers.push_back(usbip::unlinked(number, found));
            }
            Message::Submit { number, endpoint, flags, length, setup, data } => match endpoint {
                BULK_IN => state.asked.push_back((number, length)),
                EVENTS => state.asked_events.push_back(number),
                BULK_OUT if state.halted => {
                    state.answers.push_back(usbip::taken(number, End::Stalled, 0));
                }
                BULK_OUT => {
                    let short = data.is_empty() || !data.len().is_multiple_of(self.packet());
                    let ended = short || flags & usbip::ZERO_PACKET != 0;
                    state.from_host.push_back(Outgoing { number, bytes: data, ended });
                }
                _ => self.control(&mut state, number, setup, length, &data),
            },
        }
        state.pump(self.packet());
        drop(state);
        self.kernel.notify_one();
        self.player.notify_one();
    }

    fn control(&self, state: &mut State, number: u32, setup: Setup, length: usize, data: &[u8]) {
        let inwards = setup.kind & 0x80 != 0;
        let answer = match (setup.kind & 0x60, inwards) {
            (0, true) => self.identity.get(setup),
            (0, false) => {
                // a halt is lifted, or a configuration is set, which lifts it too
                if setup.request == 1 || setup.request == 9 {
                    state.halted = false;
                }
                Some(Vec::new())
            }
            (0x20, _) => class_request(state, setup.request, data),
            _ => None,
        };
        let ended = match answer {
            None if inwards => usbip::brought(number, End::Stalled, &[]),
            None => usbip::taken(number, End::Stalled, 0),
            Some(mut answer) if inwards => {
                answer.truncate(length);
                usbip::brought(number, End::Done, &answer)
            }
            Some(_) => usbip::taken(number, End::Done, length),
        };
        state.answers.push_back(ended);
    }

    /// Waits for what the kernel is to be told; nothing when the player has left the bus.
    pub(crate) async fn answers(&self) -> VecDeque<Vec<u8>> {
        loop {
            let told = self.kernel.notified();
            {
                let mut state = self.state();
                if state.gone || !state.answers.is_empty() {
                    return std::mem::take(&mut state.answers);
                }
            }
            told.await;
        }
    }

    /// The kernel has hung up, or the plug is pulled.
    pub(crate) fn end(&self) {
        self.state().gone = true;
        self.player.notify_one();
        self.kernel.notify_one();
    }

    /// Changes the state for the responder, and lets the kernel know.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.pump(self.packet());
        drop(state);
        self.kernel.notify_one();
    }

    /// Waits until there is what `look` looks for.
    async fn when<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> Result<T, Unplugged> {
        loop {
            let told = self.player.notified();
            {
                let mut state = self.state();
                if state.gone {
                    return Err(Unplugged);
                }
                if let Some(found) = look(&mut state) {
                    state.pump(self.packet());
                    drop(state);
                    self.kernel.notify_one();
                    return Ok(found);
                }
            }
            told.await;
        }
    }
}

/// Answers a request of the still image class; `None` stalls.
fn class_request(state: &mut State, request: u8, data: &[u8]) -> Option<Vec<u8>> {
    let made = match request {
        0x64 => {
            let transaction = data.get(2..6)?.try_into().ok().map(u32::from_le_bytes)?;
            ClassRequest::Cancel { transaction }
        }
        0x66 => ClassRequest::Reset,
        0x67 => {
            let status = state.status?.to_le_bytes();
            let mut answer = vec![if state.halted { 12 } else { 4 }, 0, status[0], status[1]];
            if state.halted {
                answer.extend_from_slice(&[BULK_IN, 0, 0, 0, BULK_OUT, 0, 0, 0]);
            }
            return Some(answer);
        }
        _ => return None,
    };
    if state.status.is_none() && made != ClassRequest::Reset {
        return None;
    }
    state.requests.push_back(made);
    Some(Vec::new())
}

impl Port for Wire {
    fn max_packet_size(&self) -> usize {
        self.packet()
    }

    fn receive(&mut self) -> BoxFuture<'_, Result<Received, Unplugged>> {
        Box::pin(self.when(|state| {
            if let Some(request) = state.requests.pop_front() {
                return Some(Received::Request(request));
            }
            let one = state.from_host.pop_front()?;
            state.answers.push_back(usbip::taken(one.number, End::Done, one.bytes.len()));
            Some(Received::Data { bytes: one.bytes, ended: one.ended })
        }))
    }

    fn send(&mut self, bytes: Vec<u8>, end: bool) -> BoxFuture<'_, Result<Delivery, Unplugged>> {
        let mut burst = Some(Burst { bytes, at: 0, end });
        Box::pin(self.when(move |state| {
            if !state.requests.is_empty() {
                return Some(Delivery::Interrupted);
            }
            // a transfer that is larger than the pipe is filled all the same
            let asked = state.asked.front().map_or(0, |(_, length)| *length);
            if state.to_host_bytes >= PIPE_BYTES.max(asked) {
                return None;
            }
            let burst = burst.take()?;
            state.to_host_bytes += burst.bytes.len();
            state.to_host.push_back(burst);
            Some(Delivery::Done)
        }))
    }

    fn event(&mut self, bytes: Vec<u8>) {
        self.change(|state| {
            if state.events.len() < KEPT_EVENTS {
                state.events.push_back(bytes);
            }
        });
    }

    fn flush(&mut self) {
        self.change(|state| {
            for one in std::mem::take(&mut state.from_host) {
                state.answers.push_back(usbip::taken(one.number, End::Done, one.bytes.len()));
            }
            state.to_host.clear();
            state.to_host_bytes = 0;
        });
    }

    fn stall(&mut self) {
        self.change(|state| {
            state.halted = true;
            state.refuse_all();
        });
    }

    fn unstalled(&mut self) -> BoxFuture<'_, Result<(), Unplugged>> {
        Box::pin(self.when(|state| (!state.halted).then_some(())))
    }

    fn set_status(&mut self, code: Option<u16>) {
        self.change(|state| state.status = code);
    }

    fn unplug(&mut self) {
        self.end();
    }
}
