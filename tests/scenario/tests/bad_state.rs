//! Proves what happens when the library looks wrong, when a run would delete too much, and when what Tandem keeps on disk
//! is damaged: nothing is deleted, nothing is guessed, and the user is told what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{MusicLibrary, tracks};
use scenario::{Player, Stage, refusal};
use std::path::{Path, PathBuf};

fn unchanged(stage: &Stage, before: &kit::Tree) {
    assert_eq!(kit::differences(before, &kit::tree(stage.player().path())), "");
}

#[tokio::test]
async fn a_library_folder_that_vanishes_deletes_nothing() {
    let holder = tempfile::TempDir::new().unwrap();
    let music = MusicLibrary::with_tracks(12, 3000);
    let stage = Stage::with(music, vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let before = kit::tree(stage.player().path());
    let away = holder.path().join("away");
    std::fs::rename(stage.music.dir(), &away).unwrap();
    stage.scan().await;
    let run = stage.run(stage.player()).await;
    unchanged(&stage, &before);
    let told = run.errors.iter().any(|(media, error, text)| {
        media.is_empty()
            && (error == "library-unavailable" || error == "would-delete-too-much")
            && text.contains(stage.music.dir().to_str().unwrap())
    });
    assert!(told, "{run:?}");
    // an empty directory in its place, as where nothing is mounted
    std::fs::create_dir(stage.music.dir()).unwrap();
    stage.scan().await;
    stage.run(stage.player()).await;
    unchanged(&stage, &before);
    std::fs::remove_dir(stage.music.dir()).unwrap();
    std::fs::rename(&away, stage.music.dir()).unwrap();
    stage.scan().await;
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    unchanged(&stage, &before);
}

#[tokio::test]
async fn a_library_folder_that_vanishes_while_nobody_looks_deletes_nothing() {
    let holder = tempfile::TempDir::new().unwrap();
    let mut stage = Stage::with_tracks(30).await;
    let mut events = stage.daemon.events().await;
    stage.device().create_partnership(std::collections::HashMap::new()).await.unwrap();
    events.wait_for("CreatePartnershipComplete").await;
    stage.in_step(stage.player()).await;
    let before = kit::tree(stage.player().path());
    assert!(stage.daemon.terminate().await.success());
    let away = holder.path().join("away");
    std::fs::rename(stage.music.dir(), &away).unwrap();
    stage.daemon.restart().await;
    stage.library().await;
    stage.idle(stage.player()).await;
    stage.device().start().await.unwrap();
    stage.idle(stage.player()).await;
    unchanged(&stage, &before);
    std::fs::rename(&away, stage.music.dir()).unwrap();
    stage.library_has(30).await;
    stage.in_step(stage.player()).await;
    unchanged(&stage, &before);
}

#[tokio::test]
async fn mass_deletion_waits_for_the_users_word() {
    let stage = Stage::with_tracks(40).await;
    let (most, rest) =
        (stage.new_playlist("Most", &tracks(0..30)).await, stage.new_playlist("Rest", &tracks(30..40)).await);
    stage.partner(stage.player(), &[&most, &rest]).await;
    stage.by_hand(stage.player()).await;
    let before = kit::tree(stage.player().path());
    let device = stage.device();
    most.clear().await.unwrap();
    for _ in 0..2 {
        let run = stage.run(stage.player()).await;
        let (error, message) = run.failure().unwrap();
        assert_eq!(error, "would-delete-too-much");
        assert!(message.contains("30 of the 40") && message.contains("AllowMassDeletion"), "{message}");
        unchanged(&stage, &before);
    }
    assert_eq!(device.last_sync_error_count().await.unwrap(), 0, "no item has failed");
    let (word, _) = refusal(device.set_item_info("AllowMassDeletion", "perhaps").await.unwrap_err());
    assert_eq!(word, "InvalidArgument");
    device.set_item_info("AllowMassDeletion", "true").await.unwrap();
    assert_eq!(stage.run(stage.player()).await.failure(), None);
    stage.in_step(stage.player()).await;
    // it was for that run alone
    most.append(
        &tracks(0..30)
            .iter()
            .map(|file| stage.music.uri(file))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .await
    .unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    most.delete().await.unwrap();
    assert!(
        stage.run(stage.player()).await.failure().is_some_and(|(error, _)| error == "would-delete-too-much")
    );
    unchanged(&stage, &before);
}

/// The two copies of the partnerships.
fn copies(stage: &Stage) -> [PathBuf; 2] {
    ["partnerships.a.toml", "partnerships.b.toml"].map(|name| stage.daemon.state_dir().join(name))
}

/// Turns some bytes in the middle over, as a bad disk does.
fn damage(path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    let end = (middle + 64).min(bytes.len());
    bytes[middle..end].iter_mut().for_each(|byte| *byte ^= 0x55);
    kit::write_file(path, &bytes);
}

#[tokio::test]
async fn one_damaged_copy_of_the_partnerships_costs_nothing() {
    for which in 0..2 {
        let mut stage = Stage::with_tracks(6).await;
        let all = stage.playlist_of_all("All").await;
        stage.partner(stage.player(), &[&all]).await;
        stage.in_step(stage.player()).await;
        // two settings that are kept, so that either copy knows the partnership
        stage.device().set_percent_space_reserved(3).await.unwrap();
        stage.device().set_percent_space_reserved(4).await.unwrap();
        stage.daemon.kill().await;
        damage(&copies(&stage)[which]);
        stage.daemon.restart().await;
        stage.in_step(stage.player()).await;
        assert_eq!(stage.device().status().await.unwrap(), "partnership-exists");
        assert!(stage.daemon.stderr().contains("damaged"), "{}", stage.daemon.stderr());
        // what follows replaces the damaged one
        stage.device().set_percent_space_reserved(9).await.unwrap();
        stage.device().set_percent_space_reserved(10).await.unwrap();
        stage.daemon.kill().await;
        damage(&copies(&stage)[1 - which]);
        stage.daemon.restart().await;
        stage.in_step(stage.player()).await;
    }
}

#[tokio::test]
async fn with_both_copies_damaged_it_does_not_start_and_touches_nothing() {
    let mut stage = Stage::with_tracks(6).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    stage.in_step(stage.player()).await;
    let player = kit::tree(stage.player().path());
    assert!(stage.daemon.terminate().await.success());
    let saved = copies(&stage).map(|path| std::fs::read(path).unwrap());
    for (path, damage) in copies(&stage).iter().zip([&b"not TOML at all \xff"[..], b""]) {
        kit::write_file(path, damage);
    }
    let stage_dir = stage.daemon.state_dir();
    // the lock names the process that has it, so it alone may change
    let kept = || {
        let mut state = kit::tree(&stage_dir);
        state.remove(Path::new("lock"));
        state
    };
    let state = kept();
    let refused = stage.daemon.try_restart().await.unwrap_err();
    assert!(!refused.status.success());
    for path in copies(&stage) {
        assert!(refused.stderr.contains(path.to_str().unwrap()), "{}", refused.stderr);
    }
    assert_eq!(kit::differences(&state, &kept()), "");
    unchanged(&stage, &player);
    for (path, content) in copies(&stage).iter().zip(saved) {
        kit::write_file(path, &content);
    }
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
}

/// The partnership's manifest.
fn manifest(stage: &Stage) -> PathBuf {
    let dir = stage.daemon.state_dir().join("manifests");
    let found = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    found.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "sqlite")).unwrap()
}

