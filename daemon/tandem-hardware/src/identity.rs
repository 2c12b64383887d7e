//! The lasting identifier of a block device. The rule, from which everything else follows:
//!
//! | device | identifier |
//! | --- | --- |
//! | on USB | `usb-VENDOR-PRODUCT[-SERIAL][-lunN][-pN][-UUID]` |
//! | SD or MMC card | `sd[-NAME][-SERIAL][-pN][-UUID]` |
//!
//! VENDOR and PRODUCT are USB's ids, SERIAL the device's serial number, `lunN` its unit where that isn't 0, `pN` the
//! partition, UUID the file system's. Without a serial number the UUID alone tells two of a kind apart. Without
//! either, the position on the bus has to (`-at-PORT`), and then the device is another one in another socket.
//! Formatting makes another device of it. A card in a USB reader has the reader's ids and its own UUID.
//!
//! Pure, and it must stay the same over versions: partnerships are kept under it.

use crate::card;
use crate::facts::{BlockFacts, CardFacts};
use crate::text::part;
use tandem_model::id::DeviceId;

/// The identifier by the rule above.
pub(crate) fn device_id(facts: &BlockFacts) -> DeviceId {
    let mut parts = match &facts.card {
        Some(card) if facts.usb.is_none() => card_parts(card),
        _ => usb_parts(facts),
    };
    let has_serial = !serial(facts).is_empty();
    if facts.is_partition {
        parts.push(format!("p{}", part(&partition_number(facts))));
    }
    let uuid = part(&facts.file_system_uuid);
    match (uuid.is_empty(), has_serial) {
        (false, _) => parts.push(uuid),
        (true, true) => (),
        (true, false) => parts.extend(["at".to_owned(), part(&port(facts))]),
    }
    parts.retain(|part| !part.is_empty());
    DeviceId(parts.join("-"))
}

fn usb_parts(facts: &BlockFacts) -> Vec<String> {
    let usb = facts.usb.as_ref();
    let vendor = usb.map_or(&facts.vendor_id, |usb| &usb.vendor_id);
    let product = usb.map_or(&facts.model_id, |usb| &usb.product_id);
    let unit = match facts.instance.rsplit_once(':') {
        Some((_, unit)) if unit != "0" => format!("lun{}", part(unit)),
        _ => String::new(),
    };
    vec!["usb".to_owned(), part(vendor), part(product), part(serial(facts)), unit]
}

fn card_parts(card: &CardFacts) -> Vec<String> {
    vec!["sd".to_owned(), part(&card.name), part(card::serial_digits(card))]
}

/// The serial number of the device, as it tells it.
pub(crate) fn serial(facts: &BlockFacts) -> &str {
    let usb = facts.usb.as_ref().map_or("", |usb| usb.serial.trim());
    let card = facts.card.as_ref().map_or("", card::serial_digits);
    [facts.serial.trim(), usb, card].into_iter().find(|serial| !serial.is_empty()).unwrap_or("")
}

/// The partition's number: udev's, or the digits at the end of the kernel's name.
fn partition_number(facts: &BlockFacts) -> String {
    if facts.partition_number.is_empty() {
        let name = &facts.kernel_name;
        name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..].to_owned()
    } else {
        facts.partition_number.clone()
    }
}

/// The position on the bus, as well as it is known.
pub(crate) fn port(facts: &BlockFacts) -> String {
    let usb = facts.usb.as_ref().map_or("", |usb| usb.port.as_str());
    let slot = facts.card.as_ref().map_or("", |card| card.slot.as_str());
    let known = [facts.bus_path.as_str(), usb, slot, facts.syspath.as_str()];
    known.into_iter().find(|port| !port.is_empty()).unwrap_or("").to_owned()
}
