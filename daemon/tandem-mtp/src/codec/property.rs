//! Descriptions of properties: type, whether they can be set, default, and the form that tells which values are allowed.
//!
//! It must not enforce a form on what a device sends: devices break their own.

use super::value::Value;
use super::{Dataset, DecodeError, EncodeError, Reader, Writer};
use crate::codes::{DataType, DevicePropertyCode, ObjectPropertyCode};

/// Which values a property takes; MTP 1.1 sections 5.1.2.1 and 5.3.2.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Any.
    None,
    /// From a number to a number, by steps.
    Range {
        /// Smallest.
        minimum: Value,
        /// Largest.
        maximum: Value,
        /// Distance between two; 0 is said by devices that mean 1.
        step: Value,
    },
    /// One of these.
    Enumeration(Vec<Value>),
    /// A string that is a date.
    DateTime,
    /// An array of this many elements.
    FixedLengthArray(u16),
    /// A string that matches.
    RegularExpression(String),
    /// An array of bytes, of at most that many.
    ByteArray(u32),
    /// An array of UTF-16 units, of at most that many bytes.
    LongString(u32),
    /// A form that has no name here, and its bytes.
    Other(u8, Vec<u8>),
}

impl Form {
    fn read(reader: &mut Reader<'_>, data_type: DataType) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::None,
            1 => Self::Range {
                minimum: Value::read(reader, data_type)?,
                maximum: Value::read(reader, data_type)?,
                step: Value::read(reader, data_type)?,
            },
            2 => Self::Enumeration(enumeration(reader, data_type)?),
            3 => Self::DateTime,
            4 => Self::FixedLengthArray(reader.u16()?),
            5 => Self::RegularExpression(reader.string()?),
            6 => Self::ByteArray(reader.u32()?),
            0xFF => Self::LongString(reader.u32()?),
            flag => Self::Other(flag, reader.take(reader.rest().len())?.to_vec()),
        })
    }

    fn write(&self, writer: &mut Writer, data_type: DataType) -> Result<(), EncodeError> {
        writer.u8(self.flag());
        match self {
            Self::None | Self::DateTime => {}
            Self::Range { minimum, maximum, step } => {
                for value in [minimum, maximum, step] {
                    value.write_as(writer, data_type)?;
                }
            }
            Self::Enumeration(values) => {
                let limit = usize::from(u16::MAX);
                let count = u16::try_from(values.len())
                    .map_err(|_| EncodeError::TooMany { count: values.len(), limit })?;
                writer.u16(count);
                for value in values {
                    value.write_as(writer, data_type)?;
                }
            }
            Self::FixedLengthArray(count) => writer.u16(*count),
            Self::RegularExpression(text) => writer.string(text)?,
            Self::ByteArray(limit) | Self::LongString(limit) => writer.u32(*limit),
            Self::Other(_, bytes) => writer.bytes(bytes),
        }
        Ok(())
    }

    const fn flag(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Range { .. } => 1,
            Self::Enumeration(_) => 2,
            Self::DateTime => 3,
            Self::FixedLengthArray(_) => 4,
            Self::RegularExpression(_) => 5,
            Self::ByteArray(_) => 6,
            Self::LongString(_) => 0xFF,
            Self::Other(flag, _) => *flag,
        }
    }

    /// Whether a value is one that the form allows. An enumeration without values, a range that ends before it begins
    /// and a form without a name allow everything: devices announce them for properties that they take.
    #[must_use]
    pub fn allows(&self, value: &Value) -> bool {
        match self {
            Self::Range { minimum, maximum, .. } => {
                match (minimum.as_number(), maximum.as_number(), value.as_number()) {
                    (Some(minimum), Some(maximum), Some(value)) if minimum <= maximum => {
                        (minimum..=maximum).contains(&value)
                    }
                    _ => true,
                }
            }
            Self::Enumeration(values) => values.is_empty() || values.contains(value),
            Self::ByteArray(limit) => match value {
                Value::U8Array(bytes) => bytes.len() as u64 <= u64::from(*limit),
                _ => true,
            },
            Self::LongString(limit) => match value {
                Value::U16Array(units) => units.len() as u64 * 2 <= u64::from(*limit),
                _ => true,
            },
            Self::DateTime => value
                .as_text()
                .is_none_or(|text| text.is_empty() || super::date_time::DateTime::parse(text).is_some()),
            Self::None | Self::FixedLengthArray(_) | Self::RegularExpression(_) | Self::Other(..) => true,
        }
    }
}

