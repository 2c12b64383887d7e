//! What is known of a player's folders: listed when they are needed, and kept for the session.
//!
//! It must not outlive its session, for handles don't; and it must not list: `listing` does.

use super::error::Fail;
use super::identity::Persistent;
use super::listing::gather;
use super::session::{Session, ask};
use super::times;
use std::collections::{HashMap, HashSet};
use tandem_model::player::ObjectFacts;
use tandem_mtp::codec::object_info::{ObjectInfo, SIZE_TOO_LARGE};
use tandem_mtp::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};
use tandem_mtp::initiator::{Parent, PropertyQuery};
use unicode_normalization::UnicodeNormalization;

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) handle: ObjectHandle,
    pub(crate) is_folder: bool,
    pub(crate) facts: ObjectFacts,
    /// Its lasting id, where a property list told it.
    pub(crate) persistent: Option<Persistent>,
}

/// Folders by path, `""` for the root, with what is in them by name.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) folders: HashMap<String, HashMap<String, Known>>,
    pub(super) handles: HashSet<ObjectHandle>,
    /// Whether property lists of folders are right; `None` before the first was held against the handles.
    pub(super) lists: Option<bool>,
    /// Folders that a property list tells of, and that weren't held against the handles.
    pub(super) unchecked: HashSet<String>,
}

impl Tree {
    /// Forgets all folders.
    pub(crate) fn forget(&mut self) {
        self.folders.clear();
        self.handles.clear();
        self.unchecked.clear();
    }

    /// Forgets what is in this folder.
    pub(crate) fn forget_folder(&mut self, folder: &str) {
        self.folders.remove(folder);
    }

    /// What has this name in a folder that was listed.
    fn child(&self, folder: &str, name: &str) -> Option<Known> {
        self.folders.get(folder).and_then(|children| children.get(name)).copied()
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
            let mut found = self.tree.child(&folder.0, part);
            // what a property list leaves out counts as not there only when the handles say so, too
            if found.is_none() && !self.is_whole(&folder.0, folder.1).await? {
                self.tree.forget_folder(&folder.0);
                self.list(&folder.0, folder.1).await?;
                found = self.tree.child(&folder.0, part);
            }
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
    pub(super) fn dates_by_property(&self) -> bool {
        let listed = self.initiator.supports(OperationCode::GET_OBJECT_PROP_LIST);
        let asked = self.initiator.supports(OperationCode::GET_OBJECT_PROP_VALUE);
        listed && asked && !self.traits.no_property_lists
    }

    async fn modified(&mut self, handle: ObjectHandle, info: &ObjectInfo) -> Result<i64, Fail> {
        if !self.dates_by_property() {
            return Ok(times::from_text(&info.modified));
        }
        let property = Property::DATE_MODIFIED;
        let ability = self.ability(info.format).await?;
        // a device that doesn't say what objects have may tell dates in its lists all the same
        if !ability.properties.is_empty() && !ability.properties.contains(&property) {
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

    pub(super) async fn known(&mut self, handle: ObjectHandle, info: &ObjectInfo) -> Result<Known, Fail> {
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
        Ok(Known { handle, is_folder, facts: ObjectFacts { size, modified_ns }, persistent: None })
    }

    /// The name that the device has for an object now; `None` when it has no such object, or doesn't say.
    pub(crate) async fn name_of(&mut self, handle: ObjectHandle) -> Result<Option<String>, Fail> {
        let answer = ask!(self, "asking for an object", self.initiator.object_info(handle));
        Ok(self.unless_lost(answer)?.map(|info| info.file_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            persistent: None,
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
