//! What runs do to a player, on the real store and a real directory.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::path::Path;
use support::{OWNER, World};
use tandem_engine::{Action, Setting};
use tandem_model::device::{Status, SyncState};
use tandem_model::error::{ItemError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{MediaUri, PlaylistId};

fn names(tree: &std::collections::BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    tree.keys().map(String::as_str).filter(|name| *name != "WMPInfo.xml").collect()
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
}

/// A world with a player that holds tracks `a` and `b` of playlist `P`.
async fn filled() -> (World, tandem_model::id::DeviceId) {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.add_file("b.mp3", b"song b, longer");
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    (world, device)
}

#[tokio::test]
async fn a_partnered_player_is_filled_and_then_in_step() {
    let (mut world, device) = filled().await;
    let tree = world.tree("player");
    assert_eq!(names(&tree), ["Music/Ann/Live/a.mp3", "Music/Ann/Live/b.mp3", "Playlists/P.m3u8"]);
    assert_eq!(tree["Music/Ann/Live/a.mp3"], b"song a");
    let playlist = String::from_utf8(tree["Playlists/P.m3u8"].clone()).unwrap();
    assert!(playlist.contains("\n../Music/Ann/Live/b.mp3\n"), "{playlist}");
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert_eq!((snapshot.progress, snapshot.bytes_total, snapshot.bytes_done), (100, 20, 20));
    assert_eq!(snapshot.last_sync.item_count, 2);
    assert!(snapshot.safe_to_remove);
    assert_eq!(world.engine.preview(&device).await.unwrap(), []);
    world.sync(&device).await;
    assert_eq!(world.tree("player"), tree);
    assert_eq!(world.engine.snapshot(&device).unwrap().bytes_total, 0);
}

#[tokio::test]
async fn the_users_own_files_stay_and_names_are_not_taken_from_them() {
    let mut world = World::new().await;
    put(&world.player("player").join("Music/Ann/Live/a.mp3"), b"the user's own a");
    put(&world.player("player").join("Playlists/P.m3u8"), b"#the user's own list\n");
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let tree = world.tree("player");
    assert_eq!(tree["Music/Ann/Live/a.mp3"], b"the user's own a");
    assert_eq!(tree["Music/Ann/Live/a (2).mp3"], b"song a");
    assert_eq!(tree["Playlists/P.m3u8"], b"#the user's own list\n");
    assert!(String::from_utf8_lossy(&tree["Playlists/P (2).m3u8"]).contains("a (2).mp3"));
    world.library.set("P", &[]);
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")), ["Music/Ann/Live/a.mp3", "Playlists/P.m3u8"]);
}

#[tokio::test]
async fn a_changed_playlist_is_followed_by_itself_and_empty_folders_go() {
    let (mut world, device) = filled().await;
    world.library.set("P", &["b.mp3"]);
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!(names(&world.tree("player")), ["Music/Ann/Live/b.mp3", "Playlists/P.m3u8"]);
    world.library.set("P", &[]);
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!(names(&world.tree("player")), [""; 0]);
    assert!(!world.player("player").join("Music").exists(), "folders that were made for tracks go with them");
}

#[tokio::test]
async fn a_changed_song_replaces_the_old_one_and_a_touched_one_does_not() {
    let (mut world, device) = filled().await;
    world.add_file("a.mp3", b"song a, remastered");
    world.sync(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"song a, remastered");
    let before = world.engine.snapshot(&device).unwrap().bytes_total;
    assert_eq!(before, 18);
    world.add_file("a.mp3", b"song a, remastered");
    world.sync(&device).await;
    assert_eq!(world.engine.snapshot(&device).unwrap().bytes_total, 0);
}

#[tokio::test]
async fn a_moved_song_is_not_copied_again() {
    let (mut world, device) = filled().await;
    std::fs::rename(world.library.folder.join("a.mp3"), world.library.folder.join("renamed.mp3")).unwrap();
    world.library.set("P", &["renamed.mp3", "b.mp3"]);
    world.sync(&device).await;
    assert_eq!(world.engine.snapshot(&device).unwrap().bytes_total, 0);
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"song a");
}

