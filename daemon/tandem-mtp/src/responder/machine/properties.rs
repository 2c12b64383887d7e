//! Properties of objects and of the device, and references.
//!
//! It must not let anything be set that the profile says can't be.

use super::{Habit, Machine, Outcome, Payload, Reply};
use crate::codec::Dataset;
use crate::codec::container::Command;
use crate::codec::property::{InterdependentDescriptions, ObjectPropertyDescription};
use crate::codec::property_list::PropertyList;
use crate::codec::value::Value;
use crate::codes::{
    DataType, DevicePropertyCode, FormatCode, ObjectPropertyCode as P, OperationCode as O, ResponseCode as R,
};

/// A parameter that is a code; codes have 16 bits.
fn code(parameter: u32) -> Result<u16, R> {
    u16::try_from(parameter).map_err(|_| R::INVALID_PARAMETER)
}

impl Machine {
    pub(super) fn execute_property(&mut self, command: &Command, data: &[u8]) -> Outcome {
        let (first, second) = (command.parameters.get(0), command.parameters.get(1));
        match command.code {
            O::GET_OBJECT_PROPS_SUPPORTED => {
                let format = self.known_format(first)?;
                let codes = self.descriptions(format).iter().map(|description| description.property.0);
                Reply::data(&codes.collect::<Vec<u16>>())
            }
            O::GET_OBJECT_PROP_DESC => {
                let format = self.known_format(second)?;
                Reply::data(self.description(format, P(code(first)?))?)
            }
            O::GET_OBJECT_PROP_VALUE => {
                let format = self.tree.get(first)?.format;
                let description = self.description(format, P(code(second)?))?;
                bare(&self.property_value(first, description)?)
            }
            O::SET_OBJECT_PROP_VALUE => {
                let property = P(code(second)?);
                let format = self.tree.get(first)?.format;
                let data_type = self.description(format, property)?.data_type;
                let value = Value::decode(data, data_type).map_err(|_| R::INVALID_OBJECT_PROP_FORMAT)?;
                self.set_property(first, property, value)?;
                Ok(Reply::default())
            }
            O::GET_OBJECT_PROP_LIST => self.property_list(command.parameters),
            O::SET_OBJECT_PROP_LIST => self.set_property_list(data),
            O::GET_INTERDEPENDENT_PROP_DESC => Reply::data(&InterdependentDescriptions::default()),
            O::GET_OBJECT_REFERENCES => Reply::data(&self.tree.get(first)?.references),
            O::SET_OBJECT_REFERENCES => self.set_references(first, data),
            _ => self.execute_device_property(command, data),
        }
    }

    fn execute_device_property(&mut self, command: &Command, data: &[u8]) -> Outcome {
        let forgets = self.has(Habit::ForgetsDeviceProperties);
        let property = DevicePropertyCode(code(command.parameters.get(0))?);
        let known = self.device_properties.get_mut(&property);
        // an operation that the profile announces and nobody here knows looks like this to an initiator, too
        let known = known.ok_or(match command.code {
            O::GET_DEVICE_PROP_DESC | O::GET_DEVICE_PROP_VALUE | O::SET_DEVICE_PROP_VALUE => {
                R::DEVICE_PROP_NOT_SUPPORTED
            }
            _ => R::OPERATION_NOT_SUPPORTED,
        })?;
        match command.code {
            O::GET_DEVICE_PROP_DESC => Reply::data(known),
            O::GET_DEVICE_PROP_VALUE => bare(&known.current),
            O::SET_DEVICE_PROP_VALUE if !known.writable => Err(R::ACCESS_DENIED),
            O::SET_DEVICE_PROP_VALUE => {
                let value =
                    Value::decode(data, known.data_type).map_err(|_| R::INVALID_DEVICE_PROP_FORMAT)?;
                if !known.form.allows(&value) {
                    return Err(R::INVALID_DEVICE_PROP_VALUE);
                }
                if !forgets {
                    known.current = value;
                }
                Ok(Reply::default())
            }
            O::RESET_DEVICE_PROP_VALUE if known.writable => {
                known.current = known.default.clone();
                Ok(Reply::default())
            }
            O::RESET_DEVICE_PROP_VALUE => Err(R::ACCESS_DENIED),
            _ => Err(R::OPERATION_NOT_SUPPORTED),
        }
    }

