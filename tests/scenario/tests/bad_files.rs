//! Proves that the library's files may be anything: damaged, unreadable, strangely named, linked to elsewhere. Each
//! costs nothing but itself, and what can be copied is copied byte for byte under a name that every player takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{Asset, MusicLibrary};
use rustix::fs::{FileType, Mode};
use scenario::{Player, Stage};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

async fn on_stage(music: MusicLibrary) -> Stage {
    Stage::with(music, vec![Player::new()]).await
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn damaged_files_are_music_if_their_names_say_so() {
    let music = MusicLibrary::new();
    for name in ["whole.mp3", "whole.flac", "whole.wav"] {
        let whole = std::fs::read(music.add(name, "Ann", "Live", name, 5000)).unwrap();
        music.add_bytes(format!("half a {name}"), &whole[..whole.len() / 2]);
        music.add_bytes(format!("head of a {name}"), &whole[..12]);
        music.add_bytes(format!("tail of a {name}"), &whole[40..]);
        let mut lying = whole.clone();
        lying[4..10].fill(0x7f);
        music.add_bytes(format!("lying {name}"), &lying);
    }
    for (name, asset) in [("a.ogg", Asset::Ogg), ("a.opus", Asset::Opus), ("a.m4a", Asset::M4a)] {
        music.add_asset(name, asset);
        music.add_bytes(format!("half {name}"), &asset.bytes()[..asset.bytes().len() / 2]);
        let noise: Vec<u8> = asset.bytes().iter().map(|byte| byte.wrapping_mul(151) ^ 0x5a).collect();
        music.add_bytes(format!("noise {name}"), &noise);
    }
    for (name, bytes) in [
        ("empty.mp3", &b""[..]),
        ("empty.flac", b""),
        ("text.mp3", b"This is not music at all.\n"),
        ("archive.flac", b"PK\x03\x04\x14\0\0\0\x08\0"),
        ("program.ogg", b"\x7fELF\x02\x01\x01\0"),
        ("page.m4a", b"<!DOCTYPE html><html></html>"),
        ("zeros.opus", &[0; 70_000]),
        ("endless tag.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7fTIT2\x7f\x7f\x7f\x7f"),
        ("endless box.m4a", b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42\xff\xff\xff\xffmoov\xff\xff\xff\xfftrak"),
        ("endless comment.flac", b"fLaC\x84\xff\xff\xff\xff\xff\xff\x7f"),
    ] {
        music.add_bytes(name, bytes);
    }
    let count = kit::tree(music.dir()).len();
    let stage = on_stage(music).await;
    stage.library_has(u32::try_from(count).unwrap()).await;
    let all = stage.playlist_of_all("All").await;
    let run = stage.partner(stage.player(), &[&all]).await;
    assert_eq!((run.failure(), &run.errors[..]), (None, &[][..]));
    stage.in_step(stage.player()).await;
    let results = stage.library().await.search("(artist == 'Ann')").await.unwrap();
    assert!(results.len() >= 3, "the whole ones have their tags: {results:?}");
}

#[tokio::test]
async fn what_is_no_file_of_the_library_is_no_music() {
    let outside = MusicLibrary::with_tracks(3, 3000);
    let music = MusicLibrary::with_tracks(2, 3000);
    symlink(outside.dir(), music.path("a folder elsewhere")).unwrap();
    symlink(outside.path("Artist 00/Album 00/00000 Title.mp3"), music.path("a file elsewhere.mp3")).unwrap();
    symlink("/etc/passwd", music.path("secret.mp3")).unwrap();
    symlink("Artist 00/Album 00/00000 Title.mp3", music.path("a file here.mp3")).unwrap();
    symlink("..", music.path("round and round")).unwrap();
    symlink("nowhere", music.path("nowhere.mp3")).unwrap();
    std::fs::create_dir(music.path("a folder.mp3")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, music.path("pipe.mp3"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    music.add_bytes(".hidden.mp3", b"hidden");
    music.add_bytes(".Trash/deleted.mp3", b"deleted");
    music.add_bytes("cover.jpg", b"cover");
    let stage = on_stage(music).await;
    stage.library_has(2).await;
    // by name over the bus, too, nothing of it is taken
    let library = stage.library().await;
    for name in ["secret.mp3", "a file elsewhere.mp3", "pipe.mp3", "a folder.mp3", "a folder elsewhere/x.mp3"]
    {
        let refused = library.create_playlist("Sly", &[&stage.music.uri(name)]).await.unwrap_err();
        let (word, message) = scenario::refusal(refused);
        assert!(["InvalidArgument", "NotFound"].contains(&word.as_str()), "{name}: {word}: {message}");
    }
    let tracks = [0, 1].map(|number| format!("Artist 00/Album 00/{number:05} Title.mp3"));
    let all = stage.new_playlist("All", &tracks).await;
    let run = stage.partner(stage.player(), &[&all]).await;
    assert_eq!((run.with("synchronized").len(), run.errors.len()), (2, 0), "{run:?}");
    assert_eq!(stage.player().content().len(), 3, "two tracks and the playlist");
    let (word, _) =
        scenario::refusal(stage.library().await.get_media_info("file:///etc/passwd").await.unwrap_err());
    assert_eq!(word, "NotFound");
    for sly in [
        "file:///../etc/passwd",
        "file:///etc/../etc/passwd",
        "file:///etc/passwd%00.mp3",
        "/etc/passwd",
        "x",
        "",
    ] {
        let (word, message) =
            scenario::refusal(stage.library().await.create_playlist("Sly too", &[sly]).await.unwrap_err());
        assert!(word == "InvalidArgument" && message.contains(sly), "{sly}: {word}: {message}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_of_and_stops_nothing() {
    let music = MusicLibrary::with_tracks(6, 5000);
    let shut = "Artist 00/Album 00/00003 Title.mp3";
    mode(music.path(shut), 0o000);
    let stage = Stage::configured(music, vec![Player::new()], kit::DaemonBuilder::powerless).await;
    stage.library_has(6).await;
    let all = stage.playlist_of_all("All").await;
    let run = stage.partner(stage.player(), &[&all]).await;
    let shut_uri = stage.music.uri(shut);
    assert_eq!(run.with("source-unreadable"), [&shut_uri], "{run:?}");
    assert_eq!((run.failure(), run.with("synchronized").len()), (None, 5));
    assert_eq!(stage.device().last_sync_error_count().await.unwrap(), 1);
    stage.in_step_but(stage.player(), &[&shut_uri]).await;
    mode(stage.music.path(shut), 0o644);
    stage.device().start().await.unwrap();
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_deletes_nothing() {
    let music = MusicLibrary::with_tracks(20, 3000);
    let folder = music.path("Artist 00/Album 01");
    let stage = Stage::configured(music, vec![Player::new()], kit::DaemonBuilder::powerless).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let before = kit::tree(stage.player().path());
    mode(&folder, 0o000);
    stage.scan().await;
    stage.run(stage.player()).await;
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    mode(&folder, 0o755);
    stage.scan().await;
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
}

/// File names that some system or other can't stand.
fn strange_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "what: now?.mp3",
        "a<b>c|d\"e*f.mp3",
        "back\\slash.mp3",
        "trailing dots....mp3",
        "trailing space .mp3",
        " leading space.mp3",
        "two\nlines.mp3",
        "tab\there.mp3",
        "bell\u{7}.mp3",
        "delete\u{7f}.mp3",
        "%41%2F.mp3",
        "#hash.mp3",
        "CON.mp3",
        "aux.mp3",
        "LPT1.tags.mp3",
        "nul .mp3",
        "~1.mp3",
        "SONG~1.mp3",
        "-rf.mp3",
        "$(id).mp3",
        "Case.mp3",
        "CASE.mp3",
        "case.mp3",
        "caf\u{e9}.mp3",
        "cafe\u{301}.mp3",
        "CAF\u{c9}.mp3",
        "stra\u{df}e.mp3",
        "STRASSE.mp3",
        "\u{1f3b5}.mp3",
        "\u{202e}3pm.mp3",
        "\u{feff}mark.mp3",
        "a.mp3.mp3",
        "MUSIC.MP3",
        "(2).mp3",
        "Case (2).mp3",
        "\u{fffd}.mp3",
    ]
    .into_iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend(
        [&b"\xff\xfe.mp3"[..], b"caf\xe9.mp3", b"\xc3.mp3", b"cut \xf0\x9f\x8e.mp3"].map(<[u8]>::to_vec),
    );
    for long in ["x".repeat(251), "y".repeat(250) + "z", "ü".repeat(125), "\u{1f3b5}".repeat(62)] {
        names.push((long + ".mp3").into_bytes());
    }
    // equal in all that a short name keeps
    names.push(("x".repeat(250) + "y.mp3").into_bytes());
    names
}

#[tokio::test]
async fn strange_names_become_legal_ones_that_are_remembered() {
    let music = MusicLibrary::new();
    let names = strange_names();
    for (number, name) in names.iter().enumerate() {
        music.add(Path::new(OsStr::from_bytes(name)), "Ann", "Live", &format!("Title {number}"), 500);
    }
    for (number, folder) in
        ["dots...", " ", "q?", "CON", "a\nb", "\u{c9}", "E\u{301}"].into_iter().enumerate()
    {
        music.add(Path::new(folder).join("same.mp3"), "Bob", "Live", &format!("Same {number}"), 900);
    }
    let count = kit::tree(music.dir()).len();
    let stage = on_stage(music).await;
    stage.library_has(u32::try_from(count).unwrap()).await;
    let all = stage.playlist_of_all("What: a? name. ").await;
    let run = stage.partner(stage.player(), &[&all]).await;
    assert_eq!((run.failure(), &run.errors[..], run.with("synchronized").len()), (None, &[][..], count));
    stage.in_step(stage.player()).await;
    // the names are remembered: nothing is sent again, not even after a new start, and one that goes is the right one
    let before = kit::tree(stage.player().path());
    let mut stage = stage;
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
    stage.by_hand(stage.player()).await;
    assert!(stage.device().preview().await.unwrap().is_empty());
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    for gone in ["CASE.mp3", "cafe\u{301}.mp3", "two\nlines.mp3"] {
        stage.music.remove(gone);
    }
    stage.library_has(u32::try_from(count).unwrap() - 3).await;
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn strange_tags_lead_to_no_strange_places() {
    let music = MusicLibrary::new();
    let tags = [
        "AC/DC",
        "..",
        "../../../etc",
        "/etc",
        ".",
        "",
        "   ",
        "CON",
        "a\nb\r\nc",
        "x\0y",
        "C:\\Windows",
        "dots...",
        "~",
        ".hidden",
        "\u{202e}evil",
        "Ann",
        "ANN",
        "ann ",
        "Ame\u{301}lie",
        "Am\u{e9}lie",
        ".tandem",
        "Playlists",
        "\u{0}",
    ];
    for (number, tag) in tags.into_iter().enumerate() {
        music.add(format!("{number}.mp3"), tag, tags[(number + 5) % tags.len()], tag, 300 + number as u64);
        music.add(format!("{number}.flac"), tag, tag, tag, 300 + number as u64);
    }
    let long = "long ".repeat(2000);
    music.add("long.flac", &long, &long, &long, 100);
    let stage = on_stage(music).await;
    stage.library_has(47).await;
    let all = stage.playlist_of_all(&"playlist ".repeat(28)).await;
    let run = stage.partner(stage.player(), &[&all]).await;
    assert_eq!((run.failure(), &run.errors[..]), (None, &[][..]));
    stage.in_step(stage.player()).await;
    let escaped: Vec<PathBuf> = stage
        .player()
        .content()
        .into_keys()
        .filter(|path| !path.starts_with("Music") && !path.starts_with("Playlists"))
        .collect();
    assert!(escaped.is_empty(), "{escaped:?}");
}
