//! Looks at many files in many folders at once: a list of one property of all objects is told far sooner than all
//! properties of each folder.
//!
//! It must believe only what it finds: what isn't in these lists is looked for where it should be.

use super::error::Fail;
use super::identity::Persistent;
use super::session::{Session, ask};
use super::times;
use super::tree::parent;
use std::collections::{HashMap, HashSet};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codes::{ObjectHandle, ObjectPropertyCode as Property, StorageId};
use tandem_mtp::initiator::{ObjectFilter, PropertyQuery};

/// Folders that a survey saves listing, at least: it takes five requests itself.
const FEWEST_FOLDERS: usize = 8;
/// Objects on the storage for each file that is asked for, at most: lists of all tell of the others too.
const MOST_FOR_EACH: usize = 8;
/// The properties that say where an object is.
const PLACE: [Property; 2] = [Property::PARENT_OBJECT, Property::OBJECT_FILE_NAME];
/// Folders in one another that are followed.
const DEEPEST: usize = 64;

/// What was listed of objects, by handle: what the handles bear out, and no other.
#[derive(Default)]
struct Lists {
    names: HashMap<ObjectHandle, String>,
    parents: HashMap<ObjectHandle, ObjectHandle>,
    sizes: HashMap<ObjectHandle, u64>,
    modified: HashMap<ObjectHandle, i64>,
    ids: HashMap<ObjectHandle, Persistent>,
}

impl Session {
    /// The files at those of these paths that lists of all objects tell of. A file that isn't in the answer may be there
    /// all the same.
    pub(super) async fn survey<'a>(
        &mut self,
        paths: &'a [DevicePath],
    ) -> Result<HashMap<&'a str, ObjectFacts>, Fail> {
        let listed = &self.tree.folders;
        let unlisted: HashSet<&str> = paths
            .iter()
            .map(|path| parent(path.as_str()))
            .filter(|folder| !listed.contains_key(*folder))
            .collect();
        if unlisted.len() < FEWEST_FOLDERS || !self.lists_all() {
            return Ok(HashMap::new());
        }
        let Some(lists) = self.lists_of_all(paths.len().saturating_mul(MOST_FOR_EACH)).await? else {
            self.no_survey = true;
            return Ok(HashMap::new());
        };
        Ok(found(&lists, self.storage, paths))
    }

    fn lists_all(&self) -> bool {
        !self.no_survey && !self.traits.no_whole_lists && self.lists_folders() && self.dates_by_property()
    }

    /// Four properties of all objects on the storage; `None` where the device refuses, or has more than `most`.
    async fn lists_of_all(&mut self, most: usize) -> Result<Option<Lists>, Fail> {
        let Some(handles) = self.handles_of_all(most).await? else { return Ok(None) };
        let mut lists = Lists::default();
        let whole = [Property::OBJECT_SIZE, Property::DATE_MODIFIED].into_iter().chain(PLACE);
        for property in whole {
            if !self.list_of_all(property, &handles, &mut lists).await? {
                return Ok(None);
            }
        }
        self.surveyed = true;
        Ok(Some(lists))
    }

    /// Where in these folders the objects with these ids are, by lists of all objects, if those tell of each one: then an id
    /// that isn't among them is gone. An id that two objects have has no place.
    pub(super) async fn survey_ids(
        &mut self,
        wanted: &HashSet<Persistent>,
        folders: &[String],
    ) -> Result<Option<HashMap<Persistent, Option<DevicePath>>>, Fail> {
        if !self.surveyed || !self.lists_all() {
            return Ok(None);
        }
        let Some(handles) = self.handles_of_all(usize::MAX).await? else { return Ok(None) };
        let mut lists = Lists::default();
        let property = Property::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER;
        if !self.list_of_all(property, &handles, &mut lists).await? || lists.ids.len() < handles.len() {
            return Ok(None);
        }
        lists.ids.retain(|_, id| wanted.contains(id));
        if lists.ids.is_empty() {
            return Ok(Some(HashMap::new()));
        }
        for property in PLACE {
            if !self.list_of_all(property, &handles, &mut lists).await? {
                return Ok(None);
            }
        }
        let is_ours =
            |path: &DevicePath| path.ancestors().any(|folder| folders.iter().any(|ours| ours == folder));
        let mut found: HashMap<Persistent, Option<DevicePath>> = HashMap::new();
        for (object, id) in &lists.ids {
            let path = lists.path(*object, self.storage);
            let path = path.as_deref().and_then(DevicePath::parse).filter(is_ours);
            found.entry(*id).and_modify(|place| *place = None).or_insert(path);
        }
        Ok(Some(found))
    }

    /// The handles of all objects on the storage; `None` where the device refuses, or has more than `most`.
    async fn handles_of_all(&mut self, most: usize) -> Result<Option<HashSet<ObjectHandle>>, Fail> {
        let all = ObjectFilter { storage: self.storage, format: None, parent: None };
        let answer = ask!(self, "listing the storage", self.initiator.object_handles(all));
        let handles = self.unless_silent(answer)?.filter(|handles| handles.len() <= most);
        Ok(handles.map(|handles| handles.into_iter().collect()))
    }

    /// Adds a property of these objects, as far as it is told; false where the device refuses.
    async fn list_of_all(
        &mut self,
        property: Property,
        handles: &HashSet<ObjectHandle>,
        lists: &mut Lists,
    ) -> Result<bool, Fail> {
        let query = PropertyQuery::of_all(property);
        let answer = ask!(self, "listing a property", self.initiator.object_property_list(query));
        let Some(elements) = self.unless_silent(answer)? else { return Ok(false) };
        let told = elements.into_iter().filter(|element| element.property == property);
        told.filter(|element| handles.contains(&element.object)).for_each(|element| lists.take(element));
        Ok(true)
    }

    /// What the device answered, `None` where it refused, or fell silent over so much.
    fn unless_silent<T>(&self, answer: Result<T, Fail>) -> Result<Option<T>, Fail> {
        match self.unless_lost(answer) {
            Err(Fail::Player(PlayerError::TimedOut(_))) if !self.initiator.is_gone() => Ok(None),
            answer => answer,
        }
    }
}

