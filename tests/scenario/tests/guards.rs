//! Proves the guards one by one: what looks like an order to delete or to copy everything, and isn't one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::MusicLibrary;
use scenario::{Player, Stage};
use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 3600;

/// A player with thirty tracks and a file of its user's.
async fn thirty_tracks() -> Stage {
    let mut player = Player::new();
    player.plant("Notes/mine.txt", b"mine");
    let stage = Stage::with(MusicLibrary::with_tracks(30, 3000), vec![player]).await;
    let all = stage.playlist_of_all("All").await;
    stage.partner(stage.player(), &[&all]).await;
    stage.by_hand(stage.player()).await;
    stage.in_step(stage.player()).await;
    stage
}

fn names(stage: &Stage) -> Vec<PathBuf> {
    stage.player().content().into_keys().collect()
}

/// A disk with thirty tracks that is mounted somewhere in the library.
struct Disk {
    content: MusicLibrary,
    place: PathBuf,
}

impl Disk {
    /// `None`, said aloud, where nothing can be mounted.
    fn at(place: &Path) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let disk = Self { content: MusicLibrary::with_tracks(30, 3000), place: place.to_owned() };
        disk.mount().then_some(disk)
    }

    fn mount(&self) -> bool {
        let output =
            Command::new("mount").arg("--bind").arg(self.content.dir()).arg(&self.place).output().unwrap();
        if !output.status.success() {
            eprintln!("skipped: nothing can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    }

    fn unmount(&self) -> bool {
        // lazily, for the library's agent may be looking at it
        Command::new("umount").arg("-l").arg(&self.place).status().unwrap().success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if std::fs::read_dir(&self.place).is_ok_and(|mut files| files.next().is_some()) {
            self.unmount();
        }
    }
}

#[tokio::test]
async fn an_unmounted_library_empties_no_player_and_costs_no_copy_when_it_is_back() {
    for is_whole in [true, false] {
        let music = if is_whole { MusicLibrary::new() } else { MusicLibrary::with_tracks(5, 3000) };
        let place = if is_whole { music.dir().to_owned() } else { music.path("Disk") };
        let Some(disk) = Disk::at(&place) else { return };
        let stage = Stage::with(music, vec![Player::new()]).await;
        // declared after the library, so that it is unmounted before the library's folder goes
        let disk = disk;
        let all = stage.playlist_of_all("All").await;
        stage.partner(stage.player(), &[&all]).await;
        stage.by_hand(stage.player()).await;
        stage.in_step(stage.player()).await;
        let before = kit::tree(stage.player().path());
        // what is left of the disk is the empty folder on which it was mounted
        assert!(disk.unmount());
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
        stage.scan().await;
        for _ in 0..2 {
            let run = stage.run(stage.player()).await;
            let (error, message) = run.failure().unwrap();
            assert!(["library-unavailable", "would-delete-too-much"].contains(&error), "{run:?}");
            assert!(!message.is_empty());
            assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
        }
        // mounted again, everything is as before
        assert!(disk.mount());
        stage.scan().await;
        let run = stage.run(stage.player()).await;
        assert_eq!(run.failure(), None);
        stage.in_step(stage.player()).await;
        assert_eq!(
            kit::differences(&before, &kit::tree(stage.player().path())),
            "",
            "nothing is copied again"
        );
        assert_eq!(stage.device().last_sync_change_count().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_empty_library_empties_no_player() {
    let stage = thirty_tracks().await;
    let before = kit::tree(stage.player().path());
    let one = std::fs::read(stage.music.path(kit::track(0))).unwrap();
    for number in 0..30 {
        stage.music.remove(kit::track(number));
    }
    stage.scan().await;
    // it waits for the user's word, however often it is asked
    for _ in 0..2 {
        let run = stage.run(stage.player()).await;
        let (error, _) = run.failure().unwrap();
        assert!(["library-unavailable", "would-delete-too-much"].contains(&error), "{run:?}");
        assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    }
    // with a single file there again it looks sound, and the rest gone for good
    stage.music.add_bytes(kit::track(0), &one);
    stage.scan().await;
    stage.library_has(1).await;
    let run = stage.run(stage.player()).await;
    let refused = |error: &(String, String, String)| {
        error.1 == "would-delete-too-much"
            && error.2.contains("29 of the 30")
            && error.2.contains("AllowMassDeletion")
    };
    assert!(run.errors.iter().any(refused), "{run:?}");
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "");
    stage.device().set_item_info("AllowMassDeletion", "True").await.unwrap();
    stage.run(stage.player()).await;
    let tracks = names(&stage).iter().filter(|name| name.starts_with("Music")).count();
    assert_eq!(tracks, 1, "{:?}", names(&stage));
    assert!(stage.player().path().join("Notes/mine.txt").exists(), "what is the user's stays");
}

#[tokio::test]
async fn new_tags_in_every_file_replace_each_track_once_and_delete_none() {
    let stage = thirty_tracks().await;
    let before = names(&stage);
    for number in 0..30 {
        stage.music.add(kit::track(number), "Everybody", "Everything", &format!("New title {number}"), 3100);
    }
    stage.scan().await;
    let run = stage.run(stage.player()).await;
    assert_eq!(run.failure(), None);
    assert_eq!(run.with("synchronized").len(), 30, "{run:?}");
    assert_eq!(names(&stage), before, "each track keeps its place, and nothing lies there twice");
    stage.in_step(stage.player()).await;
    stage.run(stage.player()).await;
    assert_eq!(stage.device().last_sync_change_count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_player_that_knows_no_ratings_takes_none_from_the_library() {
    // a player's own ratings are all zero: it has never been told any
    let music = MusicLibrary::with_tracks(30, 3000);
    let stage = Stage::with(music, vec![Player::new()]).await;
    let library = stage.library().await;
    for number in 0..30 {
        let rating = zbus::Variant::from(99u64);
        library.set_media_info(&stage.music.uri(kit::track(number)), "UserRating", &rating).await.unwrap();
    }
    let path = library.create_auto_playlist("Best", "(stars >= 5)").await.unwrap();
    let best = stage.playlist_at(path).await;
    stage.partner(stage.player(), &[&best]).await;
    stage.by_hand(stage.player()).await;
    for _ in 0..2 {
        let run = stage.run(stage.player()).await;
        assert_eq!((run.failure(), run.with("synchronized").len()), (None, 30));
    }
    assert_eq!(library.search("(stars >= 5)").await.unwrap().len(), 30, "every track has its rating still");
}

#[tokio::test]
async fn files_from_1980_and_from_the_future_are_copied_once() {
    let stage = thirty_tracks().await;
    let since_1970 = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // the computer's clock was wrong: everything it touched is from 1980, and some is from the day after tomorrow
    for number in 0..30 {
        let time = if number % 3 == 0 {
            SystemTime::now() + Duration::from_secs(2 * DAY)
        } else {
            since_1970(3652 * DAY)
        };
        let file = File::options().append(true).open(stage.music.path(kit::track(number))).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    stage.scan().await;
    let before = kit::tree(stage.player().path());
    let run = stage.run(stage.player()).await;
    assert_eq!((run.failure(), run.with("synchronized").len()), (None, 30));
    assert_eq!(kit::differences(&before, &kit::tree(stage.player().path())), "", "nothing is copied again");
    stage.music.add("late.mp3", "Ann", "Live", "Late", 3000);
    let late = File::options().append(true).open(stage.music.path("late.mp3")).unwrap();
    late.set_times(FileTimes::new().set_modified(since_1970(3652 * DAY))).unwrap();
    stage.scan().await;
    stage.playlist("All").await.append(&[&stage.music.uri("late.mp3")]).await.unwrap();
    stage.run(stage.player()).await;
    stage.in_step(stage.player()).await;
    stage.run(stage.player()).await;
    assert_eq!(stage.device().last_sync_change_count().await.unwrap(), 0);
}
