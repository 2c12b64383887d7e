//! What looks like another device or another time, and costs neither partnership nor content.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::time::{Duration, SystemTime};
use support::{OWNER, World};
use tandem_engine::Setting;
use tandem_model::device::{Status, SyncState};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid};
use tandem_model::presence::Presence;

/// 1980-01-01, where a computer without a battery begins.
const YEAR_1980: u64 = 315_532_800;

#[tokio::test]
async fn a_computer_whose_clock_says_1980_copies_what_is_new_and_nothing_else() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    for (clock, file) in [(YEAR_1980, "c.mp3"), (0, "d.mp3"), (YEAR_1980 + 5, "e.mp3")] {
        world.clock.set(clock);
        world.unplug("player").await;
        world.plug("player").await;
        world.sync(&device).await;
        let changes = |world: &World| world.engine.snapshot(&device).unwrap().last_sync.change_count;
        assert_eq!(changes(&world), 0, "another time is no change");
        world.add_file(file, file.as_bytes());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(clock);
        let opened = std::fs::File::options().append(true).open(world.library.folder.join(file)).unwrap();
        if clock != 0 {
            opened.set_modified(now).unwrap();
        }
        let mut all = vec!["a.mp3", "b.mp3", "c.mp3", "d.mp3", "e.mp3"];
        all.retain(|name| world.library.folder.join(name).exists());
        world.library.set("P", &all);
        world.sync(&device).await;
        assert_eq!(changes(&world), 2, "the new song and the list");
        world.sync(&device).await;
        assert_eq!(changes(&world), 0);
    }
    let runs = world.engine.history(&device).await;
    assert!(runs.iter().any(|run| run.ended == YEAR_1980), "the history says what the clock said");
    assert_eq!(runs[0].ended, YEAR_1980 + 5, "and stays in the order in which it happened");
}

/// A folder player that tells this id, on a port of its own.
async fn plug_as(world: &World, folder: &str, id: &str, port: &str) {
    std::fs::create_dir_all(world.player(folder)).unwrap();
    let mut arrival = world.arrival(folder);
    arrival.description.id = DeviceId(id.to_owned());
    port.clone_into(&mut arrival.port);
    world.presence(Presence::Arrived(arrival)).await;
}

async fn connected(world: &mut World, id: &str) -> DeviceId {
    let id = DeviceId(id.to_owned());
    world.wait_for(|event| matches!(event, EngineEvent::Connected(device) if *device == id)).await;
    id
}

#[tokio::test]
async fn two_players_with_one_serial_number_keep_what_is_theirs() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.add_file("b.mp3", b"song b");
    world.library.set("First", &["a.mp3"]);
    world.library.set("Second", &["b.mp3"]);
    plug_as(&world, "one", "serial", "1-1").await;
    let one = connected(&mut world, "serial").await;
    plug_as(&world, "two", "serial", "1-2").await;
    let two = connected(&mut world, "serial-at-1-2").await;
    world.partner(&one, &["First"]).await;
    world.partner(&two, &["Second"]).await;
    for device in [&one, &two] {
        world.engine.set(device, Setting::SyncOnConnect(false)).await.unwrap();
    }
    let (first, second) = (world.tree("one"), world.tree("two"));
    assert!(first.contains_key("Music/Ann/Live/a.mp3") && !first.contains_key("Music/Ann/Live/b.mp3"));
    assert!(second.contains_key("Music/Ann/Live/b.mp3") && !second.contains_key("Music/Ann/Live/a.mp3"));
    for folder in ["one", "two"] {
        world.presence(Presence::Departed(world.player(folder).display().to_string())).await;
        world.wait_for(|event| matches!(event, EngineEvent::Disconnected(_))).await;
    }
    // the second comes alone: it says that it is the first, and its mark says that it isn't
    plug_as(&world, "two", "serial", "1-3").await;
    connected(&mut world, "serial").await;
    assert_eq!(world.engine.snapshot(&one).unwrap().status, Status::PartnershipAnother);
    world.engine.start_sync(&one).await.unwrap_err();
    world.presence(Presence::Departed(world.player("two").display().to_string())).await;
    world.wait_for(|event| matches!(event, EngineEvent::Disconnected(_))).await;
    assert_eq!(world.tree("two"), second, "nothing was done to it");
    // and then both as before: neither has lost its partnership
    plug_as(&world, "one", "serial", "1-1").await;
    connected(&mut world, "serial").await;
    plug_as(&world, "two", "serial", "1-2").await;
    connected(&mut world, "serial-at-1-2").await;
    for device in [&one, &two] {
        assert_eq!(world.engine.snapshot(device).unwrap().status, Status::PartnershipExists, "{device}");
    }
    world.engine.preview(&one).await.unwrap();
    assert_eq!((world.tree("one"), world.tree("two")), (first, second));
}

#[tokio::test]
async fn a_twin_with_somebody_elses_mark_shows_no_partnership_and_the_slot_can_be_freed_when_it_is_away() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let ours = world.engine.snapshot(&device).unwrap().partnership;
    world.unplug("player").await;
    let mark = format!(
        "<DeviceInfo><WMP DeviceID=\"{}\" RelationshipID=\"{}\"/></DeviceInfo>",
        Guid(0xf0),
        Guid(0xf1)
    );
    std::fs::File::create(world.player("player").join("WMPInfo.xml"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, mark.as_bytes()))
        .unwrap();
    world.plug("player").await;
    let there = world.engine.snapshot(&device).unwrap();
    assert_eq!((there.status, there.partnership), (Status::PartnershipAnother, None));
    assert_eq!(world.engine.owner(&device), Some(OWNER), "the record stays");
    world.seen.clear();
    world.library.set("P", &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;

    world.unplug("player").await;
    let begun = |event: &EngineEvent| {
        matches!(event, EngineEvent::SyncStateChanged(_, SyncState::Synchronizing))
            || matches!(event, EngineEvent::SyncError { .. })
    };
    assert!(!world.seen.iter().any(begun), "{:#?}", world.seen);
    let away = world.engine.snapshot(&device).unwrap();
    assert_eq!((away.status, away.partnership), (Status::PartnershipExists, ours));
    world.engine.delete_partnership(&device, false).await.unwrap();
    assert_eq!(world.engine.owner(&device), None);
}
