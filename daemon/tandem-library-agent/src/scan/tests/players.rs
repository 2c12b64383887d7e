//! Players in a library's folder, and folders in a player: what lies on them is no part of the library.

use super::*;

#[test]
fn what_lies_on_a_player_is_no_part_of_the_library() {
    let fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    put(&fixture.at("stick/Music/2.flac"), &samples::flac(&["TITLE=two"]));
    put(&fixture.at("stick/Playlists/p.m3u"), b"../Music/2.flac\n");
    fixture.scan();
    assert_eq!(fixture.paths(), ["a/1.flac", "stick/Music/2.flac"]);
    put(&fixture.at("stick/WMPInfo.xml"), b"<MDevice/>");
    put(&fixture.at("stick/Music/3.flac"), &samples::flac(&["TITLE=three"]));
    let music = fixture.folder.path().join("music");
    let dirty = [("stick", false), ("stick/Music", true)].map(|(name, deep)| (music.join(name), deep));
    fixture.scanner.scan(&Wanted { dirty: dirty.into(), ..Wanted::default() }).unwrap();
    assert_eq!((fixture.paths(), fixture.count("playlist_file")), (vec!["a/1.flac".to_owned()], 0));
    fixture.scan_only("stick/Music", true);
    fixture.scan();
    assert_eq!((fixture.paths(), fixture.count("dir")), (vec!["a/1.flac".to_owned()], 2));
    assert_eq!(fixture.scanner.trouble(), None);
    fs::remove_file(fixture.at("stick/WMPInfo.xml")).unwrap();
    fixture.scan_only("stick", false);
    assert_eq!(fixture.paths(), ["a/1.flac", "stick/Music/2.flac", "stick/Music/3.flac"]);
}

#[test]
fn a_library_folder_that_becomes_a_player_keeps_what_it_had() {
    let fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    put(&fixture.at("WMPInfo.xml"), b"<MDevice/>");
    put(&fixture.at("a/2.flac"), &samples::flac(&["TITLE=two"]));
    fixture.scan();
    assert_eq!(fixture.paths(), ["a/1.flac"]);
    assert!(fixture.scanner.trouble().is_some_and(|words| words.contains("is a player")));
    fs::remove_file(fixture.at("WMPInfo.xml")).unwrap();
    fixture.scan();
    assert_eq!((fixture.paths().len(), fixture.scanner.trouble()), (2, None));
}

#[test]
fn a_library_folder_that_comes_to_lie_in_a_player_is_left_out_and_keeps_what_it_had() {
    let fixture = Fixture::new();
    put(&fixture.at("a/1.flac"), &samples::flac(&["TITLE=one"]));
    fixture.scan();
    let mark = fixture.folder.path().join("WMPInfo.xml");
    put(&mark, b"<MDevice/>");
    put(&fixture.at("a/2.flac"), &samples::flac(&["TITLE=two"]));
    fs::remove_file(fixture.at("a/1.flac")).unwrap();
    let told = || fixture.scanner.trouble().unwrap_or_default();
    fixture.scan_only("a", true);
    assert_eq!(fixture.paths(), ["a/1.flac"]);
    assert!(told().contains("lies in the player") && told().contains("outside of it"), "{}", told());
    fixture.scan();
    assert_eq!(fixture.paths(), ["a/1.flac"]);
    // told already: nothing is new
    fixture.scanner.look_again();
    assert!(lock(&fixture.scanner.wanted).is_empty());
    fs::remove_file(&mark).unwrap();
    fixture.scanner.look_again();
    let wanted = std::mem::take(&mut *lock(&fixture.scanner.wanted));
    fixture.scanner.scan(&wanted).unwrap();
    assert_eq!((fixture.paths(), fixture.scanner.trouble()), (vec!["a/2.flac".to_owned()], None));
}
