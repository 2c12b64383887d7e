//! What has to be true of a player after a run that nothing disturbed, from the library, the assignments and the record
//! alone. It shares no code with the engine: it knows the rules, not how they are carried out.

use crate::device::{CLUSTER, Device, Owner, clusters, folder_of, hash, name_of};
use crate::event::Flavour;
use crate::library::{Shelf, Song, playlist_id};
use crate::steps::is_at_home;
use std::collections::{BTreeMap, BTreeSet};
use tandem_model::id::Guid;
use tandem_model::manifest::{Entry, EntryState, Origin};

/// Clusters by which the engine may be more careful with space than it needs to be: what it keeps free, the seven folders of the
/// music that there is, and what those grow by.
const SLACK: u64 = 27;

/// What was settled between the user and this computer.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The partnership.
    pub(crate) relationship: Guid,
    /// Priorities of the assigned playlists.
    pub(crate) assigned: BTreeMap<usize, u32>,
    /// Percent of the player that are left to others.
    pub(crate) reserved: u64,
}

impl Terms {
    /// The assigned playlists in their order.
    #[must_use]
    pub(crate) fn playlists(&self) -> Vec<usize> {
        let mut ordered: Vec<(u32, usize)> =
            self.assigned.iter().map(|(&playlist, &priority)| (priority, playlist)).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, playlist)| playlist).collect()
    }
}

/// What is looked at.
pub(crate) struct Look<'a> {
    /// The player.
    pub(crate) device: &'a Device,
    /// The library.
    pub(crate) shelf: &'a Shelf,
    /// The record.
    pub(crate) entries: &'a [Entry],
    /// What was agreed.
    pub(crate) terms: &'a Terms,
    /// What is told of what had no space.
    pub(crate) unfit: &'a [String],
}

/// What must be true at any time: whatever is recorded as there is there, and nothing is taken for deleted or changed that
/// the user didn't delete or change. What is in flight may be anywhere.
#[must_use]
pub(crate) fn record_is_true(device: &Device, entries: &[Entry], in_flight: &BTreeSet<i64>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut origins = BTreeSet::new();
    for entry in entries.iter().filter(|entry| !origins.insert(&entry.origin)) {
        wrong.push(format!("{:?} is recorded twice", entry.origin));
    }
    let settled = |entry: &&Entry| entry.state != EntryState::Foreign && !in_flight.contains(&entry.id);
    for entry in entries.iter().filter(settled) {
        let is_excused = device.is_excused(entry.path.as_str(), entry.hash);
        if entry.state != EntryState::Present {
            if !is_excused {
                wrong.push(format!("`{}` counts as {:?}, which the user didn't do", entry.path, entry.state));
            }
            continue;
        }
        match device.file(entry.path.as_str()) {
            Some(node) if hash(&node.bytes) == entry.hash => {}
            // what could not be read back has no hash, and is compared with its source: it is sent again
            Some(node) if is_to_be_compared(entry) && node.owner != Owner::User => {}
            _ if is_excused => {}
            Some(_) => wrong.push(format!("`{}` is recorded as ours and has other bytes", entry.path)),
            None if device.place_of(entry).is_some() => {}
            None => wrong.push(format!("`{}` is recorded as there and isn't", entry.path)),
        }
    }
    wrong
}

/// Whether the bytes of an entry aren't known, so that the next plan compares them, or the next list is another.
fn is_to_be_compared(entry: &Entry) -> bool {
    let is_list = matches!(entry.origin, Origin::Playlist(_));
    entry.hash == 0 && (entry.source_modified_ns == 0 || is_list)
}

