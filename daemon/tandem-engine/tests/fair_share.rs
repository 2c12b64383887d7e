//! Several players that are filled from one library at the same time: each reads one source and asks for one ahead, so that
//! a library which hands out one after the other serves them in turn, and no player waits until another is done, however
//! much that one has to do.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use support::World;
use tandem_engine::Setting;
use tandem_model::device::SyncState;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, TrackId};

/// Partners a player for each of these numbers with so many tracks of its own.
async fn players(world: &mut World, counts: &[usize]) -> (Vec<DeviceId>, Vec<Vec<TrackId>>) {
    let (mut devices, mut owners) = (Vec::new(), Vec::new());
    for (player, count) in counts.iter().enumerate() {
        let playlist = format!("P{player}");
        world.library.set(&playlist, &[]);
        let device = world.plug(&format!("player {player}")).await;
        world.partner(&device, &[&playlist]).await;
        world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
        let files: Vec<String> = (0..*count).map(|file| format!("{player}-{file:03}.mp3")).collect();
        files.iter().for_each(|file| world.add_file(file, &vec![7; 3000]));
        world.library.set(&playlist, &files.iter().map(String::as_str).collect::<Vec<_>>());
        owners.push(files.iter().map(|file| world.library.id(file)).collect());
        devices.push(device);
    }
    (devices, owners)
}

/// Fills all of them from a library that hands out one source after the other, in the order of asking; tells how many
/// different tracks of each player were asked for until one had asked for all of its own.
async fn shares(counts: &[usize]) -> Vec<usize> {
    let mut world = World::new().await;
    let (devices, owners) = players(&mut world, counts).await;
    let library = Arc::clone(&world.library);
    let mut granted = *library.opened.borrow();
    library.may_open.send_replace(granted);
    for device in &devices {
        world.engine.start_sync(device).await.unwrap();
    }
    // all of them stand in line before the first is served
    let mut opened = library.opened.subscribe();
    let all = granted + u64::try_from(counts.len()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), opened.wait_for(|now| *now >= all)).await.unwrap().unwrap();
    let engine = world.engine.clone();
    let serve = async {
        // one after the other, whenever somebody waits
        loop {
            opened.wait_for(|now| *now > granted).await.unwrap();
            granted += 1;
            library.may_open.send_replace(granted);
        }
    };
    let ends = async {
        for _ in counts {
            world
                .wait_for(|event| matches!(event, EngineEvent::SyncStateChanged(_, SyncState::Stopped)))
                .await;
        }
    };
    tokio::select! {
        () = serve => unreachable!("it serves for ever"),
        () = ends => {}
    }
    for (device, count) in devices.iter().zip(counts) {
        assert_eq!(usize::try_from(engine.snapshot(device).unwrap().last_sync.item_count), Ok(*count));
    }
    let mut shares = vec![0; counts.len()];
    let mut seen = HashSet::new();
    for track in library.tracks_opened.lock().unwrap().iter().filter(|track| seen.insert(**track)) {
        let owner = owners.iter().position(|tracks| tracks.contains(track)).unwrap();
        shares[owner] += 1;
        if shares[owner] == counts[owner] {
            break;
        }
    }
    shares
}

#[tokio::test]
async fn players_that_are_filled_at_once_get_a_fair_share_of_the_library() {
    let shares = shares(&[24; 4]).await;
    assert!(shares.iter().all(|share| *share >= 12), "when one had all 24: {shares:?}");
}

#[tokio::test]
async fn a_player_with_very_much_to_do_does_not_keep_another_waiting() {
    let shares = shares(&[400, 24]).await;
    assert_eq!(shares[1], 24, "the one with little to do is done first: {shares:?}");
    assert!(shares[0] <= 2 * 24, "and the other had its share and no more: {shares:?}");
}
