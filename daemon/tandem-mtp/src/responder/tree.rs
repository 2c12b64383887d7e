//! What is on a simulated player's storages: objects with their properties and bytes, in memory or in a directory.
//!
//! It must not know operations, nor enforce anything but that names are names and that space is finite.

use super::content::Content;
use crate::codec::value::Value;
use crate::codes::{FormatCode, ObjectPropertyCode, ResponseCode};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Folders above one another that a path tells of.
const DEEPEST: usize = 64;

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) storage: u32,
    /// 0 at the root.
    pub(super) parent: u32,
    pub(super) format: FormatCode,
    pub(super) name: String,
    /// Lasting, unlike the handle.
    pub(super) persistent: u128,
    pub(super) modified: String,
    pub(super) values: BTreeMap<ObjectPropertyCode, Value>,
    pub(super) references: Vec<u32>,
    /// Bytes, where they are in memory.
    content: Content,
    /// Bytes, where they are in a file.
    length: u64,
}

impl Node {
    pub(super) fn new(storage: u32, parent: u32, format: FormatCode, name: &str) -> Self {
        Self {
            storage,
            parent,
            format,
            name: name.to_owned(),
            persistent: 0,
            modified: String::new(),
            values: BTreeMap::new(),
            references: Vec::new(),
            content: Content::default(),
            length: 0,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.format == FormatCode::ASSOCIATION
    }
}

/// Objects by handle.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<u32, Node>,
    /// Handles by parent; made when it is needed, and made anew when an object has come, gone or moved.
    by_parent: OnceCell<HashMap<u32, Vec<u32>>>,
    next_handle: u32,
    next_persistent: u128,
    /// Where the bytes are; `None` for memory.
    directory: Option<PathBuf>,
}

type Outcome<T> = Result<T, ResponseCode>;

impl Tree {
    /// An empty tree; with a directory, what lies in its folder for each of these storages.
    pub(super) fn new(directory: Option<PathBuf>, storages: &[u32]) -> std::io::Result<Self> {
        let mut tree = Self { next_handle: 1, next_persistent: 1, ..Self::default() };
        if let Some(directory) = directory {
            for storage in storages {
                let folder = directory.join(storage_folder(*storage));
                fs::create_dir_all(&folder)?;
                tree.scan(*storage, 0, &folder)?;
            }
            tree.directory = Some(directory);
        }
        Ok(tree)
    }

