//! The suite over a directory that stands for a player, and what is the folder player's own.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;

use common::{folder, open_folder, plant};
use tandem_model::path::DevicePath;
use tandem_model::player::Close;

conformance::conformance!(folder());

#[tokio::test]
async fn a_folder_takes_its_wishes_from_its_own_file() {
    let directory = tempfile::tempdir().unwrap();
    plant(
        &directory.path().join(".is_audio_player"),
        b"name=Ann's Clip\naudio_folders=Songs/\nfolder_depth=1\nplaylist_formats=audio/x-mpegurl\n",
    );
    let player = open_folder(directory.path()).await.unwrap();
    assert_eq!(player.description().name, "Ann's Clip");
    let capabilities = player.capabilities();
    assert_eq!(capabilities.audio_folder, DevicePath::parse("Songs"));
    assert_eq!(capabilities.folder_depth, Some(1));
    assert_eq!(capabilities.playlists.as_ref().unwrap().extension, "m3u");
    assert!(!capabilities.holds_friendly_name);
    assert_eq!(player.friendly_name().await, Ok(None));
    assert!(player.set_friendly_name("x".into()).await.is_err());
}

#[tokio::test]
async fn a_folder_that_is_missing_or_a_file_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    plant(&directory.path().join("file"), b"");
    for name in ["missing", "file"] {
        let path = directory.path().join(name);
        let error = open_folder(&path).await.err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("create it"), "{error}");
    }
}

#[tokio::test]
async fn a_closed_player_says_so_and_holds_nothing_open() {
    for close in [Close::Release, Close::Eject] {
        let subject = folder().await.unwrap();
        assert_eq!(subject.player.close(close).await, Ok(()));
        assert!(subject.player.storage().space().await.unwrap_err().to_string().contains("closed"));
    }
}
