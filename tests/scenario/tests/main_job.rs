//! Proves the main job: a player is partnered and filled from playlists, follows what changes, and is in step
//! afterwards, file by file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{track, tracks};
use scenario::{Player, Stage, refusal};
use std::collections::HashMap;
use std::io::Write;
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

#[tokio::test]
async fn a_player_is_partnered_and_filled_and_then_there_is_nothing_to_do() {
    let stage = Stage::with_tracks(25).await;
    let mix = stage.new_playlist("Mix", &tracks([3, 1, 12, 3])).await;
    let rest = stage.new_playlist("Rest", &tracks(10..20)).await;
    let run = stage.partner(stage.player(), &[&mix, &rest]).await;
    assert_eq!((run.failure(), run.with("synchronized").len()), (None, 12), "{run:?}");
    stage.in_step(stage.player()).await;
    let device = stage.device();
    assert_eq!(device.status().await.unwrap(), "partnership-exists");
    assert_eq!(device.progress().await.unwrap(), 100);
    assert_eq!(device.sync_item_count().await.unwrap(), 12);
    assert!(device.last_sync_time().await.unwrap() > 0);
    let priorities = rest.sync_priorities().await.unwrap();
    assert_eq!(priorities.into_iter().collect::<Vec<_>>(), [(1, 2)]);

    stage.by_hand(stage.player()).await;
    let before = times(&stage);
    assert!(device.preview().await.unwrap().is_empty());
    stage.run(stage.player()).await;
    assert_eq!(times(&stage), before, "a run with nothing to do touched something");
    stage.in_step(stage.player()).await;
}

/// When each file on the player was last changed, itself or its name.
fn times(stage: &Stage) -> Vec<(std::path::PathBuf, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let files = kit::tree(stage.player().path()).into_keys();
    let times = files.map(|path| {
        let facts = std::fs::symlink_metadata(stage.player().path().join(&path)).unwrap();
        (path, facts.ctime(), facts.ctime_nsec())
    });
    times.collect()
}

#[tokio::test]
async fn a_playlist_that_changes_is_followed_without_being_asked() {
    let stage = Stage::with_tracks(12).await;
    let mix = stage.new_playlist("Mix", &tracks(0..4)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.in_step(stage.player()).await;
    mix.append(&[&stage.music.uri(track(7))]).await.unwrap();
    stage.in_step(stage.player()).await;
    mix.remove(0, 2).await.unwrap();
    stage.in_step(stage.player()).await;
    mix.move_(2, 0).await.unwrap();
    stage.in_step(stage.player()).await;
    mix.set_name("Mixed: again?").await.unwrap();
    stage.in_step(stage.player()).await;
    assert!(stage.player().path().join("Playlists/Mixed_ again_.m3u8").exists());
    let other = stage.new_playlist("Other", &tracks(9..12)).await;
    other.set_item_info("Sync01", "0x2").await.unwrap();
    assert_eq!(other.get_item_info("Sync01").await.unwrap(), "2");
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 6);
    other.delete().await.unwrap();
    stage.in_step(stage.player()).await;
    mix.clear().await.unwrap();
    stage.in_step(stage.player()).await;
    assert!(stage.player().content().is_empty());
    assert!(
        !stage.player().path().join("Playlists").exists(),
        "a folder that Tandem made goes with its files"
    );
}

