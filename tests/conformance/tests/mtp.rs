//! The suite over MTP players of every class of behaviour, simulated in this process, and what is MTP's own.
//!
//! A name can have 254 units in MTP, so that case of the suite is left out and has a counterpart here.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;
#[path = "common/simulated.rs"]
mod simulated_player;

use conformance::Subject;
use simulated_player::{open, path, put, simulated};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::player::{Close, Expect, Mark, Source, Tags, Transfer, WriteRequest};
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{
    DevicePropertyCode, FormatCode, ObjectHandle, ObjectPropertyCode, OperationCode, StorageId,
};
use tandem_mtp::responder::{Fault, Planned, profile};

const MARK: Mark = Mark { device: Guid(7), relationship: Guid(9) };

async fn subject(profile: &str) -> Option<Subject> {
    let simulated = simulated(profile);
    simulated.player().allow();
    let player = open(&simulated).await.unwrap();
    Some(Subject { player, keep: Box::new(simulated) })
}

macro_rules! profiles {
    ($($name:ident: $profile:literal),+ $(,)?) => {$(
        mod $name {
            use crate::subject;
            conformance::conformance! { subject($profile);
                transfers: a_file_arrives_as_it_was_sent, an_empty_file_is_a_file, a_file_of_many_chunks_arrives,
                    a_source_that_is_not_as_announced_is_refused, a_cancelled_transfer_leaves_nothing,
                    a_taken_temporary_name_is_left_alone, space_is_told_and_used;
                expectations: an_existing_file_is_not_replaced, what_is_expected_is_replaced,
                    what_was_changed_is_left_alone, only_what_is_expected_is_deleted, reading_is_limited;
                folders: deep_folders_are_made_and_told, missing_folders_are_told,
                    a_temporary_folder_that_is_none_ends_the_run, empty_folders_are_removed_and_others_stay,
                    many_files_are_told_in_order, a_file_in_place_of_a_folder_is_in_the_way,
                    settling_and_flushing_take_what_is_gone;
                names: unicode_names_survive, refused_names_are_told_so,
                    normalised_twins_do_not_overwrite_each_other, case_twins_do_not_overwrite_each_other;
                marks: a_mark_is_kept_and_replaced, a_mark_goes_with_its_file;
            }
        }
    )+};
}

/// For players that can move a file.
mod moving {
    macro_rules! profiles {
        ($($name:ident: $profile:literal),+ $(,)?) => {$(
            mod $name {
                use crate::subject;
                conformance::conformance! { subject($profile); expectations: what_lost_its_name_gets_it_back; }
            }
        )+};
    }

    profiles! { classic: "classic", phone: "phone" }
}

profiles! {
    classic: "classic",
    classic_no_lists: "classic-no-lists",
    list_reader: "list-reader",
    playlist_files: "playlist-files",
    spl_playlists: "spl-playlists",
    art_and_albums: "art-and-albums",
    phone: "phone",
    phone_with_lists: "phone-with-lists",
    split_header: "split-header",
    sloppy_packets: "sloppy-packets",
}

fn own(name: &str) -> &'static str {
    profile::OWN.iter().find(|(known, _)| *known == name).unwrap().1
}

