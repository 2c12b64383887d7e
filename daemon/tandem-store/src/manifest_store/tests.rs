//! Tests of manifests as files: health at opening, damage of every kind, removal.

use super::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use tandem_model::id::{MediaUri, PlaylistId};
use tandem_model::manifest::{Correction, EntryState, Intent, ItemResult, Origin, Outcome, Record};
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;

const ID: Guid = Guid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

struct Fixture {
    directory: tempfile::TempDir,
    store: SqliteManifests,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteManifests::new(directory.path().to_owned());
        Self { directory, store }
    }

    fn with_entries(count: usize) -> Self {
        let fixture = Self::new();
        fill(&mut *fixture.open(), count);
        fixture
    }

    fn open(&self) -> Box<dyn Manifest> {
        self.store.open(ID).unwrap()
    }

    fn damage(&self) -> String {
        match self.store.open(ID).map(drop) {
            Err(error @ StoreError::Damaged { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn path(&self) -> PathBuf {
        self.store.path(ID)
    }

    fn names(&self) -> Vec<String> {
        let listing = fs::read_dir(self.directory.path().join("manifests")).unwrap();
        let mut names: Vec<String> =
            listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path()).unwrap();
        change(&mut bytes);
        file::replace(&self.path(), &bytes).unwrap();
    }

    fn sql(&self, batch: &str) {
        schema::open_file(&self.path()).unwrap().execute_batch(batch).unwrap();
    }
}

fn aside() -> DevicePath {
    DevicePath::parse(".tandem/0123.part").unwrap()
}

fn write(number: usize) -> Intent {
    Intent::Write {
        origin: Origin::Track(MediaUri(format!("file:///music/{number}.mp3").into())),
        path: DevicePath::parse(&format!("Music/Artist {}/{number}.mp3", number / 10)).unwrap(),
        temporary: DevicePath::parse(&format!(".tandem/{number}")).unwrap(),
        size: 1000,
        modified_ns: -5,
        replaces: None,
    }
}

fn written(intent: i64) -> Outcome {
    let facts = ObjectFacts { size: 1000, modified_ns: 7 };
    Outcome::Written {
        intent,
        persistent_id: format!("id {intent}"),
        facts,
        hash: u128::MAX - 5,
        audio_hash: Some(7),
    }
}

fn fill(manifest: &mut dyn Manifest, count: usize) {
    let intents: Vec<Intent> = (0..count).map(write).collect();
    let numbers = manifest.commit(&[], &intents).unwrap();
    let outcomes: Vec<Outcome> = numbers.into_iter().map(written).collect();
    manifest.commit(&outcomes, &[]).unwrap();
}

#[test]
fn a_new_manifest_is_empty_private_and_lasts() {
    let fixture = Fixture::new();
    let manifest = fixture.open();
    assert_eq!(
        (manifest.entries(), manifest.pending(), manifest.folders()),
        (Ok(vec![]), Ok(vec![]), Ok(vec![]))
    );
    drop(manifest);
    assert_eq!(fixture.names(), ["01234567-89AB-CDEF-0123-456789ABCDEF.sqlite"]);
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let mut manifest = fixture.open();
    fill(&mut *manifest, 3);
    let entries = manifest.entries().unwrap();
    drop(manifest);
    let manifest = SqliteManifests::new(fixture.directory.path().to_owned()).open(ID).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(manifest.entries(), Ok(entries));
}

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let fixture = Fixture::with_entries(2);
    let mut manifest = fixture.open();
    let intents = manifest.commit(&[], &[write(7), Intent::Delete { entry: 1, aside: aside() }]).unwrap();
    // the files as a crash would leave them: taken while the connection still holds the log
    let crashed = Fixture::new();
    file::ensure_directory(&crashed.directory.path().join("manifests")).unwrap();
    for suffix in ["", "-wal"] {
        fs::copy(file::with_suffix(&fixture.path(), suffix), file::with_suffix(&crashed.path(), suffix))
            .unwrap();
    }
    let again = crashed.open();
    assert_eq!(
        again.pending().unwrap(),
        [(intents[0], write(7)), (intents[1], Intent::Delete { entry: 1, aside: aside() })]
    );
    assert_eq!(again.entries(), manifest.entries());
}

#[test]
fn a_crash_while_the_first_file_is_made_leaves_no_half_manifest() {
    let fixture = Fixture::new();
    file::ensure_directory(fixture.path().parent().unwrap()).unwrap();
    for suffix in [".new", ".new-journal", "-wal"] {
        file::replace(&file::with_suffix(&fixture.path(), suffix), b"left over").unwrap();
    }
    assert_eq!(fixture.open().entries(), Ok(vec![]));
    assert_eq!(fixture.names(), ["01234567-89AB-CDEF-0123-456789ABCDEF.sqlite"]);
}

#[test]
fn a_file_that_is_no_manifest_is_set_aside_and_the_next_opening_starts_anew() {
    let damages: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |bytes| bytes.truncate(60),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[3] ^= 1,
        |bytes| bytes[16] = 7,
        |bytes| {
            *bytes = b"a text that is longer than a header, and so must be told by what it says ".repeat(20);
        },
    ];
    let fixture = Fixture::with_entries(100);
    for (at, damage) in damages.into_iter().enumerate() {
        fixture.change(damage);
        let bytes = fs::read(fixture.path()).unwrap();
        let message = fixture.damage();
        let aside = file::with_suffix(&fixture.path(), &format!(".damaged-{}", at + 1));
        assert!(message.contains(aside.to_str().unwrap()), "{message}");
        assert_eq!(fs::read(aside).unwrap(), bytes);
        let mut manifest = fixture.open();
        assert_eq!(manifest.entries(), Ok(vec![]));
        fill(&mut *manifest, 100);
    }
}

