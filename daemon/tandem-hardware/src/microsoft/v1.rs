//! Version 1.0: a string descriptor at index 0xEE tells the code of a vendor request, and that asks for the compatible ids
//! and for each function's extended properties.

use super::{
    Advertised, CompatibleId, Malformed, bounded, compatible_id, device_interfaces, u8_at, u16_at, u32_at,
};

/// Bytes of the string descriptor.
pub const STRING_LENGTH: u16 = 18;
/// Bytes of the header of the compatible ids.
pub const COMPATIBLE_IDS_HEADER: u16 = 16;
/// Bytes of the header of the extended properties.
pub const PROPERTIES_HEADER: u16 = 10;
/// `wIndex` of the request for the compatible ids.
pub const COMPATIBLE_IDS: u16 = 4;
/// `wIndex` of the request for a function's extended properties.
pub const PROPERTIES: u16 = 5;

const VERSION: u16 = 0x0100;
const STRING: u8 = 3;
/// `MSFT100`.
const SIGNATURE: [u8; 14] = *b"M\0S\0F\0T\x001\x000\x000\0";
/// Bytes of one function in the compatible ids.
const FUNCTION: usize = 24;
/// Bytes of a property without its name and its value.
const PROPERTY: usize = 14;

/// The code of the vendor request, if this is the string descriptor. Devices without one answer with some other string, or
/// with nothing.
#[must_use]
pub fn vendor_code(string: &[u8]) -> Option<u8> {
    let is_string = string.len() >= usize::from(STRING_LENGTH) && u8_at(string, 1) == Some(STRING);
    (is_string && string.get(2..16) == Some(&SIGNATURE)).then(|| u8_at(string, 16)).flatten()
}

/// How long the whole descriptor says that it is, if these bytes begin with the header of the one that was asked for.
#[must_use]
pub fn length(bytes: &[u8], index: u16) -> Option<u32> {
    let is_it = u16_at(bytes, 4) == Some(VERSION) && u16_at(bytes, 6) == Some(index);
    u32_at(bytes, 0).filter(|_| is_it)
}

/// The descriptor's bytes and their count of parts.
fn whole(bytes: &[u8], index: u16, header: u16) -> Result<&[u8], Malformed> {
    if bytes.len() < usize::from(header) {
        return Err(Malformed::Short(bytes.len()));
    }
    Ok(bounded(bytes, length(bytes, index).ok_or(Malformed::Another)?))
}

/// The compatible ids of the device's functions. A function that was cut off is left out.
///
/// # Errors
/// When it isn't that descriptor.
pub fn compatible_ids(bytes: &[u8]) -> Result<Vec<CompatibleId>, Malformed> {
    let descriptor = whole(bytes, COMPATIBLE_IDS, COMPATIBLE_IDS_HEADER)?;
    let count = usize::from(u8_at(bytes, 8).unwrap_or_default());
    let functions = descriptor.get(usize::from(COMPATIBLE_IDS_HEADER)..).unwrap_or_default();
    let (functions, _) = functions.as_chunks::<FUNCTION>();
    let id = |function: &[u8; FUNCTION]| compatible_id(Some(function[0]), function[2..].first_chunk()?);
    Ok(functions.iter().take(count).filter_map(id).collect())
}

/// The device interfaces in the extended properties of the function that begins with this interface. A property that was cut
/// off is left out.
///
/// # Errors
/// When it isn't that descriptor, or the lengths in it contradict each other.
pub fn properties(bytes: &[u8], first_interface: u8) -> Result<Advertised, Malformed> {
    let descriptor = whole(bytes, PROPERTIES, PROPERTIES_HEADER)?;
    let count = u16_at(bytes, 8).unwrap_or_default();
    let mut advertised = Advertised::default();
    let mut at = usize::from(PROPERTIES_HEADER);
    for _ in 0..count {
        // firmware pads: the next one begins where this one says that it ends
        let Some(size) = u32_at(descriptor, at).and_then(|size| usize::try_from(size).ok()) else { break };
        let Some(property) = descriptor.get(at..).and_then(|rest| rest.get(..size)) else { break };
        let parts = parts(property).ok_or(Malformed::Lengths(at))?;
        advertised.device_interfaces.extend(device_interfaces(
            parts.name,
            parts.kind,
            parts.data,
            Some(first_interface),
        ));
        at += size;
    }
    Ok(advertised)
}

/// A property's parts.
struct Parts<'a> {
    kind: u32,
    name: &'a [u8],
    data: &'a [u8],
}

/// Takes a property apart; `None` when its name and value don't fit into its size.
fn parts(property: &[u8]) -> Option<Parts<'_>> {
    let kind = u32_at(property, 4)?;
    let name_length = usize::from(u16_at(property, 8)?);
    let data_length = usize::try_from(u32_at(property, 10 + name_length)?).ok()?;
    let (name, data) = (property.get(10..10 + name_length)?, property.get(PROPERTY + name_length..)?);
    Some(Parts { kind, name, data: data.get(..data_length)? })
}
