//! The initiator: one device's sessions and transactions, repaired after whatever went wrong.
//!
//! Every call may be dropped at any point: the next one first repairs what was left, or says that the device is gone. It
//! must not retry on its own what could change the device twice.

mod answer;
mod error;
mod link;
mod objects;
mod properties;
mod recovery;
mod session;
mod transaction;

pub use error::{Error, ErrorKind, Phase};
pub use objects::{Created, ObjectFilter, Parent};
pub use properties::PropertyQuery;

use crate::codec::container::Event;
use crate::codec::device_info::DeviceInfo;
use crate::codes::OperationCode;
use crate::transport::{Transport, TransportError};
use link::Link;
use recovery::Pending;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long to wait for what. Each is for silence, not for a whole transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the device to take a command.
    pub command: Duration,
    /// For the first byte of an answer, and for a response after data.
    pub answer: Duration,
    /// The same for what a device may do slowly: listing, deleting a folder, writing what it was sent to its flash.
    pub slow_answer: Duration,
    /// For more data, either way.
    pub data: Duration,
    /// For a class request.
    pub control: Duration,
    /// For silence that ends draining.
    pub drain: Duration,
    /// For draining in all, and for a device that says it is busy cancelling.
    pub repair: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            slow_answer: Duration::from_secs(60),
            data: Duration::from_secs(20),
            control: Duration::from_secs(1),
            drain: Duration::from_millis(300),
            repair: Duration::from_secs(10),
        }
    }
}

/// Whether the header of a data phase travels in a packet of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitHeader {
    /// As the device does it in the first data phase that it sends.
    #[default]
    Detect,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a device needs to be treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Time limits.
    pub timeouts: Timeouts,
    /// See [`SplitHeader`].
    pub split_header: SplitHeader,
    /// Code and transaction of data containers hold junk: believe their length and kind alone.
    pub ignore_data_headers: bool,
    /// Whether to send Device_Reset_Request when nothing else brings an answer. Some phones don't speak MTP after it
    /// until they are plugged in again.
    pub reset_as_last_resort: bool,
}

/// Whether the device knows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Closed,
    /// With the next transaction's id.
    Open(u32),
    Gone,
}

/// One device. A task of its own, or a lock, keeps its calls apart: transactions are strictly serial.
pub struct Initiator {
    link: Link,
    options: Options,
    session: Session,
    /// A transaction that was begun and whose end nobody has seen.
    pending: Option<Pending>,
    device: Option<DeviceInfo>,
    /// Announced, and refused as unknown all the same.
    refused: BTreeSet<OperationCode>,
    /// Data headers go in packets of their own.
    split: bool,
}

impl Initiator {
    /// An initiator without a session. It does nothing until it is asked to.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>, options: Options) -> Self {
        Self {
            link: Link::new(transport),
            options,
            session: Session::Closed,
            pending: None,
            device: None,
            refused: BTreeSet::new(),
            split: options.split_header == SplitHeader::Always,
        }
    }

    /// What the device told of itself when [`Initiator::get_device_info`] last asked.
    #[must_use]
    pub const fn device(&self) -> Option<&DeviceInfo> {
        self.device.as_ref()
    }

    /// Whether the device announced the operation and hasn't said since that it doesn't know it. False before
    /// [`Initiator::get_device_info`].
    #[must_use]
    pub fn supports(&self, operation: OperationCode) -> bool {
        self.device.as_ref().is_some_and(|device| device.supports(operation))
            && !self.refused.contains(&operation)
    }

    /// Whether a session is open as far as is known.
    #[must_use]
    pub const fn has_session(&self) -> bool {
        matches!(self.session, Session::Open(_))
    }

    /// Whether the device is known to be gone; nothing will bring it back.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.session == Session::Gone
    }

    /// Changes how the device is treated, from the next transaction on: what it is, is known only when it is open.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        match options.split_header {
            SplitHeader::Detect => {}
            SplitHeader::Always => self.split = true,
            SplitHeader::Never => self.split = false,
        }
    }

    /// How the device is treated.
    #[must_use]
    pub const fn options(&self) -> Options {
        self.options
    }

    /// An event that came while something else was going on; the last 256 are kept.
    pub fn take_event(&mut self) -> Option<Event> {
        self.link.take_event()
    }

    /// Waits for an event. Dropping it loses none.
    ///
    /// # Errors
    /// [`Error::Gone`] when the device is unplugged.
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        if self.is_gone() {
            return Err(Error::Gone);
        }
        match self.link.event().await {
            Ok(event) => Ok(event),
            Err(_) => {
                self.session = Session::Gone;
                Err(Error::Gone)
            }
        }
    }

    /// Notes that the device is gone where that is what the transport says.
    fn note(&mut self, error: TransportError, operation: OperationCode) -> Error {
        match error {
            TransportError::Gone => {
                self.session = Session::Gone;
                self.pending = None;
                Error::Gone
            }
            TransportError::Stalled => Error::Stalled { operation },
            TransportError::Other(message) => Error::Bus { operation, message },
        }
    }
}
