//! Lists of properties of objects: many values of many objects in one data phase.
//!
//! It must not sort or merge: a device's order tells which element it refused.

use super::value::Value;
use super::{Dataset, DecodeError, EncodeError, Reader, Writer};
use crate::codes::{DataType, ObjectHandle, ObjectPropertyCode};

/// One value of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyElement {
    /// Whose; 0 for an object that is about to be made.
    pub object: ObjectHandle,
    /// Which.
    pub property: ObjectPropertyCode,
    /// What it is.
    pub value: Value,
}

impl PropertyElement {
    /// A value of an object that is about to be made.
    #[must_use]
    pub const fn of_new(property: ObjectPropertyCode, value: Value) -> Self {
        Self { object: ObjectHandle::ROOT, property, value }
    }
}

/// The answer to GetObjectPropList, and what SetObjectPropList and SendObjectPropList send; MTP 1.1 appendix E.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertyList(pub Vec<PropertyElement>);

impl Dataset for PropertyList {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let element = |reader: &mut Reader<'_>| {
            let object = ObjectHandle(reader.u32()?);
            let property = ObjectPropertyCode(reader.u16()?);
            let data_type = DataType(reader.u16()?);
            Ok(PropertyElement { object, property, value: Value::read(reader, data_type)? })
        };
        Reader::new(bytes).array(element).map(Self)
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.count(self.0.len())?;
        for element in &self.0 {
            writer.u32(element.object.0);
            writer.u16(element.property.0);
            writer.u16(element.value.data_type().0);
            element.value.write(&mut writer)?;
        }
        Ok(writer.finish())
    }
}
