//! Proves what happens in the middle of a run: stopping and going on, ending the daemon, a library that hangs or dies,
//! clients that get in each other's way, and what a run tells of itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::names;
use kit::{LIMIT, MusicLibrary};
use rustix::process::{Signal, kill_process};
use scenario::{Player, Stage};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zbus::proxy::CacheProperties;
use zbus::{OwnedVariant, Variant};

/// What the contract promises for stopping and ending.
const SOON: Duration = Duration::from_secs(2);
const MIB: u64 = 1 << 20;

/// A run of large tracks that has begun to write.
async fn in_a_run(tracks: usize, size: u64) -> (Stage, kit::Events) {
    let music = MusicLibrary::with_large_tracks(tracks, size);
    let stage = Stage::with(music, vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    kit::file_appears_in(&stage.player().path().join(".tandem")).await;
    (stage, events)
}

/// The tracks that are on the player, with what tells whether they were written again.
fn written(player: &Player) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let facts = |path: PathBuf| {
        let facts = std::fs::metadata(player.path().join(&path)).unwrap();
        (path, (facts.ino(), facts.ctime(), facts.ctime_nsec()))
    };
    player.content().into_keys().map(facts).collect()
}

fn nothing_was_sent_again(before: &BTreeMap<PathBuf, (u64, i64, i64)>, player: &Player) {
    let after = written(player);
    for (path, facts) in before {
        assert_eq!(after.get(path), Some(facts), "sent again: {}", path.display());
    }
}

#[tokio::test]
async fn stop_ends_a_run_within_two_seconds_and_start_goes_on() {
    let (stage, _) = in_a_run(40, 8 * MIB).await;
    let asked = Instant::now();
    stage.device().stop().await.unwrap();
    stage.idle(stage.player()).await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert!(stage.device().safe_to_remove().await.unwrap());
    let part = written(stage.player());
    assert!(part.len() < 40, "it was over before it could be stopped");
    assert!(part.keys().all(|path| !path.starts_with(".tandem")), "{part:?}");
    stage.device().start().await.unwrap();
    stage.in_step(stage.player()).await;
    nothing_was_sent_again(&part, stage.player());
    // without a run, stopping is no error, and neither is starting with nothing to do
    stage.device().stop().await.unwrap();
    stage.by_hand(stage.player()).await;
    stage.run(stage.player()).await;
}

#[tokio::test]
async fn stop_ends_within_a_single_large_file() {
    let (stage, _) = in_a_run(1, 1024 * MIB).await;
    let asked = Instant::now();
    stage.device().stop().await.unwrap();
    stage.idle(stage.player()).await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert!(stage.player().content().is_empty(), "{:?}", stage.player().content());
}

#[tokio::test]
async fn a_daemon_that_is_asked_to_end_does_so_within_two_seconds_and_goes_on_when_it_is_back() {
    let (mut stage, _) = in_a_run(40, 8 * MIB).await;
    let asked = Instant::now();
    let status = stage.daemon.terminate().await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0), "{}", stage.daemon.stderr());
    let part = written(stage.player());
    assert!(part.len() < 40, "it was over before it could be ended");
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
    nothing_was_sent_again(&part, stage.player());
}

#[tokio::test]
async fn a_daemon_that_is_killed_goes_on_when_it_is_back() {
    let (mut stage, _) = in_a_run(40, 8 * MIB).await;
    stage.daemon.kill().await;
    let part = written(stage.player());
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
    let after = written(stage.player());
    let again =
        part.iter().filter(|(path, facts)| !path.starts_with(".tandem") && after.get(*path) != Some(*facts));
    assert!(again.count() <= 1, "at most one track is sent again");
}

