//! Requests that meet: what is in line, what gives way, and that each ends as it was promised. The engine is real, and
//! so are the store and the player; only the library is a stand-in.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{OWNER, World};
use tandem_model::device::Status;
use tandem_model::error::RequestError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId};
use tandem_model::partnership::PartnershipStore;
use tandem_model::presence::Presence;
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

/// A player whose partnership is being made with a library that hangs.
async fn being_partnered() -> (World, DeviceId) {
    let mut world = World::new().await;
    world.library.set("P", &[]);
    world.library.silent.store(true, Ordering::Relaxed);
    let device = world.plug("player").await;
    let playlists = || Some(vec![PlaylistId("P".to_owned())]);
    world.engine.create_partnership(&device, OWNER, playlists()).await.unwrap();
    world.engine.create_partnership(&device, OWNER + 1, playlists()).await.unwrap();
    let mut asked = world.library.asked.subscribe();
    timeout(LIMIT, asked.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    (world, device)
}

async fn both_creations_failed(world: &mut World) {
    let failed =
        |event: &EngineEvent| matches!(event, EngineEvent::CreatePartnershipComplete { result: Err(_), .. });
    while world.seen.iter().filter(|event| failed(event)).count() < 2 {
        world.wait_for(failed).await;
    }
}

#[tokio::test]
async fn a_partnership_that_waits_for_a_library_that_hangs_ends_with_delete_stop_and_unplug() {
    let (mut world, device) = being_partnered().await;
    timeout(LIMIT, world.engine.delete_partnership(&device, false)).await.unwrap().unwrap();
    both_creations_failed(&mut world).await;
    world
        .wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { result: Ok(()), .. }))
        .await;

    let (mut world, device) = being_partnered().await;
    world.engine.stop_sync(&device).await.unwrap();
    both_creations_failed(&mut world).await;
    assert_eq!(world.engine.snapshot(&device).unwrap().partnership, None);

    let (mut world, _) = being_partnered().await;
    world.unplug("player").await;
    both_creations_failed(&mut world).await;
}

#[tokio::test]
async fn every_accepted_deletion_ends_once_and_leaves_nothing_of_ours() {
    let (mut world, device) = partnered().await;
    let complete = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.engine.delete_partnership(&device, false).await.unwrap();
    for _ in 0..2 {
        let event = world.wait_for(complete).await;
        assert!(matches!(event, EngineEvent::DeletePartnershipComplete { result: Ok(()), .. }));
        assert_eq!(world.tree("player").len(), 0, "the mark's file goes too, before the end is told");
    }
    world.unplug("player").await;
    assert_eq!(world.seen.iter().filter(|event| complete(event)).count(), 2);
}

#[tokio::test]
async fn free_space_is_told_anew_when_content_was_removed() {
    let mut world = World::new().await;
    world.add_file("big.mp3", &vec![1; 1 << 20]);
    world.library.set("P", &["big.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let full = world.engine.snapshot(&device).unwrap().free_space;
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { .. })).await;
    // others use this file system too, so that how much it is can't be told
    assert_ne!(world.engine.snapshot(&device).unwrap().free_space, full);
}

#[tokio::test]
async fn a_mark_that_was_there_before_stays_with_its_file() {
    let mut world = World::new().await;
    let mark = "<DeviceInfo>\r\n    <WMP DeviceID=\"{00000000-0000-0000-0000-000000000001}\" \
                RelationshipID=\"{00000000-0000-0000-0000-000000000000}\"/>\r\n</DeviceInfo>\r\n";
    std::fs::create_dir_all(world.player("player")).unwrap();
    std::fs::File::create(world.player("player").join("WMPInfo.xml"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, mark.as_bytes()))
        .unwrap();
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { .. })).await;
    assert!(world.player("player").join("WMPInfo.xml").exists());
}