#[test]
fn a_database_of_something_else_is_set_aside() {
    let fixture = Fixture::with_entries(1);
    fixture.sql("PRAGMA application_id = 5");
    assert!(fixture.damage().contains("not a manifest"));
    fill(&mut *fixture.open(), 1);
    fixture.sql("DROP TABLE intents");
    assert!(fixture.damage().contains("intents"));
    assert_eq!(fixture.open().entries(), Ok(vec![]));
}

#[test]
fn no_more_than_nine_damaged_files_are_kept_and_an_ended_partnership_leaves_none() {
    let fixture = Fixture::new();
    for _ in 0..12 {
        drop(fixture.open());
        fixture.change(Vec::clear);
        fixture.damage();
    }
    assert_eq!(fixture.names().len(), 9);
    drop(fixture.open());
    fixture.store.remove(ID).unwrap();
    assert_eq!(fixture.names(), Vec::<String>::new());
}

#[test]
fn rows_that_cannot_be_are_damage_and_the_second_opening_starts_anew() {
    for change in [
        "UPDATE entries SET path = '../../etc/passwd' WHERE id = 3",
        "UPDATE entries SET path = 'Music/of the user.mp3' WHERE id = 3",
        "UPDATE entries SET state = 9 WHERE id = 3",
        "UPDATE entries SET state = 1 WHERE id = 3",
        "UPDATE entries SET size = -1 WHERE id = 3",
        "UPDATE entries SET hash = x'00' WHERE id = 3",
        "UPDATE entries SET origin_kind = 2 WHERE id = 3",
        "UPDATE intents SET kind = 2",
        "UPDATE intents SET entry = NULL",
        "UPDATE intents SET entry = 4",
        "INSERT INTO folders VALUES ('..')",
        "INSERT INTO results VALUES (0, '', 'no such word', '')",
    ] {
        let fixture = Fixture::with_entries(5);
        fixture.open().commit(&[], &[Intent::Delete { entry: 2, aside: aside() }]).unwrap();
        fixture.sql(change);
        let manifest = fixture.open();
        let results = [
            manifest.entries().map(drop),
            manifest.pending().map(drop),
            manifest.folders().map(drop),
            manifest.results().map(drop),
        ];
        let damaged =
            results.iter().filter(|result| matches!(result, Err(StoreError::Damaged { .. }))).count();
        assert_eq!(damaged, 1, "{change}: {results:?}");
        drop(manifest);
        fixture.damage();
        assert_eq!(fixture.open().entries(), Ok(vec![]), "{change}");
    }
}

#[test]
fn no_flipped_bit_makes_us_own_what_we_did_not_write() {
    let fixture = Fixture::with_entries(8);
    let entries = fixture.open().entries().unwrap();
    let whole = fs::read(fixture.path()).unwrap();
    // most of the file is zeros between the pages' contents, of which a few are enough
    for at in (100..whole.len()).step_by(3).filter(|at| whole[*at] != 0 || at % 50 == 0) {
        fixture.store.remove(ID).unwrap();
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        file::create_fresh(&fixture.path()).unwrap().write_all(&flipped).unwrap();
        match fixture.store.open(ID).and_then(|manifest| manifest.entries()) {
            // a lost row is the harmless side: its file counts as foreign
            Ok(read) => assert!(read.iter().all(|entry| entries.contains(entry)), "byte {at}: {read:?}"),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}"),
        }
    }
}

#[test]
fn a_later_format_is_left_alone() {
    let fixture = Fixture::with_entries(1);
    fixture.sql("PRAGMA user_version = 6");
    let bytes = fs::read(fixture.path()).unwrap();
    let result = fixture.store.open(ID).map(drop);
    assert!(matches!(result, Err(StoreError::TooNew { found: 6, supported: 5, .. })), "{result:?}");
    assert_eq!(fs::read(fixture.path()).unwrap(), bytes);
}