    fn known_format(&self, format: u32) -> Result<FormatCode, R> {
        let format = FormatCode(code(format)?);
        if self.schema.contains_key(&format) { Ok(format) } else { Err(R::INVALID_OBJECT_FORMAT_CODE) }
    }

    /// What an object's property is: computed, set, or its default.
    pub(super) fn property_value(
        &self,
        handle: u32,
        description: &ObjectPropertyDescription,
    ) -> Result<Value, R> {
        let node = self.tree.get(handle)?;
        let number = |number: i128| Value::from_number(description.data_type, number).ok_or(R::GENERAL_ERROR);
        let stored = || node.values.get(&description.property).cloned();
        match description.property {
            P::STORAGE_ID => number(i128::from(node.storage)),
            P::OBJECT_FORMAT => number(i128::from(node.format.0)),
            P::PARENT_OBJECT => number(i128::from(self.reported_parent(handle)?)),
            P::OBJECT_SIZE => {
                let size = i128::from(self.tree.size(handle));
                Value::from_number(description.data_type, size)
                    .or_else(|| Value::from_number(description.data_type, 0xFFFF_FFFF))
                    .ok_or(R::GENERAL_ERROR)
            }
            P::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER if description.data_type == DataType::UINT128 => {
                Ok(Value::U128(node.persistent))
            }
            P::OBJECT_FILE_NAME => Ok(Value::String(node.name.clone())),
            P::DATE_MODIFIED => Ok(stored().unwrap_or_else(|| Value::String(node.modified.clone()))),
            P::NAME => Ok(stored().unwrap_or_else(|| Value::String(node.name.clone()))),
            _ => Ok(stored().unwrap_or_else(|| description.default.clone())),
        }
    }

    /// Sets a property that can be set.
    fn set_property(&mut self, handle: u32, property: P, value: Value) -> Result<(), R> {
        let format = self.tree.get(handle)?.format;
        let description = self.description(format, property)?;
        if !description.writable {
            return Err(R::ACCESS_DENIED);
        }
        self.check_value(format, property, &value)?;
        match (property, &value) {
            (P::OBJECT_FILE_NAME, Value::String(name)) => {
                let node = self.tree.get(handle)?;
                let (storage, parent) = (node.storage, node.parent);
                let changed = !node.name.eq_ignore_ascii_case(name);
                if changed {
                    self.check_name(storage, parent, name)?;
                }
                self.tree.relocate(handle, storage, parent, name)
            }
            _ => {
                self.tree.get_mut(handle)?.values.insert(property, value);
                Ok(())
            }
        }
    }

    /// Whether a value is of the property's type and allowed by its form.
    pub(super) fn check_value(&self, format: FormatCode, property: P, value: &Value) -> Result<(), R> {
        let description = self.description(format, property)?;
        if value.data_type() != description.data_type {
            return Err(R::INVALID_OBJECT_PROP_FORMAT);
        }
        if description.form.allows(value) { Ok(()) } else { Err(R::INVALID_OBJECT_PROP_VALUE) }
    }

    fn set_property_list(&mut self, data: &[u8]) -> Outcome {
        let list = PropertyList::decode(data).map_err(|_| R::INVALID_DATASET)?;
        for element in list.0 {
            self.set_property(element.object.0, element.property, element.value)?;
        }
        Ok(Reply::default())
    }

    fn set_references(&mut self, handle: u32, data: &[u8]) -> Outcome {
        let references = Vec::<u32>::decode(data).map_err(|_| R::INVALID_DATASET)?;
        if references.iter().any(|reference| self.tree.get(*reference).is_err()) {
            return Err(R::INVALID_OBJECT_REFERENCE);
        }
        self.tree.get_mut(handle)?.references = references;
        Ok(Reply::default())
    }
}

fn bare(value: &Value) -> Outcome {
    let bytes = value.encode().map_err(|_| R::GENERAL_ERROR)?;
    Ok(Reply { parameters: Vec::new(), data: Payload::Bytes(bytes) })
}
