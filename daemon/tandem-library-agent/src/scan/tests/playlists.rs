//! Playlist files: what keeps the entries that they had, and which file is which playlist.

use super::*;
use crate::playlists::parse;
use crate::playlists::resolve::{Item, Moment, for_each};

impl Fixture {
    /// The id of the playlist file at this path.
    fn playlist_id(&self, name: &str) -> PlaylistId {
        self.index.read(|connection| store::id_at(connection, text::bytes(&self.at(name)))).unwrap()
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
