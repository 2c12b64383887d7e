//! `tandemctl` with the real daemon in the hands of somebody new: odd input, missing files, and everything that the help
//! on rules says.

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

async fn good(daemon: &Daemon, arguments: &[&str]) -> String {
    let ended = ctl(daemon, arguments).await;
    assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
    ended.stdout
}

/// A daemon that has read a library of three tracks, and the name of its only player.
async fn ready(music: &MusicLibrary, player: &std::path::Path) -> (Daemon, String) {
    let daemon = Daemon::builder().music(music.dir()).folder(player).start().await;
    let mut events = daemon.events().await;
    while !good(&daemon, &["status"]).await.contains("stopped") {
        events.wait_for("DeviceConnect").await;
    }
    assert_eq!(good(&daemon, &["scan", "--wait"]).await, "3 tracks, 0 playlists.\n");
    let devices = ctl(&daemon, &["--json", "list"]).await.json();
    let device = devices[0]["id"].as_str().expect("a device has an id").to_owned();
    (daemon, device)
}

/// The paths of the library's tracks.
async fn tracks(daemon: &Daemon) -> Vec<String> {
    good(daemon, &["search", "(size >= 0)"]).await.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_rule_of_the_help_is_one() {
    let (music, player) = (MusicLibrary::with_tracks(3, 20_000), player_dir());
    let (daemon, _) = ready(&music, player.path()).await;
    let help = good(&daemon, &["rules"]).await;
    let (_, examples) = help.split_once("\nEXAMPLES\n").expect("the help has examples");
    for rule in examples.lines().map(str::trim) {
        good(&daemon, &["search", rule]).await;
    }
    assert_eq!(tracks(&daemon).await.len(), 3);
    let tags = "artist albumartist album title genre date composer comment label format file";
    for tag in tags.split(' ') {
        assert!(help.contains(tag), "{tag}");
        for rule in [
            format!("({tag} == 'x')"),
            format!("({tag} !~ \"^a\") sort -{tag}"),
            format!("({tag} starts_with 'x')"),
        ] {
            good(&daemon, &["search", &rule]).await;
        }
    }
    for tag in "track disc rating stars playcount duration bitrate size date".split(' ') {
        assert!(help.contains(tag), "{tag}");
        good(&daemon, &["search", &format!("({tag} >= 1.5) sort {tag} limit 1.5 hours")]).await;
    }
    for time in ["90s", "12h", "30d", "2w", "1y", "2024-05-01T00:00:00Z", "1700000000"] {
        for since in ["added-since", "modified-since", "played-since"] {
            good(&daemon, &["search", &format!("({since} {time})")]).await;
        }
    }
    for (limit, found) in [("2 items", 2), ("1 MB", 3), ("0.03 MB", 1), ("1 GB", 3), ("5 minutes", 3)] {
        let lines = good(&daemon, &["search", &format!("(size >= 0) limit {limit}")]).await;
        assert_eq!(lines.lines().count(), found, "{limit}: {lines}");
    }
    let unrated = good(&daemon, &["search", "(disc < 1)"]).await;
    assert_eq!(unrated, "", "a track without a number is never found by <");
    for rule in
        ["genre == 'x'", "((size > 1) AND (size > 2) OR (size > 3))", "(colour == 'x')", "(size > 1) limit 3"]
    {
        let ended = ctl(&daemon, &["search", rule]).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("column") && ended.stderr.contains("help rules`"), "{ended:?}");
    }
    let path = &tracks(&daemon).await[0];
    good(&daemon, &["annotate", "--stars", "4", path]).await;
    assert_eq!(good(&daemon, &["search", "(stars == 4)"]).await.trim_end(), path);
}

