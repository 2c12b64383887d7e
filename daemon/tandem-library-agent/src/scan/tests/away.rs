//! Folders and file systems that are empty, unreadable, silent or not mounted: their tracks are kept, and that is told.

use super::*;

#[test]
fn a_folder_that_is_gone_or_empty_keeps_its_tracks() {
    let fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("sub/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    assert_eq!(fixture.scanner.trouble(), None);
    let (music, away) = (fixture.folder.path().join("music"), fixture.folder.path().join("away"));
    fs::rename(&music, &away).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("not there"));
    fs::create_dir(&music).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("empty now"));
    assert_eq!(fixture.paths().len(), 2);
    fs::remove_dir(&music).unwrap();
    fs::rename(&away, &music).unwrap();
    fixture.scan();
    assert_eq!((fixture.scanner.trouble(), fixture.paths().len()), (None, 2));
    fs::remove_dir_all(&music).unwrap();
    fs::create_dir(&music).unwrap();
    fixture.scanner.scan(&Wanted { full: true, trust_empty: true, ..Wanted::default() }).unwrap();
    assert_eq!((fixture.scanner.trouble(), fixture.paths().len()), (None, 0));
}

#[test]
fn a_library_that_is_empty_at_once_loses_nothing_part_by_part() {
    let fixture = Fixture::new();
    for name in ["a/1.flac", "b/2.flac"] {
        put(&fixture.at(name), &samples::flac(&["TITLE=one"]));
    }
    fixture.scan();
    for name in ["a/1.flac", "b/2.flac"] {
        fs::remove_file(fixture.at(name)).unwrap();
    }
    fixture.scan();
    for folder in ["a", "b"] {
        fixture.scan_only(folder, false);
        assert_eq!(fixture.paths(), ["a/1.flac", "b/2.flac"]);
        assert!(fixture.scanner.trouble().unwrap().contains("empty now"));
    }
    put(&fixture.at("b/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan_only("b", false);
    assert_eq!((fixture.scanner.trouble(), fixture.paths()), (None, vec!["b/2.flac".to_owned()]));
}

#[test]
fn what_is_not_mounted_keeps_its_tracks_until_it_is_back() {
    let fixture = Fixture::new().with_marked_mounts();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("a/NAS/2.flac"), &samples::flac(&["TITLE=two"]));
    put(&fixture.at("a/NAS/x/3.flac"), &samples::flac(&["TITLE=three"]));
    put(&fixture.at("a/NAS/x/list.m3u"), b"3.flac\n");
    put(&fixture.at("a/NAS").join(MARK), b"");
    fixture.scan();
    let (before, generation) = (fixture.tracks(), fixture.generation());
    assert_eq!((fixture.scanner.trouble(), before.len()), (None, 3));
    let share = fixture.folder.path().join("share");
    fs::rename(fixture.at("a/NAS"), &share).unwrap();
    put(&fixture.at("a/NAS/beneath.flac"), &samples::flac(&["TITLE=beneath"]));
    // as the end of the watches has it looked at
    for (folder, deep) in [("a/NAS/x", true), ("a/NAS", true), ("a", false)] {
        fixture.scan_only(folder, deep);
        assert!(fixture.scanner.trouble().unwrap().contains("a/NAS held music"), "{folder}");
    }
    let fixture = fixture.restarted();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("not mounted"));
    // some are unmounted with their folder, or with the one above it
    fs::remove_dir_all(fixture.at("a/NAS")).unwrap();
    fixture.scan();
    fs::remove_dir(fixture.at("a")).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("not mounted"));
    assert_eq!((fixture.tracks(), fixture.generation()), (before.clone(), generation));
    assert_eq!((fixture.count("playlist_file"), fixture.count("dir")), (1, 4));
    fs::create_dir(fixture.at("a")).unwrap();
    fs::rename(&share, fixture.at("a/NAS")).unwrap();
    fixture.scan();
    assert_eq!((fixture.scanner.trouble(), fixture.tracks()), (None, before));
    fs::remove_file(fixture.at("a/NAS/2.flac")).unwrap();
    fixture.scan();
    assert_eq!(fixture.paths(), ["1.flac", "a/NAS/x/3.flac"]);
}

#[test]
fn what_is_not_mounted_is_let_go_when_that_is_meant() {
    let fixture = Fixture::new().with_marked_mounts();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("NAS/2.flac"), &samples::flac(&["TITLE=two"]));
    put(&fixture.at("NAS").join(MARK), b"");
    fixture.scan();
    // a share that is mounted and empty looks as wrong
    fs::remove_file(fixture.at("NAS/2.flac")).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("held 1 tracks"));
    assert_eq!(fixture.paths().len(), 2);
    fs::remove_dir_all(fixture.at("NAS")).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("not mounted"));
    fixture.scan_trusting();
    assert_eq!((fixture.scanner.trouble(), fixture.paths()), (None, vec!["1.flac".to_owned()]));
    assert_eq!(fixture.count("lib.mount"), 0);
    fixture.scan();
    assert_eq!(fixture.scanner.trouble(), None);
}

