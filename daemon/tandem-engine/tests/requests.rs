//! Requests that meet: what is in line, what gives way, and that each ends as it was promised. The engine is real, and
//! so are the store and the player; only the library is a stand-in.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{OWNER, World};
use tandem_model::error::RequestError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, PlaylistId};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// A partnered player that is in step and starts nothing by itself.
async fn partnered() -> (World, DeviceId) {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, tandem_engine::Setting::SyncOnConnect(false)).await.unwrap();
    (world, device)
}

#[tokio::test]
async fn a_preview_of_a_library_that_hangs_keeps_nobody_from_ending_the_partnership() {
    let (world, device) = partnered().await;
    world.library.silent.store(true, Ordering::Relaxed);
    let both = async {
        tokio::join!(
            world.engine.preview(&device),
            world.engine.preview(&device),
            world.engine.delete_partnership(&device, false)
        )
    };
    let (first, second, ended) = timeout(LIMIT, both).await.unwrap();
    assert!(matches!((first, second), (Err(RequestError::Failed(_)), Err(_))));
    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn every_accepted_estimate_ends_once() {
    let (mut world, device) = partnered().await;
    world.library.silent.store(true, Ordering::Relaxed);
    world.seen.clear();
    let playlist = || Some(PlaylistId("P".to_owned()));
    let engine = world.engine.clone();
    let requests = async {
        for _ in 0..3 {
            engine.estimate(&device, None, playlist()).await.unwrap();
        }
        engine.cancel_estimation(&device).await.unwrap();
        engine.estimate(&device, None, playlist()).await.unwrap();
        engine.eject(&device).await.unwrap();
    };
    let (preview, ()) =
        timeout(LIMIT, async { tokio::join!(engine.preview(&device), requests) }).await.unwrap();
    assert!(preview.is_err());
    world.library.silent.store(false, Ordering::Relaxed);
    let complete = |event: &EngineEvent| matches!(event, EngineEvent::EstimationComplete { .. });
    let mut results = Vec::new();
    for _ in 0..4 {
        let EngineEvent::EstimationComplete { result, .. } = world.wait_for(complete).await else {
            unreachable!()
        };
        results.push(result.is_some());
    }
    assert_eq!(results[..3], [false; 3], "replaced, replaced, cancelled");
    engine.start_sync(&device).await.unwrap();
    world.wait_synchronizing(&device).await;
}

#[tokio::test]
async fn a_second_request_for_the_same_partnership_keeps_the_first() {
    let mut world = World::new().await;
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    let (first, second) = tokio::join!(
        world.engine.create_partnership(&device, OWNER, Some(vec![PlaylistId("P".to_owned())])),
        world.engine.create_partnership(&device, OWNER, Some(Vec::new()))
    );
    assert_eq!((first, second), (Ok(()), Ok(())));
    for _ in 0..2 {
        let complete = |event: &EngineEvent| {
            matches!(event, EngineEvent::CreatePartnershipComplete { result: Ok(()), .. })
        };
        world.wait_for(complete).await;
    }
    assert_eq!(world.engine.assignments(OWNER, &PlaylistId("P".to_owned())).len(), 1);
}

#[tokio::test]
async fn the_line_has_an_end() {
    let (world, device) = partnered().await;
    world.library.silent.store(true, Ordering::Relaxed);
    let mut others = tokio::task::JoinSet::new();
    for owner in 0..40 {
        let (engine, device) = (world.engine.clone(), device.clone());
        others.spawn(async move { engine.create_partnership(&device, 2000 + owner, None).await });
    }
    let flood = async {
        let refused = others.join_all().await.into_iter().filter(Result::is_err).count();
        world.engine.eject(&device).await.unwrap();
        refused
    };
    let (preview, refused) =
        timeout(LIMIT, async { tokio::join!(world.engine.preview(&device), flood) }).await.unwrap();
    assert!(preview.is_err());
    assert_eq!(refused, 8);
}