#[tokio::test]
async fn songs_deleted_on_the_player_are_skipped_until_asked_for() {
    let (mut world, device) = filled().await;
    std::fs::remove_file(world.player("player").join("Music/Ann/Live/a.mp3")).unwrap();
    world.sync(&device).await;
    assert!(!world.tree("player").contains_key("Music/Ann/Live/a.mp3"));
    assert!(world.engine.snapshot(&device).unwrap().has_skipped_files);
    world.engine.set(&device, Setting::IncludeSkippedFiles).await.unwrap();
    world.sync(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"song a");
    assert!(!world.engine.snapshot(&device).unwrap().has_skipped_files);
}

#[tokio::test]
async fn songs_changed_on_the_player_are_the_users_from_then_on() {
    let (mut world, device) = filled().await;
    put(&world.player("player").join("Music/Ann/Live/a.mp3"), b"edited on the player");
    world.library.set("P", &["b.mp3"]);
    world.sync(&device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"edited on the player");
}

#[tokio::test]
async fn a_wiped_player_is_filled_again() {
    let (mut world, device) = filled().await;
    std::fs::remove_dir_all(world.player("player").join("Music")).unwrap();
    std::fs::remove_dir_all(world.player("player").join("Playlists")).unwrap();
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")).len(), 3);
    std::fs::remove_dir_all(world.player("player")).unwrap();
    std::fs::create_dir(world.player("player")).unwrap();
    world.sync(&device).await;
    assert_eq!(world.tree("player").len(), 4, "with its mark");
}

#[tokio::test]
async fn mass_deletion_waits_for_the_users_word() {
    let mut world = World::new().await;
    let files: Vec<String> = (0..30).map(|n| format!("{n}.mp3")).collect();
    for file in &files {
        world.add_file(file, file.as_bytes());
    }
    world.library.set("P", &files.iter().map(String::as_str).collect::<Vec<_>>());
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.library.set("P", &[]);
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")).len(), 31);
    let refused = |event: &EngineEvent| matches!(event, EngineEvent::SyncError { error: ItemError::WouldDeleteTooMuch, media, .. } if media.is_empty());
    assert!(world.seen.iter().any(refused));
    world.engine.set(&device, Setting::AllowMassDeletion(true)).await.unwrap();
    // the change of the library may have had its own run, which was under way when the word was given
    for _ in 0..2 {
        if !names(&world.tree("player")).is_empty() {
            world.sync(&device).await;
        }
    }
    assert_eq!(names(&world.tree("player")).len(), 0);
}

#[tokio::test]
async fn a_library_in_trouble_deletes_nothing() {
    let (mut world, device) = filled().await;
    *world.library.trouble.lock().unwrap() = Some("/music is not mounted".to_owned());
    world.library.set("P", &["a.mp3"]);
    world.sync(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/b.mp3"));
}

#[tokio::test]
async fn a_missing_song_does_not_stop_the_others() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["gone.mp3", "a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/a.mp3"));
    let missing =
        |event: &EngineEvent| matches!(event, EngineEvent::SyncError { error: ItemError::SourceMissing, .. });
    assert!(world.seen.iter().any(missing));
    assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.error_count, 1);
}

