//! How a run came out is told as it is: stopped, refused, and what the user did on the player himself. And a transfer
//! waits for its end.

use cli::{Device, Ended, Fake, Playlist, Step, World};
use serde_json::json;

const RUN: [Step; 2] = [Step::State("synchronizing"), Step::State("stopped")];
const GUARD: &str = "30 of the 40 tracks on the device would be deleted: look at the library; if it is what you want, \
                     set AllowMassDeletion to True and start again";
const DELETED: &str =
    "left as it is on the device: you deleted it there; set IncludeSkippedFiles to copy it again";

async fn one(device: Device) -> Fake {
    Fake::start(World { devices: vec![device], ..World::default() }).await
}

/// A device whose last run ended so, with one item on it.
fn after(word: &str, message: &str) -> Device {
    let results = [("file:///m/a.mp3", "synchronized", ""), ("", word, message)];
    let device = Device::new("a", "Ann's Zen").partnered(1).with_results(&results);
    device.with("SyncItemCount", 1u32).with("LastSyncTime", 1_700_000_000u64)
}

#[tokio::test]
async fn a_run_that_did_not_come_to_its_end_does_not_look_finished() {
    for (word, told) in [
        ("cancelled", "stopped before it was in step"),
        ("would-delete-too-much", "refused, because it would delete too much"),
        ("timed-out", "not synchronised (timed-out)"),
    ] {
        let fake = one(after(word, "because").ended(word)).await;
        let status = fake.ctl(&["status"]).await.stdout;
        assert!(status.contains(&format!(", {told}")), "{status}");
        let results = fake.ctl(&["results", "Ann"]).await.stdout;
        assert!(results.ends_with(&format!(": {told}; 1 item on the device.\n")), "{results}");
    }
    let fake = one(after("interrupted", "because").ended("interrupted").with("LastSyncTime", 0u64)).await;
    let status = fake.ctl(&["status"]).await.stdout;
    assert!(status.contains("interrupted before it was in step"), "{status}");
    let results = fake.ctl(&["results", "Ann"]).await.stdout;
    let line = "The last run was interrupted before it was in step; 1 item on the device.\n";
    assert!(results.ends_with(line), "the time that is known is another run's: {results}");
    // trouble of a run that came to its end, also after the daemon has started anew and knows no progress
    let fake = one(after("library-unavailable", "because")).await;
    let results = fake.ctl(&["results", "Ann"]).await.stdout;
    assert!(results.ends_with(": 1 of 1 item synchronised.\n"), "{results}");
    let status = fake.ctl(&["status"]).await.stdout;
    assert!(!status.contains("not synchronised"), "{status}");
}

#[tokio::test]
async fn trouble_that_ended_no_run_is_told_without_contradiction() {
    let device = || after("library-unavailable", "/m is not mounted").with("LastSyncErrorCount", 1u32);
    let fake = one(device()).await;
    let trouble = Step::Error("", "library-unavailable", "/m is not mounted");
    let ended_well = Step::Set("Progress", zbus::Variant::U32(100));
    fake.script("a", "Start", &[RUN[0].clone(), trouble, ended_well, RUN[1].clone(), Step::Reply]);
    let ended = fake.ctl(&["sync", "Ann"]).await;
    assert!(ended.stderr.contains("library-unavailable: /m is not mounted; `tandemctl"), "{ended:?}");
    let line = "Ann's Zen: synchronised, with 1 error; 1 item on it; `tandemctl --session results Ann` tells more.\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (5, line), "{ended:?}");
    let results = fake.ctl(&["results", "Ann"]).await.stdout;
    assert!(results.ends_with(", 1 error: 1 of 1 item synchronised.\n"), "{results}");
}

