//! Properties of objects and of the device, and references between objects.
//!
//! It must not believe what was set: many devices answer OK and keep the old value.

use super::transaction::Data;
use super::{Error, Initiator};
use crate::codec::Dataset;
use crate::codec::property::{
    DevicePropertyDescription, InterdependentDescriptions, ObjectPropertyDescription,
};
use crate::codec::property_list::{PropertyElement, PropertyList};
use crate::codec::value::Value;
use crate::codes::{
    DataType, DevicePropertyCode, FormatCode, ObjectHandle, ObjectPropertyCode, OperationCode,
};

/// Which properties of which objects to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyQuery {
    /// Whose: an object or folder, [`ObjectHandle::ROOT`] for the root's level, [`ObjectHandle::ALL_ONES`] for all.
    pub object: ObjectHandle,
    /// Of objects of this format alone. Many devices refuse it.
    pub format: Option<FormatCode>,
    /// This one; `None` for all.
    pub property: Option<ObjectPropertyCode>,
    /// 0: the object itself; 1: what is right below it; 0xFFFFFFFF: all below it.
    pub depth: u32,
}

impl PropertyQuery {
    /// All properties of everything right below a folder, or below the root.
    #[must_use]
    pub const fn children(folder: ObjectHandle) -> Self {
        Self { object: folder, format: None, property: None, depth: 1 }
    }

    /// One property of every object.
    #[must_use]
    pub const fn of_all(property: ObjectPropertyCode) -> Self {
        Self { object: ObjectHandle::ALL_ONES, format: None, property: Some(property), depth: 0 }
    }

    /// All properties of one object.
    #[must_use]
    pub const fn object(object: ObjectHandle) -> Self {
        Self { object, format: None, property: None, depth: 0 }
    }

    fn parameters(self) -> [u32; 5] {
        let format = self.format.map_or(0, |format| u32::from(format.0));
        let property = self.property.map_or(0xFFFF_FFFF, |property| u32::from(property.0));
        [self.object.0, format, property, 0, self.depth]
    }
}

impl Initiator {
    /// Which properties objects of a format have; GetObjectPropsSupported.
    ///
    /// # Errors
    /// As for every operation: see [`Error::kind`].
    pub async fn object_properties_supported(
        &mut self,
        format: FormatCode,
    ) -> Result<Vec<ObjectPropertyCode>, Error> {
        let operation = OperationCode::GET_OBJECT_PROPS_SUPPORTED;
        let codes: Vec<u16> = self.dataset(operation, &[u32::from(format.0)]).await?;
        Ok(codes.into_iter().map(ObjectPropertyCode).collect())
    }

