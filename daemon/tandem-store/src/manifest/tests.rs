//! Tests of what a manifest records, against a simple model in memory.

use super::*;
use crate::manifest_store::SqliteManifests;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use tandem_model::id::{AlbumId, PlaylistId};
use tandem_model::manifest::{ManifestStore, Origin};
use tandem_model::player::ObjectFacts;

/// What a manifest should hold.
#[derive(Default)]
struct Model {
    entries: BTreeMap<i64, Entry>,
    intents: BTreeMap<i64, Intent>,
    folders: BTreeSet<DevicePath>,
    results: Vec<ItemResult>,
}

/// A step, with places that are resolved to what is there when its turn comes.
#[derive(Debug, Clone)]
enum Step {
    Intend(Vec<(bool, Index, Intent)>),
    Settle(Vec<(u8, Index, ObjectFacts, u128)>),
    Correct(u8, Index, Origin, EntryState),
    Folders(bool, Vec<DevicePath>),
    Results(Vec<ItemResult>),
    Reopen,
}

fn aside() -> DevicePath {
    DevicePath::parse(".tandem/0123.part").unwrap()
}

fn any_size() -> impl Strategy<Value = u64> {
    0..=i64::MAX.cast_unsigned()
}

fn any_facts() -> impl Strategy<Value = ObjectFacts> {
    (any_size(), any::<i64>()).prop_map(|(size, modified_ns)| ObjectFacts { size, modified_ns })
}

fn any_origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        any::<String>().prop_map(|text| Origin::Track(MediaUri(text.into()))),
        any::<String>().prop_map(|text| Origin::Playlist(PlaylistId(text))),
        any::<String>().prop_map(|text| Origin::Album(AlbumId(text))),
    ]
}

fn any_path() -> impl Strategy<Value = DevicePath> {
    "[a-zé ]{1,8}(/[^/\0]{3,9}){0,2}".prop_map(|text| DevicePath::parse(&text).unwrap())
}

fn any_state() -> impl Strategy<Value = EntryState> {
    prop::sample::select(vec![EntryState::Present, EntryState::Skipped, EntryState::Disowned])
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let write = (any_origin(), any_path(), any_path(), any_size(), any::<i64>());
    write.prop_map(|(origin, path, temporary, size, modified_ns)| Intent::Write {
        origin,
        path,
        temporary,
        size,
        modified_ns,
        replaces: None,
    })
}

fn any_result() -> impl Strategy<Value = ItemResult> {
    let errors = vec![None, Some(ItemError::NoFit), Some(ItemError::WouldDeleteTooMuch)];
    (any::<String>(), prop::sample::select(errors), any::<String>())
        .prop_map(|(media, error, message)| ItemResult { media, error, message })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((any::<bool>(), any::<Index>(), any_intent()), 0..4).prop_map(Step::Intend),
        4 => prop::collection::vec((0u8..4, any::<Index>(), any_facts(), any::<u128>()), 0..4).prop_map(Step::Settle),
        3 => (0u8..4, any::<Index>(), any_origin(), any_state())
            .prop_map(|(what, place, origin, state)| Step::Correct(what, place, origin, state)),
        1 => (any::<bool>(), prop::collection::vec(any_path(), 0..4)).prop_map(|(made, all)| Step::Folders(made, all)),
        1 => prop::collection::vec(any_result(), 0..4).prop_map(Step::Results),
        1 => Just(Step::Reopen),
    ]
}

fn pick<T>(all: &BTreeMap<i64, T>, place: Index) -> Option<i64> {
    (!all.is_empty()).then(|| *all.keys().nth(place.index(all.len())).unwrap())
}

impl Model {
    /// Entries that no intent names.
    fn is_free(&self, entry: i64) -> bool {
        !self.intents.values().any(|intent| match intent {
            Intent::Write { replaces, .. } => *replaces == Some(entry),
            Intent::Delete { entry: named, .. } | Intent::UpdateMetadata { entry: named, .. } => {
                *named == entry
            }
        })
    }

