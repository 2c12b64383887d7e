//! Players that lie: what they tell harms nobody's files, ends in time, and is told.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::reference::{PLAYLISTS, Scene, set_playlists};
use players::runtime;
use players::shelf::{Pool, Shelf};
use players::stage::Stage;
use players::witness::{foreign_damage, things};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tandem_mtp::codes::{FormatCode, ObjectHandle};
use tandem_mtp::responder::profile;

const LIMIT: Duration = Duration::from_secs(600);
const TRACKS: usize = 8;
const ROOT: ObjectHandle = ObjectHandle::ROOT;

fn own(name: &str) -> Value {
    serde_json::from_str(profile::OWN.iter().find(|(known, _)| *known == name).unwrap().1).unwrap()
}

/// A stage with a player of this profile, changed, and what it was told to be like before anything was plugged in.
async fn scene(name: &str, change: impl FnOnce(&mut Value)) -> Scene {
    let directory = kit::MusicLibrary::new();
    let mut value = own(name);
    change(&mut value);
    let path = directory.add_bytes("profile.json", value.to_string().as_bytes());
    let pool = Pool::new(TRACKS + 1);
    let scene = Scene::start(path.to_str().unwrap(), &value.to_string(), &pool, TRACKS).await.unwrap();
    set_playlists(&scene.stage, TRACKS);
    scene
}

fn habit(name: &str) -> impl FnOnce(&mut Value) {
    let name = name.to_owned();
    move |value| {
        value["habits"] = match value["habits"].take() {
            Value::Array(mut habits) => {
                habits.push(json!(name));
                Value::Array(habits)
            }
            _ => json!([name]),
        };
    }
}

async fn plugged(stage: &mut Stage) {
    assert!(stage.plug(LIMIT).await);
    stage.rest().await.unwrap();
}

#[test]
fn names_that_are_none_and_objects_below_themselves_are_left_alone() {
    runtime().block_on(async {
        for name in ["classic", "phone", "minimal"] {
            let mut scene = scene(name, |_| ()).await;
            let player = scene.stage.player();
            let storage = player.storages()[0];
            let music = player.objects().iter().find(|object| object.path == "Music").unwrap().handle;
            for bad in ["", ".", "..", "a/b", "../../out", "nul\u{0}", "\u{202e}3pm.", "WMPINFO.XML/"] {
                for parent in [ROOT, music] {
                    player.put(storage, parent, FormatCode::MP3, bad, b"bad").unwrap();
                }
            }
            for _ in 0..3 {
                player.put(storage, music, FormatCode::ASSOCIATION, "Twice", b"").unwrap();
            }
            let (one, other) = (
                player.put(storage, music, FormatCode::ASSOCIATION, "One", b"").unwrap(),
                player.put(storage, music, FormatCode::ASSOCIATION, "Other", b"").unwrap(),
            );
            player.misplace(one, other).unwrap();
            player.misplace(other, one).unwrap();
            let own = player.put(storage, music, FormatCode::ASSOCIATION, "Own cycle", b"").unwrap();
            player.misplace(own, own).unwrap();
            let before = things(player).len();
            plugged(&mut scene.stage).await;
            scene.stage.partner(&PLAYLISTS).await.unwrap();
            assert!(scene.stage.failures.is_empty(), "{name}: {:?}", scene.stage.failures);
            scene.stage.replug().await.unwrap();
            scene.stage.part().await.unwrap();
            assert_eq!(things(scene.stage.player()).len(), before, "{name}");
        }
    });
}

#[test]
fn what_is_below_itself_does_not_keep_a_cut_run_from_being_settled() {
    runtime().block_on(async {
        let mut scene = scene("phone", |_| ()).await;
        let player = scene.stage.player();
        let storage = player.storages()[0];
        let music = player.objects().iter().find(|object| object.path == "Music").unwrap().handle;
        let folder = player.put(storage, music, FormatCode::ASSOCIATION, "Round", b"").unwrap();
        player.put(storage, folder, FormatCode::MP3, "a.mp3", b"round").unwrap();
        player.misplace(music, folder).unwrap();
        plugged(&mut scene.stage).await;
        let partnered = scene.stage.partner(&PLAYLISTS).await;
        assert!(partnered.is_ok(), "{partnered:?}");
        scene.stage.replug().await.unwrap();
    });
}

#[test]
fn the_handle_of_another_object_is_not_written_to_nor_deleted() {
    runtime().block_on(async {
        for name in ["classic", "phone", "minimal"] {
            let mut scene = scene(name, habit("foreign-handle")).await;
            plugged(&mut scene.stage).await;
            let partnered = scene.stage.partner(&PLAYLISTS).await;
            assert!(partnered.is_err() || !scene.stage.left_out().await.unwrap().is_empty(), "{name}");
            scene.stage.replug().await.unwrap();
            assert_eq!(foreign_damage(scene.stage.player(), &scene.foreign), Vec::<String>::new(), "{name}");
        }
    });
}

#[test]
fn a_folder_with_more_objects_than_there_can_be_is_told() {
    runtime().block_on(async {
        let mut scene = scene("classic", |_| ()).await;
        let player = scene.stage.player();
        let storage = player.storages()[0];
        for number in 0..100_001 {
            player.put(storage, ROOT, FormatCode::UNDEFINED, &number.to_string(), b"").unwrap();
        }
        plugged(&mut scene.stage).await;
        let told = scene.stage.partner(&PLAYLISTS).await.unwrap_err();
        assert!(told.contains("objects in one folder") && told.contains("100000 are the most"), "{told}");
    });
}

#[test]
fn storages_that_cannot_be_are_no_reason_to_fail() {
    let lies: [fn(&mut Value); 4] = [
        |value| value["storages"][0]["free_bytes"] = json!(u64::MAX),
        |value| {
            value["storages"][0]["capacity"] = json!(u64::MAX);
            value["storages"][0]["free_bytes"] = json!(u64::MAX);
        },
        |value| {
            value["storages"][0]["capacity"] = json!(0);
            value["storages"][0]["free_bytes"] = json!(1u64 << 30);
        },
        |value| value["device_info"]["manufacturer"] = json!("\u{1b}[2J\n".repeat(40)),
    ];
    for lie in lies {
        runtime().block_on(async {
            let mut scene = scene("classic", lie).await;
            plugged(&mut scene.stage).await;
            scene.stage.partner(&PLAYLISTS).await.unwrap();
            let snapshot = scene.stage.snapshot().unwrap();
            assert!(snapshot.free_space <= snapshot.total_space);
            assert!(!snapshot.description.manufacturer.contains(char::is_control));
            assert_eq!(foreign_damage(scene.stage.player(), &scene.foreign), Vec::<String>::new());
        });
    }
}

#[test]
fn a_run_that_waits_for_a_locked_phone_can_be_stopped() {
    runtime().block_on(async {
        let simulated = tandem_players::Simulated::new("phone-with-lists", None).unwrap();
        let shelf = Arc::new(Shelf::new(Pool::new(TRACKS + 1), 0..TRACKS));
        let mut stage = Stage::with_player(Arc::new(simulated), shelf).await;
        set_playlists(&stage, TRACKS);
        stage.player().allow();
        plugged(&mut stage).await;
        stage.partner(&PLAYLISTS).await.unwrap();
        stage.player().lock();
        stage.engine().start_sync(stage.device()).await.unwrap();
        stage.engine().stop_sync(stage.device()).await.unwrap();
        let begun = tokio::time::Instant::now();
        stage.rest().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
}
