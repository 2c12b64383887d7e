//! What happens to players every day: locked when they are plugged in, deleted from, filled with other things, with a card.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::reference::{Outcome, PLAYLISTS, Scene, reference, set_playlists};
use players::runtime;
use players::shelf::{OTHER_MUSIC, OTHER_TAGS, Pool, Shelf};
use players::witness::things;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::ItemError;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DevicePropertyCode, FormatCode, ObjectHandle, ObjectPropertyCode, OperationCode};
use tandem_mtp::responder::{Fault, Planned, SimulatedPlayer, profile};

const LIMIT: Duration = Duration::from_secs(600);
const TRACKS: usize = 8;

fn own(name: &str) -> &'static str {
    profile::OWN.iter().find(|(known, _)| *known == name).unwrap().1
}

async fn scene(name: &str) -> Scene {
    let pool = Pool::new(TRACKS + 1);
    let scene = Scene::start(name, own(name), &pool, TRACKS).await.unwrap();
    set_playlists(&scene.stage, TRACKS);
    scene
}

/// A player in step.
async fn in_step(name: &str) -> Scene {
    let mut scene = scene(name).await;
    assert!(scene.stage.plug(LIMIT).await);
    scene.stage.rest().await.unwrap();
    scene.stage.partner(&PLAYLISTS).await.unwrap();
    scene.check(&PLAYLISTS).await.unwrap();
    scene
}

/// A player of this profile takes the whole reference synchronisation.
fn ends_in_step(profile: &serde_json::Value, pool: &Arc<Pool>) {
    let directory = kit::MusicLibrary::new();
    let (text, path) = (profile.to_string(), directory.path("profile.json"));
    kit::write_file(&path, text.as_bytes());
    let outcome = runtime().block_on(reference(path.to_str().unwrap(), &text, pool, TRACKS));
    assert!(matches!(outcome, Outcome::Passed { .. }), "{}: {outcome:?}", profile["class"]);
}

fn handle(player: &SimulatedPlayer, ending: &str) -> ObjectHandle {
    player.objects().iter().find(|object| object.path.ends_with(ending)).unwrap().handle
}

#[test]
fn what_the_user_deletes_on_the_player_is_skipped_until_he_wants_it_back() {
    runtime().block_on(async {
        for name in ["classic", "phone", "minimal"] {
            let mut scene = in_step(name).await;
            let player = scene.stage.player();
            player.remove(handle(player, "00001 Title.mp3")).unwrap();
            scene.stage.replug().await.unwrap();
            assert!(scene.stage.snapshot().unwrap().has_skipped_files, "{name}");
            let gone =
                !things(scene.stage.player()).iter().any(|thing| thing.path().ends_with("00001 Title.mp3"));
            let told = scene.stage.left_out().await.unwrap();
            let skipped = told
                .iter()
                .any(|(media, error, _)| *media == Shelf::uri(1) && *error == Some(ItemError::Cancelled));
            assert!(gone && skipped, "{name}: {told:?}");
            let skipped = tandem_engine::Setting::IncludeSkippedFiles;
            scene.stage.engine().set(scene.stage.device(), skipped).await.unwrap();
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
        }
    });
}