#[tokio::test]
async fn files_that_can_t_be_used_are_told_of_and_nothing_changes() {
    let (music, player) = (MusicLibrary::with_tracks(3, 20_000), player_dir());
    let (daemon, device) = ready(&music, player.path()).await;
    let track = &tracks(&daemon).await[0];
    let dir = music.dir().to_string_lossy().into_owned();
    let missing = format!("{dir}/none.mp3");
    good(&daemon, &["playlist", "create", "There", track]).await;
    good(&daemon, &["partner", &device, "--playlist", "There"]).await;
    for command in [&["playlist", "create", "Odd"][..], &["playlist", "add", "There"], &["transfer", &device]]
    {
        let ended = ctl(&daemon, &[command, &[track, &missing, &dir, "/dev/null"]].concat()).await;
        assert_eq!(ended.code, 3, "{ended:?}");
        for part in ["there is no file `", "is a directory", "is outside of your library", "3 of 4 files"] {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
    }
    let playlists = good(&daemon, &["playlists"]).await;
    assert!(!playlists.contains("Odd") && !playlists.contains("Transferred"), "{playlists}");
    let items = ctl(&daemon, &["--json", "playlist", "show", "There"]).await.json();
    assert_eq!(items["count"], 1);
}

#[tokio::test]
async fn what_is_missing_is_told_by_sync_preview_and_status() {
    let (music, player) = (MusicLibrary::with_tracks(3, 20_000), player_dir());
    let (daemon, device) = ready(&music, player.path()).await;
    let found = tracks(&daemon).await;
    good(&daemon, &["playlist", "create", "Mine", &found[0], &found[1]]).await;
    good(&daemon, &["partner", &device, "--playlist", "Mine"]).await;
    good(&daemon, &["sync", &device]).await;
    std::fs::remove_file(&found[1]).unwrap();
    good(&daemon, &["scan", "--wait"]).await;
    let ended = ctl(&daemon, &["sync", &device]).await;
    assert_eq!((ended.code, ended.stderr.contains("source-missing")), (5, true), "{ended:?}");
    let preview = good(&daemon, &["preview", &device]).await;
    assert!(preview.contains(&format!("missing: {}", found[1])), "{preview}");
    assert!(
        preview.contains("1 item was missing") && preview.contains(&format!("--session results {device}`")),
        "{preview}"
    );
    let status = good(&daemon, &["status"]).await;
    assert!(status.contains("1 error") && status.contains("you, as number 1"), "{status}");
}

#[tokio::test]
async fn the_end_of_a_partnership_leaves_the_player_as_it_was() {
    let (music, player) = (MusicLibrary::with_tracks(3, 20_000), player_dir());
    let (daemon, device) = ready(&music, player.path()).await;
    let before = tree(player.path());
    let found = tracks(&daemon).await;
    good(&daemon, &["playlist", "create", "Mine", &found[0], &found[1], &found[2]]).await;
    good(&daemon, &["partner", &device, "--playlist", "Mine"]).await;
    good(&daemon, &["sync", &device]).await;
    assert!(tree(player.path()).len() > before.len());
    let text = good(&daemon, &["unpartner", &device, "--remove-content"]).await;
    assert!(text.ends_with("has no partnership any more.\n"), "{text}");
    let mut after = tree(player.path());
    after.retain(|path, _| !path.ends_with("WMPInfo.xml"));
    assert_eq!(kit::differences(&before, &after), "");
    let text = good(&daemon, &["unpartner", &device]).await;
    assert!(text.ends_with("had no partnership; nothing to end.\n"), "{text}");
    let all = good(&daemon, &["get", &device]).await;
    assert!(
        all.contains("SyncRelationship:") && all.contains("SerialNumber:  ") && !all.contains("SyncFilter"),
        "{all}"
    );
    assert_eq!(ctl(&daemon, &["set", &device, "name", "x"]).await.code, 2);
}

#[tokio::test]
async fn what_the_user_deleted_on_the_player_is_told_and_comes_back_by_hand() {
    let (music, player) = (MusicLibrary::with_tracks(3, 20_000), player_dir());
    let (daemon, device) = ready(&music, player.path()).await;
    let found = tracks(&daemon).await;
    good(&daemon, &["playlist", "create", "Mine", &found[0], &found[1]]).await;
    let songs = || -> Vec<std::path::PathBuf> {
        let is_song = |path: &std::path::PathBuf| path.extension().is_some_and(|ending| ending == "mp3");
        tree(player.path()).into_keys().filter(is_song).collect()
    };
    let own = songs();
    good(&daemon, &["partner", &device, "--playlist", "Mine"]).await;
    good(&daemon, &["sync", &device]).await;
    let mut before = songs();
    before.retain(|song| !own.contains(song));
    assert_eq!(before.len(), 2);
    std::fs::remove_file(player.path().join(&before[0])).unwrap();
    let ended = ctl(&daemon, &["sync", &device]).await;
    let command =
        format!("you deleted it there; `tandemctl --session set {device} IncludeSkippedFiles \"\"` copies");
    assert!(ended.code == 0 && ended.stderr.contains(&command), "{ended:?}");
    assert!(!ended.stderr.contains("cancelled"), "{ended:?}");
    let preview = good(&daemon, &["preview", &device]).await;
    assert!(preview.contains("skip") && preview.contains("1 left out"), "{preview}");
    let text = good(&daemon, &["transfer", &device, &found[0], &found[1]]).await;
    assert!(text.starts_with("2 files are on "), "{text}");
    assert!(songs().contains(&before[0]), "it is back");
    assert_eq!(ctl(&daemon, &["partner", &device, "-p", "None"]).await.code, 3);
}

/// The command lines of the README's section on every day.
fn every_day() -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))
        .expect("the README is there");
    let section = readme.split_once("## Every day").expect("the README has that section").1;
    let block = section.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n")).unwrap_or_default();
    block.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_command_of_the_readme_works_as_it_stands() {
    let home = tempfile::tempdir().unwrap();
    let (music, player) = (MusicLibrary::new(), home.path().join("walkman"));
    std::fs::create_dir_all(home.path().join("Music/fast")).unwrap();
    std::fs::create_dir_all(&player).unwrap();
    for name in ["one.mp3", "two.mp3"] {
        let made = music.add(name, "Ann", "Live", name, 0);
        std::fs::copy(made, home.path().join("Music/fast").join(name)).unwrap();
    }
    let daemon = Daemon::builder().music(home.path().join("Music")).folder(&player).start().await;
    let mut events = daemon.events().await;
    while !good(&daemon, &["status"]).await.contains("stopped") {
        events.wait_for("DeviceConnect").await;
    }
    good(&daemon, &["scan", "--wait"]).await;
    let programs = kit::program("tandemctl").parent().expect("a program lies in a folder").to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let lines = every_day();
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        let run = || async {
            let mut shell = tokio::process::Command::new("bash");
            shell
                .args(["-c", &line])
                .env("PATH", &path)
                .env("HOME", home.path())
                .env("TANDEM_BUS", "session")
                .env("DBUS_SESSION_BUS_ADDRESS", daemon.bus().address())
                .stdin(std::process::Stdio::null())
                .kill_on_drop(true);
            tokio::time::timeout(kit::LIMIT, shell.output()).await.expect("the command ends").unwrap()
        };
        let mut output = run().await;
        // a change may have begun a run of its own; the user would try again after it
        for _ in 0..10 {
            if output.status.code() != Some(6) {
                break;
            }
            good(&daemon, &["sync", "walkman"]).await;
            output = run().await;
        }
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