#[tokio::test]
async fn partnerships_are_limited_kept_and_ended() {
    let mut world = World::new().await;
    world.library.set("P", &[]);
    let mut devices = Vec::new();
    for number in 0..17 {
        devices.push(world.plug(&format!("player{number}")).await);
    }
    for device in &devices[..16] {
        world.partner(device, &["P"]).await;
    }
    let refused = world.engine.create_partnership(&devices[16], OWNER, None).await.unwrap_err();
    assert!(matches!(refused, RequestError::PartnershipLimit(_)), "{refused:?}");
    world.engine.delete_partnership(&devices[4], false).await.unwrap();
    assert_eq!(world.engine.snapshot(&devices[4]).unwrap().status, Status::PartnershipDeclined);
    world.partner(&devices[16], &["P"]).await;
    let index = |world: &World, at: usize| {
        world.engine.snapshot(&devices[at]).unwrap().partnership.map(|(index, _)| index.get())
    };
    assert_eq!((index(&world, 16), index(&world, 15)), (Some(5), Some(16)));
    let mut world = world.restart().await;
    assert_eq!(world.engine.snapshots().len(), 16, "absent devices with a partnership stay known");
    let device = world.plug("player16").await;
    assert_eq!(world.engine.snapshot(&device).unwrap().status, Status::PartnershipExists);
    world.wait_synchronizing(&device).await;
}

#[tokio::test]
async fn events_of_a_partnership_come_in_their_order() {
    let mut world = World::new().await;
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.seen.clear();
    world.partner(&device, &["P"]).await;
    let at = |fits: &dyn Fn(&EngineEvent) -> bool| world.seen.iter().position(fits).unwrap();
    let status = at(&|event| matches!(event, EngineEvent::StatusChanged(_, Status::PartnershipExists)));
    let complete = at(&|event| matches!(event, EngineEvent::CreatePartnershipComplete { .. }));
    let running = at(&|event| matches!(event, EngineEvent::SyncStateChanged(_, SyncState::Synchronizing)));
    assert!(status < complete && complete < running, "{:?}", world.seen);
    world.engine.create_partnership(&device, OWNER, None).await.unwrap();
    world.sync(&device).await;
    let completions =
        world.seen.iter().filter(|event| matches!(event, EngineEvent::CreatePartnershipComplete { .. }));
    assert_eq!(completions.count(), 1, "a partnership that exists has no second event");
}

#[tokio::test]
async fn another_computers_mark_ends_the_partnership_here() {
    let (mut world, device) = filled().await;
    world.unplug("player").await;
    let mark = "<DeviceInfo>\r\n    <WMP DeviceID=\"{00000000-0000-0000-0000-000000000001}\" \
                RelationshipID=\"{12345678-0000-0000-0000-000000000001}\"/>\r\n</DeviceInfo>\r\n";
    put(&world.player("player").join("WMPInfo.xml"), mark.as_bytes());
    let before = world.tree("player");
    world.plug("player").await;
    assert_eq!(world.engine.snapshot(&device).unwrap().status, Status::PartnershipAnother);
    assert!(matches!(world.engine.start_sync(&device).await, Err(RequestError::PartnershipNotExist(_))));
    assert!(matches!(
        world.engine.delete_partnership(&device, false).await,
        Err(RequestError::PartnershipNotExist(_))
    ));
    assert_eq!(world.tree("player"), before);
}

#[tokio::test]
async fn ending_a_partnership_can_take_its_content_along() {
    let (mut world, device) = filled().await;
    put(&world.player("player").join("Music/mine.mp3"), b"mine");
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::StatusChanged(_, Status::PartnershipDeclined))).await;
    assert_eq!(names(&world.tree("player")), ["Music/mine.mp3"]);
    assert_eq!(world.engine.results(&device).await.unwrap(), []);
}

#[tokio::test]
async fn a_partnership_ended_while_away_is_declined_when_the_player_returns() {
    let (mut world, device) = filled().await;
    world.unplug("player").await;
    world.engine.delete_partnership(&device, false).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::Removed(_))).await;
    world.plug("player").await;
    assert_eq!(world.engine.snapshot(&device).unwrap().status, Status::PartnershipDeclined);
}

