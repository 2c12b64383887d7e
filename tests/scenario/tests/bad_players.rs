//! Proves what happens on players that are full, fill up, turn read-only, hold links that lead out, or hold files of
//! their user's where Tandem wants to write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::MusicLibrary;
use rustix::process::{Signal, kill_process};
use scenario::{Player, Stage};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn large(number: usize) -> String {
    format!("Artist/Album/{number:05} Title.flac")
}

fn larges(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(large).collect()
}

#[tokio::test]
async fn what_does_not_fit_is_told_of_and_priority_decides() {
    let Some(player) = Player::of_size("size=8m") else { return };
    let stage = Stage::with(MusicLibrary::with_large_tracks(12, MIB), vec![player]).await;
    let first = stage.new_playlist("First", &larges(0..4)).await;
    let then = stage.new_playlist("Then", &larges(2..12)).await;
    let run = stage.partner(stage.player(), &[&first, &then]).await;
    let no_fit: Vec<String> = run.with("no-fit").into_iter().map(str::to_owned).collect();
    let left_out: Vec<&str> = no_fit.iter().map(String::as_str).collect();
    assert!(run.failure().is_none() && run.errors.is_empty(), "what doesn't fit is no error: {run:?}");
    assert!(no_fit.len() >= 4 && no_fit.iter().all(|uri| *uri > stage.music.uri(large(6))), "{no_fit:?}");
    let device = stage.device();
    let no_fit_count = usize::try_from(device.last_sync_no_fit_count().await.unwrap()).unwrap();
    assert_eq!((no_fit_count, device.last_sync_error_count().await.unwrap()), (no_fit.len(), 0));
    stage.in_step_but(stage.player(), &left_out).await;
    let info = stage.library().await.get_media_info(left_out[0]).await.unwrap();
    assert_eq!(u32::try_from(info["SyncState"].clone()).unwrap(), 1, "it did not fit");

    // a reserved share counts, and what has a lower priority gives way
    stage.by_hand(stage.player()).await;
    device.set_percent_space_reserved(50).await.unwrap();
    let run = stage.run(stage.player()).await;
    let left_out = run.with("no-fit");
    assert!(left_out.len() > no_fit.len(), "{left_out:?}");
    stage.in_step_but(stage.player(), &left_out).await;
    assert!(stage.player().path().join("Music").join(large(0)).exists());

    // once there is space, the rest comes
    stage.player().mount().unwrap().remount("size=32m").unwrap();
    device.set_percent_space_reserved(0).await.unwrap();
    let run = stage.run(stage.player()).await;
    assert_eq!(run.with("no-fit"), Vec::<&str>::new());
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_player_that_fills_up_before_the_plan_expects_it_keeps_what_is_there() {
    // many bytes, but few files: that can't be foreseen
    let Some(player) = Player::of_size("size=64m,nr_inodes=24") else { return };
    let stage = Stage::with(MusicLibrary::with_tracks(30, 10_000), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    let run = stage.partner(stage.player(), &[&all]).await;
    let full: Vec<String> =
        run.with("device-full").into_iter().filter(|uri| !uri.is_empty()).map(str::to_owned).collect();
    assert!(full.len() > 10 && full.len() < 30, "{run:?}");
    assert!(run.errors.iter().all(|(_, error, _)| error == "device-full"), "{run:?}");
    assert_eq!(run.with("synchronized").len(), 30 - full.len());
    let now = kit::tree(stage.player().path());
    assert!(stage.player().before().iter().all(|(path, facts)| now.get(path) == Some(facts)));
    let half: Vec<_> =
        stage.player().content().into_iter().filter(|(path, _)| path.starts_with(".tandem")).collect();
    assert!(half.is_empty(), "{half:?}");
    stage.by_hand(stage.player()).await;
    stage.player().mount().unwrap().remount("nr_inodes=200").unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_player_that_turns_read_only_in_the_middle_ends_the_run() {
    let Some(player) = Player::of_size("size=200m") else { return };
    let stage = Stage::with(MusicLibrary::with_large_tracks(60, MIB), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    // without an answer of the library the run stands still between two files, and nothing is open for writing
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    kit::appears(&stage.player().path().join(".tandem")).await;
    let agent = stage.agent();
    kill_process(agent, Signal::STOP).unwrap();
    let mount = stage.player().mount().unwrap();
    while mount.remount("ro").is_err() {
        tokio::task::yield_now().await;
    }
    kill_process(agent, Signal::CONT).unwrap();
    stage.device().set_sync_on_connect(false).await.unwrap();
    let run = stage.end_of_this_run(stage.player(), &mut events).await;
    let (error, message) = run.failure().unwrap_or_else(|| panic!("it did not fail: {run:?}"));
    assert_eq!(error, "device-write-failed", "{message}");
    assert!(message.contains("read-only"), "{message}");
    assert!(run.with("synchronized").len() < 60);
    let again = stage.run(stage.player()).await;
    assert!(again.failure().is_some(), "{again:?}");
    mount.remount("rw").unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
}

/// A directory outside the player, and what was in it.
fn outside() -> (TempDir, kit::Tree) {
    let dir = TempDir::new().unwrap();
    kit::write_file(&dir.path().join("Artist 00/Album 00/00000 Title.mp3"), b"nobody's business");
    kit::write_file(&dir.path().join("0.part"), b"nobody's business either");
    let before = kit::tree(dir.path());
    (dir, before)
}

#[tokio::test]
async fn links_out_of_the_player_are_not_followed() {
    for link in ["Music", "Music/Artist 00", "Music/Artist 00/Album 00", "Playlists", ".tandem"] {
        let (outside, before) = outside();
        let mut player = Player::new();
        let at = player.path().join(link);
        if link == "Music" {
            std::fs::remove_dir_all(&at).unwrap();
        }
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(outside.path(), &at).unwrap();
        player.remember();
        let stage = Stage::with(MusicLibrary::with_tracks(12, 3000), vec![player]).await;
        let all = stage.playlist_of_all("All").await;
        let run = stage.partner(stage.player(), &[&all]).await;
        assert_eq!(kit::differences(&before, &kit::tree(outside.path())), "", "{link}");
        assert!(!run.errors.is_empty(), "{link}: it is told of");
        assert!(run.errors.iter().all(|(_, error, _)| error == "device-write-failed"), "{link}: {run:?}");
        let now = kit::tree(stage.player().path());
        assert!(stage.player().before().iter().all(|(path, facts)| now.get(path) == Some(facts)), "{link}");
        // once the link is gone, everything comes
        std::fs::remove_file(stage.player().path().join(link)).unwrap();
        let mut stage = stage;
        stage.by_hand(stage.player()).await;
        stage.players[0].forget(link);
        stage.run(stage.player()).await;
        stage.in_step(stage.player()).await;
    }
}

#[tokio::test]
async fn a_link_or_file_of_the_users_in_the_place_of_a_track_stays() {
    let (outside, before) = outside();
    let mut player = Player::new();
    let album = "Music/Artist 00/Album 00";
    player.plant(format!("{album}/00000 Title.mp3"), b"the user's own");
    player.plant(format!("{album}/00000 Title (2).mp3"), b"the user's own, too");
    player.plant(format!("{album}/00003 TITLE.MP3"), b"in capitals");
    player.plant("Playlists/All.m3u8", b"the user's own playlist");
    player.plant("Music/Artist 00/Album 01", b"a file with the name of a folder");
    let link = player.path().join(album).join("00001 Title.mp3");
    symlink(outside.path().join("0.part"), link).unwrap();
    symlink("/nowhere", player.path().join(album).join("00002 Title.mp3")).unwrap();
    std::fs::create_dir(player.path().join(album).join("00004 Title.mp3")).unwrap();
    player.remember();
    let stage = Stage::with(MusicLibrary::with_tracks(12, 3000), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    let run = stage.partner(stage.player(), &[&all]).await;
    // the two tracks whose folder's name is taken can't come; for all others there are other names
    let blocked: Vec<String> =
        (10..12).map(|number| stage.music.uri(format!("Artist 00/Album 01/{number:05} Title.mp3"))).collect();
    assert_eq!(run.with("device-write-failed"), blocked, "{run:?}");
    let left_out: Vec<&str> = blocked.iter().map(String::as_str).collect();
    stage.in_step_but(stage.player(), &left_out).await;
    assert_eq!(kit::differences(&before, &kit::tree(outside.path())), "");
    assert!(stage.player().path().join(album).join("00000 Title (3).mp3").exists());
}

#[tokio::test]
async fn a_damaged_mark_is_set_aside_and_a_foreign_one_is_kept() {
    let marks: [(&[u8], bool); 5] = [
        (b"\xff\xfe<\0?\0", true),
        (b"<html>not ours</html>", true),
        (b"", true),
        (&[b'x'; 100_000], true),
        (b"<?xml version=\"1.0\"?><DeviceInfo><Other kept='yes'/><WMP Mine='1'/></DeviceInfo>", false),
    ];
    for (content, damaged) in marks {
        let mut player = Player::new();
        player.plant("WMPInfo.xml", content);
        let stage = Stage::with(MusicLibrary::with_tracks(3, 3000), vec![player]).await;
        assert_eq!(stage.device().status().await.unwrap(), "new-device");
        let empty = stage.new_playlist("All", &[] as &[&str]).await;
        stage.partner(stage.player(), &[&empty]).await;
        let aside = stage.player().path().join("WMPInfo.xml.damaged");
        if damaged {
            assert_eq!(std::fs::read(&aside).unwrap(), content, "nothing is lost");
        } else {
            let mark = std::fs::read(stage.player().path().join("WMPInfo.xml")).unwrap();
            let units: Vec<u16> =
                mark[2..].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            let text = String::from_utf16(&units).unwrap();
            assert!(text.contains("<Other kept='yes'/>") && !aside.exists(), "{text}");
        }
        let mut stage = stage;
        stage.players[0].remember();
        for number in 0..3 {
            empty
                .append(&[&stage.music.uri(format!("Artist 00/Album 00/{number:05} Title.mp3"))])
                .await
                .unwrap();
        }
        stage.in_step(stage.player()).await;
        // damaged later on: the partnership lasts
        kit::write_file(&stage.player().path().join("WMPInfo.xml"), b"<torn");
        stage.by_hand(stage.player()).await;
        stage.run(stage.player()).await;
        assert_eq!(stage.device().status().await.unwrap(), "partnership-exists");
    }
}

#[tokio::test]
async fn a_mark_that_is_a_link_is_not_followed() {
    let (outside, before) = outside();
    let player = Player::new();
    symlink(outside.path().join("0.part"), player.path().join("WMPInfo.xml")).unwrap();
    let stage = Stage::with(MusicLibrary::with_tracks(3, 3000), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    assert_eq!(kit::differences(&before, &kit::tree(outside.path())), "");
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 3);
    assert!(!Path::new(&stage.player().path().join("WMPInfo.xml")).is_symlink());
}

#[tokio::test]
async fn the_directory_below_an_unmounted_player_is_not_filled() {
    let Some(player) = Player::of_size("size=16m") else { return };
    let stage = Stage::with(MusicLibrary::with_tracks(5, 10_000), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let path = stage.player().path().to_owned();
    assert!(
        std::process::Command::new("umount").arg(&path).status().unwrap().success(),
        "nothing holds it open"
    );
    let run = stage.run(stage.player()).await;
    let (error, message) = run.failure().expect("the run fails");
    assert!(error == "device-removed" && message.contains("mount"), "{error}: {message}");
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "nothing is written below the mount point");
}
