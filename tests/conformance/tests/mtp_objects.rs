//! What an MTP player keeps of an object besides its bytes: what its tags say, and an id that lasts.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

#[path = "common/simulated.rs"]
mod simulated_player;

use simulated_player::{open, path, put, simulated};
use std::io::Write;
use tandem_model::error::PlayerError;
use tandem_model::player::{Close, Tags};
use tandem_mtp::codes::{FormatCode, ObjectHandle, ObjectPropertyCode};
use tandem_mtp::responder::profile;

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
async fn ten_thousand_objects_are_listed_by_one_transaction_for_each_folder() {
    // whole folders at once, and one object at a time where the player knows nothing else
    let few = FOLDERS as u64 + 20;
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
        // what was listed isn't asked for again
        player.storage().facts(paths).await.unwrap();
        assert_eq!(inside.transactions() - before, listing, "{profile}");
    }
}
