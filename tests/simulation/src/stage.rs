//! Everything around the engine that it can reach: the wire, the player, the library. Here is what somebody does on the
//! player with his own hands.

use crate::device::{Device, HOUR, Node, Owner, SECOND, folder_of, hash};
use crate::event::{Flavour, LibraryEdit, UserEdit};
use crate::library::{SimulatedLibrary, Song};
use crate::wire::Wire;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the engine can reach.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Counts operations and knows what happens at each.
    pub(crate) wire: Wire,
    /// The library.
    pub(crate) library: Arc<SimulatedLibrary>,
    device: Mutex<Device>,
}

impl Stage {
    /// An empty library beside this player.
    #[must_use]
    pub(crate) fn new(device: Device) -> Self {
        Self { wire: Wire::default(), library: Arc::default(), device: Mutex::new(device) }
    }

    /// The player.
    pub(crate) fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the library.
    pub(crate) fn edit_library(&self, edit: &LibraryEdit) {
        self.library.edit(edit);
    }

    /// The user changes something on the player in the middle of an operation.
    pub(crate) fn disturb(&self, edit: &UserEdit) {
        self.device().disturbed = true;
        // a change of time zone takes longer than an operation
        if matches!(edit, UserEdit::Summer(_)) {
            return;
        }
        self.device().amid_run = true;
        self.edit_device(edit);
        self.device().amid_run = false;
    }

    /// Changes the player's content by the user's hand.
    pub(crate) fn edit_device(&self, edit: &UserEdit) {
        let mut shelf = self.library.shelf();
        let mut device = self.device();
        match edit {
            UserEdit::Add { place, size } => {
                let bytes = shelf.fresh(usize::from(*size));
                let path = place_for_user(*place, &shelf.songs);
                device.add(&path, bytes, None);
            }
            UserEdit::Copy(song) => {
                let count = shelf.songs.len().max(1);
                let song = shelf.songs.get(usize::from(*song) % count).cloned();
                if let Some(song) = song {
                    device.copy(&song);
                }
            }
            UserEdit::Change(file) => {
                let Some(key) = device.ours(*file) else { return };
                let size = device.tree.files[&key].bytes.len();
                let bytes = shelf.fresh(size + 11);
                device.change(&key, Some(bytes), None);
            }
            UserEdit::ChangeAlike(file) => {
                let Some(key) = device.ours(*file) else { return };
                let bytes = shelf.fresh(device.tree.files[&key].bytes.len());
                // shorter ones than what tells contents apart would not be of the same length
                let may_be_in_flight = device.may_be_in_flight(&key) && device.flavour != Flavour::Exact;
                if bytes.len() == device.tree.files[&key].bytes.len() && !may_be_in_flight {
                    // by more than summer time: what tells nothing else of an edit could be told by nobody
                    device.change(&key, Some(bytes), Some(3 * HOUR));
                }
            }
            UserEdit::Touch(file) => {
                if let Some(key) = device.ours(*file) {
                    device.change(&key, None, Some(1000 * SECOND));
                }
            }
            UserEdit::Move(file) => device.carry_off(*file),
            UserEdit::Delete(file) => {
                if let Some(key) = device.ours(*file) {
                    device.lose(&key);
                }
            }
            UserEdit::DeleteFolder(file) => {
                let Some(key) = device.ours(*file) else { return };
                let folder = format!("{}/", folder_of(&key));
                let inside: Vec<String> =
                    device.tree.files.keys().filter(|key| key.starts_with(&folder)).cloned().collect();
                inside.iter().for_each(|key| device.lose(key));
                device.tree.folders.remove(folder.trim_end_matches('/'));
            }
            UserEdit::DeleteOwn(file) => {
                let is_own = |(_, node): &(&String, &Node)| node.owner == Owner::User;
                let own: Vec<String> =
                    device.tree.files.iter().filter(is_own).map(|(key, _)| key.clone()).collect();
                if let Some(key) = own.get(usize::from(*file) % own.len().max(1)) {
                    device.lose(key);
                }
            }
            UserEdit::Format => device.replace_all(crate::device::Tree::default()),
            UserEdit::Backup => device.backup = Some(device.tree.clone()),
            UserEdit::Restore => {
                if let Some(mut backup) = device.backup.clone() {
                    for node in backup.files.values_mut().filter(|node| node.owner != Owner::User) {
                        node.owner = Owner::Either;
                        // beside the same bytes and time older tags can't be seen
                        node.title = None;
                    }
                    backup.folders.values_mut().for_each(|folder| folder.1 = None);
                    device.replace_all(backup);
                }
            }
            UserEdit::Summer(summer) => {
                if device.flavour == Flavour::Fat {
                    device.zone_ns = if *summer { HOUR } else { 0 };
                }
            }
        }
        device.settle();
    }
}

/// Where the user may put a file: where we want to, beside that, and elsewhere.
fn place_for_user(place: u8, songs: &[Song]) -> String {
    let fixed = [
        "Playlists/P0.m3u8",
        "Playlists/P1.m3u8",
        ".tandem/mine.part",
        "Holiday/1.jpg",
        "Music/Ann/Live/cover.jpg",
    ];
    let choice = usize::from(place) % (fixed.len() + songs.len().max(1));
    match (fixed.get(choice), songs.get(choice.wrapping_sub(fixed.len()))) {
        (Some(path), _) => (*path).to_owned(),
        (None, Some(song)) => song.place(),
        (None, None) => "Music/Ann/Best/02.mp3".to_owned(),
    }
}