#[tokio::test]
async fn the_guard_s_advice_is_given_once_and_as_commands() {
    let fake = one(after("would-delete-too-much", GUARD)).await;
    let steps =
        [RUN[0].clone(), Step::Error("", "would-delete-too-much", GUARD), RUN[1].clone(), Step::Reply];
    fake.script("a", "Start", &steps);
    let ended = fake.ctl(&["sync", "ann's zen"]).await;
    assert_eq!(ended.stderr.matches("AllowMassDeletion").count(), 1, "{ended:?}");
    let command = r"`tandemctl --session set 'ann'\''s zen' AllowMassDeletion True`";
    assert!(ended.stderr.contains(command), "{ended:?}");
    assert!(ended.stdout.contains(": refused, because it would delete too much; 1 item on it."), "{ended:?}");
}

#[tokio::test]
async fn what_the_user_deleted_on_the_player_is_told_as_what_it_is() {
    let results = [("file:///m/a.mp3", "cancelled", DELETED)];
    let device = || Device::new("a", "Sansa").partnered(1).with("LastSyncTime", 1_700_000_000u64);
    let fake = one(device().with_results(&results)).await;
    fake.script("a", "Start", &[&[Step::Reply], RUN.as_slice()].concat());
    let ended = fake.ctl(&["sync", "Sansa"]).await;
    let line = "tandemctl: Sansa: /m/a.mp3: left as it is on the device: you deleted it there; \
                `tandemctl --session set Sansa IncludeSkippedFiles \"\"` copies it again\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (0, line));
    let text = fake.ctl(&["results", "Sansa"]).await.stdout;
    assert!(text.contains("left out") && text.contains("--session set Sansa Include"), "{text}");

    let names: Vec<String> = (0..9).map(|number| format!("file:///m/{number}.mp3")).collect();
    let results: Vec<_> = names.iter().map(|name| (name.as_str(), "cancelled", DELETED)).collect();
    let fake = one(device().with_results(&results).with("HasSkippedFiles", true)).await;
    fake.script("a", "Start", &[&[Step::Reply], RUN.as_slice()].concat());
    let ended = fake.ctl(&["sync", "Sansa"]).await;
    assert!(ended.stderr.starts_with("tandemctl: Sansa: 9 items are left as they are"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    let text = fake.ctl(&["show", "Sansa"]).await.stdout;
    assert!(text.contains("yes; `tandemctl --session set Sansa IncludeSkippedFiles \"\"`"), "{text}");
}

async fn transfer(results: &[(&str, &str, &str)], failure: Option<Step>, json: bool) -> Ended {
    let fake = one(Device::new("a", "Sansa").partnered(1).with_results(results)).await;
    let mut steps = vec![Step::Reply, RUN[0].clone()];
    steps.extend(failure);
    steps.push(RUN[1].clone());
    fake.script("a", "Transfer", &steps);
    let arguments = ["transfer", "Sansa", "/m/a.mp3", "/m/b.mp3", "--json"];
    fake.ctl(&arguments[..if json { 5 } else { 4 }]).await
}

#[tokio::test]
async fn a_transfer_waits_and_tells_of_each_file() {
    let there = [("file:///m/a.mp3", "synchronized", ""), ("file:///m/b.mp3", "synchronized", "")];
    let ended = transfer(&there, None, false).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "2 files are on Sansa.\n"), "{ended:?}");

    let one_fits = [there[0], ("file:///m/b.mp3", "no-fit", "no space"), ("file:///m/c.mp3", "no-fit", "x")];
    let ended = transfer(&one_fits, None, false).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (5, "1 of 2 files on Sansa.\n"), "{ended:?}");
    assert_eq!(ended.stderr, "tandemctl: /m/b.mp3: no-fit: no space\n");
    let ended = transfer(&one_fits, None, true).await;
    let json = ended.json();
    assert_eq!((ended.code, &json["media"]), (5, &json!(["file:///m/a.mp3", "file:///m/b.mp3"])));
    assert_eq!(json["results"][1]["result"], "no-fit");

    let ended = transfer(&there[..1], Some(Step::Error("", "cancelled", "stopped")), false).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (8, "1 of 2 files on Sansa.\n"), "{ended:?}");
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.script("a", "Transfer", &[Step::Refuse("NotAuthorized", "no")]);
    assert_eq!(fake.ctl(&["transfer", "Sansa", "/m/a.mp3"]).await.code, 4);
}