impl Lists {
    fn take(&mut self, PropertyElement { object, property, value }: PropertyElement) {
        let number = value.as_number();
        match property {
            Property::PARENT_OBJECT => {
                let parent = number.and_then(|number| u32::try_from(number).ok());
                self.parents.extend(parent.map(|parent| (object, ObjectHandle(parent))));
            }
            Property::OBJECT_SIZE => {
                let size = number.and_then(|number| u64::try_from(number).ok());
                self.sizes.extend(size.map(|size| (object, size)));
            }
            Property::OBJECT_FILE_NAME => {
                self.names.extend(value.as_text().map(|name| (object, name.to_owned())));
            }
            Property::DATE_MODIFIED => {
                self.modified.extend(value.as_text().map(|date| (object, times::from_text(date))));
            }
            Property::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER => {
                self.ids.extend(Persistent::of(&value).map(|id| (object, id)));
            }
            _ => {}
        }
    }

    /// Where an object is; `None` where its folders aren't told, or are in one another.
    fn path(&self, object: ObjectHandle, storage: StorageId) -> Option<String> {
        let mut names = Vec::new();
        let mut at = object;
        while names.len() < DEEPEST {
            let name = self.names.get(&at).filter(|name| !name.is_empty() && !name.contains('/'))?;
            names.push(name.as_str());
            at = *self.parents.get(&at)?;
            if at.is_root_of(storage) {
                names.reverse();
                return Some(names.join("/"));
            }
        }
        None
    }
}

/// Which of these paths are files in the lists. What has no bytes isn't told from a folder, and of two objects at one path
/// neither is taken.
fn found<'a>(lists: &Lists, storage: StorageId, paths: &'a [DevicePath]) -> HashMap<&'a str, ObjectFacts> {
    let wanted: HashMap<&str, &'a str> = paths.iter().map(|path| (path.as_str(), path.as_str())).collect();
    let mut found: HashMap<&'a str, Option<ObjectFacts>> = HashMap::new();
    for (object, size) in &lists.sizes {
        let path = lists.path(*object, storage);
        let Some(path) = path.as_deref().and_then(|path| wanted.get(path)) else { continue };
        let modified_ns = lists.modified.get(object).copied().unwrap_or_default();
        let facts = (*size > 0).then_some(ObjectFacts { size: *size, modified_ns });
        found.entry(path).and_modify(|facts| *facts = None).or_insert(facts);
    }
    found.into_iter().filter_map(|(path, facts)| Some((path, facts?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_mtp::codec::value::Value;

    const STORAGE: StorageId = StorageId(0x0001_0001);

    fn lists(objects: &[(u32, u32, &str, u64)]) -> Lists {
        let mut lists = Lists::default();
        for (object, parent, name, size) in objects {
            let object = ObjectHandle(*object);
            let mut take = |property, value| lists.take(PropertyElement { object, property, value });
            take(Property::PARENT_OBJECT, Value::U32(*parent));
            take(Property::OBJECT_FILE_NAME, Value::from(*name));
            take(Property::OBJECT_SIZE, Value::U64(*size));
            take(Property::DATE_MODIFIED, Value::from("20231114T221320"));
        }
        lists
    }

    fn paths(paths: &[&str]) -> Vec<DevicePath> {
        paths.iter().filter_map(|path| DevicePath::parse(path)).collect()
    }

    #[test]
    fn a_file_is_found_by_its_folders_however_the_root_is_told() {
        for root in [0, u32::MAX, STORAGE.0] {
            let lists = lists(&[(1, root, "Music", 0), (2, 1, "a.mp3", 7), (3, root, "a.mp3", 9)]);
            let wanted = paths(&["Music/a.mp3", "Music/b.mp3", "Music"]);
            let facts = ObjectFacts { size: 7, modified_ns: 1_700_000_000_000_000_000 };
            assert_eq!(found(&lists, STORAGE, &wanted), HashMap::from([("Music/a.mp3", facts)]));
        }
    }

    #[test]
    fn what_is_told_twice_or_lies_in_itself_is_not_found() {
        let wanted = paths(&["a.mp3", "b/c.mp3", "d.mp3"]);
        let twice = lists(&[(1, 0, "a.mp3", 7), (2, 0, "a.mp3", 7), (3, 4, "b", 0), (4, 3, "c.mp3", 7)]);
        assert!(found(&twice, STORAGE, &wanted).is_empty());
        let mut nameless = lists(&[(1, 0, "d.mp3", 7)]);
        nameless.names.clear();
        assert!(found(&nameless, STORAGE, &wanted).is_empty());
    }
}
