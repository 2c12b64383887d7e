//! Lists a player's folders: whole ones by one property list where that proves right, else object by object.
//!
//! It must not trust a property list before it was held against the handles, nor a parent that a listing doesn't bear out.

use super::error::Fail;
use super::identity::Persistent;
use super::session::{Session, ask};
use super::times;
use super::tree::Known;
use std::collections::{BTreeSet, HashMap, HashSet};
use tandem_model::error::PlayerError;
use tandem_model::player::ObjectFacts;
use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codes::{FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};
use tandem_mtp::initiator::{ObjectFilter, Parent, PropertyQuery};

/// How often an object is asked for that was listed, when it is refused.
const TELLINGS: u32 = 2;

/// Objects of one folder that are looked at, at most: file systems of players hold fewer.
const MOST_IN_FOLDER: usize = 100_000;

impl Session {
    /// Lists a folder unless that was done.
    pub(super) async fn list(&mut self, path: &str, place: Parent) -> Result<(), Fail> {
        if self.tree.folders.contains_key(path) {
            return Ok(());
        }
        let children = match place {
            Parent::Folder(folder) if self.lists_folders() => {
                match self.listed_at_once(path, folder).await? {
                    Some(children) => children,
                    None => self.listed_one_by_one(place).await?,
                }
            }
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

    pub(super) fn lists_folders(&self) -> bool {
        let offered = self.initiator.supports(OperationCode::GET_OBJECT_PROP_LIST);
        offered && !self.traits.no_property_lists && self.tree.lists != Some(false)
    }

    /// A folder by one property list; `None` when that can't be believed.
    async fn listed_at_once(
        &mut self,
        path: &str,
        folder: ObjectHandle,
    ) -> Result<Option<Vec<(String, Known)>>, Fail> {
        let query = PropertyQuery::children(folder);
        let answer = ask!(self, "listing a folder", self.initiator.object_property_list(query));
        let children = self.unless_lost(answer)?.and_then(|elements| gather(Some(folder), &elements));
        let Some(children) = children else {
            self.tree.lists = Some(false);
            return Ok(None);
        };
        few_enough(children.len())?;
        if self.tree.lists.is_none() {
            let handles = self.handles_in(folder).await?;
            let listed: HashSet<_> = children.iter().map(|(_, known)| known.handle).collect();
            if listed != handles {
                self.give_up_lists();
                return Ok(None);
            }
            // that both tell of nothing proves nothing
            self.tree.lists = (!handles.is_empty()).then_some(true);
        } else {
            self.tree.unchecked.insert(path.to_owned());
        }
        Ok(Some(children))
    }

    /// Whether all that is in a folder that was listed is known, as far as the device tells.
    pub(super) async fn is_whole(&mut self, path: &str, place: Parent) -> Result<bool, Fail> {
        let Parent::Folder(folder) = place else { return Ok(true) };
        if !self.tree.unchecked.remove(path) {
            return Ok(true);
        }
        let handles = self.handles_in(folder).await?;
        let whole = handles.iter().all(|handle| self.tree.knows(*handle));
        if !whole {
            self.give_up_lists();
        }
        Ok(whole)
    }

    async fn handles_in(&mut self, folder: ObjectHandle) -> Result<HashSet<ObjectHandle>, Fail> {
        let filter = ObjectFilter::children(self.storage, Parent::Folder(folder));
        let handles = ask!(self, "listing a folder", self.initiator.object_handles(filter))?;
        Ok(handles.into_iter().collect())
    }

    fn give_up_lists(&mut self) {
        tracing::info!("the device's property lists are not complete; objects are asked for one by one");
        self.tree.lists = Some(false);
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

/// Refuses a folder that can't be: to look at all that a device makes up would never end.
fn few_enough(objects: usize) -> Result<(), Fail> {
    if objects <= MOST_IN_FOLDER {
        return Ok(());
    }
    let text =
        format!("the device tells of {objects} objects in one folder, where {MOST_IN_FOLDER} are the most");
    Err(PlayerError::Other(text).into())
}

/// Objects from a property list, of a folder's where that is named; `None` when it leaves out what is needed, or lists what
/// isn't there.
pub(super) fn gather(
    folder: Option<ObjectHandle>,
    elements: &[PropertyElement],
) -> Option<Vec<(String, Known)>> {
    #[derive(Default)]
    struct Parts<'a> {
        name: Option<&'a str>,
        format: Option<i128>,
        size: Option<i128>,
        modified: i64,
        persistent: Option<Persistent>,
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
            Property::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER => part.persistent = Persistent::of(&element.value),
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
        children
            .push((part.name?.to_owned(), Known { handle, is_folder, facts, persistent: part.persistent }));
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
                element(object, Property::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER, Value::U128(9)),
            ]
        };
        let folder = Some(ObjectHandle(1));
        let facts = ObjectFacts { size: 7, modified_ns: 0 };
        let persistent = Persistent::of(&Value::U128(9));
        let known = Known { handle: ObjectHandle(5), is_folder: false, facts, persistent };
        assert_eq!(gather(folder, &file(5)), Some(vec![("a.mp3".to_owned(), known)]));
        assert_eq!(gather(Some(ObjectHandle(2)), &file(5)), None);
        for missing in 0..3 {
            let mut elements = file(5);
            elements.remove(missing);
            assert_eq!(gather(folder, &elements), None);
        }
        assert_eq!(gather(folder, &[]), Some(Vec::new()));
    }
}
