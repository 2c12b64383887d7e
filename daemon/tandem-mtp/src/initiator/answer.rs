//! The answering half of a transaction: containers sorted by transaction, data counted, the response read.
//!
//! It must not hold more of a stream than what arrived with one transfer; datasets are bounded.

use super::link::{LinkError, Payload};
use super::transaction::{Data, Expected, Request};
use super::{Error, Initiator, Phase, SplitHeader};
use crate::codec::DecodeError;
use crate::codec::container::{HEADER_BYTES, Header, Kind, Response};
use crate::codes::{OperationCode, ResponseCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Bytes of the largest dataset: property lists of a hundred thousand objects are smaller.
const LARGEST_DATASET: u64 = 32 << 20;

/// How far back an answer's transaction may lie to be taken for a late one of ours.
const STALE_RANGE: u32 = 10_000;

/// Whether an operation brings what the device may have no space for.
const fn fills_store(operation: OperationCode) -> bool {
    use OperationCode as O;
    matches!(
        operation,
        O::SEND_OBJECT_INFO | O::SEND_OBJECT_PROP_LIST | O::SEND_OBJECT | O::SEND_PARTIAL_OBJECT
    )
}

/// Where an answer belongs.
pub(super) enum Belongs {
    Here,
    Stale,
}

impl Initiator {
    /// Reads containers until this transaction's response.
    pub(super) async fn answer(&mut self, request: Request, mut data: Data<'_>) -> Result<Response, Error> {
        let operation = request.operation;
        let mut cut = None;
        let mut had_data = false;
        loop {
            let phase = self.phase().unwrap_or(Phase::Response);
            let (header, alone) = self.read_header(request, phase).await?;
            let belongs = self.belongs(request, &header)?;
            match (header.kind, belongs) {
                (Kind::Response, Belongs::Here) => {
                    let response = self.read_response(request, &header).await?;
                    return match cut {
                        Some(error) if response.code == ResponseCode::OK => Err(error),
                        None if response.code == ResponseCode::OK && data.is_in() && !had_data => {
                            Err(Error::OutOfOrder { operation, what: "a response without data" })
                        }
                        _ => Ok(response),
                    };
                }
                (Kind::Data, Belongs::Here) if data.is_in() && !had_data => {
                    if alone && header.length as usize > HEADER_BYTES {
                        self.learn_split();
                    }
                    had_data = true;
                    cut = self.receive(request, &header, &mut data).await?;
                    self.enter(Phase::Response);
                }
                (Kind::Data, Belongs::Here) => {
                    return Err(Error::OutOfOrder { operation, what: "data that nobody asked for" });
                }
                (Kind::Data | Kind::Response, Belongs::Stale) => self.skip(request, &header).await?,
                (Kind::Command | Kind::Event, _) => {
                    return Err(Error::OutOfOrder { operation, what: "a command or an event among data" });
                }
            }
        }
    }

    pub(super) async fn read_header(
        &mut self,
        request: Request,
        phase: Phase,
    ) -> Result<(Header, bool), Error> {
        let operation = request.operation;
        let mut limit = request.limit;
        loop {
            match timeout(limit, self.link.header()).await {
                Ok(Ok(read)) => return Ok(read),
                Ok(Err(LinkError::Transport(error))) => return Err(self.note(error, operation)),
                Ok(Err(LinkError::Malformed(source))) => return Err(Error::Malformed { operation, source }),
                Ok(Err(LinkError::StoreFull)) if fills_store(operation) => limit = self.patience(limit),
                Ok(Err(LinkError::StoreFull)) => {}
                Err(_) => return Err(Error::TimedOut { operation, phase }),
            }
        }
    }

    /// Whether a container is of this transaction, or a late one of an earlier. Outside a session everything that isn't
    /// numbered 0 is left over from whoever spoke to the device before.
    pub(super) fn belongs(&self, request: Request, header: &Header) -> Result<Belongs, Error> {
        let Request { operation, transaction: expected, .. } = request;
        let found = header.transaction;
        let junk = header.kind == Kind::Data && self.options.ignore_data_headers;
        let right_code = header.kind != Kind::Data || header.code == operation.0;
        if junk || (found == expected && right_code) {
            return Ok(Belongs::Here);
        }
        let of_ours = (1..=STALE_RANGE).contains(&expected.wrapping_sub(found));
        if found != 0 && (expected == 0 || of_ours) {
            return Ok(Belongs::Stale);
        }
        if found == expected {
            return Err(Error::OutOfOrder { operation, what: "data of another operation" });
        }
        Err(Error::WrongTransaction { operation, expected, found })
    }

    async fn read_response(&mut self, request: Request, header: &Header) -> Result<Response, Error> {
        let operation = request.operation;
        let limit = 4 * crate::codec::container::MAX_PARAMETERS as u64;
        let announced = header.payload().unwrap_or(u64::MAX);
        if announced > limit {
            return Err(Error::TooLong { operation, announced, limit });
        }
        let mut bytes = header.encode().to_vec();
        let mut payload = Payload::new(Some(announced));
        self.collect(request, &mut payload, &mut bytes).await?;
        if payload.is_cut() {
            let source = DecodeError::Truncated {
                at: HEADER_BYTES,
                needed: usize::try_from(announced).unwrap_or(usize::MAX),
                have: bytes.len(),
            };
            return Err(Error::Malformed { operation, source });
        }
        Response::decode(&bytes).map_err(|source| Error::Malformed { operation, source })
    }

    /// Reads a data phase; an error to report if the device then says that all is well.
    async fn receive(
        &mut self,
        request: Request,
        header: &Header,
        data: &mut Data<'_>,
    ) -> Result<Option<Error>, Error> {
        let operation = request.operation;
        let announced = header.payload();
        let payload = match data {
            Data::Collect(bytes) => {
                if let Some(announced) = announced.filter(|announced| *announced > LARGEST_DATASET) {
                    return Err(Error::TooLong { operation, announced, limit: LARGEST_DATASET });
                }
                let mut payload = Payload::new(announced);
                self.collect(request, &mut payload, bytes).await?;
                payload
            }
            Data::Receive { sink, expected, received } => {
                let (exact, limit) = match *expected {
                    Expected::Unknown => (None, u64::MAX),
                    Expected::Exactly(size) => (Some(size), size),
                    Expected::AtMost(limit) => (None, limit),
                };
                if let Some(announced) = announced.filter(|announced| *announced > limit) {
                    return Err(Error::TooLong { operation, announced, limit });
                }
                // with the size known from elsewhere, a missing zero-length packet at the end does no harm
                let mut payload = Payload::new(announced.or(exact));
                let result = self.stream(request, &mut payload, *sink, limit).await;
                **received = payload.received;
                result?;
                payload
            }
            Data::None | Data::Send { .. } => return Ok(None),
        };
        let received = payload.received;
        let exact = match data {
            Data::Receive { expected: Expected::Exactly(size), .. } => Some(*size),
            _ => None,
        };
        let whole = exact.is_none_or(|size| size == received);
        let expected = exact.or(announced).unwrap_or(received);
        let cut = payload.is_cut() || !whole;
        Ok(cut.then_some(Error::Incomplete { operation, expected, received }))
    }

    async fn collect(
        &mut self,
        request: Request,
        payload: &mut Payload,
        into: &mut Vec<u8>,
    ) -> Result<(), Error> {
        loop {
            let count = self.more(request, payload).await?;
            if count == 0 {
                return Ok(());
            }
            into.extend_from_slice(self.link.arrived(count));
            self.link.advance(payload, count);
            if payload.received > LARGEST_DATASET {
                let (operation, announced) = (request.operation, payload.received);
                return Err(Error::TooLong { operation, announced, limit: LARGEST_DATASET });
            }
        }
    }

    async fn stream(
        &mut self,
        request: Request,
        payload: &mut Payload,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        limit: u64,
    ) -> Result<(), Error> {
        loop {
            let count = self.more(request, payload).await?;
            if count == 0 {
                return sink.flush().await.map_err(Error::Sink);
            }
            let announced = payload.received + count as u64;
            if announced > limit {
                return Err(Error::TooLong { operation: request.operation, announced, limit });
            }
            sink.write_all(self.link.arrived(count)).await.map_err(Error::Sink)?;
            self.link.advance(payload, count);
        }
    }

    pub(super) async fn skip(&mut self, request: Request, header: &Header) -> Result<(), Error> {
        let mut payload = Payload::new(header.payload());
        let skipped = timeout(self.options.timeouts.repair, self.link.skip(&mut payload)).await;
        self.timed(skipped, request.operation, Phase::DataIn)
    }

    async fn more(&mut self, request: Request, payload: &mut Payload) -> Result<usize, Error> {
        let more = timeout(self.options.timeouts.data, self.link.more(payload)).await;
        self.timed(more, request.operation, Phase::DataIn)
    }

    fn learn_split(&mut self) {
        if self.options.split_header == SplitHeader::Detect && !self.split {
            tracing::debug!("the device sends headers of data in packets of their own, and so shall we");
            self.split = true;
        }
    }
}
