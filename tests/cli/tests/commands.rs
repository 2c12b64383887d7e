//! Every command that does not wait, for people and as JSON.

use cli::{Device, Fake, LIBRARY, Playlist, Step, World};
use serde_json::{Value, json};

async fn fake() -> Fake {
    let devices = vec![
        Device::new("a", "Sansa").partnered(1).with("LastSyncTime", 951_786_245u64).with_results(&[
            ("file:///m/a.mp3", "synchronized", ""),
            ("file:///m/b.mp3", "no-fit", "too large"),
        ]),
        Device::new("b", "Zen"),
        Device::new("c", "Away").partnered(3).with("Connected", false).with("SyncState", "unknown"),
    ];
    let playlists = vec![
        Playlist::new("jazz", "Jazz", &["file:///m/a.mp3", "file:///m/b.mp3", "file:///m/a.mp3"])
            .assigned(1, 2),
        Playlist::new("rock", "Rock", &[]).assigned(1, 7).assigned(3, 1),
        Playlist::new("new", "New", &[]),
    ];
    Fake::start(World { devices, playlists, folders: vec!["/home/ann/Music".to_owned()], ..World::default() })
        .await
}

async fn json_of(fake: &Fake, arguments: &[&str]) -> Value {
    let ended = fake.ctl(&[&["--json"], arguments].concat()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    ended.json()
}

async fn text_of(fake: &Fake, arguments: &[&str]) -> String {
    let ended = fake.ctl(arguments).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    ended.stdout
}

#[tokio::test]
async fn devices_are_listed() {
    let fake = fake().await;
    let text = text_of(&fake, &["list"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines.len() == 4, "{text}");
    assert!(lines[1].contains("2000-02-29 01:04:05") && lines[1].contains("8.00 GB"), "{text}");
    assert!(lines[3].contains("absent"), "{text}");
    assert_eq!(text_of(&fake, &["list", "--connected"]).await.lines().count(), 3);
    let json = json_of(&fake, &["list"]).await;
    assert_eq!((&json[0]["id"], &json[0]["total_space"]), (&json!("id-a"), &json!(8_000_000_000u64)));
    assert_eq!((&json[0]["partnership_owner"], &json[1]["partnership_owner"]), (&json!(1000), &Value::Null));
    assert_eq!(json[0]["formats"], json!(["audio/mpeg", "audio/flac"]));
}

#[tokio::test]
async fn a_device_is_shown_with_what_is_assigned_to_it() {
    let fake = fake().await;
    let text = text_of(&fake, &["show", "sansa"]).await;
    assert!(text.contains("Jazz (2), Rock (7)") && text.contains("id-a"), "{text}");
    let json = json_of(&fake, &["show", "id-a"]).await;
    assert_eq!(json["kind"], "folder");
    assert_eq!(
        (&json["playlists"][1]["name"], &json["playlists"][1]["priority"]),
        (&json!("Rock"), &json!(7))
    );
    assert_eq!(json_of(&fake, &["show", "Zen"]).await["playlists"], json!([]));
}

#[tokio::test]
async fn what_a_library_that_hangs_has_nothing_to_do_with_is_shown_all_the_same() {
    let devices = vec![Device::new("a", "Sansa").partnered(1)];
    let fake = Fake::start(World { devices, agent_hangs: true, ..World::default() }).await;
    let mut running = fake.spawn(&["show", "Sansa"]);
    while !running.line().await.contains("1, with you") {}
    drop(running);
    let ended = fake.ctl(&["--timeout", "1", "show", "--json", "Sansa"]).await;
    assert_eq!((ended.code, &ended.json()["playlists"]), (7, &Value::Null), "{ended:?}");
    assert!(ended.stderr.contains("could not be asked of your library"), "{ended:?}");
}

#[tokio::test]
async fn a_manual_device_is_shown_with_what_it_lacks() {
    let device = Device::new("a", "Sansa").with("Status", "manual-device");
    let devices = vec![device.with("ManualReason", "no provider is installed")];
    let fake = Fake::start(World { devices, ..World::default() }).await;
    let text = text_of(&fake, &["show", "Sansa"]).await;
    assert!(text.contains("no provider is installed"), "{text}");
    assert_eq!(json_of(&fake, &["show", "Sansa"]).await["manual_reason"], "no provider is installed");
}

#[tokio::test]
async fn no_usb_device_is_said_to_be_none() {
    let fake = Fake::start(World { no_usb: true, ..World::default() }).await;
    assert_eq!(text_of(&fake, &["probe"]).await, "There is no USB device.\n");
    assert_eq!(json_of(&fake, &["probe"]).await, json!([]));
}

#[tokio::test]
async fn usage_lines_say_what_may_be_left_out() {
    let fake = fake().await;
    let ended = fake.ctl(&["sync"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let lines = "tandemctl sync [OPTIONS] <DEVICE>...\n       tandemctl sync [OPTIONS] --all\n";
    assert!(ended.stderr.contains(lines), "{ended:?}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_looked_for_on_the_other_bus() {
    let fake = fake().await;
    let test = ["provider", "test", "org.example.Absent"];
    let ended = fake.ctl(&test).await;
    assert!(
        ended.stderr.contains("on the session bus") && ended.stderr.contains("with --bus system"),
        "{ended:?}"
    );
    let ended = fake.ctl_on_system_bus(&test).await;
    assert!(
        ended.stderr.contains("on the system bus") && ended.stderr.contains("with --session"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn usb_devices_are_listed_and_told_of_with_the_reason() {
    let fake = fake().await;
    let text = text_of(&fake, &["probe"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("PORT") && lines.len() == 3, "{text}");
    for part in ["1-3", "1209:7a01", "Keyboard", "none", "it has no interface"] {
        assert!(lines[2].contains(part), "{part}: {text}");
    }
    let text = text_of(&fake, &["probe", "1-2", "--again"]).await;
    for part in [
        "1209:7a01, release 0100",
        "provider",
        "say so",
        "asked again",
        "WINUSB, from interface 1 on",
        "{F33F}, from interface 1 on",
        "1: class ff/00/00, 3 endpoints, name Player, driver usbfs",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = json_of(&fake, &["probe", "1-2"]).await;
    assert_eq!((json.as_array().unwrap().len(), &json[0]["device_id"]), (1, &json!("pap-1209-7a01-S1")));
    assert_eq!(json[0]["device_interfaces"][1], json!({"interface": null, "id": "{0001}"}));
    assert_eq!(json[0]["interfaces"][0]["class"], 255);
    let ended = fake.ctl(&["probe", "9-9"]).await;
    assert!(ended.code != 0 && ended.stderr.contains("`9-9`"), "{}", ended.stderr);
    assert_eq!(fake.ctl(&["probe", "--again"]).await.code, 2);
}

#[tokio::test]
async fn status_has_one_line_for_each_device() {
    let fake = fake().await;
    let text = text_of(&fake, &["status"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines.len() == 4, "{text}");
    for part in ["stopped, safe to remove", "2000-02-29 01:04:05", "1.50 GB of 8.00 GB", "you, as number 1"] {
        assert!(lines[1].contains(part), "{part}: {text}");
    }
    assert!(lines[2].ends_with("none") && lines[3].contains("absent"), "{text}");
    assert_eq!(json_of(&fake, &["status", "Away"]).await[0]["connected"], false);
}

#[tokio::test]
async fn results_and_previews_are_listed() {
    let fake = fake().await;
    let text = text_of(&fake, &["results", "Sansa"]).await;
    assert!(
        text.contains("/m/b.mp3") && !text.contains("/m/a.mp3") && text.contains("1 of 2 items"),
        "{text}"
    );
    assert!(text_of(&fake, &["results", "--all", "Sansa"]).await.contains("/m/a.mp3"));
    let json = json_of(&fake, &["results", "Sansa"]).await;
    assert_eq!(
        json["items"][1],
        json!({"media": "file:///m/b.mp3", "result": "no-fit", "message": "too large"})
    );
    let text = text_of(&fake, &["results", "--history", "Sansa"]).await;
    for told in [
        "2000-02-29 01:04:05",
        "3 min 20 s",
        "stopped before it was in step",
        "refused, because it would delete too much; 22 of 40 would go",
        "in step; 1 device-write-failed; 3 no-fit",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let cut = text.lines().last().unwrap();
    assert!(cut.contains(" -  ") && cut.ends_with("interrupted before it was in step"), "{text}");
    let json = json_of(&fake, &["results", "--history", "Sansa"]).await;
    assert_eq!(json["runs"][3]["errors"], json!({"no-fit": 3, "device-write-failed": 1}));
    assert_eq!(
        (&json["runs"][1]["result"], &json["runs"][1]["bytes"]),
        (&json!("cancelled"), &json!(5_000_000))
    );
    let text = text_of(&fake, &["preview", "Sansa"]).await;
    assert!(text.contains("Music/a.mp3") && text.contains("1 to copy"), "{text}");
    let json = json_of(&fake, &["preview", "Sansa"]).await;
    assert_eq!((&json[0]["action"], &json[0]["size"]), (&json!("copy"), &json!(5_000_000)));
}

#[tokio::test]
async fn attributes_are_got_and_set() {
    let fake = fake().await;
    assert_eq!(text_of(&fake, &["get", "Sansa", "FriendlyName"]).await, "Sansa\n");
    let json = json_of(&fake, &["set", "Sansa", "FriendlyName", "-Clip-"]).await;
    assert_eq!(json, json!({"device": "id-a", "name": "FriendlyName", "value": "-Clip-"}));
    assert_eq!(json_of(&fake, &["get", "Sansa", "FriendlyName"]).await["value"], "-Clip-");
    let ended = fake.ctl(&["get", "Sansa", "Colour"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (2, "tandemctl: `Colour` is no attribute\n"));
    assert_eq!(json_of(&fake, &["get", "Sansa", "friendlyname"]).await["name"], "FriendlyName");
    text_of(&fake, &["set", "Sansa", "FRIENDLYNAME", "Clip"]).await;
    let said = text_of(&fake, &["set", "Sansa", "IncludeSkippedFiles", ""]).await;
    assert!(said.contains("as a second copy"), "what the user changed there isn't replaced: {said}");
    assert_eq!(fake.calls()[1], "a SetItemInfo FriendlyName=Clip");
}

#[tokio::test]
async fn runs_are_stopped_and_partnerships_ended() {
    let fake = fake().await;
    assert_eq!(text_of(&fake, &["stop", "Sansa"]).await, "Sansa was not synchronising.\n");
    assert_eq!(json_of(&fake, &["stop", "--all"]).await, json!({"devices": [], "running": []}));
    let ended = json_of(&fake, &["unpartner", "Sansa"]).await;
    assert_eq!((&ended["status"], &ended["ended"]), (&json!("partnership-declined"), &json!(true)));
    let text = text_of(&fake, &["unpartner", "Away"]).await;
    assert_eq!(text, "Away has no partnership any more.\n");
    let calls = fake.calls();
    assert_eq!(
        calls[1..],
        ["a DeletePartnership remove-content=false", "c DeletePartnership remove-content=false"]
    );
    let text = text_of(&fake, &["unpartner", "Sansa"]).await;
    assert_eq!(text, "Sansa had no partnership; nothing to end.\n");
}

#[tokio::test]
async fn playlists_are_listed_shown_and_changed() {
    let fake = fake().await;
    let text = text_of(&fake, &["playlists"]).await;
    assert!(text.contains("Sansa (7), Away (1)"), "{text}");
    assert_eq!(json_of(&fake, &["playlists"]).await[0]["sync_priorities"], json!({"1": 2}));

    let text = text_of(&fake, &["playlist", "show", "ja"]).await;
    assert!(text.contains("3  /m/a.mp3"), "{text}");
    assert_eq!(json_of(&fake, &["playlist", "show", "Jazz"]).await["items"].as_array().unwrap().len(), 3);

    let made = json_of(&fake, &["playlist", "create", "Mine", "/m/x y.mp3", "file:///m/z.mp3"]).await;
    assert_eq!((&made["count"], &made["path"]), (&json!(2), &json!(format!("{LIBRARY}/playlists/made"))));
    text_of(&fake, &["playlist", "add", "Mine", "/m/first.mp3", "--at", "1"]).await;
    assert_eq!(text_of(&fake, &["playlist", "add", "Mine", "/m/last.mp3"]).await, "`Mine` has 4 items.\n");
    text_of(&fake, &["playlist", "remove", "Mine", "/m/x y.mp3", "--at", "4"]).await;
    let items = &json_of(&fake, &["playlist", "show", "Mine"]).await["items"];
    assert_eq!(items, &json!(["file:///m/first.mp3", "file:///m/z.mp3"]));
    assert_eq!(json_of(&fake, &["playlist", "rename", "Mine", "Yours"]).await["name"], "Yours");
    text_of(&fake, &["playlist", "move", "Yours", "2", "1"]).await;
    let items = &json_of(&fake, &["playlist", "show", "Yours"]).await["items"];
    assert_eq!(items, &json!(["file:///m/z.mp3", "file:///m/first.mp3"]));
    let ended = fake.ctl(&["playlist", "move", "Yours", "1", "3"]).await;
    assert_eq!((ended.code, ended.stderr.contains("2 items, so there is no position 3")), (3, true));
    assert_eq!(text_of(&fake, &["playlist", "clear", "Yours"]).await, "`Yours` has 0 items.\n");
    assert_eq!(json_of(&fake, &["playlist", "delete", "Yours"]).await["name"], "Yours");

    let auto = json_of(&fake, &["playlist", "create", "Auto", "--rule", "(stars >= 4)"]).await;
    assert_eq!((&auto["kind"], &auto["rule"]), (&json!("auto"), &json!("(stars >= 4)")));
    let ended = fake.ctl(&["playlist", "create", "Bad", "--rule", "stars"]).await;
    assert_eq!((ended.code, ended.stderr.contains("column 1")), (2, true), "{ended:?}");
    assert_eq!(json_of(&fake, &["playlist", "import", "/m/list.m3u"]).await["name"], "Imported");
}

#[tokio::test]
async fn playlists_are_assigned_after_the_last() {
    let fake = fake().await;
    assert_eq!(json_of(&fake, &["assign", "New", "Sansa"]).await["priority"], 8);
    assert_eq!(json_of(&fake, &["assign", "Jazz", "Sansa"]).await["priority"], 2);
    text_of(&fake, &["assign", "Jazz", "Sansa", "--priority", "1"]).await;
    text_of(&fake, &["unassign", "Rock", "Sansa"]).await;
    let text = text_of(&fake, &["unassign", "Rock", "Sansa"]).await;
    assert_eq!(text, "`Rock` was not assigned to Sansa; nothing to end.\n");
    let calls = fake.calls();
    assert_eq!(calls[2..], ["jazz SetItemInfo Sync01=1", "rock SetItemInfo Sync01=0"]);
    let ended = fake.ctl(&["assign", "New", "Zen"]).await;
    assert_eq!(
        (ended.code, ended.stderr.contains("`tandemctl --session partner Zen`")),
        (1, true),
        "{ended:?}"
    );
    assert_eq!(fake.ctl(&["assign", "New", "Sansa", "--priority", "0"]).await.code, 2);
}

#[tokio::test]
async fn the_library_is_set_scanned_and_searched() {
    let fake = fake().await;
    assert_eq!(text_of(&fake, &["folders"]).await, "/home/ann/Music\n");
    let json = json_of(&fake, &["folders", "--add", "/srv/../srv/Music"]).await;
    assert_eq!(json, json!({"folders": ["/home/ann/Music", "/srv/Music"], "trouble": ""}));
    assert_eq!(text_of(&fake, &["folders", "--remove", "/srv/Music"]).await, "/home/ann/Music\n");
    assert_eq!(fake.ctl(&["folders", "--remove", "/none"]).await.code, 3);

    assert_eq!(text_of(&fake, &["scan"]).await, "12 tracks, 3 playlists.\n");
    assert_eq!(json_of(&fake, &["scan", "--wait"]).await["last_scan_time"], 1_700_000_002);

    let text = text_of(&fake, &["search", "(title contains 'x')"]).await;
    assert_eq!(text, "/m/Ä.mp3\nfile:///m/%FF.mp3\nfile:///m/%1B%5B2J.mp3\n");
    assert_eq!(json_of(&fake, &["search", "x"]).await[0], "file:///m/%C3%84.mp3");

    let text = text_of(&fake, &["info", "/m/a.mp3"]).await;
    assert!(text.contains("3:05") && text.contains("on partnership 1") && !text.contains('\x1b'), "{text}");
    let json = json_of(&fake, &["info", "/m/a.mp3"]).await;
    assert_eq!((&json["media"], &json["Duration"]), (&json!("file:///m/a.mp3"), &json!(185_000)));
    assert_eq!(fake.ctl(&["info", "/m/a.txt"]).await.code, 3);
}

#[tokio::test]
async fn entries_that_name_no_media_are_told_of() {
    let unresolved: Vec<String> = (1..=25).map(|n| format!("gone/{n}.mp3")).collect();
    let fake = Fake::start(World { unresolved, ..World::default() }).await;
    let ended = fake.ctl(&["playlist", "import", "/m/list.m3u"]).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stderr.starts_with("tandemctl: left out: gone/1.mp3\n"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 20, "{ended:?}");
    let line =
        "`Imported` has 1 item. 25 entries of the file named no media of your library; --json lists all.\n";
    assert_eq!(ended.stdout, line);
    let text = text_of(&fake, &["playlist", "show", "Imported"]).await;
    assert!(text.contains("not in your library: gone/25.mp3"), "{text}");
    let ended = fake.ctl(&["--json", "playlist", "import", "--allow-duplicate", "/m/Imported.m3u"]).await;
    assert_eq!((ended.code, ended.json()["unresolved"].as_array().unwrap().len()), (5, 25));
    let fake = Fake::start(World { unresolved: vec!["x.mp3".to_owned()], ..World::default() }).await;
    let ended = fake.ctl(&["playlist", "import", "/m/list.m3u"]).await;
    assert!(ended.stdout.contains("1 entry of the file named no media of your library.\n"), "{ended:?}");
}

#[tokio::test]
async fn a_library_that_looks_wrong_is_told_of() {
    let trouble = "`/m` is empty; is it mounted?".to_owned();
    let fake = Fake::start(World { trouble: trouble.clone(), ..World::default() }).await;
    for command in ["folders", "scan"] {
        let ended = fake.ctl(&[command]).await;
        assert_eq!((ended.code, ended.stderr), (0, format!("tandemctl: {trouble}\n")));
        assert_eq!(json_of(&fake, &[command]).await["trouble"], trouble.as_str());
    }
    let ended = fake.ctl(&["scan", "--wait"]).await;
    assert_eq!((ended.code, ended.stderr), (5, format!("tandemctl: {trouble}\n")), "some of it was not read");
    assert_eq!(fake.ctl(&["--json", "scan", "--wait"]).await.json()["trouble"], trouble.as_str());
}

#[tokio::test]
async fn files_are_annotated() {
    let fake = fake().await;
    let text =
        text_of(&fake, &["annotate", "--stars", "5", "--play-count", "3", "/m/a.mp3", "/m/b.mp3"]).await;
    assert_eq!(text, "2 files: UserRating 99, UserPlayCount 3.\n");
    assert_eq!(json_of(&fake, &["annotate", "--rating", "0", "/m/a.mp3"]).await["UserRating"], 0);
    let calls = fake.calls();
    assert_eq!(
        calls[..2],
        [
            "SetMediaInfo file:///m/a.mp3 UserRating=uint32 99",
            "SetMediaInfo file:///m/a.mp3 UserPlayCount=uint32 3"
        ]
    );
    for arguments in [&["annotate", "/m/a.mp3"][..], &["annotate", "--stars", "6", "/m/a.mp3"]] {
        assert_eq!(fake.ctl(arguments).await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_run_with_other_playlists_is_estimated() {
    let fake = fake().await;
    fake.script("a", "EstimateSyncSize", &[Step::Reply, Step::Estimated(true, 5_000_000, 2_000_000_000)]);
    let text = text_of(&fake, &["estimate", "Sansa", "--with", "new"]).await;
    assert_eq!(
        text,
        "Sansa: what is synchronised would take 5.00 MB, which leaves 2.00 GB for your own files and free space.\n"
    );
    fake.script("a", "EstimateSyncSize", &[Step::Reply, Step::Estimated(true, 1, 2)]);
    let json = json_of(&fake, &["estimate", "Sansa", "--instead", "jazz"]).await;
    assert_eq!(json, json!({"device": "id-a", "estimated_used_space": 1, "estimated_space": 2}));
    fake.script("a", "EstimateSyncSize", &[Step::Reply, Step::Estimated(false, 0, 0)]);
    assert_eq!(fake.ctl(&["estimate", "Sansa", "--with", "new"]).await.code, 1);
    assert_eq!(fake.ctl(&["estimate", "Sansa"]).await.code, 2);
}

#[tokio::test]
async fn polkit_may_ask_on_the_system_bus_and_never_on_the_session_s() {
    let fake = fake().await;
    let own_uses = [
        &["stop", "Sansa"][..],
        &["set", "Sansa", "FriendlyName", "Sansa"],
        &["transfer", "--no-wait", "Sansa", "/m/a.mp3"],
        &["unpartner", "Sansa"],
    ];
    for arguments in own_uses {
        let ended = fake.ctl(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(fake.interactive(), Vec::<String>::new());
    for arguments in own_uses {
        assert_eq!(fake.ctl_on_system_bus(arguments).await.code, 0, "{arguments:?}");
    }
    assert_eq!(fake.interactive(), ["Stop", "SetItemInfo", "Transfer", "DeletePartnership"]);
}

#[tokio::test]
async fn files_are_transferred_by_uri() {
    let fake = fake().await;
    let text = text_of(&fake, &["transfer", "--no-wait", "Sansa", "/m/a b.mp3"]).await;
    assert_eq!(text, "1 file will be transferred to Sansa.\n");
    let json = json_of(&fake, &["transfer", "--no-wait", "Sansa", "/m/c.mp3", "/m/d.mp3"]).await;
    assert_eq!(json["media"], json!(["file:///m/c.mp3", "file:///m/d.mp3"]));
    assert_eq!(fake.calls()[0], "a Transfer file:///m/a%20b.mp3");
}

#[tokio::test]
async fn colours_are_used_where_they_are_asked_for() {
    let fake = fake().await;
    assert!(!text_of(&fake, &["list"]).await.contains('\x1b'));
    assert!(text_of(&fake, &["list", "--color", "always"]).await.contains('\x1b'));
}