#[tokio::test]
async fn a_file_that_changes_is_followed_without_being_asked() {
    let stage = Stage::with_tracks(6).await;
    stage.music.add_playlist("Lists/Found.m3u", &["../Artist 00/Album 00/00001 Title.mp3", "new.mp3"]);
    stage.scan().await;
    let found = stage.playlist("Found").await;
    let mix = stage.new_playlist("Mix", &tracks(0..4)).await;
    stage.partner(stage.player(), &[&mix, &found]).await;
    stage.in_step(stage.player()).await;
    // new bytes under an old name
    stage.music.add(track(1), "Artist 00", "Album 00", "Another title", 30_000);
    stage.in_step(stage.player()).await;
    // an entry that was missing comes, and one that was there goes
    stage.music.add("Lists/new.mp3", "New", "New", "New", 1000);
    stage.library_has(7).await;
    stage.in_step(stage.player()).await;
    stage.music.remove(track(2));
    stage.library_has(6).await;
    stage.in_step(stage.player()).await;
    // the playlist file itself
    stage.music.add_playlist("Lists/Found.m3u", &["../Artist 00/Album 00/00005 Title.mp3"]);
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 4);
}

#[tokio::test]
async fn a_file_that_is_only_touched_or_moved_is_not_sent_again() {
    let stage = Stage::with_tracks(4).await;
    let all = stage.new_playlist("All", &tracks(0..4)).await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let before = stage.player().content();
    let touched = std::fs::File::open(stage.music.path(track(1))).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    stage.music.rename(track(2), "Elsewhere/moved.mp3");
    stage.scan().await;
    all.remove(2, 1).await.unwrap();
    all.append(&[&stage.music.uri("Elsewhere/moved.mp3")]).await.unwrap();
    let preview = stage.device().preview().await.unwrap();
    let actions: Vec<String> = preview.iter().map(|item| text(item, "action")).collect();
    assert!(!actions.contains(&"copy".to_owned()) && !actions.contains(&"delete".to_owned()), "{preview:?}");
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    let mut after = stage.player().content();
    after.retain(|path, _| path.extension().is_some_and(|extension| extension == "mp3"));
    assert!(after.keys().all(|path| before.contains_key(path)), "{after:?}");
}

#[tokio::test]
async fn a_change_that_keeps_size_and_time_is_copied_and_what_is_equal_is_not() {
    let stage = Stage::with_tracks(3).await;
    let all = stage.new_playlist("All", &tracks(0..3)).await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let edit = |relative: String, change: &dyn Fn(&mut Vec<u8>)| {
        let path = stage.music.path(relative);
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        let mut file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all(&bytes).unwrap();
        file.set_modified(time).unwrap();
    };
    edit(track(1), &|bytes| *bytes.last_mut().unwrap() ^= 1);
    edit(track(2), &|_| {});
    stage.scan().await;
    let preview = stage.device().preview().await.unwrap();
    let actions: Vec<String> = preview.iter().map(|item| text(item, "action")).collect();
    assert_eq!(actions.iter().filter(|action| *action == "replace").count(), 1, "{preview:?}");
    let ended = stage.run(stage.player()).await;
    assert_eq!(ended.errors, []);
    // the bytes on the player are those of the library now
    stage.in_step(stage.player()).await;
}

fn text(item: &HashMap<String, OwnedVariant>, key: &str) -> String {
    item.get(key).cloned().and_then(|value| String::try_from(value).ok()).unwrap_or_default()
}

#[tokio::test]
async fn without_playlists_the_default_set_is_assigned_and_the_whole_library_comes() {
    let stage = Stage::with_tracks(30).await;
    stage.new_playlist("My own", &tracks([4, 2])).await;
    let mut events = stage.daemon.events().await;
    stage.device().create_partnership(HashMap::new()).await.unwrap();
    events.wait_for("CreatePartnershipComplete").await;
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 30);
    assert_eq!(stage.device().get_item_info("AutoSyncDefaultRules").await.unwrap(), "True");
    // what comes to the library comes to the player, and so does a new playlist of the user's own
    stage.music.add("New/new.flac", "New", "New", "New", 1000);
    stage.library_has(31).await;
    stage.new_playlist("My second", &tracks([29])).await;
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 31);
}