#[test]
fn a_manifest_of_an_earlier_format_is_taken_over() {
    let fixture = Fixture::new();
    let mut manifest = fixture.open();
    let unknown = |outcome| match outcome {
        Outcome::Written { intent, persistent_id, facts, hash, .. } => {
            Outcome::Written { intent, persistent_id, facts, hash, audio_hash: None }
        }
        other => other,
    };
    let numbers = manifest.commit(&[], &[write(1), write(2)]).unwrap();
    let outcomes: Vec<Outcome> = numbers.into_iter().map(written).map(unknown).collect();
    manifest.commit(&outcomes, &[]).unwrap();
    let entries = manifest.entries().unwrap();
    manifest.begin_run(Guid(9), 70);
    manifest.record(Record { at: 75, ..Record::default() }).unwrap();
    assert_eq!(manifest.open_run().unwrap().map(|run| run.last), Some(75));
    drop(manifest);
    fixture.sql("PRAGMA user_version = 4");
    assert_eq!(fixture.open().open_run().unwrap().map(|run| run.last), Some(75), "all was there already");
    fixture.sql("ALTER TABLE runs DROP COLUMN last; PRAGMA user_version = 3");
    let open = fixture.open().open_run().unwrap().map(|run| (run.id, run.last));
    assert_eq!(
        open,
        Some((Guid(9), 70)),
        "it recorded nothing later than when it began, as far as that is known"
    );
    fixture.sql("DROP TABLE runs; PRAGMA user_version = 2");
    assert_eq!(fixture.open().entries().unwrap(), entries);
    fixture.sql("DROP TABLE runs; ALTER TABLE entries DROP COLUMN audio_hash; PRAGMA user_version = 1");
    let mut manifest = fixture.open();
    assert_eq!((manifest.entries().unwrap(), manifest.open_run()), (entries, Ok(None)));
    fill(&mut *manifest, 1);
    assert_eq!(manifest.entries().unwrap()[2].audio_hash, Some(7));
}

#[test]
fn removing_what_is_not_there_is_no_error() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.remove(ID), Ok(()));
    drop(fixture.open());
    assert_eq!(fixture.store.remove(ID), Ok(()));
    assert_eq!(fixture.store.remove(ID), Ok(()));
    assert_eq!(fixture.names(), Vec::<String>::new());
}

#[test]
fn a_place_that_cannot_be_used_is_named_and_nothing_is_set_aside() {
    let fixture = Fixture::new();
    let place = fixture.directory.path().join("manifests");
    file::replace(&place, b"a file").unwrap();
    let result = fixture.store.open(ID).map(drop);
    let Err(StoreError::Io { path, cause }) = result else { panic!("{result:?}") };
    assert!(path.starts_with(place.to_str().unwrap()) && cause.contains("move away"), "{path}: {cause}");
    fs::remove_file(&place).unwrap();
    fs::create_dir_all(fixture.path()).unwrap();
    let result = fixture.store.open(ID).map(drop);
    assert!(matches!(result, Err(StoreError::Io { .. })), "{result:?}");
    assert!(fixture.path().is_dir());
}

#[test]
fn a_full_disk_is_said_to_be_full_and_keeps_what_was() {
    let fixture = Fixture::with_entries(3);
    let mut manifest = fixture.store.open_at(&fixture.path(), ID).unwrap();
    let result = |number: usize| ItemResult {
        media: format!("file:///{number}"),
        error: None,
        message: "x".repeat(500),
    };
    manifest.set_results(&[result(0)]).unwrap();
    let entries = manifest.entries().unwrap();
    let pages: u32 = manifest.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    manifest.connection.pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(())).unwrap();
    let many: Vec<ItemResult> = (0..1000).map(result).collect();
    let Err(StoreError::Io { cause, .. }) = manifest.set_results(&many) else { panic!("it fitted") };
    assert!(cause.contains("free some space"), "{cause}");
    assert_eq!((manifest.results(), manifest.entries()), (Ok(vec![result(0)]), Ok(entries)));
}

#[test]
fn media_state_tells_what_is_there_and_what_had_no_space() {
    let fixture = Fixture::with_entries(2);
    let mut manifest = fixture.open();
    let media = |number: usize| MediaUri(format!("file:///music/{number}.mp3").into());
    let error = Some(tandem_model::error::ItemError::NoFit);
    let no_fit = ItemResult { media: media(5).to_string(), error, message: String::new() };
    manifest.set_results(&[no_fit]).unwrap();
    manifest.correct(&[Correction::State { entry: 2, state: EntryState::Skipped }]).unwrap();
    assert_eq!(manifest.media_state(&media(0)), Ok((true, false)));
    assert_eq!(manifest.media_state(&media(1)), Ok((false, false)));
    assert_eq!(manifest.media_state(&media(5)), Ok((false, true)));
    let origin = Origin::Playlist(PlaylistId(media(0).to_string()));
    manifest.correct(&[Correction::Source { entry: 1, origin, size: 1, modified_ns: 1 }]).unwrap();
    assert_eq!(manifest.media_state(&media(0)), Ok((false, false)), "a playlist is no media");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_by_name_and_not_waited_for() {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let fixture = Fixture::with_entries(1);
        let pipe = file::with_suffix(&fixture.path(), suffix);
        file::remove(&pipe).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(fixture.store.open(ID).map(drop)));
        let opened = receiver.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        let Err(StoreError::Io { path, cause }) = opened else { panic!("{suffix}: {opened:?}") };
        assert_eq!(path, pipe.display().to_string());
        assert!(cause.contains("move away"), "{cause}");
    }
}
