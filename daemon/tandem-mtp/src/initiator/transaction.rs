//! One transaction: a command, perhaps data one way, a response.
//!
//! What it leaves undone stands in `pending`, for recovery. It must not hold more of what it sends than the transport's
//! buffers.

use super::answer::Belongs;
use super::link::Sent;
use super::recovery::Pending;
use super::{Error, ErrorKind, Initiator, Phase, Session};
use crate::codec::container::{Command, HEADER_BYTES, Header, Parameters, Response};
use crate::codes::{OperationCode, ResponseCode};
use crate::transport::TransportError;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

/// How much a stream from the device holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    Unknown,
    Exactly(u64),
    AtMost(u64),
}

/// What a transaction carries.
pub(super) enum Data<'a> {
    None,
    /// A dataset from the device.
    Collect(&'a mut Vec<u8>),
    /// A stream from the device.
    Receive {
        sink: &'a mut (dyn AsyncWrite + Send + Unpin),
        expected: Expected,
        received: &'a mut u64,
    },
    /// A stream to the device.
    Send {
        source: &'a mut (dyn AsyncRead + Send + Unpin),
        size: u64,
    },
}

impl Data<'_> {
    pub(super) fn is_in(&self) -> bool {
        matches!(self, Self::Collect(_) | Self::Receive { .. })
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) operation: OperationCode,
    pub(super) parameters: Parameters,
    pub(super) transaction: u32,
    /// For the answer.
    pub(super) limit: Duration,
}

impl Initiator {
    /// A transaction within the session, after repairing what an earlier one left.
    pub(super) async fn transact(
        &mut self,
        operation: OperationCode,
        parameters: &[u32],
        data: Data<'_>,
    ) -> Result<Parameters, Error> {
        self.repair().await?;
        let transaction = self.next_transaction()?;
        self.transact_as(operation, parameters, data, transaction).await
    }

    /// A transaction with this id; nothing may be pending.
    pub(super) async fn transact_as(
        &mut self,
        operation: OperationCode,
        parameters: &[u32],
        data: Data<'_>,
        transaction: u32,
    ) -> Result<Parameters, Error> {
        let parameters = Parameters::new(parameters);
        let limit = self.limit_for(operation);
        let request = Request { operation, parameters, transaction, limit };
        let response = self.exchange(request, data).await?;
        match response.code {
            ResponseCode::OK => Ok(response.parameters),
            ResponseCode::SESSION_NOT_OPEN => {
                self.session = Session::Closed;
                Err(Error::SessionLost)
            }
            code => {
                if code == ResponseCode::OPERATION_NOT_SUPPORTED {
                    self.refused.insert(operation);
                }
                // an event said why before the answer did
                let says_why =
                    !matches!(code, ResponseCode::GENERAL_ERROR | ResponseCode::INCOMPLETE_TRANSFER);
                if operation == OperationCode::SEND_OBJECT && self.link.is_store_full() && !says_why {
                    return Err(Error::StoreFull { operation });
                }
                Err(Error::Refused { operation, code, parameters: response.parameters })
            }
        }
    }

    fn limit_for(&self, operation: OperationCode) -> Duration {
        use OperationCode as O;
        let timeouts = &self.options.timeouts;
        match operation {
            O::SEND_OBJECT | O::DELETE_OBJECT | O::GET_OBJECT_HANDLES | O::GET_OBJECT_PROP_LIST => {
                timeouts.slow_answer
            }
            O::COPY_OBJECT | O::MOVE_OBJECT | O::END_EDIT_OBJECT | O::SEND_PARTIAL_OBJECT => {
                timeouts.slow_answer
            }
            _ => timeouts.answer,
        }
    }

    /// Ids go from 1 to 0xFFFFFFFE and round.
    pub(super) fn next_transaction(&mut self) -> Result<u32, Error> {
        match &mut self.session {
            Session::Open(next) => {
                let transaction = *next;
                *next = if transaction >= 0xFFFF_FFFE { 1 } else { transaction + 1 };
                Ok(transaction)
            }
            Session::Closed => Err(Error::SessionLost),
            Session::Gone => Err(Error::Gone),
        }
    }

    /// Command, data, response. `pending` stands for it from before the first byte until the response is read.
    pub(super) async fn exchange(&mut self, request: Request, data: Data<'_>) -> Result<Response, Error> {
        if self.session == Session::Gone {
            return Err(Error::Gone);
        }
        self.pending = Some(Pending::new(request.transaction, request.limit));
        let sends = matches!(data, Data::Send { .. });
        if !sends {
            // what is told from the announcement of an object on is of that object
            self.link.forget_store_full();
        }
        let result = self.phases(request, data).await;
        let result = match result {
            Err(Error::Stalled { operation }) => self.reason_for_stall(request, operation).await,
            result => result,
        };
        let unsent = self.pending.as_ref().is_some_and(|pending| !pending.handed_over);
        let early = self.phase() == Some(Phase::DataOut);
        match result {
            Ok(response) if early && response.code == ResponseCode::OK && unsent => {
                self.mark_late();
                let what = "it is content before it has all data";
                Err(Error::OutOfOrder { operation: request.operation, what })
            }
            // the rest of the data may lie in buffers, where the next command would be taken for it
            Ok(response) if early && response.code != ResponseCode::OK => {
                self.mark_late();
                Ok(response)
            }
            Ok(response) => {
                self.pending = None;
                Ok(response)
            }
            Err(error) => {
                self.mark_late();
                let is_full = sends && self.link.is_store_full() && error.kind() == ErrorKind::Retryable;
                Err(if is_full { Error::StoreFull { operation: request.operation } } else { error })
            }
        }
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.pending.as_ref().map(|pending| pending.phase)
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        if let Some(pending) = &mut self.pending {
            pending.phase = phase;
        }
    }