impl Device {
    /// The key of a file of ours that isn't temporary.
    fn ours(&self, number: u8) -> Option<String> {
        let is_ours =
            |(_, node): &(&String, &Node)| node.owner != Owner::User && !node.path.ends_with(".part");
        let keys: Vec<&String> = self.tree.files.iter().filter(is_ours).map(|(key, _)| key).collect();
        keys.get(usize::from(number) % keys.len().max(1)).map(|key| (*key).clone())
    }

    /// The user adds a file, unless something is in its place.
    fn add(&mut self, path: &str, bytes: Arc<[u8]>, modified_ns: Option<i64>) {
        let Some(folders) = self.missing_folders(path) else { return };
        if self.file(path).is_some()
            || self.tree.folders.contains_key(&self.key(path))
            || !self.has_space(bytes.len())
        {
            return;
        }
        self.make_folders(&folders, None);
        self.clock_ns += 3 * SECOND;
        let modified_ns = modified_ns.unwrap_or(self.clock_ns);
        let key = self.key(path);
        // what is found under a name that was about to be written counts as sent, or as a part of it
        let nobody_knows = self.may_be_in_flight(&key) && !self.flavour.is_atomic();
        let owner = if nobody_knows { Owner::Either } else { Owner::User };
        if nobody_knows {
            // or as what has become of the file that was about to be replaced
            self.excused_names.insert(key.clone());
        }
        let (home, title, id) = (path.to_owned(), Some(String::new()), self.next_id());
        let node = Node { path: path.to_owned(), bytes, modified_ns, owner, home, id, title };
        self.tree.files.insert(key, node);
    }

    /// The user copies a file of the library, with its time. Where the same file was ours before, or the record was lost,
    /// nobody can tell it from ours.
    fn copy(&mut self, song: &Song) {
        let place = song.place();
        if self.file(&place).is_some() {
            return;
        }
        self.add(&place, Arc::clone(&song.bytes), Some(song.modified_ns));
        let key = self.key(&place);
        let nobody_knows =
            self.lost || self.may_be_in_flight(&key) || self.excused.contains(&hash(&song.bytes));
        if let Some(node) = self.tree.files.get_mut(&key).filter(|_| nobody_knows) {
            node.owner = Owner::Either;
        }
    }

    /// The user changes a file, which is his from then on; one that is the same but for its time could be either's.
    fn change(&mut self, key: &str, bytes: Option<Arc<[u8]>>, later_ns: Option<i64>) {
        self.clock_ns += 5 * SECOND;
        let (now, space) = (self.clock_ns, self.space().free);
        let Some(size) = self.tree.files.get(key).map(|node| node.bytes.len() as u64) else { return };
        if bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 > size + space) {
            return;
        }
        self.excuse(key);
        let Some(node) = self.tree.files.get(key) else { return };
        let same_length = bytes.as_ref().is_some_and(|bytes| bytes.len() == node.bytes.len());
        // what was in flight on an object store is known by its length alone, and what is smaller counts as a part of it
        let may_be_in_flight = same_length || !self.flavour.is_atomic();
        let may_be_in_flight = may_be_in_flight && self.may_be_in_flight(key);
        let nobody_knows = bytes.is_none() || may_be_in_flight;
        let Some(node) = self.tree.files.get_mut(key) else { return };
        node.owner = if nobody_knows { Owner::Either } else { Owner::User };
        node.modified_ns = later_ns.map_or(now, |later| node.modified_ns + later);
        node.home.clone_from(&node.path);
        if let Some(bytes) = bytes {
            node.bytes = bytes;
        }
    }

    /// The user moves a file of ours to a folder of his own. Where the device gives it a lasting id it may be found there.
    fn carry_off(&mut self, number: u8) {
        let Some(key) = self.ours(number) else { return };
        let path = format!("Mine/{}", self.tree.files[&key].path.replace('/', "-"));
        if self.file(&path).is_some() {
            return;
        }
        let folders = self.missing_folders(&path).unwrap_or_default();
        self.make_folders(&folders, None);
        self.excuse(&key);
        let owner = if self.flavour.has_ids() { Owner::Either } else { Owner::User };
        if let Some(mut node) = self.tree.files.remove(&key) {
            (node.owner, node.path, node.home) = (owner, path.clone(), path.clone());
            let key = self.key(&path);
            self.tree.files.insert(key, node);
        }
    }

    /// The user deletes a file.
    fn lose(&mut self, key: &str) {
        self.excuse(key);
        self.tree.files.remove(key);
    }

    fn replace_all(&mut self, tree: crate::device::Tree) {
        let keys: Vec<String> = self.tree.files.keys().cloned().collect();
        keys.iter().for_each(|key| self.excuse(key));
        self.tree = tree;
    }

    /// The record of what is ours was lost: what is there, or comes back, may be taken for ours again or not.
    pub(crate) fn forget_owners(&mut self, songs: &[Song]) {
        self.lost = true;
        for tree in std::iter::once(&mut self.tree).chain(&mut self.backup).chain(&mut self.unsettled) {
            for node in tree.files.values_mut() {
                let looks_ours = songs.iter().any(|song| song.bytes == node.bytes);
                if node.owner != Owner::User || looks_ours {
                    node.owner = Owner::Either;
                }
            }
            tree.folders.values_mut().for_each(|folder| folder.1 = None);
        }
    }
}
