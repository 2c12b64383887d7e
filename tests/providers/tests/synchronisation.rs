//! The daemon synchronises through both examples: what is on the player is what is in the library, also after the library
//! has changed and after the provider was killed in the middle of a run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::names::DEVICE;
use kit::{Daemon, Events, MusicLibrary, program, property, track, wait_for_property};
use providers::{say, started};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use zbus::OwnedObjectPath;

/// The bytes of each song below a folder, by its name.
fn songs(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_song = |path: &Path| path.extension().is_some_and(|extension| extension == "mp3");
    let files = kit::tree(folder).into_keys().filter(|path| is_song(path));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(folder.join(&path)).unwrap())
    };
    files.map(read).collect()
}

async fn in_step(daemon: &Daemon, id: &str, music: &MusicLibrary, player: &Path) {
    say(daemon, &["scan"]).await;
    say(daemon, &["sync", id]).await;
    let (wanted, found) = (songs(music.dir()), songs(&player.join("Music")));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    assert!(found == wanted, "a song on the player has other bytes than in the library");
}

async fn synchronises(bus_name: &str, program: impl Fn() -> Command) {
    let (music, player) = (MusicLibrary::with_tracks(12, 200_000), tempfile::tempdir().unwrap());
    std::fs::File::create_new(player.path().join("mine.txt")).unwrap();
    let daemon = Daemon::builder().music(music.dir()).start().await;
    let bus = daemon.bus().connect().await;
    let mut events = Events::subscribe(daemon.bus().connect().await).await;
    let start = || async {
        let mut command = program();
        started(daemon.bus(), bus_name, command.arg(player.path()).arg("--register")).await
    };
    let mut provider = start().await;
    let path: OwnedObjectPath = events.wait_for("DeviceConnect").await.body().deserialize().unwrap();
    let id: String = property(&bus, path.as_str(), DEVICE, "DeviceId").await.unwrap();
    say(&daemon, &["partner", &id]).await;
    in_step(&daemon, &id, &music, player.path()).await;

    music.remove(track(0));
    music.add("Artist/Album/new.mp3", "Artist", "Album", "new", 100_000);
    in_step(&daemon, &id, &music, player.path()).await;

    music.add("Artist/Album/long.mp3", "Artist", "Album", "long", 150_000_000);
    say(&daemon, &["scan"]).await;
    say(&daemon, &["sync", &id, "--no-wait"]).await;
    wait_for_property(&bus, path.as_str(), DEVICE, "BytesDone", |bytes: &u64| *bytes > 0).await;
    provider.kill().await.unwrap();
    events.wait_for("DeviceDisconnect").await;
    let mut provider = start().await;
    events.wait_for("DeviceConnect").await;
    in_step(&daemon, &id, &music, player.path()).await;
    let strangers: Vec<PathBuf> = kit::tree(player.path())
        .into_keys()
        .filter(|path| !["Music", "Playlists", ".player"].iter().any(|ours| path.starts_with(ours)))
        .collect();
    assert_eq!(strangers, [Path::new("mine.txt")], "something is left on the player");
    provider.kill().await.unwrap();
}

#[tokio::test]
async fn through_the_example_in_rust() {
    synchronises("org.example.DirectoryPlayer", || Command::new(program("examples/directory_player"))).await;
}

#[tokio::test]
async fn through_the_example_in_python() {
    let library = Command::new("/usr/bin/python3").args(["-c", "import dbus_next"]).output().await;
    if !library.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3-dbus-next isn't installed");
        return;
    }
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus-interfaces/examples/directory_player.py");
    synchronises("org.example.PythonPlayer", || {
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(&script);
        command
    })
    .await;
}
