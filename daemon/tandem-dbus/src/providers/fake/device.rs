//! The device behind the provider in memory: what it holds, and what its user does with it. It answers no call.

mod answers;

pub(super) use answers::perform;

use super::ROOT;
use super::changes::Changes;
use super::harm::Harm;
use crate::providers::answers::{ENTRY, Properties};
use std::collections::{BTreeMap, BTreeSet};
use zbus::{Message, OwnedObjectPath, OwnedVariant, Variant};

/// A file or folder.
#[derive(Debug, Clone)]
struct Node {
    parent: u64,
    name: String,
    folder: bool,
    bytes: Vec<u8>,
    modified: u64,
    references: Vec<u64>,
}

/// What the device holds, and what is planned.
#[derive(Debug)]
pub(in crate::providers) struct Device {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(in crate::providers) properties: BTreeMap<String, String>,
    /// Number of the call that goes wrong, and how.
    pub(in crate::providers) plan: Option<(usize, Harm)>,
    /// What was called, in order.
    pub(in crate::providers) calls: Vec<String>,
    pub(in crate::providers) renames: bool,
    pub(in crate::providers) lists_at_once: bool,
    /// Whether it has `Insert` and `RenameAll`.
    pub(in crate::providers) takes_together: bool,
    /// A member that it doesn't support, whatever it says of itself.
    pub(in crate::providers) refuses: Option<&'static str>,
    /// A member whose calls it keeps, and does nothing with.
    pub(in crate::providers) ignores: Option<&'static str>,
    pub(in crate::providers) can_synchronize: Vec<u8>,
    pub(in crate::providers) changes: Changes,
    /// How many new folders each folder has when it is listed.
    pub(in crate::providers) bottomless: usize,
    /// Space that isn't free for another reason.
    pub(in crate::providers) used_otherwise: u64,
    /// Interfaces that no object has.
    pub(in crate::providers) lacks: Option<&'static str>,
    pub(in crate::providers) formats: Vec<u32>,
    /// Whether it has no room for any file's bytes.
    pub(in crate::providers) is_full: bool,
    /// A file that it answers with in place of each that it makes.
    pub(in crate::providers) answers_with: Option<&'static str>,
    /// Whether it loses the last reference of each playlist, and whether it says so.
    pub(in crate::providers) loses_references: Option<bool>,
    /// While a file whose name begins like this is written it takes no other.
    pub(in crate::providers) alone: Option<&'static str>,
    /// Whether a power cut undoes what was done since the last `Flush`.
    pub(in crate::providers) keeps_later: bool,
    /// Whether a listing gives each object what the one after it has.
    pub(in crate::providers) mixes_up: bool,
    /// How often it was told to keep everything.
    pub(in crate::providers) flushes: u32,
    /// Changes that a power cut would undo.
    pub(in crate::providers) unkept: usize,
    /// Files whose bytes a power cut would take.
    unkept_bytes: BTreeSet<u64>,
    /// Files that got another name before their bytes were kept.
    pub(in crate::providers) named_too_early: Vec<String>,
}

const STORAGE_NODE: u64 = 1;

impl Default for Device {
    fn default() -> Self {
        let root = Node {
            parent: 0,
            name: String::new(),
            folder: true,
            bytes: Vec::new(),
            modified: 0,
            references: Vec::new(),
        };
        Self {
            nodes: BTreeMap::from([(STORAGE_NODE, root)]),
            next: 2,
            properties: BTreeMap::from([
                ("WMDM/SyncRelationshipID".to_owned(), String::new()),
                ("WMDM/DeviceFriendlyName".to_owned(), "Fake".to_owned()),
            ]),
            plan: None,
            calls: Vec::new(),
            renames: true,
            lists_at_once: true,
            takes_together: true,
            refuses: None,
            ignores: None,
            can_synchronize: vec![1, 0, 0, 0],
            changes: Changes::default(),
            bottomless: 0,
            used_otherwise: 0,
            lacks: None,
            formats: vec![0x3009, 0xB906, 0xBA05],
            is_full: false,
            answers_with: None,
            loses_references: None,
            alone: None,
            keeps_later: true,
            mixes_up: false,
            flushes: 0,
            unkept: 0,
            unkept_bytes: BTreeSet::new(),
            named_too_early: Vec::new(),
        }
    }
}

/// An answer, before it is spoilt.
pub(super) enum Answer {
    Nothing,
    Object(u64),
    Path(String),
    Objects(Vec<u64>),
    References(Vec<u64>, bool),
    Entries(Vec<(u64, Properties)>),
    Inserted(u64, Properties),
    Renamed(Vec<(&'static str, Properties)>),
    Properties(Properties),
    Text(String),
    Texts(Vec<String>),
    Number(u64),
    Bytes(Vec<u8>),
    Value(OwnedVariant),
}

pub(super) fn path(node: u64) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("{ROOT}/1/{node}")).unwrap()
}

pub(super) fn owned(value: Variant<'_>) -> OwnedVariant {
    OwnedVariant::try_from(value).unwrap()
}

pub(super) type Done = Result<Answer, &'static str>;

