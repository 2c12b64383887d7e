//! What a player answers to standard requests: descriptors as USB 2.0 and USB 3.2 have them in chapter 9, with a phone's
//! one interface for MTP.
//!
//! It must not know MTP itself.

use crate::usbip::Setup;
use crate::vhci::Speed;

/// Addresses of the endpoints.
pub(crate) const BULK_IN: u8 = 0x81;
pub(crate) const BULK_OUT: u8 = 0x01;
pub(crate) const EVENTS: u8 = 0x82;

const DEVICE: u16 = 1;
const CONFIGURATION: u16 = 2;
const STRING: u16 = 3;
const QUALIFIER: u16 = 6;
const BOS: u16 = 15;
const ENGLISH: [u8; 4] = [4, 3, 0x09, 0x04];
/// The string that Microsoft's descriptors begin with.
const MICROSOFT: u16 = 0xEE;

/// What a player is called, and by what it is known.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) serial: String,
    pub(crate) packet: u16,
    /// String 0xEE; `None`: it stalls.
    pub(crate) os_string: Option<Vec<u8>>,
}

impl Identity {
    pub(crate) fn speed(&self) -> Speed {
        match self.packet {
            ..=64 => Speed::Full,
            65..=512 => Speed::High,
            513.. => Speed::Super,
        }
    }

    /// The answer to a standard request towards the host; `None` says that the device stalls.
    pub(crate) fn get(&self, setup: Setup) -> Option<Vec<u8>> {
        match setup.request {
            0 => Some(vec![0, 0]),
            6 => self.descriptor(setup.value >> 8, setup.value & 0xFF),
            8 => Some(vec![1]),
            10 => Some(vec![0]),
            _ => None,
        }
    }

    fn descriptor(&self, kind: u16, number: u16) -> Option<Vec<u8>> {
        match (kind, number) {
            (DEVICE, _) => Some(self.device()),
            (CONFIGURATION, 0) => Some(self.configuration()),
            (STRING, 0) => Some(ENGLISH.to_vec()),
            (STRING, 1) => Some(string(&self.manufacturer)),
            (STRING, 2) => Some(string(&self.model)),
            (STRING, 3) => Some(string(&self.serial)),
            (STRING, 4) => Some(string("MTP")),
            (STRING, MICROSOFT) => self.os_string.clone(),
            (QUALIFIER, _) if self.speed() == Speed::High => Some(vec![10, 6, 0, 2, 0, 0, 0, 64, 1, 0]),
            // link power management, then what it can do at super speed
            (BOS, _) if self.speed() == Speed::Super => {
                Some(vec![5, 15, 22, 0, 2, 7, 16, 2, 2, 0, 0, 0, 10, 16, 3, 0, 0x0E, 0, 1, 10, 255, 0])
            }
            _ => None,
        }
    }

    fn device(&self) -> Vec<u8> {
        let (release, first_endpoint): (u16, u8) =
            if self.speed() == Speed::Super { (0x0300, 9) } else { (0x0200, 64) };
        let [low, high] = release.to_le_bytes();
        let mut bytes = vec![18, 1, low, high, 0, 0, 0, first_endpoint];
        bytes.extend_from_slice(&self.vendor.to_le_bytes());
        bytes.extend_from_slice(&self.product.to_le_bytes());
        bytes.extend_from_slice(&[0, 1, 1, 2, 3, 1]);
        bytes
    }

    fn configuration(&self) -> Vec<u8> {
        let mut content = vec![9, 4, 0, 0, 3, 6, 1, 1, 4];
        for (address, kind, size, interval) in
            [(BULK_IN, 2, self.packet, 0), (BULK_OUT, 2, self.packet, 0), (EVENTS, 3, self.packet.min(64), 6)]
        {
            let [low, high] = size.to_le_bytes();
            content.extend_from_slice(&[7, 5, address, kind, low, high, interval]);
            if self.speed() == Speed::Super {
                content.extend_from_slice(&[6, 48, 0, 0, if kind == 3 { low } else { 0 }, 0]);
            }
        }
        let mut bytes = vec![9, 2, (9 + content.len()) as u8, 0, 1, 1, 0, 0x80, 50];
        bytes.append(&mut content);
        bytes
    }
}

fn string(text: &str) -> Vec<u8> {
    // a descriptor's length is one byte
    let units: Vec<u16> = text.encode_utf16().take(126).collect();
    let mut bytes = vec![(2 + 2 * units.len()) as u8, 3];
    bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
    bytes
}
