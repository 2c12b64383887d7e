//! `sync`, `partner` and `eject` wait for the right moment, whatever the order of answers and announcements.

use cli::{Device, Ended, Fake, Step, World};
use serde_json::{Value, json};
use zbus::Variant;

const RUN: [Step; 2] = [Step::State("synchronizing"), Step::State("stopped")];

async fn one(device: Device) -> Fake {
    Fake::start(World { devices: vec![device], ..World::default() }).await
}

fn finished(ended: &Ended) -> Value {
    ended
        .json_lines()
        .into_iter()
        .find(|line| line["event"] == "finished")
        .unwrap_or_else(|| panic!("{ended:?}"))
}

#[tokio::test]
async fn a_run_is_seen_to_end_whenever_the_answer_comes() {
    let [begin, end] = RUN;
    let orders: [&[Step]; 3] = [
        &[Step::Reply, begin.clone(), end.clone()],
        &[begin.clone(), Step::Reply, end.clone()],
        &[begin, end, Step::Reply],
    ];
    for order in orders {
        let fake = one(Device::new("a", "Sansa").partnered(1).with("SyncItemCount", 3u32)).await;
        fake.script("a", "Start", order);
        let ended = fake.ctl(&["--json", "sync", "sansa"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.json_lines()[0], json!({"event": "started", "device": "id-a"}));
        assert_eq!(finished(&ended)["outcome"], "complete", "{order:?}");
    }
}

#[tokio::test]
async fn nothing_to_do_ends_too() {
    let device = Device::new("a", "Sansa").partnered(1).with("SyncItemCount", 3u32);
    let fake = one(device.with("LastSyncChangeCount", 0u32)).await;
    fake.script("a", "Start", &[&[Step::Reply], RUN.as_slice()].concat());
    let ended = fake.ctl(&["sync", "Sansa"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "Sansa: in step, nothing to do; 3 items on it.\n"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_run_that_does_not_begin_is_not_called_done() {
    let fake = one(Device::new("a", "Sansa").partnered(1).with("SyncItemCount", 3u32)).await;
    let ended = fake.ctl(&["--timeout", "1", "sync", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.contains("in step,")), (1, false), "{ended:?}");
    assert!(ended.stderr.contains("no run has begun"), "{ended:?}");
}

#[tokio::test]
async fn a_device_that_is_being_set_up_is_waited_for() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Start", &[Step::Refuse("Initializing", "Sansa is still being set up")]);
    let ended = fake.ctl(&["sync", "--no-wait", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "Sansa is being synchronised.\n"), "{ended:?}");
    fake.script("a", "Preview", &[Step::Refuse("Initializing", "Sansa is still being set up")]);
    assert_eq!(fake.ctl(&["preview", "Sansa"]).await.code, 0);
}

#[tokio::test]
async fn a_run_that_is_on_is_joined_and_its_end_is_not_mistaken() {
    let fake = one(Device::new("a", "Sansa").partnered(1).with("SyncState", "synchronizing")).await;
    let steps = [Step::State("stopped"), Step::Reply, RUN[0].clone(), RUN[1].clone()];
    fake.script("a", "Start", &steps);
    let ended = fake.ctl(&["--json", "sync", "id-a"]).await;
    assert_eq!((ended.code, &finished(&ended)["outcome"]), (0, &json!("complete")));
}

#[tokio::test]
async fn items_that_failed_make_the_result_partial() {
    let results = [
        ("file:///m/a.mp3", "synchronized", ""),
        ("file:///m/b%0A.mp3", "source-unreadable", "no\x1b[31m permission"),
        ("file:///m/c.mp3", "no-fit", "too large"),
    ];
    let device = Device::new("a", "Sansa").partnered(1).with_results(&results);
    let device = device.with("LastSyncErrorCount", 1u32).with("LastSyncNoFitCount", 1u32);
    let fake = one(device).await;
    let error = Step::Error("file:///m/b%0A.mp3", "source-unreadable", "no permission");
    fake.script("a", "Start", &[Step::Reply, RUN[0].clone(), error.clone(), RUN[1].clone()]);
    let ended = fake.ctl(&["sync", "Sansa"]).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.stdout.contains("1 failed, 1 did not fit; `tandemctl --session results Sansa`"),
        "{ended:?}"
    );
    let complaint = "tandemctl: Sansa: file:///m/b%0A.mp3: source-unreadable: no\\u{1b}[31m permission\n";
    assert!(ended.stderr.ends_with(complaint), "{ended:?}");

    fake.script("a", "Start", &[Step::Reply, RUN[0].clone(), error, RUN[1].clone()]);
    let ended = fake.ctl(&["--json", "sync", "Sansa"]).await;
    assert!(
        ended
            .json_lines()
            .iter()
            .any(|line| line["event"] == "item-error" && line["error"] == "source-unreadable")
    );
    assert_eq!(finished(&ended)["outcome"], "partial");
    assert_eq!((ended.code, ended.stderr.as_str()), (5, ""));
}

#[tokio::test]
async fn what_ends_a_whole_run_has_its_own_codes_and_remedies() {
    for (word, code, remedy) in [
        ("would-delete-too-much", 1, "AllowMassDeletion"),
        ("library-unavailable", 1, "tandemctl --session folders"),
        ("cancelled", 8, ""),
        ("device-busy", 6, "close the program"),
    ] {
        let fake = one(Device::new("a", "Sansa").partnered(1)).await;
        let steps = [RUN[0].clone(), Step::Error("", word, "because"), RUN[1].clone(), Step::Reply];
        fake.script("a", "Start", &steps);
        let ended = fake.ctl(&["sync", "Sansa"]).await;
        assert_eq!(ended.code, code, "{word}: {ended:?}");
        assert!(
            ended.stderr.contains(&format!("{word}: because")) && ended.stderr.contains(remedy),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_device_that_is_unplugged_ends_the_wait() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Start", &[Step::Reply, RUN[0].clone(), Step::Disconnect]);
    let ended = fake.ctl(&["--json", "sync", "Sansa"]).await;
    assert_eq!((ended.code, &finished(&ended)["outcome"]), (6, &json!("removed")), "{ended:?}");
}

#[tokio::test]
async fn several_devices_run_together_and_one_refusal_stops_no_other() {
    let devices = vec![
        Device::new("a", "Sansa").partnered(1),
        Device::new("b", "Zen").partnered(2),
        Device::new("c", "Guest"),
        Device::new("d", "Away").partnered(3).with("Connected", false),
    ];
    let fake = Fake::start(World { devices, ..World::default() }).await;
    fake.script("a", "Start", &[Step::Refuse("Busy", "`gvfsd` (process 7) holds it")]);
    fake.script("b", "Start", &[&[Step::Reply], RUN.as_slice()].concat());
    let ended = fake.ctl(&["--json", "sync", "--all"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert_eq!(ended.stderr, "tandemctl: `gvfsd` (process 7) holds it\n");
    assert_eq!((&finished(&ended)["device"], fake.calls().len()), (&json!("id-b"), 2));
    let refused = ended.json_lines().into_iter().find(|line| line["event"] == "refused").unwrap();
    assert_eq!((&refused["device"], &refused["error"]), (&json!("id-a"), &json!("Busy")));
}

#[tokio::test]
async fn without_waiting_it_returns_while_the_run_goes_on() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Start", &[Step::Reply, RUN[0].clone()]);
    let ended = fake.ctl(&["sync", "--no-wait", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "Sansa is being synchronised.\n"));
}

#[tokio::test]
async fn an_interrupt_detaches_and_the_run_goes_on() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Start", &[Step::Reply, RUN[0].clone(), Step::Set("Progress", Variant::U32(10))]);
    let mut running = fake.spawn(&["--json", "sync", "Sansa"]);
    while !running.line().await.contains("progress") {}
    running.interrupt();
    let ended = running.end().await;
    assert_eq!(ended.code, 8);
    assert!(
        ended.stderr.contains("still being synchronised, and `tandemctl --session stop Sansa`"),
        "{ended:?}"
    );
    assert_eq!(fake.calls(), ["a Start"]);
}

#[tokio::test]
async fn an_interrupt_stops_the_run_where_that_is_wanted() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    let steps = [
        Step::Reply,
        RUN[0].clone(),
        Step::Set("Progress", Variant::U32(10)),
        Step::Await("Stop"),
        Step::Error("", "cancelled", "stopped"),
        RUN[1].clone(),
    ];
    fake.script("a", "Start", &steps);
    let mut running = fake.spawn(&["--json", "sync", "--stop-on-interrupt", "Sansa"]);
    while !running.line().await.contains("progress") {}
    running.interrupt();
    let ended = running.end().await;
    assert_eq!((ended.code, &finished(&ended)["outcome"]), (8, &json!("stopped")));
    assert_eq!(fake.calls(), ["a Start", "a Stop"]);
}

#[tokio::test]
async fn progress_is_told_in_lines_where_there_is_no_terminal() {
    let device = Device::new("a", "Sansa").partnered(1).with("BytesTotal", 50_000_000u64);
    let fake = one(device.with("BytesDone", 25_000_000u64).with("Rate", 5_000_000u64)).await;
    let until_stopped =
        [Step::Reply, RUN[0].clone(), Step::Set("Progress", Variant::U32(50)), Step::Await("Stop")];
    fake.script("a", "Start", &[&until_stopped, &RUN[1..]].concat());
    let mut running = fake.spawn(&["sync", "Sansa"]);
    let line = running.complaint().await;
    assert_eq!(line, "Sansa: synchronizing, 50 %, 25.0 MB of 50.0 MB, 5.00 MB/s");
    assert_eq!(fake.ctl(&["stop", "Sansa"]).await.code, 0);
    let ended = running.end().await;
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "Sansa: in step; 0 items on it.\n", "")
    );
}

#[tokio::test]
async fn stop_waits_for_the_end_of_the_run() {
    let running = || Device::new("a", "Sansa").partnered(1).with("SyncState", "synchronizing");
    let fake = one(running()).await;
    fake.script("a", "Stop", &[Step::Reply, Step::Await("GetStatus"), Step::State("stopped")]);
    let stop = fake.spawn(&["stop", "Sansa"]);
    fake.called("a Stop").await;
    // the run ends when somebody asks for the status, and until then nothing is said
    assert_eq!(fake.ctl(&["status"]).await.code, 0);
    let ended = stop.end().await;
    let line = "Sansa has stopped; `tandemctl --session sync Sansa` goes on.\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (0, line), "{ended:?}");

    let fake = one(running()).await;
    let ended = fake.ctl(&["stop", "--no-wait", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "Sansa stops at a safe point.\n"));
}

#[tokio::test]
async fn the_end_of_a_partnership_is_awaited() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    let ends = [
        Step::Reply,
        Step::Set("SafeToRemove", Variant::Bool(false)),
        Step::Set("PartnershipIndex", Variant::U32(0)),
        Step::Set("Status", Variant::from("partnership-declined")),
        Step::Await("GetStatus"),
        Step::Unpartnered(true, "", ""),
    ];
    fake.script("a", "DeletePartnership", &ends);
    let unpartner = fake.spawn(&["--json", "unpartner", "--remove-content", "Sansa"]);
    fake.called("a DeletePartnership").await;
    // the daemon says that it is done when somebody asks for the status, and not before
    assert_eq!(fake.ctl(&["status"]).await.code, 0);
    let ended = unpartner.end().await;
    let expected = json!({"device": "id-a", "status": "partnership-declined", "ended": true});
    assert_eq!((ended.code, ended.json()), (0, expected));

    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    let fails = [Step::Reply, Step::Unpartnered(false, "Failed", "the partnership could not be ended: why")];
    fake.script("a", "DeletePartnership", &fails);
    let ended = fake.ctl(&["unpartner", "--remove-content", "Sansa"]).await;
    assert_eq!((ended.code, ended.stderr.contains("could not be ended: why")), (1, true), "{ended:?}");

    let stays = [
        Step::Reply,
        Step::Error("", "device-write-failed", "2 files stay: `a.mp3`"),
        Step::Set("PartnershipIndex", Variant::U32(0)),
        Step::Unpartnered(true, "", ""),
    ];
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "DeletePartnership", &stays);
    let ended = fake.ctl(&["unpartner", "--remove-content", "Sansa"]).await;
    assert_eq!((ended.code, ended.stderr.contains("2 files stay")), (5, true), "{ended:?}");

    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    let told = [
        Step::Reply,
        Step::Error("", "device-write-failed", "the player is read-only"),
        Step::Unpartnered(false, "Failed", "the owner is told why"),
    ];
    fake.script("a", "DeletePartnership", &told);
    let ended = fake.ctl(&["unpartner", "--remove-content", "Sansa"]).await;
    assert_eq!((ended.code, ended.stderr.contains("the player is read-only")), (1, true), "{ended:?}");

    fake.script("a", "DeletePartnership", &[Step::Refuse("NotConnected", "Sansa is not connected")]);
    let ended = fake.ctl(&["unpartner", "--remove-content", "Sansa"]).await;
    assert_eq!((ended.code, ended.stderr.contains("leave out --remove-content")), (6, true), "{ended:?}");

    fake.script("a", "DeletePartnership", &[Step::Reply]);
    let ended = fake.ctl(&["unpartner", "--remove-content", "--no-wait", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "The partnership of Sansa is being ended.\n"));

    fake.script("a", "DeletePartnership", &[Step::Forget, Step::Disconnect, Step::Reply]);
    let ended = fake.ctl(&["unpartner", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "Sansa has no partnership any more.\n"));
}

