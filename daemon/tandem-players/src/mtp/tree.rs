//! What is known of a player's folders: listed when they are needed, whole folders at once where that proves right, and
//! kept for the session.
//!
//! It must not trust a property list before it was held against the handles, nor a parent that a listing doesn't bear out.

use super::error::Fail;
use super::session::{Session, ask};
use super::times;
use std::collections::{BTreeSet, HashMap, HashSet};
use tandem_model::error::PlayerError;
use tandem_model::player::ObjectFacts;
use tandem_mtp::codec::object_info::{ObjectInfo, SIZE_TOO_LARGE};
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};
use tandem_mtp::initiator::{ObjectFilter, Parent, PropertyQuery};
use unicode_normalization::UnicodeNormalization;

/// How often an object is asked for that was listed, when it is refused.
const TELLINGS: u32 = 2;

/// Objects of one folder that are looked at, at most: file systems of players hold fewer.
const MOST_IN_FOLDER: usize = 100_000;

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) handle: ObjectHandle,
    pub(crate) is_folder: bool,
    pub(crate) facts: ObjectFacts,
}

/// Folders by path, `""` for the root, with what is in them by name.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    folders: HashMap<String, HashMap<String, Known>>,
    handles: HashSet<ObjectHandle>,
    /// Whether property lists of folders are right; `None` before the first was held against the handles.
    lists: Option<bool>,
}

impl Tree {
    /// Forgets all folders.
    pub(crate) fn forget(&mut self) {
        self.folders.clear();
        self.handles.clear();
    }

    /// Forgets what is in this folder.
    pub(crate) fn forget_folder(&mut self, folder: &str) {
        self.folders.remove(folder);
    }

    /// Whether the object was listed or made in this session.
    pub(crate) fn knows(&self, handle: ObjectHandle) -> bool {
        self.handles.contains(&handle)
    }

    /// An object was made or found.
    pub(crate) fn put(&mut self, path: &str, known: Known) {
        self.handles.insert(known.handle);
        if let Some(folder) = self.folders.get_mut(parent(path)) {
            folder.insert(name(path).to_owned(), known);
        }
        if known.is_folder {
            self.folders.entry(path.to_owned()).or_default();
        }
    }

    /// An object went.
    pub(crate) fn take(&mut self, path: &str) {
        if let Some(gone) = self.folders.get_mut(parent(path)).and_then(|folder| folder.remove(name(path))) {
            // the device may give its handle to the next one
            self.handles.remove(&gone.handle);
        }
        let below = format!("{path}/");
        self.folders.retain(|folder, _| folder != path && !folder.starts_with(&below));
    }
}

/// The folder's path; empty for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What two names have in common that some file systems can't tell apart.
fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

