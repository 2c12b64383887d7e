//! What is told of a block device, as plain values: no udev object leaves the place where it was read.
//!
//! Values are as the system gave them, escapes included; an absent one is empty. Nothing is decided here.

use std::path::PathBuf;

/// A block device as udev and sysfs tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockFacts {
    /// Its place in sysfs, `/sys/devices/…`.
    pub syspath: String,
    /// The kernel's name for it, such as `sdb1`.
    pub kernel_name: String,
    /// Its device node; `None` when it has none.
    pub node: Option<PathBuf>,
    /// Major and minor number of the node.
    pub number: (u32, u32),
    /// It is a partition of a disk, not a disk.
    pub is_partition: bool,
    /// It is a disk with partitions.
    pub has_partitions: bool,
    /// Its disk holds a part of the running system.
    pub holds_system: bool,
    /// sysfs `removable` of its disk: the medium can be taken out.
    pub removable: bool,
    /// `TANDEM_IGNORE=1`, on the device or what it is plugged in by.
    pub tandem_ignore: bool,
    /// `UDISKS_IGNORE=1`.
    pub udisks_ignore: bool,
    /// `ID_CDROM=1`, or `ID_TYPE=cd`.
    pub optical: bool,
    /// `ID_FS_USAGE`.
    pub file_system_usage: String,
    /// `ID_FS_TYPE`.
    pub file_system_type: String,
    /// `ID_FS_UUID`.
    pub file_system_uuid: String,
    /// `ID_FS_LABEL_ENC`.
    pub file_system_label: String,
    /// `ID_PART_ENTRY_NUMBER`.
    pub partition_number: String,
    /// `ID_PART_ENTRY_TYPE`: a GUID, or `0x…` for an MBR's type.
    pub partition_type: String,
    /// `ID_PART_ENTRY_FLAGS`, `0x…`.
    pub partition_flags: String,
    /// `ID_BUS`.
    pub bus: String,
    /// `ID_INSTANCE`: target and LUN, such as `0:1`.
    pub instance: String,
    /// `ID_VENDOR_ENC`.
    pub vendor: String,
    /// `ID_VENDOR_ID`: four hexadecimal digits.
    pub vendor_id: String,
    /// `ID_MODEL_ENC`.
    pub model: String,
    /// `ID_MODEL_ID`: four hexadecimal digits.
    pub model_id: String,
    /// `ID_REVISION`.
    pub revision: String,
    /// `ID_SERIAL_SHORT`.
    pub serial: String,
    /// `ID_MEDIA_PLAYER` of the device, or else of the USB device.
    pub media_player: String,
    /// `ID_PATH`: the position on the bus.
    pub bus_path: String,
    /// The USB device that it is a part of.
    pub usb: Option<UsbFacts>,
    /// The SD or MMC card that it is a part of.
    pub card: Option<CardFacts>,
}

/// A USB device by its descriptors, as sysfs shows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsbFacts {
    /// `idVendor`: four hexadecimal digits.
    pub vendor_id: String,
    /// `idProduct`: four hexadecimal digits.
    pub product_id: String,
    /// `manufacturer`.
    pub manufacturer: String,
    /// `product`.
    pub product: String,
    /// `serial`.
    pub serial: String,
    /// Its name in sysfs, which is its position: `1-2.4` is port 4 of the hub at port 2 of bus 1.
    pub port: String,
}

/// A USB device with its interfaces, as udev and sysfs tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsbDeviceFacts {
    /// Its place in sysfs, `/sys/devices/…`.
    pub syspath: String,
    /// Its device node; `None` when it has none.
    pub node: Option<PathBuf>,
    /// `busnum` and `devnum`.
    pub address: (u16, u16),
    /// Its descriptors.
    pub usb: UsbFacts,
    /// `bDeviceClass`.
    pub class: u8,
    /// `version`, such as `2.10`: `bcdUSB`.
    pub usb_version: String,
    /// `bcdDevice`: four hexadecimal digits.
    pub release: String,
    /// `bos_descriptors`, where the kernel has that file.
    pub bos: Option<Vec<u8>>,
    /// Its interfaces, in the order of their numbers.
    pub interfaces: Vec<InterfaceFacts>,
    /// `ID_MTP_DEVICE=1`, or `TANDEM_MTP=1` where the former was taken away to keep desktops from it.
    pub is_known_mtp: bool,
    /// `ID_GPHOTO2=1`.
    pub is_camera: bool,
    /// `TANDEM_DEVICE_INTERFACES`: GUIDs with spaces, commas or semicolons between them.
    pub device_interfaces: String,
    /// `TANDEM_PROVIDER`: the bus name of the provider that is to serve it.
    pub provider: String,
    /// The property that keeps everybody off it.
    pub forbidden_by: Option<&'static str>,
}

/// An interface by its descriptor, as sysfs shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceFacts {
    /// `bInterfaceNumber`.
    pub number: u8,
    /// `bInterfaceClass`.
    pub class: u8,
    /// `bInterfaceSubClass`.
    pub subclass: u8,
    /// `bInterfaceProtocol`.
    pub protocol: u8,
    /// `bNumEndpoints`.
    pub endpoints: u8,
    /// `interface`: what the device calls it.
    pub name: String,
    /// The kernel driver that is bound to it.
    pub driver: String,
}

/// A memory card by its registers, as sysfs shows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardFacts {
    /// `type`: `SD`, `MMC`.
    pub kind: String,
    /// `name`: the product's name of the CID register.
    pub name: String,
    /// `serial` of the CID register, `0x…`.
    pub serial: String,
    /// Its name in sysfs, which is its slot and address.
    pub slot: String,
}