/// A profile of the project's own with more habits, in a file.
fn with_habits(name: &str, habits: &str) -> tempfile::NamedTempFile {
    let json = own(name);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let more = json.replacen("\"habits\": [", &format!("\"habits\": [{habits}"), 1);
    file.write_all(more.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_player_that_wants_a_session_first_is_opened() {
    let file = with_habits("phone", r#""session-first""#);
    let player = open(&simulated(file.path().to_str().unwrap())).await.unwrap();
    assert_eq!(player.description().manufacturer, "Tandem Project");
    put(&*player, "a.mp3", b"x").await.unwrap();
}

#[tokio::test]
async fn a_player_with_junk_in_its_headers_is_understood_without_being_known() {
    let file = with_habits("phone", r#""junk-data-headers""#);
    let player = open(&simulated(file.path().to_str().unwrap())).await.unwrap();
    put(&*player, "a.mp3", b"four").await.unwrap();
    assert_eq!(player.storage().object(&path("a.mp3")).read(9).await.unwrap(), b"four");
}

#[tokio::test]
async fn a_player_that_lacks_what_all_need_is_refused_with_the_operations_name() {
    let profile = own("classic").replacen("4103, ", "", 1);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(profile.as_bytes()).unwrap();
    let refused = open(&simulated(file.path().to_str().unwrap())).await.err().unwrap().to_string();
    assert!(refused.contains("GetObjectHandles") && refused.contains("lists files"), "{refused}");
}

#[tokio::test]
async fn a_player_that_knows_late_what_it_has_is_asked_again() {
    let file = with_habits("phone", r#""size-late""#);
    let player = open(&simulated(file.path().to_str().unwrap())).await.unwrap();
    let written = put(&*player, "a.mp3", b"four").await.unwrap();
    assert_eq!(written.facts.size, 4);
}

#[tokio::test]
async fn reading_back_tells_a_player_that_keeps_other_bytes() {
    let file = with_habits("phone", r#""keeps-other-bytes""#);
    for (profile, keeps) in [(file.path().to_str().unwrap(), false), ("phone", true)] {
        let player = open(&simulated(profile)).await.unwrap();
        let written = put(&*player, "Music/a.mp3", b"four").await.unwrap();
        let object = player.storage().object(&path("Music/a.mp3"));
        let kept = object.hash(&Arc::default()).await.unwrap();
        assert_eq!(kept == written.hash, keeps, "{profile}");
    }
}

#[tokio::test]
async fn names_have_at_most_what_the_protocol_can_say() {
    let player = open(&simulated("classic")).await.unwrap();
    put(&*player, &"n".repeat(254), b"x").await.unwrap();
    for bad in ["n".repeat(255), format!("{}/a.mp3", "f".repeat(255))] {
        let refused = put(&*player, &bad, b"x").await.unwrap_err();
        assert!(matches!(refused, PlayerError::NameRejected(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_playlist_refers_to_the_tracks_that_are_there() {
    let simulated = simulated("classic");
    let player = open(&simulated).await.unwrap();
    let style = player.capabilities().playlists.clone().unwrap();
    assert_eq!(style.extension, "pla");
    put(&*player, "Music/A/a.mp3", b"a").await.unwrap();
    put(&*player, "Music/A/b.mp3", b"b").await.unwrap();
    let text = b"#EXTM3U\n../Music/A/b.mp3\n../Music/missing.mp3\n../Music/A/a.mp3\n";
    let written = put(&*player, "Playlists/Both.pla", text).await.unwrap();
    let objects = simulated.player().objects();
    let playlist = objects.iter().find(|object| object.path == "Playlists/Both.pla").unwrap();
    assert_eq!(playlist.format, FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST);
    let at = |path: &str| objects.iter().find(|object| object.path == path).unwrap().handle;
    assert_eq!(playlist.references, [at("Music/A/b.mp3"), at("Music/A/a.mp3")]);
    // one that changes is filled anew, in its place
    let request = WriteRequest {
        path: path("Playlists/Both.pla"),
        temporary: path(".tandem/1123456789abcdef0123456789abcdef.part"),
        expect: Expect::This(written.facts),
        size: 17,
        modified_ns: 0,
        source: Source::Bytes(b"../Music/A/a.mp3\n"[..].into()),
        tags: Tags::default(),
        cover: None,
    };
    player.storage().write(request, &Arc::new(Transfer::default())).await.unwrap();
    let objects = simulated.player().objects();
    let playlists: Vec<_> = objects.iter().filter(|object| object.path.ends_with(".pla")).collect();
    assert_eq!(playlists.len(), 1);
    assert_eq!(playlists[0].references.len(), 1);
    // the next session tells the same of it, and so it can be deleted
    player.close(Close::Release).await.unwrap();
    let player = open(&simulated).await.unwrap();
    let object = player.storage().object(&path("Playlists/Both.pla"));
    assert_eq!(object.facts().await, Ok(Some(written.facts)));
    object.delete(written.facts, path(".tandem/2123456789abcdef0123456789abcdef.part")).await.unwrap();
    assert!(simulated.player().objects().iter().all(|object| !object.path.ends_with(".pla")));
}

#[tokio::test]
async fn the_mark_is_in_the_property_and_in_the_file_and_outlives_the_session() {
    let simulated = simulated("classic");
    let player = open(&simulated).await.unwrap();
    player.set_mark(MARK).await.unwrap();
    player.close(Close::Release).await.unwrap();
    let file = simulated.player().objects().into_iter().find(|object| object.path == "WMPInfo.xml").unwrap();
    assert_eq!(file.size, 296);
    let player = open(&simulated).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(MARK)));
    // the property alone is enough for a player that was emptied
    simulated.player().remove(file.handle).unwrap();
    let player_again = open(&simulated).await.unwrap();
    assert_eq!(player_again.mark().await.unwrap().unwrap().relationship, MARK.relationship);
    player_again.remove_mark(MARK).await.unwrap();
    assert_eq!(player_again.mark().await, Ok(None));
}

#[tokio::test]
async fn a_player_that_holds_a_name_keeps_it() {
    let simulated = simulated("phone");
    let player = open(&simulated).await.unwrap();
    assert!(player.capabilities().holds_friendly_name);
    assert!(player.capabilities().formats.is_empty(), "a phone plays more than it lists");
    player.set_friendly_name("Ann's phone".into()).await.unwrap();
    player.close(Close::Release).await.unwrap();
    let player = open(&simulated).await.unwrap();
    assert_eq!(player.friendly_name().await.unwrap().as_deref(), Some("Ann's phone"));
    assert_eq!(player.description().manufacturer, "Tandem Project");
}

#[tokio::test]
async fn players_that_read_no_tags_are_told_them() {
    let tags = Tags {
        title: "Title".into(),
        artist: "Artist".into(),
        album: "Album".into(),
        duration_ms: 61_000,
        genre: "Jazz".into(),
        track_number: 7,
        ..Tags::default()
    };
    // by a list, one by one, and not at all
    for (profile, told) in [("classic", true), ("classic-no-lists", true), ("minimal", false)] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        let request = WriteRequest {
            path: path("Music/a.mp3"),
            temporary: path(".tandem/0123456789abcdef0123456789abcdef.part"),
            expect: Expect::Nothing,
            size: 4,
            modified_ns: 1_700_000_000_000_000_000,
            source: Source::Bytes(b"song"[..].into()),
            tags: tags.clone(),
            cover: None,
        };
        let written = player.storage().write(request, &Arc::new(Transfer::default())).await.unwrap();
        let objects = simulated.player().objects();
        let song = objects.iter().find(|object| object.path == "Music/a.mp3").unwrap().handle;
        let artist = simulated.player().property(song, ObjectPropertyCode::ARTIST);
        assert_eq!(artist == Some("Artist".into()), told, "{profile}: {artist:?}");
        let also = [ObjectPropertyCode::GENRE, ObjectPropertyCode::TRACK]
            .map(|property| simulated.player().property(song, property));
        let expected = [told.then(|| "Jazz".into()), told.then_some(Value::U16(7))];
        assert_eq!(also, expected, "{profile}");
        player.close(Close::Release).await.unwrap();
        let player = open(&simulated).await.unwrap();
        let now = player.storage().object(&path("Music/a.mp3")).facts().await;
        assert_eq!(now, Ok(Some(written.facts)), "{profile}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_player_that_tells_by_an_event_that_it_is_full_is_full() {
    let simulated = simulated("classic");
    let player = open(&simulated).await.unwrap();
    simulated.player().plan(Planned::at(Fault::StoreFullEvent, OperationCode::SEND_OBJECT));
    let refused = put(&*player, "Music/a.mp3", &[7; 50_000]).await;
    assert_eq!(refused.unwrap_err(), PlayerError::Full);
    assert!(!simulated.player().objects().iter().any(|object| object.path.ends_with(".mp3")));
    put(&*player, "Music/b.mp3", b"song").await.unwrap();
}

#[tokio::test]
async fn a_locked_phone_is_waited_for() {
    for profile in ["phone-locked", "phone-with-lists"] {
        let simulated = simulated(profile);
        let opening = open(&simulated);
        tokio::pin!(opening);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut opening).await;
        assert!(early.is_err(), "there is nothing to open yet");
        simulated.player().allow();
        let opened = tokio::time::timeout(Duration::from_secs(30), opening).await.expect("it ends");
        match opened {
            Ok(player) => assert!(player.storage().space().await.is_ok()),
            // some leave the bus when they are unlocked, and come back as new
            Err(error) => {
                assert_eq!(error, PlayerError::Removed);
                assert!(open(&simulated).await.is_ok());
            }
        }
    }
}

#[tokio::test]
async fn a_player_that_goes_in_the_middle_says_so_and_keeps_no_part_under_the_final_name() {
    for profile in ["classic", "phone", "sloppy-packets"] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        simulated.player().plan(Planned::at(Fault::UnplugWithin, OperationCode::SEND_OBJECT));
        let content = vec![7; 300_000];
        assert_eq!(
            put(&*player, "Music/a.mp3", &content).await.unwrap_err(),
            PlayerError::Removed,
            "{profile}"
        );
        assert_eq!(player.storage().space().await, Err(PlayerError::Removed));
        let player = open(&simulated).await.unwrap();
        assert_eq!(player.storage().object(&path("Music/a.mp3")).facts().await, Ok(None), "{profile}");
        // what was left is found by its temporary name, wherever it is
        let remains = player.storage().object(&path(".tandem/0123456789abcdef0123456789abcdef.part"));
        if remains.facts().await.unwrap().is_some() {
            remains.discard().await.unwrap();
        }
        put(&*player, "Music/a.mp3", &content).await.unwrap();
        let files = simulated.player().objects().into_iter().filter(|object| object.size > 0).count();
        assert_eq!(files, 1, "{profile}");
    }
}

#[tokio::test]
async fn a_lost_session_and_a_busy_device_are_overcome() {
    for fault in [Fault::LostSession, Fault::Busy] {
        let simulated = simulated("phone");
        let player = open(&simulated).await.unwrap();
        put(&*player, "Music/a.mp3", b"first").await.unwrap();
        simulated.player().plan(Planned::after(fault, 0));
        let second = put(&*player, "Music/b.mp3", b"second").await;
        assert!(second.is_ok(), "{fault:?}: {second:?}");
        simulated.player().plan(Planned::after(fault, 0));
        let told = player.storage().facts(vec![path("Music/a.mp3"), path("Music/b.mp3")]).await.unwrap();
        assert!(told.iter().all(Option::is_some), "{fault:?}: {told:?}");
    }
}

#[tokio::test]
async fn what_the_user_deletes_or_adds_on_the_device_is_seen_when_it_is_opened_again() {
    let simulated = simulated("phone");
    let player = open(&simulated).await.unwrap();
    put(&*player, "Music/a.mp3", b"a").await.unwrap();
    player.close(Close::Release).await.unwrap();
    let objects = simulated.player().objects();
    let music = objects.iter().find(|object| object.path == "Music").unwrap();
    let track = objects.iter().find(|object| object.path == "Music/a.mp3").unwrap();
    simulated.player().remove(track.handle).unwrap();
    let own = (StorageId(music.storage.0), ObjectHandle(music.handle.0));
    simulated.player().put(own.0, own.1, FormatCode::MP3, "own.mp3", b"the user's").unwrap();
    let player = open(&simulated).await.unwrap();
    let told = player.storage().facts(vec![path("Music/a.mp3"), path("Music/own.mp3")]).await.unwrap();
    assert!(told[0].is_none() && told[1].is_some(), "{told:?}");
    let taken = put(&*player, "Music/own.mp3", b"ours").await;
    assert_eq!(taken.unwrap_err(), PlayerError::Exists("Music/own.mp3".into()));
}

#[tokio::test]
async fn a_full_player_says_so_and_keeps_no_remains() {
    let simulated = simulated("tiny-store");
    let player = open(&simulated).await.unwrap();
    let space = player.storage().space().await.unwrap();
    let large = vec![0; usize::try_from(space.free).unwrap() + 1];
    assert_eq!(put(&*player, "Music/new/large.mp3", &large).await.unwrap_err(), PlayerError::Full);
    assert!(simulated.player().objects().iter().all(|object| !object.path.contains("large")));
}

#[tokio::test]
async fn a_folder_that_was_made_for_nothing_goes_again() {
    for profile in ["minimal", "classic-no-lists", "classic"] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        assert_eq!(
            player.storage().missing_folders(vec![path("Music/a.mp3")]).await,
            Ok(vec![path("Music")])
        );
        // what was made is looked at: the first object that this empty player is asked for
        simulated.player().plan(Planned::at(Fault::StoreFull, OperationCode::GET_OBJECT_INFO));
        assert_eq!(put(&*player, "Music/a.mp3", b"song").await.unwrap_err(), PlayerError::Full, "{profile}");
        assert_eq!(simulated.player().objects().len(), 0, "{profile}");
    }
}

#[tokio::test]
async fn a_folder_that_was_made_before_the_session_was_lost_is_told() {
    for profile in ["minimal", "classic-no-lists", "classic"] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        simulated.player().plan(Planned::at(Fault::LostSession, OperationCode::SEND_OBJECT));
        let written = put(&*player, "Music/a.mp3", b"song").await.unwrap();
        assert_eq!(written.made_folders, [path("Music")], "{profile}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_battery_is_followed_when_it_changes_and_no_more_than_once_a_minute() {
    const BATTERY: DevicePropertyCode = DevicePropertyCode::BATTERY_LEVEL;
    let simulated = simulated("classic");
    let player = open(&simulated).await.unwrap();
    assert_eq!(player.battery_level(), Some(80));
    let count = async || {
        let before = simulated.player().transactions();
        player.storage().space().await.unwrap();
        simulated.player().transactions() - before
    };
    assert_eq!(count().await, 1, "nobody asks for what has not changed");
    for level in [60, 55] {
        simulated.player().set_device_property(BATTERY, Value::U8(level));
        assert_eq!((count().await, player.battery_level()), (1, Some(80)), "not so soon");
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!((count().await, player.battery_level()), (2, Some(55)));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_player_that_fails_over_its_battery_is_used_without() {
    for fault in [
        Fault::Hang,
        Fault::Stall,
        Fault::LostSession,
        Fault::WrongTransaction,
        Fault::ShortData,
        Fault::Garbage,
    ] {
        let simulated = simulated("classic");
        simulated.player().plan(Planned::at(fault, OperationCode::GET_DEVICE_PROP_DESC));
        let player = open(&simulated).await.unwrap();
        put(&*player, "a.mp3", b"four").await.unwrap();
        assert_eq!(player.storage().object(&path("a.mp3")).read(9).await.unwrap(), b"four", "{fault:?}");
    }
}
