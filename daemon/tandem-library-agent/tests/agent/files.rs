//! Music files: found, told, opened, hashed, watched, whatever they are called and hold.

use crate::kit::{Fixture, LIMIT, own, resolve, until, until_found};
use crate::samples;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tandem_library::uri;
use tandem_model::error::LibraryError;
use tandem_model::id::{MediaUri, TrackId};
use tandem_model::library::{Apart, CoverLimits, Libraries};
use tandem_model::media::MediaValue;

const ALL: &str = "(size >= 0)";

#[tokio::test]
async fn hostile_names_and_broken_files_are_tracks_like_any_other() {
    let fixture = Fixture::new();
    let names: Vec<&Path> = [
        &b"plain.flac"[..],
        b"sub/not\xffutf8\xfe.flac",
        b"new\nline: a?b*.flac",
        "a\u{308} und \u{e4}.flac".as_bytes(),
        "\u{e4} und \u{e4}.flac".as_bytes(),
        b"Case.flac",
        b"case.flac",
        b"trailing .flac",
    ]
    .into_iter()
    .map(|name| Path::new(OsStr::from_bytes(name)))
    .collect();
    for (number, name) in names.iter().enumerate() {
        fixture.put(name, &samples::flac(&[&format!("TITLE=t{number}"), "ARTIST=a"]));
    }
    fixture
        .put(OsStr::from_bytes(&[b"x".repeat(250).as_slice(), b".mp3"].concat()), &samples::mp3("long", "a"));
    fixture.put("beep.wav", &samples::wav());
    fixture.put("empty.mp3", b"");
    fixture.put("text.ogg", b"this is no music");
    fixture.put("cut.flac", &samples::flac(&["TITLE=x"])[..30]);
    fixture.put("cover.jpg", b"\xff\xd8");
    fixture.put(".hidden/x.flac", &samples::flac(&[]));
    symlink("/etc", fixture.at("out")).unwrap();
    symlink("plain.flac", fixture.at("link.flac")).unwrap();
    let library = fixture.open().await;
    assert_eq!(library.state().borrow().track_count, 13);
    let found = library.search(r#"(artist == "A")"#.into()).await.unwrap();
    assert_eq!(found.len(), 9);
    for name in names {
        assert!(found.contains(&fixture.uri(name)), "{name:?}");
    }
    for (name, title) in [("empty.mp3", "empty"), ("text.ogg", "text"), ("cut.flac", "cut")] {
        let info = library.media_info(fixture.uri(name)).await.unwrap();
        assert_eq!(info["Title"], MediaValue::Text(title.into()));
        assert_eq!(info["MediaType"], MediaValue::Text("audio".into()));
    }
}

#[tokio::test]
async fn tracks_are_opened_and_hashed_as_they_are() {
    let fixture = Fixture::new();
    let content = samples::flac(&["TITLE=one", "TRACKNUMBER=3", "GENRE=Jazz"]);
    fixture.put("one.flac", &content);
    let library = fixture.open().await;
    let id = library.default_playlists().await.unwrap().pop().unwrap();
    let resolved = library.resolve(vec![id]).await.unwrap();
    assert_eq!((resolved.tracks.len(), resolved.trouble, resolved.missing.len()), (1, None, 0));
    let track = resolved.tracks[0].clone();
    assert_eq!((&*track.file_name, &*track.mime, track.duration_ms), ("one.flac", "audio/flac", 3000));
    assert_eq!((&*track.genre, track.track_number), ("Jazz", 3));
    let mut opened = library.open(track.id).await.unwrap();
    let mut read = Vec::new();
    opened.file.read_to_end(&mut read).unwrap();
    assert_eq!((opened.size, opened.modified_ns), (track.size, track.modified_ns));
    assert_eq!(read, content);
    let hashes = library.hash(vec![track.id, TrackId(1), track.id]).await.unwrap();
    assert!(hashes[0].is_some() && hashes[1].is_none() && hashes[0] == hashes[2]);
    assert!(matches!(library.open(TrackId(1)).await, Err(LibraryError::NotFound(_))));
    // what takes the file's place is not opened, whether it was noticed yet or not
    fs::remove_file(fixture.at("one.flac")).unwrap();
    symlink("/etc/hostname", fixture.at("one.flac")).unwrap();
    let refused = library.open(track.id).await;
    assert!(matches!(refused, Err(LibraryError::Unreadable(_) | LibraryError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_set_is_kept_and_what_is_not_is_refused() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let media = fixture.uri("one.flac");
    let set = |name: &str, value: MediaValue| library.set_media_info(media.clone(), name.into(), value);
    set("UserRating", MediaValue::Number(99)).await.unwrap();
    set("UserPlayCount", MediaValue::Text("4".into())).await.unwrap();
    let info = library.media_info(media.clone()).await.unwrap();
    assert_eq!(
        (&info["UserRating"], &info["UserPlayCount"]),
        (&MediaValue::Number(99), &MediaValue::Number(4))
    );
    for rule in
        ["(stars == 5)", "((rating > 90) AND (playcount == 4))", "(played-since 1h)", "(added-since 1h)"]
    {
        assert_eq!(library.search(rule.into()).await.unwrap(), std::slice::from_ref(&media), "{rule}");
    }
    for (name, value) in [
        ("UserRating", MediaValue::Number(100)),
        ("UserPlayCount", MediaValue::Text("-1".into())),
        ("Colour", MediaValue::Number(1)),
    ] {
        assert!(
            matches!(set(name, value).await, Err(LibraryError::InvalidArgument(words)) if words.contains(name))
        );
    }
    assert!(matches!(set("Title", MediaValue::Number(1)).await, Err(LibraryError::ReadOnly(_))));
    assert!(matches!(library.media_info(fixture.uri("two.flac")).await, Err(LibraryError::NotFound(_))));
    let foreign = MediaUri("http://example.org/a.flac".into());
    assert!(matches!(library.media_info(foreign).await, Err(LibraryError::InvalidArgument(_))));
    assert!(matches!(library.search("(colour == 1)".into()).await, Err(LibraryError::InvalidArgument(_))));
}

#[tokio::test]
async fn a_search_waits_for_the_first_scan() {
    let fixture = Fixture::new();
    for number in 0..200 {
        fixture.put(format!("{number}.flac"), &samples::flac(&["ARTIST=A"]));
    }
    let library = fixture.libraries.open(own()).await.unwrap();
    assert_eq!(library.search(r#"(artist == "A")"#.into()).await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_resolution_knows_what_changed_just_before_it() {
    let fixture = Fixture::new();
    fixture.put("a/1.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let all = library.default_playlists().await.unwrap().pop().unwrap();
    for number in 2..6 {
        fixture.put(format!("a/{number}.flac"), &samples::flac(&["TITLE=another"]));
        assert_eq!(resolve(&*library, &all).await.tracks.len(), number);
    }
    fs::remove_file(fixture.at("a/1.flac")).unwrap();
    assert_eq!(resolve(&*library, &all).await.tracks.len(), 4);
}

#[tokio::test]
async fn changes_are_noticed_without_being_told() {
    let fixture = Fixture::new();
    fixture.put("a/1.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    fixture.put("a/2.flac", &samples::flac(&["TITLE=two"]));
    fixture.put("new/deep/3.flac", &samples::flac(&["TITLE=three"]));
    let all = ["a/1.flac", "a/2.flac", "new/deep/3.flac"].map(|name| fixture.uri(name));
    until_found(&*library, ALL, &all).await;
    // in a folder that came later, too
    fixture.put("new/deep/3.flac", &samples::flac(&["TITLE=three again"]));
    until_found(&*library, "(title == 'three again')", &all[2..]).await;
    fs::rename(fixture.at("new"), fixture.at("moved")).unwrap();
    until_found(&*library, "(title starts_with 'three')", &[fixture.uri("moved/deep/3.flac")]).await;
    fixture.put("moved/deep/4.flac", &samples::flac(&["TITLE=four"]));
    until_found(&*library, "(title == 'four')", &[fixture.uri("moved/deep/4.flac")]).await;
    // a time that is set by name, which opens no file
    let then = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: then, last_modification: then };
    rustix::fs::utimensat(rustix::fs::CWD, fixture.at("a/2.flac"), &times, rustix::fs::AtFlags::empty())
        .unwrap();
    until_found(&*library, "(!(modified-since 1000000001))", &[fixture.uri("a/2.flac")]).await;
    fs::rename(fixture.at("moved"), fixture.folder.path().join("elsewhere")).unwrap();
    fs::remove_file(fixture.at("a/1.flac")).unwrap();
    until_found(&*library, ALL, &[fixture.uri("a/2.flac")]).await;
    fs::hard_link(fixture.folder.path().join("elsewhere/deep/3.flac"), fixture.at("linked.flac")).unwrap();
    until_found(&*library, ALL, &[fixture.uri("a/2.flac"), fixture.uri("linked.flac")]).await;
}

#[tokio::test]
async fn a_folder_that_vanishes_is_trouble_until_it_is_back() {
    let fixture = Fixture::new();
    fixture.put("1.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    let list = library.create_playlist("mine".into(), vec![fixture.uri("1.flac")]).await.unwrap().id;
    let (music, away) = (fixture.at(""), fixture.folder.path().join("away"));
    fs::rename(&music, &away).unwrap();
    library.scan().await.unwrap();
    let resolved = library.resolve(vec![list.clone()]).await.unwrap();
    assert!(resolved.trouble.as_ref().is_some_and(|words| words.contains("music")), "{:?}", resolved.trouble);
    assert_eq!(resolved.tracks.len(), 1);
    let error = library.open(resolved.tracks[0].id).await.unwrap_err();
    assert!(matches!(error, LibraryError::NotFound(_)), "{error}");
    // its return is noticed without a scan being asked for
    fs::create_dir(away.join("more")).unwrap();
    fs::File::create(away.join("more/2.mp3")).unwrap();
    fs::rename(&away, &music).unwrap();
    until(&*library, |state| state.track_count == 2).await;
    assert_eq!(library.resolve(vec![list]).await.unwrap().trouble, None);
}

/// Root alone may mount; others have nothing to show here.
fn mount(folder: &Path) -> bool {
    rustix::process::geteuid().is_root()
        && Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(folder)
            .status()
            .is_ok_and(|done| done.success())
}

#[tokio::test]
async fn a_file_system_in_a_folder_comes_and_goes() {
    let fixture = Fixture::new();
    fixture.put("1.flac", &samples::flac(&["TITLE=one"]));
    let nas = fixture.at("My NAS");
    fs::create_dir(&nas).unwrap();
    let library = fixture.open().await;
    if !mount(&nas) {
        eprintln!("skipped: only root can mount a file system");
        return;
    }
    // gone with the test, however that ends
    let _unmounted = Unmounted(nas.clone());
    fixture.put("My NAS/x/2.flac", &samples::flac(&["TITLE=two"]));
    let all = ["1.flac", "My NAS/x/2.flac"].map(|name| fixture.uri(name));
    library.scan().await.unwrap();
    until_found(&*library, ALL, &all).await;
    unmount(&nas);
    until(&*library, |state| state.trouble.contains("My NAS")).await;
    let told = library.resolve(Vec::new()).await.unwrap().trouble;
    assert!(told.as_ref().is_some_and(|words| words.contains("My NAS")), "{told:?}");
    until_found(&*library, ALL, &all).await;
    // another file system there; nobody asks for a scan
    assert!(mount(&nas));
    fixture.put("My NAS/3.flac", &samples::flac(&["TITLE=three"]));
    let all = ["1.flac", "My NAS/3.flac"].map(|name| fixture.uri(name));
    until_found(&*library, ALL, &all).await;
    until(&*library, |state| state.trouble.is_empty()).await;
}

/// Unmounts while the agent may still hold what is mounted.
fn unmount(folder: &Path) {
    assert!(Command::new("umount").arg("--lazy").arg(folder).status().unwrap().success());
}

#[tokio::test]
async fn a_file_system_that_holds_the_librarys_folder_comes_and_goes() {
    let fixture = Fixture::new();
    let up = fixture.at("up");
    let folder = up.join("Music");
    // what lies beneath looks like a library that has lost most of its music
    fixture.put("up/Music/0.flac", &samples::flac(&["TITLE=beneath"]));
    if !mount(&up) {
        eprintln!("skipped: only root can mount a file system");
        return;
    }
    let _unmounted = Unmounted(up.clone());
    for name in ["up/Music/1.flac", "up/Music/x/2.flac"] {
        fixture.put(name, &samples::flac(&["TITLE=one"]));
    }
    let all = ["up/Music/1.flac", "up/Music/x/2.flac"].map(|name| fixture.uri(name));
    let library = fixture.open().await;
    library.set_folders(vec![folder.clone()]).await.unwrap();
    until_found(&*library, ALL, &all).await;
    until(&*library, |state| !state.scanning).await;
    unmount(&up);
    let told = |words: &str| words.contains(&*up.to_string_lossy()) && words.contains("not mounted now");
    until(&*library, |state| told(&state.trouble)).await;
    library.scan().await.unwrap();
    assert!(library.resolve(Vec::new()).await.unwrap().trouble.is_some_and(|words| told(&words)));
    until_found(&*library, ALL, &all).await;
    // a new start knows it as well
    drop(library);
    fixture.libraries.shut_down().await;
    let library = fixture.open().await;
    assert!(told(&library.state().borrow().trouble), "{:?}", library.state().borrow());
    until_found(&*library, ALL, &all).await;
    // another file system at the same place is its owner's choice; nobody asks for a scan
    assert!(mount(&up));
    fixture.put("up/Music/3.flac", &samples::flac(&["TITLE=three"]));
    library.scan().await.unwrap();
    until_found(&*library, ALL, &[fixture.uri("up/Music/3.flac")]).await;
    until(&*library, |state| state.trouble.is_empty() && !state.scanning).await;
    // the music has moved to what lies beneath, for good
    unmount(&up);
    until(&*library, |state| told(&state.trouble)).await;
    library.set_folders(vec![folder]).await.unwrap();
    until_found(&*library, ALL, &[fixture.uri("up/Music/0.flac")]).await;
    until(&*library, |state| state.trouble.is_empty() && !state.scanning).await;
    library.scan().await.unwrap();
    assert_eq!(library.resolve(Vec::new()).await.unwrap().trouble, None);
}

#[tokio::test]
async fn the_picture_of_an_album_is_the_one_in_the_file_or_else_the_one_beside_it() {
    let limits = CoverLimits { bytes: 30_000, width: 64, height: 64 };
    let fixture = Fixture::new();
    let tagged = |name: &str, title: &str, picture: Option<&[u8]>| {
        fixture.put(name, &samples::flac_with(&[&format!("TITLE={title}")], picture));
    };
    tagged("in/1.flac", "in", Some(&samples::png([255, 0, 0])));
    fixture.put("in/cover.png", &samples::png([0, 0, 255]));
    tagged("beside/2.flac", "beside", Some(b"no picture at all"));
    fixture.put("beside/folder.png", &samples::png([0, 255, 0]));
    tagged("none/3.flac", "none", None);
    symlink(fixture.at("in/cover.png"), fixture.at("none/cover.png")).unwrap();
    let library = fixture.open().await;
    let track = async |title: &str| {
        let found =
            library.create_auto_playlist(title.into(), format!("(title == \"{title}\")")).await.unwrap();
        resolve(&*library, &found.id).await.tracks[0].id
    };
    let tracks = [track("in").await, track("beside").await, track("none").await];
    let mut covers = Vec::new();
    for track in tracks {
        covers.push(library.cover(track, limits).await.unwrap());
    }
    let [Some(inside), Some(beside), None] = &covers[..] else { panic!("{covers:?}") };
    assert_ne!(inside.jpeg, beside.jpeg);
    assert!([inside, beside].iter().all(|cover| (cover.width, cover.height) == (8, 8)));
    let before = library.cover_stamps(tracks.to_vec()).await.unwrap();
    assert!(before[0] != 0 && before[1] != 0 && before[2] == 0, "what is a link is none: {before:?}");
    fixture.put("beside/folder.png", &[samples::png([1, 2, 3]), vec![0]].concat());
    let after = library.cover_stamps(tracks.to_vec()).await.unwrap();
    assert_eq!((after[0] == before[0], after[1] == before[1]), (true, false));
    assert!(matches!(library.cover(TrackId(999), limits).await, Err(LibraryError::NotFound(_))));
}

#[tokio::test]
async fn a_picture_is_part_of_what_is_told_apart_or_of_the_rest() {
    let fixture = Fixture::new();
    let picture = samples::png([1, 2, 3]);
    let tagged = |title: &str, picture: Option<&[u8]>| {
        fixture.put("1.flac", &samples::flac_with(&[&format!("TITLE={title}")], picture));
    };
    tagged("a", None);
    let library = fixture.open().await;
    let all = library.create_auto_playlist("all".into(), ALL.into()).await.unwrap();
    let track = resolve(&*library, &all.id).await.tracks[0].id;
    let hashes = async |apart| library.track_hashes(vec![track], apart).await.unwrap()[0].unwrap();
    let (plain, with) = (hashes(Apart::Tags).await, hashes(Apart::TagsAndPicture).await);
    assert!(plain.audio.is_some() && plain == with, "without a picture it is the same");
    tagged("b", None);
    assert_eq!(hashes(Apart::Tags).await.audio, plain.audio);
    assert_ne!(hashes(Apart::Tags).await.whole, plain.whole);
    tagged("b", Some(&picture));
    assert_eq!(hashes(Apart::TagsAndPicture).await.audio, plain.audio);
    assert_ne!(hashes(Apart::Tags).await.audio, plain.audio);
}

struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        // nothing may be mounted there any more
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[tokio::test]
async fn folders_are_set_checked_and_kept() {
    let fixture = Fixture::new();
    fixture.put("a/1.flac", &samples::flac(&["TITLE=one"]));
    fixture.put("b/2.flac", &samples::flac(&["TITLE=two"]));
    let library = fixture.open().await;
    for bad in [Path::new("music"), &fixture.at("a/1.flac"), &fixture.at("none")] {
        let error = library.set_folders(vec![bad.into()]).await.unwrap_err();
        assert!(
            matches!(&error, LibraryError::InvalidArgument(words) if words.contains(&*bad.to_string_lossy())),
            "{error}"
        );
    }
    let odd = fixture.at(OsStr::from_bytes(b"b\xff"));
    fs::rename(fixture.at("b"), &odd).unwrap();
    library.set_folders(vec![odd.clone()]).await.unwrap();
    until_found(&*library, ALL, &[uri::encode(&odd.join("2.flac"))]).await;
    assert_eq!(library.state().borrow().folders, std::slice::from_ref(&odd));
    drop(library);
    fixture.libraries.shut_down().await;
    let library = tokio::time::timeout(LIMIT, fixture.open()).await.unwrap();
    assert_eq!(library.state().borrow().folders, [odd]);
}

#[tokio::test]
async fn a_folder_in_a_player_is_no_part_of_the_library() {
    let fixture = Fixture::new();
    fixture.put("P/Music/one.flac", &samples::flac(&["TITLE=one"]));
    let library = fixture.open().await;
    library.set_folders(vec![fixture.at("P/Music")]).await.unwrap();
    let all = library.default_playlists().await.unwrap().pop().unwrap();
    let resolved = resolve(&*library, &all).await;
    assert_eq!((resolved.trouble, resolved.tracks.len()), (None, 1));
    // as partnering does it: no watch is above the folder, and the next use has to know
    fixture.put("P/WMPInfo.xml", b"<MDevice/>");
    fixture.put("P/Music/copy.flac", &samples::flac(&["TITLE=one"]));
    let words = resolve(&*library, &all).await.trouble.unwrap();
    let (folder, player) = (fixture.at("P/Music"), fixture.at("P"));
    let named =
        format!("{} lies in the player {}", folder.display(), player.canonicalize().unwrap().display());
    assert!(words.contains(&named), "{words}");
    until(&*library, |state| state.trouble == words).await;
    let error = library.set_folders(vec![folder]).await.unwrap_err();
    assert!(
        matches!(&error, LibraryError::InvalidArgument(words) if words.contains("choose a folder outside"))
    );
    fs::remove_file(fixture.at("P/WMPInfo.xml")).unwrap();
    let resolved = resolve(&*library, &all).await;
    assert_eq!((resolved.trouble, resolved.tracks.len()), (None, 2));
}