#[tokio::test]
async fn a_device_that_could_not_be_looked_at_is_before_it_is_called_partnered() {
    let (world, device) = partnered().await;
    let mut world = world.restart().await;
    let folder = world.player("player");
    let kept = world.player("kept");
    std::fs::rename(&folder, &kept).unwrap();
    world.presence(Presence::Arrived(world.arrival("player"))).await;
    world.wait_for(|event| matches!(event, EngineEvent::Connected(_))).await;
    let playlists = || Some(vec![PlaylistId("P".to_owned())]);
    let is_made = |event: &EngineEvent| matches!(event, EngineEvent::CreatePartnershipComplete { .. });
    // as long as it can't be looked at, nobody knows whose it is
    world.engine.create_partnership(&device, OWNER, playlists()).await.unwrap();
    let made = world.wait_for(is_made).await;
    assert!(matches!(&made, EngineEvent::CreatePartnershipComplete { result: Err(_), .. }), "{made:?}");
    // another computer has taken it meanwhile
    std::fs::rename(&kept, &folder).unwrap();
    let before = world.engine.snapshot(&device).unwrap().partnership;
    let record = tandem_store::PartnershipFile::new(world.dir.path().join("state")).load().unwrap();
    let mark = format!(
        "<DeviceInfo>\r\n    <WMP DeviceID=\"{}\" RelationshipID=\"{}\"/>\r\n</DeviceInfo>\r\n",
        record.devices[0].guid,
        Guid(77)
    );
    std::fs::File::create(folder.join("WMPInfo.xml"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, mark.as_bytes()))
        .unwrap();
    world.seen.clear();
    world.engine.create_partnership(&device, OWNER, playlists()).await.unwrap();
    let made = world.wait_for(is_made).await;
    assert!(matches!(&made, EngineEvent::CreatePartnershipComplete { result: Ok(()), .. }), "{made:?}");
    let statuses = world.seen.iter().filter_map(|event| match event {
        EngineEvent::StatusChanged(_, status) => Some(*status),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Status::PartnershipAnother, Status::PartnershipExists]);
    assert_eq!(world.engine.snapshot(&device).unwrap().partnership, before);
    world.sync(&device).await;
}

/// Waits until it is announced that the owner's assignments are others, and tells what `playlist` has then.
async fn next_priority(world: &mut World, playlist: &str) -> Option<u32> {
    world.wait_for(|event| *event == EngineEvent::AssignmentsChanged(OWNER)).await;
    let assigned = world.engine.assignments(OWNER, &PlaylistId(playlist.to_owned()));
    assigned.into_values().next()
}

#[tokio::test]
async fn whatever_changes_assignments_is_announced_and_ends_or_begins_the_default_set_at_once() {
    let (mut world, device) = partnered().await;
    world.library.set("Q", &[]);
    world.seen.clear();
    let shown = |world: &World| world.engine.snapshot(&device).unwrap().auto_sync_default_rules;
    assert!(!shown(&world));
    let default_set = tandem_engine::Setting::AutoSyncDefaultRules(true);
    world.engine.set(&device, default_set).await.unwrap();
    assert!(shown(&world));
    assert_eq!(world.engine.assignments(OWNER, &PlaylistId("Q".to_owned())).into_values().next(), Some(2));
    assert_eq!(next_priority(&mut world, "Q").await, Some(2));

    // a list that is new joins the set with the next run
    world.library.set("R", &[]);
    world.engine.start_sync(&device).await.unwrap();
    assert_eq!(next_priority(&mut world, "R").await, Some(3));
    world.wait_stopped(&device).await;

    let index = world.engine.snapshot(&device).unwrap().partnership.unwrap().0;
    world.engine.assign(OWNER, index, PlaylistId("Q".to_owned()), 9).await.unwrap();
    assert!(!shown(&world), "the user has chosen");
    assert_eq!(next_priority(&mut world, "Q").await, Some(9));
    world.engine.delete_partnership(&device, false).await.unwrap();
    assert_eq!(next_priority(&mut world, "Q").await, None);
}

#[tokio::test]
async fn a_device_that_is_ejected_is_safe_to_remove_when_that_is_done() {
    let (world, device) = partnered().await;
    assert!(world.engine.snapshot(&device).unwrap().safe_to_remove);
    world.door.shut(true);
    world.engine.eject(&device).await.unwrap();
    assert!(!world.engine.snapshot(&device).unwrap().safe_to_remove, "as soon as it is accepted");
    world.door.knocked().await;
    assert!(!world.engine.snapshot(&device).unwrap().safe_to_remove, "it may be mounted for that");
    world.door.shut(false);
    // a preview waits in line behind it
    drop(world.engine.preview(&device).await);
    assert!(world.engine.snapshot(&device).unwrap().safe_to_remove);
}

#[tokio::test]
async fn a_name_is_refused_by_a_device_that_was_never_looked_at() {
    let mut world = World::new().await;
    let rename = || tandem_engine::Setting::FriendlyName("Jogger".to_owned());
    world.door.shut(true);
    let device = world.come("player").await;
    world.door.knocked().await;
    let refused = world.engine.set(&device, rename()).await;
    assert!(matches!(refused, Err(RequestError::Initializing(_))), "{refused:?}");
    world.door.shut(false);
    world.wait_for(|event| matches!(event, EngineEvent::Connected(_))).await;
    world.engine.set(&device, rename()).await.unwrap();
    assert_eq!(world.engine.snapshot(&device).unwrap().friendly_name, "Jogger");
}