#[tokio::test]
async fn a_transfer_to_an_absent_player_waits_for_nothing() {
    let fake = one(Device::new("a", "Sansa").partnered(1).with("Connected", false)).await;
    let ended = fake.ctl(&["transfer", "Sansa", "/m/a.mp3"]).await;
    let line = "1 file will be transferred to Sansa when it is plugged in.\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (0, line), "{ended:?}");
}

#[tokio::test]
async fn a_playlist_that_is_named_for_a_partnered_player_must_be_assigned() {
    let playlists = vec![Playlist::new("1", "Jazz", &[]), Playlist::new("2", "Late Night", &[])];
    let devices = vec![Device::new("a", "Sansa").partnered(1)];
    let fake = Fake::start(World { devices, playlists, ..World::default() }).await;
    let ended = fake.ctl(&["partner", "Sansa", "-p", "None"]).await;
    assert_eq!((ended.code, ended.stderr.contains("no playlist is called `None`")), (3, true), "{ended:?}");
    let ended = fake.ctl(&["partner", "Sansa", "-p", "Jazz", "-p", "Late Night"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    for name in ["Jazz", "'Late Night'"] {
        assert!(ended.stderr.contains(&format!("`tandemctl --session assign {name} Sansa`")), "{ended:?}");
    }
    assert_eq!(fake.ctl(&["assign", "Jazz", "Sansa"]).await.code, 0);
    let ended = fake.ctl(&["partner", "Sansa", "-p", "Jazz"]).await;
    assert_eq!((ended.code, ended.stdout.contains("already")), (0, true), "{ended:?}");
}

#[tokio::test]
async fn a_preview_of_a_run_that_would_stop_says_so() {
    let fake = one(Device::new("a", "Sansa").partnered(1)).await;
    fake.stop_previews(GUARD);
    let ended = fake.ctl(&["preview", "Sansa"]).await;
    assert!(ended.stderr.contains("Sansa: `sync` would stop and do nothing: 30 of the 40"), "{ended:?}");
    assert!(ended.stderr.contains("`tandemctl --session set Sansa AllowMassDeletion True`"), "{ended:?}");
    assert!(ended.stdout.contains("Once that is allowed: 1 to copy") && ended.stdout.contains(" 0 left out"));
}

/// What the daemon says of a device that it has not looked at yet is the record's word, and may be out of date.
#[tokio::test]
async fn a_device_that_was_not_looked_at_yet_is_not_called_partnered() {
    let away = || Device::new("a", "Sansa").partnered(1).with("Connected", false);
    let fake = one(away()).await;
    let looked_at = [
        Step::Set("Connected", true.into()),
        Step::Set("Status", "partnership-another".into()),
        Step::Reply,
        Step::Partnered(true, "", ""),
    ];
    fake.script("a", "CreatePartnership", &looked_at);
    let ended = fake.ctl(&["--json", "partner", "Sansa"]).await;
    assert_eq!((ended.code, &ended.json()["created"]), (0, &json!(true)), "{ended:?}");

    // it is being looked at, and turns out to be partnered
    let fake = one(away()).await;
    let being_looked_at =
        [Step::Set("Connected", true.into()), Step::Refuse("Initializing", "Sansa is being set up")];
    fake.script("a", "CreatePartnership", &being_looked_at);
    let ended = fake.ctl(&["--json", "partner", "Sansa"]).await;
    assert_eq!((ended.code, &ended.json()["created"]), (0, &json!(false)), "{ended:?}");
    assert_eq!(fake.calls().len(), 2, "{:?}", fake.calls());
}