#[tokio::test]
async fn quiet_says_nothing() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Start", &[&[Step::Reply], RUN.as_slice()].concat());
    let ended = fake.ctl(&["sync", "--quiet", "Sansa"]).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
}

#[tokio::test]
async fn a_partnership_is_awaited() {
    let created = |success, error, text| [Step::Reply, Step::Partnered(success, error, text)];
    let fake = one(Device::new("a", "Sansa")).await;
    fake.script(
        "a",
        "CreatePartnership",
        &[&created(true, "", "")[..], &[Step::Set("PartnershipIndex", Variant::U32(1))]].concat(),
    );
    let ended = fake.ctl(&["partner", "Sansa"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("Sansa is partnered with your library"), "{ended:?}");

    let limit = "org.tandemd.Sync1.Error.PartnershipLimit";
    fake.script("a", "CreatePartnership", &created(false, limit, "your library has 16 partnerships"));
    let ended = fake.ctl(&["partner", "Sansa"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("16 partnerships; `tandemctl --session unpartner OTHER`"), "{ended:?}");

    fake.script("a", "CreatePartnership", &[Step::Reply, Step::Disconnect]);
    assert_eq!(fake.ctl(&["partner", "Sansa"]).await.code, 6);
}

#[tokio::test]
async fn a_partnership_that_is_there_is_left_alone() {
    let fake = one(Device::new("a", "Sansa").partnered(4)).await;
    let ended = fake.ctl(&["--json", "partner", "Sansa"]).await;
    assert_eq!(ended.json(), json!({"device": "id-a", "partnership_index": 4, "created": false}));
    assert_eq!(fake.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn an_ejected_device_is_awaited() {
    let fake =
        one(Device::new("a", "Sansa").with("SafeToRemove", false).with("SyncState", "synchronizing")).await;
    let steps = [
        Step::Reply,
        Step::State("stopped"),
        Step::Set("SafeToRemove", Variant::Bool(true)),
        Step::Set("Connected", Variant::Bool(false)),
        Step::Disconnect,
    ];
    fake.script("a", "Eject", &steps);
    let ended = fake.ctl(&["--json", "eject", "Sansa"]).await;
    assert_eq!(ended.json(), json!({"device": "id-a", "safe_to_remove": true, "connected": false}));

    let fake = one(Device::new("a", "Folder")).await;
    let ended = fake.ctl(&["eject", "Folder"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "Folder is safe to remove.\n"));
}

#[tokio::test]
async fn an_ejected_device_that_is_forgotten_is_gone() {
    let fake = one(Device::new("a", "Sansa")).await;
    fake.script("a", "Eject", &[Step::Forget, Step::Disconnect, Step::Reply]);
    let ended = fake.ctl(&["--json", "eject", "Sansa"]).await;
    assert_eq!(ended.json(), json!({"device": "id-a", "safe_to_remove": true, "connected": false}));
}

#[tokio::test]
async fn a_device_that_is_not_ejected_is_told_of() {
    let fake = one(Device::new("a", "Sansa")).await;
    let steps = [
        Step::Set("SafeToRemove", Variant::Bool(false)),
        Step::Reply,
        Step::Error("", "device-busy", "not ejected: another program uses it"),
    ];
    fake.script("a", "Eject", &steps);
    let ended = fake.ctl(&["eject", "Sansa"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("Sansa: not ejected: another program uses it"), "{ended:?}");
}
