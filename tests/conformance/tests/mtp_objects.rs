//! What an MTP player keeps of an object besides its bytes: what its tags say, and an id that lasts.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

#[path = "common/simulated.rs"]
mod simulated_player;

use simulated_player::{open, path, put, simulated};
use std::io::Write;
use tandem_model::error::PlayerError;
use tandem_model::player::{Close, Expect, Source, Tags, WriteRequest};
use tandem_mtp::codes::{FormatCode, ObjectHandle, ObjectPropertyCode};
use tandem_mtp::responder::{Fault, Planned, profile};

fn tags(title: &str, album: &str) -> Tags {
    Tags { title: title.into(), artist: "Artist".into(), album: album.into(), ..Tags::default() }
}

#[tokio::test]
async fn what_tags_say_is_changed_in_place_where_the_player_goes_by_it() {
    for profile in ["classic", "classic-no-lists", "art-and-albums"] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        let storage = player.storage();
        assert!(storage.updates_metadata(), "{profile}");
        let written = put(&*player, "Music/a.mp3", b"song").await.unwrap();
        storage.update_metadata(path("Music/a.mp3"), tags("One", "Album")).await.unwrap();
        // what is no longer known is not told any more
        let facts = storage.update_metadata(path("Music/a.mp3"), tags("Other", "")).await.unwrap();
        assert_eq!(facts.size, written.facts.size);
        let song =
            simulated.player().objects().into_iter().find(|object| object.path == "Music/a.mp3").unwrap();
        let told = |property| simulated.player().property(song.handle, property);
        assert_eq!(told(ObjectPropertyCode::NAME), Some("Other".into()), "{profile}");
        assert_eq!(told(ObjectPropertyCode::ALBUM_NAME), Some("".into()), "{profile}");
        assert_eq!(simulated.player().bytes(song.handle).unwrap(), b"song");
        player.close(Close::Release).await.unwrap();
        let player = open(&simulated).await.unwrap();
        assert_eq!(player.storage().object(&path("Music/a.mp3")).facts().await, Ok(Some(facts)), "{profile}");
    }
}

#[tokio::test]
async fn what_reads_tags_itself_or_keeps_none_is_not_told() {
    for profile in ["phone", "minimal"] {
        let player = open(&simulated(profile)).await.unwrap();
        assert!(!player.storage().updates_metadata(), "{profile}");
        put(&*player, "Music/a.mp3", b"song").await.unwrap();
        let told = player.storage().update_metadata(path("Music/a.mp3"), tags("One", "Album")).await;
        assert!(matches!(told, Err(PlayerError::Unsupported(_))), "{profile}: {told:?}");
    }
    let player = open(&simulated("classic")).await.unwrap();
    let told = player.storage().update_metadata(path("Music/missing.mp3"), tags("One", "Album")).await;
    assert!(matches!(told, Err(PlayerError::NotFound(_))), "{told:?}");
}

#[tokio::test]
async fn a_track_that_its_user_has_moved_is_found_by_the_id_that_lasts() {
    // one whose lists tell ids, and one that is asked for each
    for profile in ["classic", "classic-no-lists"] {
        let simulated = simulated(profile);
        let player = open(&simulated).await.unwrap();
        let written = put(&*player, "Music/One/a.mp3", b"a").await.unwrap();
        let other = put(&*player, "Music/Other/b.mp3", b"b").await.unwrap();
        assert_ne!(written.persistent_id, other.persistent_id, "{profile}");
        player.close(Close::Release).await.unwrap();
        let objects = simulated.player().objects();
        let at = |path: &str| objects.iter().find(|object| object.path == path).unwrap().handle;
        simulated.player().misplace(at("Music/One/a.mp3"), at("Music/Other")).unwrap();
        let player = open(&simulated).await.unwrap();
        let unknown = "Music/One/a.mp3".to_owned();
        let ids = vec![written.persistent_id.clone(), unknown, other.persistent_id.clone()];
        let found = player.storage().find(ids).await.unwrap();
        let expected = [Some(path("Music/Other/a.mp3")), None, Some(path("Music/Other/b.mp3"))];
        assert_eq!(found, expected, "{profile}");
        simulated.player().remove(at("Music/Other/b.mp3")).unwrap();
        let player = open(&simulated).await.unwrap();
        assert_eq!(player.storage().find(vec![other.persistent_id]).await.unwrap(), [None], "{profile}");
    }
}

#[tokio::test]
async fn ids_that_do_not_last_are_not_kept() {
    // made of the path on one, and not there at all on the other
    for profile in ["phone", "minimal"] {
        let player = open(&simulated(profile)).await.unwrap();
        let written = put(&*player, "Music/a.mp3", b"a").await.unwrap();
        assert_eq!(written.persistent_id, "Music/a.mp3", "{profile}");
        assert_eq!(player.storage().find(vec![written.persistent_id]).await.unwrap(), [None], "{profile}");
    }
}

