//! Bytes to values and back: containers, data types and datasets.
//!
//! Pure. Decoding never panics and never allocates more than a small multiple of what arrived; it tolerates what real
//! devices get wrong, each time with the reason beside it.

pub mod container;
pub mod date_time;
pub mod device_info;
pub mod object_info;
pub mod property;
pub mod property_list;
mod reader;
pub mod storage_info;
pub mod value;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

use crate::codes::DataType;

/// Why bytes are not the dataset that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("the bytes end at {have}, within a field that needs {needed} from {at}")]
    Truncated {
        /// Where the field begins.
        at: usize,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes there are in all.
        have: usize,
    },
    /// A data type whose length is unknown, so that nothing after it can be read.
    #[error("data type {0} is unknown, so that what follows can't be read")]
    UnknownType(DataType),
    /// A container's length or kind that can't be.
    #[error("no container: length {length}, kind {kind}")]
    NotAContainer {
        /// As announced.
        length: u32,
        /// As announced.
        kind: u16,
    },
}

/// Why a value can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string of more than [`MAX_STRING_UNITS`] UTF-16 units; shorten it.
    #[error("a string of {units} UTF-16 units: the protocol's longest is {MAX_STRING_UNITS}")]
    StringTooLong {
        /// Its length.
        units: usize,
    },
    /// A string with a NUL in it, where the device would see it end.
    #[error("a string with a NUL in it: the device would see it end there")]
    NulInString,
    /// More elements than the count before them can tell.
    #[error("{count} elements: the count before them holds at most {limit}")]
    TooMany {
        /// Elements.
        count: usize,
        /// The count's largest value.
        limit: usize,
    },
    /// A form whose values are of another type than the property's.
    #[error("a value of type {found} in a property of type {expected}")]
    MixedTypes {
        /// The property's type.
        expected: DataType,
        /// The value's.
        found: DataType,
    },
}

/// UTF-16 units of the longest string, without its NUL.
pub const MAX_STRING_UNITS: usize = 254;

/// What can be read from a data phase and written to one.
pub trait Dataset: Sized {
    /// Reads it. Bytes after its end are ignored: devices pad.
    ///
    /// # Errors
    /// When the bytes end too early or hold a type without a known length.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Writes it.
    ///
    /// # Errors
    /// When a string or a list is longer than the protocol can say, or a form's value is of another type.
    fn encode(&self) -> Result<Vec<u8>, EncodeError>;
}

/// A count and that many 32-bit numbers: ids of storages, handles, references.
impl Dataset for Vec<u32> {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes).array(Reader::u32)
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.array(self, |writer, value| writer.u32(*value))?;
        Ok(writer.finish())
    }
}

/// A count and that many 16-bit codes: formats, properties.
impl Dataset for Vec<u16> {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes).array(Reader::u16)
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.array(self, |writer, value| writer.u16(*value))?;
        Ok(writer.finish())
    }
}
