//! What a connection costs: a player is opened once for the look and the run that follows it, and is let go of when
//! nothing is to be done; which runs begin by themselves; and how the last runs went.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::time::Duration;
use support::{OWNER, World};
use tandem_engine::Setting;
use tandem_model::device::SyncState;
use tandem_model::error::ItemError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, PlaylistId};
use tandem_model::partnership::{PastRun, REMEMBERED_RUNS};

async fn partnered() -> (World, DeviceId) {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    (world, device)
}

#[tokio::test]
async fn the_look_hands_the_open_player_over_to_the_run() {
    let (mut world, device) = partnered().await;
    world.unplug("player").await;
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let before = world.door.opened();
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/b.mp3"], b"song b");
    assert_eq!(world.door.opened() - before, 1, "one opening serves the look and the run");
    assert_eq!(world.door.held(), 0, "the run has closed it");
    assert!(world.engine.snapshot(&device).unwrap().safe_to_remove);
}

#[tokio::test]
async fn a_new_partnership_hands_the_open_player_over_to_its_first_run() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    let before = world.door.opened();
    world.partner(&device, &["P"]).await;
    assert_eq!((world.door.opened() - before, world.door.held()), (1, 0));
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"song a");
    // one that is ended at once keeps nothing open
    world.engine.delete_partnership(&device, false).await.unwrap();
    let playlists = Some(vec![PlaylistId("P".to_owned())]);
    world.engine.create_partnership(&device, OWNER, playlists).await.unwrap();
    let complete = |event: &EngineEvent| matches!(event, EngineEvent::CreatePartnershipComplete { .. });
    world.wait_for(complete).await;
    world.engine.delete_partnership(&device, false).await.unwrap();
    assert!(world.engine.preview(&device).await.is_err());
    assert_eq!(world.door.held(), 0);
}

#[tokio::test]
async fn a_player_for_which_no_run_begins_is_closed_before_it_is_announced() {
    let (mut world, device) = partnered().await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    world.unplug("player").await;
    let before = world.door.opened();
    world.plug("player").await;
    assert_eq!((world.door.opened() - before, world.door.held()), (1, 0));
    assert!(world.engine.snapshot(&device).unwrap().safe_to_remove);
}

#[tokio::test]
async fn a_player_that_goes_while_its_run_waits_for_the_library_is_let_go_of() {
    let (mut world, device) = partnered().await;
    world.unplug("player").await;
    world.library.scan_goes_on(true);
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    assert_eq!(world.door.held(), 1);
    world.unplug("player").await;
    world.library.scan_goes_on(false);
    let before = world.door.opened();
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!((world.door.opened() - before, world.door.held()), (1, 0));
}

#[tokio::test]
async fn a_run_that_did_not_come_out_is_tried_again_after_a_pause() {
    let (mut world, device) = partnered().await;
    let obstacle = world.player("player").join(".tandem");
    std::fs::File::create(&obstacle).unwrap();
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert!(!world.tree("player").contains_key("Music/Ann/Live/b.mp3"));
    std::fs::remove_file(&obstacle).unwrap();
    // the run's end is announced before the pause begins, so the session is asked once more
    world.engine.cancel_estimation(&device).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(world.engine.snapshot(&device).unwrap().sync_state, SyncState::Stopped);
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/b.mp3"], b"song b");
}

#[tokio::test]
async fn each_track_comes_once_although_the_library_keeps_the_run_waiting_or_lacks_one() {
    let mut world = World::new().await;
    let files = ["a.mp3", "b.mp3", "c.mp3", "d.mp3", "e.mp3", "f.mp3"];
    for name in files {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.library.set("P", &files);
    world.start_and_hold(&device, 1).await;
    // it is finished though the next one does not come
    let first = world.player("player").join("Music/Ann/Live/a.mp3");
    let finished = async {
        while !first.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finished).await.unwrap();
    std::fs::remove_file(world.library.folder.join("d.mp3")).unwrap();
    world.release();
    world.wait_stopped(&device).await;
    let tracks = world
        .tree("player")
        .into_keys()
        .filter_map(|name| name.strip_prefix("Music/Ann/Live/").map(str::to_owned));
    assert_eq!(tracks.collect::<Vec<_>>(), ["a.mp3", "b.mp3", "c.mp3", "e.mp3", "f.mp3"]);
    assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.change_count, 6, "five tracks and the list");
}

#[tokio::test]
async fn the_last_ten_runs_are_remembered_over_a_restart() {
    let (mut world, device) = partnered().await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    world.add_file("b.mp3", b"song number b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.sync(&device).await;
    let text = |run: &PastRun| (run.failure, run.item_count, run.change_count, run.written_bytes);
    let list = world.tree("player")["Playlists/P.m3u8"].len() as u64;
    let last = world.engine.history(&device).await.remove(0);
    assert_eq!(text(&last), (None, 2, 2, 13 + list), "the song and the list");
    assert!(last.began > 0 && last.began <= last.ended);
    for _ in 0..REMEMBERED_RUNS {
        world.sync(&device).await;
    }
    *world.library.trouble.lock().unwrap() = Some("a folder is missing".to_owned());
    world.library.set("P", &[]);
    world.sync(&device).await;
    let runs = world.engine.history(&device).await;
    assert_eq!(runs.len(), REMEMBERED_RUNS);
    assert_eq!(runs[0].failure, Some(ItemError::WouldDeleteTooMuch), "the newest first");
    assert!(runs[0].message.contains("a folder is missing"), "{}", runs[0].message);
    assert_eq!(text(&runs[1]), (None, 2, 0, 0));
    let world = world.restart().await;
    assert_eq!(world.engine.history(&device).await, runs);
}

#[tokio::test]
async fn without_background_synchronisation_nothing_begins_by_itself() {
    let (mut world, device) = partnered().await;
    world.engine.set(&device, Setting::BackgroundSyncState(2)).await.unwrap();
    world.unplug("player").await;
    world.plug("player").await;
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.engine.cancel_estimation(&device).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    world.engine.cancel_estimation(&device).await.unwrap();
    tokio::time::resume();
    assert_eq!(world.engine.preview(&device).await.unwrap().len(), 2);
    assert!(!world.tree("player").contains_key("Music/Ann/Live/b.mp3"));
    world.sync(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/b.mp3"), "at the user's word it begins");
    world.add_file("c.mp3", b"song c");
    world.library.set("P", &["c.mp3"]);
    world.engine.set(&device, Setting::BackgroundSyncState(255)).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/c.mp3"));
}
