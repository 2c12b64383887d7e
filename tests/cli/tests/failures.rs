//! Names that mean nothing or too much, hostile names, a daemon that is absent, silent or gone, closed pipes.

use cli::{DEVICES, Device, Fake, Playlist, Running, Step, World};
use kit::PrivateBus;
use serde_json::json;
use zbus::Variant;

async fn with(devices: Vec<Device>) -> Fake {
    Fake::start(World { devices, ..World::default() }).await
}

#[tokio::test]
async fn a_name_that_means_nothing_or_too_much_lists_what_there_is() {
    let playlists = vec![Playlist::new("1", "Jazz", &[]), Playlist::new("2", "Jazz", &[])];
    let devices = vec![Device::new("a1", "Sansa Clip"), Device::new("a2", "Sansa Fuze")];
    let fake = Fake::start(World { devices, playlists, ..World::default() }).await;
    let ended = fake.ctl(&["show", "sansa"]).await;
    assert_eq!(ended.code, 3);
    let message = "tandemctl: `sansa` may be any of these: Sansa Clip (id-a1), Sansa Fuze (id-a2); give more of it, or the id\n";
    assert_eq!(ended.stderr, message);
    assert_eq!(fake.ctl(&["show", "id-a"]).await.code, 3);
    let ended = fake.ctl(&["show", "ipod"]).await;
    assert_eq!(
        (ended.code, ended.stderr.contains("no device is called `ipod`; there is Sansa Clip")),
        (3, true)
    );
    let ended = fake.ctl(&["playlist", "show", "Jazz"]).await;
    assert_eq!((ended.code, ended.stderr.contains("Jazz (static, 0 items, 2)")), (3, true), "{ended:?}");
    assert_eq!(fake.ctl(&["playlist", "show", "2"]).await.code, 0);
    let path = "/org/tandemd/Sync1/libraries/u1000/playlists/2";
    assert_eq!(fake.ctl(&["playlist", "show", path]).await.code, 0);
    let ended = with(Vec::new()).await.ctl(&["sync", "x"]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (3, "tandemctl: no device is called `x`; there is none\n")
    );
}

#[tokio::test]
async fn a_name_that_another_playlist_has_is_refused_unless_that_is_wanted() {
    let playlists = vec![Playlist::new("1", "Jazz", &["file:///m/a.mp3"]), Playlist::new("2", "Rock", &[])];
    let fake = Fake::start(World { playlists, ..World::default() }).await;
    for arguments in [
        &["playlist", "create", "jazz"][..],
        &["playlist", "rename", "Rock", "Jazz"],
        &["playlist", "import", "/m/Jazz.m3u"],
    ] {
        let ended = fake.ctl(arguments).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("`Jazz` already (static, 1 item, 1)"), "{ended:?}");
        assert!(ended.stderr.contains("--allow-duplicate"), "{ended:?}");
        assert_eq!(fake.ctl(&[arguments, &["--allow-duplicate"]].concat()).await.code, 0);
    }
    let fake =
        Fake::start(World { playlists: vec![Playlist::new("1", "Jazz", &[])], ..World::default() }).await;
    assert_eq!(fake.ctl(&["playlist", "rename", "Jazz", "JAZZ"]).await.code, 0);
}

