//! The stores in memory say what the real ones say, whatever is asked of them: the same random operations come to both, also
//! such as name what isn't there.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::memory::{MemoryManifests, MemoryPartnerships};
use simulation::{Random, records, scratch};
use tandem_model::error::{ItemError, StoreError};
use tandem_model::id::{Guid, MediaUri, PlaylistId};
use tandem_model::manifest::{
    Correction, EntryState, Intent, ItemResult, Manifest, ManifestStore, Origin, Outcome, Record,
};
use tandem_model::partnership::PartnershipStore;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tandem_store::{PartnershipFile, SqliteManifests};

/// Sequences of operations.
const SEQUENCES: u64 = 60;
/// Operations of each.
const OPERATIONS: u64 = 80;
/// Few numbers, names and sizes, so that they meet.
const FEW: u64 = 6;

/// What random operations are made of.
struct Maker(Random);

impl Maker {
    fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }
    /// A row's number, mostly one that was given out.
    fn number(&mut self, last: i64) -> i64 {
        let near = u64::try_from(last).unwrap() + 2;
        i64::try_from(self.below(near)).unwrap()
    }
    fn path(&mut self) -> DevicePath {
        DevicePath::parse(&format!("Music/é {}/{}.mp3", self.below(2), self.below(FEW))).unwrap()
    }
    fn media(&mut self) -> MediaUri {
        MediaUri(format!("file:///{}.mp3", self.below(FEW)).into())
    }
    fn origin(&mut self) -> Origin {
        if self.0.once_in(4) {
            Origin::Playlist(PlaylistId(format!("p{}", self.below(FEW))))
        } else {
            Origin::Track(self.media())
        }
    }
    /// A size, in rare cases one that no integer of SQLite holds.
    fn size(&mut self) -> u64 {
        if self.0.once_in(80) { self.0.word() | 1 << 63 } else { self.below(FEW) }
    }
    fn time(&mut self) -> i64 {
        self.0.word().cast_signed()
    }
    fn facts(&mut self) -> ObjectFacts {
        ObjectFacts { size: self.size(), modified_ns: self.time() }
    }
    fn hash(&mut self) -> u128 {
        u128::from(self.0.word()) << 64 | u128::from(self.0.word())
    }

    fn intent(&mut self, entries: i64) -> Intent {
        match self.below(5) {
            0 => Intent::Delete { entry: self.number(entries), aside: self.path() },
            1 => Intent::UpdateMetadata {
                entry: self.number(entries),
                size: self.size(),
                modified_ns: self.time(),
            },
            kind => Intent::Write {
                origin: self.origin(),
                path: self.path(),
                temporary: self.path(),
                size: self.size(),
                modified_ns: self.time(),
                replaces: (kind == 2).then(|| self.number(entries)),
            },
        }
    }

    /// Mostly what the intent can come to.
    fn outcome(&mut self, intent: i64, of: Option<&Intent>) -> Outcome {
        let (facts, hash) = (self.facts(), self.hash());
        let audio_hash = self.0.once_in(2).then_some(hash ^ 1);
        let persistent_id = format!("id {}", self.below(FEW));
        let kind = match of {
            _ if self.0.once_in(12) => self.below(6),
            Some(Intent::Delete { .. }) => 3,
            Some(Intent::UpdateMetadata { .. }) => 4 + self.below(2),
            _ => self.below(3),
        };
        match kind {
            0 => Outcome::Found { intent, persistent_id, facts, hash },
            1 => Outcome::Written { intent, persistent_id, facts, hash, audio_hash },
            2 => Outcome::Abandoned { intent },
            3 => Outcome::Deleted { intent },
            4 => Outcome::MetadataUpdated { intent, facts },
            _ => Outcome::MetadataUnknown { intent, facts, refused: self.0.once_in(2) },
        }
    }

    fn correction(&mut self, entries: i64) -> Correction {
        let entry = self.number(entries);
        let states = [EntryState::Present, EntryState::Skipped, EntryState::Disowned, EntryState::Foreign];
        match self.below(8) {
            0 => Correction::Source {
                entry,
                origin: self.origin(),
                size: self.size(),
                modified_ns: self.time(),
            },
            1 => Correction::Place { entry, path: self.path() },
            2 => Correction::State { entry, state: states[usize::try_from(self.below(4)).unwrap()] },
            3 => Correction::Found {
                origin: self.origin(),
                path: self.path(),
                facts: self.facts(),
                size: self.size(),
                modified_ns: self.time(),
                hash: self.hash(),
            },
            4 => Correction::Forget { entry },
            5 => Correction::ForgetSkipped,
            6 => Correction::MadeFolders(vec![self.path(), self.path()]),
            _ => Correction::ForgetFolders(vec![self.path(), self.path()]),
        }
    }

    fn results(&mut self) -> Vec<ItemResult> {
        let errors = [None, Some(ItemError::NoFit), Some(ItemError::VerifyFailed)];
        let mut result = || ItemResult {
            media: self.media().to_string(),
            error: errors[usize::try_from(self.below(3)).unwrap()],
            message: "words".to_owned(),
        };
        (0..3).map(|_| result()).collect()
    }
}

