//! Says of a USB device whether it speaks MTP, by which interface, and what it is called for ever. Pure.
//!
//! It must not ask the device anything: what the kernel and udev have read is all there is. A device that answers only to
//! Microsoft's descriptors is found where libmtp's udev rules have probed it.

use crate::facts::{InterfaceFacts, UsbDeviceFacts};
use crate::text::{part, shown};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::DeviceId;
use tandem_model::presence::{Arrival, Locator};
use thiserror::Error;

/// Why a USB device is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotMtp {
    /// A udev rule says so.
    #[error("a udev rule sets {0}")]
    ByRule(&'static str),
    /// A device that other software owns, and that may not be spoken to.
    #[error("devices {0}:{1} belong to other software")]
    DoNotTouch(String, String),
    /// A hub, or a device whose interfaces are all of another kind.
    #[error("it has no interface that MTP is spoken over")]
    NoInterface,
    /// A camera in picture transfer mode.
    #[error("it is in picture transfer mode; choose file transfer on the device")]
    PictureTransfer,
    /// A kernel driver that is no storage driver has the interface.
    #[error("the kernel's driver {0} has its interface")]
    Driver(String),
    /// There is no device node to reach it by.
    #[error("it has no device node")]
    NoNode,
    /// Ids that aren't numbers.
    #[error("its ids `{0}:{1}` are not numbers")]
    NoIds(String, String),
}

/// Vendors, and products by their first digits, that must not be spoken to: colour instruments, scanners, programmers,
/// readers. After the list that libmtp's udev rules skip.
const DO_NOT_TOUCH: [(&str, &str); 13] = [
    ("0670", ""),
    ("0765", ""),
    ("085c", ""),
    ("0971", ""),
    ("04a9", "22"),
    ("04a9", "3113"),
    ("03f0", "c5"),
    ("0cf3", ""),
    ("03eb", ""),
    ("0471", "083f"),
    ("1db2", "060"),
    ("1395", "0280"),
    ("1d6b", "00"),
];

/// Drivers that give an interface up to whoever claims it.
const YIELDING: [&str; 4] = ["", "usbfs", "usb-storage", "uas"];

/// What is known of a USB device if it speaks MTP, or else why it is left alone.
///
/// # Errors
/// The first reason that applies.
pub fn classify_usb(facts: &UsbDeviceFacts) -> Result<Arrival, NotMtp> {
    let (vendor, product) =
        (facts.usb.vendor_id.to_ascii_lowercase(), facts.usb.product_id.to_ascii_lowercase());
    may_be_touched(facts, &vendor, &product)?;
    let interface = choose(facts)?;
    if !YIELDING.contains(&interface.driver.as_str()) {
        return Err(NotMtp::Driver(interface.driver.clone()));
    }
    let node = facts.node.clone().ok_or(NotMtp::NoNode)?;
    let number = |digits: &str| u16::from_str_radix(digits, 16).ok();
    let ids = number(&vendor).zip(number(&product));
    let ids = ids.ok_or_else(|| NotMtp::NoIds(vendor.clone(), product.clone()))?;
    let locator = Locator::Usb { node, ids, interface: interface.number };
    let description = describe(facts, &vendor, &product);
    Ok(Arrival { key: facts.syspath.clone(), description, port: facts.usb.port.clone(), locator })
}

fn may_be_touched(facts: &UsbDeviceFacts, vendor: &str, product: &str) -> Result<(), NotMtp> {
    if let Some(rule) = facts.forbidden_by {
        return Err(NotMtp::ByRule(rule));
    }
    let listed = |(listed, products): &(&str, &str)| *listed == vendor && product.starts_with(products);
    let is_printer = |interface: &InterfaceFacts| (interface.class, interface.subclass) == (0x07, 0x01);
    if DO_NOT_TOUCH.iter().any(listed) || facts.interfaces.iter().any(is_printer) {
        return Err(NotMtp::DoNotTouch(vendor.to_owned(), product.to_owned()));
    }
    Ok(())
}

/// The interface that MTP is spoken over. Its own name counts most, then the class, then what udev's rules have found out
/// of the device.
fn choose(facts: &UsbDeviceFacts) -> Result<&InterfaceFacts, NotMtp> {
    let pipes = |interface: &&InterfaceFacts| interface.endpoints == 3;
    let named = |name: &'static str| {
        move |interface: &&InterfaceFacts| interface.name.to_ascii_uppercase().contains(name)
    };
    let still_image =
        |interface: &&InterfaceFacts| (interface.class, interface.subclass, interface.protocol) == (6, 1, 1);
    let own = |interface: &&InterfaceFacts| interface.class == 0xff;
    let candidates = || facts.interfaces.iter().filter(pipes);
    if let Some(interface) = candidates().find(|interface| {
        named("MTP")(interface) && (still_image(interface) || own(interface) || interface.class == 0)
    }) {
        return Ok(interface);
    }
    if facts.is_known_mtp {
        let found = candidates().find(still_image).or_else(|| candidates().find(own));
        return found.or_else(|| candidates().next()).ok_or(NotMtp::NoInterface);
    }
    match candidates().find(still_image) {
        // cameras have the same class, and only the name or udev tells them from players
        Some(interface) if named("PTP")(&interface) || facts.is_camera => Err(NotMtp::PictureTransfer),
        Some(interface) => Ok(interface),
        None => Err(NotMtp::NoInterface),
    }
}

