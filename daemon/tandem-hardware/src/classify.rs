//! Says of a block device whether it can be a player, and if so, what is known of it before it is opened.
//!
//! Pure: the same facts give the same answer, on any machine.

use crate::card;
use crate::facts::BlockFacts;
use crate::identity;
use crate::text::{shown, unescape};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::presence::{Arrival, Locator};
use thiserror::Error;

/// Why a block device is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Ignored {
    /// A udev rule says so.
    #[error("a udev rule sets {0}=1")]
    ByRule(&'static str),
    /// It isn't on USB and isn't a card that can be taken out.
    #[error("it is neither on USB nor a memory card")]
    NotPortable,
    /// The running system lives on its disk.
    #[error("its disk holds the running system")]
    System,
    /// There is no device node to reach it by.
    #[error("it has no device node")]
    NoNode,
    /// An area of a card that is not for files.
    #[error("`{0}` is an area of the card that is not for files")]
    SpecialArea(String),
    /// An optical drive.
    #[error("it is an optical drive")]
    Optical,
    /// It holds no file system: empty, encrypted, swap, a part of an array.
    #[error("it holds no file system, but `{0}`")]
    NoFileSystem(String),
    /// A file system for media that are written once.
    #[error("its file system is {0}, which players do not use")]
    ReadOnlyFileSystem(String),
    /// A disk whose partitions are looked at in its place.
    #[error("it has partitions, which are looked at instead")]
    HasPartitions,
    /// A partition for the firmware or for a system's own use.
    #[error("partition type {0} is for the computer's own use")]
    SystemPartition(String),
}

/// Types of partitions that are never for the user's files: EFI (GPT, MBR), Microsoft's reserved and recovery
/// partitions, BIOS boot, Linux's boot loader partition.
const SYSTEM_PARTITIONS: [&str; 7] = [
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "0xef",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac",
    "0x27",
    "21686148-6449-6e6f-744e-656564454649",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172",
];

/// GPT's attribute "required by the platform".
const REQUIRED_BY_PLATFORM: u64 = 1;

/// What is known of the block device if it can be a player, or else why it is left alone.
///
/// # Errors
/// The first reason that applies.
pub fn classify(facts: &BlockFacts) -> Result<Arrival, Ignored> {
    may_be_touched(facts)?;
    holds_files(facts)?;
    let node = facts.node.clone().ok_or(Ignored::NoNode)?;
    let locator = Locator::BlockDevice {
        node,
        number: facts.number,
        file_system_uuid: facts.file_system_uuid.clone(),
        media_player: media_player(&facts.media_player),
    };
    Ok(Arrival {
        key: facts.syspath.clone(),
        description: describe(facts),
        port: identity::port(facts),
        locator,
    })
}

fn may_be_touched(facts: &BlockFacts) -> Result<(), Ignored> {
    if facts.tandem_ignore {
        return Err(Ignored::ByRule("TANDEM_IGNORE"));
    }
    if facts.udisks_ignore {
        return Err(Ignored::ByRule("UDISKS_IGNORE"));
    }
    let on_usb = facts.bus == "usb" || facts.usb.is_some();
    let is_card = facts.card.as_ref().is_some_and(|card| card::can_be_taken_out(card, facts.removable));
    if !on_usb && !is_card {
        return Err(Ignored::NotPortable);
    }
    if facts.holds_system {
        return Err(Ignored::System);
    }
    if card::is_special_area(&facts.kernel_name) {
        return Err(Ignored::SpecialArea(facts.kernel_name.clone()));
    }
    if facts.optical || facts.kernel_name.starts_with("sr") {
        return Err(Ignored::Optical);
    }
    Ok(())
}

fn holds_files(facts: &BlockFacts) -> Result<(), Ignored> {
    if facts.has_partitions {
        return Err(Ignored::HasPartitions);
    }
    if facts.file_system_usage != "filesystem" {
        return Err(Ignored::NoFileSystem(facts.file_system_usage.clone()));
    }
    if matches!(facts.file_system_type.as_str(), "iso9660" | "udf" | "squashfs") {
        return Err(Ignored::ReadOnlyFileSystem(facts.file_system_type.clone()));
    }
    let kind = facts.partition_type.to_ascii_lowercase();
    if SYSTEM_PARTITIONS.contains(&kind.as_str()) || is_required_by_platform(facts) {
        return Err(Ignored::SystemPartition(kind));
    }
    Ok(())
}

/// GPT keeps its attributes where an MBR has its active flag, so only a GUID's partition is judged by them.
fn is_required_by_platform(facts: &BlockFacts) -> bool {
    let flags =
        facts.partition_flags.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    facts.partition_type.contains('-') && flags.is_some_and(|flags| flags & REQUIRED_BY_PLATFORM != 0)
}

/// The name of a file in media-player-info; `1` is libmtp's word for "a player", not a name.
fn media_player(property: &str) -> Option<String> {
    let is_name = property.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-+".contains(&b))
        && !property.starts_with('.');
    (!property.is_empty() && property != "1" && is_name).then(|| property.to_owned())
}

fn describe(facts: &BlockFacts) -> DeviceDescription {
    let plain = |text: &str| shown(&unescape(text));
    let first = |texts: &[&str]| {
        texts.iter().map(|text| plain(text)).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let usb = facts.usb.clone().unwrap_or_default();
    let card = facts.card.clone().unwrap_or_default();
    let model = first(&[&facts.model, &usb.product, &card.name]);
    let label = plain(&facts.file_system_label);
    let fallback = if facts.card.is_some() { "Memory card" } else { "USB storage" };
    let name = [&label, &model].into_iter().find(|text| !text.is_empty()).map_or(fallback, String::as_str);
    DeviceDescription {
        id: identity::device_id(facts),
        kind: Kind::MassStorage,
        name: name.to_owned(),
        manufacturer: first(&[&facts.vendor, &usb.manufacturer]),
        serial_number: shown(identity::serial(facts)),
        firmware: plain(&facts.revision),
        model,
    }
}

#[cfg(test)]
mod tests;
