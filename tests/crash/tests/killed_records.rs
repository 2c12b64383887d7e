//! Proves that what is recorded is never half there: killed while a partnership is made, the partnership is there or it
//! isn't; killed while a setting is saved, the old or the new one is true; with records restored from before a run,
//! nothing that is on the player is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crash::{Random, Stage, Witness};
use dbus_interfaces::names;
use kit::wait_for_property;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 25;

/// As long as a state directory and a player are quiet within this time, nothing more comes of what was asked for.
const QUIET: Duration = Duration::from_millis(30);

/// Kills the daemon a random number of changes on disk after now, and a random moment after that.
async fn kill_somewhere(stage: &mut Stage, witness: &mut Witness, random: &mut Random, changes: u64) -> u64 {
    let before = witness.seen().await.events;
    let wanted = before + random.below(changes);
    // fewer may come, then the wait's end is as good an instant
    let reached = tokio::time::timeout(QUIET, witness.wait(|seen| seen.events >= wanted)).await;
    if reached.is_ok() {
        let delay = random.time_below(Duration::from_micros(1500));
        let more = witness.wait(|seen| seen.events >= wanted + changes);
        // a random instant, unless all is over before
        tokio::time::timeout(delay, more).await.ok();
    }
    stage.daemon.kill().await;
    witness.seen().await.events - before
}

#[tokio::test]
async fn a_partnership_is_there_or_it_is_not() {
    let mut random = Random::new("killed while partnering");
    let mut stage = Stage::start(2, 4000).await;
    let playlist = stage.playlist("All", 0..2).await;
    let state_dir = stage.daemon.state_dir();
    let mut witness = Witness::of(&[&state_dir, stage.player.path()]);
    let mut outcomes = BTreeMap::new();
    for round in 1..=ROUNDS {
        // so that what the agent writes when it starts doesn't count
        stage.library().await;
        stage.ask_for_partnership(std::slice::from_ref(&playlist)).await.unwrap();
        let changes = kill_somewhere(&mut stage, &mut witness, &mut random, 7).await;
        stage.daemon.restart().await;
        stage.wait_until_stopped().await;
        let device = stage.proxy().await;
        let status = device.status().await.unwrap();
        println!("round {round}: {changes} changes on disk, then {status}");
        match status.as_str() {
            "partnership-exists" => {
                assert_eq!(device.partnership_index().await.unwrap(), 1);
                stage.run_until_in_step().await;
                stage.check("All", &[0, 1]);
                let remove = true.into();
                device.delete_partnership(HashMap::from([("remove-content", &remove)])).await.unwrap();
                let ended = |status: &String| status == "partnership-declined";
                wait_for_property(&stage.client, &stage.device, names::DEVICE, "Status", ended).await;
            }
            "new-device" | "partnership-declined" => {
                assert_eq!(device.partnership_index().await.unwrap(), 0);
            }
            other => panic!("the partnership is half there: {other}"),
        }
        stage.check_own();
        *outcomes.entry(status).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    // the last partnership clears away what a kill may have left of a temporary file
    stage.partner(&[playlist]).await;
    stage.run_until_in_step().await;
    stage.check("All", &[0, 1]);
}

#[tokio::test]
async fn the_old_or_the_new_setting_is_true() {
    let mut random = Random::new("killed while saving");
    let mut stage = Stage::start(1, 4000).await;
    let playlist = stage.playlist("All", 0..1).await;
    stage.partner(&[playlist]).await;
    stage.run_until_in_step().await;
    let state_dir = stage.daemon.state_dir();
    let mut witness = Witness::of(&[&state_dir]);
    let (mut value, mut changed) = (0, 0);
    for round in 1..=ROUNDS {
        let device = stage.proxy().await;
        let before = value;
        let (sent, acknowledged) = (std::cell::Cell::new(before), std::cell::Cell::new(before));
        let settings = async {
            sent.set((sent.get() + 1) % 96);
            while device.set_percent_space_reserved(sent.get()).await.is_ok() {
                acknowledged.set(sent.get());
                sent.set((sent.get() + 1) % 96);
            }
            // the daemon is gone
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = settings => {}
            _ = kill_somewhere(&mut stage, &mut witness, &mut random, 20) => {}
        }
        stage.daemon.restart().await;
        stage.wait_until_stopped().await;
        let device = stage.proxy().await;
        assert_eq!(device.status().await.unwrap(), "partnership-exists");
        value = device.percent_space_reserved().await.unwrap();
        let (sent, acknowledged) = (sent.get(), acknowledged.get());
        println!("round {round}: {acknowledged} was kept, {sent} was asked for, {value} is true");
        assert!(value == sent || value == acknowledged);
        changed += usize::from(value != before);
    }
    assert!(changed > ROUNDS / 2, "too few kills fell among saves: {changed}");
    device_forgets_nothing(&stage, value).await;
    let left: Vec<_> = kit::tree(&state_dir).into_keys().filter(|path| is_new(path)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// After two saves, one for each copy, the value is that of the second.
async fn device_forgets_nothing(stage: &Stage, value: u32) {
    let device = stage.proxy().await;
    for next in [(value + 1) % 96, (value + 2) % 96] {
        device.set_percent_space_reserved(next).await.unwrap();
    }
    assert_eq!(device.percent_space_reserved().await.unwrap(), (value + 2) % 96);
}

fn is_new(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "new")
}

#[tokio::test]
async fn records_from_before_a_run_touch_nothing_on_the_player() {
    let mut stage = Stage::start(40, 20_000).await;
    let playlist = stage.playlist("All", 0..20).await;
    stage.partner(std::slice::from_ref(&playlist)).await;
    stage.run_until_in_step().await;
    let tracks: Vec<usize> = (0..20).collect();
    stage.check("All", &tracks);
    stage.daemon.terminate().await;
    let copy = tempfile::TempDir::new().unwrap();
    copy_dir(&stage.daemon.state_dir(), copy.path());

    // what the copy doesn't know of: tracks that came, tracks that went, a playlist that was written again
    stage.daemon.restart().await;
    stage.wait_until_stopped().await;
    stage.edit(&playlist, 5, 20..40).await;
    stage.run_until_in_step().await;
    let tracks: Vec<usize> = (5..40).collect();
    stage.check("All", &tracks);
    stage.daemon.terminate().await;

    std::fs::remove_dir_all(stage.daemon.state_dir()).unwrap();
    copy_dir(copy.path(), &stage.daemon.state_dir());
    stage.call_everything_foreign();
    stage.daemon.restart().await;
    stage.wait_until_stopped().await;
    stage.run_until_in_step().await;
    stage.check_own();
    // and with tracks that are there already, put there by a run that nobody remembers
    stage.edit(&playlist, 0, 20..40).await;
    stage.run_until_in_step().await;
    stage.check_own();
    stage.check_playlists_resolve();
}

fn copy_dir(from: &Path, to: &Path) {
    for path in kit::tree(from).into_keys() {
        kit::write_file(&to.join(&path), &std::fs::read(from.join(&path)).unwrap());
    }
}
