//! A disk as a power cut leaves it: what was synced is there; what wasn't is there in whole, in part, or not at all, and in
//! any order. Nothing is assumed of a file system beyond that a sync is a promise and that a rename is one step.

use crate::random::Random;
use crate::trace::Change;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a disk writes at once.
const SECTOR: usize = 512;

/// What becomes of the changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// None has happened.
    None,
    /// All have happened.
    All,
    /// Some have, sector by sector.
    Some,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    File(usize),
    Directory,
}

#[derive(Debug, Clone)]
enum Bytes {
    Written(usize, Vec<u8>),
    Truncated(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    synced: Vec<u8>,
    unsynced: Vec<Bytes>,
}

#[derive(Debug, Clone)]
enum Naming {
    Made(PathBuf, Name),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

type Names = BTreeMap<PathBuf, Name>;

/// A disk while changes come to it.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    contents: Vec<Content>,
    synced: Names,
    unsynced: Vec<Naming>,
}

impl Naming {
    /// The directory whose sync makes it last.
    fn directory(&self) -> &Path {
        let (Self::Made(path, _) | Self::Renamed(_, path) | Self::Removed(path)) = self;
        path.parent().unwrap_or(Path::new("/"))
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, name) => drop(names.insert(path.clone(), name.clone())),
            Self::Renamed(from, to) => {
                if let Some(name) = names.remove(from) {
                    names.insert(to.clone(), name);
                }
            }
            Self::Removed(path) => drop(names.remove(path)),
        }
    }
}

impl Bytes {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Written(at, bytes) => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncated(length) => content.resize(*length, 0),
        }
    }

    /// The parts that a disk may write alone.
    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Written(at, bytes) => {
                let part =
                    |(number, part): (usize, &[u8])| Self::Written(at + number * SECTOR, part.to_vec());
                bytes.chunks(SECTOR).enumerate().map(part).collect()
            }
            Self::Truncated(length) => vec![Self::Truncated(*length)],
        }
    }
}

impl Disk {
    fn names(&self) -> Names {
        let mut names = self.synced.clone();
        self.unsynced.iter().for_each(|naming| naming.apply(&mut names));
        names
    }

    fn content(&mut self, path: &Path) -> Option<&mut Content> {
        match self.names().get(path) {
            Some(Name::File(number)) => self.contents.get_mut(*number),
            _ => None,
        }
    }

    /// Takes a change.
    pub fn take(&mut self, change: &Change) {
        match change {
            Change::Create(path) => {
                if !self.names().contains_key(path) {
                    self.contents.push(Content::default());
                    self.unsynced.push(Naming::Made(path.clone(), Name::File(self.contents.len() - 1)));
                }
            }
            Change::MakeDirectory(path) => {
                self.unsynced.push(Naming::Made(path.clone(), Name::Directory));
            }
            Change::Write(path, at, bytes) => {
                if let Some(content) = self.content(path) {
                    content.unsynced.push(Bytes::Written(*at, bytes.clone()));
                }
            }
            Change::Truncate(path, length) => {
                if let Some(content) = self.content(path) {
                    content.unsynced.push(Bytes::Truncated(*length));
                }
            }
            Change::Rename(from, to) => self.unsynced.push(Naming::Renamed(from.clone(), to.clone())),
            Change::Unlink(path) => self.unsynced.push(Naming::Removed(path.clone())),
            Change::Sync(path) => self.sync(path),
            Change::Returned => {}
        }
    }

    fn sync(&mut self, path: &Path) {
        if let Some(content) = self.content(path) {
            let Content { synced, unsynced } = content;
            unsynced.drain(..).for_each(|bytes| bytes.apply(synced));
            return;
        }
        let (lasting, others) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition::<Vec<_>, _>(|naming| naming.directory() == path);
        lasting.iter().for_each(|naming| naming.apply(&mut self.synced));
        self.unsynced = others;
    }

    /// What is there after a cut: files with their bytes, and directories.
    #[must_use]
    pub fn cut(
        &self,
        names: Unsynced,
        bytes: Unsynced,
        random: &mut Random,
    ) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let count = match names {
            Unsynced::None => 0,
            Unsynced::All => self.unsynced.len(),
            Unsynced::Some => usize::try_from(random.below(self.unsynced.len() as u64 + 1)).unwrap_or(0),
        };
        let mut there = self.synced.clone();
        self.unsynced.iter().take(count).for_each(|naming| naming.apply(&mut there));
        let mut content = |number: usize| {
            let Content { mut synced, unsynced } = self.contents[number].clone();
            for change in unsynced.iter().flat_map(Bytes::sectors) {
                if bytes == Unsynced::All || bytes == Unsynced::Some && random.once_in(2) {
                    change.apply(&mut synced);
                }
            }
            synced
        };
        let names: Vec<(PathBuf, Name)> = there.into_iter().collect();
        names
            .into_iter()
            .map(|(path, name)| match name {
                Name::File(number) => (path, Some(content(number))),
                Name::Directory => (path, None),
            })
            .collect()
    }
}

/// Puts what a cut has left into a directory, in the place of the one it was in. What lies in a directory that isn't there is
/// lost.
///
/// # Panics
/// When that can't be done.
pub fn rebuild(left: &BTreeMap<PathBuf, Option<Vec<u8>>>, from: &Path, to: &Path) {
    for (path, content) in left {
        let place = to.join(path.strip_prefix(from).expect("only changes below the directory are taken"));
        if place.parent().is_none_or(|parent| !parent.is_dir()) {
            continue;
        }
        match content {
            None => DirBuilder::new().create(&place).expect("an empty directory can be filled"),
            // the log's index is made anew by whoever opens the database first
            Some(_) if path.to_string_lossy().ends_with("-shm") => {}
            Some(bytes) => File::create(&place)
                .and_then(|mut file| file.write_all(bytes))
                .expect("an empty directory can be filled"),
        }
    }
}