/// An answer without the name of the store that gave it.
fn told<T>(answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| match error {
        StoreError::Io { cause, .. } if cause.starts_with("not recorded") => cause,
        // what SQLite can't hold it says in its own words
        _ => "another error".to_owned(),
    })
}

/// Both answers, which have to be the same.
fn same<T: PartialEq + std::fmt::Debug>(
    real: Result<T, StoreError>,
    memory: Result<T, StoreError>,
    when: &str,
) -> Result<T, String> {
    let (real, memory) = (told(real), told(memory));
    let too_large = |told: &Result<T, String>| {
        told.as_ref().is_err_and(|cause| cause == "another error" || cause.ends_with("than any file has"))
    };
    if !(too_large(&real) && too_large(&memory)) {
        assert_eq!(real, memory, "{when}");
    }
    real
}

/// One sequence of operations; tells how many were refused.
fn sequence(seed: u64) -> usize {
    let directory = scratch();
    let stores: [Box<dyn ManifestStore>; 2] =
        [Box::new(SqliteManifests::new(directory.path().to_owned())), Box::new(MemoryManifests::default())];
    let mut make = Maker(Random::new(seed));
    let open = |relationship| stores.each_ref().map(|store| store.open(Guid(relationship)).unwrap());
    let mut relationship = 1;
    let mut manifests: [Box<dyn Manifest>; 2] = open(relationship);
    let mut refused = 0;
    for number in 0..OPERATIONS {
        let when = format!("seed {seed}, operation {number}");
        let [real, memory] = &mut manifests;
        let pending = same(real.pending(), memory.pending(), &when).unwrap();
        let entries = same(real.entries(), memory.entries(), &when).unwrap();
        let last = entries.last().map_or(0, |entry| entry.id);
        let failed = match make.below(16) {
            14 => {
                let (id, began) = (Guid(u128::from(make.below(3))), make.below(FEW));
                real.begin_run(id, began);
                memory.begin_run(id, began);
                false
            }
            15 => {
                let id = Guid(u128::from(make.below(3)));
                same(real.close_run(id), memory.close_run(id), &when).is_err()
            }
            0 => {
                drop(manifests);
                if make.0.once_in(4) {
                    for store in &stores {
                        store.remove(Guid(relationship)).unwrap();
                    }
                }
                relationship = 1 + u128::from(make.below(2));
                manifests = open(relationship);
                false
            }
            1 => {
                let results = make.results();
                same(real.set_results(&results), memory.set_results(&results), &when).is_err()
            }
            2..=5 => {
                let corrections: Vec<Correction> =
                    (0..1 + make.below(2)).map(|_| make.correction(last)).collect();
                same(real.correct(&corrections), memory.correct(&corrections), &when).is_err()
            }
            _ => {
                let mut outcomes = Vec::new();
                for (id, intent) in &pending {
                    if make.0.once_in(2) {
                        outcomes.push(make.outcome(*id, Some(intent)));
                    }
                }
                if make.0.once_in(20) {
                    outcomes.push(make.outcome(last, None));
                }
                let intents: Vec<Intent> = (0..make.below(4)).map(|_| make.intent(last)).collect();
                let corrections: Vec<Correction> =
                    (0..make.below(2)).map(|_| make.correction(last)).collect();
                let (at, corrections) = (make.below(FEW), &*corrections);
                let record = Record { at, corrections, outcomes: &outcomes, intents: &intents };
                same(real.record(record), memory.record(record), &when).is_err()
            }
        };
        refused += usize::from(failed);
        let [real, memory] = &manifests;
        assert_eq!(real.entries(), memory.entries(), "{when}");
        assert_eq!(real.pending(), memory.pending(), "{when}");
        assert_eq!(real.was_filled(), memory.was_filled(), "{when}");
        assert_eq!(real.folders(), memory.folders(), "{when}");
        assert_eq!(real.results(), memory.results(), "{when}");
        assert_eq!(real.open_run(), memory.open_run(), "{when}");
        let media = make.media();
        assert_eq!(real.media_state(&media), memory.media_state(&media), "{when}");
    }
    refused
}

#[test]
fn manifests_in_memory_say_what_those_on_disk_say() {
    let refused: usize = (0..SEQUENCES).map(sequence).sum();
    let all = SEQUENCES * OPERATIONS;
    println!("{all} operations, {refused} of them refused by both");
    let shares = usize::try_from(all).unwrap();
    assert!(refused > shares / 20 && refused < shares / 2, "both are tried: what is taken and what isn't");
}

#[test]
fn partnerships_in_memory_are_those_that_were_saved_as_on_disk() {
    let directory = scratch();
    let stores: [Box<dyn PartnershipStore>; 2] =
        [Box::new(PartnershipFile::new(directory.path().to_owned())), Box::<MemoryPartnerships>::default()];
    for count in [0, 3, 1, 16, 2] {
        for store in &stores {
            store.save(&records::partnerships(count)).unwrap();
        }
        let [real, memory] = stores.each_ref().map(|store| store.load().unwrap());
        assert_eq!(real, memory);
        assert_eq!(memory.partnerships.len(), usize::from(count));
    }
}