    fn settle(&mut self, outcome: &Outcome, entries: &[Entry]) {
        match outcome {
            Outcome::Written { intent, persistent_id, facts, hash, .. }
            | Outcome::Found { intent, persistent_id, facts, hash } => {
                let is_known = matches!(outcome, Outcome::Written { .. });
                let Some(Intent::Write { origin, path, size, modified_ns, replaces, .. }) =
                    self.intents.remove(intent)
                else {
                    panic!("the test made an outcome that can't be")
                };
                // the manifest chooses a new entry's number; it is read off there, and must not have been used
                let new = |entry: &&Entry| *entry.persistent_id == **persistent_id && entry.hash == *hash;
                let id = replaces.unwrap_or_else(|| entries.iter().find(new).unwrap().id);
                let entry = Entry {
                    id,
                    origin,
                    path,
                    persistent_id: persistent_id.as_str().into(),
                    facts: *facts,
                    source_size: size,
                    source_modified_ns: if is_known { modified_ns } else { 0 },
                    hash: *hash,
                    audio_hash: is_known.then_some(!*hash),
                    state: EntryState::Present,
                };
                assert_eq!(self.entries.insert(id, entry).is_some(), replaces.is_some());
            }
            Outcome::MetadataUpdated { intent, facts } | Outcome::MetadataUnknown { intent, facts, .. } => {
                let Some(Intent::UpdateMetadata { entry, size, modified_ns }) = self.intents.remove(intent)
                else {
                    panic!("the test made an outcome that can't be")
                };
                let entry = self.entries.get_mut(&entry).unwrap();
                let is_known = matches!(outcome, Outcome::MetadataUpdated { .. });
                (entry.facts, entry.source_size) = (*facts, size);
                entry.source_modified_ns = if is_known { modified_ns } else { 0 };
                if matches!(outcome, Outcome::MetadataUnknown { refused: true, .. }) {
                    entry.audio_hash = None;
                }
            }
            Outcome::Deleted { intent } => {
                let Some(Intent::Delete { entry, .. } | Intent::Write { replaces: Some(entry), .. }) =
                    self.intents.remove(intent)
                else {
                    panic!("the test made an outcome that can't be")
                };
                self.entries.remove(&entry);
            }
            Outcome::Abandoned { intent } => drop(self.intents.remove(intent)),
        }
    }
}

fn run_step(
    store: &SqliteManifests,
    manifest: &mut Box<dyn Manifest>,
    model: &mut Model,
    turn: usize,
    step: Step,
) {
    match step {
        Step::Intend(intents) => {
            let mut chosen: Vec<Intent> = Vec::new();
            for (delete, place, mut intent) in intents {
                let named = |entry: i64| chosen.iter().any(|other| names(other, entry));
                let entry =
                    pick(&model.entries, place).filter(|entry| model.is_free(*entry) && !named(*entry));
                match (&mut intent, entry) {
                    (Intent::Write { size: size @ 0..5, modified_ns, .. }, Some(entry)) => {
                        intent = Intent::UpdateMetadata { entry, size: *size, modified_ns: *modified_ns };
                    }
                    (_, Some(entry)) if delete => intent = Intent::Delete { entry, aside: aside() },
                    (Intent::Write { replaces, .. }, entry) => *replaces = entry,
                    (Intent::Delete { .. } | Intent::UpdateMetadata { .. }, _) => (),
                }
                chosen.push(intent);
            }
            let numbers = manifest.commit(&[], &chosen).unwrap();
            assert_eq!(numbers.len(), chosen.len());
            for (number, intent) in numbers.into_iter().zip(chosen) {
                assert!(model.intents.insert(number, intent).is_none());
            }
        }
        Step::Settle(places) => {
            let mut open = model.intents.clone();
            let mut outcomes = Vec::new();
            for (at, (what, place, facts, hash)) in places.into_iter().enumerate() {
                let Some(intent) = pick(&open, place) else { break };
                let persistent_id = format!("{turn}.{at}");
                outcomes.push(match open.remove(&intent) {
                    _ if what == 0 => Outcome::Abandoned { intent },
                    Some(Intent::Delete { .. }) => Outcome::Deleted { intent },
                    Some(Intent::UpdateMetadata { .. }) if what == 1 => {
                        Outcome::MetadataUnknown { intent, facts, refused: hash % 2 == 0 }
                    }
                    Some(Intent::UpdateMetadata { .. }) => Outcome::MetadataUpdated { intent, facts },
                    Some(Intent::Write { replaces: Some(_), .. }) if what == 1 => Outcome::Deleted { intent },
                    _ if what == 2 => Outcome::Found { intent, persistent_id, facts, hash },
                    _ => Outcome::Written { intent, persistent_id, facts, hash, audio_hash: Some(!hash) },
                });
            }
            manifest.commit(&outcomes, &[]).unwrap();
            let entries = manifest.entries().unwrap();
            outcomes.iter().for_each(|outcome| model.settle(outcome, &entries));
        }
        Step::Correct(what, place, origin, state) => correct(manifest, model, what, place, origin, state),
        Step::Folders(made, folders) => {
            if made {
                model.folders.extend(folders.iter().cloned());
                manifest.correct(&[Correction::MadeFolders(folders)]).unwrap();
            } else {
                let known = model.folders.iter().next().cloned();
                let gone: Vec<DevicePath> = folders.into_iter().chain(known).collect();
                model.folders.retain(|folder| !gone.contains(folder));
                manifest.correct(&[Correction::ForgetFolders(gone)]).unwrap();
            }
        }
        Step::Results(results) => {
            manifest.set_results(&results).unwrap();
            model.results = results;
        }
        Step::Reopen => *manifest = store.open(Guid(1)).unwrap(),
    }
}

