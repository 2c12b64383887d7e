//! Scans over real folders: what changes the index, what must not, and what counts as trouble.
//!
//! Watching isn't tested here; the tests of the whole agent do that.

mod away;
mod players;
mod playlists;
mod untold;

use super::*;
use crate::samples;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const MARK: &str = ".mounted";

struct Fixture {
    folder: tempfile::TempDir,
    index: Arc<Index>,
    scanner: Scanner,
}

fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::io::Write::write_all(&mut fs::File::create(path).unwrap(), content).unwrap();
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("music")).unwrap();
        let index = Arc::new(Index::open(&folder.path().join("state"), index::Folders::default()).unwrap());
        index.show_folders(vec![folder.path().join("music")]);
        let scanner = Scanner::new(index.clone(), Arc::new(Watcher::new().0));
        Self { folder, index, scanner }
    }

    /// Looks for this file in place of asking the kernel what is mounted, which takes root to arrange.
    fn with_marked_mounts(mut self) -> Self {
        self.scanner.is_mount = |folder| {
            rustix::fs::accessat(folder, MARK, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty())
                .is_ok()
        };
        self
    }

    /// As after an end and a new start of the agent.
    fn restarted(self) -> Self {
        let Self { folder, index, .. } = self;
        let folders = index.folders();
        drop(index);
        let index = Arc::new(Index::open(&folder.path().join("state"), index::Folders::default()).unwrap());
        index.show_folders(folders);
        let scanner = Scanner::new(index.clone(), Arc::new(Watcher::new().0));
        Self { folder, index, scanner }.with_marked_mounts()
    }

    fn scan_trusting(&self) {
        self.scanner.scan(&Wanted { full: true, trust_empty: true, ..Wanted::default() }).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("music").join(name)
    }

    fn scan(&self) {
        self.scanner.scan(&Wanted { full: true, ..Wanted::default() }).unwrap();
    }

    fn scan_only(&self, folder: &str, deep: bool) {
        let dirty =
            [(if folder.is_empty() { self.folder.path().join("music") } else { self.at(folder) }, deep)];
        self.scanner.scan(&Wanted { dirty: dirty.into(), ..Wanted::default() }).unwrap();
    }

    /// Number, path below the folder, and title of each track.
    fn tracks(&self) -> Vec<(i64, String, String)> {
        self.index
            .read(|connection| {
                let mut statement =
                    connection.prepare("SELECT id, relative(path), title FROM track ORDER BY path")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .unwrap()
    }

    fn paths(&self) -> Vec<String> {
        self.tracks().into_iter().map(|(_, path, _)| path).collect()
    }

    fn generation(&self) -> u64 {
        self.index.read(|connection| index::meta(connection, "generation")).unwrap()
    }

    fn count(&self, table: &str) -> i64 {
        self.index
            .read(|c| Ok(c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?))
            .unwrap()
    }
}

#[test]
fn what_another_reader_of_tags_has_read_is_read_again() {
    let fixture = Fixture::new();
    put(&fixture.at("a.flac"), &samples::flac(&["TITLE=Read now"]));
    fixture.scan();
    let facts = |fixture: &Fixture| {
        let all = "SELECT id, added, size, modified_ns, inode, title FROM track";
        let columns =
            |row: &rusqlite::Row<'_>| (0..6).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<_>>>();
        fixture.index.read(|connection| Ok(connection.query_row(all, [], columns)?)).unwrap()
            as Vec<rusqlite::types::Value>
    };
    fixture
        .index
        .write(|transaction| {
            transaction.execute("UPDATE track SET added = 7", [])?;
            Ok(())
        })
        .unwrap();
    let expected = facts(&fixture);
    fixture
        .index
        .write(|transaction| {
            transaction.execute("UPDATE track SET title = 'Read then'", [])?;
            transaction.execute("DELETE FROM main.meta WHERE key = 'tag_reader'", [])?;
            Ok(())
        })
        .unwrap();
    let fixture = fixture.restarted();
    fixture.scan();
    assert_eq!(facts(&fixture), expected);
}

#[test]
fn a_scan_without_changes_changes_nothing() {
    let fixture = Fixture::new();
    for n in 0..30 {
        put(&fixture.at(&format!("a{}/b/{n}.flac", n % 3)), &samples::flac(&[&format!("TITLE=t{n}")]));
    }
    put(&fixture.at("list.m3u"), b"a0/b/0.flac\n");
    fixture.scan();
    let (tracks, generation) = (fixture.tracks(), fixture.generation());
    assert_eq!(tracks.len(), 30);
    fixture.scan();
    assert_eq!((fixture.tracks(), fixture.generation()), (tracks, generation));
}

#[test]
fn changed_new_and_removed_files_are_noticed_where_they_are() {
    let fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("b/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    let before = fixture.tracks();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one again"]));
    put(&fixture.at("b/3.flac"), &samples::flac(&["TITLE=three"]));
    fixture.scan_only("a", false);
    assert_eq!(fixture.tracks()[0], (before[0].0, "a/1.flac".into(), "one again".into()));
    assert_eq!(fixture.paths(), ["a/1.flac", "b/2.flac"]);
    fs::remove_file(fixture.at("b/2.flac")).unwrap();
    fixture.scan_only("b", false);
    assert_eq!(fixture.paths(), ["a/1.flac", "b/3.flac"]);
    fs::remove_dir_all(fixture.at("b")).unwrap();
    fixture.scan_only("", false);
    assert_eq!(fixture.paths(), ["a/1.flac"]);
    assert_eq!(fixture.count("dir"), 2);
}