#[tokio::test]
async fn a_preview_says_what_a_run_then_does() {
    let stage = Stage::with_tracks(8).await;
    let mix = stage.new_playlist("Mix", &tracks(0..4)).await;
    stage.partner(stage.player(), &[&mix]).await;
    stage.by_hand(stage.player()).await;
    mix.remove(0, 1).await.unwrap();
    mix.append(&[&stage.music.uri(track(6))]).await.unwrap();
    stage.music.add(track(1), "Artist 00", "Album 00", "Title 00001", 5000);
    stage.scan().await;
    let before = kit::tree(stage.player().path());
    let preview = stage.device().preview().await.unwrap();
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "", "a preview changes nothing");
    let mut told: Vec<_> =
        preview.iter().map(|item| (text(item, "action"), text(item, "destination"))).collect();
    told.sort();
    let destination = |name: &str| format!("Music/Artist 00/Album 00/{name} Title.mp3");
    let expected = [
        ("copy", destination("00006")),
        ("delete", destination("00000")),
        ("replace", "Playlists/Mix.m3u8".to_owned()),
        ("replace", destination("00001")),
    ];
    let mut expected: Vec<_> = expected.into_iter().map(|(action, path)| (action.to_owned(), path)).collect();
    expected.sort();
    assert_eq!(told, expected);
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert!(stage.device().preview().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_estimate_tells_the_space_and_changes_nothing() {
    let stage = Stage::with_tracks(20).await;
    let (mix, more) =
        (stage.new_playlist("Mix", &tracks(0..5)).await, stage.new_playlist("More", &tracks(5..15)).await);
    stage.partner(stage.player(), &[&mix]).await;
    stage.by_hand(stage.player()).await;
    let before = kit::tree(stage.player().path());
    let device = stage.device();
    let none = zbus::ObjectPath::try_from("/").unwrap();
    let mut events = stage.daemon.events().await;
    let mut estimate = async |non_rule: &zbus::ObjectPath<'_>, rules: &zbus::ObjectPath<'_>| {
        device.estimate_sync_size(non_rule, rules).await.unwrap();
        let message = events.wait_for("SyncEstimationComplete").await;
        let (_, success, used, left): (OwnedObjectPath, bool, u64, u64) =
            message.body().deserialize().unwrap();
        assert!(success && left > 0);
        used
    };
    let both = estimate(more.inner().path(), &none).await;
    let other = estimate(&none, more.inner().path()).await;
    assert!((15 * 20_000..20 * 30_000).contains(&both), "{both}");
    assert!(other >= 10 * 20_000 && other < both, "{other} of {both}");
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    stage.idle(stage.player()).await;
}

#[tokio::test]
async fn media_are_transferred_by_hand() {
    let stage = Stage::with_tracks(6).await;
    let mix = stage.new_playlist("Mix", &tracks(0..2)).await;
    let (word, _) = refusal(stage.device().transfer(&[&stage.music.uri(track(4))]).await.unwrap_err());
    assert_eq!(word, "PartnershipNotExist");
    stage.partner(stage.player(), &[&mix]).await;
    stage.device().transfer(&[&stage.music.uri(track(4)), &stage.music.uri(track(5))]).await.unwrap();
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 4);
    // one that isn't there is refused with its name, and nothing of that call is transferred
    stage.by_hand(stage.player()).await;
    let nowhere = stage.music.uri("nowhere.mp3");
    let both = [nowhere.as_str(), &stage.music.uri(track(3))];
    let (word, message) = refusal(stage.device().transfer(&both).await.unwrap_err());
    assert!(word == "NotFound" && message.contains(&nowhere), "{word}: {message}");
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().sync_item_count().await.unwrap(), 4);
}

