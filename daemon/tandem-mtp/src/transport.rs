//! What carries containers: two bulk pipes, an interrupt pipe and four class requests, as the USB still image class has
//! them.
//!
//! Polled rather than awaited, so that no future owns what is on the wire: dropping whoever polls loses nothing. It must
//! not know transactions.

use std::task::{Context, Poll};
use tandem_model::BoxFuture;

/// Why a transport couldn't do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The device is unplugged, or has left the bus to come back as another.
    #[error("the device is gone")]
    Gone,
    /// The device answered with STALL; [`Transport::clear_halts`] lifts it.
    #[error("the device stalled the pipe")]
    Stalled,
    /// Anything else that the host controller or the kernel reports.
    #[error("{0}")]
    Other(String),
}

/// What a still image class interface is asked for over the control pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassRequest {
    /// End this transaction.
    Cancel {
        /// Which.
        transaction: u32,
    },
    /// Forget every transaction and session.
    Reset,
    /// Tell how it is; the answer is a length, a response code and the stalled endpoints' addresses.
    GetStatus,
}

impl ClassRequest {
    /// The request's number, `bRequest`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Cancel { .. } => 0x64,
            Self::Reset => 0x66,
            Self::GetStatus => 0x67,
        }
    }

    /// What goes to the device.
    #[must_use]
    pub fn payload(self) -> Vec<u8> {
        match self {
            Self::Cancel { transaction } => {
                let [a, b, c, d] = transaction.to_le_bytes();
                vec![0x01, 0x40, a, b, c, d]
            }
            Self::Reset | Self::GetStatus => Vec::new(),
        }
    }

    /// Bytes to ask for; 0 for a request that only sends. Android refuses fewer than 8.
    #[must_use]
    pub const fn answer_bytes(self) -> usize {
        match self {
            Self::GetStatus => 64,
            Self::Cancel { .. } | Self::Reset => 0,
        }
    }
}

/// Bytes that arrived on the bulk IN pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived<'a> {
    /// The bytes; none for a zero-length packet.
    pub bytes: &'a [u8],
    /// Whether a short or zero-length packet came right after them.
    pub ended: bool,
}

/// A device's pipes. Both bulk pipes are streams with marks: a mark is a short packet.
///
/// A poll that returns `Pending` has kept the waker of its context. Nothing that a poll did is undone by not polling
/// again: transfers that were begun go on, what arrives is kept for the next poll. An implementation bounds its buffers.
pub trait Transport: Send {
    /// Bytes of a full bulk packet; a power of two.
    fn max_packet_size(&self) -> usize;

    /// Ready when [`Transport::out_space`] isn't empty.
    ///
    /// # Errors
    /// When a transfer that was begun earlier failed; what it and those behind it held is lost.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// Where bytes for the device go; to be told of by [`Transport::out_filled`]. Empty before `poll_out` was ready.
    fn out_space(&mut self) -> &mut [u8];

    /// So many bytes of the space are filled. When it is full, the transport sends it without being asked.
    fn out_filled(&mut self, bytes: usize);

    /// Sends what is filled, then a zero-length packet if `zero_length_packet`, and is ready when the device has taken
    /// everything. Polled again with the same argument until it is ready; then the space is empty of our bytes. An end
    /// that isn't polled until it is ready, because the device has answered early, goes on by itself, and what is filled
    /// afterwards comes behind it.
    ///
    /// # Errors
    /// As for `poll_out`.
    fn poll_out_end(
        &mut self,
        context: &mut Context<'_>,
        zero_length_packet: bool,
    ) -> Poll<Result<(), TransportError>>;

    /// Gives up what is filled or under way to the device; ready when no transfer is left.
    fn poll_out_abort(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Ready when something arrived that wasn't consumed. `expected` says how many bytes are known to come in this phase,
    /// 0 when that isn't known: the transport may ask for so much at once, rounded up to packets, within its bounds.
    ///
    /// # Errors
    /// When a transfer failed; what arrived before is handed out first.
    fn poll_in(&mut self, context: &mut Context<'_>, expected: u64) -> Poll<Result<(), TransportError>>;

    /// What arrived and wasn't consumed, of one transfer; without bytes and mark before `poll_in` was ready.
    fn arrived(&self) -> Arrived<'_>;

    /// So many bytes of what arrived are done with. When they are all, the mark is done with too.
    fn consume(&mut self, bytes: usize);

    /// Ready when something came on the interrupt pipe, which it puts behind `into`: at most 64 bytes.
    ///
    /// # Errors
    /// When the pipe failed. A device without an interrupt pipe is `Pending` for ever.
    fn poll_interrupt(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<Result<(), TransportError>>;

    /// Makes a class request; what it answers is empty for those that only send. The caller sets the time limit, and
    /// dropping the future cancels the request.
    fn class_request(&mut self, request: ClassRequest) -> BoxFuture<'_, Result<Vec<u8>, TransportError>>;

    /// Lifts the halts of both bulk pipes, with all that was under way in them given up.
    fn clear_halts(&mut self) -> BoxFuture<'_, Result<(), TransportError>>;
}
