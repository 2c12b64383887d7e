//! The operations of a player that have steps: writing, deleting, putting back. Each can be done whole, torn off at some
//! step, or failed with the remains cleaned up as the contract of players says.

use crate::device::{Device, SECOND, folder_of, is_temporary, name_of};
use crate::event::Flavour;
use std::io::Read;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, Source, Tags, WriteRequest, Written};

/// How far an operation gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To its end.
    Whole,
    /// To some step, and nothing is cleaned up.
    Torn,
    /// To some step, and it cleans up.
    Failed,
}

impl Device {
    /// Writes a file.
    ///
    /// # Errors
    /// As the contract of players says.
    pub(crate) fn write(&mut self, request: &WriteRequest, way: Way) -> Result<Written, PlayerError> {
        let path = request.path.as_str();
        let taken = self.tree.folders.contains_key(&self.key(path));
        let old = match (request.expect, self.file(path)) {
            (Expect::Nothing, None) if !taken => None,
            (Expect::Nothing, _) => return Err(PlayerError::Exists(path.to_owned())),
            (Expect::This(expected), Some(node)) if self.facts(node) == expected => Some(node.path.clone()),
            (Expect::This(_), _) => return Err(PlayerError::Changed(path.to_owned())),
        };
        let bytes = read(&request.source, request.size)?;
        let temporary = self.temporary_path(&request.path, &request.temporary);
        if self.flavour.is_atomic() && self.file(folder_of(&temporary)).is_some() {
            return Err(PlayerError::InTheWay(folder_of(&temporary).to_owned()));
        }
        if self.file(&temporary).is_some() {
            return Err(PlayerError::Other(format!("the temporary name `{temporary}` is taken")));
        }
        let Some(mut folders) = self.missing_folders(path) else {
            return Err(PlayerError::Other(format!("a file is in the place of a folder of `{path}`")));
        };
        if self.flavour.is_atomic() {
            folders.splice(0..0, self.missing_folders(&temporary).unwrap_or_default());
        }
        let in_place = self.flavour == Flavour::MtpInPlace;
        let freed = if in_place {
            old.as_ref().and_then(|old| self.file(old)).map_or(0, |node| node.bytes.len())
        } else {
            0
        };
        if !self.has_space(bytes.len().saturating_sub(freed)) {
            return Err(PlayerError::Full);
        }
        let steps = match way {
            Way::Whole => 5,
            // one step gives the file its name, so it comes out or fails before that
            Way::Failed if self.flavour.is_atomic() => self.random.below(4),
            Way::Torn | Way::Failed => self.random.below(5),
        };
        self.make_folders(&folders, Some(self.writer));
        self.write_steps(request, &temporary, old.is_some(), &bytes, steps);
        if way == Way::Failed {
            for remains in [&temporary[..], if in_place { path } else { &temporary[..] }] {
                if self.file(remains).is_some() {
                    self.remove(remains);
                }
            }
            folders.iter().rev().for_each(|folder| self.remove_if_empty(folder));
        }
        let Some(node) = self.file(path) else { return Err(PlayerError::VerifyFailed(path.to_owned())) };
        let made_folders = folders.iter().filter_map(|folder| DevicePath::parse(folder)).collect();
        let hash = crate::device::hash(&node.bytes);
        let (facts, persistent_id) = (self.facts(node), self.persistent_id(node));
        let key = self.key(path);
        if let Some(node) = self.tree.files.get_mut(&key) {
            node.title = Some(request.tags.title.to_string());
        }
        if std::mem::take(&mut self.lies) {
            self.spoil(path);
        }
        Ok(Written { facts, hash, persistent_id, made_folders })
    }

    /// Tells the tags of a file; half of such devices give it another time with that.
    ///
    /// # Errors
    /// As the contract of players says.
    pub(crate) fn update_metadata(
        &mut self,
        path: &str,
        tags: &Tags,
        way: Way,
    ) -> Result<ObjectFacts, PlayerError> {
        let key = self.key(path);
        let gives_time = self.random.once_in(2);
        self.clock_ns += 3 * SECOND;
        let now = self.clock_ns;
        let is_told = way == Way::Whole || self.random.once_in(2);
        let node = self.tree.files.get_mut(&key).ok_or_else(|| PlayerError::NotFound(path.to_owned()))?;
        if is_told {
            node.title = Some(tags.title.to_string());
            if gives_time {
                node.modified_ns = now;
            }
        }
        let node = node.clone();
        Ok(self.facts(&node))
    }

