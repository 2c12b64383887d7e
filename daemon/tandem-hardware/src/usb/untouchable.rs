//! Devices that may not be spoken to, and those that may not be asked what they are. Pure.
//!
//! Windows asks every device once for its Microsoft OS descriptors, so that hardly one is harmed by that; all the same a
//! device is asked only if it could be a player and nobody is using it.

use super::{Reason, YIELDING};
use crate::facts::{InterfaceFacts, UsbDeviceFacts};

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

/// Classes that a device must have to be asked, of those that it can have as a whole: told by its interfaces,
/// communications, still image, several functions, its vendor's own. After libmtp.
const ASKED_CLASSES: [u8; 5] = [0x00, 0x02, 0x06, 0xef, 0xff];

/// Classes of interfaces that say that a device is for something else: printers, smart cards, content security, video,
/// health, billboards, diagnosis, wireless controllers, and what has to do with updating and measuring.
const OTHER_PURPOSES: [u8; 9] = [0x07, 0x0b, 0x0d, 0x0e, 0x0f, 0x11, 0xdc, 0xe0, 0xfe];

/// Classes of interfaces that a player may be served over: told by nobody, several functions, its vendor's own.
const SERVED_CLASSES: [u8; 3] = [0x00, 0xef, 0xff];

/// A player's files need one endpoint in each direction.
const ENDPOINTS: u8 = 2;

/// Whether the device may be spoken to at all.
pub(super) fn may_be_touched(facts: &UsbDeviceFacts) -> Result<(), Reason> {
    if let Some(rule) = facts.forbidden_by {
        return Err(Reason::ByRule(rule));
    }
    let (vendor, product) =
        (facts.usb.vendor_id.to_ascii_lowercase(), facts.usb.product_id.to_ascii_lowercase());
    let listed = |(listed, products): &(&str, &str)| *listed == vendor && product.starts_with(products);
    let is_printer = |interface: &InterfaceFacts| (interface.class, interface.subclass) == (0x07, 0x01);
    if DO_NOT_TOUCH.iter().any(listed) || facts.interfaces.iter().any(is_printer) {
        return Err(Reason::DoNotTouch(vendor, product));
    }
    if facts.class == 0x09 || facts.interfaces.iter().any(|interface| interface.class == 0x09) {
        return Err(Reason::Hub);
    }
    Ok(())
}

/// Whether a device that may be spoken to may be asked for its descriptors.
pub(super) fn may_be_asked(facts: &UsbDeviceFacts) -> Result<(), Reason> {
    if !ASKED_CLASSES.contains(&facts.class) {
        return Err(Reason::DeviceClass(facts.class));
    }
    if facts.is_camera {
        return Err(Reason::PictureTransfer);
    }
    let other = facts.interfaces.iter().find(|interface| OTHER_PURPOSES.contains(&interface.class));
    if let Some(other) = other {
        return Err(Reason::OtherPurpose(other.number, other.class));
    }
    if let Some(used) = facts.interfaces.iter().find(|interface| interface.driver == "usbfs") {
        return Err(Reason::InUse(used.number));
    }
    may_be_served(facts)?;
    facts.node.as_ref().ok_or(Reason::NoNode)?;
    Ok(())
}

/// Whether it has an interface that a player could be served over, and that no kernel driver holds.
pub(super) fn may_be_served(facts: &UsbDeviceFacts) -> Result<(), Reason> {
    let first = facts.interfaces.iter().find(could_serve).ok_or(Reason::NoInterface)?;
    if served(facts).next().is_none() {
        return Err(Reason::Driver(first.number, first.driver.clone()));
    }
    Ok(())
}

/// The interfaces that a player could be served over.
pub(super) fn served(facts: &UsbDeviceFacts) -> impl Iterator<Item = &InterfaceFacts> {
    let is_free = |interface: &&InterfaceFacts| YIELDING.contains(&interface.driver.as_str());
    facts.interfaces.iter().filter(could_serve).filter(is_free)
}

fn could_serve(interface: &&InterfaceFacts) -> bool {
    SERVED_CLASSES.contains(&interface.class) && interface.endpoints >= ENDPOINTS
}
