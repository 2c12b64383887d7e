//! Proves that a partnership outlives unplugging, restarts and other computers: what changed meanwhile is caught up
//! with, and nobody's files are touched but Tandem's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{MusicLibrary, track, tracks};
use scenario::{Player, Stage, refusal};
use std::collections::HashMap;

#[tokio::test]
async fn a_player_that_is_plugged_in_again_is_in_step_by_itself() {
    let stage = Stage::with_tracks(12).await;
    let mix = stage.new_playlist("Mix", &tracks(0..6)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.in_step(stage.player()).await;
    let mut events = stage.daemon.events().await;
    stage.player().unplug();
    events.wait_for("DeviceDisconnect").await;
    let device = stage.device();
    assert!(!device.connected().await.unwrap());
    assert_eq!(device.sync_state().await.unwrap(), "unknown");
    assert_eq!(device.status().await.unwrap(), "partnership-exists", "it is known while it is away");
    assert_eq!(refusal(device.start().await.unwrap_err()).0, "NotConnected");
    assert_eq!(refusal(device.preview().await.unwrap_err()).0, "NotConnected");
    device.stop().await.unwrap();
    // what is assigned may change meanwhile
    mix.append(&[&stage.music.uri(track(8))]).await.unwrap();
    mix.remove(0, 2).await.unwrap();
    device.set_percent_space_reserved(5).await.unwrap();
    stage.player().plug();
    events.wait_for("DeviceConnect").await;
    stage.in_step(stage.player()).await;
    assert_eq!(device.sync_item_count().await.unwrap(), 5);
    assert_eq!(device.percent_space_reserved().await.unwrap(), 5);
}

#[tokio::test]
async fn a_player_that_is_not_to_be_synchronised_on_connecting_waits() {
    let stage = Stage::with_tracks(4).await;
    let mix = stage.new_playlist("Mix", &tracks(0..2)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.by_hand(stage.player()).await;
    let before = kit::tree(stage.player().path());
    let mut events = stage.daemon.events().await;
    stage.player().unplug();
    events.wait_for("DeviceDisconnect").await;
    mix.append(&[&stage.music.uri(track(3))]).await.unwrap();
    stage.player().plug();
    events.wait_for("DeviceConnect").await;
    stage.idle(stage.player()).await;
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_daemon_that_starts_again_knows_everything_and_catches_up() {
    let mut stage = Stage::with_tracks(12).await;
    stage.music.add_playlist(
        "List.m3u8",
        &["Artist 00/Album 00/00001 Title.mp3", "Artist 00/Album 00/00002 Title.mp3"],
    );
    stage.scan().await;
    let (mix, list) = (stage.new_playlist("Mix", &tracks(4..8)).await, stage.playlist("List").await);
    stage.partner(stage.player(), &[&mix, &list]).await;
    stage.device().set_friendly_name("Ann's player").await.unwrap();
    stage.in_step(stage.player()).await;
    let path = stage.device().inner().path().to_owned();
    assert!(stage.daemon.terminate().await.success());
    // while nobody looks
    stage.music.add(track(5), "Artist 00", "Album 00", "Title 00005", 40_000);
    stage.music.remove(track(6));
    stage.music.add_playlist("List.m3u8", &["Artist 00/Album 01/00011 Title.mp3"]);
    stage.daemon.restart().await;
    stage.library_has(11).await;
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().friendly_name().await.unwrap(), "Ann's player");
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 4);
    assert_eq!(stage.device().inner().path(), &path);
    // and once more with nothing to do
    let before = kit::tree(stage.player().path());
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
}

#[tokio::test]
async fn a_player_that_vanishes_in_the_middle_is_caught_up_with() {
    let music = MusicLibrary::with_large_tracks(40, 8 << 20);
    let stage = Stage::with(music, vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    kit::file_appears_in(&stage.player().path().join(".tandem")).await;
    stage.player().unplug();
    events.wait_for("DeviceDisconnect").await;
    assert!(stage.device().safe_to_remove().await.unwrap(), "what is gone can't be harmed");
    // the run may be about to delete its unfinished file yet, but nothing goes from here
    let mut half = kit::tree(&stage.player().away().join("Music"));
    half.retain(|path, (size, _)| path.extension().is_some_and(|end| end == "flac") && *size != 8 << 20);
    assert!(half.is_empty(), "half-written under its final name: {half:?}");
    stage.player().plug();
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_player_that_is_plugged_in_and_out_all_the_time_ends_in_step() {
    let stage = Stage::with(MusicLibrary::with_tracks(60, 300_000), vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    for _ in 0..10 {
        stage.player().unplug();
        events.wait_for("DeviceDisconnect").await;
        stage.player().plug();
        events.wait_for("DeviceConnect").await;
    }
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn two_computers_take_a_player_from_each_other_and_touch_nothing_of_the_other() {
    let home = Stage::with_tracks(6).await;
    let at_home = home.new_playlist("At home", &tracks(0..4)).await;
    home.partner(home.player(), &[&at_home]).await;
    home.in_step(home.player()).await;
    let of_home = home.player().content();

    let office = Stage::with(MusicLibrary::with_tracks(8, 20_000), vec![home.player().again()]).await;
    assert_eq!(office.device().status().await.unwrap(), "partnership-another");
    assert_eq!(office.device().get_item_info("SyncRelationship").await.unwrap(), "3");
    assert_eq!(refusal(office.device().start().await.unwrap_err()).0, "PartnershipNotExist");
    let refused = office.device().delete_partnership(HashMap::new()).await.unwrap_err();
    assert_eq!(refusal(refused).0, "PartnershipNotExist", "only the other computer can end it");
    let at_work = office.new_playlist("At home", &tracks(2..8)).await;
    office.partner(office.player(), &[&at_work]).await;
    office.in_step(office.player()).await;

    // the first computer was there all the while; it touches nothing, and says what has become of it
    let refused = home.device().start().await;
    if refused.is_ok() {
        kit::wait_for_property(
            &home.client,
            home.device().inner().path(),
            "org.tandemd.Sync1.Device",
            "Status",
            |status: &String| status == "partnership-another",
        )
        .await;
    }
    assert_eq!(home.device().status().await.unwrap(), "partnership-another");
    let now = kit::tree(home.player().path());
    assert!(
        of_home.iter().all(|(path, facts)| now.get(path) == Some(facts)),
        "it touched what it had put there"
    );
    office.in_step(office.player()).await;
    assert_eq!(refusal(home.device().start().await.unwrap_err()).0, "PartnershipNotExist");

    // it takes the player back; what is there now is foreign to it
    let mut home = home;
    home.players[0].remember();
    home.partner(home.player(), &[&at_home]).await;
    home.in_step(home.player()).await;
    assert_eq!(home.device().partnership_index().await.unwrap(), 1);
}

#[tokio::test]
async fn a_partnership_that_ends_while_the_player_is_away_is_over_when_it_is_back() {
    let stage = Stage::with_tracks(4).await;
    let mix = stage.new_playlist("Mix", &tracks(0..4)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.in_step(stage.player()).await;
    let before = kit::tree(stage.player().path());
    let mut events = stage.daemon.events().await;
    stage.player().unplug();
    events.wait_for("DeviceDisconnect").await;
    stage.device().delete_partnership(HashMap::new()).await.unwrap();
    stage.player().plug();
    events.wait_for("DeviceConnect").await;
    assert_eq!(stage.device().status().await.unwrap(), "partnership-declined");
    assert_eq!(stage.device().partnership_index().await.unwrap(), 0);
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    assert_eq!(refusal(stage.device().start().await.unwrap_err()).0, "PartnershipNotExist");
}

#[tokio::test]
async fn a_player_that_was_ejected_is_safe_and_comes_back_when_it_is_plugged_in() {
    let stage = Stage::with(MusicLibrary::with_large_tracks(20, 8 << 20), vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    kit::file_appears_in(&stage.player().path().join(".tandem")).await;
    stage.device().eject().await.unwrap();
    let safe = |safe: &bool| *safe;
    let path = stage.device().inner().path();
    kit::wait_for_property(&stage.client, path, "org.tandemd.Sync1.Device", "SafeToRemove", safe).await;
    assert!(stage.player().content().keys().all(|path| !path.starts_with(".tandem")));
    stage.player().unplug();
    events.wait_for("DeviceDisconnect").await;
    stage.player().plug();
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_player_whose_mark_was_deleted_is_still_ours_and_one_that_was_wiped_is_filled_again() {
    let stage = Stage::with_tracks(6).await;
    let mix = stage.new_playlist("Mix", &tracks(0..6)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.by_hand(stage.player()).await;
    let mark = stage.player().path().join("WMPInfo.xml");
    let before = std::fs::read(&mark).unwrap();
    std::fs::remove_file(&mark).unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert_eq!(std::fs::read(&mark).unwrap(), before, "it is marked again, as it was");
    for path in stage.player().content().into_keys() {
        std::fs::remove_file(stage.player().path().join(path)).unwrap();
    }
    std::fs::remove_file(&mark).unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert!(!stage.device().has_skipped_files().await.unwrap());
}

#[tokio::test]
async fn sixteen_players_are_partnered_and_the_seventeenth_is_refused() {
    let players = (0..17).map(|_| Player::new()).collect();
    let stage = Stage::with(MusicLibrary::with_tracks(3, 3000), players).await;
    let mix = stage.new_playlist("Mix", &tracks(0..3)).await;
    let mut indexes = Vec::new();
    for player in &stage.players[..16] {
        stage.partner(player, &[&mix]).await;
        indexes.push(player.device().partnership_index().await.unwrap());
    }
    assert_eq!(indexes, (1..=16).collect::<Vec<_>>());
    let refused = stage.players[16].device().create_partnership(HashMap::new()).await.unwrap_err();
    let (word, message) = refusal(refused);
    assert_eq!(word, "PartnershipLimit", "{message}");
    // the lowest free index is taken
    stage.players[6].device().delete_partnership(HashMap::new()).await.unwrap();
    stage.partner(&stage.players[16], &[&mix]).await;
    assert_eq!(stage.players[16].device().partnership_index().await.unwrap(), 7);
    for player in stage.players.iter().filter(|player| !std::ptr::eq(*player, &stage.players[6])) {
        stage.in_step(player).await;
    }
}
