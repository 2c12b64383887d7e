//! Microsoft OS descriptors, by which a device tells Windows which driver it wants and which device interfaces it has. The
//! layouts are those of "Microsoft OS 1.0 Descriptors Specification" and "Microsoft OS 2.0 Descriptors Specification".
//!
//! Pure: bytes go in as they came from the device, hostile until parsed; nothing here asks a device. What is read is never
//! more than what arrived, and a length that a device tells is believed only within that.

pub mod v1;
pub mod v2;

#[cfg(test)]
pub(crate) mod encode;
#[cfg(test)]
mod tests;

use std::fmt;
use tandem_model::id::Guid;
use thiserror::Error;

/// What a device advertises in its descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advertised {
    /// Compatible ids, of each function that has one.
    pub compatible_ids: Vec<CompatibleId>,
    /// Device interfaces, of the device and of its functions.
    pub device_interfaces: Vec<DeviceInterface>,
}

impl Advertised {
    /// Adds what another descriptor of the same device tells, each thing once.
    pub fn add(&mut self, more: Self) {
        for id in more.compatible_ids {
            if !self.compatible_ids.contains(&id) {
                self.compatible_ids.push(id);
            }
        }
        for interface in more.device_interfaces {
            if !self.device_interfaces.contains(&interface) {
                self.device_interfaces.push(interface);
            }
        }
    }

    /// The function that speaks MTP, if one does.
    #[must_use]
    pub fn mtp(&self) -> Option<&CompatibleId> {
        // MTPZ is what Zunes call theirs
        self.compatible_ids.iter().find(|id| ["MTP", "MTPZ"].contains(&id.id.as_str()))
    }

    /// Whether it advertises this device interface.
    #[must_use]
    pub fn has(&self, guid: Guid) -> bool {
        self.device_interfaces.iter().any(|interface| interface.guid == guid)
    }
}

/// Which of Windows' drivers suits a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompatibleId {
    /// The function's first interface; `None` when the whole device is meant.
    pub first_interface: Option<u8>,
    /// Such as `MTP` or `WINUSB`; a few characters, not empty.
    pub id: String,
    /// More of the same; often empty.
    pub sub_id: String,
}

impl fmt::Display for CompatibleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if !self.sub_id.is_empty() {
            write!(f, "/{}", self.sub_id)?;
        }
        Ok(())
    }
}

/// A device interface by its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceInterface {
    /// The function's first interface; `None` when the whole device is meant.
    pub first_interface: Option<u8>,
    /// Which one.
    pub guid: Guid,
}

/// What is wrong with a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It ends before its header does.
    #[error("it ends after {0} bytes, within its header")]
    Short(usize),
    /// Another descriptor than the one that was asked for, as many players answer.
    #[error("it is another descriptor than the one that was asked for")]
    Another,
    /// A part's lengths contradict each other.
    #[error("the part at byte {0} has lengths that can't be")]
    Lengths(usize),
}

/// The names of the properties that list device interfaces; one, or several.
const INTERFACE_PROPERTIES: [&str; 2] = ["DeviceInterfaceGUID", "DeviceInterfaceGUIDs"];
/// Types of registry values that are texts: one, one with variables, several.
const TEXTS: [u32; 3] = [1, 2, 7];

/// The device interfaces in a registry property. Its text may end with one NUL, two or none, whatever its type, and its
/// GUIDs may be in either case and without braces: firmware has it in all ways.
fn device_interfaces(
    name: &[u8],
    kind: u32,
    data: &[u8],
    first_interface: Option<u8>,
) -> impl Iterator<Item = DeviceInterface> {
    let name = text(name);
    let name = name.trim_end_matches('\0');
    let lists_them =
        TEXTS.contains(&kind) && INTERFACE_PROPERTIES.iter().any(|known| name.eq_ignore_ascii_case(known));
    let value = if lists_them { text(data) } else { String::new() };
    let guids: Vec<Guid> = value.split('\0').filter_map(Guid::parse).collect();
    guids.into_iter().map(move |guid| DeviceInterface { first_interface, guid })
}

/// UTF-16LE; an odd byte at its end is nothing.
fn text(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A compatible id with what follows it: eight bytes each, ASCII up to the first NUL. Anything else is none. Some players have
/// NULs between its letters, which makes it run into the second eight bytes.
fn compatible_id(first_interface: Option<u8>, bytes: &[u8; 16]) -> Option<CompatibleId> {
    let up_to_nul = |bytes: &[u8]| bytes.iter().copied().take_while(|byte| *byte != 0).collect::<Vec<u8>>();
    let (id, sub_id) = bytes.split_at(8);
    let is_spread = id[0] != 0 && id.iter().skip_while(|byte| **byte != 0).any(|byte| *byte != 0);
    let (id, sub_id) = if is_spread {
        (bytes.iter().copied().filter(|byte| *byte != 0).collect(), Vec::new())
    } else {
        (up_to_nul(id), up_to_nul(sub_id))
    };
    let text = |bytes: Vec<u8>| {
        let is_text = bytes.iter().all(u8::is_ascii_graphic);
        String::from_utf8(bytes).ok().filter(|_| is_text)
    };
    let id = text(id).filter(|id| !id.is_empty())?;
    Some(CompatibleId { first_interface, id, sub_id: text(sub_id).unwrap_or_default() })
}

fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The bytes that belong to a descriptor that says it is `length` long.
fn bounded(bytes: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(length)]
}
