//! A device in memory that can do all that the contract knows, and one thing wrong where a test wants that.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_provider::{
    Changes, Configuration, Device, Driver, Entry, Error, Handle, Identity, Kind, Metadata, New, Power, Sink,
    Source, Space,
};
use zbus::{OwnedVariant, Variant};

const ROOT: Handle = 1;
const CAPACITY: u64 = 8 << 30;
const PLAYLIST: u32 = 0xBA05;

/// What a device does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It changes letters of names.
    Names,
    /// It puts a new file in the place of one that has its name.
    Overwrites,
    /// It forgets the mark when it is released.
    Forgets,
    /// It cuts the mark off.
    CutsMark,
    /// Its lasting ids are others each time.
    Ids,
    /// It has the time of writing for the modification time.
    Times,
    /// It loses a byte of long files.
    Bytes,
    /// It doesn't cut off what was longer.
    Tail,
    /// It reads from the beginning, wherever it should.
    Offsets,
    /// It gives a renamed file the place of another.
    RenameReplaces,
    /// It leaves what was deleted.
    Keeps,
    /// It has each reference once.
    OneReference,
    /// It sorts references.
    SortsReferences,
    /// It takes values only together.
    ClearsMetadata,
    /// It doesn't refuse references of what is no playlist.
    AnyPlaylist,
    /// It claims more space than it has.
    Space,
    /// It finds nothing by its id.
    FindsNothing,
    /// Its preference is a text.
    Preference,
    /// It answers control codes that it doesn't know.
    Control,
    /// It doesn't tell that something was deleted.
    TellsNoDeletion,
    /// It tells what was renamed under the old name alone.
    TellsOldName,
}

#[derive(Clone)]
struct Node {
    parent: Option<Handle>,
    kind: Kind,
    name: String,
    bytes: Vec<u8>,
    modified: u64,
    metadata: Metadata,
    references: Option<Vec<Handle>>,
}

#[derive(Default)]
struct State {
    last: Handle,
    opened: u64,
    nodes: BTreeMap<Handle, Node>,
    mark: String,
    friendly_name: String,
    listed: usize,
}

/// The device, and its driver. What it holds outlasts its release.
#[derive(Clone)]
pub struct Memory {
    flaw: Flaw,
    state: Arc<Mutex<State>>,
    changes: Arc<Changes>,
}

impl Memory {
    /// An empty device.
    #[must_use]
    pub fn new(flaw: Flaw) -> Self {
        let root = Node {
            parent: None,
            kind: Kind::Root,
            name: "Internal".to_owned(),
            bytes: Vec::new(),
            modified: 0,
            metadata: Metadata::new(),
            references: None,
        };
        let state = State { last: ROOT, nodes: BTreeMap::from([(ROOT, root)]), ..State::default() };
        Self { flaw, state: Arc::new(Mutex::new(state)), changes: Arc::default() }
    }

    fn path(&self, handle: Handle) -> String {
        let state = self.state();
        let mut names = Vec::new();
        let mut at = state.nodes.get(&handle);
        while let Some(node) = at.filter(|node| node.parent.is_some()) {
            names.push(node.name.as_str());
            at = node.parent.and_then(|parent| state.nodes.get(&parent));
        }
        names.reverse();
        names.join("/")
    }

    fn tell_deleted(&self, path: String) {
        if self.flaw != Flaw::TellsNoDeletion {
            self.changes.deleted(path);
        }
    }

    /// How many folders and files there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().nodes.len() - 1
    }

    /// How many times a folder was listed.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.state().listed
    }

    /// The bytes of all files, by their paths.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.file_handles()
            .into_iter()
            .map(|(path, file)| (path, self.state().nodes[&file].bytes.clone()))
            .collect()
    }

    fn file_handles(&self) -> BTreeMap<String, Handle> {
        let handles: Vec<Handle> = {
            let state = self.state();
            let files = state.nodes.iter().filter(|(_, node)| node.kind == Kind::File);
            files.map(|(handle, _)| *handle).collect()
        };
        handles.into_iter().map(|handle| (self.path(handle), handle)).collect()
    }

    /// Deletes a file, as its user does on the device.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn delete_by_hand(&self, path: &str) {
        let file = self.file_handles()[path];
        self.delete(file, false).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Gives a file other bytes, as its user does on the device.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn replace_by_hand(&self, path: &str, bytes: &[u8]) {
        let file = self.file_handles()[path];
        let changed = self.change(file, |node| node.bytes = bytes.to_vec());
        changed.unwrap_or_else(|error| panic!("{error}"));
        self.changes.changed(path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, handle: Handle) -> Result<Node, Error> {
        self.state().nodes.get(&handle).cloned().ok_or_else(|| gone(handle))
    }

    fn change<T>(&self, handle: Handle, change: impl FnOnce(&mut Node) -> T) -> Result<T, Error> {
        self.state().nodes.get_mut(&handle).map(change).ok_or_else(|| gone(handle))
    }

    fn id(&self, handle: Handle) -> String {
        let session = if self.flaw == Flaw::Ids { self.state().opened } else { 0 };
        format!("{session}-{handle}")
    }

    fn named(&self, folder: Handle, name: &str) -> Option<Handle> {
        let state = self.state();
        let mut found = state.nodes.iter();
        found.find(|(_, node)| node.parent == Some(folder) && node.name == name).map(|(handle, _)| *handle)
    }

    fn place(&self, handle: Handle, folder: Handle, name: &str) -> Result<(), Error> {
        match self.named(folder, name).filter(|other| *other != handle) {
            Some(other) if self.flaw == Flaw::RenameReplaces => {
                self.state().nodes.remove(&other);
            }
            Some(_) => return Err(Error::Exists(format!("`{name}` is taken"))),
            None => {}
        }
        self.tell_deleted(self.path(handle));
        self.change(handle, |node| (node.parent, node.name) = (Some(folder), name.to_owned()))?;
        if self.flaw != Flaw::TellsOldName {
            self.changes.changed(self.path(handle));
        }
        Ok(())
    }
}

