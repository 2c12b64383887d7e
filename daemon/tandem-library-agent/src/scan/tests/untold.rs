//! Changes that leave a file's size and modification time as they were.

use super::*;
use crate::playlists::resolve::TRACK_COLUMNS;

/// The title of the one track, and the time by which a run knows that it has changed.
fn told(fixture: &Fixture) -> (String, i64) {
    let sql = format!("SELECT {TRACK_COLUMNS} FROM main.track AS t");
    let title_and_time = |row: &rusqlite::Row<'_>| Ok((row.get(5)?, row.get(3)?));
    fixture.index.read(|connection| Ok(connection.query_row(&sql, [], title_and_time)?)).unwrap()
}

fn modified(fixture: &Fixture) -> std::time::SystemTime {
    fs::metadata(fixture.at("a.flac")).unwrap().modified().unwrap()
}

fn set_modified(path: &Path, time: std::time::SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A library with a file whose title is `One`, and what is told of it.
fn scanned() -> (Fixture, (String, i64)) {
    let fixture = Fixture::new();
    put(&fixture.at("a.flac"), &samples::flac(&["TITLE=One"]));
    fixture.scan();
    let first = told(&fixture);
    assert_eq!(first.0, "One");
    (fixture, first)
}

#[test]
fn a_file_that_was_written_anew_in_place_is_told() {
    let (fixture, (_, first)) = scanned();
    let time = modified(&fixture);
    put(&fixture.at("a.flac"), &samples::flac(&["TITLE=Two"]));
    set_modified(&fixture.at("a.flac"), time);
    fixture.scan();
    let (title, second) = told(&fixture);
    assert_eq!(title, "Two");
    assert!(second > first, "{second}");
    fixture.scan();
    assert_eq!(told(&fixture), (title, second), "nothing has changed since");
    let later = time + Duration::from_secs(1);
    set_modified(&fixture.at("a.flac"), later);
    fixture.scan();
    assert!(told(&fixture).1 > second, "what was told once is told of no other content");
}

#[test]
fn a_time_that_is_set_back_after_the_change_was_seen_tells_no_older_content() {
    let (fixture, (_, first)) = scanned();
    let time = modified(&fixture);
    put(&fixture.at("a.flac"), &samples::flac(&["TITLE=Two"]));
    fixture.scan();
    assert_ne!(told(&fixture).1, first);
    set_modified(&fixture.at("a.flac"), time);
    fixture.scan();
    let (title, second) = told(&fixture);
    assert_eq!(title, "Two");
    assert_ne!(second, first, "so the first content was told");
}

#[test]
fn another_file_in_its_place_is_told_by_its_tags_and_a_restored_one_is_no_change() {
    let (fixture, first) = scanned();
    let time = modified(&fixture);
    let replace = |title: &str| {
        put(&fixture.at("new"), &samples::flac(&[title]));
        set_modified(&fixture.at("new"), time);
        fs::rename(fixture.at("new"), fixture.at("a.flac")).unwrap();
        fixture.scan();
        told(&fixture)
    };
    assert_eq!(replace("TITLE=One"), first);
    let (title, second) = replace("TITLE=Two");
    assert_eq!(title, "Two");
    assert!(second > first.1, "{second}");
    let third = replace("TITLE=Two").1;
    let changed = rustix::fs::stat(fixture.at("a.flac")).unwrap();
    assert_eq!(third, tandem_library::times::changed_ns(&changed), "what is opened can be held against it");
}

#[test]
fn a_file_that_was_moved_is_not_changed() {
    let (fixture, first) = scanned();
    fs::rename(fixture.at("a.flac"), fixture.at("b.flac")).unwrap();
    fixture.scan();
    assert_eq!(told(&fixture), first);
    fixture.scan();
    assert_eq!(told(&fixture), first);
}

#[test]
fn a_file_that_was_changed_and_moved_has_the_tags_that_it_has() {
    let (fixture, _) = scanned();
    let number = fixture.tracks()[0].0;
    let time = modified(&fixture);
    put(&fixture.at("a.flac"), &samples::flac(&["TITLE=Two"]));
    set_modified(&fixture.at("a.flac"), time);
    fs::rename(fixture.at("a.flac"), fixture.at("b.flac")).unwrap();
    fixture.scan();
    assert_eq!(fixture.tracks(), [(number, "b.flac".to_owned(), "Two".to_owned())]);
}

#[test]
fn an_index_of_the_first_version_is_taken_on_and_calls_nothing_changed() {
    let (fixture, first) = scanned();
    let earlier = "UPDATE track SET added = 7; ALTER TABLE track DROP COLUMN untold;
        ALTER TABLE track DROP COLUMN changed_ns; PRAGMA user_version = 1";
    let file = fixture.folder.path().join("state/index.sqlite");
    Connection::open(&file).unwrap().execute_batch(earlier).unwrap();
    let fixture = fixture.restarted();
    fixture.scan();
    assert_eq!(told(&fixture), first);
    let kept = "SELECT added FROM track WHERE changed_ns > 0";
    let added: i64 = fixture.index.read(|c| Ok(c.query_row(kept, [], |row| row.get(0))?)).unwrap();
    assert_eq!(added, 7);
}
