//! The responder's loop: commands in, phases of data, responses out, with the faults that were planned.
//!
//! It must not decide what an operation does: the machine does. It ends when the device leaves the bus.

use super::fault::{Fault, Habit};
use super::machine::{Direction, Machine, Outcome, Payload, Reply, direction};
use super::port::{Delivery, Port, Received, Unplugged};
use crate::codec::container::{
    Command, Event, HEADER_BYTES, Header, Kind, LENGTH_UNKNOWN, Parameters, Response,
};
use crate::codes::{EventCode, ResponseCode as R};
use crate::transport::ClassRequest;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that are sent at once; a multiple of every packet size.
const BURST: usize = 64 << 10;

/// Bytes of a dataset that is taken; more is refused.
const LARGEST_DATASET: usize = 16 << 20;

/// What a device needs to find out that its store is full.
const REFUSAL: Duration = Duration::from_millis(1);

/// Why a transaction ended before its response.
enum Cut {
    Unplugged,
    Request(ClassRequest),
}

impl From<Unplugged> for Cut {
    fn from(_: Unplugged) -> Self {
        Self::Unplugged
    }
}

/// A responder on a port.
pub(super) struct Engine {
    machine: Arc<Mutex<Machine>>,
    port: Box<dyn Port>,
    habits: std::collections::BTreeSet<Habit>,
}

impl Engine {
    pub(super) fn new(machine: Arc<Mutex<Machine>>, port: Box<dyn Port>) -> Self {
        let habits = lock(&machine).profile.habits.clone();
        Self { machine, port, habits }
    }

    fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    /// Answers until the device leaves the bus.
    pub(super) async fn run(mut self) {
        if self.has(Habit::NoClassRequests) {
            self.port.set_status(None);
        }
        while self.next().await.is_ok() {}
        let mut machine = self.machine();
        machine.abandon();
        machine.remember();
        drop(machine);
        self.port.unplug();
    }

    async fn next(&mut self) -> Result<(), Unplugged> {
        match self.port.receive().await? {
            Received::Request(request) => self.class_request(request, None).await,
            Received::Data { bytes, .. } => match Command::decode(&bytes) {
                Ok(command) => match self.transaction(&command).await {
                    Ok(()) => Ok(()),
                    Err(Cut::Unplugged) => Err(Unplugged),
                    Err(Cut::Request(request)) => self.class_request(request, Some(command)).await,
                },
                // the end of a data phase that is over
                Err(_) if bytes.is_empty() => Ok(()),
                Err(_) => {
                    self.port.stall();
                    Ok(())
                }
            },
        }
    }

    async fn transaction(&mut self, command: &Command) -> Result<(), Cut> {
        let fault = self.machine().strike(command.code);
        self.begin_fault(fault).await?;
        let outcome = match direction(command.code) {
            Direction::Stream => self.stream(command, fault).await?,
            Direction::ToDevice => {
                let data = self.dataset(command).await?;
                if fault == Some(Fault::UnplugWithin) {
                    return Err(self.unplug());
                }
                let data = data.and_then(|data| {
                    if data.len() > LARGEST_DATASET { Err(R::INVALID_DATASET) } else { Ok(data) }
                });
                self.execute(command, fault, data)
            }
            Direction::None | Direction::ToHost => self.execute(command, fault, Ok(Vec::new())),
        };
        let Some(outcome) = outcome else { return Ok(()) };
        if fault == Some(Fault::UnplugAfter) {
            return Err(self.unplug());
        }
        self.answer(command, outcome, fault).await
    }

