//! What a run does about changes that come while it goes on, and what is told of a run that failed. The engine is real,
//! and so are the store and the player; only the library is a stand-in.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::sync::atomic::Ordering;
use support::World;
use tandem_engine::Setting;
use tandem_model::device::SyncState;
use tandem_model::error::ItemError;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;
use tandem_model::manifest::ItemResult;

/// A player in step with a playlist of one track, which starts nothing by itself.
async fn in_step() -> (World, DeviceId) {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3", "c.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    world.seen.clear();
    (world, device)
}

fn states(world: &World) -> Vec<SyncState> {
    let state = |event: &EngineEvent| match event {
        EngineEvent::SyncStateChanged(_, state) => Some(*state),
        _ => None,
    };
    world.seen.iter().filter_map(state).collect()
}

#[tokio::test]
async fn what_was_there_at_a_start_is_on_the_player_when_the_run_ends() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.start_and_hold(&device, 0).await;
    world.library.playlists.lock().unwrap().insert("P".to_owned(), vec!["b.mp3".into(), "c.mp3".into()]);
    world.engine.start_sync(&device).await.unwrap();
    world.release();
    world.wait_stopped(&device).await;
    let tree = world.tree("player");
    assert!(tree.contains_key("Music/Ann/Live/c.mp3") && !tree.contains_key("Music/Ann/Live/a.mp3"));
    assert_eq!(states(&world), [SyncState::Synchronizing, SyncState::Stopped], "it is one run");
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert_eq!((snapshot.progress, snapshot.bytes_done, snapshot.bytes_total), (100, 10, 10));
    // two tracks and the playlist twice were written, one track was deleted
    assert_eq!((snapshot.last_sync.change_count, snapshot.last_sync.item_count), (5, 2));
}

#[tokio::test]
async fn a_change_without_a_start_is_followed_within_the_run() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.start_and_hold(&device, 0).await;
    world.library.set("P", &["a.mp3", "b.mp3", "c.mp3"]);
    world.release();
    world.wait_stopped(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/c.mp3"));
    assert_eq!(states(&world), [SyncState::Synchronizing, SyncState::Stopped]);
}

#[tokio::test]
async fn a_library_that_changes_all_the_time_keeps_no_run_alive() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.library.restless.store(true, Ordering::Relaxed);
    let before = world.library.resolved.load(Ordering::Relaxed);
    world.sync(&device).await;
    let plans = world.library.resolved.load(Ordering::Relaxed) - before;
    assert!((2..=4).contains(&plans), "{plans} plans");
}

#[tokio::test]
async fn an_item_that_fails_in_each_plan_is_told_of_once() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3", "gone.mp3"]);
    world.start_and_hold(&device, 0).await;
    world.library.set("P", &["b.mp3", "gone.mp3"]);
    world.release();
    world.wait_stopped(&device).await;
    let told = world.seen.iter().filter(|event| matches!(event, EngineEvent::SyncError { .. })).count();
    assert_eq!((told, world.engine.snapshot(&device).unwrap().last_sync.error_count), (1, 1));
    assert_eq!(world.engine.results(&device).await.unwrap().len(), 2);
}

#[tokio::test]
async fn stop_ends_a_run_that_was_to_plan_again() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.start_and_hold(&device, 0).await;
    world.engine.start_sync(&device).await.unwrap();
    world.engine.stop_sync(&device).await.unwrap();
    world.wait_stopped(&device).await;
    assert!(!world.tree("player").contains_key("Music/Ann/Live/b.mp3"));
    world.release();
}

#[tokio::test]
async fn a_run_that_cannot_open_the_player_leaves_no_older_rows() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "gone.mp3"]);
    world.sync(&device).await;
    assert_eq!(world.engine.results(&device).await.unwrap()[0].error, Some(ItemError::SourceMissing));
    std::fs::remove_dir_all(world.player("player")).unwrap();
    world.sync(&device).await;
    let results = world.engine.results(&device).await.unwrap();
    let failed: Vec<_> = results.iter().filter(|row| row.error.is_some()).collect();
    assert!(failed.len() == 1 && failed[0].media.is_empty(), "{results:#?}");
    let errors = world.engine.snapshot(&device).unwrap().last_sync.error_count;
    assert_eq!(errors, 0, "what ended the run is no item that failed");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_temporary_folder_is_one_error_that_names_it() {
    let (mut world, device) = in_step().await;
    let outside = tempfile::tempdir().unwrap();
    let link = world.player("player").join(".tandem");
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    world.library.set("P", &["a.mp3", "b.mp3", "c.mp3"]);
    for _ in 0..2 {
        world.seen.clear();
        world.sync(&device).await;
        let errors: Vec<_> =
            world.seen.iter().filter(|event| matches!(event, EngineEvent::SyncError { .. })).collect();
        let [EngineEvent::SyncError { media, error, message, .. }] = &errors[..] else {
            panic!("{errors:#?}")
        };
        assert!(media.is_empty() && *error == ItemError::DeviceWriteFailed);
        assert!(message.contains("`.tandem`") && message.contains("move it away"), "{message}");
        assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.error_count, 0);
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    std::fs::remove_file(link).unwrap();
    world.sync(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/c.mp3"));
}

#[tokio::test]
async fn an_assigned_playlist_that_is_gone_is_told_of_by_the_run_that_takes_it_away() {
    let (mut world, device) = in_step().await;
    world.library.playlists.lock().unwrap().remove("P");
    world.sync(&device).await;
    assert!(world.tree("player").keys().all(|path| !path.ends_with(".mp3")));
    let results = world.engine.results(&device).await.unwrap();
    let gone = |row: &ItemResult| row.media == "playlist:P" && row.message.contains("gone from the library");
    assert!(
        results.iter().any(|row| gone(row) && row.error == Some(ItemError::SourceMissing)),
        "{results:#?}"
    );
    world.sync(&device).await;
    assert!(!world.engine.results(&device).await.unwrap().iter().any(gone), "it is told once");
}

#[tokio::test]
async fn one_entry_that_names_no_file_is_one() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "gone.mp3"]);
    world.sync(&device).await;
    let results = world.engine.results(&device).await.unwrap();
    assert_eq!(results[0].message, "one entry of the playlist `P` names no file of the library: `gone.mp3`");
}

#[tokio::test]
async fn a_run_whose_player_is_pulled_out_says_so_wherever_it_is_asked() {
    let (mut world, device) = in_step().await;
    world.library.set("P", &["a.mp3", "b.mp3", "c.mp3"]);
    for comes_back in [false, true] {
        world.start_and_hold(&device, 0).await;
        world.unplug("player").await;
        if comes_back {
            world.come("player").await;
        }
        let ended = world.wait_for(|event| matches!(event, EngineEvent::SyncError { .. })).await;
        assert!(matches!(ended, EngineEvent::SyncError { error: ItemError::DeviceRemoved, .. }), "{ended:?}");
        let results = world.engine.results(&device).await.unwrap();
        let of_the_run: Vec<_> =
            results.iter().filter(|row| row.media.is_empty()).map(|row| row.error).collect();
        assert_eq!(of_the_run, [Some(ItemError::DeviceRemoved)]);
        assert_eq!(world.engine.history(&device).await[0].failure, Some(ItemError::DeviceRemoved));
        world.release();
        if !comes_back {
            world.plug("player").await;
        }
    }
}
