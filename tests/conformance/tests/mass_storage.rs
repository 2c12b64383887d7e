//! The suite over mass storage with a mounter that mounts nothing, and what is mass storage's own.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;

use common::{FakeMounter, block_device, mass_storage, mass_storage_arrival, plant};
use std::path::Path;
use std::sync::atomic::Ordering;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Close, PlayerOpener};
use tandem_players::Players;

conformance::conformance!(mass_storage());

#[tokio::test]
async fn a_mount_of_ours_is_given_back_and_another_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let Some((node, number)) = block_device(directory.path()) else {
        return conformance::skip("mounts", "no block device holds the temporary directory");
    };
    let arrival = mass_storage_arrival(&node, number, None);
    for (ours, close, expected) in [
        (true, Close::Release, vec!["mount", "unmount"]),
        (false, Close::Release, vec!["mount"]),
        (true, Close::Eject, vec!["mount", "eject"]),
        (false, Close::Eject, vec!["mount", "eject"]),
    ] {
        let mounter = FakeMounter::new(directory.path(), ours);
        let player = Players::new(Some(mounter.clone()), Vec::new()).open(&arrival).await.unwrap();
        assert_eq!(player.storage().id(), "1234-ABCD");
        player.close(close).await.unwrap();
        let expected: Vec<String> =
            expected.iter().map(|what| format!("{what} {}", node.display())).collect();
        assert_eq!(mounter.asked(), expected);
    }
}

#[tokio::test]
async fn another_device_under_the_same_node_is_not_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let Some((node, (major, minor))) = block_device(directory.path()) else {
        return conformance::skip("numbers", "no block device holds the temporary directory");
    };
    let mounter = FakeMounter::new(directory.path(), true);
    let players = Players::new(Some(mounter.clone()), Vec::new());
    for (node, number) in [
        (&*node, (major, minor + 1)),
        (Path::new("/dev/null"), (1, 3)),
        (Path::new("/dev/there-is-no-such-device"), (major, minor)),
    ] {
        let opened = players.open(&mass_storage_arrival(node, number, None)).await;
        assert_eq!(opened.err(), Some(PlayerError::Removed), "{}", node.display());
    }
    assert!(mounter.asked().is_empty());
}

#[tokio::test]
async fn a_mount_point_on_another_device_is_refused_and_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let Some((node, number)) = block_device(directory.path()) else {
        return conformance::skip("mount points", "no block device holds the temporary directory");
    };
    let elsewhere = rustix::fs::stat("/dev/shm").map(|stat| stat.st_dev);
    let mounter = FakeMounter::new(Path::new("/no/such/mount/point"), true);
    let players = Players::new(Some(mounter.clone()), Vec::new());
    let error = players.open(&mass_storage_arrival(&node, number, None)).await.err().unwrap();
    assert!(error.to_string().contains("/no/such/mount/point"), "{error} {elsewhere:?}");
    assert_eq!(mounter.asked(), [format!("mount {}", node.display()), format!("unmount {}", node.display())]);
}

#[tokio::test]
async fn without_a_mounter_or_with_a_busy_device_the_reason_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let Some((node, number)) = block_device(directory.path()) else {
        return conformance::skip("refusals", "no block device holds the temporary directory");
    };
    let arrival = mass_storage_arrival(&node, number, None);
    let error = Players::new(None, Vec::new()).open(&arrival).await.err().unwrap().to_string();
    assert!(error.contains("UDisks2") && error.contains(node.to_str().unwrap()), "{error}");
    let mounter = FakeMounter::new(directory.path(), true);
    mounter.busy.store(true, Ordering::Relaxed);
    let error = Players::new(Some(mounter), Vec::new()).open(&arrival).await.err();
    assert_eq!(error, Some(PlayerError::Busy("dd (4711)".into())));
}

#[tokio::test]
async fn data_on_the_model_counts_and_the_device_has_the_last_word() {
    let (directory, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some((node, number)) = block_device(directory.path()) else {
        return conformance::skip("data on models", "no block device holds the temporary directory");
    };
    plant(
        &data.path().join("maker_model.mpi"),
        b"[Media]\nOutputFormats=audio/mpeg;\n[storage]\nAudioFolders=A;\nPlaylistPath=P/%File\n",
    );
    plant(&directory.path().join(".is_audio_player"), b"audio_folders=B\nname=Not my name");
    let dirs = vec![data.path().join("missing"), data.path().to_owned()];
    let open = async |name| {
        let mounter = FakeMounter::new(directory.path(), true);
        Players::new(Some(mounter), dirs.clone())
            .open(&mass_storage_arrival(&node, number, Some(name)))
            .await
            .unwrap()
    };
    let player = open("maker_model").await;
    assert_eq!(player.description().name, "stick");
    assert_eq!(player.capabilities().formats, ["audio/mpeg"]);
    assert_eq!(player.capabilities().audio_folder, DevicePath::parse("B"));
    assert_eq!(player.capabilities().playlists.as_ref().unwrap().folder, DevicePath::parse("P"));
    plant(&directory.path().join(".audio_player.mpi"), b"[storage]\nAudioFolders=C;\n");
    assert_eq!(open("maker_model").await.capabilities().audio_folder, DevicePath::parse("C"));
    for hostile in ["../maker_model", "none", ""] {
        assert!(open(hostile).await.capabilities().formats.is_empty(), "{hostile}");
    }
}