#[test]
fn a_moved_folder_keeps_numbers_ratings_and_places_in_playlists() {
    let fixture = Fixture::new();
    put(&fixture.at("old/x/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("keep.flac"), &samples::flac(&["TITLE=keep"]));
    fixture.scan();
    let before = fixture.tracks();
    let old = text::bytes(&fixture.at("old/x/1.flac")).to_vec();
    fixture
        .index
        .write(|transaction| {
            transaction.execute("INSERT INTO lib.media (path, rating) VALUES (?1, 75)", [&old])?;
            transaction.execute("INSERT INTO lib.playlist_item VALUES (1, 0, ?1)", [&old])?;
            Ok(())
        })
        .unwrap();
    fs::create_dir(fixture.at("new")).unwrap();
    fs::rename(fixture.at("old/x"), fixture.at("new/y")).unwrap();
    let dirty = [(fixture.at("old"), false), (fixture.at("new"), false), (fixture.at("new/y"), true)];
    let dirty = dirty.into_iter().chain([(fixture.folder.path().join("music"), false)]).collect();
    fixture.scanner.scan(&Wanted { dirty, ..Wanted::default() }).unwrap();
    assert_eq!(fixture.paths(), ["keep.flac", "new/y/1.flac"]);
    assert_eq!(fixture.tracks()[1].0, before[1].0);
    let new = text::bytes(&fixture.at("new/y/1.flac")).to_vec();
    for table in ["lib.media", "lib.playlist_item"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE path = ?1");
        let found: i64 = fixture.index.read(|c| Ok(c.query_row(&sql, [&new], |row| row.get(0))?)).unwrap();
        assert_eq!(found, 1, "{table}");
    }
}

#[test]
fn a_folder_that_is_renamed_under_the_scan_is_looked_for_once_more() {
    let mut fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("z/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    let before = fixture.tracks();
    // the scan asks for each folder that it opens; at the first one below, the other one gets another name
    put(&fixture.at("z/.trap"), b"");
    fixture.scanner.is_mount = |folder| {
        if rustix::fs::unlinkat(folder, ".trap", rustix::fs::AtFlags::empty()).is_ok() {
            rustix::fs::renameat(folder, "../a", folder, "../moved").unwrap();
        }
        false
    };
    fixture.scan();
    assert_eq!(fixture.tracks(), before, "nothing is taken for deleted");
    let again = std::mem::take(&mut *lock(&fixture.scanner.wanted));
    assert_eq!(again.dirty, [(fixture.folder.path().join("music"), false)].into());
    fixture.scanner.scan(&again).unwrap();
    assert_eq!(fixture.tracks()[0], (before[0].0, "moved/1.flac".into(), "one".into()));
    assert!(lock(&fixture.scanner.wanted).is_empty());
}

#[test]
fn titles_that_begin_with_dots_are_in_the_library() {
    let fixture = Fixture::new();
    for name in ["...And Justice/1.flac", "...Baby.flac", ".hidden/2.flac", ".3.flac"] {
        put(&fixture.at(name), &samples::flac(&["TITLE=one"]));
    }
    fixture.scan();
    assert_eq!(fixture.paths(), ["...And Justice/1.flac", "...Baby.flac"]);
    put(&fixture.at("...And Justice/4.flac"), &samples::flac(&["TITLE=four"]));
    fixture.scan_only("...And Justice", false);
    assert_eq!(fixture.paths().len(), 3);
}

#[test]
fn music_lies_as_deep_as_it_likes() {
    let fixture = Fixture::new();
    let deep: PathBuf = std::iter::repeat_n("d", 300).collect();
    put(&fixture.at(deep.to_str().unwrap()).join("1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    assert_eq!(fixture.tracks().len(), 1);
    assert_eq!(fixture.scanner.trouble(), None);
}

#[test]
fn what_two_visits_miss_is_gone_once() {
    let fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("n/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    fs::remove_dir_all(fixture.at("n")).unwrap();
    let dirty = [(fixture.folder.path().join("music"), false), (fixture.at("n"), true)].into();
    fixture.scanner.scan(&Wanted { dirty, ..Wanted::default() }).unwrap();
    assert_eq!((fixture.scanner.trouble(), fixture.paths()), (None, vec!["1.flac".to_owned()]));
}

#[test]
fn what_is_moved_on_before_the_scan_comes_by_again_leaves_nothing_behind() {
    let mut fixture = Fixture::new();
    put(&fixture.at("between/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("old/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    fs::rename(fixture.at("old"), fixture.at("new")).unwrap();
    put(&fixture.at("between/.trap"), b"");
    fixture.scanner.is_mount = |folder| {
        if rustix::fs::unlinkat(folder, ".trap", rustix::fs::AtFlags::empty()).is_ok() {
            rustix::fs::renameat(folder, "../new", folder, "../newer").unwrap();
        }
        false
    };
    let music = fixture.folder.path().join("music");
    let dirty = [(music, false), (fixture.at("between"), false), (fixture.at("new"), true)].into();
    fixture.scanner.scan(&Wanted { dirty, ..Wanted::default() }).unwrap();
    assert_eq!(fixture.paths(), ["between/1.flac"]);
    fixture.scan_only("", false);
    assert_eq!(fixture.paths(), ["between/1.flac", "newer/2.flac"]);
}

#[test]
fn folders_that_the_library_no_longer_holds_leave_the_index() {
    let fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("b/2.flac"), &samples::flac(&["TITLE=two"]));
    put(&fixture.at("b/list.m3u"), b"2.flac\nhttp://x/y\n");
    fixture.scan();
    let before = fixture.tracks();
    fixture.index.show_folders(vec![fixture.at("a")]);
    fixture.scan();
    assert_eq!(fixture.tracks(), [(before[0].0, "1.flac".into(), "one".into())]);
    assert_eq!(
        (fixture.count("dir"), fixture.count("playlist_file"), fixture.count("playlist_entry")),
        (1, 0, 0)
    );
    // a folder within another one is not listed twice, and going back finds all again
    fixture.index.show_folders(vec![fixture.at("a"), fixture.folder.path().join("music")]);
    fixture.scan();
    assert_eq!((fixture.count("track"), fixture.count("dir")), (2, 3));
}

#[test]
fn a_subfolder_that_is_made_and_told_twice_is_read_once() {
    let fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    put(&fixture.at("n/o/2.flac"), &samples::flac(&["TITLE=two"]));
    let generation = fixture.generation();
    let dirty = ["n/o", "n"].map(|name| (fixture.at(name), true));
    let dirty = dirty.into_iter().chain([(fixture.folder.path().join("music"), false)]).collect();
    fixture.scanner.scan(&Wanted { dirty, ..Wanted::default() }).unwrap();
    assert_eq!(fixture.paths(), ["1.flac", "n/o/2.flac"]);
    assert_eq!(fixture.generation(), generation + 1);
    // a folder whose parents are not known yet is left to their visit
    put(&fixture.at("p/q/3.flac"), &samples::flac(&["TITLE=three"]));
    fixture.scan_only("p/q", true);
    fixture.scan();
    assert_eq!(fixture.paths().len(), 3);
}

#[tokio::test]
async fn requests_are_gathered_and_settled() {
    let fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    let Fixture { index, folder, .. } = fixture;
    let scanner = Arc::new(Scanner::new(index.clone(), Arc::new(Watcher::new().0)));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(scanner.clone().run());
    let mut scanning = scanner.scanning();
    scanner.request_full(false);
    scanner.request_full(false);
    assert!(*scanning.borrow_and_update());
    scanner.settle(Duration::from_secs(20)).await;
    assert_eq!(index.read(track_count).unwrap(), 1);
    assert!(!*scanning.borrow_and_update());
    drop(folder);
}
