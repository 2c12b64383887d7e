//! The USB transport: a still image class interface, or one like it, claimed through usbfs.
//!
//! It must not block the runtime, and must not reset a device: a phone then forgets what its user allowed.

mod holder;
mod inbound;
mod outbound;

use crate::transport::{Arrived, ClassRequest, Transport, TransportError};
use inbound::Inbound;
use nusb::descriptors::TransferType;
use nusb::transfer::{
    Buffer, Bulk, ControlIn, ControlOut, ControlType, Direction, In, Interrupt, Out, Recipient, TransferError,
};
use nusb::{Device, Endpoint, Interface};
use outbound::Outbound;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;
use tandem_model::BoxFuture;

/// The most that the interrupt pipe is asked for at once, in bytes.
const EVENT_BYTES: usize = 64;

/// QEMU's MTP device stalls when it is asked for an answer before it has all data; real ones let us wait.
const STALLS_WHEN_ASKED_EARLY: (u16, u16) = (0x46f4, 0x0004);

/// When the kernel gives a class request up; callers have their own, shorter limits.
const CONTROL_LIMIT: Duration = Duration::from_secs(10);

/// Why a device can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It went, or another one has its place.
    #[error("the device is gone")]
    Gone,
    /// Another program holds the interface.
    #[error("the device is in use by {0}")]
    Busy(String),
    /// Its node can't be opened.
    #[error("{} can't be opened: {cause}; the udev rule must give it to the daemon's group", .node.display())]
    NotPermitted {
        /// The device node.
        node: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The interface isn't one that MTP can be spoken over.
    #[error("interface {0} has no pair of bulk pipes")]
    NoPipes(u8),
    /// Anything else that the kernel reports.
    #[error("{}: {cause}", .node.display())]
    Other {
        /// The device node.
        node: PathBuf,
        /// What the system said.
        cause: String,
    },
}

/// Error of a transfer, as initiators understand it.
fn transport_error(error: TransferError) -> TransportError {
    match error {
        TransferError::Disconnected => TransportError::Gone,
        TransferError::Stall => TransportError::Stalled,
        error => TransportError::Other(error.to_string()),
    }
}

/// A claimed interface. Dropping it cancels what is under way and gives the interface back.
pub struct UsbTransport {
    outbound: Outbound,
    inbound: Inbound,
    events: Option<Endpoint<Interrupt, In>>,
    interface: Interface,
    max_packet_size: usize,
    /// See [`STALLS_WHEN_ASKED_EARLY`].
    patient: bool,
    /// A phase towards the device has begun and hasn't ended.
    sending: bool,
    /// Asking for an answer was put off once, to see whether a phase towards the device begins instead.
    hesitated: bool,
}

impl UsbTransport {
    /// Opens the node and claims the interface, taking it from a kernel driver but not from another program. `ids` are
    /// vendor and product, so that a device that has taken another's place is noticed.
    ///
    /// # Errors
    /// [`OpenError::Busy`] names the program that holds it, where that can be seen.
    pub async fn open(node: &Path, ids: (u16, u16), interface: u8) -> Result<Self, OpenError> {
        let other = |cause: String| OpenError::Other { node: node.to_owned(), cause };
        let file = open_node(node).await?;
        let device = Device::from_fd(file).await.map_err(|error| match error.kind() {
            nusb::ErrorKind::Disconnected => OpenError::Gone,
            _ => other(error.to_string()),
        })?;
        let descriptor = device.device_descriptor();
        if (descriptor.vendor_id(), descriptor.product_id()) != ids {
            return Err(OpenError::Gone);
        }
        match device.detach_and_claim_interface(interface).await {
            Ok(claimed) => Self::over(claimed, node, ids == STALLS_WHEN_ASKED_EARLY),
            Err(error) => Err(match error.kind() {
                nusb::ErrorKind::Disconnected => OpenError::Gone,
                nusb::ErrorKind::Busy => {
                    drop(device);
                    OpenError::Busy(holder::of(node).await)
                }
                _ => other(error.to_string()),
            }),
        }
    }

