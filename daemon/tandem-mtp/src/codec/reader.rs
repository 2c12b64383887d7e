//! Reads little-endian fields from bytes that a device sent.
//!
//! It must not allocate before it knows that the bytes are there.

use super::DecodeError;

/// A place in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Makes the readers of fixed-size numbers.
macro_rules! numbers {
    ($($name:ident: $type:ty;)*) => {$(
        pub(crate) fn $name(&mut self) -> Result<$type, DecodeError> {
            Ok(<$type>::from_le_bytes(self.fixed()?))
        }
    )*};
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    numbers! {
        u8: u8; u16: u16; u32: u32; u64: u64; u128: u128;
        i8: i8; i16: i16; i32: i32; i64: i64; i128: i128;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end =
            end.ok_or(DecodeError::Truncated { at: self.at, needed: length, have: self.bytes.len() })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut field = [0; N];
        field.copy_from_slice(self.take(N)?);
        Ok(field)
    }

    /// A count of 32 bits and that many elements. The vector grows with what is really there.
    pub(crate) fn array<T>(
        &mut self,
        element: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u32()?;
        self.elements(count as usize, element)
    }

    pub(crate) fn elements<T>(
        &mut self,
        count: usize,
        element: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        // an element has at least one byte, so that more than what is left can't be
        let mut elements = Vec::with_capacity(count.min(self.rest().len() / size_of::<T>().max(1)));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// A count of UTF-16 units with the NUL among them, and the units. What isn't UTF-16 becomes U+FFFD, and the string
    /// ends at its first NUL: some cameras and players fill the rest of a fixed field with NULs.
    pub(crate) fn string(&mut self) -> Result<String, DecodeError> {
        let units = usize::from(self.u8()?);
        let bytes = self.take(units * 2)?;
        let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let before_nul = units.take_while(|unit| *unit != 0);
        Ok(char::decode_utf16(before_nul).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }

    /// A string at the end of a dataset, empty where the device left it out: many leave out those that they have
    /// nothing for.
    pub(crate) fn trailing_string(&mut self) -> Result<String, DecodeError> {
        if self.is_at_end() { Ok(String::new()) } else { self.string() }
    }
}
