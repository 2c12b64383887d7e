//! What a preview and an estimate promise, held against what the run after them does, to the byte and to the cluster.

use super::{CHANGED, World};
use crate::device::{CLUSTER, Tree, clusters};
use crate::event::{LibraryEdit, UserEdit, library_edit, user_edit};
use crate::host::device_id;
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use tandem_engine::{Action, PreviewItem, Setting};
use tandem_model::error::ItemError;
use tandem_model::event::EngineEvent;
use tandem_model::manifest::EntryState;

/// How a run tells of a playlist that has no space.
const LIST_WITHOUT_ROOM: &str = "no space is left for the playlist";

/// What a run does to the files of a player.
#[derive(Debug, Default, PartialEq, Eq)]
struct Deeds {
    /// Where files come, and their sizes.
    written: BTreeMap<String, u64>,
    /// Where files go, what is replaced among them.
    gone: BTreeSet<String>,
    /// Where the device is told other tags.
    retagged: BTreeSet<String>,
}

impl Deeds {
    /// What is promised.
    fn promised(items: &[PreviewItem]) -> Self {
        let mut deeds = Self::default();
        for item in items {
            let place = item.destination.clone();
            if matches!(item.action, Action::Copy | Action::Replace) {
                deeds.written.insert(place.clone(), item.size);
            }
            if matches!(item.action, Action::Delete | Action::Replace) {
                deeds.gone.insert(place.clone());
            }
            if item.action == Action::UpdateMetadata {
                deeds.retagged.insert(place);
            }
        }
        deeds
    }

    /// What was done between the two.
    fn between(before: &Tree, after: &Tree) -> Self {
        let by_id = |tree: &Tree| tree.files.values().map(|node| (node.id, node.clone())).collect();
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (by_id(before), by_id(after));
        let mut deeds = Self::default();
        for (id, node) in &after {
            match before.get(id) {
                Some(old) if old.path == node.path && old.title != node.title => {
                    deeds.retagged.insert(node.path.clone());
                }
                Some(old) if old.path == node.path => {}
                _ => drop(deeds.written.insert(node.path.clone(), node.bytes.len() as u64)),
            }
        }
        let is_there = |id: &u64, path: &str| after.get(id).is_some_and(|node| node.path == path);
        deeds.gone = before
            .iter()
            .filter(|(id, old)| !is_there(id, &old.path))
            .map(|(_, old)| old.path.clone())
            .collect();
        deeds
    }
}

impl World {
    /// Changes the library and the player, asks for a preview and an estimate, and holds them against the run.
    pub(super) fn promises_are_kept(&mut self) {
        self.host().ask(async |engine| engine.set(&device_id(), Setting::SyncOnConnect(false)).await);
        self.change_quietly();
        let Some(Ok(preview)) = self.host().ask(async |engine| engine.preview(&device_id()).await) else {
            return self.wrong("there is no preview".to_owned());
        };
        let stops = |item: &PreviewItem| item.media.is_empty() && item.destination.is_empty();
        // a preview reads no file of the user's: it says that one may turn out to be what would be copied
        let is_open = |item: &PreviewItem| item.reason.contains("if it is exactly this one");
        if preview.iter().any(|item| stops(item) || is_open(item)) {
            return;
        }
        let estimate = self.estimated();
        let before = self.stage.device().tree.clone();
        self.run(Vec::new());
        self.collect("in a run that was told of before");
        let rows = self.rows();
        if rows.iter().any(|(_, message)| message.ends_with(CHANGED)) {
            // only a look at the bytes tells what looks like ours
            return;
        }
        if rows.iter().any(|(_, message)| message.contains(LIST_WITHOUT_ROOM)) {
            // a plan makes room for tracks; whether a list has some is seen when it is written
            return;
        }
        let promised = Deeds::promised(&preview);
        let mut done = Deeds::between(&before, &self.stage.device().tree);
        if done.retagged.is_subset(&promised.retagged) {
            // a device may be told the tags that it knows already
            done.retagged.clone_from(&promised.retagged);
        }
        self.outcome.promised += promised.written.len() as u64;
        if promised != done {
            self.wrong(format!("promised was {promised:#?}, and done {done:#?}"));
        }
        let skipped = preview.iter().filter(|item| item.action == Action::Skip).count();
        let left_out = rows.iter().filter(|(error, _)| *error != ItemError::WouldDeleteTooMuch).count();
        if skipped != left_out {
            self.wrong(format!("{skipped} items were to be left out, and {left_out} were: {rows:?}"));
        }
        let bytes: u64 = promised.written.values().sum();
        let history = self.host().ask(async |engine| engine.history(&device_id()).await).unwrap_or_default();
        let written = history.first().map(|run| run.written_bytes);
        if written != Some(bytes) {
            self.wrong(format!("{bytes} bytes were to be copied, and {written:?} were"));
        }
        self.takes_as_much_as_estimated(estimate);
        if self.outcome.violations.is_empty() {
            self.verify();
        }
    }

    /// Changes that leave a run possible, and of which a look at names and facts tells all.
    fn change_quietly(&mut self) {
        let mut random = Random::new(self.seed ^ 0x70_726f_6d69_7365);
        for _ in 0..1 + random.below(6) {
            if random.once_in(4) {
                let edit = user_edit(&mut random);
                let tells_all = matches!(
                    edit,
                    UserEdit::Add { .. }
                        | UserEdit::Change(_)
                        | UserEdit::Delete(_)
                        | UserEdit::DeleteFolder(_)
                        | UserEdit::DeleteOwn(_)
                        | UserEdit::Move(_)
                );
                if tells_all {
                    self.stage.edit_device(&edit);
                }
                continue;
            }
            let edit = library_edit(&mut random);
            let can_be_read =
                !matches!(edit, LibraryEdit::Unmount(_) | LibraryEdit::Mount | LibraryEdit::Lock(_));
            if can_be_read {
                self.stage.edit_library(&edit);
            }
        }
        self.settle_down();
    }

    /// Bytes that the assigned playlists would take; `None` where none is assigned.
    fn estimated(&mut self) -> Option<u64> {
        let partnership = self.hosts[self.now].partnership()?;
        let assigned = partnership.assignments.first()?.playlist.clone();
        self.host().ask(async |engine| engine.estimate(&device_id(), Some(assigned), None).await)?.ok()?;
        self.wait();
        let told = self.hosts[self.now].seen.iter().rev().find_map(|event| match event {
            EngineEvent::EstimationComplete { result, .. } => Some(*result),
            _ => None,
        });
        let Some(Some((used, _))) = told else {
            self.wrong(format!("there is no estimate: {told:?}"));
            return None;
        };
        Some(used)
    }

    fn takes_as_much_as_estimated(&mut self, estimate: Option<u64>) {
        let (Some(estimate), Some(partnership)) = (estimate, self.hosts[self.now].partnership()) else {
            return;
        };
        let (entries, _) = self.hosts[self.now].manifest(partnership.relationship);
        let present = entries.iter().filter(|entry| entry.state == EntryState::Present);
        let size = |size: u64| clusters(usize::try_from(size).unwrap_or(usize::MAX)) * CLUSTER;
        let taken: u64 = present.map(|entry| size(entry.facts.size)).sum();
        if taken != estimate {
            self.wrong(format!("{estimate} bytes of space were estimated, and {taken} are taken"));
        }
    }
}