#[tokio::test]
async fn a_hostile_name_does_not_drive_the_terminal() {
    let evil = "\x1b]0;pwned\x07\u{202e}\u{9b}2J\nroot";
    let fake = with(vec![Device::new("a", evil).partnered(1).with("Manufacturer", evil)]).await;
    for arguments in [
        ["list", "-q"],
        ["show", "id-a"],
        ["status", "id-a"],
        ["stop", "id-a"],
        ["show", "nobody"],
        ["list", "--json"],
    ] {
        let ended = fake.ctl(&arguments).await;
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        let bad = printed.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{arguments:?}: {printed:?}");
        assert!(!printed.contains("\nroot"), "{printed}");
    }
    let json = fake.ctl(&["--json", "list"]).await.json();
    assert_eq!(json[0]["friendly_name"], evil);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    for (word, code) in [
        ("NotConnected", 6),
        ("NotAuthorized", 4),
        ("PartnershipNotExist", 1),
        ("ManualDevice", 1),
        ("Failed", 1),
    ] {
        let fake = with(vec![Device::new("a", "Sansa")]).await;
        fake.script("a", "Start", &[Step::Refuse(word, "because of `Sansa`")]);
        let ended = fake.ctl(&["sync", "Sansa"]).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stderr.starts_with("tandemctl: because of `Sansa`"), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn usage_errors_exit_with_two() {
    let bus = PrivateBus::start();
    for arguments in [
        &[] as &[&str],
        &["frobnicate"],
        &["sync"],
        &["sync", "a", "--all"],
        &["get"],
        &["--timeout", "0", "list"],
        &["playlist", "add", "x"],
    ] {
        assert_eq!(Running::start(bus.address(), arguments).end().await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_daemon_or_bus_that_is_not_there_is_told() {
    let bus = PrivateBus::start();
    let ended = Running::start(bus.address(), &["--session", "list"]).end().await;
    assert_eq!((ended.code, ended.stderr.contains("tandemd --session")), (7, true), "{ended:?}");
    let ended = Running::start(bus.address(), &["--session", "monitor"]).end().await;
    assert_eq!(ended.code, 7, "{ended:?}");
    let ended = Running::start("unix:path=/nonexistent/bus", &["list"]).end().await;
    assert_eq!((ended.code, ended.stderr.contains("system bus")), (7, true), "{ended:?}");
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_given_up() {
    let fake = with(vec![Device::new("a", "Sansa").partnered(1)]).await;
    fake.script("a", "Start", &[Step::Await("never")]);
    let ended = fake.ctl(&["--timeout", "1", "sync", "Sansa"]).await;
    assert_eq!((ended.code, ended.stderr.contains("--timeout")), (7, true), "{ended:?}");
}

#[tokio::test]
async fn a_daemon_that_ends_meanwhile_ends_the_wait() {
    let fake = with(vec![Device::new("a", "Sansa").partnered(1)]).await;
    let steps = [Step::Reply, Step::State("synchronizing"), Step::Set("Progress", Variant::U32(5))];
    fake.script("a", "Start", &steps);
    let mut running = fake.spawn(&["--json", "sync", "Sansa"]);
    while !running.line().await.contains("progress") {}
    fake.leave().await;
    let ended = running.end().await;
    assert_eq!((ended.code, ended.stderr.contains("tandemd has ended")), (7, true), "{ended:?}");
}

#[tokio::test]
async fn a_closed_pipe_is_met_quietly() {
    let devices = (0..400).map(|n| Device::new(&format!("d{n}"), &"long name ".repeat(40))).collect();
    let fake = with(devices).await;
    for arguments in [["list", "-q"], ["list", "--json"]] {
        let ended = fake.spawn(&arguments).end_unread().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn events_are_printed_as_they_come() {
    let fake = with(vec![Device::new("a", "Sansa").partnered(1)]).await;
    let mut running = fake.spawn(&["--json", "monitor", "--properties"]);
    fake.subscribed().await;
    let steps = [
        Step::Reply,
        Step::State("synchronizing"),
        Step::Error("file:///m/a", "no-fit", "m"),
        Step::State("stopped"),
    ];
    fake.script("a", "Start", &steps);
    fake.ctl(&["sync", "--no-wait", "Sansa"]).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let line: serde_json::Value = serde_json::from_str(&running.line().await).unwrap();
        assert_eq!(line["device"], "id-a");
        seen.push(line["event"].as_str().unwrap_or_default().to_owned());
        if line["event"] == "device-sync-error" {
            assert_eq!((&line["media"], &line["error"]), (&json!("file:///m/a"), &json!("no-fit")));
        }
    }
    let expected = [
        "device-sync-error",
        "device-sync-state-change",
        "device-sync-state-change",
        "properties-changed",
        "properties-changed",
    ];
    seen.sort();
    assert_eq!(seen, expected, "{DEVICES}");
    running.interrupt();
    assert_eq!(running.end().await.code, 0);
}
