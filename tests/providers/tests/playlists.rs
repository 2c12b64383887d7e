//! A playlist on a device that keeps what it refers to: it is known again when the record of it is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{Daemon, Events, MusicLibrary};
use providers::{Flaw, Memory, announced, say};

#[tokio::test]
async fn a_playlist_is_adopted_after_the_manifest_was_lost() {
    let (music, memory) = (MusicLibrary::new(), Memory::new(Flaw::None));
    for song in ["one", "two", "three"] {
        music.add(format!("{song}.mp3"), "Artist", "Album", song, 20_000);
    }
    kit::write_file(&music.dir().join("Mix.m3u"), b"two.mp3\none.mp3\nthree.mp3\n");
    let mut daemon = Daemon::builder().music(music.dir()).start().await;
    let mut events = Events::subscribe(daemon.connect().await).await;
    let (serving, id) = announced(&daemon, &mut events, &memory).await;
    say(&daemon, &["scan"]).await;
    say(&daemon, &["partner", &id, "--playlist", "Mix"]).await;
    say(&daemon, &["sync", &id]).await;
    let before = memory.files();
    let lists: Vec<&String> = before.keys().filter(|path| path.starts_with("Playlists/")).collect();
    assert_eq!(lists, ["Playlists/Mix.pla"], "{before:?}\n{}", daemon.stderr());

    daemon.terminate().await;
    let mut lost = 0;
    for file in kit::tree(&daemon.state_dir()).into_keys() {
        if file.starts_with("manifests") {
            std::fs::remove_file(daemon.state_dir().join(file)).unwrap();
            lost += 1;
        }
    }
    assert!(lost > 0, "{:?}", kit::tree(&daemon.state_dir()));
    daemon.restart().await;
    events.wait_for("DeviceConnect").await;
    say(&daemon, &["sync", &id]).await;
    assert_eq!(memory.files(), before, "{}", daemon.stderr());
    serving.end().await;
}
