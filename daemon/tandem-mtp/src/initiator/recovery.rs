//! What brings a session back after a transaction that didn't end: abandoned by its caller, refused half-way, or lost.
//!
//! The order matters: cancel, drain at once, ask for the status only afterwards; other orders wedge phones and cameras.
//! It may be dropped at any point and begun again. It must not open a session of itself: handles would change under the
//! caller.

use super::transaction::{Data, Request};
use super::{Error, Initiator, Phase, Session};
use crate::codec::container::Parameters;
use crate::codes::{OperationCode, ResponseCode};
use crate::transport::{ClassRequest, TransportError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two questions whether the device is still busy cancelling.
const STATUS_PAUSE: Duration = Duration::from_millis(200);

/// How often a pipe is freed while draining: one that halts again and again has nothing to bring.
const HALTS: u32 = 3;

/// A transaction that was begun and whose end nobody has seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    transaction: u32,
    pub(super) phase: Phase,
    /// Its answer is overdue, or isn't worth waiting for.
    pub(super) late: bool,
    /// All of its data was handed to the transport.
    pub(super) handed_over: bool,
    limit: Duration,
}

impl Pending {
    pub(super) const fn new(transaction: u32, limit: Duration) -> Self {
        Self { transaction, phase: Phase::Command, late: false, handed_over: false, limit }
    }
}

/// What the device says of itself after a cancellation.
enum Status {
    Settled,
    Busy,
}

impl Initiator {
    /// Ends a transaction that was abandoned: after dropping a call, or after an error. Every call does so first; calling
    /// it at once frees the device earlier. Without such a transaction it does nothing.
    ///
    /// # Errors
    /// [`Error::Gone`] when the device is unplugged, [`Error::SessionLost`] when it lives but has forgotten the session,
    /// [`Error::Unresponsive`] when it answers nothing: the next call tries again.
    pub async fn repair(&mut self) -> Result<(), Error> {
        if self.session == Session::Gone {
            return Err(Error::Gone);
        }
        let Some(pending) = self.pending else { return Ok(()) };
        if pending.phase == Phase::Response && !pending.late && self.await_response(pending).await? {
            self.pending = None;
            return Ok(());
        }
        if self.cancel(pending).await? {
            self.pending = None;
            return Ok(());
        }
        if self.answers_within_session().await? {
            return Ok(());
        }
        self.begin_anew().await
    }

    /// All was sent, so that the transaction can simply end: its response is awaited, which no device minds.
    async fn await_response(&mut self, pending: Pending) -> Result<bool, Error> {
        let drained = timeout(pending.limit, async {
            while !self.link.drain_one(pending.transaction).await? {}
            Ok::<(), TransportError>(())
        });
        match drained.await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(TransportError::Gone)) => Err(self.gone()),
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// Cancels and drains; whether the transaction's response was among what came.
    async fn cancel(&mut self, pending: Pending) -> Result<bool, Error> {
        self.link.abort_out().await;
        let request = ClassRequest::Cancel { transaction: pending.transaction };
        self.request(request).await?;
        let answered = self.drain(pending.transaction).await?;
        if !answered {
            self.settle().await?;
        }
        Ok(answered)
    }

    /// Throws away what comes until the response, or until nothing comes.
    async fn drain(&mut self, transaction: u32) -> Result<bool, Error> {
        let timeouts = self.options.timeouts;
        let end = Instant::now() + timeouts.repair;
        let mut halts = 0;
        while Instant::now() < end && halts < HALTS {
            match timeout(timeouts.drain, self.link.drain_one(transaction)).await {
                Ok(Ok(true)) => return Ok(true),
                Ok(Ok(false)) => {}
                Ok(Err(TransportError::Gone)) => return Err(self.gone()),
                Ok(Err(_)) => {
                    halts += 1;
                    if !self.clear_halts().await? {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        Ok(false)
    }

    /// Waits until the device has cancelled, where it tells, and lifts the halts that it tells of.
    async fn settle(&mut self) -> Result<(), Error> {
        let end = Instant::now() + self.options.timeouts.repair;
        loop {
            match self.status().await? {
                Status::Busy if Instant::now() < end => sleep(STATUS_PAUSE).await,
                Status::Busy | Status::Settled => return Ok(()),
            }
        }
    }

    /// Many devices don't know this request, or answer without a word: those count as settled.
    async fn status(&mut self) -> Result<Status, Error> {
        let Some(answer) = self.request(ClassRequest::GetStatus).await? else { return Ok(Status::Settled) };
        let Some(code) = answer.get(2..4) else { return Ok(Status::Settled) };
        match ResponseCode(u16::from_le_bytes([code[0], code[1]])) {
            ResponseCode::DEVICE_BUSY => return Ok(Status::Busy),
            ResponseCode::OK if answer.len() <= 4 => {}
            _ => {
                self.clear_halts().await?;
            }
        }
        Ok(Status::Settled)
    }

    /// A question that every device answers, and that changes nothing. If it isn't answered, `pending` stands for it.
    async fn answers_within_session(&mut self) -> Result<bool, Error> {
        let transaction = match self.session {
            Session::Open(_) => self.next_transaction()?,
            Session::Closed => 0,
            Session::Gone => return Err(Error::Gone),
        };
        let mut answer = Vec::new();
        let asked = self.ask(OperationCode::GET_DEVICE_INFO, transaction, Data::Collect(&mut answer)).await;
        match asked {
            Ok(ResponseCode::OK) => Ok(true),
            Ok(ResponseCode::SESSION_NOT_OPEN) => {
                self.session = Session::Closed;
                Err(Error::SessionLost)
            }
            Err(Error::Gone) => Err(Error::Gone),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// The last means: lift the halts, end the session, and where it is allowed, reset.
    async fn begin_anew(&mut self) -> Result<(), Error> {
        self.clear_halts().await?;
        self.drain(0).await?;
        let had_session = self.has_session();
        if had_session {
            let transaction = self.next_transaction()?;
            if self.ask(OperationCode::CLOSE_SESSION, transaction, Data::None).await.is_ok() {
                self.session = Session::Closed;
                return Err(Error::SessionLost);
            }
        }
        if self.is_gone() {
            return Err(Error::Gone);
        }
        if self.options.reset_as_last_resort {
            tracing::warn!("the device answers nothing: it is reset");
            self.link.abort_out().await;
            self.request(ClassRequest::Reset).await?;
            self.clear_halts().await?;
            self.session = Session::Closed;
            if self.answers_within_session().await? {
                return if had_session { Err(Error::SessionLost) } else { Ok(()) };
            }
        }
        Err(Error::Unresponsive)
    }

    /// A short question while repairing; it doesn't repair.
    async fn ask(
        &mut self,
        operation: OperationCode,
        transaction: u32,
        data: Data<'_>,
    ) -> Result<ResponseCode, Error> {
        let limit = self.options.timeouts.command;
        let request = Request { operation, parameters: Parameters::default(), transaction, limit };
        Ok(self.exchange(request, data).await?.code)
    }

    /// A class request; `None` when the device doesn't take it.
    async fn request(&mut self, request: ClassRequest) -> Result<Option<Vec<u8>>, Error> {
        let answer = timeout(self.options.timeouts.control, self.link.class_request(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(TransportError::Gone)) => Err(self.gone()),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Whether the halts could be lifted.
    async fn clear_halts(&mut self) -> Result<bool, Error> {
        match timeout(self.options.timeouts.control, self.link.clear_halts()).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(TransportError::Gone)) => Err(self.gone()),
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    fn gone(&mut self) -> Error {
        self.session = Session::Gone;
        Error::Gone
    }
}