    /// What a property of objects of a format takes; GetObjectPropDesc.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_property_description(
        &mut self,
        property: ObjectPropertyCode,
        format: FormatCode,
    ) -> Result<ObjectPropertyDescription, Error> {
        let parameters = [u32::from(property.0), u32::from(format.0)];
        self.dataset(OperationCode::GET_OBJECT_PROP_DESC, &parameters).await
    }

    /// Which values of properties go together; GetInterdependentPropDesc.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn interdependent_descriptions(
        &mut self,
        format: FormatCode,
    ) -> Result<InterdependentDescriptions, Error> {
        self.dataset(OperationCode::GET_INTERDEPENDENT_PROP_DESC, &[u32::from(format.0)]).await
    }

    /// One property of one object, of the type that its description tells; GetObjectPropValue.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_property(
        &mut self,
        handle: ObjectHandle,
        property: ObjectPropertyCode,
        data_type: DataType,
    ) -> Result<Value, Error> {
        let operation = OperationCode::GET_OBJECT_PROP_VALUE;
        self.value(operation, &[handle.0, u32::from(property.0)], data_type).await
    }

    /// Sets one property of one object; SetObjectPropValue.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn set_object_property(
        &mut self,
        handle: ObjectHandle,
        property: ObjectPropertyCode,
        value: &Value,
    ) -> Result<(), Error> {
        let parameters = [handle.0, u32::from(property.0)];
        let operation = OperationCode::SET_OBJECT_PROP_VALUE;
        self.send_dataset(operation, &parameters, &value.encode()?).await.map(drop)
    }

    /// Properties of many objects; GetObjectPropList.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_property_list(
        &mut self,
        query: PropertyQuery,
    ) -> Result<Vec<PropertyElement>, Error> {
        let operation = OperationCode::GET_OBJECT_PROP_LIST;
        let list: PropertyList = self.dataset(operation, &query.parameters()).await?;
        Ok(list.0)
    }

    /// Sets properties of existing objects; SetObjectPropList. The refusal's first parameter is the index of the first
    /// element that wasn't set.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn set_object_property_list(&mut self, elements: &[PropertyElement]) -> Result<(), Error> {
        let list = PropertyList(elements.to_vec()).encode()?;
        self.send_dataset(OperationCode::SET_OBJECT_PROP_LIST, &[], &list).await.map(drop)
    }

    /// What a playlist or an album holds; GetObjectReferences.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_references(&mut self, handle: ObjectHandle) -> Result<Vec<ObjectHandle>, Error> {
        let handles: Vec<u32> = self.dataset(OperationCode::GET_OBJECT_REFERENCES, &[handle.0]).await?;
        Ok(handles.into_iter().map(ObjectHandle).collect())
    }

    /// Sets all that a playlist or an album holds; SetObjectReferences.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn set_object_references(
        &mut self,
        handle: ObjectHandle,
        references: &[ObjectHandle],
    ) -> Result<(), Error> {
        let numbers: Vec<u32> = references.iter().map(|reference| reference.0).collect();
        let operation = OperationCode::SET_OBJECT_REFERENCES;
        self.send_dataset(operation, &[handle.0], &numbers.encode()?).await.map(drop)
    }

    /// What a property of the device takes and is; GetDevicePropDesc.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn device_property_description(
        &mut self,
        property: DevicePropertyCode,
    ) -> Result<DevicePropertyDescription, Error> {
        self.dataset(OperationCode::GET_DEVICE_PROP_DESC, &[u32::from(property.0)]).await
    }

    /// A property of the device, of the type that its description tells; GetDevicePropValue.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn device_property(
        &mut self,
        property: DevicePropertyCode,
        data_type: DataType,
    ) -> Result<Value, Error> {
        let operation = OperationCode::GET_DEVICE_PROP_VALUE;
        self.value(operation, &[u32::from(property.0)], data_type).await
    }

    /// Sets a property of the device; SetDevicePropValue. Read it back: many devices answer OK and keep the old value.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn set_device_property(
        &mut self,
        property: DevicePropertyCode,
        value: &Value,
    ) -> Result<(), Error> {
        let operation = OperationCode::SET_DEVICE_PROP_VALUE;
        self.send_dataset(operation, &[u32::from(property.0)], &value.encode()?).await.map(drop)
    }

    /// Makes a property of the device what it was made as; ResetDevicePropValue.
    ///
    /// # Errors
    /// As for every operation; the number that means all properties is refused on this side.
    pub async fn reset_device_property(&mut self, property: DevicePropertyCode) -> Result<(), Error> {
        let operation = OperationCode::RESET_DEVICE_PROP_VALUE;
        if property.0 == 0xFFFF {
            return Err(Error::NotOffered(operation));
        }
        self.transact(operation, &[u32::from(property.0)], Data::None).await.map(drop)
    }

    async fn value(
        &mut self,
        operation: OperationCode,
        parameters: &[u32],
        data_type: DataType,
    ) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        self.transact(operation, parameters, Data::Collect(&mut bytes)).await?;
        Value::decode(&bytes, data_type).map_err(|source| Error::Malformed { operation, source })
    }
}