    fn write_steps(
        &mut self,
        request: &WriteRequest,
        temporary: &str,
        replaces: bool,
        bytes: &Arc<[u8]>,
        steps: u64,
    ) {
        let path = request.path.as_str();
        let in_place = self.flavour == Flavour::MtpInPlace;
        self.clock_ns += 7 * SECOND;
        let time = if in_place { self.clock_ns } else { request.modified_ns };
        let at = if in_place { path } else { temporary };
        if in_place && replaces && steps >= 1 {
            self.remove(path);
        }
        if steps == 2 {
            let part = usize::try_from(self.random.below(bytes.len() as u64)).unwrap_or(0);
            let part_time = if self.flavour.is_atomic() { self.clock_ns } else { time };
            let mut half = bytes[..part].to_vec();
            if in_place && self.random.once_in(2) {
                // such a device tells of the size that was announced
                half.resize(bytes.len(), 0);
            }
            self.put(at, half.into(), part_time);
        } else if steps >= 3 {
            self.put(at, Arc::clone(bytes), time);
        }
        if in_place {
            return;
        }
        if self.flavour.is_atomic() {
            if steps >= 4 && replaces {
                self.exchange(temporary, path);
            } else if steps >= 4 {
                self.rename(temporary, path);
            }
            if steps >= 5 && replaces {
                self.remove(temporary);
            }
        } else {
            if steps >= 4 && replaces {
                self.remove(path);
            }
            if steps >= 5 {
                self.rename(temporary, path);
            }
        }
    }

    /// Where a file is while it is written.
    fn temporary_path(&self, path: &DevicePath, temporary: &DevicePath) -> String {
        if self.flavour.is_atomic() {
            return temporary.as_str().to_owned();
        }
        path.parent()
            .map_or_else(|| temporary.name().to_owned(), |folder| format!("{folder}/{}", temporary.name()))
    }

    /// Deletes a file that is as expected.
    ///
    /// # Errors
    /// As the contract of players says.
    pub(crate) fn delete(
        &mut self,
        path: &DevicePath,
        expected: ObjectFacts,
        aside: &DevicePath,
        way: Way,
    ) -> Result<(), PlayerError> {
        let (path, aside) = (path.as_str(), aside.as_str());
        let Some(node) = self.file(path) else { return Err(PlayerError::NotFound(path.to_owned())) };
        if self.facts(node) != expected {
            return Err(PlayerError::Changed(path.to_owned()));
        }
        if !self.flavour.is_atomic() {
            if way == Way::Whole {
                self.remove(path);
            }
            return Ok(());
        }
        if self.file(folder_of(aside)).is_some() {
            return Err(PlayerError::InTheWay(folder_of(aside).to_owned()));
        }
        let steps = if way == Way::Whole { 3 } else { self.random.below(3) };
        let folders = self.missing_folders(aside).unwrap_or_default();
        self.make_folders(&folders, Some(self.writer));
        if steps >= 1 && way != Way::Failed {
            self.rename(path, aside);
        }
        if steps >= 2 && way != Way::Failed {
            self.remove(aside);
        }
        Ok(())
    }

    /// Deletes whatever has a temporary name.
    ///
    /// # Errors
    /// As the contract of players says.
    pub(crate) fn discard(&mut self, path: &DevicePath) -> Result<(), PlayerError> {
        let found = self.seek(path.as_str()).map(|node| node.path.clone());
        let found = found.ok_or_else(|| PlayerError::NotFound(path.as_str().to_owned()))?;
        self.remove(&found);
        Ok(())
    }

    /// Moves a file back to a name that it has lost.
    ///
    /// # Errors
    /// As the contract of players says.
    pub(crate) fn restore(
        &mut self,
        from: &DevicePath,
        to: &DevicePath,
        way: Way,
    ) -> Result<DevicePath, PlayerError> {
        let found = self.seek(from.as_str()).map(|node| node.path.clone());
        let found = found.ok_or_else(|| PlayerError::NotFound(from.as_str().to_owned()))?;
        let folders = self.missing_folders(to.as_str()).unwrap_or_default();
        if !self.flavour.is_atomic() && !folders.is_empty() {
            return Err(PlayerError::NotFound(folder_of(to.as_str()).to_owned()));
        }
        self.make_folders(&folders, Some(self.writer));
        for number in 1..100 {
            let place = if number == 1 { to.as_str().to_owned() } else { numbered(to.as_str(), number) };
            if self.file(&place).is_none() && !self.tree.folders.contains_key(&self.key(&place)) {
                if way == Way::Whole {
                    self.rename(&found, &place);
                }
                return DevicePath::parse(&place).ok_or_else(|| PlayerError::NameRejected(place.clone()));
            }
        }
        Err(PlayerError::Exists(to.as_str().to_owned()))
    }
}

/// `a/b.mp3` as `a/b (2).mp3`.
#[must_use]
pub(crate) fn numbered(path: &str, number: u32) -> String {
    let at = path.len() - name_of(path).len();
    let (stem, end) =
        path[at..].rsplit_once('.').map_or((&path[at..], String::new()), |(s, e)| (s, format!(".{e}")));
    format!("{}{stem} ({number}){end}", &path[..at])
}

/// Whether `path` is `home`, or a numbered name like it, and not a temporary one.
#[must_use]
pub(crate) fn is_at_home(path: &str, home: &str) -> bool {
    !is_temporary(path) && (path == home || (2..100).any(|number| path == numbered(home, number)))
}

fn read(source: &Source, size: u64) -> Result<Arc<[u8]>, PlayerError> {
    let bytes: Arc<[u8]> = match source {
        Source::Bytes(bytes) => Arc::clone(bytes),
        Source::File(file) => {
            let mut bytes = Vec::new();
            let mut file: &std::fs::File = file;
            file.read_to_end(&mut bytes).map_err(|error| PlayerError::Source(error.to_string()))?;
            bytes.into()
        }
    };
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(PlayerError::SourceChanged) }
}
