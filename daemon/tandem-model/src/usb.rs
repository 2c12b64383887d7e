//! USB devices as whoever asks is told of them: what they are made of, what they advertise, and what they were taken for.

use crate::BoxFuture;
use crate::error::RequestError;
use crate::id::{DeviceId, Guid};

/// What a USB device was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsbKind {
    /// A player that speaks MTP.
    Mtp,
    /// A player for a service provider.
    Provider,
    /// A drive, whose file systems are devices of their own.
    MassStorage,
    /// Its descriptors would tell, and it could not be asked for them.
    Unknown,
    /// No player.
    None,
}

impl UsbKind {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mtp => "mtp",
            Self::Provider => "provider",
            Self::MassStorage => "mass-storage",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }
}

/// An interface of a USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbInterface {
    /// `bInterfaceNumber`.
    pub number: u8,
    /// Class, subclass and protocol.
    pub class: (u8, u8, u8),
    /// `bNumEndpoints`.
    pub endpoints: u8,
    /// What the device calls it.
    pub name: String,
    /// The kernel driver that is bound to it.
    pub driver: String,
}

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbReport {
    /// Its place in sysfs.
    pub syspath: String,
    /// Its device node; empty when it has none.
    pub node: String,
    /// Its port: bus, and the ports from hub to hub.
    pub port: String,
    /// Vendor and product, four hexadecimal digits each.
    pub ids: (String, String),
    /// `bcdDevice`: four hexadecimal digits.
    pub release: String,
    /// What it tells of itself; each may be empty.
    pub manufacturer: String,
    /// See `manufacturer`.
    pub product: String,
    /// See `manufacturer`.
    pub serial: String,
    /// Its interfaces.
    pub interfaces: Vec<UsbInterface>,
    /// What it was taken for.
    pub kind: UsbKind,
    /// The id of the player that it is.
    pub device: Option<DeviceId>,
    /// Why it was taken for that.
    pub reason: String,
    /// What is known of its Microsoft OS descriptors, in words.
    pub descriptors: String,
    /// The compatible ids in them, with the first interface of the function.
    pub compatible_ids: Vec<(Option<u8>, String)>,
    /// The device interfaces that it advertises, with the first interface of the function.
    pub device_interfaces: Vec<(Option<u8>, Guid)>,
}

/// Tells of the USB devices there are; the hardware side behind a trait, because the bus doesn't know it.
pub trait UsbDevices: Send + Sync + std::fmt::Debug {
    /// The devices that this text names: a path in sysfs, a device node, `BUS:DEVICE`, `VENDOR:PRODUCT` or a port; an empty
    /// one names all. With `again`, those that may be asked are asked anew what they are.
    ///
    /// `NotFound` when there is no such device, `InvalidArgument` when the text names none of those, `Failed` when no USB
    /// devices are looked for.
    fn probe(&self, device: String, again: bool) -> BoxFuture<'_, Result<Vec<UsbReport>, RequestError>>;
}