#[tokio::test]
async fn objects_of_a_format_that_lists_leave_out_are_seen() {
    // the player tells of no property of one format, so that its property lists have no objects of it
    let (_, classic) = profile::OWN.iter().find(|(name, _)| *name == "classic").unwrap();
    let silent =
        classic.replacen(r#"{"code": 47361, "name": "WMA", "properties": 1}"#, r#"{"code": 47361}"#, 1);
    assert_ne!(*classic, silent);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(silent.as_bytes()).unwrap();
    let simulated = simulated(file.path().to_str().unwrap());
    let player = open(&simulated).await.unwrap();
    // the lists prove right in this folder
    put(&*player, "Music/One/a.mp3", b"a").await.unwrap();
    put(&*player, "Music/One/b.mp3", b"b").await.unwrap();
    let wma = put(&*player, "Music/Other/c.wma", b"c").await.unwrap();
    let objects = simulated.player().objects();
    assert!(objects.iter().any(|object| object.format == FormatCode::WMA));
    player.close(Close::Release).await.unwrap();
    let player = open(&simulated).await.unwrap();
    let paths = ["Music/One/a.mp3", "Music/One/b.mp3", "Music/Other/c.wma"].map(path);
    let told = player.storage().facts(paths.to_vec()).await.unwrap();
    assert_eq!(told[2].map(|facts| facts.size), Some(wma.facts.size));
    assert!(told.iter().all(Option::is_some), "{told:?}");
}

/// Folders of a large player, and files in each.
const FOLDERS: usize = 250;
const IN_FOLDER: usize = 40;

#[tokio::test]
async fn ten_thousand_objects_are_found_in_lists_of_all() {
    // handles and four properties, and one object at a time where the player knows nothing else
    let few = 5;
    for (profile, most) in
        [("classic", few), ("phone", few), ("minimal", (FOLDERS * (IN_FOLDER + 2)) as u64 + 20)]
    {
        let simulated = simulated(profile);
        let inside = simulated.player();
        let storage = inside.storages()[0];
        let folder =
            |parent, name: &str| inside.put(storage, parent, FormatCode::ASSOCIATION, name, b"").unwrap();
        let music = folder(ObjectHandle::ROOT, "Music");
        let mut paths = Vec::new();
        for album in 0..FOLDERS {
            let at = folder(music, &format!("Album {album}"));
            for song in 0..IN_FOLDER {
                let name = format!("{song}.mp3");
                inside.put(storage, at, FormatCode::MP3, &name, b"song").unwrap();
                paths.push(path(&format!("Music/Album {album}/{name}")));
            }
        }
        let player = open(&simulated).await.unwrap();
        let before = inside.transactions();
        let begun = std::time::Instant::now();
        let told = player.storage().facts(paths.clone()).await.unwrap();
        let (taken, listing) = (begun.elapsed(), inside.transactions() - before);
        println!("{profile}: {} objects by {listing} transactions in {taken:?}", paths.len());
        assert!(told.iter().all(Option::is_some), "{profile}");
        assert!(listing <= most, "{profile}: {listing} transactions");
        // one that its user has deleted is missed, in whichever folder, and only that folder is listed
        let gone = inside.objects().into_iter().find(|object| object.path == "Music/Album 7/3.mp3").unwrap();
        inside.remove(gone.handle).unwrap();
        player.close(Close::Release).await.unwrap();
        let player = open(&simulated).await.unwrap();
        let before = inside.transactions();
        let now = player.storage().facts(paths.clone()).await.unwrap();
        let listing = inside.transactions() - before;
        println!("{profile}: with one deleted, {listing} transactions");
        assert!(listing <= most + 10, "{profile}: {listing} transactions");
        for ((path, told), now) in paths.iter().zip(&told).zip(now) {
            let expected = told.filter(|_| path.as_str() != "Music/Album 7/3.mp3");
            assert_eq!(now, expected, "{profile}: {path}");
        }
    }
}

/// Files of ours in as many folders, and many of others.
fn many_folders(simulated: &tandem_players::Simulated, others: usize) -> Vec<tandem_model::path::DevicePath> {
    let inside = simulated.player();
    let put = |parent, format, name: &str, bytes: &[u8]| {
        inside.put(inside.storages()[0], parent, format, name, bytes).unwrap()
    };
    let music = put(ObjectHandle::ROOT, FormatCode::ASSOCIATION, "Music", b"");
    let mut paths = Vec::new();
    for number in 0..12 {
        let folder = put(music, FormatCode::ASSOCIATION, &format!("{number}"), b"");
        put(folder, FormatCode::MP3, "song.mp3", b"song");
        paths.push(path(&format!("Music/{number}/song.mp3")));
    }
    let pictures = put(ObjectHandle::ROOT, FormatCode::ASSOCIATION, "Pictures", b"");
    for number in 0..others {
        put(pictures, FormatCode::UNDEFINED, &format!("{number}"), b"picture");
    }
    paths
}

#[tokio::test]
async fn lists_of_all_that_tell_mostly_of_others_are_not_asked_for() {
    for (others, most) in [(0, 5), (500, 25)] {
        let simulated = simulated("classic");
        let paths = many_folders(&simulated, others);
        let player = open(&simulated).await.unwrap();
        let before = simulated.player().transactions();
        let told = player.storage().facts(paths).await.unwrap();
        let listing = simulated.player().transactions() - before;
        assert!(told.iter().all(Option::is_some) && listing <= most, "{others}: {listing} transactions");
    }
}

#[tokio::test(start_paused = true)]
async fn a_player_that_fails_over_lists_of_all_is_asked_for_folders() {
    for fault in Fault::ALL {
        if matches!(
            fault,
            Fault::HangForever | Fault::UnplugBefore | Fault::UnplugWithin | Fault::UnplugAfter
        ) {
            continue;
        }
        for after in 0..5 {
            let simulated = simulated("classic");
            let paths = many_folders(&simulated, 0);
            let player = open(&simulated).await.unwrap();
            simulated.player().plan(Planned::after(fault, after));
            let told = player.storage().facts(paths).await;
            let found = told.as_ref().is_ok_and(|told| told.iter().all(Option::is_some));
            assert!(found, "{fault:?} after {after}: {told:?}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_among_many_is_found_by_its_id_or_is_gone() {
    let simulated = simulated("classic");
    let paths = many_folders(&simulated, 0);
    let handle = |path: &str| {
        let objects = simulated.player().objects();
        objects.into_iter().find(|object| object.path == path).unwrap().handle
    };
    let mut ids = Vec::new();
    for name in ["Music/0/moved.mp3", "Music/1/copied.mp3", "Music/2/gone.mp3", "Music/3/away.mp3"] {
        let player = open(&simulated).await.unwrap();
        ids.push(put(&*player, name, b"another song").await.unwrap().persistent_id);
        player.close(Close::Release).await.unwrap();
    }
    simulated.player().misplace(handle("Music/0/moved.mp3"), handle("Music/5")).unwrap();
    simulated.player().remove(handle("Music/2/gone.mp3")).unwrap();
    simulated.player().misplace(handle("Music/3/away.mp3"), ObjectHandle::ROOT).unwrap();
    let player = open(&simulated).await.unwrap();
    // once with all folders listed one by one, and once with lists of all
    let found = player.storage().find(ids.clone()).await.unwrap();
    let player = open(&simulated).await.unwrap();
    assert!(player.storage().facts(paths).await.unwrap().iter().all(Option::is_some));
    let before = simulated.player().transactions();
    assert_eq!(player.storage().find(ids).await.unwrap(), found);
    assert_eq!(simulated.player().transactions() - before, 4);
    assert_eq!(found, [Some(path("Music/5/moved.mp3")), Some(path("Music/1/copied.mp3")), None, None]);
}

#[tokio::test]
async fn a_date_that_the_announcement_did_not_bring_is_set_where_that_is_kept() {
    const DATE: i64 = 1_700_000_000_000_000_000;
    for (profile, ignores, is_set) in [
        ("classic", false, false),
        ("classic", true, true),
        // what it tells of an object and what it was told of it are two dates
        ("classic-no-lists", true, false),
        ("phone", true, false),
    ] {
        let (_, json) = profile::OWN.iter().find(|(name, _)| *name == profile).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let json = match ignores {
            true if json.contains("\"habits\": []") => {
                json.replace("\"habits\": []", "\"habits\": [\"ignores-dates\"]")
            }
            true => json.replace("\"habits\": [", "\"habits\": [\"ignores-dates\", "),
            false => (*json).to_owned(),
        };
        file.write_all(json.as_bytes()).unwrap();
        let simulated = simulated(file.path().to_str().unwrap());
        let player = open(&simulated).await.unwrap();
        let mut costs = Vec::new();
        for name in ["Music/a.mp3", "Music/b.mp3", "Music/c.mp3"] {
            let before = simulated.player().transactions();
            let request = WriteRequest {
                path: path(name),
                temporary: path(".tandem/0123456789abcdef0123456789abcdef.part"),
                expect: Expect::Nothing,
                size: 4,
                modified_ns: DATE,
                source: Source::Bytes(b"song"[..].into()),
                tags: Tags::default(),
                cover: None,
            };
            let written = player.storage().write(request, &std::sync::Arc::default()).await.unwrap();
            costs.push(simulated.player().transactions() - before);
            let song = simulated.player().objects().into_iter().find(|object| object.path == name).unwrap();
            let told = simulated.player().property(song.handle, ObjectPropertyCode::DATE_MODIFIED);
            let kept = told == Some("20231114T221320".into());
            assert_eq!(
                kept,
                is_set || (profile == "classic-no-lists" && name == "Music/a.mp3"),
                "{profile} {name}"
            );
            let has_date = written.facts.modified_ns == DATE;
            assert_eq!(has_date, is_set || !ignores, "{profile} {name}");
        }
        if !is_set {
            assert!(costs[2] <= costs[1], "{profile}: what it does not keep is told once: {costs:?}");
        }
        player.close(Close::Release).await.unwrap();
        let again = open(&simulated).await.unwrap();
        let facts = again.storage().object(&path("Music/c.mp3")).facts().await.unwrap().unwrap();
        assert_eq!(facts.modified_ns == DATE, is_set || !ignores, "{profile}");
    }
}
