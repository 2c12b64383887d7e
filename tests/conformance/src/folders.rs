//! Folders: made when needed, removed when empty, and asked about by the thousand.

use crate::{assert_holds, assert_nothing, path, put, request};
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::player::{Expect, Player, Transfer, WriteRequest};

/// Every folder that wasn't there is made, and told.
///
/// # Panics
/// When one is missing.
pub async fn deep_folders_are_made_and_told(player: &dyn Player) {
    let written = put(player, "Deep/b/c/d/e/f/g/h/i/j/song.mp3", b"deep").await.unwrap();
    assert_holds(player, "Deep/b/c/d/e/f/g/h/i/j/song.mp3", b"deep").await;
    assert_eq!(written.made_folders.len(), 10);
    assert_eq!(written.made_folders.first(), Some(&path("Deep")));
    assert_eq!(written.made_folders.last(), Some(&path("Deep/b/c/d/e/f/g/h/i/j")));
    let beside = put(player, "Deep/b/x/song.mp3", b"beside").await.unwrap();
    assert_eq!(beside.made_folders, [path("Deep/b/x")]);
    let top = put(player, "Deep.mp3", b"at the root").await.unwrap();
    assert!(top.made_folders.is_empty());
    player.storage().settle(vec![path("Deep/b/c/d/e/f/g/h/i/j/song.mp3"), path("Deep.mp3")]).await.unwrap();
}

/// What would be made is told, outermost first and each once.
///
/// # Panics
/// When it isn't.
pub async fn missing_folders_are_told(player: &dyn Player) {
    put(player, "Missing/there/song.mp3", b"x").await.unwrap();
    let asked = ["Missing/a/b/1.mp3", "Missing/a/2.mp3", "Missing/there/3.mp3", "Missing/a/b/4.mp3", "5.mp3"];
    let missing = player.storage().missing_folders(asked.map(path).to_vec()).await.unwrap();
    assert_eq!(missing, [path("Missing/a"), path("Missing/a/b")]);
}

/// A file that has the name of the folder for temporary names ends the run, and stays.
///
/// # Panics
/// When it doesn't.
pub async fn a_temporary_folder_that_is_none_ends_the_run(player: &dyn Player) {
    let own = put(player, "Blocked/tmp", b"the user's").await.unwrap();
    let blocked = PlayerError::InTheWay("Blocked/tmp".into());
    let request = WriteRequest {
        temporary: path("Blocked/tmp/1.part"),
        ..request("Blocked/a.mp3", b"x", Expect::Nothing)
    };
    let written = player.storage().write(request, &Arc::new(Transfer::default())).await;
    assert_eq!(written.unwrap_err(), blocked);
    assert!(blocked.ends_run());
    let object = player.storage().object(&path("Blocked/tmp"));
    assert_eq!(object.delete(own.facts, path("Blocked/tmp/1.part")).await.unwrap_err(), blocked);
    assert_holds(player, "Blocked/tmp", b"the user's").await;
    assert_nothing(player, "Blocked/a.mp3").await;
}

/// Empty ones go whatever the order, others stay.
///
/// # Panics
/// When they don't.
pub async fn empty_folders_are_removed_and_others_stay(player: &dyn Player) {
    let storage = player.storage();
    put(player, "Tidy/a/b/song.mp3", b"x").await.unwrap();
    put(player, "Tidy/full/song.mp3", b"x").await.unwrap();
    storage.object(&path("Tidy/a/b/song.mp3")).discard().await.unwrap();
    let folders =
        ["Tidy", "Tidy/a", "Tidy/full", "Tidy/a/b", "Tidy/missing", "Tidy/full/song.mp3", "No/such"];
    storage.remove_empty_folders(folders.map(path).to_vec()).await.unwrap();
    assert_holds(player, "Tidy/full/song.mp3", b"x").await;
    let again = put(player, "Tidy/a/b/song.mp3", b"y").await.unwrap();
    assert_eq!(again.made_folders, [path("Tidy/a"), path("Tidy/a/b")]);
}

/// Facts come in the order of the question, with `None` for folders and for nothing.
///
/// # Panics
/// When they don't.
pub async fn many_files_are_told_in_order(player: &dyn Player) {
    let mut asked = Vec::new();
    for at in 0..60usize {
        let name = format!("Many/{}/{at}.mp3", at % 7);
        put(player, &name, &vec![0; at]).await.unwrap();
        asked.push((path(&name), Some(at)));
        asked.push((path(&format!("Many/{}/missing{at}", at % 5)), None));
        asked.push((path(&format!("Many/{}", at % 7)), None));
    }
    asked.push((path("Many/0/0.mp3/below"), None));
    asked.reverse();
    let told = player.storage().facts(asked.iter().map(|(path, _)| path.clone()).collect()).await.unwrap();
    for ((path, size), facts) in asked.iter().zip(told) {
        assert_eq!(facts.map(|facts| usize::try_from(facts.size).unwrap()), *size, "{path}");
    }
    assert_eq!(player.storage().facts(Vec::new()).await, Ok(Vec::new()));
}

/// The user's file where a folder is needed is left alone, and so is his folder where a file is to go.
///
/// # Panics
/// When it isn't.
pub async fn a_file_in_place_of_a_folder_is_in_the_way(player: &dyn Player) {
    put(player, "Way/file", b"the user's").await.unwrap();
    put(player, "Way/folder/song.mp3", b"x").await.unwrap();
    assert!(put(player, "Way/file/below/song.mp3", b"x").await.is_err());
    assert_holds(player, "Way/file", b"the user's").await;
    let over = put(player, "Way/folder", b"x").await;
    assert_eq!(over.unwrap_err(), PlayerError::Exists("Way/folder".into()));
    assert!(player.storage().object(&path("Way/folder")).discard().await.is_err());
    assert_holds(player, "Way/folder/song.mp3", b"x").await;
    assert_nothing(player, "Way/~new.part").await;
}

/// Names that are gone are settled too: their deletion is what is to last.
///
/// # Panics
/// When that is an error.
pub async fn settling_and_flushing_take_what_is_gone(player: &dyn Player) {
    let storage = player.storage();
    put(player, "Gone/a/song.mp3", b"x").await.unwrap();
    storage.object(&path("Gone/a/song.mp3")).discard().await.unwrap();
    storage.remove_empty_folders(vec![path("Gone/a"), path("Gone")]).await.unwrap();
    storage
        .settle(vec![path("Gone/a/song.mp3"), path("Never/was/here.mp3"), path("here.mp3")])
        .await
        .unwrap();
    storage.settle(Vec::new()).await.unwrap();
    storage.flush().await.unwrap();
}