/// The lasting identifier: `mtp-VENDOR-PRODUCT[-SERIAL]`, and where a device has no serial number its position on the bus
/// in its place. Partnerships are kept under it.
fn describe(facts: &UsbDeviceFacts, vendor: &str, product: &str) -> DeviceDescription {
    let serial = facts.usb.serial.trim();
    let mut parts = vec!["mtp".to_owned(), part(vendor), part(product)];
    // some firmwares have the same filler for a serial number on each device
    if serial.is_empty() || serial.bytes().all(|byte| byte == b'0') {
        parts.extend(["at".to_owned(), part(&facts.usb.port)]);
    } else {
        parts.push(part(serial));
    }
    let model = shown(&facts.usb.product);
    DeviceDescription {
        id: DeviceId(parts.join("-")),
        kind: Kind::Mtp,
        name: if model.is_empty() { "MTP player".to_owned() } else { model.clone() },
        manufacturer: shown(&facts.usb.manufacturer),
        model,
        serial_number: shown(serial),
        firmware: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::UsbFacts;

    fn interface(class: u8, subclass: u8, protocol: u8, name: &str) -> InterfaceFacts {
        InterfaceFacts {
            number: 1,
            class,
            subclass,
            protocol,
            endpoints: 3,
            name: name.to_owned(),
            driver: String::new(),
        }
    }

    fn device(vendor: &str, interfaces: Vec<InterfaceFacts>) -> UsbDeviceFacts {
        UsbDeviceFacts {
            syspath: "/sys/devices/usb1/1-2".into(),
            node: Some("/dev/bus/usb/001/004".into()),
            usb: UsbFacts {
                vendor_id: vendor.into(),
                product_id: "4EE1".into(),
                product: "Phone".into(),
                serial: "ABC1".into(),
                port: "1-2".into(),
                ..UsbFacts::default()
            },
            interfaces,
            is_known_mtp: false,
            is_camera: false,
            forbidden_by: None,
        }
    }

    #[test]
    fn a_phone_is_found_by_its_interface_and_keeps_its_identifier() {
        let phone = device("18d1", vec![interface(0xff, 0x42, 1, "ADB"), interface(6, 1, 1, "MTP")]);
        let arrival = classify_usb(&phone).unwrap();
        assert_eq!(arrival.description.id.0, "mtp-18d1-4ee1-ABC1");
        assert_eq!(arrival.description.kind, Kind::Mtp);
        let node = "/dev/bus/usb/001/004".into();
        assert_eq!(arrival.locator, Locator::Usb { node, ids: (0x18d1, 0x4ee1), interface: 1 });
        let other_socket =
            UsbDeviceFacts { usb: UsbFacts { port: "3-1".into(), ..phone.usb.clone() }, ..phone };
        assert_eq!(classify_usb(&other_socket).unwrap().description.id, arrival.description.id);
    }

    #[test]
    fn vendor_specific_interfaces_count_by_name_or_by_udev() {
        assert!(classify_usb(&device("091e", vec![interface(0xff, 0xff, 0, "MTP")])).is_ok());
        let unnamed = device("1949", vec![interface(0xff, 0xff, 0, "")]);
        assert_eq!(classify_usb(&unnamed), Err(NotMtp::NoInterface));
        assert!(classify_usb(&UsbDeviceFacts { is_known_mtp: true, ..unnamed }).is_ok());
    }

    #[test]
    fn a_camera_is_no_player_and_a_phone_in_its_mode_is_told_apart() {
        let ptp = device("18d1", vec![interface(6, 1, 1, "PTP")]);
        assert_eq!(classify_usb(&ptp), Err(NotMtp::PictureTransfer));
        let camera = UsbDeviceFacts { is_camera: true, ..device("04b0", vec![interface(6, 1, 1, "")]) };
        assert_eq!(classify_usb(&camera), Err(NotMtp::PictureTransfer));
        assert!(classify_usb(&UsbDeviceFacts { is_known_mtp: true, ..camera }).is_ok());
    }

    #[test]
    fn what_belongs_to_others_is_never_touched() {
        let named = || vec![interface(0xff, 0xff, 0, "MTP")];
        for vendor in ["0670", "0765", "03EB"] {
            let left = classify_usb(&device(vendor, named()));
            assert!(matches!(left, Err(NotMtp::DoNotTouch(..))), "{vendor}: {left:?}");
        }
        // root hubs are the kernel's, and players on Linux have ids of the same vendor
        let of_linux = |product: &str| {
            let mut device = device("1d6b", named());
            device.usb.product_id = product.into();
            classify_usb(&device)
        };
        assert!(matches!(of_linux("0003"), Err(NotMtp::DoNotTouch(..))));
        assert!(of_linux("0100").is_ok());
        let printer = device("04b8", vec![interface(7, 1, 2, ""), interface(6, 1, 1, "MTP")]);
        assert!(matches!(classify_usb(&printer), Err(NotMtp::DoNotTouch(..))));
        let ruled = UsbDeviceFacts { forbidden_by: Some("TANDEM_IGNORE=1"), ..device("18d1", named()) };
        assert_eq!(classify_usb(&ruled), Err(NotMtp::ByRule("TANDEM_IGNORE=1")));
        let mut held = device("18d1", named());
        held.interfaces[0].driver = "cdc_acm".into();
        assert_eq!(classify_usb(&held), Err(NotMtp::Driver("cdc_acm".into())));
    }

    #[test]
    fn a_device_without_a_serial_number_is_known_by_its_socket() {
        for serial in ["", "000000000000"] {
            let mut player = device("18d1", vec![interface(6, 1, 1, "MTP")]);
            player.usb.serial = serial.into();
            assert_eq!(classify_usb(&player).unwrap().description.id.0, "mtp-18d1-4ee1-at-1-2");
        }
    }
}