#[test]
fn a_folder_of_the_library_that_is_not_mounted_shows_nothing_of_what_lies_beneath() {
    let fixture = Fixture::new().with_marked_mounts();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at(MARK), b"");
    fixture.scan();
    fs::rename(fixture.at(""), fixture.folder.path().join("share")).unwrap();
    put(&fixture.at("left.flac"), &samples::flac(&["TITLE=left"]));
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("not mounted"));
    assert_eq!(fixture.paths(), ["1.flac"]);
}

#[test]
fn an_index_that_was_lost_still_knows_that_a_folder_held_music() {
    let mut fixture = Fixture::new();
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    let state = fixture.folder.path().join("state");
    let folders = fixture.index.folders();
    fixture.index =
        Arc::new(Index::open(&fixture.folder.path().join("other"), index::Folders::default()).unwrap());
    fixture.scanner = Scanner::new(fixture.index.clone(), Arc::new(Watcher::new().0));
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        drop(fs::remove_file(state.join(name)));
    }
    fs::remove_file(fixture.at("1.flac")).unwrap();
    fixture.index = Arc::new(Index::open(&state, index::Folders::default()).unwrap());
    fixture.index.show_folders(folders);
    fixture.scanner = Scanner::new(fixture.index.clone(), Arc::new(Watcher::new().0));
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("held 1 tracks"));
}

#[test]
fn an_unreadable_folder_keeps_its_tracks_and_is_told() {
    if rustix::process::geteuid().is_root() {
        // root reads everything: there is nothing to show
        return;
    }
    let fixture = Fixture::new();
    put(&fixture.at("sub/2.flac"), &samples::flac(&["TITLE=two"]));
    put(&fixture.at("1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    fs::set_permissions(fixture.at("sub"), fs::Permissions::from_mode(0o0)).unwrap();
    fixture.scan();
    assert!(fixture.scanner.trouble().unwrap().contains("can't be read"));
    assert_eq!(fixture.paths().len(), 2);
    fs::set_permissions(fixture.at("sub"), fs::Permissions::from_mode(0o700)).unwrap();
    fixture.scan();
    assert_eq!(fixture.scanner.trouble(), None);
}

#[test]
fn a_folder_that_does_not_answer_holds_no_other_up() {
    const SILENT: &str = ".silent";
    let mut fixture = Fixture::new();
    let folders = ["a", "b"].map(|name| fixture.at(name));
    for folder in &folders {
        put(&folder.join("1.flac"), &samples::flac(&["TITLE=one"]));
    }
    fixture.index.show_folders(folders.to_vec());
    fixture.scan();
    let before = fixture.tracks();
    // opening it waits for somebody who writes
    let pipe = folders[0].join(SILENT);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fixture.scanner.answering.look = |folder| drop(fs::File::open(folder.join(SILENT)));
    fixture.scanner.answering.limit = Duration::from_millis(200);
    fs::remove_file(folders[0].join("1.flac")).unwrap();
    put(&folders[0].join("2.flac"), &samples::flac(&["TITLE=two"]));
    put(&folders[1].join("3.flac"), &samples::flac(&["TITLE=three"]));
    for _ in 0..2 {
        fixture.scan();
        assert!(fixture.scanner.trouble().unwrap().contains("doesn't answer"));
        let paths: Vec<PathBuf> = fixture.tracks().iter().map(|(_, path, _)| path.into()).collect();
        assert_eq!(paths.len(), before.len() + 1, "{paths:?}");
    }
    // it is looked at when it answers, without anybody asking
    let mut requested = fixture.scanner.requested.subscribe();
    fixture.scanner.answering.limit = Duration::from_secs(60);
    drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answered = async { tokio::time::timeout(Duration::from_secs(60), requested.changed()).await };
    runtime.block_on(answered).unwrap().unwrap();
    let wanted = std::mem::take(&mut *lock(&fixture.scanner.wanted));
    assert_eq!(wanted.dirty, [(folders[0].clone(), true)].into());
    fs::remove_file(&pipe).unwrap();
    fixture.scanner.scan(&wanted).unwrap();
    assert_eq!((fixture.scanner.trouble(), fixture.tracks().len()), (None, before.len() + 1));
    assert!(
        fixture
            .index
            .read(|c| Ok(c.query_row("SELECT count(*) FROM track WHERE title = 'two'", [], |row| row
                .get::<_, i64>(0))?))
            .unwrap()
            == 1
    );
}
