//! Which object is which, over sessions: the device's own lasting id of it, where it has one that can be relied on.
//!
//! It must not take such an id for a proof of what an object holds: devices give them away again.

use super::error::Fail;
use super::formats;
use super::session::{Session, ask};
use super::tree::Known;
use std::collections::{HashMap, HashSet};
use tandem_model::path::DevicePath;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, ObjectHandle, ObjectPropertyCode as Property, OperationCode};

const PROPERTY: Property = Property::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER;

/// What an id begins with in the manifest. No path does: there a name follows the storage's root.
const PREFIX: &str = "/puoid/";

/// A device's lasting id of an object; never what devices tell for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Persistent(u128);

impl Persistent {
    /// From what the device tells; `None` for what is no id.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::U128(0 | u128::MAX) => None,
            Value::U128(number) => Some(Self(*number)),
            _ => None,
        }
    }

    /// From the manifest; `None` for the path of an object that has no other id.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Self)
    }

    fn text(self) -> String {
        format!("{PREFIX}{:032x}", self.0)
    }
}

impl Session {
    fn has_persistent(&self) -> bool {
        !self.traits.no_persistent_ids && self.initiator.supports(OperationCode::GET_OBJECT_PROP_VALUE)
    }

    /// What the manifest has for an object: its lasting id, or its path where the device has none.
    pub(super) async fn persistent_id(&mut self, path: &DevicePath, known: Known) -> Result<String, Fail> {
        let format = formats::of_file(path.name(), self.formats());
        let told = match known.persistent {
            Some(told) if !self.traits.no_persistent_ids => Some(told),
            _ if self.ability(format).await?.properties.contains(&PROPERTY) => {
                self.ask_id(known.handle).await?
            }
            _ => None,
        };
        Ok(told.map_or_else(|| path.as_str().to_owned(), Persistent::text))
    }

    async fn ask_id(&mut self, handle: ObjectHandle) -> Result<Option<Persistent>, Fail> {
        if !self.has_persistent() {
            return Ok(None);
        }
        let asked = ask!(
            self,
            "asking for an id",
            self.initiator.object_property(handle, PROPERTY, DataType::UINT128)
        );
        Ok(self.unless_lost(asked)?.as_ref().and_then(Persistent::of))
    }

    /// Where the files with these ids are now, in our own folders. An id that two objects have tells nothing.
    pub(super) async fn find_ids(
        &mut self,
        ids: &[String],
        ours: &[String],
    ) -> Result<Vec<Option<DevicePath>>, Fail> {
        let wanted: Vec<Option<Persistent>> = ids.iter().map(|id| Persistent::parse(id)).collect();
        let missing: HashSet<Persistent> = wanted.iter().flatten().copied().collect();
        if missing.is_empty() || !self.has_persistent() {
            return Ok(vec![None; ids.len()]);
        }
        let found = match self.survey_ids(&missing, ours).await? {
            Some(found) => found,
            None => self.seek_ids(&missing, ours).await?,
        };
        Ok(wanted.into_iter().map(|id| found.get(&id?).cloned().flatten()).collect())
    }

    /// The same, object by object.
    async fn seek_ids(
        &mut self,
        missing: &HashSet<Persistent>,
        ours: &[String],
    ) -> Result<HashMap<Persistent, Option<DevicePath>>, Fail> {
        let mut found: HashMap<Persistent, Option<DevicePath>> = HashMap::new();
        let mut folders: Vec<String> = ours.to_vec();
        // a folder that a device tells to be in itself is looked through once
        let mut seen = HashSet::new();
        while let Some(folder) = folders.pop() {
            for (name, known) in self.children(&folder).await? {
                let Some(at) = DevicePath::parse(&format!("{folder}/{name}")) else { continue };
                if known.is_folder {
                    if seen.insert(known.handle) {
                        folders.push(at.as_str().to_owned());
                    }
                    continue;
                }
                let id = match known.persistent {
                    Some(id) => Some(id),
                    None => self.ask_id(known.handle).await?,
                };
                let Some(id) = id.filter(|id| missing.contains(id)) else { continue };
                found.entry(id).and_modify(|place| *place = None).or_insert(Some(at));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_from_the_manifest_and_a_path_is_none() {
        let id = Persistent::of(&Value::U128(7)).unwrap();
        assert_eq!(Persistent::parse(&id.text()), Some(id));
        for text in ["Music/a.mp3", "00000000000000000000000000000007", "/puoid/7", ""] {
            assert_eq!(Persistent::parse(text), None, "{text}");
        }
        assert!(DevicePath::parse(&id.text()).is_none());
    }

    #[test]
    fn what_devices_tell_for_none_is_none() {
        for value in [Value::U128(0), Value::U128(u128::MAX), Value::U64(7), Value::from("7")] {
            assert_eq!(Persistent::of(&value), None);
        }
    }
}