#[test]
fn with_its_record_lost_a_player_is_in_step_again_and_nothing_is_there_twice() {
    runtime().block_on(async {
        for name in ["art-and-albums", "classic", "playlist-files", "spl-playlists"] {
            let mut scene = in_step(name).await;
            let before = scene.stage.player().objects().len();
            scene.stage.lose_record().unwrap();
            // the first run tells of the loss
            scene.stage.sync().await.unwrap();
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(scene.stage.player().objects().len(), before, "{name}");
            scene.stage.part().await.unwrap();
            scene.check_empty().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn a_partnership_that_begins_anew_finds_the_playlists_and_albums_of_the_one_before() {
    runtime().block_on(async {
        for name in ["art-and-albums", "classic", "playlist-files", "spl-playlists"] {
            let mut scene = in_step(name).await;
            let names = |scene: &Scene| {
                let objects = scene.stage.player().objects().into_iter().map(|object| object.path);
                objects.filter(|path| path != "WMPInfo.xml").collect::<std::collections::BTreeSet<_>>()
            };
            let before = names(&scene);
            for _ in 0..2 {
                let device = scene.stage.device().clone();
                scene.stage.engine().delete_partnership(&device, false).await.unwrap();
                scene.stage.parted(LIMIT).await.unwrap();
                scene.stage.partner(&PLAYLISTS).await.unwrap();
                assert_eq!(names(&scene), before, "{name}");
            }
            scene.stage.sync().await.unwrap();
            assert_eq!(names(&scene), before, "{name}");
            // nothing of it is ours to delete
            scene.stage.part().await.unwrap();
            assert_eq!(names(&scene), before, "{name}");
        }
    });
}

#[test]
fn an_album_follows_its_tracks_and_its_picture_and_what_the_user_makes_of_it_is_his() {
    runtime().block_on(async {
        let mut scene = in_step("art-and-albums").await;
        let album = |scene: &Scene| {
            let objects = scene.stage.player().objects();
            let is_ours = |object: &&tandem_mtp::responder::Snapshot| {
                object.path.starts_with("Albums/") && object.path.contains("(2)")
            };
            objects.iter().find(is_ours).cloned()
        };
        let first = album(&scene).unwrap();
        let text = |scene: &Scene, property| match scene.stage.player().property(first.handle, property) {
            Some(Value::String(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&scene, ObjectPropertyCode::NAME), "Album 00");
        assert_eq!(text(&scene, ObjectPropertyCode::ALBUM_ARTIST), "Artist 00");
        assert_eq!(text(&scene, ObjectPropertyCode::GENRE), "Jazz");
        let width =
            scene.stage.player().property(first.handle, ObjectPropertyCode::REPRESENTATIVE_SAMPLE_WIDTH);
        assert_eq!(width, Some(Value::U32(90)));
        // another picture alone: the object stays the one that it was
        scene.stage.shelf.set_cover(0, b"another");
        scene.stage.sync().await.unwrap();
        scene.check(&PLAYLISTS).await.unwrap();
        assert_eq!(album(&scene).unwrap().handle, first.handle);
        // without a picture it has none, and is still the one that it was
        scene.stage.shelf.remove_cover(0);
        scene.stage.sync().await.unwrap();
        scene.check(&PLAYLISTS).await.unwrap();
        assert_eq!(album(&scene).unwrap().handle, first.handle);
        // what the user deletes comes back, for its tracks are there
        scene.stage.player().remove(first.handle).unwrap();
        scene.stage.sync().await.unwrap();
        scene.check(&PLAYLISTS).await.unwrap();
        // without its tracks it goes
        for playlist in PLAYLISTS {
            scene.stage.shelf.set_playlist(playlist, vec![8]);
        }
        scene.stage.shelf.add(8, OTHER_MUSIC);
        scene.stage.allow_mass_deletion().await.unwrap();
        scene.stage.sync().await.unwrap();
        scene.check(&PLAYLISTS).await.unwrap();
        for playlist in PLAYLISTS {
            scene.stage.shelf.set_playlist(playlist, Vec::new());
        }
        scene.stage.allow_mass_deletion().await.unwrap();
        scene.stage.sync().await.unwrap();
        assert_eq!(album(&scene), None);
        scene.check(&PLAYLISTS).await.unwrap();
    });
}

#[test]
fn a_picture_that_has_no_space_comes_with_the_next_run() {
    runtime().block_on(async {
        let mut scene = in_step("art-and-albums").await;
        for after in 20..56_u8 {
            scene.stage.shelf.set_cover(0, &[b'a', after]);
            let begun = scene.stage.player().transactions();
            scene.stage.player().plan(Planned::after(Fault::StoreFull, after.into()));
            // whether it is told depends on what was refused
            drop(scene.stage.sync().await);
            let struck = scene.stage.player().transactions() - begun > u64::from(after);
            scene.stage.forget_failures();
            scene.stage.sync().await.unwrap();
            if struck {
                scene.check(&PLAYLISTS).await.unwrap_or_else(|error| panic!("after {after}: {error}"));
            }
        }
    });
}

#[test]
fn a_locked_phone_is_waited_for_and_synchronised_when_it_is_unlocked() {
    runtime().block_on(async {
        for name in ["phone-locked", "phone-with-lists"] {
            let pool = Pool::new(TRACKS + 1);
            let simulated = tandem_players::Simulated::new(name, None).unwrap();
            let shelf = Arc::new(Shelf::new(Arc::clone(&pool), 0..TRACKS));
            let mut stage = players::stage::Stage::with_player(Arc::new(simulated), shelf).await;
            set_playlists(&stage, TRACKS);
            assert!(!stage.plug(Duration::from_secs(60)).await, "{name} shows nothing yet");
            let refused = stage.partner(&PLAYLISTS).await.unwrap_err();
            assert!(refused.contains("set up") || refused.contains("initiali"), "{name}: {refused}");
            stage.player().allow();
            if !stage.plugged(Duration::from_secs(60)).await {
                // some leave the bus when they are unlocked, and come back as new
                stage.unplug().await.unwrap();
                assert!(stage.plug(LIMIT).await, "{name}");
            }
            stage.rest().await.unwrap();
            stage.partner(&PLAYLISTS).await.unwrap();
            let present = stage.entries().len();
            assert_eq!(present, TRACKS + PLAYLISTS.len(), "{name}: {:?}", stage.failures);
        }
    });
}

#[test]
fn a_run_with_nothing_to_do_looks_at_our_own_folders_alone() {
    runtime().block_on(async {
        for name in ["classic", "phone", "minimal"] {
            let mut scene = in_step(name).await;
            let count = async |scene: &mut Scene| {
                let before = scene.stage.player().transactions();
                scene.stage.replug().await.unwrap();
                scene.stage.player().transactions() - before
            };
            let first = count(&mut scene).await;
            let player = scene.stage.player();
            let storage = player.storages()[0];
            let folder =
                player.put(storage, ObjectHandle::ROOT, FormatCode::ASSOCIATION, "DCIM", b"").unwrap();
            for number in 0..500 {
                let picture = format!("{number}.jpg");
                player.put(storage, folder, FormatCode::EXIF_JPEG, &picture, b"picture").unwrap();
            }
            let second = count(&mut scene).await;
            // the folder itself is at the root, and looked at each time that the player is opened
            assert!(second <= first + 6, "{name}: {first}, then {second} transactions");
        }
    });
}

#[test]
fn a_player_with_several_storages_is_synchronised_to_the_one_with_the_mark() {
    runtime().block_on(async {
        let mut scene = in_step("list-reader").await;
        let (internal, card) = (scene.stage.player().storages()[0], scene.stage.player().storages()[1]);
        let ours = |scene: &Scene| {
            let objects = scene.stage.player().objects();
            let file = objects.iter().find(|object| object.path.ends_with("00001 Title.mp3")).unwrap();
            file.storage
        };
        assert_eq!(ours(&scene), card, "the larger one");
        // a mark on the other one, as if that had been synchronised to
        let mark = handle(scene.stage.player(), "WMPInfo.xml");
        let bytes = scene.stage.player().bytes(mark).unwrap();
        scene.stage.part().await.unwrap();
        let player = scene.stage.player();
        player.put(internal, ObjectHandle::ROOT, FormatCode::UNDEFINED, "WMPInfo.xml", &bytes).unwrap();
        scene.stage.replug().await.unwrap();
        scene.stage.partner(&PLAYLISTS).await.unwrap();
        assert_eq!(ours(&scene), internal);
    });
}

#[test]
fn tags_that_change_alone_are_told_and_no_music_is_sent() {
    runtime().block_on(async {
        for (name, in_place) in
            [("classic", true), ("classic-no-lists", true), ("art-and-albums", true), ("minimal", false)]
        {
            let mut scene = in_step(name).await;
            let song = |scene: &Scene| {
                let player = scene.stage.player();
                let handle = handle(player, "00001 Title.mp3");
                (handle, player.bytes(handle).unwrap(), player.property(handle, ObjectPropertyCode::NAME))
            };
            let (before, bytes, _) = song(&scene);
            scene.stage.shelf.add(1, OTHER_TAGS);
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
            let (after, now, told) = song(&scene);
            assert_eq!((before == after, bytes == now), (in_place, in_place), "{name}");
            assert_eq!(told.is_some(), in_place, "{name}: {told:?}");
            // and with that it is in step
            scene.stage.sync().await.unwrap();
            assert_eq!(scene.stage.snapshot().unwrap().last_sync.change_count, 0, "{name}");
            scene.stage.shelf.add(1, OTHER_MUSIC);
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
            assert!(song(&scene).1 != bytes, "{name}");
        }
    });
}

#[test]
fn a_track_that_was_only_touched_has_nothing_written() {
    runtime().block_on(async {
        for name in ["art-and-albums", "classic", "playlist-files"] {
            let mut scene = in_step(name).await;
            let objects = |scene: &Scene| {
                let objects = scene.stage.player().objects().into_iter();
                objects.map(|object| (object.path, object.handle)).collect::<Vec<_>>()
            };
            let before = objects(&scene);
            (0..TRACKS).for_each(|number| scene.stage.shelf.touch(number));
            let device = scene.stage.device().clone();
            let preview = scene.stage.engine().preview(&device).await.unwrap();
            assert!(preview.iter().all(|item| item.action == tandem_engine::Action::Skip), "{preview:?}");
            scene.stage.sync().await.unwrap();
            assert_eq!(objects(&scene), before, "{name}");
            scene.check(&PLAYLISTS).await.unwrap();
        }
    });
}

#[test]
fn a_track_that_changes_stays_in_playlists_that_do_not() {
    runtime().block_on(async {
        for name in ["classic", "phone"] {
            let mut scene = in_step(name).await;
            scene.stage.shelf.add(1, OTHER_MUSIC);
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
        }
    });
}

#[test]
fn a_playlist_refers_to_a_track_that_was_replaced_by_a_later_run_than_it() {
    runtime().block_on(async {
        for name in ["classic", "phone"] {
            let mut scene = in_step(name).await;
            scene.stage.shelf.add(1, OTHER_MUSIC);
            scene.stage.player().plan(Planned::at(Fault::StoreFull, OperationCode::SEND_OBJECT));
            scene.stage.sync().await.unwrap();
            let told = scene.stage.left_out().await.unwrap();
            let is_full = |(media, error, _): &(String, Option<ItemError>, String)| {
                *media == Shelf::uri(1) && *error == Some(ItemError::DeviceFull)
            };
            assert!(told.iter().any(is_full), "{name}: {told:?}");
            scene.stage.sync().await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
        }
    });
}

#[test]
fn files_of_a_player_whose_lists_tell_no_dates_stay_ours() {
    let mut value: serde_json::Value = serde_json::from_str(own("classic")).unwrap();
    for property in value["props"].as_array_mut().unwrap() {
        if property["code"] == 0xDC09 {
            property["code"] = serde_json::json!(0xDAFF);
        }
    }
    let directory = kit::MusicLibrary::new();
    let (text, path) = (value.to_string(), directory.path("profile.json"));
    kit::write_file(&path, text.as_bytes());
    let pool = Pool::new(TRACKS + 1);
    let outcome = runtime().block_on(reference(path.to_str().unwrap(), &text, &pool, TRACKS));
    assert!(matches!(outcome, Outcome::Passed { .. }), "{outcome:?}");
}

#[test]
fn samsungs_playlist_files_come_in_the_version_that_a_player_reads() {
    for (product, version) in [(0x505a, "VERSION 1.00"), (0x5118, "VERSION 2.00")] {
        let mut value: serde_json::Value = serde_json::from_str(own("spl-playlists")).unwrap();
        value["product_id"] = serde_json::json!(product);
        let directory = kit::MusicLibrary::new();
        let (text, path) = (value.to_string(), directory.path("profile.json"));
        kit::write_file(&path, text.as_bytes());
        let path = path.to_str().unwrap();
        runtime().block_on(async {
            let pool = Pool::new(TRACKS + 1);
            let mut scene = Scene::start(path, &text, &pool, TRACKS).await.unwrap();
            set_playlists(&scene.stage, TRACKS);
            assert!(scene.stage.plug(LIMIT).await);
            scene.stage.rest().await.unwrap();
            scene.stage.partner(&PLAYLISTS).await.unwrap();
            scene.check(&PLAYLISTS).await.unwrap();
            let player = scene.stage.player();
            let bytes = player.bytes(handle(player, "Playlists/Evening.spl")).unwrap();
            let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
            assert!(bytes.starts_with(&wide(&format!("\u{feff}SPL PLAYLIST\r\n{version}\r\n"))));
        });
    }
}

#[test]
fn a_playlist_file_with_the_players_or_the_users_additions_is_not_ours_after_a_lost_record() {
    runtime().block_on(async {
        let mut scene = in_step("spl-playlists").await;
        let player = scene.stage.player();
        let old = handle(player, "Playlists/Evening.spl");
        let mut bytes = player.bytes(old).unwrap();
        bytes.extend("somebody's own settings".bytes());
        let storage = player.storages()[0];
        let folder = handle(player, "Playlists");
        player.remove(old).unwrap();
        player.put(storage, folder, FormatCode::UNDEFINED, "Evening.spl", &bytes).unwrap();
        scene.stage.lose_record().unwrap();
        scene.stage.sync().await.unwrap();
        scene.stage.sync().await.unwrap();
        let player = scene.stage.player();
        assert_eq!(player.bytes(handle(player, "Playlists/Evening.spl")).unwrap(), bytes);
        let ours = player.bytes(handle(player, "Playlists/Evening (2).spl")).unwrap();
        assert!(bytes.starts_with(&ours));
    });
}

#[test]
fn the_battery_is_told_while_the_player_is_there_and_what_makes_no_sense_is_not() {
    const BATTERY: DevicePropertyCode = DevicePropertyCode::BATTERY_LEVEL;
    runtime().block_on(async {
        for (name, first) in [("classic", Some(80)), ("minimal", None)] {
            let mut scene = in_step(name).await;
            let level = |scene: &Scene| scene.stage.snapshot().unwrap().battery_level;
            assert_eq!(level(&scene), first, "{name}");
            scene.stage.player().set_device_property(BATTERY, Value::U8(55));
            scene.stage.sync().await.unwrap();
            assert_eq!(level(&scene), first.map(|_| 55), "{name}");
            scene.stage.unplug().await.unwrap();
            assert_eq!(level(&scene), None, "{name}");
            // more than full, of another type, and full of power from outside
            for odd in [Value::U8(255), Value::String("\u{1b}[2J".to_owned()), Value::U8(0)] {
                scene.stage.player().set_device_property(BATTERY, odd);
                assert!(scene.stage.plug(LIMIT).await);
                scene.stage.rest().await.unwrap();
                assert_eq!(level(&scene), None, "{name}");
                scene.check(&PLAYLISTS).await.unwrap();
                scene.stage.unplug().await.unwrap();
            }
        }
    });
}

#[test]
fn a_player_that_leaves_dates_out_of_account_is_in_step_all_the_same() {
    let pool = Pool::new(TRACKS + 1);
    for name in ["classic", "classic-no-lists", "phone"] {
        let mut value: serde_json::Value = serde_json::from_str(own(name)).unwrap();
        value["habits"].as_array_mut().unwrap().push(serde_json::json!("ignores-dates"));
        ends_in_step(&value, &pool);
    }
}

#[test]
fn dates_are_the_same_however_they_are_told_where_a_player_does_not_say_what_objects_have() {
    let pool = Pool::new(TRACKS + 1);
    let lacks = [0x9801, 0x9802, 0x9807, 0x9808];
    let mut value: serde_json::Value = serde_json::from_str(own("classic")).unwrap();
    let operations = value["device_info"]["operations"].as_array_mut().unwrap();
    operations.retain(|operation| !lacks.contains(&operation.as_u64().unwrap()));
    // of a film it lists no properties, so the first run, which looks everywhere, doesn't go by lists
    value["formats"].as_array_mut().unwrap().insert(0, serde_json::json!({ "code": 0xB982 }));
    ends_in_step(&value, &pool);
}

#[test]
fn a_player_that_wants_a_session_first_and_fills_headers_with_junk_is_in_step() {
    let pool = Pool::new(TRACKS + 1);
    for name in ["classic", "phone"] {
        let mut value: serde_json::Value = serde_json::from_str(own(name)).unwrap();
        let habits = value["habits"].as_array_mut().unwrap();
        habits.extend(["junk-data-headers", "session-first"].map(|habit| serde_json::json!(habit)));
        ends_in_step(&value, &pool);
    }
}