    /// What strikes before anything was done.
    async fn begin_fault(&mut self, fault: Option<Fault>) -> Result<(), Cut> {
        match fault {
            Some(Fault::UnplugBefore) => Err(self.unplug()),
            Some(Fault::LostSession) => {
                self.machine().session = None;
                Ok(())
            }
            Some(Fault::HangForever) => {
                self.port.set_status(None);
                loop {
                    match self.port.receive().await? {
                        Received::Request(request @ ClassRequest::Reset) => {
                            return Err(Cut::Request(request));
                        }
                        Received::Request(_) | Received::Data { .. } => {}
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn execute(&self, command: &Command, fault: Option<Fault>, data: Result<Vec<u8>, R>) -> Option<Outcome> {
        let refused = match fault {
            Some(Fault::Busy) => Some(R::DEVICE_BUSY),
            Some(Fault::StoreFull) => Some(R::STORE_FULL),
            _ => None,
        };
        let data = refused.map_or(data, Err);
        Some(data.and_then(|data| self.machine().execute(command, &data)))
    }

    fn unplug(&mut self) -> Cut {
        self.port.unplug();
        Cut::Unplugged
    }

    /// Reads the header of a data phase, and what came with it.
    async fn data_header(&mut self) -> Result<Result<(Header, Vec<u8>, bool), R>, Cut> {
        let (mut bytes, mut ended) = self.burst().await?;
        while bytes.len() < HEADER_BYTES && !ended {
            let (more, end) = self.burst().await?;
            bytes.extend_from_slice(&more);
            ended = end;
        }
        let header = match Header::decode(&bytes) {
            Ok(header) if header.kind == Kind::Data => header,
            _ => return Ok(Err(R::GENERAL_ERROR)),
        };
        let payload = bytes.split_off(HEADER_BYTES);
        let has_payload = header.length as usize > HEADER_BYTES;
        if self.has(Habit::SplitHeader) && has_payload {
            if !payload.is_empty() || !ended {
                return Ok(Err(R::INVALID_DATASET));
            }
            ended = false;
        }
        Ok(Ok((header, payload, ended)))
    }

    async fn burst(&mut self) -> Result<(Vec<u8>, bool), Cut> {
        match self.port.receive().await? {
            Received::Data { bytes, ended } => Ok((bytes, ended)),
            Received::Request(request) => Err(Cut::Request(request)),
        }
    }

    /// Reads a dataset; its end is a short packet, as on Android.
    async fn dataset(&mut self, command: &Command) -> Result<Result<Vec<u8>, R>, Cut> {
        let (header, mut data, mut ended) = match self.data_header().await? {
            Ok(begun) => begun,
            Err(code) => return Ok(Err(code)),
        };
        while !ended {
            let (more, end) = self.burst().await?;
            if data.len() <= LARGEST_DATASET {
                data.extend_from_slice(&more);
            }
            ended = end;
        }
        let whole = header.payload() == Some(data.len() as u64) && header.code == command.code.0;
        Ok(if whole { Ok(data) } else { Err(R::INCOMPLETE_TRANSFER) })
    }

    /// Takes bytes of an object; `None` when the answer was given on the way.
    async fn stream(&mut self, command: &Command, fault: Option<Fault>) -> Result<Option<Outcome>, Cut> {
        let (header, mut bytes, mut ended) = match self.data_header().await? {
            Ok(begun) => begun,
            Err(code) => return Ok(Some(Err(code))),
        };
        let refused = if fault == Some(Fault::Busy) { Err(R::DEVICE_BUSY) } else { Ok(()) };
        let begun = refused.and_then(|()| self.machine().begin_incoming(command, header.payload()));
        let half = header.payload().unwrap_or(u64::from(LENGTH_UNKNOWN)) / 2;
        let mut target = begun;
        let mut received = 0;
        loop {
            received += bytes.len() as u64;
            if let Ok(incoming) = &mut target {
                let taken = self.machine().take_incoming(incoming, &bytes);
                target = target.and_then(|incoming| taken.map(|()| incoming));
                if let Err(R::STORE_FULL) = target
                    && self.has(Habit::StoreFullLate)
                    && !ended
                {
                    return self.refuse_midway(command).await;
                }
            }
            if received >= half && fault == Some(Fault::UnplugWithin) {
                return Err(self.unplug());
            }
            if received >= half && !ended && fault == Some(Fault::StoreFull) {
                return self.refuse_midway(command).await;
            }
            if received >= half && fault == Some(Fault::StoreFullEvent) {
                return Err(self.stop_full().await?);
            }
            if ended {
                break;
            }
            (bytes, ended) = self.burst().await?;
        }
        let refused = fault == Some(Fault::StoreFull);
        let target = if refused { target.and(Err(R::STORE_FULL)) } else { target };
        let mut machine = self.machine();
        Ok(Some(match target {
            Ok(incoming) => machine.end_incoming(incoming, received),
            Err(code) => {
                machine.abandon();
                Err(code)
            }
        }))
    }

    /// Tells by an event that the store is full, and does nothing more for this transaction.
    async fn stop_full(&mut self) -> Result<Cut, Unplugged> {
        let storage = self.machine().profile.storages.first().map_or(0, |storage| storage.id);
        let parameters = Parameters::new(&[storage]);
        let event = Event { code: EventCode::STORE_FULL, transaction: LENGTH_UNKNOWN, parameters };
        self.port.event(event.encode());
        loop {
            if let Received::Request(request) = self.port.receive().await? {
                return Ok(Cut::Request(request));
            }
        }
    }

    /// Refuses without taking the rest of the data.
    async fn refuse_midway(&mut self, command: &Command) -> Result<Option<Outcome>, Cut> {
        self.machine().abandon();
        // until the initiator knows, more of the data is on its way
        tokio::time::sleep(REFUSAL).await;
        self.respond(command, R::STORE_FULL, &[]).await?;
        Ok(None)
    }

    async fn answer(&mut self, command: &Command, outcome: Outcome, fault: Option<Fault>) -> Result<(), Cut> {
        let refusal = if fault == Some(Fault::StallThenReason) { Some(R::GENERAL_ERROR) } else { None };
        match fault {
            Some(Fault::Stall) => {
                self.port.stall();
                return Ok(());
            }
            Some(Fault::StallThenReason) => {
                self.port.stall();
                self.port.unstalled().await?;
            }
            Some(Fault::Hang) => loop {
                if let Received::Request(request) = self.port.receive().await? {
                    return Err(Cut::Request(request));
                }
            },
            Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::Garbage) => self.send(vec![0xEE; 100], true).await?,
            Some(Fault::StaleResponse) => {
                let transaction = command.transaction.wrapping_sub(1);
                let parameters = Parameters::new(&[7]);
                let stale = Response { code: R::OK, transaction, parameters }.encode();
                self.send(stale, true).await?;
            }
            _ => {}
        }
        let transaction = match fault {
            Some(Fault::WrongTransaction) => command.transaction.wrapping_add(0x0100_0000),
            _ => command.transaction,
        };
        let command = Command { transaction, ..*command };
        let reply = match refusal.map_or(outcome, Err) {
            Ok(reply) => reply,
            Err(code) => return self.respond(&command, code, &[]).await,
        };
        self.data(&command, &reply, fault).await
    }

    /// Sends an answer's data, if it has any, and the response OK.
    async fn data(&mut self, command: &Command, reply: &Reply, fault: Option<Fault>) -> Result<(), Cut> {
        let (length, object) = match &reply.data {
            Payload::None => return self.respond(command, R::OK, &reply.parameters).await,
            Payload::Bytes(bytes) => (bytes.len() as u64, None),
            Payload::Object { handle, offset, length } => (*length, Some((*handle, *offset))),
        };
        self.machine().told += length;
        let mut header = Header::data(command.code, command.transaction, length);
        if fault == Some(Fault::Oversize) {
            header.length = header.length.saturating_add(1 << 30).min(LENGTH_UNKNOWN - 1);
        }
        if self.has(Habit::JunkDataHeaders) {
            (header.code, header.transaction) = (0xDEAD, 0xDEAD_BEEF);
        }
        let mut pending = header.encode().to_vec();
        if self.has(Habit::SpuriousEmptyPacket) {
            self.send(Vec::new(), true).await?;
        }
        if self.has(Habit::SplitHeader) && length > 0 {
            self.send(std::mem::take(&mut pending), true).await?;
        }
        let length = match fault {
            Some(Fault::ShortData | Fault::UnplugWithin) => length / 2,
            _ => length,
        };
        let mut done = 0;
        while done < length {
            let room = BURST - pending.len();
            let count = usize::try_from(length - done).unwrap_or(usize::MAX).min(room);
            match (&reply.data, object) {
                // `done` is less than the length of a vector
                (Payload::Bytes(bytes), _) => pending.extend_from_slice(&bytes[done as usize..][..count]),
                (_, Some((handle, offset))) => {
                    let read = self.machine().tree.read(handle, offset + done, count);
                    let Ok(bytes) = read else {
                        return self.respond(command, R::INCOMPLETE_TRANSFER, &[]).await;
                    };
                    pending.extend_from_slice(&bytes);
                }
                (_, None) => break,
            }
            done += count as u64;
            if pending.len() == BURST && done < length {
                self.send(std::mem::take(&mut pending), false).await?;
            }
        }
        if fault == Some(Fault::UnplugWithin) {
            return Err(self.unplug());
        }
        self.end_data(command, reply, pending).await
    }

    /// Sends the last bytes of data as the player ends its data phases, and the response.
    async fn end_data(&mut self, command: &Command, reply: &Reply, mut last: Vec<u8>) -> Result<(), Cut> {
        if self.has(Habit::GluedResponse) {
            let parameters = Parameters::new(&reply.parameters);
            let response = Response { code: R::OK, transaction: command.transaction, parameters };
            last.extend_from_slice(&response.encode());
            return self.send(last, true).await;
        }
        let full = last.len().is_multiple_of(self.port.max_packet_size());
        if full && self.has(Habit::ExtraByte) {
            last.push(0);
        }
        // bytes that fill their packets end with an empty one, unless the player forgets it
        let end = !full || !self.has(Habit::NoZeroLengthPacket);
        self.send(last, end).await?;
        self.respond(command, R::OK, &reply.parameters).await
    }

    async fn respond(&mut self, command: &Command, code: R, parameters: &[u32]) -> Result<(), Cut> {
        let parameters = Parameters::new(parameters);
        let response = Response { code, transaction: command.transaction, parameters };
        if self.has(Habit::SpuriousEmptyPacket) {
            self.send(Vec::new(), true).await?;
        }
        self.send(response.encode(), true).await
    }

    async fn send(&mut self, bytes: Vec<u8>, end: bool) -> Result<(), Cut> {
        match self.port.send(bytes, end).await? {
            Delivery::Done => Ok(()),
            Delivery::Interrupted => match self.port.receive().await? {
                Received::Request(request) => Err(Cut::Request(request)),
                Received::Data { .. } => Ok(()),
            },
        }
    }

    /// Ends what was going on, as the player does it.
    async fn class_request(
        &mut self,
        request: ClassRequest,
        command: Option<Command>,
    ) -> Result<(), Unplugged> {
        match request {
            ClassRequest::GetStatus => {}
            ClassRequest::Reset => {
                let mut machine = self.machine();
                machine.abandon();
                machine.session = None;
                drop(machine);
                self.port.flush();
                self.port.set_status((!self.has(Habit::NoClassRequests)).then_some(R::OK.0));
            }
            ClassRequest::Cancel { transaction } => {
                self.machine().abandon();
                self.port.flush();
                if self.has(Habit::CancelStalls) {
                    self.port.stall();
                } else if let Some(command) = command.filter(|_| !self.has(Habit::CancelSilent)) {
                    let parameters = Parameters::default();
                    let event = Event { code: EventCode::CANCEL_TRANSACTION, transaction, parameters };
                    self.port.event(event.encode());
                    let (code, transaction) = (R::TRANSACTION_CANCELLED, command.transaction);
                    let response = Response { code, transaction, parameters }.encode();
                    self.port.send(response, true).await?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    // whoever panicked with the lock held is a test that has failed already
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}
