//! A preview says what the run does: under the same names, with the same settings, and with the same refusal. And what
//! is named by hand is copied whatever the user did with it on the player.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use support::{OWNER, World};
use tandem_engine::{Action, PreviewItem, Setting};
use tandem_model::error::ItemError;
use tandem_model::id::{DeviceId, MediaUri};
use tandem_model::manifest::ItemResult;

const FOLDER: &str = "Music/Ann/Live";

/// A player in step with a playlist of these files, which starts nothing by itself.
async fn in_step(files: &[String]) -> (World, DeviceId) {
    let mut world = World::new().await;
    for file in files {
        world.add_file(file, format!("song {file}").as_bytes());
    }
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    world.library.set("P", &names);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    (world, device)
}

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).and_then(|mut file| file.write_all(bytes)).unwrap();
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of<'a>(preview: &'a [PreviewItem], media: &MediaUri) -> &'a PreviewItem {
    preview.iter().find(|item| *item.media == *media.0).unwrap()
}

#[tokio::test]
async fn a_preview_names_what_the_run_writes_where_the_user_has_files_of_his_own() {
    let (mut world, device) = in_step(&named(&["a.mp3"])).await;
    for file in ["b.mp3", "c.mp3"] {
        world.add_file(file, file.as_bytes());
    }
    let folder = world.player("player").join(FOLDER);
    for own in ["b.mp3", "b (2).mp3"] {
        put(&folder.join(own), b"the user's own");
    }
    put(&world.player("player").join("Playlists/Q.m3u8"), b"#the user's own list\n");
    world.library.set("P", &["a.mp3", "b.mp3", "c.mp3"]);
    world.library.set("Q", &["b.mp3"]);
    let (index, _) = world.engine.snapshot(&device).unwrap().partnership.unwrap();
    let playlist = tandem_model::id::PlaylistId("Q".to_owned());
    world.engine.assign(OWNER, index, playlist, 2).await.unwrap();

    let before: BTreeSet<String> = world.tree("player").into_keys().collect();
    let preview = world.engine.preview(&device).await.unwrap();
    let planned: BTreeSet<String> = preview
        .iter()
        .filter(|item| item.action == Action::Copy)
        .map(|item| item.destination.clone())
        .collect();
    assert!(planned.contains(&format!("{FOLDER}/b (3).mp3")), "{preview:#?}");
    let reason = &of(&preview, &world.library.uri("b.mp3")).reason;
    assert!(reason.contains(&format!("another file has the name `{FOLDER}/b.mp3`")), "{reason}");
    let list = preview.iter().find(|item| item.destination == "Playlists/P.m3u8").unwrap();
    world.sync(&device).await;
    let tree = world.tree("player");
    let after: BTreeSet<String> = tree.keys().cloned().collect();
    assert_eq!(after.difference(&before).cloned().collect::<BTreeSet<_>>(), planned);
    assert_eq!(tree["Playlists/P.m3u8"].len() as u64, list.size, "its lines have the names too");
}

#[tokio::test]
async fn a_preview_takes_in_what_was_set_for_the_next_run() {
    let (mut world, device) = in_step(&named(&["a.mp3", "b.mp3"])).await;
    std::fs::remove_file(world.player("player").join(FOLDER).join("b.mp3")).unwrap();
    world.sync(&device).await;
    let preview = world.engine.preview(&device).await.unwrap();
    assert_eq!((preview.len(), preview[0].action), (1, Action::Skip), "{preview:#?}");
    assert!(preview[0].reason.contains("you deleted it there; set IncludeSkippedFiles"), "{preview:#?}");

    world.engine.set(&device, Setting::IncludeSkippedFiles).await.unwrap();
    for _ in 0..2 {
        let preview = world.engine.preview(&device).await.unwrap();
        assert_eq!(of(&preview, &world.library.uri("b.mp3")).action, Action::Copy, "{preview:#?}");
    }
    world.sync(&device).await;
    assert!(world.tree("player").contains_key(&format!("{FOLDER}/b.mp3")));

    world.add_file("c.mp3", b"c");
    world.library.set("P", &["a.mp3", "c.mp3"]);
    world.engine.set(&device, Setting::SyncFilter("2".to_owned())).await.unwrap();
    assert_eq!(world.engine.preview(&device).await.unwrap(), [], "a run for videos does nothing");
}

#[tokio::test]
async fn a_preview_says_that_the_run_would_stop() {
    let files: Vec<String> = (0..30).map(|number| format!("{number}.mp3")).collect();
    let (world, device) = in_step(&files).await;
    world.library.set("P", &["0.mp3"]);
    let preview = world.engine.preview(&device).await.unwrap();
    let first = &preview[0];
    assert!(first.reason.starts_with("29 of the 30 tracks on the device would be deleted"), "{first:?}");
    assert_eq!((first.action, &*first.media, &*first.destination), (Action::Skip, "", ""));
    let deleted = preview.iter().filter(|item| item.action == Action::Delete).count();
    assert_eq!(deleted, 29, "what it would do with the user's word is there too");

    world.engine.set(&device, Setting::AllowMassDeletion(true)).await.unwrap();
    let preview = world.engine.preview(&device).await.unwrap();
    assert_eq!(preview[0].action, Action::Delete, "{preview:#?}");
}