impl Look<'_> {
    /// All that is wrong.
    #[must_use]
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = record_is_true(self.device, self.entries, &BTreeSet::new());
        self.files(&mut wrong);
        self.folders(&mut wrong);
        let placed = self.songs(&mut wrong);
        self.playlists(&placed, &mut wrong);
        wrong
    }

    fn present(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state == EntryState::Present)
    }

    /// Every file of ours is recorded once, every recorded one is ours, and the user's are where he put them.
    fn files(&self, wrong: &mut Vec<String>) {
        let mut recorded = BTreeSet::new();
        for entry in self.present() {
            if entry.hash == 0 {
                wrong.push(format!("`{}` was not read back, and nothing disturbed that", entry.path));
            }
            let key = self.device.key(entry.path.as_str());
            match self.device.tree.files.get(&key) {
                // where times may be shifted, it is looked at more closely before anything is done to it
                Some(node)
                    if self.device.flavour != Flavour::Exact
                        && entry.facts.matches(&self.device.facts(node)) => {}
                Some(node) if node.owner == Owner::User => {
                    wrong.push(format!("`{}` is the user's and recorded as ours", entry.path));
                }
                Some(node) if self.device.facts(node).size != entry.facts.size => {
                    wrong.push(format!("`{}` is recorded with another size", entry.path));
                }
                Some(_) => {}
                None => wrong.push(format!("`{}` is recorded as there after a run and isn't", entry.path)),
            }
            if !recorded.insert(key) {
                wrong.push(format!("`{}` is recorded twice", entry.path));
            }
        }
        for (key, node) in &self.device.tree.files {
            match node.owner {
                Owner::User if !is_at_home(&node.path, &node.home) => {
                    wrong.push(format!("the user's `{}` is now `{}`", node.home, node.path));
                }
                Owner::Tandem(whose) if whose == self.terms.relationship && !recorded.contains(key) => {
                    wrong.push(format!("`{}` was left over", node.path));
                }
                _ => {}
            }
        }
    }

    fn folders(&self, wrong: &mut Vec<String>) {
        let tree = &self.device.tree;
        if self.device.disturbed {
            // a folder that he takes away from under a file that is being written is made again, and nobody knows by whom
            return;
        }
        for (key, (folder, by)) in &tree.folders {
            let inside = format!("{key}/");
            // what the user has changed may be anywhere by now
            let is_needed = |entry: &Entry| {
                entry.state == EntryState::Disowned
                    && self.device.key(entry.path.as_str()).starts_with(&inside)
            };
            let is_his = |(name, (_, by)): (&String, &(String, Option<Guid>))| {
                name.starts_with(&inside) && *by != Some(self.terms.relationship)
            };
            let is_empty = !tree.files.keys().any(|name| name.starts_with(&inside))
                && !tree.folders.iter().any(is_his)
                && !self.entries.iter().any(is_needed);
            if is_empty && *by == Some(self.terms.relationship) {
                wrong.push(format!("the folder `{folder}` was made by us and is empty"));
            }
        }
    }

    /// What has to be there is there, as it is in the library; what is left out had no space. Tells where each song is.
    fn songs(&self, wrong: &mut Vec<String>) -> BTreeMap<i64, String> {
        let mut placed = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut used = 0;
        let budget = self.budget();
        let of_song = |song: &Song| {
            let uri = song.uri();
            self.entries.iter().find(move |entry| matches!(&entry.origin, Origin::Track(of) if *of.0 == *uri))
        };
        for song in self.terms.playlists().into_iter().flat_map(|playlist| self.items(playlist)) {
            if !seen.insert(song.id) {
                continue;
            }
            let entry = of_song(song);
            match entry.map(|entry| entry.state) {
                Some(EntryState::Present)
                    if entry.is_some_and(|entry| !self.is_as_in_library(entry, song)) =>
                {
                    wrong.push(format!("`{}` is not there as it is in the library", song.uri()));
                }
                Some(EntryState::Present) => {
                    used += clusters(song.bytes.len());
                    placed.extend(entry.map(|entry| (song.id, entry.path.as_str().to_owned())));
                }
                Some(EntryState::Foreign) => {
                    let path = entry.map_or("", |entry| entry.path.as_str());
                    match self.device.file(path) {
                        Some(node) if node.owner == Owner::Tandem(self.terms.relationship) => {
                            wrong.push(format!("`{path}` is ours and recorded as the user's"));
                        }
                        Some(node) if node.bytes == song.bytes => {
                            placed.insert(song.id, path.to_owned());
                        }
                        _ => wrong.push(format!("the user's `{path}` counts as `{}`, and isn't", song.uri())),
                    }
                }
                Some(EntryState::Skipped | EntryState::Disowned) => {}
                None if !self.device.flavour.is_atomic() && song.mime() != "audio/mpeg" => {}
                None if used + clusters(song.bytes.len()) + SLACK > budget => {}
                None => wrong.push(format!("`{}` is missing, though there is space", song.uri())),
            }
        }
        for entry in self.present() {
            let Origin::Track(uri) = &entry.origin else { continue };
            let is_wanted =
                self.shelf.songs.iter().any(|song| seen.contains(&song.id) && song.uri() == *uri.0);
            if !is_wanted {
                wrong.push(format!("`{}` is there and not wanted any more", entry.path));
            }
        }
        placed
    }

    /// Whether the device has the song with its bytes, or with other tags that it was told apart from them.
    fn is_as_in_library(&self, entry: &Entry, song: &Song) -> bool {
        let is_song = |title: &str| title == song.title;
        let is_told =
            |title: &Option<String>| self.device.flavour.takes_tags() && title.as_deref().is_none_or(is_song);
        entry.hash == hash(&song.bytes)
            || self.shelf.music_of(entry.hash) == Some(song.music)
                && self.device.file(entry.path.as_str()).is_some_and(|node| is_told(&node.title))
    }

    /// Clusters that our content may take.
    fn budget(&self) -> u64 {
        let recorded: BTreeSet<String> =
            self.present().map(|entry| self.device.key(entry.path.as_str())).collect();
        let others = self.device.tree.files.iter().filter(|(key, _)| !recorded.contains(*key));
        let others: u64 = others.map(|(_, node)| clusters(node.bytes.len())).sum();
        let lines: usize = self.terms.playlists().iter().map(|&playlist| self.items(playlist).count()).sum();
        let lists = (lines as u64 * 160).div_ceil(CLUSTER) + self.terms.assigned.len() as u64;
        let physical = self.device.clusters.saturating_sub(others);
        let allowed = self.device.clusters - self.device.clusters * self.terms.reserved / 100;
        physical.min(allowed).saturating_sub(lists)
    }

    fn items(&self, playlist: usize) -> impl Iterator<Item = &Song> {
        self.shelf.there().filter(move |song| song.playlists[playlist])
    }

    /// Whether a playlist is told to have no space, and there is hardly any: the user's files may take all of it, and count as
    /// what the playlist names.
    fn has_no_room(&self, playlist: usize) -> bool {
        let lines = self.items(playlist).count() as u64;
        let needed = (lines * 160).div_ceil(CLUSTER) + 2;
        let name = format!("the playlist `{}`", self.shelf.names[playlist]);
        self.device.space().free < needed * CLUSTER && self.unfit.iter().any(|told| told.contains(&name))
    }

    /// Each assigned playlist is there and names what is there, in its order; no other is.
    fn playlists(&self, placed: &BTreeMap<i64, String>, wrong: &mut Vec<String>) {
        let assigned = self.terms.playlists();
        for &playlist in &assigned {
            let id = playlist_id(playlist);
            let entry = self.entries.iter().find(|entry| entry.origin == Origin::Playlist(id.clone()));
            let wanted: Vec<&String> = self.items(playlist).filter_map(|song| placed.get(&song.id)).collect();
            match entry {
                Some(entry) if matches!(entry.state, EntryState::Skipped | EntryState::Disowned) => {}
                None if wanted.is_empty() || self.has_no_room(playlist) => {}
                None => wrong.push(format!("playlist {playlist} is missing")),
                Some(entry) if wanted.is_empty() => {
                    wrong.push(format!("`{}` is there and empty", entry.path));
                }
                Some(entry) => {
                    let path = entry.path.as_str();
                    let named = named_by(self.device, path);
                    let file = self.device.file(path);
                    let is_ours = |owner: Owner| owner == Owner::Tandem(self.terms.relationship);
                    if entry.state == EntryState::Foreign && file.is_some_and(|node| is_ours(node.owner)) {
                        wrong.push(format!("`{path}` is ours and recorded as the user's"));
                    }
                    let is_users = entry.state == EntryState::Present
                        && file.is_some_and(|node| hash(&node.bytes) != entry.hash);
                    let is_old = named != wanted.into_iter().cloned().collect::<Vec<_>>();
                    if !is_users && is_old && !self.has_no_room(playlist) {
                        wrong.push(format!("`{path}` names {named:?}"));
                    }
                    if !name_of(path).starts_with(&self.shelf.names[playlist]) {
                        wrong.push(format!("`{path}` is not `{}`", self.shelf.names[playlist]));
                    }
                }
            }
        }
        for entry in self.present() {
            let is_wanted = match &entry.origin {
                Origin::Playlist(id) => assigned.iter().any(|&playlist| playlist_id(playlist) == *id),
                Origin::Track(_) | Origin::Album(_) => true,
            };
            if !is_wanted {
                wrong.push(format!("`{}` is of a playlist that isn't assigned", entry.path));
            }
        }
    }
}

/// The paths that a playlist file names.
fn named_by(device: &Device, path: &str) -> Vec<String> {
    let Some(node) = device.file(path) else { return Vec::new() };
    let text = String::from_utf8_lossy(&node.bytes);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut folder = folder_of(path).to_owned();
            let mut rest = line;
            while let Some(up) = rest.strip_prefix("../") {
                folder = folder_of(&folder).to_owned();
                rest = up;
            }
            if folder.is_empty() { rest.to_owned() } else { format!("{folder}/{rest}") }
        })
        .collect()
}