    fn scan(&mut self, storage: u32, parent: u32, folder: &Path) -> std::io::Result<()> {
        let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            // a link may lead out of the player, and a name that isn't Unicode can't be told over the wire
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            let format = if kind.is_dir() { FormatCode::ASSOCIATION } else { format_of(&name) };
            let mut node = Node::new(storage, parent, format, &name);
            node.length = if kind.is_file() { entry.metadata()?.len() } else { 0 };
            let handle = self.take_handle();
            self.put(handle, node);
            if kind.is_dir() {
                self.scan(storage, handle, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Where the bytes are, if they are in files.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Has the next new object get a lasting number that none has.
    pub(super) fn renew_persistent(&mut self) {
        let largest = self.nodes.values().map(|node| node.persistent).max().unwrap_or(0);
        self.next_persistent = largest.saturating_add(1);
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.directory.is_some()
    }

    pub(super) fn take_handle(&mut self) -> u32 {
        let handle = self.next_handle;
        self.next_handle += 1;
        handle
    }

    /// Gives every object another handle, as players do that number objects when they are plugged in.
    pub(super) fn renumber(&mut self) {
        self.by_parent.take();
        let offset = self.next_handle + 100;
        let moved = |handle: u32| if handle == 0 { 0 } else { handle + offset };
        let nodes = std::mem::take(&mut self.nodes);
        for (handle, mut node) in nodes {
            node.parent = moved(node.parent);
            node.references.iter_mut().for_each(|reference| *reference = moved(*reference));
            self.nodes.insert(moved(handle), node);
        }
        self.next_handle += offset;
    }

    pub(super) fn get(&self, handle: u32) -> Outcome<&Node> {
        self.nodes.get(&handle).ok_or(ResponseCode::INVALID_OBJECT_HANDLE)
    }

    pub(super) fn get_mut(&mut self, handle: u32) -> Outcome<&mut Node> {
        self.nodes.get_mut(&handle).ok_or(ResponseCode::INVALID_OBJECT_HANDLE)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes.iter().map(|(handle, node)| (*handle, node))
    }

    pub(super) fn children(&self, storage: Option<u32>, parent: u32) -> Vec<u32> {
        let by_parent = self.by_parent.get_or_init(|| {
            let mut by_parent: HashMap<u32, Vec<u32>> = HashMap::new();
            for (handle, node) in &self.nodes {
                by_parent.entry(node.parent).or_default().push(*handle);
            }
            by_parent
        });
        let wanted = |handle: &&u32| storage.is_none_or(|id| self.nodes[*handle].storage == id);
        by_parent.get(&parent).into_iter().flatten().filter(wanted).copied().collect()
    }

    /// An object and all below it, outermost first.
    pub(super) fn family(&self, handle: u32) -> Vec<u32> {
        let mut family = vec![handle];
        let mut seen = BTreeSet::from([handle]);
        let mut at = 0;
        while let Some(next) = family.get(at) {
            let children = self.children(None, *next);
            family.extend(children.into_iter().filter(|child| seen.insert(*child)));
            at += 1;
        }
        family
    }

    pub(super) fn size(&self, handle: u32) -> u64 {
        let size = |node: &Node| if self.is_on_disk() { node.length } else { node.content.length() };
        self.nodes.get(&handle).map_or(0, size)
    }

    pub(super) fn used(&self, storage: u32) -> u64 {
        self.iter().filter(|(_, node)| node.storage == storage).map(|(handle, _)| self.size(handle)).sum()
    }

    pub(super) fn has_name(&self, storage: u32, parent: u32, name: &str) -> bool {
        let folded = name.to_lowercase();
        self.iter().any(|(_, node)| {
            node.storage == storage && node.parent == parent && node.name.to_lowercase() == folded
        })
    }

    /// From the storage's root, with slashes.
    pub(super) fn path(&self, handle: u32) -> String {
        let mut names = Vec::new();
        let mut at = handle;
        // objects can be misplaced, below themselves too
        while let Some(node) = self.nodes.get(&at).filter(|_| names.len() < DEEPEST) {
            names.push(node.name.as_str());
            at = node.parent;
        }
        names.reverse();
        names.join("/")
    }

    fn file(&self, handle: u32) -> Option<PathBuf> {
        let storage = self.nodes.get(&handle)?.storage;
        Some(self.directory.as_ref()?.join(storage_folder(storage)).join(self.path(handle)))
    }

    fn put(&mut self, handle: u32, mut node: Node) {
        self.by_parent.take();
        node.persistent = self.next_persistent;
        self.next_persistent = self.next_persistent.saturating_add(1);
        self.nodes.insert(handle, node);
    }

    /// Makes an empty object.
    pub(super) fn insert(&mut self, handle: u32, node: Node) -> Outcome<()> {
        let folder = node.is_folder();
        self.put(handle, node);
        let Some(file) = self.file(handle) else { return Ok(()) };
        let made = if folder { fs::create_dir(&file) } else { File::create_new(&file).map(drop) };
        made.map_err(|_| {
            self.by_parent.take();
            self.nodes.remove(&handle);
            ResponseCode::GENERAL_ERROR
        })
    }

    /// Deletes an object and all below it.
    pub(super) fn remove(&mut self, handle: u32) -> Outcome<()> {
        if let Some(file) = self.file(handle) {
            let folder = self.get(handle)?.is_folder();
            let removed = if folder { fs::remove_dir_all(&file) } else { fs::remove_file(&file) };
            removed.map_err(|_| ResponseCode::PARTIAL_DELETION)?;
        }
        let family = self.family(handle);
        self.by_parent.take();
        for gone in family {
            self.nodes.remove(&gone);
        }
        let nodes: BTreeSet<u32> = self.nodes.keys().copied().collect();
        for node in self.nodes.values_mut().filter(|node| !node.references.is_empty()) {
            node.references.retain(|reference| nodes.contains(reference));
        }
        Ok(())
    }

    /// Gives an object another name or place.
    pub(super) fn relocate(&mut self, handle: u32, storage: u32, parent: u32, name: &str) -> Outcome<()> {
        let before = self.file(handle);
        self.by_parent.take();
        let node = self.get_mut(handle)?;
        let (old_storage, old_parent, old_name) = (node.storage, node.parent, node.name.clone());
        (node.storage, node.parent) = (storage, parent);
        name.clone_into(&mut node.name);
        if let (Some(before), Some(after)) = (before, self.file(handle))
            && fs::rename(before, after).is_err()
        {
            let node = self.get_mut(handle)?;
            (node.storage, node.parent, node.name) = (old_storage, old_parent, old_name);
            return Err(ResponseCode::GENERAL_ERROR);
        }
        for below in self.family(handle) {
            self.get_mut(below)?.storage = storage;
        }
        Ok(())
    }

    /// Puts an object below another one, also where that can't be; its file stays.
    pub(super) fn misplace(&mut self, handle: u32, parent: u32) -> Outcome<()> {
        self.by_parent.take();
        self.get_mut(handle)?.parent = parent;
        Ok(())
    }

    pub(super) fn read(&self, handle: u32, offset: u64, limit: usize) -> Outcome<Vec<u8>> {
        let Some(file) = self.file(handle) else {
            return Ok(self.get(handle)?.content.read_at(offset, limit));
        };
        let rest = usize::try_from(self.size(handle).saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; rest.min(limit)];
        let read = File::open(file).and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map(|()| bytes).map_err(|_| ResponseCode::GENERAL_ERROR)
    }

    pub(super) fn write(&mut self, handle: u32, offset: u64, bytes: &[u8]) -> Outcome<()> {
        if let Some(file) = self.file(handle) {
            let written = OpenOptions::new().write(true).open(file);
            let written = written.and_then(|file| file.write_all_at(bytes, offset));
            written.map_err(|_| ResponseCode::GENERAL_ERROR)?;
            let node = self.get_mut(handle)?;
            node.length = node.length.max(offset + bytes.len() as u64);
            return Ok(());
        }
        self.get_mut(handle)?.content.write_at(offset, bytes);
        Ok(())
    }

    pub(super) fn resize(&mut self, handle: u32, length: u64) -> Outcome<()> {
        if let Some(file) = self.file(handle) {
            let set = OpenOptions::new().write(true).open(file).and_then(|file| file.set_len(length));
            set.map_err(|_| ResponseCode::GENERAL_ERROR)?;
            self.get_mut(handle)?.length = length;
            return Ok(());
        }
        self.get_mut(handle)?.content.resize(length);
        Ok(())
    }
}

/// Where a storage's objects lie in a directory.
fn storage_folder(storage: u32) -> String {
    format!("storage-{storage:08x}")
}

/// A name that can be one in a file system.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']) && name.len() <= 255
}

/// What a file is, by its name, as players guess it.
fn format_of(name: &str) -> FormatCode {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("mp3") => FormatCode::MP3,
        Some("wav") => FormatCode::WAV,
        Some("wma") => FormatCode::WMA,
        Some("ogg" | "oga" | "opus") => FormatCode::OGG,
        Some("flac") => FormatCode::FLAC,
        Some("m4a" | "mp4") => FormatCode::MP4,
        Some("aac") => FormatCode::AAC,
        Some("m3u" | "m3u8") => FormatCode::M3U,
        Some("pla") => FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST,
        Some("alb") => FormatCode::ABSTRACT_AUDIO_ALBUM,
        Some("jpg" | "jpeg") => FormatCode::EXIF_JPEG,
        _ => FormatCode::UNDEFINED,
    }
}
