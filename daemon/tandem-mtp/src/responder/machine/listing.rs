//! Listing and reading objects.
//!
//! It must not change anything.

use super::{Habit, Machine, Outcome, Payload, Reply};
use crate::codec::container::Parameters;
use crate::codec::object_info::ObjectInfo;
use crate::codec::property_list::{PropertyElement, PropertyList};
use crate::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode, ResponseCode as R, StorageId};

const ALL: u32 = 0xFFFF_FFFF;

impl Machine {
    /// GetObjectHandles and GetNumObjects.
    pub(super) fn handles(&self, parameters: Parameters) -> Result<Vec<u32>, R> {
        let (storage, format, parent) = (parameters.get(0), parameters.get(1), parameters.get(2));
        if storage != ALL {
            self.check_storage(storage)?;
        } else if self.storages().is_empty() {
            return Err(R::INVALID_STORAGE_ID);
        }
        let storage = (storage != ALL).then_some(storage);
        let mut handles = match parent {
            ALL => self.tree.children(storage, 0),
            0 if self.has(Habit::ZeroRefused) => return Err(R::INVALID_OBJECT_HANDLE),
            0 if self.has(Habit::ZeroListsRoot) => self.tree.children(storage, 0),
            0 => {
                let there = self.tree.iter().filter(|(_, node)| storage.is_none_or(|id| id == node.storage));
                there.map(|(handle, _)| handle).collect()
            }
            folder if self.tree.get(folder).is_ok_and(super::super::tree::Node::is_folder) => {
                self.tree.children(storage, folder)
            }
            _ => return Err(R::INVALID_PARENT_OBJECT),
        };
        if format != 0 {
            if self.has(Habit::NoFormatFilter) {
                return Err(R::SPEC_BY_FORMAT_UNSUPPORTED);
            }
            handles.retain(|handle| self.format_is(*handle, format));
        }
        Ok(handles)
    }

    fn format_is(&self, handle: u32, format: u32) -> bool {
        self.tree.get(handle).is_ok_and(|node| u32::from(node.format.0) == format)
    }

    /// Whom an object says it belongs to.
    pub(super) fn reported_parent(&self, handle: u32) -> Result<u32, R> {
        let node = self.tree.get(handle)?;
        let at_root = node.parent == 0 && self.has(Habit::RootParentIsStorage);
        Ok(if at_root { node.storage } else { node.parent })
    }

    pub(super) fn object_info(&self, handle: u32) -> Result<ObjectInfo, R> {
        let node = self.tree.get(handle)?;
        let mut info = ObjectInfo::new(node.format, self.tree.size(handle), &node.name);
        info.storage = StorageId(node.storage);
        info.parent = ObjectHandle(self.reported_parent(handle)?);
        info.modified.clone_from(&node.modified);
        Ok(info)
    }

    pub(super) fn get_object(&self, handle: u32) -> Outcome {
        if self.tree.get(handle)?.is_folder() {
            return Err(R::INVALID_OBJECT_HANDLE);
        }
        let length = self.tree.size(handle);
        Ok(Reply { parameters: Vec::new(), data: Payload::Object { handle, offset: 0, length } })
    }

    pub(super) fn get_partial(&self, handle: u32, offset: u64, limit: u32) -> Outcome {
        let size = self.tree.get(handle).map(|_| self.tree.size(handle))?;
        if offset > size {
            return Err(R::INVALID_PARAMETER);
        }
        let length = (size - offset).min(u64::from(limit));
        let data = Payload::Object { handle, offset, length };
        // at most `limit`, which has 32 bits
        Ok(Reply { parameters: vec![length as u32], data })
    }

    /// GetObjectPropList.
    pub(super) fn property_list(&self, parameters: Parameters) -> Outcome {
        let (handle, format) = (parameters.get(0), parameters.get(1));
        let (property, group, depth) = (parameters.get(2), parameters.get(3), parameters.get(4));
        if property == 0 {
            let refused = if group == 0 { R::PARAMETER_NOT_SUPPORTED } else { R::SPEC_BY_GROUP_UNSUPPORTED };
            return Err(refused);
        }
        if depth > 1 && self.has(Habit::NoDeepLists) {
            return Err(R::SPEC_BY_DEPTH_UNSUPPORTED);
        }
        if format != 0 && self.has(Habit::NoFormatFilter) {
            return Err(R::SPEC_BY_FORMAT_UNSUPPORTED);
        }
        let mut handles = self.listed(handle, depth)?;
        if format != 0 {
            handles.retain(|handle| self.format_is(*handle, format));
        }
        if self.has(Habit::PropertyListLoses) {
            let mut index = 0;
            handles.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        let mut list = PropertyList::default();
        for handle in handles {
            self.list_properties(handle, property, &mut list)?;
        }
        Reply::data(&list)
    }

    fn listed(&self, handle: u32, depth: u32) -> Result<Vec<u32>, R> {
        let all = || self.tree.iter().map(|(handle, _)| handle).collect();
        Ok(match (handle, depth) {
            (ALL, _) => all(),
            (0, _) if self.has(Habit::ZeroListsWholeStore) => all(),
            (0, 0 | 1) => self.tree.children(None, 0),
            (0, _) => all(),
            (handle, 0) => {
                self.tree.get(handle)?;
                vec![handle]
            }
            (handle, 1) => {
                self.tree.get(handle)?;
                self.tree.children(None, handle)
            }
            (handle, _) => {
                self.tree.get(handle)?;
                self.tree.family(handle)
            }
        })
    }

    fn list_properties(&self, handle: u32, property: u32, list: &mut PropertyList) -> Result<(), R> {
        let format = self.tree.get(handle)?.format;
        for description in self.descriptions(format) {
            // covers are fetched one by one, also from real players
            let bulky = description.data_type == DataType::AUINT8;
            let wanted = property == ALL && !bulky || property == u32::from(description.property.0);
            if wanted {
                let value = self.property_value(handle, description)?;
                let object = ObjectHandle(handle);
                list.0.push(PropertyElement { object, property: description.property, value });
            }
        }
        Ok(())
    }

    /// The properties of a format, or of undefined objects for one without properties of its own.
    pub(super) fn descriptions(
        &self,
        format: FormatCode,
    ) -> &[crate::codec::property::ObjectPropertyDescription] {
        let own = self.schema.get(&format).or_else(|| self.schema.get(&FormatCode::UNDEFINED));
        own.map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn description(
        &self,
        format: FormatCode,
        property: ObjectPropertyCode,
    ) -> Result<&crate::codec::property::ObjectPropertyDescription, R> {
        let found = self.descriptions(format).iter().find(|known| known.property == property);
        found.ok_or(R::OBJECT_PROP_NOT_SUPPORTED)
    }
}