fn gone(handle: Handle) -> Error {
    Error::InterfaceDead(format!("there is no storage {handle}"))
}

impl Driver for Memory {
    fn open(&self, identity: &Identity, _usb: Option<OwnedFd>) -> Result<Arc<dyn Device>, Error> {
        if identity.canonical_name != "memory" {
            return Err(Error::NotFound(format!("there is no `{}`", identity.canonical_name)));
        }
        self.state().opened += 1;
        if self.flaw == Flaw::Forgets {
            self.state().mark.clear();
        }
        Ok(Arc::new(self.clone()))
    }
}

impl Device for Memory {
    fn name(&self) -> String {
        "Memory".to_owned()
    }

    fn power(&self) -> Result<Power, Error> {
        Ok(Power::Battery(80))
    }

    fn mark(&self) -> Result<String, Error> {
        Ok(self.state().mark.clone())
    }

    fn set_mark(&self, mark: &str) -> Result<(), Error> {
        let longest = if self.flaw == Flaw::CutsMark { 40 } else { 255 };
        self.state().mark = mark.chars().take(longest).collect();
        Ok(())
    }

    fn friendly_name(&self) -> Result<Option<String>, Error> {
        Ok(Some(self.state().friendly_name.clone()))
    }

    fn set_friendly_name(&self, name: &str) -> Result<(), Error> {
        name.clone_into(&mut self.state().friendly_name);
        Ok(())
    }

    fn formats(&self) -> Vec<u32> {
        vec![0x3009, PLAYLIST]
    }

    fn format_capability(&self, format: u32) -> Result<Vec<Configuration>, Error> {
        if !self.formats().contains(&format) {
            return Err(Error::NotSupported(format!("format {format}")));
        }
        let preference =
            if self.flaw == Flaw::Preference { Variant::from("best") } else { Variant::from(0_u32) };
        let value = OwnedVariant::try_from(preference)?;
        Ok(vec![Configuration::from([("preference".to_owned(), value)])])
    }

    fn control(&self, code: u32, input: &[u8]) -> Result<Vec<u8>, Error> {
        match code {
            0x3150_4D57 => self.changes.answer(input),
            0x3250_4D57 => Ok(vec![1, 0, 0, 0]),
            _ if self.flaw == Flaw::Control => Ok(Vec::new()),
            _ => Err(Error::NotSupported(format!("code {code}"))),
        }
    }

    fn roots(&self) -> Result<Vec<Handle>, Error> {
        Ok(vec![ROOT])
    }

    fn entry(&self, handle: Handle) -> Result<Entry, Error> {
        let node = self.node(handle)?;
        Ok(Entry {
            handle,
            parent: node.parent,
            kind: node.kind,
            name: node.name,
            size: node.bytes.len() as u64,
            modified: Some(node.modified),
            attributes: vec!["can-edit-metadata"],
            persistent_id: self.id(handle),
        })
    }

    fn children(&self, folder: Handle) -> Result<Vec<Entry>, Error> {
        self.node(folder)?;
        let handles: Vec<Handle> = {
            let mut state = self.state();
            state.listed += 1;
            let within = state.nodes.iter().filter(|(_, node)| node.parent == Some(folder));
            within.map(|(handle, _)| *handle).collect()
        };
        handles.into_iter().map(|handle| self.entry(handle)).collect()
    }

    fn find(&self, persistent_id: &str) -> Result<Option<Handle>, Error> {
        let handles: Vec<Handle> = self.state().nodes.keys().copied().collect();
        let found = handles.into_iter().find(|&handle| self.id(handle) == persistent_id);
        Ok(found.filter(|_| self.flaw != Flaw::FindsNothing))
    }

