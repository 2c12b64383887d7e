//! Playlist files: what keeps the entries that they had, and which file is which playlist.

use super::*;
use crate::playlists::resolve::{Item, Moment, for_each};
use crate::playlists::{parse, store};

impl Fixture {
    /// The id of the playlist file at this path.
    fn playlist_id(&self, name: &str) -> PlaylistId {
        self.index.read(|connection| identity::id_at(connection, text::bytes(&self.at(name)))).unwrap()
    }

    /// What a playlist stands for: file names of tracks, and entries in brackets that are none; `None`: there is none.
    fn entries(&self, id: &PlaylistId) -> Option<Vec<String>> {
        let read = |connection: &Connection| {
            let Some(playlist) = store::existing(connection, id)? else { return Ok(None) };
            let mut entries = Vec::new();
            for_each(connection, &playlist, Moment { now: 0, seed: 0 }, &mut |item| {
                entries.push(match item {
                    Item::Track(row) => {
                        let path: Vec<u8> = row.get(1)?;
                        String::from_utf8_lossy(text::file_name(&path)).into_owned()
                    }
                    Item::MissingPath(path) => format!("[{}]", String::from_utf8_lossy(path)),
                    Item::MissingText(entry) => format!("[{entry}]"),
                });
                Ok(true)
            })?;
            Ok(Some(entries))
        };
        self.index.read(read).unwrap()
    }

    /// What is told where these playlists are asked for.
    fn trouble_with(&self, ids: &[&PlaylistId]) -> Option<String> {
        let ids: Vec<PlaylistId> = ids.iter().copied().cloned().collect();
        self.index.read(|connection| self.scanner.trouble_with(connection, &ids)).unwrap()
    }

    fn make_unreadable(&self, name: &str) {
        // permissions keep nothing from root, so it is made longer than any that is read
        fs::File::options().write(true).open(self.at(name)).unwrap().set_len(parse::MAX_FILE + 1).unwrap();
    }
}

fn two_tracks() -> Fixture {
    let fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("2.flac"), &samples::flac(&["TITLE=two"]));
    fixture
}

#[test]
fn a_playlist_file_that_cannot_be_read_keeps_its_entries_and_is_read_when_it_can_be() {
    let fixture = two_tracks();
    put(&fixture.at("list.m3u"), b"1.flac\n2.flac\n");
    put(&fixture.at("other.m3u"), b"1.flac\n");
    fixture.scan();
    let (list, other) = (fixture.playlist_id("list.m3u"), fixture.playlist_id("other.m3u"));
    let generation = fixture.generation();
    fixture.make_unreadable("list.m3u");
    fixture.scan();
    assert_eq!(fixture.entries(&list).unwrap(), ["1.flac", "2.flac"]);
    assert_eq!(fixture.generation(), generation, "nothing calls for a run");
    let told = fixture.scanner.trouble().unwrap();
    assert!(told.contains("list.m3u can't be read") && told.contains("make it readable"), "{told}");
    assert_eq!(fixture.trouble_with(&[&other, &list]), Some(told));
    assert_eq!(fixture.trouble_with(&[&other]), None, "it is no trouble of what is not asked for");
    // its time is what it was when it could not be read
    let facts = fs::metadata(fixture.at("list.m3u")).unwrap();
    put(&fixture.at("list.m3u"), b"2.flac\n");
    fs::File::open(fixture.at("list.m3u")).unwrap().set_modified(facts.modified().unwrap()).unwrap();
    fixture.scanner.look_again();
    let wanted = std::mem::take(&mut *lock(&fixture.scanner.wanted));
    fixture.scanner.scan(&wanted).unwrap();
    assert_eq!((fixture.scanner.trouble(), fixture.trouble_with(&[&list])), (None, None));
    assert_eq!(fixture.entries(&list).unwrap(), ["2.flac"]);
}

#[test]
fn a_playlist_file_that_never_could_be_read_is_no_empty_one() {
    let fixture = two_tracks();
    put(&fixture.at("list.m3u"), b"");
    fixture.make_unreadable("list.m3u");
    fixture.scan();
    let list = fixture.playlist_id("list.m3u");
    assert_eq!(fixture.entries(&list), None);
    assert!(fixture.trouble_with(&[&list]).unwrap().contains("can't be read"));
    fs::remove_file(fixture.at("list.m3u")).unwrap();
    fixture.scan();
    assert_eq!(fixture.scanner.trouble(), None);
}