    fn mark_late(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.late = true;
        }
    }

    async fn phases(&mut self, request: Request, mut data: Data<'_>) -> Result<Response, Error> {
        let Request { operation, parameters, transaction, .. } = request;
        let command = Command { code: operation, transaction, parameters }.encode();
        // what lies in the pipe from before is told apart by its transaction, when the answer is read
        self.send_command(operation, &command).await?;
        if let Data::Send { source, size } = &mut data {
            self.enter(Phase::DataOut);
            let sent = self.send_data(request, *source, *size).await?;
            if sent == Sent::Ready {
                self.enter(Phase::Response);
            }
            let limit = self.patience(request.limit);
            return self.answer(Request { limit, ..request }, data).await;
        } else {
            self.enter(if data.is_in() { Phase::DataIn } else { Phase::Response });
        }
        self.answer(request, data).await
    }

    async fn send_command(&mut self, operation: OperationCode, command: &[u8]) -> Result<(), Error> {
        let limit = self.options.timeouts.command;
        let sending = async {
            self.link.put(command).await?;
            self.link.end_unwatched(command.len() as u64).await
        };
        match timeout(limit, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.note(error, operation)),
            Err(_) => Err(Error::TimedOut { operation, phase: Phase::Command }),
        }
    }

    async fn send_data(
        &mut self,
        request: Request,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
    ) -> Result<Sent, Error> {
        let operation = request.operation;
        let header = Header::data(operation, request.transaction, size).encode();
        let slow = self.options.timeouts.slow_answer;
        let put = timeout(self.options.timeouts.data, self.link.put(&header)).await;
        self.timed(put, operation, Phase::DataOut)?;
        let mut in_transfer = HEADER_BYTES as u64 + size;
        if self.split && size > 0 {
            let ended = timeout(slow, self.link.end_unwatched(HEADER_BYTES as u64)).await;
            self.timed(ended, operation, Phase::DataOut)?;
            in_transfer = size;
        }
        let mut left = size;
        while left > 0 {
            let space = timeout(self.patience(self.options.timeouts.data), self.link.space()).await;
            match self.timed(space, operation, Phase::DataOut)? {
                Sent::Ready => {}
                Sent::StoreFull => continue,
                Sent::AnsweredEarly if self.is_stale_answer(request).await? => continue,
                Sent::AnsweredEarly => return Ok(Sent::AnsweredEarly),
            }
            let space = self.link.out_space();
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(space.len());
            let count = source.read(&mut space[..wanted]).await.map_err(Error::Source)?;
            if count == 0 {
                return Err(Error::SourceEnded { missing: left });
            }
            self.link.out_filled(count);
            left -= count as u64;
        }
        self.end_data(request, in_transfer).await
    }

    /// Waits for the device to take everything. Several transfers may be under way, so that this may take as long as a
    /// slow answer.
    async fn end_data(&mut self, request: Request, bytes: u64) -> Result<Sent, Error> {
        if let Some(pending) = &mut self.pending {
            pending.handed_over = true;
        }
        loop {
            let ended = timeout(self.patience(self.options.timeouts.slow_answer), self.link.end(bytes)).await;
            match self.timed(ended, request.operation, Phase::DataOut)? {
                Sent::StoreFull => {}
                Sent::AnsweredEarly if self.is_stale_answer(request).await? => {}
                sent => return Ok(sent),
            }
        }
    }

    /// How long a device is waited for that is being sent data: one whose store is full may have stopped for good.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        if self.link.is_store_full() { limit.min(self.options.timeouts.command) } else { limit }
    }

    /// Whether what came early belongs to an earlier transaction; then it is skipped.
    async fn is_stale_answer(&mut self, request: Request) -> Result<bool, Error> {
        let (header, alone) = self.read_header(request, Phase::DataOut).await?;
        match self.belongs(request, &header)? {
            Belongs::Here => {
                self.link.unread((header, alone));
                Ok(false)
            }
            Belongs::Stale => {
                self.skip(request, &header).await?;
                Ok(true)
            }
        }
    }

    pub(super) fn timed<T>(
        &mut self,
        result: Result<Result<T, TransportError>, tokio::time::error::Elapsed>,
        operation: OperationCode,
        phase: Phase,
    ) -> Result<T, Error> {
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.note(error, operation)),
            Err(_) => Err(Error::TimedOut { operation, phase }),
        }
    }

    /// A device that stalls often says why, once the halts are lifted.
    async fn reason_for_stall(
        &mut self,
        request: Request,
        operation: OperationCode,
    ) -> Result<Response, Error> {
        let limit = self.options.timeouts.control;
        let cleared = timeout(limit, self.link.clear_halts()).await;
        self.timed(cleared, operation, Phase::Response)?;
        let late = Request { limit, ..request };
        match self.answer(late, Data::None).await {
            Ok(response) if response.code != ResponseCode::OK => {
                self.enter(Phase::Response);
                Ok(response)
            }
            Err(Error::Gone) => Err(Error::Gone),
            _ => Err(Error::Stalled { operation }),
        }
    }
}