impl Device {
    fn node(&self, at: &str) -> Result<u64, &'static str> {
        let number = at.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        if self.nodes.contains_key(&number) { Ok(number) } else { Err("InterfaceDead") }
    }

    /// Whether the call has sent a file that nothing else goes beside.
    pub(super) fn is_alone(&self, call: &Message, answer: &Done) -> bool {
        let header = call.header();
        let file = match (header.member().map(zbus::names::MemberName::as_str), answer) {
            (_, Ok(Answer::Inserted(file, _))) => Some(*file),
            (Some("WriteOnClearChannel"), _) => header.path().and_then(|path| self.node(path.as_str()).ok()),
            _ => None,
        };
        let name = file.map_or("", |file| &self.nodes[&file].name);
        self.alone.is_some_and(|alone| name.starts_with(alone))
    }

    fn children(&self, folder: u64) -> Vec<u64> {
        self.nodes.iter().filter(|(_, node)| node.parent == folder).map(|(number, _)| *number).collect()
    }

    fn metadata(&self, number: u64) -> Properties {
        let node = &self.nodes[&number];
        let kind = if node.folder { "folder" } else { "file" };
        let values = [
            owned(Variant::from(node.name.as_str())),
            owned(Variant::from(vec![kind])),
            owned(Variant::from(node.bytes.len() as u64)),
            owned(Variant::from(format!("id{number}"))),
            owned(Variant::from(node.modified)),
        ];
        ENTRY.into_iter().map(str::to_owned).zip(values).collect()
    }

    fn make(&mut self, parent: u64, name: &str, folder: bool, modified: u64) -> Result<u64, &'static str> {
        if self.nodes.values().any(|node| node.parent == parent && node.name == name) {
            return Err("Exists");
        }
        let number = self.next;
        self.next += 1;
        let (name, bytes, references) = (name.to_owned(), Vec::new(), Vec::new());
        self.nodes.insert(number, Node { parent, name, folder, bytes, modified, references });
        Ok(number)
    }

    fn rename(&mut self, number: u64, name: String) -> Result<(), &'static str> {
        let parent = self.nodes[&number].parent;
        if !self.renames {
            return Err("NotSupported");
        }
        if self.nodes.values().any(|node| node.parent == parent && node.name == name) {
            return Err("Exists");
        }
        if self.unkept_bytes.contains(&number) {
            self.named_too_early.push(name.clone());
        }
        self.nodes.get_mut(&number).unwrap().name = name;
        Ok(())
    }

    fn rename_all(&mut self, files: Vec<(OwnedObjectPath, String)>) -> Vec<(&'static str, Properties)> {
        let mut renamed = Vec::new();
        for (object, name) in files {
            let told = self.node(&object).and_then(|number| self.rename(number, name).map(|()| number));
            renamed.push(
                told.map_or_else(|word| (word, Properties::new()), |number| ("", self.metadata(number))),
            );
        }
        renamed
    }

    /// Takes a file's bytes.
    fn fill(&mut self, number: u64, bytes: Vec<u8>) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.bytes = bytes;
        }
        if self.keeps_later {
            self.unkept += 1;
            self.unkept_bytes.insert(number);
        }
    }

    /// Puts a file there as its user would.
    pub(in crate::providers) fn put(&mut self, at: &str, bytes: &[u8]) {
        let mut parent = STORAGE_NODE;
        let parts: Vec<&str> = at.split('/').collect();
        for (position, part) in parts.iter().enumerate() {
            let known = self.children(parent).into_iter().find(|number| self.nodes[number].name == *part);
            let is_file = position + 1 == parts.len();
            parent = known.unwrap_or_else(|| self.make(parent, part, !is_file, 1_600_000_000).unwrap());
        }
        self.nodes.get_mut(&parent).unwrap().bytes = bytes.to_vec();
    }

    fn path_of(&self, mut number: u64) -> String {
        let mut parts = Vec::new();
        while number != STORAGE_NODE {
            parts.push(self.nodes[&number].name.as_str());
            number = self.nodes[&number].parent;
        }
        parts.reverse();
        parts.join("/")
    }

    /// What is at a path.
    fn at(&self, path: &str) -> Option<u64> {
        self.nodes.keys().copied().find(|number| *number != STORAGE_NODE && self.path_of(*number) == path)
    }

    /// All files by their paths.
    pub(in crate::providers) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.nodes.iter().filter(|(_, node)| !node.folder);
        files.map(|(number, node)| (self.path_of(*number), node.bytes.clone())).collect()
    }

    /// Folders and files by their paths, with what tells them from others.
    fn items(&self) -> BTreeMap<String, String> {
        let items = self.nodes.iter().filter(|(number, _)| **number != STORAGE_NODE);
        let facts = |number: &u64, node: &Node| format!("{number} {} {}", node.bytes.len(), node.modified);
        items.map(|(number, node)| (self.path_of(*number), facts(number, node))).collect()
    }

    /// Deletes a file or an empty folder as its user would.
    pub(in crate::providers) fn remove(&mut self, at: &str) {
        let found = self.at(at).unwrap();
        self.nodes.remove(&found);
    }

    /// What the playlist of this name refers to.
    pub(in crate::providers) fn references(&self, name: &str) -> Vec<String> {
        let list = self.nodes.values().find(|node| node.name == name).unwrap();
        list.references.iter().map(|number| self.nodes[number].name.clone()).collect()
    }
}