    fn space(&self, _root: Handle) -> Result<Space, Error> {
        let used: u64 = self.state().nodes.values().map(|node| node.bytes.len() as u64).sum();
        let free = if self.flaw == Flaw::Space { u64::MAX } else { CAPACITY - used };
        Ok(Space { total: CAPACITY, free })
    }

    fn create(&self, folder: Handle, new: &New<'_>) -> Result<Handle, Error> {
        let mut name = new.name.to_owned();
        if self.flaw == Flaw::Names {
            name = name.replace(':', "_");
        }
        if let Some(other) = self.named(folder, &name) {
            if self.flaw != Flaw::Overwrites {
                return Err(Error::Exists(format!("`{name}` is taken")));
            }
            self.state().nodes.remove(&other);
        }
        let format = new.metadata.get("WMDM/FormatCode").and_then(|code| u32::try_from(&**code).ok());
        let mut state = self.state();
        state.last += 1;
        let (handle, metadata) = (state.last, new.metadata.clone());
        let node = Node {
            parent: Some(folder),
            kind: new.kind,
            name,
            bytes: Vec::new(),
            modified: new.modified.unwrap_or_default(),
            metadata,
            references: (format == Some(PLAYLIST)).then(Vec::new),
        };
        state.nodes.insert(handle, node);
        drop(state);
        self.changes.changed(self.path(handle));
        Ok(handle)
    }

    fn write(&self, file: Handle, source: &mut Source) -> Result<(), Error> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        if self.flaw == Flaw::Bytes && bytes.len() > 65_536 {
            bytes[65_536] ^= 1;
        }
        self.change(file, |node| {
            if self.flaw == Flaw::Tail && node.bytes.len() > bytes.len() {
                bytes.extend_from_slice(&node.bytes[bytes.len()..]);
            }
            node.bytes = bytes;
            if self.flaw == Flaw::Times {
                node.modified = 1_800_000_000;
            }
        })?;
        self.changes.changed(self.path(file));
        Ok(())
    }

    fn read(&self, file: Handle, offset: u64, size: u64, sink: &mut Sink) -> Result<(), Error> {
        let bytes = self.node(file)?.bytes;
        let from = if self.flaw == Flaw::Offsets { 0 } else { usize::try_from(offset).unwrap_or(usize::MAX) };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(sink.write_all(&bytes[from..from + size])?)
    }

    fn delete(&self, handle: Handle, recursive: bool) -> Result<(), Error> {
        if self.flaw == Flaw::Keeps && self.node(handle)?.name.starts_with("deleted") {
            return Ok(());
        }
        if recursive {
            for child in self.children(handle)? {
                self.delete(child.handle, true)?;
            }
        }
        self.tell_deleted(self.path(handle));
        self.state().nodes.remove(&handle).map(drop).ok_or_else(|| gone(handle))
    }

    fn rename(&self, handle: Handle, name: &str) -> Result<(), Error> {
        let folder = self.node(handle)?.parent.unwrap_or(ROOT);
        self.place(handle, folder, name)
    }

    fn relocate(&self, handle: Handle, folder: Handle) -> Result<(), Error> {
        let name = self.node(handle)?.name;
        self.place(handle, folder, &name)
    }

    fn metadata(&self, handle: Handle) -> Result<Metadata, Error> {
        Ok(self.node(handle)?.metadata)
    }

    fn set_metadata(&self, handle: Handle, metadata: &Metadata) -> Result<(), Error> {
        let metadata: HashMap<_, _> = metadata.clone();
        self.change(handle, |node| {
            if self.flaw == Flaw::ClearsMetadata {
                node.metadata.clear();
            }
            node.metadata.extend(metadata);
        })?;
        self.changes.changed(self.path(handle));
        Ok(())
    }

    fn references(&self, playlist: Handle) -> Result<(Vec<Handle>, bool), Error> {
        let references = self.node(playlist)?.references;
        let all = references.ok_or_else(|| Error::NotSupported("no playlist".to_owned()))?;
        let there: Vec<Handle> = all.iter().copied().filter(|&handle| self.node(handle).is_ok()).collect();
        let partial = there.len() < all.len();
        Ok((there, partial))
    }

    fn set_references(&self, playlist: Handle, references: &[Handle]) -> Result<(), Error> {
        let mut references = references.to_vec();
        if self.flaw == Flaw::SortsReferences {
            references.sort_unstable();
        }
        if self.flaw == Flaw::OneReference {
            references.dedup();
        }
        self.change(playlist, |node| match &mut node.references {
            Some(old) => {
                *old = references;
                Ok(())
            }
            None if self.flaw == Flaw::AnyPlaylist => Ok(()),
            None => Err(Error::NotSupported("no playlist".to_owned())),
        })?
    }
}
