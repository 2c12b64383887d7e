//! Data types and the values of properties.
//!
//! It must not know which property is of which type: descriptions tell.

use super::{Dataset, DecodeError, EncodeError, Reader, Writer};
use crate::codes::DataType;

/// Makes the enum of values, its reading and its writing from one table of number types.
macro_rules! values {
    ($($single:ident $array:ident $number:ident $code:literal $text:literal;)*) => {
        /// A property's value.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Value {
            $(
                #[doc = concat!($text, ".")]
                $single($number),
                #[doc = concat!("Array of ", $text, ".")]
                $array(Vec<$number>),
            )*
            /// String.
            String(String),
        }

        impl Value {
            /// Its type.
            #[must_use]
            pub const fn data_type(&self) -> DataType {
                match self {
                    $(
                        Self::$single(_) => DataType($code),
                        Self::$array(_) => DataType(0x4000 | $code),
                    )*
                    Self::String(_) => DataType::STRING,
                }
            }

            pub(crate) fn read(reader: &mut Reader<'_>, data_type: DataType) -> Result<Self, DecodeError> {
                const STRING: u16 = DataType::STRING.0;
                Ok(match data_type.0 {
                    $($code => Self::$single(reader.$number()?),)*
                    STRING => Self::String(reader.string()?),
                    array if array & 0xF000 == 0x4000 => match array & 0x0FFF {
                        $($code => Self::$array(reader.array(Reader::$number)?),)*
                        _ => return Err(DecodeError::UnknownType(data_type)),
                    },
                    _ => return Err(DecodeError::UnknownType(data_type)),
                })
            }

            pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
                match self {
                    $(
                        Self::$single(value) => writer.$number(*value),
                        Self::$array(values) => writer.array(values, |writer, value| writer.$number(*value))?,
                    )*
                    Self::String(text) => writer.string(text)?,
                }
                Ok(())
            }

            /// A number that fits 128 bits with its sign, of any width; `None` for arrays and strings, and for numbers
            /// of 2^127 or more.
            #[must_use]
            pub fn as_number(&self) -> Option<i128> {
                match self {
                    $(Self::$single(value) => i128::try_from(*value).ok(),)*
                    _ => None,
                }
            }

            /// A number as this type; `None` when it doesn't fit, or for a type that isn't a number.
            #[must_use]
            pub fn from_number(data_type: DataType, number: i128) -> Option<Self> {
                match data_type.0 {
                    $($code => $number::try_from(number).ok().map(Self::$single),)*
                    _ => None,
                }
            }

            /// Zero, no elements, or the empty string of a type; `None` for an unknown type.
            #[must_use]
            pub fn empty(data_type: DataType) -> Option<Self> {
                const STRING: u16 = DataType::STRING.0;
                match data_type.0 {
                    $($code => Some(Self::$single(0)),)*
                    STRING => Some(Self::String(String::new())),
                    array if array & 0xF000 == 0x4000 => match array & 0x0FFF {
                        $($code => Some(Self::$array(Vec::new())),)*
                        _ => None,
                    },
                    _ => None,
                }
            }
        }
    };
}

values! {
    I8 I8Array i8 0x0001 "INT8";
    U8 U8Array u8 0x0002 "UINT8";
    I16 I16Array i16 0x0003 "INT16";
    U16 U16Array u16 0x0004 "UINT16";
    I32 I32Array i32 0x0005 "INT32";
    U32 U32Array u32 0x0006 "UINT32";
    I64 I64Array i64 0x0007 "INT64";
    U64 U64Array u64 0x0008 "UINT64";
    I128 I128Array i128 0x0009 "INT128";
    U128 U128Array u128 0x000A "UINT128";
}

impl Value {
    /// Reads a value of this type, as GetObjectPropValue and GetDevicePropValue answer it.
    ///
    /// # Errors
    /// When the bytes end too early or the type is unknown.
    pub fn decode(bytes: &[u8], data_type: DataType) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes), data_type)
    }

    /// Writes the bare value.
    ///
    /// # Errors
    /// When a string or an array is longer than the protocol can say.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        self.write(&mut writer)?;
        Ok(writer.finish())
    }

    /// Text of a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn write_as(&self, writer: &mut Writer, expected: DataType) -> Result<(), EncodeError> {
        match self.data_type() {
            found if found == expected => self.write(writer),
            found => Err(EncodeError::MixedTypes { expected, found }),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

/// A bare string, as some answers are.
impl Dataset for String {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes).string()
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        Value::String(self.clone()).encode()
    }
}
