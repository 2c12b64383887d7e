//! The device behind the provider in memory: what it holds, and what it answers when nothing goes wrong.

use super::ROOT;
use super::changes::Changes;
use super::harm::Harm;
use crate::providers::answers::{ENTRY, Properties};
use dbus_interfaces::provider::{CONTROL_CHANGED_ITEMS, DEVICE, OBJECT, PROVIDER, STORAGE};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use zbus::{Message, OwnedFd, OwnedObjectPath, OwnedVariant, Variant};

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
    /// While a file whose name begins like this is written it takes no other.
    pub(in crate::providers) alone: Option<&'static str>,
    /// Whether a power cut undoes what was done since the last `Flush`.
    pub(in crate::providers) keeps_later: bool,
    /// Changes that a power cut would undo.
    pub(in crate::providers) unkept: usize,
    /// Files whose bytes a power cut would take.
    unkept_bytes: BTreeSet<u64>,
    /// Files that got another name before their bytes were kept.
    pub(in crate::providers) named_too_early: Vec<String>,
}

const STORAGE_NODE: u64 = 1;

/// Calls that change something besides a file's bytes.
const CHANGES: [&str; 7] =
    ["CreateStorageWithMetadata", "SetProperty", "SetReferences", "Delete", "Rename", "RenameAll", "Move"];

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
            can_synchronize: vec![1, 0, 0, 0],
            changes: Changes::default(),
            bottomless: 0,
            used_otherwise: 0,
            lacks: None,
            formats: vec![0x3009, 0xB906, 0xBA05],
            is_full: false,
            alone: None,
            keeps_later: true,
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
        let found =
            self.nodes.keys().copied().find(|number| *number != STORAGE_NODE && self.path_of(*number) == at);
        self.nodes.remove(&found.unwrap());
    }

    /// What the playlist of this name refers to.
    pub(in crate::providers) fn references(&self, name: &str) -> Vec<String> {
        let list = self.nodes.values().find(|node| node.name == name).unwrap();
        list.references.iter().map(|number| self.nodes[number].name.clone()).collect()
    }

    fn answer(&mut self, call: &Message) -> Done {
        let header = call.header();
        let at = header.path().map_or("", |path| path.as_str()).to_owned();
        let interface = header.interface().map_or("", |name| name.as_str()).to_owned();
        let member = header.member().map_or("", |name| name.as_str()).to_owned();
        let body = call.body();
        if self.keeps_later && CHANGES.contains(&member.as_str()) {
            self.unkept += 1;
        }
        match (interface.as_str(), member.as_str()) {
            ("org.freedesktop.DBus.Introspectable", _) => {
                let names = match at.as_str() {
                    ROOT => vec![PROVIDER],
                    at if at == format!("{ROOT}/1") => vec![DEVICE],
                    _ => vec![STORAGE, OBJECT],
                };
                let names = names.into_iter().filter(|name| Some(*name) != self.lacks);
                let method = |name: &str| match name {
                    STORAGE if self.takes_together => "<method name=\"Insert\"/>",
                    DEVICE if self.takes_together => "<method name=\"RenameAll\"/>",
                    _ => "",
                };
                let interface = |name| format!("<interface name=\"{name}\">{}</interface>", method(name));
                Ok(Answer::Text(format!("<node>{}</node>", names.map(interface).collect::<String>())))
            }
            ("org.freedesktop.DBus.Properties", _) => Ok(Answer::Properties(self.told(&at))),
            (PROVIDER, "CreateDevice") => {
                let (identity, _): (Properties, Vec<OwnedFd>) = body.deserialize().unwrap();
                assert!(identity.contains_key("canonical-name"));
                Ok(Answer::Path(format!("{ROOT}/1")))
            }
            (PROVIDER, "ReleaseDevice") => Ok(Answer::Nothing),
            (DEVICE, member) => self.answer_of_device(member, call),
            (STORAGE, member) => self.answer_of_storage(&at, member, call),
            (OBJECT, member) => self.answer_of_file(&at, member, call),
            _ => Err("NotSupported"),
        }
    }

    fn told(&self, at: &str) -> Properties {
        let texts: Vec<(&str, OwnedVariant)> = if at == format!("{ROOT}/1") {
            vec![("Name", owned(Variant::from("Fake player"))), ("Model", owned(Variant::from("F1")))]
        } else {
            vec![
                ("Attributes", owned(Variant::from(vec!["folder"]))),
                ("TotalSize", owned(Variant::from(1_000_000_000u64))),
                ("TotalFree", owned(Variant::from(500_000_000 - self.used_otherwise))),
                ("PersistentUniqueId", owned(Variant::from("storage"))),
            ]
        };
        texts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn answer_of_device(&mut self, member: &str, call: &Message) -> Done {
        let body = call.body();
        match member {
            "EnumStorage" => Ok(Answer::Objects(vec![STORAGE_NODE])),
            "Flush" if self.keeps_later => {
                self.unkept = 0;
                self.unkept_bytes.clear();
                Ok(Answer::Nothing)
            }
            "RenameAll" if self.refuses != Some("RenameAll") => {
                let (files, _): (Vec<(OwnedObjectPath, String)>, Vec<String>) = body.deserialize().unwrap();
                Ok(Answer::Renamed(self.rename_all(files)))
            }
            "DeviceIoControl" => match body.deserialize().unwrap() {
                (CONTROL_CHANGED_ITEMS, _) if !self.changes.are_told => Err("NotSupported"),
                (CONTROL_CHANGED_ITEMS, input) => {
                    let now = self.items();
                    let input: Vec<u8> = input;
                    Ok(Answer::Bytes(self.changes.answer(&input, now)))
                }
                _ => Ok(Answer::Bytes(self.can_synchronize.clone())),
            },
            "GetSupportedProperties" => {
                let names = self.properties.keys().cloned();
                Ok(Answer::Texts(names.chain(["WMDM/FormatsSupported".to_owned()]).collect()))
            }
            "GetProperty" => match body.deserialize::<&str>().unwrap() {
                "WMDM/FormatsSupported" => Ok(Answer::Value(owned(Variant::from(self.formats.clone())))),
                name => match self.properties.get(name) {
                    Some(text) => Ok(Answer::Value(owned(Variant::from(text.as_str())))),
                    None => Err("NotSupported"),
                },
            },
            "SetProperty" => {
                let (name, value): (String, Variant<'_>) = body.deserialize().unwrap();
                self.properties.insert(name, String::try_from(value).unwrap());
                Ok(Answer::Nothing)
            }
            _ => Err("NotSupported"),
        }
    }

    fn answer_of_storage(&mut self, at: &str, member: &str, call: &Message) -> Done {
        let number = self.node(at)?;
        let body = call.body();
        let page = |all: Vec<u64>, (first, count): (u32, u32)| {
            all.into_iter().skip(first as usize).take(count as usize).collect::<Vec<_>>()
        };
        match member {
            "EnumStorage" => Ok(Answer::Objects(page(self.children(number), body.deserialize().unwrap()))),
            "EnumStorageWithMetadata" if self.lists_at_once => {
                let (first, count, _): (u32, u32, Vec<String>) = body.deserialize().unwrap();
                for new in 0..self.bottomless {
                    // one that is there already is enough
                    self.make(number, &format!("deeper {new}"), true, 0).ok();
                }
                let children = page(self.children(number), (first, count));
                Ok(Answer::Entries(children.into_iter().map(|child| (child, self.metadata(child))).collect()))
            }
            "GetSpecifiedMetadata" => Ok(Answer::Properties(self.metadata(number))),
            "CreateStorageWithMetadata" => {
                let (attributes, name, metadata, _): (Vec<String>, String, Properties, u64) =
                    body.deserialize().unwrap();
                let modified =
                    metadata.get(ENTRY[4]).and_then(|time| u64::try_from(&**time).ok()).unwrap_or(0);
                self.make(number, &name, attributes == ["folder"], modified).map(Answer::Object)
            }
            "SetReferences" => {
                let objects: Vec<OwnedObjectPath> = body.deserialize().unwrap();
                let numbers = objects.iter().map(|object| self.node(object)).collect::<Result<_, _>>()?;
                self.nodes.get_mut(&number).unwrap().references = numbers;
                Ok(Answer::Nothing)
            }
            "SetMetadata" => Ok(Answer::Nothing),
            "FindStorage" => {
                let (_, id): (String, String) = body.deserialize().unwrap();
                let found = id.strip_prefix("id").and_then(|number| number.parse().ok());
                found.filter(|number| self.nodes.contains_key(number)).map(Answer::Object).ok_or("NotFound")
            }
            "GetParent" => Ok(Answer::Object(self.nodes[&number].parent)),
            _ => Err("NotSupported"),
        }
    }

    fn answer_of_file(&mut self, at: &str, member: &str, call: &Message) -> Done {
        let number = self.node(at)?;
        let body = call.body();
        match member {
            "Delete" if !self.children(number).is_empty() => Err("InvalidArgument"),
            "Delete" => {
                self.nodes.remove(&number);
                Ok(Answer::Nothing)
            }
            "Rename" => self.rename(number, body.deserialize().unwrap()).map(|()| Answer::Nothing),
            "Move" => {
                let folder: OwnedObjectPath = body.deserialize().unwrap();
                let folder = self.node(&folder)?;
                self.nodes.get_mut(&number).unwrap().parent = folder;
                Ok(Answer::Nothing)
            }
            _ => Err("NotSupported"),
        }
    }
}

/// Does what is called; transfers on threads of their own.
pub(super) async fn perform(call: &Message, device: &Arc<Mutex<Device>>) -> Done {
    let header = call.header();
    let member = header.member().map(|name| name.as_str().to_owned()).unwrap_or_default();
    if !["WriteOnClearChannel", "ReadOnClearChannel", "Insert"].contains(&member.as_str()) {
        return device.lock().unwrap().answer(call);
    }
    if device.lock().unwrap().refuses == Some(member.as_str()) {
        return Err("NotSupported");
    }
    let number = device.lock().unwrap().node(header.path().unwrap().as_str())?;
    if member == "WriteOnClearChannel" {
        let (source, size): (OwnedFd, u64) = call.body().deserialize().unwrap();
        if device.lock().unwrap().is_full {
            return Err("NoSpace");
        }
        let bytes = read(source, size).await?;
        device.lock().unwrap().fill(number, bytes);
        return Ok(Answer::Number(size));
    }
    if member == "Insert" {
        let (name, metadata, size, source, _): (String, Properties, u64, OwnedFd, Vec<String>) =
            call.body().deserialize().unwrap();
        let modified = metadata.get(ENTRY[4]).and_then(|time| u64::try_from(&**time).ok()).unwrap_or(0);
        let file = device.lock().unwrap().make(number, &name, false, modified)?;
        let bytes = read(source, size).await;
        let mut device = device.lock().unwrap();
        match bytes {
            Ok(bytes) => device.fill(file, bytes),
            Err(word) => {
                device.nodes.remove(&file);
                return Err(word);
            }
        }
        return Ok(Answer::Inserted(file, device.metadata(file)));
    }
    let (offset, size, sink): (u64, u64, OwnedFd) = call.body().deserialize().unwrap();
    let bytes = device.lock().unwrap().nodes[&number].bytes.clone();
    let from = usize::try_from(offset).unwrap().min(bytes.len());
    let until = usize::try_from(offset + size).unwrap().min(bytes.len());
    let mut sink = std::fs::File::from(std::os::fd::OwnedFd::from(sink));
    let written = tokio::task::spawn_blocking(move || sink.write_all(&bytes[from..until]));
    written.await.unwrap().map_err(|_| "Failed")?;
    Ok(Answer::Number((until - from) as u64))
}

/// All bytes that a descriptor gives, if they are so many.
async fn read(source: OwnedFd, size: u64) -> Result<Vec<u8>, &'static str> {
    let mut source = std::fs::File::from(std::os::fd::OwnedFd::from(source));
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.unwrap().unwrap();
    if bytes.len() as u64 == size { Ok(bytes) } else { Err("InvalidArgument") }
}
