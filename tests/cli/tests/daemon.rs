//! `tandemctl` with the real daemon and a player that is a folder: the whole way from a library to music on it.

use cli::Ended;
use kit::{Daemon, MusicLibrary, player_dir, tree};

async fn ctl(daemon: &Daemon, arguments: &[&str]) -> Ended {
    let output = daemon.ctl(arguments).await;
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn good(daemon: &Daemon, arguments: &[&str]) -> Ended {
    let ended = ctl(daemon, arguments).await;
    assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
    ended
}

/// The id of the only device, once it is connected.
async fn only_device(daemon: &Daemon) -> String {
    let mut events = daemon.events().await;
    loop {
        let devices = good(daemon, &["--json", "list", "--connected"]).await.json();
        if let Some(id) = devices[0]["id"].as_str() {
            return id.to_owned();
        }
        events.wait_for("DeviceConnect").await;
    }
}

#[tokio::test]
async fn a_daemon_gives_memory_back_and_keeps_its_own_name() {
    let music = MusicLibrary::with_tracks(1, 1000);
    let daemon = Daemon::builder().music(music.dir()).start().await;
    let proc = std::path::PathBuf::from(format!("/proc/{}", daemon.pid().unwrap()));
    let environment = std::fs::read_to_string(proc.join("environ")).unwrap();
    for setting in ["MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=262144"] {
        assert!(environment.split('\0').any(|variable| variable == setting), "{setting}");
    }
    assert_eq!(std::fs::read_to_string(proc.join("comm")).unwrap(), "tandemd\n");
}

#[tokio::test]
async fn a_folder_is_partnered_filled_and_kept_in_step() {
    let music = MusicLibrary::with_tracks(12, 20_000);
    let player = player_dir();
    let daemon = Daemon::builder().music(music.dir()).folder(player.path()).start().await;
    let device = only_device(&daemon).await;
    let before = tree(player.path());

    good(&daemon, &["scan", "--wait"]).await;
    let found = good(&daemon, &["--json", "search", "(title contains 'Title')"]).await.json();
    let files: Vec<String> =
        found.as_array().unwrap().iter().map(|uri| uri.as_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 12);
    let mut arguments = vec!["--json", "playlist", "create", "All"];
    arguments.extend(files.iter().map(String::as_str));
    assert_eq!(good(&daemon, &arguments).await.json()["count"], 12);

    let partner = good(&daemon, &["--json", "partner", &device, "--playlist", "all"]).await.json();
    assert_eq!((&partner["created"], &partner["partnership_index"]), (&true.into(), &1.into()));
    assert_eq!(good(&daemon, &["--json", "partner", &device]).await.json()["created"], false);

    let run = good(&daemon, &["--json", "sync", &device]).await;
    let last = run.json_lines().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["items"], &last["errors"]),
        (&"finished".into(), &12.into(), &0.into()),
        "{run:?}"
    );
    let filled = tree(player.path());
    assert!(
        before.iter().all(|(path, facts)| filled.get(path) == Some(facts)),
        "the user's own files are touched"
    );
    let copied =
        tree(music.dir()).into_values().filter(|facts| filled.values().any(|copy| copy == facts)).count();
    assert_eq!(copied, 12, "{filled:?}");

    let again = good(&daemon, &["sync", &device]).await;
    assert!(again.stdout.contains("in step"), "{again:?}");
    assert_eq!(kit::differences(&filled, &tree(player.path())), "");
    assert!(good(&daemon, &["preview", &device]).await.stdout.contains("nothing to do"));
    let results = good(&daemon, &["--json", "results", &device]).await.json();
    assert!(
        results["items"].as_array().unwrap().iter().all(|item| item["result"] == "synchronized"),
        "{results}"
    );
    let shown = good(&daemon, &["--json", "show", &device]).await.json();
    assert_eq!((&shown["playlists"][0]["name"], &shown["sync_state"]), (&"All".into(), &"stopped".into()));
    let info = good(&daemon, &["--json", "info", &files[0]]).await.json();
    assert_eq!(info["SyncState"].as_u64().unwrap() & 2, 2, "{info}");

    good(&daemon, &["unassign", "All", &device]).await;
    good(&daemon, &["assign", "All", &device, "--priority", "3"]).await;
    let playlists = good(&daemon, &["--json", "playlists"]).await.json();
    let all = playlists.as_array().unwrap().iter().find(|list| list["name"] == "All").unwrap().clone();
    assert_eq!(all["sync_priorities"]["1"], 3);
    good(&daemon, &["eject", &device]).await;
}

#[tokio::test]
async fn refusals_of_the_daemon_come_through() {
    let player = player_dir();
    let daemon = Daemon::builder().folder(player.path()).start().await;
    let device = only_device(&daemon).await;
    let ended = ctl(&daemon, &["sync", &device]).await;
    assert_eq!(
        (ended.code, ended.stderr.contains(&format!("`tandemctl --session partner {device}`"))),
        (1, true),
        "{ended:?}"
    );
    let ended = ctl(&daemon, &["set", &device, "Colour", "blue"]).await;
    assert_eq!((ended.code, ended.stderr.contains("Colour")), (2, true), "{ended:?}");
    let ended = ctl(&daemon, &["playlist", "create", "x", "--rule", "(colour == 'blue')"]).await;
    assert_eq!((ended.code, ended.stderr.contains("column")), (2, true), "{ended:?}");
    let ended = ctl(&daemon, &["info", "/nowhere.mp3"]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(good(&daemon, &["set", &device, "FriendlyName", "Kitchen"]).await.stderr, "");
    assert_eq!(good(&daemon, &["get", "kitchen", "FriendlyName"]).await.stdout, "Kitchen\n");
}
