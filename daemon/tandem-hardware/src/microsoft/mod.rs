//! Microsoft OS descriptors, by which a device tells Windows which driver it wants and which device interfaces it has. The
//! layouts are those of "Microsoft OS 1.0 Descriptors Specification" and "Microsoft OS 2.0 Descriptors Specification".
//!
//! Pure: bytes go in as they came from the device, hostile until parsed; nothing here asks a device. What is read is never
//! more than what arrived, and a length that a device tells is believed only within that.

pub mod v1;
pub mod v2;

#[cfg(test)]
mod encode;
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

    /// The first interface of the function with this compatible id; `Some(None)` when the whole device has it.
    #[must_use]
    pub fn function(&self, compatible_id: &str) -> Option<Option<u8>> {
        self.compatible_ids.iter().find(|id| id.id == compatible_id).map(|id| id.first_interface)
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
    /// Such as `MTP` or `WINUSB`; at most eight characters, not empty.
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

/// A compatible id's eight bytes: ASCII up to the first NUL. Anything else is no id. Some players have it in UTF-16, which
/// loses its second half.
fn id(bytes: &[u8; 8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let wide = bytes.as_chunks::<2>().0.iter().all(|unit| unit[1] == 0) && bytes[2] != 0;
    let id: Vec<u8> =
        if wide { bytes.iter().copied().filter(|byte| *byte != 0).collect() } else { bytes[..end].to_vec() };
    id.iter().all(u8::is_ascii_graphic).then(|| String::from_utf8_lossy(&id).into_owned())
}

fn compatible_id(
    first_interface: Option<u8>,
    id_bytes: &[u8; 8],
    sub_bytes: &[u8; 8],
) -> Option<CompatibleId> {
    let id = id(id_bytes).filter(|id| !id.is_empty())?;
    Some(CompatibleId { first_interface, id, sub_id: self::id(sub_bytes).unwrap_or_default() })
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