fn names(intent: &Intent, entry: i64) -> bool {
    matches!(intent, Intent::Write { replaces: Some(named), .. } | Intent::Delete { entry: named, .. }
        | Intent::UpdateMetadata { entry: named, .. } if *named == entry)
}

fn correct(
    manifest: &mut Box<dyn Manifest>,
    model: &mut Model,
    what: u8,
    place: Index,
    origin: Origin,
    state: EntryState,
) {
    if what == 3 {
        let free = |entry: &Entry| entry.state == EntryState::Present || model.is_free(entry.id);
        let allowed = model.entries.values().all(free);
        assert_eq!(manifest.correct(&[Correction::ForgetSkipped]).is_ok(), allowed);
        if allowed {
            model.entries.retain(|_, entry| entry.state == EntryState::Present);
        }
        return;
    }
    let Some(id) = pick(&model.entries, place) else { return };
    let is_free = model.is_free(id);
    let entry = model.entries.get_mut(&id).unwrap();
    match what {
        0 => {
            manifest.correct(&[Correction::State { entry: id, state }]).unwrap();
            entry.state = state;
        }
        1 => {
            let correction =
                Correction::Source { entry: id, origin: origin.clone(), size: 3, modified_ns: -9 };
            manifest.correct(&[correction]).unwrap();
            (entry.origin, entry.source_size, entry.source_modified_ns) = (origin, 3, -9);
        }
        _ => {
            assert_eq!(manifest.correct(&[Correction::Forget { entry: id }]).is_ok(), is_free);
            if is_free {
                model.entries.remove(&id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_sequence_of_steps_is_recorded_as_in_the_model(steps in prop::collection::vec(any_step(), 1..24)) {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteManifests::new(directory.path().to_owned());
        let mut manifest = store.open(Guid(1)).unwrap();
        let mut model = Model::default();
        for (turn, step) in steps.into_iter().enumerate() {
            run_step(&store, &mut manifest, &mut model, turn, step);
            let expected: Vec<Entry> = model.entries.values().cloned().collect();
            prop_assert_eq!(manifest.entries().unwrap(), expected);
            let expected: Vec<(i64, Intent)> = model.intents.clone().into_iter().collect();
            prop_assert_eq!(manifest.pending().unwrap(), expected);
            let expected: Vec<DevicePath> = model.folders.iter().cloned().collect();
            prop_assert_eq!(manifest.folders().unwrap(), expected);
            prop_assert_eq!(manifest.results().unwrap(), model.results.clone());
        }
    }
}

fn fixture() -> (tempfile::TempDir, Box<dyn Manifest>) {
    let directory = tempfile::tempdir().unwrap();
    let manifest = SqliteManifests::new(directory.path().to_owned()).open(Guid(1)).unwrap();
    (directory, manifest)
}

fn write(size: u64) -> Intent {
    Intent::Write {
        origin: Origin::Track(MediaUri("file:///a".into())),
        path: DevicePath::parse("a").unwrap(),
        temporary: DevicePath::parse("t").unwrap(),
        size,
        modified_ns: 0,
        replaces: None,
    }
}

fn written(intent: i64) -> Outcome {
    let facts = ObjectFacts { size: 0, modified_ns: 0 };
    Outcome::Written { intent, persistent_id: String::new(), facts, hash: 0, audio_hash: None }
}

#[test]
fn a_call_that_fails_in_the_middle_leaves_nothing_behind() {
    let (_directory, mut manifest) = fixture();
    let intent = manifest.commit(&[], &[write(1)]).unwrap()[0];
    let calls: [(&[Outcome], &[Intent]); 5] = [
        (&[written(intent), written(99)], &[]),
        (&[written(intent), written(intent)], &[]),
        (&[Outcome::Deleted { intent }], &[]),
        (&[written(intent)], &[Intent::Delete { entry: 99, aside: aside() }]),
        (&[written(intent)], &[write(u64::MAX)]),
    ];
    for (outcomes, intents) in calls {
        let error = manifest.commit(outcomes, intents).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert_eq!((manifest.entries(), manifest.pending()), (Ok(vec![]), Ok(vec![(intent, write(1))])));
    }
    assert!(
        manifest
            .correct(&[
                Correction::MadeFolders(vec![DevicePath::parse("f").unwrap()]),
                Correction::Forget { entry: 9 }
            ])
            .is_err()
    );
    assert_eq!(manifest.folders(), Ok(vec![]));
}

#[test]
fn numbers_are_never_used_again() {
    let (_directory, mut manifest) = fixture();
    let first = manifest.commit(&[], &[write(1)]).unwrap()[0];
    let second = manifest.commit(&[Outcome::Abandoned { intent: first }], &[write(2)]).unwrap()[0];
    assert!(second > first);
    let delete = |entry| Intent::Delete { entry, aside: aside() };
    manifest.commit(&[written(second)], &[]).unwrap();
    let entry = manifest.entries().unwrap()[0].id;
    let third = manifest.commit(&[], &[delete(entry)]).unwrap()[0];
    let fourth = manifest.commit(&[Outcome::Deleted { intent: third }], &[write(4)]).unwrap()[0];
    manifest.commit(&[written(fourth)], &[]).unwrap();
    assert!(manifest.entries().unwrap()[0].id > entry);
}

#[test]
fn a_file_of_the_users_that_was_found_never_counts_as_ours() {
    let (_dir, mut manifest) = fixture();
    let (facts, path) = (ObjectFacts { size: 5, modified_ns: 7 }, DevicePath::parse("Music/a.mp3").unwrap());
    let origin = Origin::Track(MediaUri("file:///a.mp3".into()));
    let found = Correction::Found {
        origin: origin.clone(),
        path: path.clone(),
        facts,
        size: 5,
        modified_ns: 9,
        hash: 11,
    };
    manifest.correct(&[found]).unwrap();
    let entries = manifest.entries().unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((&entry.origin, &entry.path, entry.facts, entry.hash), (&origin, &path, facts, 11));
    assert_eq!((entry.source_size, entry.source_modified_ns, entry.state), (5, 9, EntryState::Foreign));
    assert_eq!(
        manifest.media_state(&MediaUri("file:///a.mp3".into())).unwrap(),
        (true, false),
        "it is there"
    );
}

#[test]
fn a_replacement_that_lost_the_old_file_ends_its_entry() {
    let (_directory, mut manifest) = fixture();
    let first = manifest.commit(&[], &[write(1)]).unwrap()[0];
    manifest.commit(&[written(first)], &[]).unwrap();
    let entry = manifest.entries().unwrap()[0].id;
    let mut replacement = write(2);
    if let Intent::Write { replaces, .. } = &mut replacement {
        *replaces = Some(entry);
    }
    let intent = manifest.commit(&[], &[replacement]).unwrap()[0];
    manifest.commit(&[Outcome::Deleted { intent }], &[]).unwrap();
    assert_eq!((manifest.entries(), manifest.pending()), (Ok(vec![]), Ok(vec![])));
}

#[test]
fn a_run_is_open_from_its_first_commit_until_it_is_closed() {
    let (directory, mut manifest) = fixture();
    manifest.begin_run(Guid(5), 70);
    assert_eq!(manifest.open_run(), Ok(None), "nothing was done yet");
    let numbers = manifest.commit(&[], &[write(1), write(2)]).unwrap();
    let facts = ObjectFacts { size: 9, modified_ns: 0 };
    let outcome = |intent| Outcome::Found { intent, persistent_id: String::new(), facts, hash: 0 };
    manifest.commit(&[outcome(numbers[0])], &[]).unwrap();
    drop(manifest);
    // killed here
    let mut manifest = SqliteManifests::new(directory.path().to_owned()).open(Guid(1)).unwrap();
    let run = OpenRun { id: Guid(5), began: 70, last: 70, change_count: 1, written_bytes: 9, item_count: 1 };
    assert_eq!(manifest.open_run(), Ok(Some(run)));
    manifest.commit(&[outcome(numbers[1])], &[]).unwrap();
    let now_two = OpenRun { item_count: 2, ..run };
    assert_eq!(manifest.open_run(), Ok(Some(now_two)), "what is nobody's doing is counted for nobody");
    let entry = manifest.entries().unwrap()[0].id;
    manifest.begin_run(Guid(6), 80);
    let delete = manifest.commit(&[], &[Intent::Delete { entry, aside: aside() }]).unwrap()[0];
    manifest.commit(&[Outcome::Deleted { intent: delete }], &[]).unwrap();
    let next = OpenRun { id: Guid(6), began: 80, last: 80, change_count: 1, written_bytes: 0, item_count: 1 };
    assert_eq!(manifest.open_run(), Ok(Some(next)));
    manifest.close_run(Guid(5)).unwrap();
    assert_eq!(manifest.open_run(), Ok(Some(next)), "it is another one");
    manifest.close_run(Guid(6)).unwrap();
    assert_eq!(manifest.open_run(), Ok(None));
}