impl Session {
    /// What is at this path.
    pub(crate) async fn find(&mut self, path: &str) -> Result<Option<Known>, Fail> {
        let mut folder = (String::new(), Parent::Root);
        let parts: Vec<&str> = path.split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            self.list(&folder.0, folder.1).await?;
            let found = self.tree.folders.get(&folder.0).and_then(|children| children.get(*part)).copied();
            match found {
                Some(found) if at + 1 == parts.len() => return Ok(Some(found)),
                Some(found) if found.is_folder => {
                    let path = if at == 0 { (*part).to_owned() } else { format!("{}/{part}", folder.0) };
                    folder = (path, Parent::Folder(found.handle));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether a name in a folder is taken, by itself or by one that the device may not tell from it. The folder was
    /// listed by `find`.
    pub(crate) fn is_taken(&self, path: &str) -> bool {
        let wanted = folded(name(path));
        let children = self.tree.folders.get(parent(path));
        children.is_some_and(|children| children.keys().any(|name| folded(name) == wanted))
    }

    /// Names and objects right below a folder that is there.
    pub(crate) async fn children(&mut self, path: &str) -> Result<Vec<(String, Known)>, Fail> {
        let place = if path.is_empty() {
            Parent::Root
        } else {
            match self.find(path).await? {
                Some(found) if found.is_folder => Parent::Folder(found.handle),
                _ => return Ok(Vec::new()),
            }
        };
        self.list(path, place).await?;
        let children = self.tree.folders.get(path);
        Ok(children.into_iter().flatten().map(|(name, known)| (name.clone(), *known)).collect())
    }

    /// What the device tells of an object now. `None` when it has no such object.
    pub(crate) async fn look(&mut self, handle: ObjectHandle) -> Result<Option<Known>, Fail> {
        if self.tree.lists == Some(true) && self.lists_folders() {
            let query = PropertyQuery::object(handle);
            let answer = ask!(self, "asking for an object", self.initiator.object_property_list(query));
            let listed = self.unless_lost(answer)?.and_then(|elements| gather(None, &elements));
            if let Some([(_, known)]) = listed.as_deref()
                && known.handle == handle
            {
                return Ok(Some(*known));
            }
        }
        let answer = ask!(self, "asking for an object", self.initiator.object_info(handle));
        match answer {
            Ok(info) => self.known(handle, &info).await.map(Some),
            Err(Fail::Stale(_)) if self.initiator.has_session() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the date of an object is what its property says. Of two dates that a device tells, one has to be taken
    /// always, or each listing would find other files.
    fn dates_by_property(&self) -> bool {
        let listed = self.initiator.supports(OperationCode::GET_OBJECT_PROP_LIST);
        let asked = self.initiator.supports(OperationCode::GET_OBJECT_PROP_VALUE);
        listed && asked && !self.traits.no_property_lists
    }

    async fn modified(&mut self, handle: ObjectHandle, info: &ObjectInfo) -> Result<i64, Fail> {
        if !self.dates_by_property() {
            return Ok(times::from_text(&info.modified));
        }
        let property = Property::DATE_MODIFIED;
        if !self.ability(info.format).await?.properties.contains(&property) {
            return Ok(0);
        }
        let asked = ask!(
            self,
            "asking for a date",
            self.initiator.object_property(handle, property, DataType::STRING)
        );
        let value = self.unless_lost(asked)?;
        Ok(value.and_then(|value| value.as_text().map(times::from_text)).unwrap_or_default())
    }

    async fn known(&mut self, handle: ObjectHandle, info: &ObjectInfo) -> Result<Known, Fail> {
        let is_folder = info.format == FormatCode::ASSOCIATION;
        let mut size = info.size;
        let reads = self.initiator.supports(OperationCode::GET_OBJECT_PROP_VALUE);
        if size == u64::from(SIZE_TOO_LARGE) && reads {
            let property = Property::OBJECT_SIZE;
            let answer = ask!(
                self,
                "asking for a size",
                self.initiator.object_property(handle, property, DataType::UINT64)
            );
            let wide = self.unless_lost(answer)?.and_then(|value| value.as_number());
            size = wide.and_then(|wide| u64::try_from(wide).ok()).unwrap_or(size);
        }
        let modified_ns = if is_folder { 0 } else { self.modified(handle, info).await? };
        Ok(Known { handle, is_folder, facts: ObjectFacts { size, modified_ns } })
    }

    /// Lists a folder unless that was done.
    async fn list(&mut self, path: &str, place: Parent) -> Result<(), Fail> {
        if self.tree.folders.contains_key(path) {
            return Ok(());
        }
        let children = match place {
            Parent::Folder(folder) if self.lists_folders() => match self.listed_at_once(folder).await? {
                Some(children) => children,
                None => self.listed_one_by_one(place).await?,
            },
            place => self.listed_one_by_one(place).await?,
        };
        self.tree.handles.extend(children.iter().map(|(_, known)| known.handle));
        let mut named = HashMap::with_capacity(children.len());
        for (name, known) in children {
            // a slash can't be part of a name here, and of two of a name the first counts
            if !name.is_empty() && !name.contains('/') {
                named.entry(name).or_insert(known);
            }
        }
        self.tree.folders.insert(path.to_owned(), named);
        Ok(())
    }

    fn lists_folders(&self) -> bool {
        let offered = self.initiator.supports(OperationCode::GET_OBJECT_PROP_LIST);
        offered && !self.traits.no_property_lists && self.tree.lists != Some(false)
    }

    /// A folder by one property list; `None` when that can't be believed.
    async fn listed_at_once(&mut self, folder: ObjectHandle) -> Result<Option<Vec<(String, Known)>>, Fail> {
        let query = PropertyQuery::children(folder);
        let answer = ask!(self, "listing a folder", self.initiator.object_property_list(query));
        let children = self.unless_lost(answer)?.and_then(|elements| gather(Some(folder), &elements));
        let Some(children) = children else {
            self.tree.lists = Some(false);
            return Ok(None);
        };
        few_enough(children.len())?;
        if self.tree.lists.is_none() {
            let filter = ObjectFilter::children(self.storage, Parent::Folder(folder));
            let handles = ask!(self, "listing a folder", self.initiator.object_handles(filter))?;
            let listed: HashSet<_> = children.iter().map(|(_, known)| known.handle).collect();
            let right = listed == handles.iter().copied().collect();
            if !right || !handles.is_empty() {
                self.tree.lists = Some(right);
            }
            if !right {
                tracing::info!(
                    "the device's property lists are not complete; objects are asked for one by one"
                );
                return Ok(None);
            }
        }
        Ok(Some(children))
    }

    async fn listed_one_by_one(&mut self, place: Parent) -> Result<Vec<(String, Known)>, Fail> {
        let filter = ObjectFilter::children(self.storage, place);
        let answer = ask!(self, "listing a folder", self.initiator.object_handles(filter));
        let handles = match (answer, place) {
            // some devices know no listing of the root's level alone
            (Err(Fail::Stale(_) | Fail::Player(_)), Parent::Root) if self.initiator.has_session() => {
                let all = ObjectFilter { parent: None, ..filter };
                ask!(self, "listing the storage", self.initiator.object_handles(all))?
            }
            (answer, _) => answer?,
        };
        let handles: BTreeSet<ObjectHandle> = handles.into_iter().collect();
        few_enough(handles.len())?;
        let mut children = Vec::with_capacity(handles.len());
        for handle in handles {
            // what can't be told about doesn't hide the others
            let Some(info) = self.told_of(handle).await? else { continue };
            let belongs = match place {
                Parent::Root => info.parent.is_root_of(self.storage),
                Parent::Folder(folder) => info.parent == folder,
            };
            if belongs {
                let known = self.known(handle, &info).await?;
                children.push((info.file_name, known));
            }
        }
        Ok(children)
    }
}

/// Refuses a folder that can't be: to look at all that a device makes up would never end.
fn few_enough(objects: usize) -> Result<(), Fail> {
    if objects <= MOST_IN_FOLDER {
        return Ok(());
    }
    let text =
        format!("the device tells of {objects} objects in one folder, where {MOST_IN_FOLDER} are the most");
    Err(PlayerError::Other(text).into())
}

impl Session {
    /// The name that the device has for an object now; `None` when it has no such object, or doesn't say.
    pub(crate) async fn name_of(&mut self, handle: ObjectHandle) -> Result<Option<String>, Fail> {
        let answer = ask!(self, "asking for an object", self.initiator.object_info(handle));
        Ok(self.unless_lost(answer)?.map(|info| info.file_name))
    }

    /// ObjectInfo of something that was listed; `None` when it is gone meanwhile, or can't be told about however often it is
    /// asked for. What isn't seen here counts as not there, so a refusal is not enough.
    async fn told_of(&mut self, handle: ObjectHandle) -> Result<Option<ObjectInfo>, Fail> {
        for _ in 0..TELLINGS {
            let answer = ask!(self, "asking for an object", self.initiator.object_info(handle));
            match self.unless_lost(answer) {
                Ok(Some(info)) => return Ok(Some(info)),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        tracing::warn!("the device lists an object that it doesn't tell of");
        Ok(None)
    }
}

/// Objects from a property list, of a folder's where that is named; `None` when it leaves out what is needed, or lists what
/// isn't there.
fn gather(folder: Option<ObjectHandle>, elements: &[PropertyElement]) -> Option<Vec<(String, Known)>> {
    #[derive(Default)]
    struct Parts<'a> {
        name: Option<&'a str>,
        format: Option<i128>,
        size: Option<i128>,
        modified: i64,
    }
    let mut order = Vec::new();
    let mut parts: HashMap<ObjectHandle, Parts<'_>> = HashMap::new();
    for element in elements {
        let part = parts.entry(element.object).or_insert_with(|| {
            order.push(element.object);
            Parts::default()
        });
        match element.property {
            Property::OBJECT_FILE_NAME => part.name = element.value.as_text(),
            Property::OBJECT_FORMAT => part.format = element.value.as_number(),
            Property::OBJECT_SIZE => part.size = element.value.as_number(),
            Property::DATE_MODIFIED => part.modified = element.value.as_text().map_or(0, times::from_text),
            Property::PARENT_OBJECT
                if folder.is_some_and(|folder| element.value.as_number() != Some(i128::from(folder.0))) =>
            {
                return None;
            }
            _ => {}
        }
    }
    let mut children = Vec::with_capacity(order.len());
    for handle in order {
        let part = &parts[&handle];
        let is_folder = part.format? == i128::from(FormatCode::ASSOCIATION.0);
        let size = if is_folder { 0 } else { u64::try_from(part.size?).ok()? };
        let modified_ns = if is_folder { 0 } else { part.modified };
        let facts = ObjectFacts { size, modified_ns };
        children.push((part.name?.to_owned(), Known { handle, is_folder, facts }));
    }
    Some(children)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_mtp::codec::value::Value;

    fn element(object: u32, property: Property, value: Value) -> PropertyElement {
        PropertyElement { object: ObjectHandle(object), property, value }
    }

    #[test]
    fn a_property_list_is_believed_only_when_it_is_whole() {
        let file = |object: u32| {
            vec![
                element(object, Property::OBJECT_FILE_NAME, Value::from("a.mp3")),
                element(object, Property::OBJECT_FORMAT, Value::U16(0x3009)),
                element(object, Property::OBJECT_SIZE, Value::U64(7)),
                element(object, Property::PARENT_OBJECT, Value::U32(1)),
            ]
        };
        let folder = Some(ObjectHandle(1));
        let facts = ObjectFacts { size: 7, modified_ns: 0 };
        let known = Known { handle: ObjectHandle(5), is_folder: false, facts };
        assert_eq!(gather(folder, &file(5)), Some(vec![("a.mp3".to_owned(), known)]));
        assert_eq!(gather(Some(ObjectHandle(2)), &file(5)), None);
        for missing in 0..3 {
            let mut elements = file(5);
            elements.remove(missing);
            assert_eq!(gather(folder, &elements), None);
        }
        assert_eq!(gather(folder, &[]), Some(Vec::new()));
    }

    #[test]
    fn names_that_some_devices_cannot_tell_apart_are_one() {
        assert_eq!(folded("Song \u{c9}.mp3"), folded("SONG e\u{301}.mp3"));
        assert_ne!(folded("a.mp3"), folded("b.mp3"));
    }

    #[test]
    fn what_goes_takes_along_what_is_below_it() {
        let mut tree = Tree::default();
        let folder = |handle| Known {
            handle: ObjectHandle(handle),
            is_folder: true,
            facts: ObjectFacts { size: 0, modified_ns: 0 },
        };
        tree.folders.insert(String::new(), HashMap::new());
        tree.put("a", folder(1));
        tree.put("a/b", folder(2));
        tree.put("ab", folder(3));
        tree.take("a");
        assert_eq!(tree.folders.len(), 2);
        assert!(tree.folders.contains_key("ab"));
    }
}
