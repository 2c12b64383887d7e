//! Proves that playlist files may hold anything: what leads to the library's files is followed, what doesn't is told of,
//! and nothing outside the library is ever read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::MusicLibrary;
use scenario::{Player, Stage};
use std::fmt::Write as _;

const DAWN: &str = "Ada/First Light/01 Dawn.mp3";
const CAFE: &str = "Ada/First Light/02 Caf\u{e9}.mp3";
const EBB: &str = "Ben/Low Tide/01 Ebb.flac";

fn small_library() -> MusicLibrary {
    let music = MusicLibrary::new();
    music.add(DAWN, "Ada", "First Light", "Dawn", 1000);
    music.add(CAFE, "Ada", "First Light", "Caf\u{e9}", 2000);
    music.add(EBB, "Ben", "Low Tide", "Ebb", 3000);
    music
}

/// The items of a playlist file with these bytes, and the player after a run with it.
async fn stage_with(name: &str, bytes: &[u8]) -> Stage {
    let music = small_library();
    music.add_bytes(name, bytes);
    Stage::with(music, vec![Player::new()]).await
}

async fn items(stage: &Stage, name: &str) -> Vec<String> {
    stage.playlist(name).await.get_items(0, 0).await.unwrap()
}

fn uris(stage: &Stage, files: &[&str]) -> Vec<String> {
    files.iter().map(|file| stage.music.uri(file)).collect()
}

#[tokio::test]
async fn missing_entries_are_told_of_and_the_rest_is_there() {
    let stage = stage_with(
        "Lists/Mix.m3u8",
        format!("#EXTM3U\n../{DAWN}\n../gone.mp3\n/nowhere/at all.mp3\n../{EBB}\nhttp://radio.example/stream\n\n   \n#\n").as_bytes(),
    )
    .await;
    let mix = stage.playlist("Mix").await;
    assert_eq!(mix.kind().await.unwrap(), "file");
    let run = stage.partner(stage.player(), &[&mix]).await;
    let (media, error, message) = &run.errors[0];
    assert_eq!((media.as_str(), error.as_str(), run.errors.len()), ("../gone.mp3", "source-missing", 1));
    assert!(message.starts_with("3 entries of the playlist `Mix`"), "{message}");
    assert_eq!((run.failure(), run.with("synchronized").len()), (None, 2));
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().last_sync_error_count().await.unwrap(), 1);
}

