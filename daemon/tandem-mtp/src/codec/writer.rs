//! Writes little-endian fields.
//!
//! It must not shorten anything: what doesn't fit is an error.

use super::{EncodeError, MAX_STRING_UNITS};

/// Bytes in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// Makes the writers of fixed-size numbers.
macro_rules! numbers {
    ($($name:ident: $type:ty;)*) => {$(
        pub(crate) fn $name(&mut self, value: $type) {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    )*};
}

impl Writer {
    numbers! {
        u8: u8; u16: u16; u32: u32; u64: u64; u128: u128;
        i8: i8; i16: i16; i32: i32; i64: i64; i128: i128;
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn count(&mut self, count: usize) -> Result<(), EncodeError> {
        let limit = u32::MAX as usize;
        self.u32(u32::try_from(count).map_err(|_| EncodeError::TooMany { count, limit })?);
        Ok(())
    }

    pub(crate) fn array<T>(
        &mut self,
        elements: &[T],
        element: impl Fn(&mut Self, &T),
    ) -> Result<(), EncodeError> {
        self.count(elements.len())?;
        elements.iter().for_each(|one| element(self, one));
        Ok(())
    }

    pub(crate) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        if text.is_empty() {
            self.u8(0);
            return Ok(());
        }
        let units = text.encode_utf16().count();
        let with_nul = u8::try_from(units + 1).map_err(|_| EncodeError::StringTooLong { units })?;
        if text.contains('\0') {
            return Err(EncodeError::NulInString);
        }
        debug_assert!(units <= MAX_STRING_UNITS);
        self.u8(with_nul);
        text.encode_utf16().for_each(|unit| self.u16(unit));
        self.u16(0);
        Ok(())
    }
}