#[tokio::test]
async fn what_the_user_deletes_or_changes_on_the_player_is_his() {
    let stage = Stage::with_tracks(5).await;
    let all = stage.new_playlist("All", &tracks(0..5)).await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    let on_player = |number: usize| stage.player().path().join("Music").join(track(number));
    std::fs::remove_file(on_player(2)).unwrap();
    stage.run(stage.player()).await;
    assert!(!on_player(2).exists(), "it was deleted on the player");
    assert!(stage.device().has_skipped_files().await.unwrap());
    let skipped = stage.music.uri(track(2));
    stage.in_step_but(stage.player(), &[&skipped]).await;
    stage.device().set_item_info("IncludeSkippedFiles", "").await.unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    assert!(!stage.device().has_skipped_files().await.unwrap());

    // a file that he changed there is left alone, even when it isn't wanted any more
    kit::write_file(&on_player(3), b"edited on the player");
    stage.run(stage.player()).await;
    all.clear().await.unwrap();
    stage.run(stage.player()).await;
    assert_eq!(std::fs::read(on_player(3)).unwrap(), b"edited on the player");
    assert_eq!(stage.player().content().len(), 1);
}

#[tokio::test]
async fn two_players_are_filled_at_once_each_with_its_own() {
    let music = kit::MusicLibrary::with_tracks(40, 20_000);
    let stage = Stage::with(music, vec![Player::new(), Player::new()]).await;
    let (one, two) =
        (stage.new_playlist("One", &tracks(0..25)).await, stage.new_playlist("Two", &tracks(15..40)).await);
    let [first, second] = &stage.players[..] else { panic!("two players") };
    let (for_first, for_second) = ([&one], [&two]);
    tokio::join!(stage.partner(first, &for_first), stage.partner(second, &for_second));
    stage.in_step(first).await;
    stage.in_step(second).await;
    let indexes = [
        first.device().partnership_index().await.unwrap(),
        second.device().partnership_index().await.unwrap(),
    ];
    assert!(indexes == [1, 2] || indexes == [2, 1], "{indexes:?}");
    two.set_item_info(&format!("Sync{:02}", indexes[0]), "9").await.unwrap();
    stage.in_step(first).await;
    stage.in_step(second).await;
    assert_eq!(first.device().sync_item_count().await.unwrap(), 40);
    assert!(!first.device().is_identical(second.device().inner().path()).await.unwrap());
    // the bits of a track that is on both, and of one that is on the first alone
    let library = stage.library().await;
    let state = async |number| {
        let info = library.get_media_info(&stage.music.uri(track(number))).await.unwrap();
        u32::try_from(info["SyncState"].clone()).unwrap()
    };
    assert_eq!(state(20).await, 0b1010);
    assert_eq!(state(0).await, 0b10 << (2 * (indexes[0] - 1)));
}

#[tokio::test]
async fn a_partnership_ends_with_its_content_or_without() {
    let stage = Stage::with_tracks(5).await;
    let all = stage.new_playlist("All", &tracks(0..5)).await;
    stage.partner(stage.player(), &[&all]).await;
    stage.in_step(stage.player()).await;
    let filled = stage.player().content();
    stage.device().delete_partnership(HashMap::new()).await.unwrap();
    assert_eq!(stage.device().status().await.unwrap(), "partnership-declined");
    assert_eq!(kit::differences(&filled, &stage.player().content()), "", "the content stays");
    stage.device().delete_partnership(HashMap::new()).await.unwrap();
    // what stayed is foreign to a new partnership, which removes no more than its own
    let mut stage = stage;
    stage.players[0].remember();
    let mut events = stage.daemon.events().await;
    stage.partner(stage.player(), &[&all]).await;
    stage.in_step(stage.player()).await;
    let remove = Variant::from(true);
    stage.device().delete_partnership(HashMap::from([("remove-content", &remove)])).await.unwrap();
    while stage.device().status().await.unwrap() != "partnership-declined" {
        events.wait_for("DeviceStatusChange").await;
    }
    stage.idle(stage.player()).await;
    assert!(stage.player().content().is_empty());
    let now = kit::tree(stage.player().path());
    assert!(
        stage
            .player()
            .before()
            .iter()
            .all(|(path, facts)| now.get(path) == Some(facts) || path.ends_with("WMPInfo.xml"))
    );
}
