//! Several players that are filled from one library at the same time: each reads one source and asks for one ahead, so that
//! a library which hands out one after the other serves them in turn, and no player waits until another is done.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::time::Duration;
use support::World;
use tandem_engine::Setting;
use tandem_model::device::SyncState;
use tandem_model::id::{DeviceId, TrackId};

const PLAYERS: usize = 4;
const FILES: usize = 24;

/// How many different tracks of each player were asked for, when one had asked for all of its own.
fn shares(asked: &[TrackId], owners: &[Vec<TrackId>]) -> Vec<usize> {
    let mut counts = vec![0; owners.len()];
    let mut seen = std::collections::HashSet::new();
    for track in asked.iter().filter(|track| seen.insert(**track)) {
        let owner = owners.iter().position(|tracks| tracks.contains(track)).unwrap();
        counts[owner] += 1;
        if counts[owner] == FILES {
            break;
        }
    }
    counts
}

#[tokio::test]
async fn players_that_are_filled_at_once_get_a_fair_share_of_the_library() {
    let mut world = World::new().await;
    let mut devices: Vec<DeviceId> = Vec::new();
    let mut owners = Vec::new();
    for player in 0..PLAYERS {
        let playlist = format!("P{player}");
        world.library.set(&playlist, &[]);
        let device = world.plug(&format!("player {player}")).await;
        world.partner(&device, &[&playlist]).await;
        world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
        let files: Vec<String> = (0..FILES).map(|file| format!("{player}-{file:02}.mp3")).collect();
        files.iter().for_each(|file| world.add_file(file, &vec![7; 3000]));
        world.library.set(&playlist, &files.iter().map(String::as_str).collect::<Vec<_>>());
        owners.push(files.iter().map(|file| world.library.id(file)).collect());
        devices.push(device);
    }
    let library = std::sync::Arc::clone(&world.library);
    let mut granted = *library.opened.borrow();
    library.may_open.send_replace(granted);
    for device in &devices {
        world.engine.start_sync(device).await.unwrap();
    }
    // all of them stand in line before the first is served
    let mut opened = library.opened.subscribe();
    let all = granted + u64::try_from(PLAYERS).unwrap();
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
        for _ in 0..PLAYERS {
            world
                .wait_for(|event| {
                    matches!(event, tandem_model::event::EngineEvent::SyncStateChanged(_, SyncState::Stopped))
                })
                .await;
        }
    };
    tokio::select! {
        () = serve => unreachable!("it serves for ever"),
        () = ends => {}
    }
    let asked = library.tracks_opened.lock().unwrap().clone();
    let shares = shares(&asked, &owners);
    assert!(shares.iter().all(|share| *share >= FILES / 2), "when one had all {FILES}: {shares:?}");
    for device in &devices {
        assert_eq!(usize::try_from(engine.snapshot(device).unwrap().last_sync.item_count), Ok(FILES));
    }
}