#[tokio::test]
async fn absolute_paths_and_uris_and_those_of_windows_are_followed() {
    let music = small_library();
    let root = music.dir().display().to_string();
    music.add_playlist(
        "Absolute.m3u",
        &[&format!("{root}/{DAWN}"), &format!("{root}/./Ben/../{EBB}"), "/etc/passwd"],
    );
    music.add_playlist("Uris.m3u8", &[&music.uri(CAFE), &music.uri(DAWN), "file:///etc/passwd"]);
    music.add_bytes("Windows.m3u", b"#EXTM3U\r\nC:\\Users\\ann\\Music\\Ada\\First Light\\01 Dawn.mp3\r\n\\\\server\\share\\Ben\\Low Tide\\01 Ebb.flac\r\nBen\\Low Tide\\01 Ebb.flac\r\nD:\\Else\\gone.mp3\r\n");
    let stage = Stage::with(music, vec![Player::new()]).await;
    assert_eq!(items(&stage, "Absolute").await, uris(&stage, &[DAWN, EBB]));
    assert_eq!(items(&stage, "Uris").await, uris(&stage, &[CAFE, DAWN]));
    assert_eq!(items(&stage, "Windows").await, uris(&stage, &[DAWN, EBB, EBB]));
    let lists =
        [stage.playlist("Absolute").await, stage.playlist("Uris").await, stage.playlist("Windows").await];
    let run = stage.partner(stage.player(), &lists.each_ref()).await;
    assert_eq!(run.failure(), None);
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn latin_1_utf_16_and_any_ends_of_lines_are_read() {
    let music = small_library();
    let latin1 = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let text = format!("#EXTM3U\r\n#EXTINF:3,Ada - Caf\u{e9}\r\n{CAFE}\r\n{EBB}");
    music.add_bytes("Latin.m3u", &latin1(&text));
    music.add_bytes("Marked.m3u8", format!("\u{feff}{text}").as_bytes());
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    music.add_bytes("Wide.m3u", &utf16);
    music.add_bytes("Old.m3u", text.replace("\r\n", "\r").as_bytes());
    // the name in the other composition, and in another case
    music.add_bytes(
        "Decomposed.m3u8",
        format!("{}\nBEN/LOW TIDE/01 EBB.FLAC\n", CAFE.replace('\u{e9}', "e\u{301}")).as_bytes(),
    );
    let stage = Stage::with(music, vec![Player::new()]).await;
    let mut lists = Vec::new();
    for name in ["Latin", "Marked", "Wide", "Old", "Decomposed"] {
        assert_eq!(items(&stage, name).await, uris(&stage, &[CAFE, EBB]), "{name}");
        lists.push(stage.playlist(name).await);
    }
    let run = stage.partner(stage.player(), &lists.iter().collect::<Vec<_>>()).await;
    assert_eq!((run.failure(), &run.errors[..]), (None, &[][..]));
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_hundred_thousand_lines_are_read_whole() {
    let music = MusicLibrary::with_tracks(50, 2000);
    let mut found = String::from("#EXTM3U\n");
    let mut gone = String::new();
    for line in 0..100_000 {
        let number = line * 7 % 50;
        writeln!(found, "Artist 00/Album {:02}/{number:05} Title.mp3", number / 10).unwrap();
        writeln!(gone, "gone/{line}.mp3").unwrap();
    }
    gone.push_str("Artist 00/Album 00/00001 Title.mp3\n");
    music.add_bytes("Long.m3u8", found.as_bytes());
    music.add_bytes("Gone.m3u8", gone.as_bytes());
    let stage = Stage::with(music, vec![Player::new()]).await;
    let (long, gone) = (stage.playlist("Long").await, stage.playlist("Gone").await);
    assert_eq!((long.count().await.unwrap(), gone.count().await.unwrap()), (100_000, 1));
    assert_eq!(long.get_items(99_999, 5).await.unwrap().len(), 1);
    let run = stage.partner(stage.player(), &[&long, &gone]).await;
    assert_eq!((run.failure(), run.errors.len()), (None, 1));
    assert!(run.errors[0].2.starts_with("100000 entries of the playlist `Gone`"), "{:?}", run.errors);
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn playlists_that_are_none_hurt_nobody() {
    let music = small_library();
    music.add_bytes("Empty.m3u", b"");
    music.add_bytes(
        "Noise.m3u",
        &(0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    );
    music.add_bytes("Zeros.m3u8", &[0; 10_000]);
    music.add_bytes("One line.m3u", &b"a/".repeat(500_000));
    music.add_playlist(
        "Itself.m3u",
        &["Itself.m3u", ".", "..", "/", "Ada", "../../../../../../../../etc/passwd"],
    );
    std::fs::create_dir(music.path("Folder.m3u")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", music.path("Link.m3u")).unwrap();
    music.add_playlist("Good.m3u", &[DAWN]);
    let stage = Stage::with(music, vec![Player::new()]).await;
    let mut lists = Vec::new();
    for name in ["Empty", "Noise", "Zeros", "One line", "Itself"] {
        let list = stage.playlist(name).await;
        assert_eq!(list.count().await.unwrap(), 0, "{name}");
        lists.push(list);
    }
    lists.push(stage.playlist("Good").await);
    assert!(stage.library().await.get_playlist("Link").await.is_err(), "a link is no playlist");
    let run = stage.partner(stage.player(), &lists.iter().collect::<Vec<_>>()).await;
    assert_eq!(run.failure(), None);
    stage.in_step(stage.player()).await;
    assert_eq!(stage.player().content().len(), 2, "a track and a playlist: {:?}", stage.player().content());
}

#[tokio::test]
async fn playlists_of_every_kind_are_imported_and_damaged_ones_refused() {
    let music = small_library();
    let dir = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        kit::write_file(&path, text.as_bytes());
        path.display().to_string()
    };
    let (dawn, ebb) = (music.path(DAWN).display().to_string(), music.uri(EBB));
    let good = [
        file(
            "one.pls",
            format!("[playlist]\nFile2={}\nFile1={dawn}\nNumberOfEntries=2\n", music.path(EBB).display()),
        ),
        file(
            "two.xspf",
            format!(
                "<?xml version=\"1.0\"?><playlist xmlns=\"http://xspf.org/ns/0/\"><trackList><track><location>{}</location></track><track><location>{ebb}</location></track></trackList></playlist>",
                music.uri(DAWN)
            ),
        ),
        file(
            "three.wpl",
            format!(
                "<?wpl version=\"1.0\"?><smil><body><seq><media src=\"{dawn}\"/><media src=\"{}\"/></seq></body></smil>",
                music.path(EBB).display()
            ),
        ),
        file("four.m3u8", format!("{dawn}\n{}\n/nowhere.mp3\n", music.path(EBB).display())),
    ];
    let stage = Stage::with(music, vec![Player::new()]).await;
    let library = stage.library().await;
    let mut lists = Vec::new();
    for path in &good {
        let list = stage.playlist_at(library.import_playlist(path).await.unwrap()).await;
        assert_eq!(list.kind().await.unwrap(), "static");
        let items = list.get_items(0, 2).await.unwrap();
        assert_eq!(items, uris(&stage, &[DAWN, EBB]), "{path}");
        lists.push(list);
    }
    for (name, text) in [
        ("a.txt", "x"),
        ("cut.xspf", "<playlist><trackList><tr"),
        ("bomb.wpl", "<!DOCTYPE x [<!ENTITY a \"&a;&a;\">]><smil>&a;</smil>"),
    ] {
        let path = file(name, text.to_owned());
        let answer = library.import_playlist(&path).await;
        if let Err(error) = answer {
            let (word, message) = scenario::refusal(error);
            assert_eq!(word, "InvalidArgument", "{name}: {message}");
        }
    }
    let (word, message) = scenario::refusal(library.import_playlist("/nowhere/list.m3u").await.unwrap_err());
    assert!(word == "NotFound" && message.contains("/nowhere/list.m3u"), "{word}: {message}");
    let run = stage.partner(stage.player(), &lists.iter().collect::<Vec<_>>()).await;
    assert_eq!(run.failure(), None);
    stage.in_step(stage.player()).await;
}
