//! Containers: what every phase of a transaction and every event is wrapped in.
//!
//! It must not know operations: parameters are numbers here.

use super::{DecodeError, Reader, Writer};
use crate::codes::{EventCode, OperationCode, ResponseCode};

/// Bytes of a container's header.
pub const HEADER_BYTES: usize = 12;

/// The length of a data container whose end only a short packet tells: its payload is too long for the field.
pub const LENGTH_UNKNOWN: u32 = 0xFFFF_FFFF;

/// Parameters that a command or a response has at most.
pub const MAX_PARAMETERS: usize = 5;

/// A container's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From the initiator: an operation begins.
    Command,
    /// The payload, either way.
    Data,
    /// From the responder: an operation ends.
    Response,
    /// From the responder, on the interrupt pipe.
    Event,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::Command => 1,
            Self::Data => 2,
            Self::Response => 3,
            Self::Event => 4,
        }
    }

    const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Command),
            2 => Some(Self::Data),
            3 => Some(Self::Response),
            4 => Some(Self::Event),
            _ => None,
        }
    }
}

/// The first twelve bytes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of header and payload; [`LENGTH_UNKNOWN`] in a data container of 4 GiB and more.
    pub length: u32,
    /// What it is.
    pub kind: Kind,
    /// An operation's, a response's or an event's code.
    pub code: u16,
    /// Which transaction it belongs to.
    pub transaction: u32,
}

impl Header {
    /// Of a data container with that many bytes of payload.
    #[must_use]
    pub fn data(operation: OperationCode, transaction: u32, payload: u64) -> Self {
        let length = payload.saturating_add(HEADER_BYTES as u64);
        let length = u32::try_from(length).unwrap_or(LENGTH_UNKNOWN);
        Self { length, kind: Kind::Data, code: operation.0, transaction }
    }

    /// Bytes of payload; `None` when only a short packet tells.
    #[must_use]
    pub const fn payload(&self) -> Option<u64> {
        match self.length {
            LENGTH_UNKNOWN => None,
            length => Some((length as u64).saturating_sub(HEADER_BYTES as u64)),
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When there are fewer than twelve bytes, or they can't be a container's first.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (length, number) = (reader.u32()?, reader.u16()?);
        let (code, transaction) = (reader.u16()?, reader.u32()?);
        let kind = Kind::from_number(number).filter(|_| length as usize >= HEADER_BYTES);
        let kind = kind.ok_or(DecodeError::NotAContainer { length, kind: number })?;
        Ok(Self { length, kind, code, transaction })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.kind.number().to_le_bytes());
        bytes[6..8].copy_from_slice(&self.code.to_le_bytes());
        bytes[8..].copy_from_slice(&self.transaction.to_le_bytes());
        bytes
    }
}

/// The parameters of a command, a response or an event. Those that weren't sent read as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters {
    values: [u32; MAX_PARAMETERS],
    count: usize,
}

impl Parameters {
    /// The first five of these.
    #[must_use]
    pub fn new(values: &[u32]) -> Self {
        let count = values.len().min(MAX_PARAMETERS);
        let mut all = [0; MAX_PARAMETERS];
        all[..count].copy_from_slice(&values[..count]);
        Self { values: all, count }
    }

    /// The parameter at this place, from 0; 0 where none was sent.
    #[must_use]
    pub fn get(&self, index: usize) -> u32 {
        self.values.get(index).copied().unwrap_or(0)
    }

    /// Those that were sent.
    #[must_use]
    pub fn sent(&self) -> &[u32] {
        &self.values[..self.count]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        while all.count < MAX_PARAMETERS && reader.rest().len() >= 4 {
            all.values[all.count] = reader.u32()?;
            all.count += 1;
        }
        Ok(all)
    }
}

/// Makes the three kinds of containers that hold parameters and nothing else.
macro_rules! small_containers {
    ($($(#[$doc:meta])* $name:ident: $code:ident, $kind:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// Its code.
            pub code: $code,
            /// Which transaction it belongs to.
            pub transaction: u32,
            /// Its parameters.
            pub parameters: Parameters,
        }

        impl $name {
            /// Reads the whole container; what its length doesn't cover is ignored.
            ///
            /// # Errors
            /// When it ends too early or is of another kind.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let header = Header::decode(bytes)?;
                if header.kind != Kind::$kind {
                    return Err(DecodeError::NotAContainer { length: header.length, kind: header.kind.number() });
                }
                let length = header.length as usize;
                if length > bytes.len() {
                    return Err(DecodeError::Truncated { at: HEADER_BYTES, needed: length, have: bytes.len() });
                }
                let parameters = Parameters::read(&mut Reader::new(&bytes[HEADER_BYTES..length]))?;
                Ok(Self { code: $code(header.code), transaction: header.transaction, parameters })
            }

            /// Writes the whole container.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let sent = self.parameters.sent();
                let mut writer = Writer::default();
                // at most 12 + 5 * 4 bytes
                writer.u32((HEADER_BYTES + sent.len() * 4) as u32);
                writer.u16(Kind::$kind.number());
                writer.u16(self.code.0);
                writer.u32(self.transaction);
                sent.iter().for_each(|value| writer.u32(*value));
                writer.finish()
            }
        }
    )*};
}

small_containers! {
    /// What the initiator asks for.
    Command: OperationCode, Command;
    /// How an operation ended.
    Response: ResponseCode, Response;
    /// Something that happened on the device.
    Event: EventCode, Event;
}