#[tokio::test]
async fn a_library_that_hangs_keeps_nobody_from_stopping() {
    let (stage, _) = in_a_run(60, 4 * MIB).await;
    kill_process(stage.agent(), Signal::STOP).unwrap();
    let asked = Instant::now();
    stage.device().stop().await.unwrap();
    stage.idle(stage.player()).await;
    let took = asked.elapsed();
    kill_process(stage.agent(), Signal::CONT).unwrap();
    assert!(took < SOON, "{took:?}");
    stage.device().start().await.unwrap();
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_library_that_hangs_keeps_the_daemon_from_nothing() {
    let (mut stage, _) = in_a_run(60, 4 * MIB).await;
    let agent = stage.agent();
    kill_process(agent, Signal::STOP).unwrap();
    let asked = Instant::now();
    let status = stage.daemon.terminate().await;
    let took = asked.elapsed();
    // it may have been killed by then, which is as good
    kill_process(agent, Signal::CONT).ok();
    assert!(took < SOON && status.code() == Some(0), "{took:?} {status}");
    stage.daemon.restart().await;
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_library_that_dies_in_the_middle_is_started_again() {
    let (stage, _) = in_a_run(60, 4 * MIB).await;
    let agent = stage.agent();
    kill_process(agent, Signal::KILL).unwrap();
    // the run either goes on with the new one, or says so and is started again
    stage.idle(stage.player()).await;
    stage.device().start().await.unwrap();
    stage.in_step(stage.player()).await;
    assert_ne!(stage.agent(), agent);
}

#[tokio::test]
async fn a_track_that_grows_while_it_is_copied_is_told_of_and_comes_later() {
    let (stage, mut events) = in_a_run(30, 8 * MIB).await;
    // the last in order, so that it is being copied now or will be
    let last = stage.music.path("Artist/Album/00029 Title.flac");
    std::fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(8 * MIB + 1).unwrap();
    let run = stage.end_of_this_run(stage.player(), &mut events).await;
    let grown = stage.music.uri("Artist/Album/00029 Title.flac");
    let told = run.errors.iter().any(|(media, error, _)| *media == grown && error == "source-unreadable");
    assert!(told, "{run:?}");
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn what_a_run_tells_of_itself_never_falls() {
    let (stage, mut events) = in_a_run(60, 8 * MIB).await;
    assert!(!stage.device().safe_to_remove().await.unwrap());
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    let (mut total, mut safe, mut items) = (0, Vec::new(), 0);
    while safe.last() != Some(&true) {
        let message = events.wait_for("PropertiesChanged").await;
        let (interface, changed, hidden): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            message.body().deserialize().unwrap();
        if interface != names::DEVICE {
            continue;
        }
        let number = |name: &str| changed.get(name).cloned().and_then(|value| u64::try_from(value).ok());
        total = number("BytesTotal").unwrap_or(total);
        if let Some(done) = number("BytesDone") {
            assert!(done <= total, "{done} of {total}");
            seen.entry("BytesDone".into()).or_default().push(done);
        }
        let progress = changed.get("Progress").cloned().and_then(|value| u32::try_from(value).ok());
        seen.entry("Progress".into()).or_default().extend(progress.map(u64::from));
        safe.extend(changed.get("SafeToRemove").cloned().and_then(|value| bool::try_from(value).ok()));
        items += usize::from(hidden.iter().any(|name| name == "CurrentItem"));
    }
    assert_eq!(total, 60 * 8 * MIB);
    for (name, values) in &seen {
        assert!(values.is_sorted(), "{name} falls: {values:?}");
    }
    assert_eq!((seen["Progress"].last(), seen["BytesDone"].last()), (Some(&100), Some(&total)));
    // that it isn't safe may have been told together with the partnership
    assert!(matches!(safe[..], [true] | [false, true]), "it was unsafe all the while: {safe:?}");
    assert!(items > 0, "the items were told of");
    stage.in_step(stage.player()).await;
    let device = stage.device();
    assert_eq!((device.current_item().await.unwrap().as_str(), device.rate().await.unwrap()), ("", 0));
    assert_eq!(device.expected_end_time().await.unwrap(), 0);
}

#[tokio::test]
async fn two_clients_start_and_stop_at_once() {
    let stage = Stage::with(MusicLibrary::with_tracks(60, 200_000), vec![Player::new()]).await;
    let all = stage.playlist_of_all("All").await;
    let mut events = stage.daemon.events().await;
    stage.create_partnership(stage.player(), &[&all], &mut events).await;
    let path = stage.device().inner().path().to_owned();
    let client = async |first: bool| {
        let bus = stage.daemon.connect().await;
        let builder = dbus_interfaces::proxies::DeviceProxy::builder(&bus).path(path.clone());
        let device = builder.cache_properties(CacheProperties::No).build().await.unwrap();
        for turn in 0..40 {
            let answer = if (turn % 2 == 0) == first { device.start().await } else { device.stop().await };
            answer.unwrap_or_else(|error| panic!("neither is ever an error: {error}"));
        }
    };
    tokio::join!(client(true), client(false));
    stage.device().start().await.unwrap();
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_call_is_not_missed() {
    let (stage, _) = in_a_run(30, 8 * MIB).await;
    let (device, root) = (stage.device().inner().path().to_owned(), names::ROOT_PATH);
    let library = stage.library().await.inner().path().to_owned();
    let value = Variant::from("True");
    let options = HashMap::from([("remove-content", &value)]);
    for turn in 0..20 {
        let bus = stage.daemon.connect().await;
        let call = |path: &str, interface: &str, member: &str| {
            let call = zbus::Message::method_call(path.to_owned(), member.to_owned());
            call.destination(names::BUS_NAME).interface(interface.to_owned())
        };
        let messages = [
            call(&device, names::DEVICE, "GetSyncResults").build(&()).unwrap(),
            call(&device, names::DEVICE, "Preview").build(&()).unwrap(),
            call(&device, names::DEVICE, "DeletePartnership").build(&(&options,)).unwrap(),
            call(&library, names::LIBRARY, "Scan").build(&()).unwrap(),
            call(&library, names::LIBRARY, "Search").build(&("(title contains 'Title')",)).unwrap(),
            call(root, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects").build(&()).unwrap(),
        ];
        for message in messages.iter().skip(turn % 3) {
            bus.send(message).await.unwrap();
        }
        bus.close().await.unwrap();
    }
    stage.in_step(stage.player()).await;
    assert_eq!(stage.device().status().await.unwrap(), "partnership-exists");
    assert!(!stage.daemon.stderr().contains("ERROR"), "an absent client is no error");
}

#[tokio::test]
async fn a_second_daemon_names_the_first() {
    let (stage, _) = in_a_run(20, 8 * MIB).await;
    let refused = kit::Daemon::builder().bus(stage.daemon.bus()).try_start().await.unwrap_err();
    let owner = stage.daemon.pid().unwrap().to_string();
    assert!(!refused.status.success() && refused.stderr.contains(&owner), "{}", refused.stderr);
    stage.in_step(stage.player()).await;
}

#[tokio::test]
async fn no_call_waits_for_a_run() {
    let (stage, _) = in_a_run(40, 8 * MIB).await;
    let device = stage.device();
    let asked = Instant::now();
    let refused = |error: zbus::Error| scenario::refusal(error).0;
    let none = zbus::ObjectPath::try_from("/").unwrap();
    let list = stage.playlist("All").await;
    assert_eq!(refused(device.preview().await.unwrap_err()), "SyncInProgress");
    let estimate = device.estimate_sync_size(list.inner().path(), &none).await;
    assert_eq!(refused(estimate.unwrap_err()), "SyncInProgress");
    device.set_friendly_name("While it runs").await.unwrap();
    device.get_item_info("SyncPercentComplete").await.unwrap();
    device.start().await.unwrap();
    stage.library().await.search("(title contains 'Title')").await.unwrap();
    assert!(asked.elapsed() < LIMIT / 10, "{:?}", asked.elapsed());
    assert_eq!(
        device.sync_state().await.unwrap(),
        "synchronizing",
        "all of it was asked in the middle of the run"
    );
    stage.in_step(stage.player()).await;
    assert_eq!(device.friendly_name().await.unwrap(), "While it runs");
}