#[test]
fn a_playlist_file_that_is_moved_is_the_same_playlist() {
    let fixture = two_tracks();
    let absolute = format!("{}\n{}\n", fixture.at("1.flac").display(), fixture.at("2.flac").display());
    put(&fixture.at("lists/mix.m3u"), absolute.as_bytes());
    put(&fixture.at("lists/other.m3u"), b"../1.flac\n");
    fixture.scan();
    let (mix, other) = (fixture.playlist_id("lists/mix.m3u"), fixture.playlist_id("lists/other.m3u"));
    fs::rename(fixture.at("lists/mix.m3u"), fixture.at("lists/new.m3u")).unwrap();
    fixture.scan_only("lists", false);
    assert_eq!((fixture.playlist_id("lists/new.m3u"), fixture.count("playlist_file")), (mix.clone(), 2));
    assert_eq!(fixture.entries(&mix).unwrap(), ["1.flac", "2.flac"]);
    // with its folder, and to another one as a copy
    fs::rename(fixture.at("lists"), fixture.at("moved")).unwrap();
    fixture.scan();
    assert_eq!(fixture.playlist_id("moved/new.m3u"), mix);
    assert_eq!(fixture.playlist_id("moved/other.m3u"), other);
    assert_eq!(fixture.entries(&other).unwrap(), ["1.flac"]);
    put(&fixture.at("copy.m3u"), absolute.as_bytes());
    fs::remove_file(fixture.at("moved/new.m3u")).unwrap();
    fixture.scan();
    assert_eq!((fixture.playlist_id("copy.m3u"), fixture.count("playlist_file")), (mix.clone(), 2));
    // what comes to lie where it was is another one
    put(&fixture.at("lists/mix.m3u"), b"../2.flac\n");
    fixture.scan();
    let second = fixture.playlist_id("lists/mix.m3u");
    assert!(second != mix && identity::is_file(&second));
    assert_eq!((fixture.entries(&mix).unwrap().len(), fixture.entries(&second).unwrap().len()), (2, 1));
    // an index that is made again knows it still, and so it is when it is back where it was
    let state = fixture.folder.path().join("state");
    let Fixture { folder, index, .. } = fixture;
    let folders = index.folders();
    drop(index);
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(state.join(name));
    }
    let index = Arc::new(Index::open(&state, index::Folders::default()).unwrap());
    index.show_folders(folders);
    let fixture = Fixture { scanner: Scanner::new(index.clone(), Arc::new(Watcher::new().0)), folder, index };
    fixture.scan();
    assert_eq!(fixture.playlist_id("copy.m3u"), mix);
    assert_eq!(fixture.playlist_id("lists/mix.m3u"), second);
    fs::remove_file(fixture.at("lists/mix.m3u")).unwrap();
    fixture.scan();
    fs::rename(fixture.at("copy.m3u"), fixture.at("lists/mix.m3u")).unwrap();
    fixture.scan();
    assert_eq!(fixture.count("lib.playlist_path"), 1, "only the other one is not where it was");
    assert_eq!(fixture.playlist_id("lists/mix.m3u"), mix);
}

#[test]
fn a_playlist_file_that_is_moved_between_folders_of_the_library_is_the_same_playlist() {
    let fixture = two_tracks();
    for folder in ["a", "b"] {
        put(&fixture.at(folder).join("3.flac"), &samples::flac(&["TITLE=three"]));
    }
    fixture.index.show_folders(vec![fixture.at("a"), fixture.at("b")]);
    put(&fixture.at("a/list.m3u"), b"3.flac\n");
    fixture.scan();
    let list = fixture.playlist_id("a/list.m3u");
    for (from, to) in [("a/list.m3u", "b/list.m3u"), ("b/list.m3u", "a/back.m3u")] {
        fs::rename(fixture.at(from), fixture.at(to)).unwrap();
        fixture.scan();
        assert_eq!((fixture.playlist_id(to), fixture.count("playlist_file")), (list.clone(), 1));
    }
    fs::remove_file(fixture.at("a/back.m3u")).unwrap();
    fixture.scan();
    assert_eq!((fixture.entries(&list), fixture.count("playlist_entry")), (None, 0));
}

