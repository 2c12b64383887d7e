//! What can go wrong between initiator and device, and what a caller should do about it.
//!
//! It must not name files: an operation, a code and a number say enough.

use crate::codec::container::Parameters;
use crate::codec::{DecodeError, EncodeError};
use crate::codes::{OperationCode, ResponseCode};
use std::io;

/// Where in a transaction something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The command was being sent.
    Command,
    /// Data was being sent to the device.
    DataOut,
    /// Data was awaited from the device.
    DataIn,
    /// The response was awaited.
    Response,
}

/// Why an operation failed. [`Error::kind`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device is unplugged, or has left the bus to come back as another. Nothing more can be asked of it.
    #[error("the device is gone")]
    Gone,
    /// The device answers nothing any more, whatever was tried; only unplugging helps.
    #[error("the device doesn't answer any more; unplug it and plug it in again")]
    Unresponsive,
    /// There is no session: none was opened, or the device has forgotten it. Handles of the last one are worthless.
    #[error("no session is open; open one, and list again")]
    SessionLost,
    /// The device answered with another code than OK.
    #[error("the device refused {operation}: {code}")]
    Refused {
        /// What was asked.
        operation: OperationCode,
        /// What it said.
        code: ResponseCode,
        /// With which parameters.
        parameters: Parameters,
    },
    /// The device told in an event that its store is full, and then didn't take all that it was sent.
    #[error("the device's store is full, it told at {operation}")]
    StoreFull {
        /// What was asked.
        operation: OperationCode,
    },
    /// The device didn't go on in time.
    #[error("the device was silent for too long at {operation}, phase {phase:?}")]
    TimedOut {
        /// What was asked.
        operation: OperationCode,
        /// In which phase.
        phase: Phase,
    },
    /// The device stalled a pipe and gave no reason.
    #[error("the device stalled at {operation}")]
    Stalled {
        /// What was asked.
        operation: OperationCode,
    },
    /// The data phase ended before its announced end.
    #[error("{operation} brought {received} of {expected} bytes")]
    Incomplete {
        /// What was asked.
        operation: OperationCode,
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// The data phase is longer than it can be.
    #[error("{operation} announces {announced} bytes where {limit} are the most")]
    TooLong {
        /// What was asked.
        operation: OperationCode,
        /// Bytes announced.
        announced: u64,
        /// Bytes that are acceptable.
        limit: u64,
    },
    /// An answer that belongs to a transaction that never was.
    #[error("{operation} is transaction {expected}, and the device answered to {found}")]
    WrongTransaction {
        /// What was asked.
        operation: OperationCode,
        /// Ours.
        expected: u32,
        /// The device's.
        found: u32,
    },
    /// An answer that isn't what the protocol prescribes.
    #[error("what the device answered to {operation} can't be read: {source}")]
    Malformed {
        /// What was asked.
        operation: OperationCode,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// An answer that doesn't belong at this place of a transaction.
    #[error("the device answered to {operation} out of order: {what}")]
    OutOfOrder {
        /// What was asked.
        operation: OperationCode,
        /// What came.
        what: &'static str,
    },
    /// A value that the protocol can't say.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The bytes to send couldn't be read.
    #[error("the source can't be read: {0}")]
    Source(io::Error),
    /// The source ended before its size.
    #[error("the source ended {missing} bytes early")]
    SourceEnded {
        /// Bytes that weren't there.
        missing: u64,
    },
    /// What arrived couldn't be written.
    #[error("what arrived can't be written: {0}")]
    Sink(io::Error),
    /// An operation that the device doesn't offer.
    #[error("the device doesn't offer {0}")]
    NotOffered(OperationCode),
    /// What the host controller or the kernel reports.
    #[error("the bus failed at {operation}: {message}")]
    Bus {
        /// What was asked.
        operation: OperationCode,
        /// As reported.
        message: String,
    },
}

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Ask again: the next call repairs the session first, or says what is the matter.
    Retryable,
    /// Wait a little, then ask again.
    Busy,
    /// The device means it: asking again brings the same.
    Refused,
    /// Open a session, list again, then go on.
    SessionLost,
    /// Give the device up until it is plugged in again.
    Gone,
    /// The cause is on this side.
    Local,
}

impl Error {
    /// What to do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Gone | Self::Unresponsive => ErrorKind::Gone,
            Self::SessionLost => ErrorKind::SessionLost,
            Self::Refused { code: ResponseCode::DEVICE_BUSY, .. } => ErrorKind::Busy,
            Self::Refused {
                code: ResponseCode::INCOMPLETE_TRANSFER | ResponseCode::TRANSACTION_CANCELLED,
                ..
            }
            | Self::TimedOut { .. }
            | Self::Stalled { .. }
            | Self::Incomplete { .. }
            | Self::WrongTransaction { .. }
            | Self::Malformed { .. }
            | Self::OutOfOrder { .. }
            | Self::Bus { .. } => ErrorKind::Retryable,
            Self::Refused { .. } | Self::StoreFull { .. } | Self::NotOffered(_) | Self::TooLong { .. } => {
                ErrorKind::Refused
            }
            Self::Encode(_) | Self::Source(_) | Self::SourceEnded { .. } | Self::Sink(_) => ErrorKind::Local,
        }
    }

    /// The response code of a refusal, or the one that says the same.
    #[must_use]
    pub const fn code(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::StoreFull { .. } => Some(ResponseCode::STORE_FULL),
            _ => None,
        }
    }
}