#[tokio::test]
async fn a_damaged_manifest_is_told_of_and_what_is_on_the_player_is_not_copied_again() {
    for damaged in
        [&b"this is no database, and it is longer than a header needs to be"[..], b"", &[0; 20_000]]
    {
        let mut stage = Stage::with_tracks(8).await;
        let all = stage.playlist_of_all("All").await;
        stage.partner(stage.player(), &[&all]).await;
        stage.by_hand(stage.player()).await;
        assert!(stage.daemon.terminate().await.success());
        let path = manifest(&stage);
        kit::write_file(&path, damaged);
        stage.daemon.restart().await;
        stage.idle(stage.player()).await;
        let before = kit::tree(stage.player().path());
        let run = stage.run(stage.player()).await;
        let (error, message) = run.failure().unwrap();
        assert_eq!(error, "verify-failed", "{message}");
        assert!(message.contains("was lost") && message.contains("9 files"), "{message}");
        unchanged(&stage, &before);
        stage.in_step(stage.player()).await;
        let aside = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
        assert_eq!(aside.count(), 1, "what was damaged is set aside");
    }
}

#[tokio::test]
async fn a_damaged_index_of_the_library_is_made_anew() {
    let mut stage = Stage::with_tracks(8).await;
    let mix = stage.new_playlist("Mix", &tracks(0..5)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.in_step(stage.player()).await;
    let before = kit::tree(stage.player().path());
    assert!(stage.daemon.terminate().await.success());
    let index = stage.daemon.state_dir().join("library/index.sqlite");
    kit::write_file(&index, &[0x5a; 30_000]);
    stage.daemon.restart().await;
    stage.library_has(8).await;
    stage.in_step(stage.player()).await;
    unchanged(&stage, &before);
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 5);
}
