//! The device's end of a wire, as the responder sees it: in this process, or a USB device controller's.
//!
//! It must not know containers.

use crate::transport::ClassRequest;
use tandem_model::BoxFuture;

/// The device has left the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device has left the bus")]
pub struct Unplugged;

/// What comes to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Bytes on the bulk pipe, and whether a short or zero-length packet came after them.
    Data {
        /// The bytes.
        bytes: Vec<u8>,
        /// The mark.
        ended: bool,
    },
    /// A class request: [`ClassRequest::Cancel`] or [`ClassRequest::Reset`].
    Request(ClassRequest),
}

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The bytes are in the pipe.
    Done,
    /// A class request came first; [`Port::receive`] tells which.
    Interrupted,
}

/// The device's end of a wire: in this process, or a USB device controller's.
pub trait Port: Send {
    /// Bytes of a full bulk packet.
    fn max_packet_size(&self) -> usize;

    /// Waits for bytes or a request; requests first.
    fn receive(&mut self) -> BoxFuture<'_, Result<Received, Unplugged>>;

    /// Sends bytes; with `end` a packet that is shorter than a full one, or empty, comes last. Without it there are only
    /// full packets, and `bytes` must fill them.
    fn send(&mut self, bytes: Vec<u8>, end: bool) -> BoxFuture<'_, Result<Delivery, Unplugged>>;

    /// Puts an event on the interrupt pipe.
    fn event(&mut self, bytes: Vec<u8>);

    /// Forgets what is in both bulk pipes.
    fn flush(&mut self);

    /// Halts both bulk pipes until the initiator lifts it.
    fn stall(&mut self);

    /// Waits until no pipe is halted.
    fn unstalled(&mut self) -> BoxFuture<'_, Result<(), Unplugged>>;

    /// What the device answers when it is asked for its status: a response code; `None`: it stalls class requests.
    fn set_status(&mut self, code: Option<u16>);

    /// Leaves the bus.
    fn unplug(&mut self);
}