/// Some printers' firmware, and what was built from it, writes the count with the high byte first. Where the count as
/// it stands can't be, and swapped it can, it is taken swapped.
fn enumeration(reader: &mut Reader<'_>, data_type: DataType) -> Result<Vec<Value>, DecodeError> {
    let count = reader.u16()?;
    let start = reader.clone();
    let value = |reader: &mut Reader<'_>| Value::read(reader, data_type);
    match reader.elements(usize::from(count), value) {
        Ok(values) => Ok(values),
        Err(error) => {
            *reader = start;
            reader.elements(usize::from(count.swap_bytes()), value).map_err(|_| error)
        }
    }
}

/// The answer to GetObjectPropDesc; MTP 1.1 section 5.3.2.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPropertyDescription {
    /// Which property.
    pub property: ObjectPropertyCode,
    /// Its values' type.
    pub data_type: DataType,
    /// Whether it can be set.
    pub writable: bool,
    /// What it is when nobody set it.
    pub default: Value,
    /// The group that it is listed with.
    pub group: u32,
    /// Allowed values.
    pub form: Form,
}

impl ObjectPropertyDescription {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let property = ObjectPropertyCode(reader.u16()?);
        let data_type = DataType(reader.u16()?);
        Ok(Self {
            property,
            data_type,
            writable: reader.u8()? == 1,
            default: Value::read(reader, data_type)?,
            group: reader.u32()?,
            form: Form::read(reader, data_type)?,
        })
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.u16(self.property.0);
        writer.u16(self.data_type.0);
        writer.u8(u8::from(self.writable));
        self.default.write_as(writer, self.data_type)?;
        writer.u32(self.group);
        self.form.write(writer, self.data_type)
    }
}

impl Dataset for ObjectPropertyDescription {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        self.write(&mut writer)?;
        Ok(writer.finish())
    }
}

/// The answer to GetDevicePropDesc; MTP 1.1 section 5.1.2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePropertyDescription {
    /// Which property.
    pub property: DevicePropertyCode,
    /// Its values' type.
    pub data_type: DataType,
    /// Whether it can be set.
    pub writable: bool,
    /// What a reset makes it.
    pub default: Value,
    /// What it is.
    pub current: Value,
    /// Allowed values.
    pub form: Form,
}

impl Dataset for DevicePropertyDescription {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let property = DevicePropertyCode(reader.u16()?);
        let data_type = DataType(reader.u16()?);
        Ok(Self {
            property,
            data_type,
            writable: reader.u8()? == 1,
            default: Value::read(&mut reader, data_type)?,
            current: Value::read(&mut reader, data_type)?,
            form: Form::read(&mut reader, data_type)?,
        })
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.u16(self.property.0);
        writer.u16(self.data_type.0);
        writer.u8(u8::from(self.writable));
        self.default.write_as(&mut writer, self.data_type)?;
        self.current.write_as(&mut writer, self.data_type)?;
        self.form.write(&mut writer, self.data_type)?;
        Ok(writer.finish())
    }
}

/// The answer to GetInterdependentPropDesc: groups of properties, each group with the values that go together; MTP 1.1
/// section 5.3.2.4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterdependentDescriptions(pub Vec<Vec<ObjectPropertyDescription>>);

impl Dataset for InterdependentDescriptions {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let group = |reader: &mut Reader<'_>| reader.array(ObjectPropertyDescription::read);
        Reader::new(bytes).array(group).map(Self)
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.count(self.0.len())?;
        for group in &self.0 {
            writer.count(group.len())?;
            group.iter().try_for_each(|description| description.write(&mut writer))?;
        }
        Ok(writer.finish())
    }
}