    fn over(interface: Interface, node: &Path, patient: bool) -> Result<Self, OpenError> {
        let failed =
            |error: nusb::Error| OpenError::Other { node: node.to_owned(), cause: error.to_string() };
        let missing = || OpenError::NoPipes(interface.interface_number());
        let address = |kind: TransferType, direction: Direction| {
            let descriptor = interface.descriptor()?;
            let mut endpoints = descriptor.endpoints();
            endpoints
                .find(|endpoint| endpoint.transfer_type() == kind && endpoint.direction() == direction)
                .map(|endpoint| endpoint.address())
        };
        let bulk_out = address(TransferType::Bulk, Direction::Out).ok_or_else(missing)?;
        let bulk_in = address(TransferType::Bulk, Direction::In).ok_or_else(missing)?;
        let outgoing = interface.endpoint::<Bulk, Out>(bulk_out).map_err(failed)?;
        let incoming = interface.endpoint::<Bulk, In>(bulk_in).map_err(failed)?;
        let events = address(TransferType::Interrupt, Direction::In)
            .map(|address| interface.endpoint::<Interrupt, In>(address).map_err(failed))
            .transpose()?;
        let max_packet_size = outgoing.max_packet_size().max(1);
        Ok(Self {
            outbound: Outbound::new(outgoing),
            inbound: Inbound::new(incoming),
            events,
            interface,
            max_packet_size,
            patient,
            sending: false,
            hesitated: false,
        })
    }
}

/// Opens a device node off the runtime's threads: opening wakes a device that sleeps.
async fn open_node(node: &Path) -> Result<OwnedFd, OpenError> {
    let path = node.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::OpenOptions::new().read(true).write(true).open(path).map(OwnedFd::from)
    });
    let opened = opened.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    opened.map_err(|error| {
        let (node, cause) = (node.to_owned(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => OpenError::Gone,
            std::io::ErrorKind::PermissionDenied => OpenError::NotPermitted { node, cause },
            _ if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => OpenError::Gone,
            _ => OpenError::Other { node, cause },
        }
    })
}

impl Transport for UsbTransport {
    fn max_packet_size(&self) -> usize {
        self.max_packet_size
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if self.patient && !self.sending {
            // what it is asked for too early it forgets to answer
            self.inbound.withdraw();
        }
        (self.sending, self.hesitated) = (true, false);
        self.outbound.poll_space(context)
    }

    fn out_space(&mut self) -> &mut [u8] {
        self.outbound.space()
    }

    fn out_filled(&mut self, bytes: usize) {
        self.outbound.filled(bytes);
    }

    fn poll_out_end(
        &mut self,
        context: &mut Context<'_>,
        zero_length_packet: bool,
    ) -> Poll<Result<(), TransportError>> {
        let ended = self.outbound.poll_end(context, zero_length_packet);
        self.sending &= ended.is_pending();
        ended
    }

    fn poll_out_abort(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.sending = false;
        self.outbound.poll_abort(context)
    }

    fn poll_in(&mut self, context: &mut Context<'_>, expected: u64) -> Poll<Result<(), TransportError>> {
        if self.patient && expected == 0 && self.inbound.is_idle() {
            if self.sending {
                return Poll::Pending;
            }
            if !self.hesitated {
                self.hesitated = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        self.hesitated = false;
        self.inbound.poll(context, expected)
    }

    fn arrived(&self) -> Arrived<'_> {
        self.inbound.arrived()
    }

    fn consume(&mut self, bytes: usize) {
        self.inbound.consume(bytes);
    }

    fn poll_interrupt(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<Result<(), TransportError>> {
        let Some(events) = &mut self.events else { return Poll::Pending };
        if events.pending() == 0 {
            let packet = events.max_packet_size().max(1);
            events.submit(Buffer::new((EVENT_BYTES / packet).max(1) * packet));
        }
        let completion = std::task::ready!(events.poll_next_complete(context));
        if let Err(error) = completion.status {
            return Poll::Ready(Err(transport_error(error)));
        }
        into.extend_from_slice(&completion.buffer[..completion.actual_len.min(EVENT_BYTES)]);
        // one is always pending: some devices stop when an event isn't taken
        events.submit(completion.buffer);
        Poll::Ready(Ok(()))
    }

    fn class_request(&mut self, request: ClassRequest) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        Box::pin(async move {
            let (control_type, recipient) = (ControlType::Class, Recipient::Interface);
            let (number, index) = (request.number(), u16::from(self.interface.interface_number()));
            let length = u16::try_from(request.answer_bytes()).unwrap_or(u16::MAX);
            if length == 0 {
                let data = request.payload();
                let out =
                    ControlOut { control_type, recipient, request: number, value: 0, index, data: &data };
                let sent = self.interface.control_out(out, CONTROL_LIMIT).await;
                return sent.map(|()| Vec::new()).map_err(transport_error);
            }
            let ask = ControlIn { control_type, recipient, request: number, value: 0, index, length };
            self.interface.control_in(ask, CONTROL_LIMIT).await.map_err(transport_error)
        })
    }

    fn clear_halts(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            self.outbound.clear_halt().await?;
            self.inbound.clear_halt().await
        })
    }
}

/// Error of a request to the kernel, as initiators understand it.
fn kernel_error(error: &nusb::Error) -> TransportError {
    match error.kind() {
        nusb::ErrorKind::Disconnected => TransportError::Gone,
        _ => TransportError::Other(error.to_string()),
    }
}
