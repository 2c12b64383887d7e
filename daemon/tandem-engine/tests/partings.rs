//! How partnerships end: with something still in flight, with the device away, and over the end of the daemon. The
//! engine is real, and so are the store and the player; only the library is a stand-in.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;
use support::{OWNER, World};
use tandem_engine::Setting;
use tandem_model::error::{ItemError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId};
use tandem_model::manifest::Intent;
use tandem_model::partnership::{PartnershipStore, Partnerships};
use tandem_model::path::DevicePath;

const PLACE: &str = "Music/Ann/Live/a.mp3";

/// A player in step with a playlist of one track, which starts nothing by itself.
async fn in_step() -> (World, DeviceId) {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    (world, device)
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
}

/// What a run leaves that was cut while it replaced the track, just after another program had put its file there.
fn cut_in_an_exchange(world: &World) {
    let mut manifest = world.manifest();
    let entry = manifest.entries().unwrap().into_iter().find(|entry| entry.path.as_str() == PLACE).unwrap();
    let intent = Intent::Write {
        origin: entry.origin.clone(),
        path: entry.path.clone(),
        temporary: DevicePath::parse(".tandem/1.part").unwrap(),
        size: 18,
        modified_ns: 1_700_000_000_000_000_000,
        replaces: Some(entry.id),
    };
    manifest.commit(&[], &[intent]).unwrap();
    put(&world.player("player").join(".tandem/1.part"), b"somebody else's");
    // the user has edited what was sent
    put(&world.player("player").join(PLACE), b"song a, remastered and edited");
}

fn record(world: &World) -> Partnerships {
    tandem_store::PartnershipFile::new(world.dir.path().join("state")).load().unwrap()
}

/// Both of the user's files are where he finds them, and nothing is left of the run or of its record.
fn assert_settled(world: &World, manifests: usize) {
    let tree = world.tree("player");
    assert_eq!(tree[PLACE], b"song a, remastered and edited");
    assert_eq!(tree.get("Music/Ann/Live/a (2).mp3").map(Vec::as_slice), Some(&b"somebody else's"[..]));
    assert!(!world.player("player").join(".tandem").exists());
    assert_eq!(kept_manifests(world), manifests);
    assert!(record(world).devices.iter().all(|known| known.unsettled.is_empty()));
}

fn kept_manifests(world: &World) -> usize {
    let files = std::fs::read_dir(world.dir.path().join("state/manifests")).unwrap();
    let is_manifest = |name: &std::ffi::OsStr| name.to_str().unwrap().ends_with(".sqlite");
    files.filter(|file| is_manifest(&file.as_ref().unwrap().file_name())).count()
}

#[tokio::test]
async fn what_is_in_flight_is_settled_before_a_partnership_is_forgotten() {
    let (world, device) = in_step().await;
    cut_in_an_exchange(&world);
    world.engine.delete_partnership(&device, false).await.unwrap();
    assert_settled(&world, 0);
}

#[tokio::test]
async fn what_is_in_flight_on_an_absent_device_is_settled_when_it_comes_again() {
    let (mut world, device) = in_step().await;
    cut_in_an_exchange(&world);
    world.unplug("player").await;
    world.engine.delete_partnership(&device, false).await.unwrap();
    let mut world = world.restart().await;
    assert_eq!((kept_manifests(&world), record(&world).partnerships.len()), (1, 0));
    world.plug("player").await;
    assert_settled(&world, 0);
}

#[tokio::test]
async fn what_is_in_flight_is_settled_when_another_user_takes_the_device_over() {
    let (mut world, device) = in_step().await;
    cut_in_an_exchange(&world);
    world.library.set("Q", &[]);
    let playlists = Some(vec![PlaylistId("Q".to_owned())]);
    world.engine.create_partnership(&device, OWNER + 1, playlists).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_settled(&world, 1);
}

#[tokio::test]
async fn what_is_in_flight_is_settled_when_another_computer_has_taken_the_device_over() {
    let (mut world, _) = in_step().await;
    cut_in_an_exchange(&world);
    world.unplug("player").await;
    mark_as_theirs(&world, record(&world).devices[0].guid);
    world.plug("player").await;
    assert_settled(&world, 0);
    assert_eq!(record(&world).partnerships, []);
}

/// Another computer makes a partnership with the player.
fn mark_as_theirs(world: &World, device: Guid) {
    let theirs = "{12345678-0000-0000-0000-000000000000}";
    let mark = format!("<DeviceInfo><WMP DeviceID=\"{device}\" RelationshipID=\"{theirs}\"/></DeviceInfo>");
    put(&world.player("player").join("WMPInfo.xml"), mark.as_bytes());
}

