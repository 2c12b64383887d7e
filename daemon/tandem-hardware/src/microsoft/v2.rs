//! Version 2.0: a platform capability in the binary object store (BOS) tells the code of a vendor request and the length of
//! what it asks for, one set of descriptors for the whole device, with subsets for configurations and functions.

use super::{Advertised, Malformed, bounded, compatible_id, device_interfaces, u8_at, u16_at, u32_at};

/// Bytes of the header of the BOS.
pub const BOS_HEADER: u16 = 5;
/// `wIndex` of the request for the descriptor set.
pub const DESCRIPTOR_SET: u16 = 7;

const BOS: u8 = 0x0f;
const DEVICE_CAPABILITY: u8 = 0x10;
const PLATFORM: u8 = 0x05;
/// `{D8DD60DF-4589-4CC7-9CD2-659D9E648A9F}` as it is on the wire.
const MICROSOFT_OS_20: [u8; 16] =
    [0xdf, 0x60, 0xdd, 0xd8, 0x89, 0x45, 0xc7, 0x4c, 0x9c, 0xd2, 0x65, 0x9d, 0x9e, 0x64, 0x8a, 0x9f];
/// Bytes of a platform capability before its sets, and of each set.
const CAPABILITY: usize = 20;
const SET: usize = 8;
/// Bytes of the header of the descriptor set.
const SET_HEADER: usize = 10;

mod kind {
    pub(super) const SET_HEADER: u16 = 0;
    pub(super) const CONFIGURATION_SUBSET: u16 = 1;
    pub(super) const FUNCTION_SUBSET: u16 = 2;
    pub(super) const COMPATIBLE_ID: u16 = 3;
    pub(super) const REGISTRY_PROPERTY: u16 = 4;
}

/// How a descriptor set is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorSet {
    /// The code of the vendor request.
    pub vendor_code: u8,
    /// Bytes of the set.
    pub length: u16,
}

/// How long the whole BOS says that it is, if these bytes begin with its header.
#[must_use]
pub fn bos_length(bytes: &[u8]) -> Option<u16> {
    u16_at(bytes, 2).filter(|_| u8_at(bytes, 1) == Some(BOS) && bytes.len() >= usize::from(BOS_HEADER))
}

/// The newest descriptor set that the BOS tells of, if it does of any.
#[must_use]
pub fn descriptor_set(bos: &[u8]) -> Option<DescriptorSet> {
    let bos = bounded(bos, bos_length(bos)?.into());
    let mut rest = bos.get(usize::from(BOS_HEADER)..)?;
    while let Some(length) = u8_at(rest, 0).map(usize::from) {
        // a length below that of its own header would never end
        let (capability, after) = rest.split_at_checked(length).filter(|_| length >= 3)?;
        if capability[1] == DEVICE_CAPABILITY
            && capability[2] == PLATFORM
            && capability.get(4..CAPABILITY) == Some(&MICROSOFT_OS_20)
        {
            let (sets, _) = capability[CAPABILITY..].as_chunks::<SET>();
            let newest = sets.iter().max_by_key(|set| u32_at(*set, 0));
            return newest.map(|set| DescriptorSet {
                length: u16::from_le_bytes([set[4], set[5]]),
                vendor_code: set[6],
            });
        }
        rest = after;
    }
    None
}

/// What a descriptor set advertises. A descriptor that was cut off is left out; one of a kind that isn't known is skipped.
///
/// Every configuration's subset counts: firmware doesn't agree on whether they are numbered from zero or from one.
///
/// # Errors
/// When it isn't a descriptor set, or the lengths in it contradict each other.
pub fn advertised(set: &[u8]) -> Result<Advertised, Malformed> {
    if set.len() < SET_HEADER {
        return Err(Malformed::Short(set.len()));
    }
    let is_set = u16_at(set, 0) == Some(10) && u16_at(set, 2) == Some(kind::SET_HEADER);
    let length = u16_at(set, 8).filter(|_| is_set).ok_or(Malformed::Another)?;
    let set = bounded(set, length.into());
    let mut advertised = Advertised::default();
    let mut at = SET_HEADER;
    let mut function: Option<(u8, usize)> = None;
    // subsets are gone into rather than over, so what is kept of them is only where the function ends
    while let (Some(length), Some(kind)) = (u16_at(set, at), u16_at(set, at + 2)) {
        let length = usize::from(length);
        if length < 4 {
            return Err(Malformed::Lengths(at));
        }
        let Some(descriptor) = set.get(at..at + length) else { break };
        function = function.filter(|(_, end)| at < *end);
        let first_interface = function.map(|(interface, _)| interface);
        match kind {
            kind::CONFIGURATION_SUBSET => function = None,
            kind::FUNCTION_SUBSET => {
                let parts = u8_at(descriptor, 4).zip(u16_at(descriptor, 6));
                let (interface, subset) = parts.ok_or(Malformed::Lengths(at))?;
                function = Some((interface, at + usize::from(subset)));
            }
            kind::COMPATIBLE_ID => {
                let ids = descriptor.get(4..).and_then(<[u8]>::first_chunk).ok_or(Malformed::Lengths(at))?;
                advertised.compatible_ids.extend(compatible_id(first_interface, ids));
            }
            kind::REGISTRY_PROPERTY => {
                let (kind, name, data) = property(descriptor).ok_or(Malformed::Lengths(at))?;
                advertised.device_interfaces.extend(device_interfaces(name, kind, data, first_interface));
            }
            _ => {}
        }
        at += length;
    }
    Ok(advertised)
}

/// A registry property's type, name and value; `None` when they don't fit into its length.
fn property(descriptor: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let kind = u16_at(descriptor, 4)?;
    let name_length = usize::from(u16_at(descriptor, 6)?);
    let name = descriptor.get(8..8 + name_length)?;
    let data_length = usize::from(u16_at(descriptor, 8 + name_length)?);
    let data = descriptor.get(10 + name_length..)?.get(..data_length)?;
    Some((kind.into(), name, data))
}
