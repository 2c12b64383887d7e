//! Files of ours that somebody edits on the player in such a way that size and time say little. The engine is real, and
//! so are the store and the player; only the library is a stand-in.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::Duration;
use support::World;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;
use tandem_model::player::PlayerOpener;

/// A player with track `a` of playlist `P`.
async fn with_one_track() -> (World, DeviceId) {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    (world, device)
}

/// Rewrites the file with a time that is off by an hour.
fn rewrite(file: &Path, bytes: &[u8]) {
    let time = file.metadata().unwrap().modified().unwrap() + Duration::from_secs(3600);
    let mut open = File::create(file).unwrap();
    std::io::Write::write_all(&mut open, bytes).unwrap();
    open.set_times(FileTimes::new().set_modified(time)).unwrap();
}

async fn keeps_exact_times(world: &World) -> bool {
    let players = tandem_players::Players::new(None, Vec::new());
    let arrival = world.arrival("player");
    let player = players.open(&arrival).await.unwrap();
    player.storage().keeps_exact_times()
}

#[tokio::test]
async fn an_edit_of_the_same_size_an_hour_later_is_neither_deleted_nor_overwritten() {
    for replaced in [false, true] {
        let (mut world, device) = with_one_track().await;
        let file = world.player("player").join("Music/Ann/Live/a.mp3");
        rewrite(&file, b"edited");
        if replaced {
            world.add_file("a.mp3", b"song a, remastered");
            world.library.changed();
        } else {
            world.library.set("P", &[]);
        }
        world.sync(&device).await;
        assert_eq!(std::fs::read(&file).unwrap(), b"edited");
        world.engine.delete_partnership(&device, true).await.unwrap();
        let ended = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
        world.wait_for(ended).await;
        assert_eq!(std::fs::read(&file).unwrap(), b"edited");
    }
}

#[tokio::test]
async fn a_file_whose_time_alone_was_shifted_is_ours_where_times_are_not_exact() {
    let (mut world, device) = with_one_track().await;
    let file = world.player("player").join("Music/Ann/Live/a.mp3");
    rewrite(&file, b"song a");
    world.library.set("P", &[]);
    world.sync(&device).await;
    assert_eq!(file.exists(), keeps_exact_times(&world).await);
}

#[tokio::test]
async fn a_link_in_the_place_of_a_folder_of_ours_ends_no_run_and_no_partnership() {
    let (mut world, device) = with_one_track().await;
    let player = world.player("player");
    std::fs::remove_dir_all(player.join("Music/Ann")).unwrap();
    std::fs::create_dir(player.join("else")).unwrap();
    std::os::unix::fs::symlink("../else", player.join("Music/Ann")).unwrap();
    for _ in 0..2 {
        world.sync(&device).await;
        let whole =
            |event: &EngineEvent| matches!(event, EngineEvent::SyncError { media, .. } if media.is_empty());
        assert!(!world.seen.iter().any(whole), "{:?}", world.seen);
    }
    world.engine.delete_partnership(&device, true).await.unwrap();
    let ended = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
    let event = world.wait_for(ended).await;
    assert!(matches!(event, EngineEvent::DeletePartnershipComplete { result: Ok(()), .. }), "{event:?}");
    assert!(player.join("Music/Ann").is_symlink() && player.join("else").is_dir());
}
