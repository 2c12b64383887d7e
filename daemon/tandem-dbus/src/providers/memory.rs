//! What a listing of a provider's device is worth the next time that the device is opened: facts of folders in
//! which nothing has changed since, by the provider's report (control code `WMP1`). Pure.
//!
//! It must not be taken for the device: it holds no objects, and what is to be replaced or deleted is listed
//! and looked at. A report is believed only where it can be held against what is known otherwise.

use super::tree::{Known, Tree, name, parent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::player::ObjectFacts;

/// Objects that are remembered of a device at most.
const MOST_REMEMBERED: usize = 100_000;

/// Files that a report has to name at most: so many are proof enough.
const MOST_PROOFS: usize = 64;

/// Openings after which all is listed once more, whatever is reported.
const MOST_USES: u32 = 16;

/// Bytes by which the space on a device changes without any file of its user's.
const HOUSEKEEPING: u64 = 1 << 20;

/// What is in a folder: facts of files, nothing of folders.
type Folder = HashMap<Box<str>, Option<ObjectFacts>>;

/// What is left of earlier openings of a device.
#[derive(Debug, Default)]
pub(super) enum Past {
    /// Nothing.
    #[default]
    Nothing,
    /// What was listed.
    Listed(Memory),
    /// This connection has told what isn't true of its changes.
    Lied(String),
}

/// Where that is kept: with the device as long as it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Past>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is there, so that no two openings go by it.
    pub(super) fn take(&self) -> Past {
        std::mem::take(&mut self.lock())
    }

    /// Puts it there.
    pub(super) fn put(&self, past: Past) {
        *self.lock() = past;
    }
}

/// Facts of a device's folders at some transaction.
#[derive(Debug)]
pub(super) struct Memory {
    /// The provider's connection, and the storage: of any other this says nothing.
    pub(super) of: (String, String),
    pub(super) transaction: u32,
    folders: HashMap<String, Folder>,
    /// Files that came since the transaction: a report that doesn't name them is none.
    proofs: BTreeMap<String, ObjectFacts>,
    /// Those that the last report didn't name. That one is still as it was written is a lie found out.
    suspects: BTreeMap<String, ObjectFacts>,
    /// Whether a report of this connection has named such files.
    is_proven: bool,
    /// Free space, where nothing was changed since.
    free: Option<u64>,
    /// Openings that went by it.
    uses: u32,
}

/// All that a provider has reported since a transaction.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) transaction: u32,
    pub(super) is_complete: bool,
    pub(super) paths: HashSet<String>,
}

impl Report {
    /// Whether what is at a path, or a folder that it is in, is among what has changed.
    fn covers(&self, path: &str) -> bool {
        folders_above(path).skip(1).chain([path]).any(|at| self.paths.contains(at))
    }
}

/// Why a report isn't gone by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It says too little, or there is nothing to hold it against.
    Unproven(&'static str),
    /// It isn't true.
    Lie(String),
}

impl Memory {
    /// Nothing but that changes are reported.
    pub(super) fn new(of: (String, String), transaction: u32, free: u64) -> Self {
        let (folders, proofs, suspects) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { of, transaction, folders, proofs, suspects, is_proven: false, free: Some(free), uses: 0 }
    }

    /// Forgets where something has changed since, as it is reported. Whatever is doubted, all is forgotten.
    pub(super) fn hold(&mut self, report: &Report, free: u64) -> Result<(), Doubt> {
        let held = self.judge(report, free).and_then(|()| self.forget_changed(report));
        if held.is_err() {
            self.folders.clear();
        }
        (self.transaction, self.free) = (report.transaction, Some(free));
        self.proofs.clear();
        held
    }

    fn judge(&mut self, report: &Report, free: u64) -> Result<(), Doubt> {
        if !report.is_complete {
            return Err(Doubt::Unproven("more has changed than it can tell"));
        }
        if report.transaction < self.transaction {
            return Err(Doubt::Unproven("its record begins anew"));
        }
        let is_told = |path: &String| report.covers(path);
        self.suspects = self.proofs.clone().into_iter().filter(|(path, _)| !is_told(path)).collect();
        if !self.suspects.is_empty() {
            self.is_proven = false;
            return Err(Doubt::Unproven("it doesn't name what was written, if that is still there"));
        }
        if (report.transaction == self.transaction) != report.paths.is_empty() {
            return Err(Doubt::Unproven("its transactions don't go with its changes"));
        }
        let moved = |before: u64| before.abs_diff(free) > HOUSEKEEPING;
        if report.paths.is_empty() && self.free.is_none_or(moved) {
            return Err(Doubt::Unproven("the free space is another, and nothing has changed"));
        }
        // a folder in place of what is in it is right, and proves little
        self.is_proven |=
            !self.proofs.is_empty() && self.proofs.keys().all(|path| report.paths.contains(path));
        if !self.is_proven {
            return Err(Doubt::Unproven("no report has named yet what was written"));
        }
        Ok(())
    }