#[tokio::test]
async fn what_is_named_by_hand_is_copied_although_the_user_deleted_it() {
    let (mut world, device) = in_step(&named(&["a.mp3", "b.mp3", "c.mp3"])).await;
    let folder = world.player("player").join(FOLDER);
    for file in ["a.mp3", "b.mp3"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    put(&folder.join("c.mp3"), b"edited on the player");
    world.sync(&device).await;
    let by_hand = vec![world.library.uri("a.mp3"), world.library.uri("c.mp3")];
    world.engine.transfer(&device, by_hand.clone()).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    let tree = world.tree("player");
    assert!(tree.contains_key(&format!("{FOLDER}/a.mp3")), "it was named");
    assert!(!tree.contains_key(&format!("{FOLDER}/b.mp3")), "nobody named it");
    assert_eq!(tree[&format!("{FOLDER}/c.mp3")], b"edited on the player");
    assert_eq!(tree[&format!("{FOLDER}/c (2).mp3")], b"song c.mp3");

    // deleted since the last run: no run has noticed that yet
    std::fs::remove_file(folder.join("a.mp3")).unwrap();
    let twice = [by_hand.clone(), by_hand].concat();
    world.engine.transfer(&device, twice).await.unwrap();
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert!(world.tree("player").contains_key(&format!("{FOLDER}/a.mp3")));
    let items = world.library.playlists.lock().unwrap()["Transferred to player"].clone();
    assert_eq!(items, ["a.mp3", "c.mp3"], "what is in the playlist isn't added again");
}

#[tokio::test]
async fn a_preview_without_a_record_says_that_files_may_be_adopted() {
    let (world, device) = in_step(&named(&["a.mp3"])).await;
    let state = world.dir.path().join("state");
    let mut world = world
        .restart_with(|| {
            for folder in [state.join("manifests")] {
                let Ok(files) = std::fs::read_dir(folder) else { continue };
                let lost = files.map(|file| file.unwrap().path()).filter(|path| {
                    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".sqlite"))
                });
                lost.for_each(|path| std::fs::remove_file(path).unwrap());
            }
        })
        .await;
    assert_eq!(world.plug("player").await, device);
    let preview = world.engine.preview(&device).await.unwrap();
    let reason = &of(&preview, &world.library.uri("a.mp3")).reason;
    assert!(reason.contains("if it is exactly this one, it is taken for ours again"), "{reason}");
}

#[tokio::test]
async fn names_that_a_player_may_take_for_one_are_never_given_twice() {
    let (mut world, device) = in_step(&named(&["a.mp3"])).await;
    for file in ["Song.mp3", "SONG.MP3"] {
        world.add_file(file, file.as_bytes());
    }
    put(&world.player("player").join(FOLDER).join("Song.mp3"), b"the user's own");
    put(&world.player("player").join("Playlists/Q.m3u8"), b"#the user's own list\n");
    world.library.set("P", &["a.mp3", "Song.mp3", "SONG.MP3"]);
    let (index, _) = world.engine.snapshot(&device).unwrap().partnership.unwrap();
    for (playlist, priority) in [("Q", 2), ("q (2)", 3)] {
        world.library.set(playlist, &["a.mp3"]);
        let playlist = tandem_model::id::PlaylistId(playlist.to_owned());
        world.engine.assign(OWNER, index, playlist, priority).await.unwrap();
    }
    let before: BTreeSet<String> = world.tree("player").into_keys().collect();
    let preview = world.engine.preview(&device).await.unwrap();
    let planned = preview.iter().filter(|item| item.action == Action::Copy);
    let planned: BTreeSet<String> = planned.map(|item| item.destination.clone()).collect();
    world.sync(&device).await;
    let after: BTreeSet<String> = world.tree("player").into_keys().collect();
    let written: BTreeSet<String> = after.difference(&before).cloned().collect();
    assert_eq!(written, planned);
    let wanted = ["SONG (2).MP3", "Song (3).mp3"].map(|name| format!("{FOLDER}/{name}"));
    let lists = ["Q (3).m3u8", "q (2).m3u8"].map(|name| format!("Playlists/{name}"));
    assert_eq!(written, wanted.into_iter().chain(lists).collect());
}

#[tokio::test]
async fn a_playlist_that_the_user_changed_stays_his_and_is_told_of() {
    let (mut world, device) = in_step(&named(&["a.mp3", "b.mp3"])).await;
    let list = world.player("player").join("Playlists/P.m3u8");
    put(&list, b"#my own order\n");
    let is_told = |text: &str| {
        text.starts_with("left as it is on the device: you changed the playlist `P`")
            && text.contains("set IncludeSkippedFiles")
    };
    for _ in 0..2 {
        let preview = world.engine.preview(&device).await.unwrap();
        let item = preview.iter().find(|item| is_told(&item.reason)).unwrap();
        assert_eq!((item.action, &*item.media, &*item.destination), (Action::Skip, "playlist:P", ""));
        world.sync(&device).await;
        let results = world.engine.results(&device).await.unwrap();
        let is_row = |row: &ItemResult| row.media == "playlist:P" && is_told(&row.message);
        assert!(
            results.iter().any(|row| row.error == Some(ItemError::Cancelled) && is_row(row)),
            "{results:?}"
        );
        assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.error_count, 0);
    }
    world.engine.set(&device, Setting::IncludeSkippedFiles).await.unwrap();
    world.sync(&device).await;
    assert_eq!(std::fs::read(&list).unwrap(), b"#my own order\n");
    assert!(world.tree("player").contains_key("Playlists/P (2).m3u8"), "the library's lies beside it");
    let results = world.engine.results(&device).await.unwrap();
    assert!(!results.iter().any(|row| is_told(&row.message)), "{results:?}");
}
