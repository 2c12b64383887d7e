//! The edge to libudev: listens, lists, and copies facts out.
//!
//! It decides nothing, and no libudev object leaves it. It blocks, and runs on a thread that may.

use crate::HardwareError;
use crate::facts::{BlockFacts, CardFacts, InterfaceFacts, UsbDeviceFacts, UsbFacts};
use crate::system_disk;
use crate::tracker::{Facts, Sighting};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::Sender;
use udev::{Device, Enumerator, EventType, MonitorBuilder, MonitorSocket};

/// What one attempt to receive came to.
enum Received {
    Sighting(Sighting),
    /// Nothing that concerns us.
    Other,
    /// All that had come was received.
    Drained,
    /// The kernel dropped some: only a new listing tells what is there.
    Lost,
}

fn failure(doing: &'static str) -> impl Fn(io::Error) -> HardwareError {
    move |cause| HardwareError::Udev { doing, cause }
}

/// Tells of all block devices and USB devices, then of changes, until `wake` is closed on its other side or nobody listens any more.
pub(crate) fn run(wake: &PipeReader, sightings: &Sender<Sighting>) -> Result<(), HardwareError> {
    let socket = MonitorBuilder::new()
        .and_then(|monitor| monitor.match_subsystem("block"))
        .and_then(|monitor| monitor.match_subsystem_devtype("usb", "usb_device"))
        .and_then(MonitorBuilder::listen)
        .map_err(failure("subscribing"))?;
    // listening has begun, so nothing that comes during the listing is missed
    if sightings.blocking_send(list()?).is_err() {
        return Ok(());
    }
    while wait(&socket, wake).map_err(|error| failure("waiting")(error.into()))? {
        loop {
            let sighting = match receive(&socket).map_err(failure("receiving"))? {
                Received::Sighting(sighting) => sighting,
                Received::Lost => {
                    tracing::warn!(
                        "udev's events came faster than they were read; listing all devices again"
                    );
                    list()?
                }
                Received::Other => continue,
                Received::Drained => break,
            };
            if sightings.blocking_send(sighting).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Waits for an event; `false` when it is time to end.
fn wait(socket: &MonitorSocket, wake: &PipeReader) -> Result<bool, Errno> {
    let mut descriptors = [PollFd::new(wake, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
    loop {
        match poll(&mut descriptors, None) {
            Ok(_) => return Ok(descriptors[0].revents().is_empty()),
            Err(Errno::INTR) => (),
            Err(error) => return Err(error),
        }
    }
}

fn receive(socket: &MonitorSocket) -> io::Result<Received> {
    let Some(event) = socket.iter().next() else {
        // libudev leaves the reason in errno; nothing has been called since
        let error = io::Error::last_os_error();
        return match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => Ok(Received::Drained),
            Some(Errno::INTR) => Ok(Received::Other),
            Some(Errno::NOBUFS) => Ok(Received::Lost),
            _ => Err(error),
        };
    };
    Ok(match event.event_type() {
        EventType::Remove => Received::Sighting(Sighting::Gone(text(event.syspath().as_os_str()))),
        // libmtp's rules run when a USB device's driver is bound
        EventType::Add | EventType::Change | EventType::Bind => {
            Received::Sighting(Sighting::One(Box::new(facts(&event))))
        }
        EventType::Unbind | EventType::Unknown => Received::Other,
    })
}

fn list() -> Result<Sighting, HardwareError> {
    let in_udev = failure("listing devices");
    let mut enumerator = Enumerator::new().map_err(&in_udev)?;
    enumerator.match_subsystem("block").map_err(&in_udev)?;
    enumerator.match_subsystem("usb").map_err(&in_udev)?;
    // one that udev hasn't finished with has no properties yet and is left alone; its event follows
    let devices = enumerator.scan_devices().map_err(&in_udev)?;
    let devices =
        devices.filter(|device| device.subsystem() != Some(OsStr::new("usb")) || is_usb_device(device));
    Ok(Sighting::All(devices.map(|device| facts(&device)).collect()))
}

fn is_usb_device(device: &Device) -> bool {
    device.devtype() == Some(OsStr::new("usb_device"))
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

fn property(device: &Device, name: &str) -> String {
    device.property_value(name).map(text).unwrap_or_default()
}

fn attribute(device: &Device, name: &str) -> String {
    device.attribute_value(name).map(text).unwrap_or_default()
}

/// The first of these properties that has a value.
fn first_property(device: &Device, names: &[&str]) -> String {
    names.iter().map(|name| property(device, name)).find(|value| !value.is_empty()).unwrap_or_default()
}

/// A parent that can't be looked up is the same to us as none.
fn parent(device: &Device, subsystem: &str, kind: &str) -> Option<Device> {
    device.parent_with_subsystem_devtype(subsystem, kind).ok().flatten()
}

fn facts(device: &Device) -> Facts {
    if is_usb_device(device) {
        Facts::Usb(usb_device_facts(device), None)
    } else {
        Facts::Block(block_facts(device))
    }
}

fn usb_device_facts(device: &Device) -> UsbDeviceFacts {
    let is_set = |name: &str| property(device, name) == "1";
    let forbidden = [
        ("TANDEM_IGNORE", "1", "TANDEM_IGNORE=1"),
        ("MTP_NO_PROBE", "1", "MTP_NO_PROBE=1"),
        ("COLOR_MEASUREMENT_DEVICE", "1", "COLOR_MEASUREMENT_DEVICE=1"),
        ("libsane_matched", "yes", "libsane_matched=yes"),
    ];
    let decimal = |name: &str| attribute(device, name).trim().parse().unwrap_or_default();
    let forbidden = forbidden.into_iter().find(|(name, value, _)| property(device, name) == *value);
    UsbDeviceFacts {
        syspath: text(device.syspath().as_os_str()),
        node: device.devnode().map(Path::to_owned),
        address: (decimal("busnum"), decimal("devnum")),
        usb: usb_facts(device),
        class: u8::from_str_radix(attribute(device, "bDeviceClass").trim(), 16).unwrap_or_default(),
        usb_version: attribute(device, "version").trim().to_owned(),
        release: attribute(device, "bcdDevice"),
        bos: std::fs::read(device.syspath().join("bos_descriptors")).ok(),
        interfaces: interfaces(device.syspath()),
        is_known_mtp: is_set("ID_MTP_DEVICE") || is_set("TANDEM_MTP"),
        is_camera: is_set("ID_GPHOTO2"),
        device_interfaces: property(device, "TANDEM_DEVICE_INTERFACES"),
        provider: property(device, "TANDEM_PROVIDER"),
        forbidden_by: forbidden.map(|(_, _, rule)| rule),
    }
}

/// The interfaces of a USB device from its folder in sysfs. One that can't be read any more is about to go.
fn interfaces(device: &Path) -> Vec<InterfaceFacts> {
    let children = std::fs::read_dir(device).into_iter().flatten().flatten();
    let mut interfaces: Vec<InterfaceFacts> = children.filter_map(|child| interface(&child.path())).collect();
    interfaces.sort_by_key(|interface| interface.number);
    interfaces
}

fn interface(path: &Path) -> Option<InterfaceFacts> {
    let read = |name: &str| std::fs::read(path.join(name)).ok();
    let number = |name: &str| {
        let bytes = read(name)?;
        u8::from_str_radix(std::str::from_utf8(&bytes).ok()?.trim(), 16).ok()
    };
    let driver = std::fs::read_link(path.join("driver")).ok();
    Some(InterfaceFacts {
        number: number("bInterfaceNumber")?,
        class: number("bInterfaceClass")?,
        subclass: number("bInterfaceSubClass")?,
        protocol: number("bInterfaceProtocol")?,
        endpoints: number("bNumEndpoints")?,
        name: read("interface")
            .map(|name| String::from_utf8_lossy(&name).trim().to_owned())
            .unwrap_or_default(),
        driver: driver.as_deref().and_then(Path::file_name).map(text).unwrap_or_default(),
    })
}

fn block_facts(device: &Device) -> BlockFacts {
    let is_partition = device.devtype() == Some(OsStr::new("partition"));
    let disk = if is_partition { parent(device, "block", "disk") } else { None };
    let disk = disk.as_ref().unwrap_or(device);
    let usb = parent(device, "usb", "usb_device");
    let card = device.parent_with_subsystem("mmc").ok().flatten();
    let is_candidate = usb.is_some() || card.is_some() || property(device, "ID_BUS") == "usb";
    let is_set = |device: &Device, name: &str| property(device, name) == "1";
    let number = device.devnum().unwrap_or(0);
    BlockFacts {
        syspath: text(device.syspath().as_os_str()),
        kernel_name: text(device.sysname()),
        node: device.devnode().map(Path::to_owned),
        number: (rustix::fs::major(number), rustix::fs::minor(number)),
        is_partition,
        has_partitions: !is_partition && is_candidate && has_partitions(device),
        // reads the mount table, so only for what could be a player
        holds_system: is_candidate && system_disk::disks().contains(disk.syspath()),
        removable: attribute(disk, "removable") == "1",
        tandem_ignore: [Some(device), Some(disk), usb.as_ref()]
            .into_iter()
            .flatten()
            .any(|device| is_set(device, "TANDEM_IGNORE")),
        udisks_ignore: is_set(device, "UDISKS_IGNORE"),
        optical: is_set(device, "ID_CDROM") || property(device, "ID_TYPE") == "cd",
        file_system_usage: property(device, "ID_FS_USAGE"),
        file_system_type: property(device, "ID_FS_TYPE"),
        file_system_uuid: property(device, "ID_FS_UUID"),
        file_system_label: first_property(device, &["ID_FS_LABEL_ENC", "ID_FS_LABEL"]),
        partition_number: property(device, "ID_PART_ENTRY_NUMBER"),
        partition_type: property(device, "ID_PART_ENTRY_TYPE"),
        partition_flags: property(device, "ID_PART_ENTRY_FLAGS"),
        bus: property(device, "ID_BUS"),
        instance: first_property(device, &["ID_USB_INSTANCE", "ID_INSTANCE"]),
        vendor: first_property(device, &["ID_VENDOR_ENC", "ID_VENDOR"]),
        vendor_id: first_property(device, &["ID_USB_VENDOR_ID", "ID_VENDOR_ID"]),
        model: first_property(device, &["ID_MODEL_ENC", "ID_MODEL"]),
        model_id: first_property(device, &["ID_USB_MODEL_ID", "ID_MODEL_ID"]),
        revision: property(device, "ID_REVISION"),
        serial: property(device, "ID_SERIAL_SHORT"),
        media_player: [Some(device), usb.as_ref()]
            .into_iter()
            .flatten()
            .map(|device| property(device, "ID_MEDIA_PLAYER"))
            .find(|name| !name.is_empty() && name != "1")
            .unwrap_or_default(),
        bus_path: property(device, "ID_PATH"),
        usb: usb.as_ref().map(usb_facts),
        card: card.as_ref().map(card_facts),
    }
}

fn usb_facts(usb: &Device) -> UsbFacts {
    UsbFacts {
        vendor_id: attribute(usb, "idVendor"),
        product_id: attribute(usb, "idProduct"),
        manufacturer: attribute(usb, "manufacturer"),
        product: attribute(usb, "product"),
        serial: attribute(usb, "serial"),
        port: text(usb.sysname()),
    }
}

fn card_facts(card: &Device) -> CardFacts {
    CardFacts {
        kind: attribute(card, "type"),
        name: attribute(card, "name"),
        serial: attribute(card, "serial"),
        slot: text(card.sysname()),
    }
}

/// Whether the disk's folder in sysfs holds those of partitions. One that can't be read any more is about to go.
fn has_partitions(disk: &Device) -> bool {
    let children = std::fs::read_dir(disk.syspath()).into_iter().flatten().flatten();
    let mut paths = children.map(|child: std::fs::DirEntry| -> PathBuf { child.path() });
    paths.any(|path| path.join("partition").exists())
}
