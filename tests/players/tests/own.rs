//! Every profile of the project's own synchronises, others are refused for what their facts say, and the witness sees what is
//! wrong with a player.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::facts::Refusal;
use players::reference::{Outcome, PLAYLISTS, Scene, reference, set_playlists};
use players::runtime;
use players::shelf::Pool;
use serde_json::{Value, json};
use std::time::Duration;
use tandem_mtp::codes::{FormatCode, ObjectHandle};
use tandem_mtp::responder::profile;

const LIMIT: Duration = Duration::from_secs(600);

fn own(name: &str) -> &'static str {
    profile::OWN.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn every_own_profile_synchronises() {
    let pool = Pool::new(105);
    for (name, text) in profile::OWN {
        let outcome = runtime().block_on(reference(name, text, &pool, 100));
        assert!(matches!(outcome, Outcome::Passed { .. }), "{name}: {outcome:?}");
    }
}

#[test]
fn a_player_that_takes_no_music_is_refused_and_told_why() {
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::new(9);
    let without = |value: &mut Value, operation: u64| {
        value["device_info"]["operations"].as_array_mut().unwrap().retain(|code| *code != operation);
    };
    type Case<'a> = (Refusal, &'a dyn Fn(&mut Value));
    let cases: [Case<'_>; 4] = [
        (Refusal::TakesNoFiles, &|value| without(value, 0x100C)),
        (Refusal::NoFormat, &|value| value["formats"] = json!([{ "code": 0x3001 }, { "code": 0x3801 }])),
        (Refusal::NoStorage, &|value| value["storages"] = json!([])),
        (Refusal::ReadOnly, &|value| value["storages"][0]["access"] = json!(1)),
    ];
    for (refusal, change) in cases {
        let mut value: Value = serde_json::from_str(own("minimal")).unwrap();
        change(&mut value);
        let (text, path) = (value.to_string(), directory.path().join("profile.json"));
        kit::write_file(&path, text.as_bytes());
        let outcome = runtime().block_on(reference(path.to_str().unwrap(), &text, &pool, 8));
        assert_eq!(outcome, Outcome::Refused(refusal));
    }
}

/// What a player that was synchronised is told to be wrong with, after something was done to it.
fn told_of(harm: impl FnOnce(&Scene)) -> String {
    runtime().block_on(async {
        let pool = Pool::new(9);
        let mut scene = Scene::start("classic", own("classic"), &pool, 8).await.unwrap();
        set_playlists(&scene.stage, 8);
        assert!(scene.stage.plug(LIMIT).await);
        scene.stage.rest().await.unwrap();
        scene.stage.partner(&PLAYLISTS).await.unwrap();
        scene.check(&PLAYLISTS).await.unwrap();
        harm(&scene);
        scene.check(&PLAYLISTS).await.unwrap_err()
    })
}

fn handle(scene: &Scene, ending: &str) -> ObjectHandle {
    scene.stage.player().objects().iter().find(|object| object.path.ends_with(ending)).unwrap().handle
}

#[test]
fn the_witness_sees_what_is_wrong() {
    let gone = told_of(|scene| scene.stage.player().remove(handle(scene, "00001 Title.mp3")).unwrap());
    assert!(gone.contains("track 1 (mp3) is there 0 times"), "{gone}");
    let cut = told_of(|scene| scene.stage.player().resize(handle(scene, "00001 Title.mp3"), 7).unwrap());
    assert!(cut.contains("track 1 (mp3) is there 0 times") && cut.contains("is left over"), "{cut}");
    let foreign = told_of(|scene| scene.stage.player().resize(handle(scene, "Own song.mp3"), 3).unwrap());
    assert!(foreign.contains("somebody else's `Own song.mp3` is not as it was"), "{foreign}");
    let disordered = told_of(|scene| {
        let song = handle(scene, "00001 Title.mp3");
        scene.stage.player().refer(handle(scene, "Evening.pla"), &[song]).unwrap();
    });
    assert!(disordered.contains("playlist `Evening` refers to 1 others"), "{disordered}");
    let twice = told_of(|scene| {
        let player = scene.stage.player();
        let bytes = player.bytes(handle(scene, "00001 Title.mp3")).unwrap();
        let storage = player.storages()[0];
        player.put(storage, ObjectHandle::ROOT, FormatCode::MP3, "again.mp3", &bytes).unwrap();
    });
    assert!(twice.contains("track 1 (mp3) is there 2 times"), "{twice}");
}