#[tokio::test]
async fn a_device_that_goes_back_to_its_former_partner_is_that_one_s() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let path = world.player("player");
    mark_as_theirs(&world, Guid(1));
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    assert!(path.join(PLACE).exists());
    for _ in 0..2 {
        world.unplug("player").await;
        world.plug("player").await;
        world.wait_stopped(&device).await;
        assert_eq!(record(&world).partnerships.len(), 1);
    }
    world.unplug("player").await;
    mark_as_theirs(&world, Guid(1));
    let theirs = std::fs::read(path.join("WMPInfo.xml")).unwrap();
    world.plug("player").await;
    assert_eq!(record(&world).partnerships, []);
    assert_eq!(std::fs::read(path.join("WMPInfo.xml")).unwrap(), theirs);
}

#[tokio::test]
async fn content_is_not_called_removed_from_an_absent_device() {
    let (mut world, device) = in_step().await;
    world.unplug("player").await;
    let refusal = world.engine.delete_partnership(&device, true).await.unwrap_err();
    assert!(matches!(refusal, RequestError::NotConnected(_)), "{refusal}");
    let text = refusal.to_string();
    assert!(text.contains("plug it in") && text.contains("without removing"), "{text}");
    assert_eq!(record(&world).partnerships.len(), 1);
    assert!(world.tree("player").contains_key(PLACE));
}

#[tokio::test]
async fn a_removal_that_was_accepted_goes_on_after_the_end_of_the_daemon() {
    let (world, device) = in_step().await;
    world.engine.delete_partnership(&device, true).await.unwrap();
    let mut world = world.cut().await;
    let left = record(&world).partnerships;
    assert!(left.iter().all(|partnership| partnership.removing), "the wish was not recorded");
    if !left.is_empty() {
        world.plug("player").await;
        let complete = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
        let event = world.wait_for(complete).await;
        assert!(matches!(event, EngineEvent::DeletePartnershipComplete { result: Ok(()), .. }), "{event:?}");
    }
    assert!(world.tree("player").is_empty());
    assert_eq!(record(&world).partnerships, []);
}

#[tokio::test]
async fn a_removal_that_the_unplugging_forestalls_did_not_succeed() {
    let (mut world, device) = in_step().await;
    world.add_file("b.mp3", b"song b");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.start_and_hold(&device, 0).await;
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.unplug("player").await;
    world.release();
    let complete = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
    let event = match world.seen.iter().find(|event| complete(event)) {
        Some(event) => event.clone(),
        None => world.wait_for(complete).await,
    };
    assert!(matches!(event, EngineEvent::DeletePartnershipComplete { result: Err(_), .. }), "{event:?}");
    let left = record(&world).partnerships;
    assert_eq!((left.len(), left[0].removing), (1, false));
}

#[tokio::test]
async fn what_may_be_another_file_system_settles_nothing() {
    let (mut world, device) = in_step().await;
    cut_in_an_exchange(&world);
    world.unplug("player").await;
    world.engine.delete_partnership(&device, false).await.unwrap();
    let mut known = record(&world);
    known.devices[0].total_space = 1;
    let store = tandem_store::PartnershipFile::new(world.dir.path().join("state"));
    std::fs::remove_file(world.player("player").join("WMPInfo.xml")).unwrap();
    let mut world = world.restart_with(|| store.save(&known).unwrap()).await;
    for _ in 0..2 {
        world.plug("player").await;
        assert_eq!(kept_manifests(&world), 1);
        assert!(world.player("player").join(".tandem/1.part").exists());
        world.unplug("player").await;
    }
}

/// Makes a file one that nobody can delete, or one as any other; `false` where this system or user can't.
fn set_immutable(path: &Path, immutable: bool) -> bool {
    let file = File::open(path).unwrap();
    let flags = ioctl_getflags(&file).map(|flags| match immutable {
        true => flags | IFlags::IMMUTABLE,
        false => flags - IFlags::IMMUTABLE,
    });
    match flags.and_then(|flags| ioctl_setflags(&file, flags)) {
        Ok(()) => true,
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOTTY) => false,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[tokio::test]
async fn what_could_not_be_deleted_is_told() {
    let (mut world, device) = in_step().await;
    let place = world.player("player").join(PLACE);
    if !set_immutable(&place, true) {
        eprintln!(
            "skipped: a file that can't be deleted: only root can make one, and not on every file system"
        );
        return;
    }
    world.engine.delete_partnership(&device, true).await.unwrap();
    let told = world.wait_for(|event| matches!(event, EngineEvent::SyncError { .. })).await;
    assert!(set_immutable(&place, false));
    let EngineEvent::SyncError { media, error, message, .. } = told else { unreachable!() };
    assert_eq!((&*media, error), ("", ItemError::DeviceWriteFailed));
    assert!(message.contains("1 of the files"), "{message}");
    world
        .wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { result: Ok(()), .. }))
        .await;
    assert!(place.exists());
}