    fn forget_changed(&mut self, report: &Report) -> Result<(), Doubt> {
        if let Some(odd) = report.paths.iter().find(|path| !self.can_be_placed(path, report)) {
            return Err(Doubt::Lie(format!("`{odd}` has changed, and lies in no folder that was there")));
        }
        for path in &report.paths {
            self.folders.remove(parent(path));
        }
        self.folders.retain(|folder, _| !report.covers(folder));
        self.uses += 1;
        Ok(())
    }

    /// Whether each folder of a path is one that was there, or has changed, as far as its folders are known.
    fn can_be_placed(&self, path: &str, report: &Report) -> bool {
        for folder in folders_above(path).skip(1) {
            let Some(children) = self.folders.get(parent(folder)) else { return true };
            if children.get(name(folder)) != Some(&None) && !report.paths.contains(folder) {
                return false;
            }
        }
        true
    }

    /// What is at a path, where that is known: now listed, or the same as it was. `None` where it isn't.
    pub(super) fn facts(&self, path: &str, tree: &Tree) -> Option<Option<ObjectFacts>> {
        if self.uses > MOST_USES {
            return None;
        }
        let mut found = None;
        for at in folders_above(path).skip(1).chain([path]) {
            let there = match tree.folder(parent(at)) {
                Some(children) => children.get(name(at)).map(remembered),
                None if tree.has_touched(parent(at)) => return None,
                None => self.folders.get(parent(at))?.get(name(at)).copied(),
            };
            match there {
                None => return Some(None),
                // what is below a file isn't there
                Some(Some(_)) if at.len() < path.len() => return Some(None),
                Some(facts) => found = facts,
            }
        }
        Some(found)
    }

    /// Whether a folder that is listed now goes with what was reported, as far as nothing was done there.
    pub(super) fn is_true(&self, path: &str, tree: &Tree) -> bool {
        let Some(listed) = tree.folder(path).filter(|_| !tree.has_touched(path)) else { return true };
        let is_there = |file: &str, facts: &ObjectFacts| {
            parent(file) == path && listed.get(name(file)).and_then(remembered) == Some(*facts)
        };
        let is_same = |before: &Folder| {
            let is_same = |(name, known): (&String, &Known)| before.get(&**name) == Some(&remembered(known));
            before.len() == listed.len() && listed.iter().all(is_same)
        };
        self.folders.get(path).is_none_or(is_same)
            && !self.suspects.iter().any(|(file, facts)| is_there(file, facts))
    }

    /// What is left for the next opening: what was listed in this one where nothing was done, and before that
    /// what still holds. Nothing where that is too much.
    pub(super) fn next(mut self, tree: &Tree) -> Option<Self> {
        self.folders.retain(|folder, _| !tree.has_touched(folder));
        if self.uses > MOST_USES {
            (self.folders, self.uses) = (HashMap::new(), 0);
        }
        for (path, children) in tree.untouched() {
            let folder =
                children.iter().map(|(name, known)| (name.as_str().into(), remembered(known))).collect();
            self.folders.insert(path.clone(), folder);
        }
        let came = tree.came().filter_map(|path| Some((path.to_owned(), tree.get(path)?.facts)));
        (self.proofs, self.suspects) = (came.take(MOST_PROOFS).collect(), BTreeMap::new());
        if tree.is_touched() {
            self.free = None;
        }
        let size: usize = self.folders.values().map(|folder| 1 + folder.len()).sum();
        (size <= MOST_REMEMBERED).then_some(self)
    }
}

fn remembered(known: &Known) -> Option<ObjectFacts> {
    (!known.is_folder).then_some(known.facts)
}

/// The folders that a path is in, the root first.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}