#[tokio::test]
async fn previews_and_estimates_change_nothing() {
    let (mut world, device) = filled().await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    world.add_file("c.mp3", &[7; 5000]);
    world.library.set("P", &["a.mp3", "c.mp3"]);
    world.library.set("Q", &["c.mp3"]);
    let before = world.tree("player");
    let preview = world.engine.preview(&device).await.unwrap();
    let actions: Vec<Action> = preview.iter().map(|item| item.action).collect();
    assert_eq!(actions, [Action::Delete, Action::Copy, Action::Replace], "{preview:#?}");
    let playlist = |name: &str| Some(PlaylistId(name.to_owned()));
    assert!(matches!(
        world.engine.estimate(&device, None, None).await,
        Err(RequestError::InvalidArgument(_))
    ));
    world.engine.estimate(&device, None, playlist("Q")).await.unwrap();
    let complete =
        |event: &EngineEvent| matches!(event, EngineEvent::EstimationComplete { result: Some(_), .. });
    let EngineEvent::EstimationComplete { result: Some((used, left)), .. } = world.wait_for(complete).await
    else {
        unreachable!()
    };
    assert!(
        used >= 5000 && used + left == world.engine.snapshot(&device).unwrap().total_space,
        "{used} {left}"
    );
    assert_eq!(world.tree("player"), before);
}

#[tokio::test]
async fn manual_transfer_goes_through_a_playlist_of_its_own() {
    let (mut world, device) = filled().await;
    world.add_file("extra.mp3", b"extra");
    let uri = MediaUri(format!("file://{}/extra.mp3", world.library.folder.display()).into());
    world.engine.transfer(&device, vec![uri.clone()]).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert!(world.tree("player").contains_key("Music/Ann/Live/extra.mp3"));
    assert_eq!(world.engine.media_sync_state(OWNER, &uri).await.unwrap(), 0b10);
}

#[tokio::test]
async fn a_stopped_run_goes_on_where_it_was() {
    let mut world = World::new().await;
    let files: Vec<String> = (0..40).map(|n| format!("{n:02}.mp3")).collect();
    for file in &files {
        world.add_file(file, &vec![1; 1 << 20]);
    }
    world.library.set("P", &files.iter().map(String::as_str).collect::<Vec<_>>());
    let device = world.plug("player").await;
    let playlists = Some(vec![PlaylistId("P".to_owned())]);
    world.engine.create_partnership(&device, OWNER, playlists).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.engine.stop_sync(&device).await.unwrap();
    world.wait_stopped(&device).await;
    let stopped_at = names(&world.tree("player")).len();
    assert!(
        !world.player("player").join(".tandem").exists() || stopped_at == 41,
        "nothing half-written is left"
    );
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")).len(), 41);
    let snapshot = world.engine.snapshot(&device).unwrap();
    assert!(
        snapshot.bytes_total <= (40 - stopped_at.min(40) as u64) << 20,
        "what was there was not sent again"
    );
}

#[tokio::test]
async fn a_filter_without_music_leaves_the_music_for_one_run() {
    let (mut world, device) = filled().await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    world.library.set("P", &["b.mp3"]);
    world.engine.set(&device, Setting::SyncFilter("6".to_owned())).await.unwrap();
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")).len(), 3);
    assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.error_count, 0);
    world.sync(&device).await;
    assert_eq!(names(&world.tree("player")).len(), 2);
}

#[tokio::test]
async fn media_that_does_not_exist_is_not_transferred() {
    let (world, device) = filled().await;
    let refused = world.engine.transfer(&device, vec![MediaUri("file:///nowhere.mp3".into())]).await;
    assert!(matches!(refused, Err(RequestError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn no_manifest_is_closed_where_others_wait_for_it() {
    let mut world = World::new().await;
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.sync(&device).await;
    world.engine.preview(&device).await.unwrap();
    world.engine.estimate(&device, Some(PlaylistId("P".to_owned())), None).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::EstimationComplete { .. })).await;
    *world.library.trouble.lock().unwrap() = Some("a folder is not mounted".to_owned());
    world.library.set("P", &[]);
    world.engine.start_sync(&device).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { .. })).await;
    let closed = world.closed.lock().unwrap().clone();
    assert!(closed.len() >= 6, "{closed:?}");
    assert!(!closed.contains(&std::thread::current().id()), "this thread is that of the bus");
}