#[test]
fn a_playlist_file_that_is_moved_and_cannot_be_read_keeps_its_entries() {
    let fixture = two_tracks();
    put(&fixture.at("list.m3u"), b"1.flac\n");
    fixture.scan();
    let list = fixture.playlist_id("list.m3u");
    fixture.make_unreadable("list.m3u");
    // as it was known: only its content can't be read
    let facts = walk::list(&walk::Root::open(&fixture.at("")).unwrap(), Path::new(""), mounts::is_mount);
    let facts = facts.unwrap().playlists[0].facts;
    let sql = "UPDATE playlist_file SET size = ?1, modified_ns = ?2";
    fixture.index.write(|t| Ok(t.execute(sql, (facts.size, facts.modified_ns))?)).unwrap();
    fs::rename(fixture.at("list.m3u"), fixture.at("moved.m3u")).unwrap();
    fixture.scan();
    assert_eq!((fixture.playlist_id("moved.m3u"), fixture.entries(&list).unwrap().len()), (list.clone(), 1));
    assert!(fixture.trouble_with(&[&list]).unwrap().contains("moved.m3u"));
    put(&fixture.at("moved.m3u"), b"2.flac\n1.flac\n");
    fixture.scan();
    assert_eq!((fixture.scanner.trouble(), fixture.entries(&list).unwrap().len()), (None, 2));
}

#[test]
fn entries_are_looked_for_in_folders_that_come_later() {
    let fixture = two_tracks();
    put(&fixture.at("a/list.m3u"), b"D:\\Music\\x\\3.flac\n");
    put(&fixture.at("b/x/3.flac"), &samples::flac(&["TITLE=three"]));
    fixture.index.show_folders(vec![fixture.at("a")]);
    fixture.scan();
    let list = fixture.playlist_id("a/list.m3u");
    assert_eq!(fixture.entries(&list).unwrap(), ["[D:\\Music\\x\\3.flac]"]);
    fixture.index.show_folders(vec![fixture.at("a"), fixture.at("b")]);
    fixture.scan();
    assert_eq!(fixture.entries(&list).unwrap(), ["3.flac"]);
    let generation = fixture.generation();
    fixture.scan();
    assert_eq!(fixture.generation(), generation, "they are read again once");
}

fn set_modified(path: &Path, time: std::time::SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_playlist_file_that_is_emptied_before_it_is_written_keeps_its_entries_meanwhile() {
    let fixture = two_tracks();
    put(&fixture.at("list.m3u"), b"1.flac\n");
    fixture.scan();
    let (list, generation) = (fixture.playlist_id("list.m3u"), fixture.generation());
    put(&fixture.at("list.m3u"), b"");
    fixture.scan();
    assert_eq!((fixture.entries(&list).unwrap().len(), fixture.generation()), (1, generation));
    assert!(lock(&fixture.scanner.told).kept.next_look().is_some());
    put(&fixture.at("list.m3u"), b"2.flac\n1.flac\n");
    fixture.scan();
    assert_eq!(fixture.entries(&list).unwrap(), ["2.flac", "1.flac"]);
    assert!(lock(&fixture.scanner.told).kept.next_look().is_none());
    put(&fixture.at("list.m3u"), b"");
    set_modified(&fixture.at("list.m3u"), std::time::SystemTime::now() - Duration::from_secs(60));
    fixture.scan();
    assert_eq!(fixture.entries(&list).unwrap().len(), 0, "it has been so for a minute");
}

#[tokio::test(start_paused = true)]
async fn a_playlist_file_that_stays_empty_is_empty_after_a_while() {
    let fixture = two_tracks();
    put(&fixture.at("list.m3u"), b"1.flac\n");
    fixture.scan();
    let list = fixture.playlist_id("list.m3u");
    put(&fixture.at("list.m3u"), b"");
    // a clock that is ahead
    set_modified(&fixture.at("list.m3u"), std::time::SystemTime::now() + Duration::from_secs(3600));
    let scanner = Arc::new(Scanner::new(fixture.index.clone(), Arc::new(Watcher::new().0)));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(scanner.clone().run());
    scanner.request_full(false);
    let mut completed = scanner.completed();
    completed.wait_for(|completed| *completed == 1).await.unwrap();
    assert_eq!(fixture.entries(&list).unwrap().len(), 1);
    completed.wait_for(|completed| *completed == 2).await.unwrap();
    assert_eq!(fixture.entries(&list).unwrap().len(), 0);
    assert!(lock(&scanner.told).kept.next_look().is_none());
}
