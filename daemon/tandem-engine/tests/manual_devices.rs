//! Devices that can't be synchronised for want of something: they are listed, say what is missing, and are looked at again
//! when that may have come.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use support::{OWNER, World};
use tandem_model::device::{Status, SyncState};
use tandem_model::error::RequestError;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;

const MISSING: &str = "no service provider claims it";

/// Waits until the device has this status.
async fn wait_for_status(world: &mut World, device: &DeviceId, status: Status) {
    let wanted = EngineEvent::StatusChanged(device.clone(), status);
    world.wait_for(|event| *event == wanted).await;
}

#[tokio::test]
async fn a_device_without_a_provider_says_what_is_missing_and_is_looked_at_again() {
    let mut world = World::new().await;
    world.door.lacks(Some(MISSING));
    let device = world.plug("player").await;
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert_eq!((snapshot.status, snapshot.sync_state), (Status::ManualDevice, SyncState::Unknown));
    assert_eq!(snapshot.manual.as_deref(), Some(MISSING));
    let refused = RequestError::ManualDevice("player".to_owned(), MISSING.to_owned());
    assert_eq!(world.engine.create_partnership(&device, OWNER, None).await, Err(refused.clone()));
    assert_eq!(world.engine.start_sync(&device).await, Err(refused.clone()));
    let by_hand = vec![world.library.uri("a.mp3")];
    assert_eq!(world.engine.transfer(&device, by_hand).await, Err(refused.clone()));
    let name = tandem_engine::Setting::FriendlyName("Jogger".to_owned());
    assert_eq!(world.engine.set(&device, name).await, Err(refused));
    assert!(!world.seen.iter().any(|event| matches!(event, EngineEvent::SyncError { .. })));
    world.engine.eject(&device).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::SyncError { .. })).await;
    // the session answers when it has read what came before
    world.engine.stop_sync(&device).await.unwrap_err();
    assert!(world.engine.snapshot(&device).unwrap().safe_to_remove, "nothing was written");

    world.door.lacks(None);
    world.change_providers().await;
    wait_for_status(&mut world, &device, Status::NewDevice).await;
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert_eq!((snapshot.manual.as_deref(), snapshot.sync_state), (None, SyncState::Stopped));
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    world.partner(&device, &["P"]).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"song a");
}

#[tokio::test]
async fn a_partnership_waits_for_its_provider() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.unplug("player").await;
    world.door.lacks(Some(MISSING));
    world.plug("player").await;
    assert_eq!(world.engine.snapshot(&device).unwrap().status, Status::ManualDevice);
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);

    world.door.lacks(None);
    world.change_providers().await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/b.mp3"], b"song b");
    assert_eq!(world.engine.snapshot(&device).unwrap().status, Status::PartnershipExists);
}

#[tokio::test]
async fn a_provider_that_comes_during_the_look_is_found_by_another() {
    let mut world = World::new().await;
    world.door.lacks(Some(MISSING));
    world.door.shut(true);
    let device = world.come("player").await;
    world.door.knocked().await;
    world.door.lacks(None);
    world.change_providers().await;
    // what comes after that is told of after it, and the session answers after it has read it
    world.come("other").await;
    world
        .wait_for(|event| matches!(event, EngineEvent::Added(other) if other.description.id != device))
        .await;
    world.engine.cancel_estimation(&device).await.unwrap();
    world.door.shut(false);
    wait_for_status(&mut world, &device, Status::NewDevice).await;
}

#[tokio::test]
async fn a_partnership_with_a_device_whose_provider_is_lost_can_be_ended_when_it_is_away() {
    let mut world = World::new().await;
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.unplug("player").await;
    world.door.lacks(Some(MISSING));
    world.plug("player").await;
    let refused = world.engine.delete_partnership(&device, false).await;
    assert!(matches!(refused, Err(RequestError::ManualDevice(..))), "{refused:?}");
    world.unplug("player").await;
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert_eq!((snapshot.status, snapshot.manual.as_deref()), (Status::Unknown, None));
    world.engine.delete_partnership(&device, false).await.unwrap();
    assert!(world.engine.snapshot(&device).is_none_or(|snapshot| snapshot.partnership.is_none()));
}
