//! What must hold after a run was cut, and of what others do to the device meanwhile. The engine is real, and so are
//! the store and the player; only the library is a stand-in.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::collections::HashSet;
use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use support::World;
use tandem_engine::Setting;
use tandem_model::device::Status;
use tandem_model::error::ItemError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId};
use tandem_model::manifest::{Entry, Intent, ManifestStore, Origin};
use tandem_model::partnership::PartnershipStore;
use tandem_model::path::DevicePath;

#[tokio::test]
async fn the_users_own_copies_stay_his_when_a_run_is_cut() {
    let mut world = World::new().await;
    let files: Vec<String> = (0..16).map(|n| format!("{n:02}.mp3")).collect();
    for file in &files {
        world.add_file(file, &vec![1; 1 << 20]);
    }
    world.library.set("P", &files.iter().map(String::as_str).collect::<Vec<_>>());
    let device = world.plug("player").await;
    // what `cp -p` makes: the same bytes and the same time, under the names that the run wants
    let folder = world.player("player").join("Music/Ann/Live");
    std::fs::create_dir_all(&folder).unwrap();
    for file in &files[8..] {
        let source = world.library.folder.join(file);
        std::fs::copy(&source, folder.join(file)).unwrap();
        let times = FileTimes::new().set_modified(source.metadata().unwrap().modified().unwrap());
        File::options().write(true).open(folder.join(file)).unwrap().set_times(times).unwrap();
    }
    let own = |world: &World| {
        let tree = world.tree("player");
        files[8..].iter().filter(|file| tree.contains_key(&format!("Music/Ann/Live/{file}"))).count()
    };
    let playlists = Some(vec![PlaylistId("P".to_owned())]);
    world.engine.create_partnership(&device, support::OWNER, playlists).await.unwrap();
    world.wait_synchronizing(&device).await;
    let temporary = world.player("player").join(".tandem");
    let begun = async {
        while !temporary.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    let mut world = world.cut().await;
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    assert_eq!((own(&world), world.tree("player").len()), (8, 16 + 2), "his copies are what belongs there");
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::StatusChanged(_, Status::PartnershipDeclined))).await;
    assert_eq!(own(&world), 8);
}

/// A player in step with a playlist of two tracks.
async fn in_step() -> (World, DeviceId) {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    (world, device)
}

fn put(path: &std::path::Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
}

/// The player after the daemon was started again and its run has ended.
async fn after_restart(world: World, device: &DeviceId) -> World {
    let mut world = world.restart().await;
    world.plug("player").await;
    world.wait_synchronizing(device).await;
    world.wait_stopped(device).await;
    world
}

#[tokio::test]
async fn files_with_names_like_our_temporary_ones_are_the_users() {
    let mut world = World::new().await;
    let own = [".tandem/0.part", ".tandem/mine.part", "WMPInfo.xml.new"];
    for name in own {
        put(&world.player("player").join(name), b"the user's own");
    }
    world.add_file("a.mp3", b"song a");
    world.library.set("P", &["a.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let mut world = after_restart(world, &device).await;
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::DeletePartnershipComplete { .. })).await;
    assert_eq!(world.tree("player").into_keys().collect::<Vec<_>>(), own);
}

/// Waits until so many files lie whole under their temporary names; gives those.
async fn sent(world: &World, count: usize) -> Vec<PathBuf> {
    let folder = world.player("player").join(".tandem");
    let whole = |path: &PathBuf| {
        let library = std::fs::read_dir(&world.library.folder).unwrap().map(|file| file.unwrap().path());
        let times: Vec<_> = library.map(|file| file.metadata().unwrap().modified().unwrap()).collect();
        path.metadata().is_ok_and(|there| times.contains(&there.modified().unwrap()))
    };
    let look = async {
        loop {
            let files = std::fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path());
            let files: Vec<PathBuf> = files.filter(whole).collect();
            if files.len() == count {
                return files;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap()
}

/// Waits until so many tracks have their names: what a thread has begun it ends, though the engine is ended meanwhile.
async fn named(world: &World, count: usize) {
    let folder = world.player("player").join("Music/Ann/Live");
    let look = async {
        while std::fs::read_dir(&folder).into_iter().flatten().count() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_whole_when_the_run_was_cut_is_not_sent_again() {
    let mut world = World::new().await;
    let files = ["a.mp3", "b.mp3", "c.mp3", "d.mp3"];
    for name in files {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.library.set("P", &files);
    world.start_and_hold(&device, 3).await;
    let temporary = sent(&world, 3).await;
    let mut world = world.cut().await;
    // as a power cut may leave it: the size and the time, but not the bytes
    let torn = temporary.iter().find(|path| std::fs::read(path).unwrap() == b"b.mp3").unwrap();
    let modified = torn.metadata().unwrap().modified().unwrap();
    put(torn, &[0; 5]);
    File::options().write(true).open(torn).unwrap().set_modified(modified).unwrap();
    // FAT may have lost the long names of two
    for path in [torn, temporary.iter().find(|path| *path != torn).unwrap()] {
        let stem: String = path.file_name().unwrap().to_str().unwrap().chars().take(6).collect();
        let short = format!("{}~1.PAR", stem.to_uppercase());
        std::fs::rename(path, path.with_file_name(short)).unwrap();
    }
    world.release();
    world.library.tracks_opened.lock().unwrap().clear();
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    let tree = world.tree("player");
    for name in files {
        assert_eq!(tree[&format!("Music/Ann/Live/{name}")], name.as_bytes());
    }
    assert_eq!(
        tree.len(),
        files.len() + 2,
        "besides the playlist and the mark nothing is there: {:?}",
        tree.keys()
    );
    let opened: HashSet<_> = world.library.tracks_opened.lock().unwrap().drain(..).collect();
    assert_eq!(opened.len(), 2, "the torn file and the one that was not sent");
}

#[tokio::test]
async fn folders_that_a_cut_run_made_go_when_nothing_needs_them() {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.start_and_hold(&device, 1).await;
    sent(&world, 1).await;
    assert!(world.player("player").join("Music/Ann/Live").exists());
    let mut world = world.cut().await;
    world.release();
    world.library.set("P", &[]);
    world.plug("player").await;
    world.wait_synchronizing(&device).await;
    world.wait_stopped(&device).await;
    let left: Vec<_> =
        std::fs::read_dir(world.player("player")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["WMPInfo.xml"]);
}

#[tokio::test]
async fn a_file_that_was_moved_aside_when_the_run_was_cut_is_gone_or_put_back() {
    let aside = |number: u8| DevicePath::parse(&format!(".tandem/{number}.part")).unwrap();
    let (world, device) = in_step().await;
    let entries = world.manifest().entries().unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry.path.name() == name).unwrap().id;
    let delete = |name, number| Intent::Delete { entry: entry(name), aside: aside(number) };
    world.manifest().commit(&[], &[delete("a.mp3", 1), delete("b.mp3", 2)]).unwrap();
    let player = world.player("player");
    std::fs::create_dir(player.join(".tandem")).unwrap();
    std::fs::rename(player.join("Music/Ann/Live/a.mp3"), player.join(".tandem/1.part")).unwrap();
    // another program had put its own file there just before
    std::fs::remove_file(player.join("Music/Ann/Live/b.mp3")).unwrap();
    put(&player.join(".tandem/2.part"), b"somebody else's");
    world.library.set("P", &[]);
    let world = after_restart(world, &device).await;
    let tree = world.tree("player");
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["Music/Ann/Live/b.mp3", "WMPInfo.xml"]);
    assert_eq!(tree["Music/Ann/Live/b.mp3"], b"somebody else's");
}

#[tokio::test]
async fn what_changed_names_with_a_replacement_when_the_run_was_cut_is_gone_or_put_back() {
    for (there, is_ours) in [(&b"a.mp3"[..], true), (b"somebody else's", false)] {
        let (world, device) = in_step().await;
        let entry =
            world.manifest().entries().unwrap().into_iter().find(|e| e.path.name() == "a.mp3").unwrap();
        world.add_file("a.mp3", b"song a, remastered");
        let source = world.library.folder.join("a.mp3");
        let modified = source.metadata().unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        let intent = Intent::Write {
            origin: entry.origin.clone(),
            path: entry.path.clone(),
            temporary: DevicePath::parse(".tandem/1.part").unwrap(),
            size: 18,
            modified_ns: i64::try_from(since.as_nanos()).unwrap(),
            replaces: Some(entry.id),
        };
        world.manifest().commit(&[], &[intent]).unwrap();
        let player = world.player("player");
        std::fs::create_dir(player.join(".tandem")).unwrap();
        let place = player.join(entry.path.as_str());
        std::fs::rename(&place, player.join(".tandem/1.part")).unwrap();
        if !is_ours {
            put(&player.join(".tandem/1.part"), there);
        }
        std::fs::copy(&source, &place).unwrap();
        File::options()
            .write(true)
            .open(&place)
            .unwrap()
            .set_times(FileTimes::new().set_modified(modified))
            .unwrap();
        let world = after_restart(world, &device).await;
        let tree = world.tree("player");
        assert_eq!(tree["Music/Ann/Live/a.mp3"], b"song a, remastered");
        assert_eq!(tree.get("Music/Ann/Live/a (2).mp3").map(Vec::as_slice), (!is_ours).then_some(there));
        assert!(!player.join(".tandem").exists());
    }
}

/// The repair of a file system cuts files short that a power cut has left with clusters of others; their times stay.
#[tokio::test]
async fn what_a_repair_has_cut_short_is_sent_anew() {
    let (world, device) = in_step().await;
    world.add_file("a.mp3", b"song a, remastered");
    world.add_file("c.mp3", b"song c");
    world.add_file("d.mp3", b"song d");
    let entries = world.manifest().entries().unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry.path.name() == name).unwrap().clone();
    let (old, gone) = (entry("a.mp3"), entry("b.mp3"));
    let time_of = |name: &str| world.library.folder.join(name).metadata().unwrap().modified().unwrap();
    let write = |name: &str, size: u64, replaces: Option<i64>, number: u8| {
        let since = time_of(name).duration_since(std::time::UNIX_EPOCH).unwrap();
        Intent::Write {
            origin: Origin::Track(world.library.uri(name)),
            path: DevicePath::parse(&format!("Music/Ann/Live/{name}")).unwrap(),
            temporary: DevicePath::parse(&format!(".tandem/{number}.part")).unwrap(),
            size,
            modified_ns: i64::try_from(since.as_nanos()).unwrap(),
            replaces,
        }
    };
    let aside = DevicePath::parse(".tandem/2.part").unwrap();
    let intents = [
        write("a.mp3", 18, Some(old.id), 1),
        Intent::Delete { entry: gone.id, aside },
        write("c.mp3", 6, None, 3),
        write("d.mp3", 6, None, 4),
    ];
    world.manifest().commit(&[], &intents).unwrap();
    let player = world.player("player");
    let leave = |path: &str, bytes: &[u8], modified: SystemTime| {
        let place = player.join(path);
        put(&place, bytes);
        File::options().write(true).open(place).unwrap().set_modified(modified).unwrap();
    };
    let kept = |entry: &Entry| player.join(entry.path.as_str()).metadata().unwrap().modified().unwrap();
    leave("Music/Ann/Live/a.mp3", b"", time_of("a.mp3"));
    leave(".tandem/1.part", b"a", kept(&old));
    leave(".tandem/2.part", b"", kept(&gone));
    leave("Music/Ann/Live/b.mp3", b"b.", kept(&gone));
    leave("Music/Ann/Live/c.mp3", b"song", time_of("c.mp3"));
    // FAT writes a name before it writes where its file lies
    leave("Music/Ann/Live/d.mp3", b"", time_of("d.mp3") + Duration::from_secs(60));
    world.library.set("P", &["a.mp3", "c.mp3", "d.mp3"]);
    let world = after_restart(world, &device).await;
    let tree = world.tree("player");
    let names: Vec<_> = tree.keys().map(String::as_str).collect();
    let tracks = ["Music/Ann/Live/a.mp3", "Music/Ann/Live/c.mp3", "Music/Ann/Live/d.mp3"];
    assert_eq!(names, [&tracks[..], &["Playlists/P.m3u8", "WMPInfo.xml"]].concat());
    let bytes: [&[u8]; 3] = [b"song a, remastered", b"song c", b"song d"];
    assert_eq!(tracks.map(|track| &tree[track][..]), bytes);
    assert!(!player.join(".tandem").exists());
}

/// A shorter file with another time is one that somebody wrote.
#[tokio::test]
async fn a_shorter_file_of_another_time_stays_the_users() {
    let (world, device) = in_step().await;
    let entry =
        world.manifest().entries().unwrap().into_iter().find(|entry| entry.path.name() == "a.mp3").unwrap();
    let aside = DevicePath::parse(".tandem/1.part").unwrap();
    world.manifest().commit(&[], &[Intent::Delete { entry: entry.id, aside }]).unwrap();
    let place = world.player("player").join(entry.path.as_str());
    let modified = place.metadata().unwrap().modified().unwrap() + Duration::from_secs(60);
    put(&place, b"a");
    File::options().write(true).open(&place).unwrap().set_modified(modified).unwrap();
    world.library.set("P", &["b.mp3"]);
    let world = after_restart(world, &device).await;
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], b"a");
}

/// What a power cut may leave of a replacement that has its name: its time, and not all of its bytes. It is ours, is
/// replaced, and leaves nothing beside it; what the user has changed meanwhile has a time of its own and is his.
#[tokio::test]
async fn a_replacement_that_lost_its_bytes_to_a_power_cut_is_sent_again() {
    let song = b"song a, remastered";
    let torn: [(&[u8], bool); 4] =
        [(&[0; 18], true), (b"song a", true), (b"", true), (b"the user's edit", false)];
    for (there, is_ours) in torn {
        let (world, device) = in_step().await;
        let entries = world.manifest().entries().unwrap();
        let entry = entries.into_iter().find(|entry| entry.path.name() == "a.mp3").unwrap();
        world.add_file("a.mp3", song);
        let modified = world.library.folder.join("a.mp3").metadata().unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        let intent = Intent::Write {
            origin: entry.origin.clone(),
            path: entry.path.clone(),
            temporary: DevicePath::parse(".tandem/1.part").unwrap(),
            size: song.len() as u64,
            modified_ns: i64::try_from(since.as_nanos()).unwrap(),
            replaces: Some(entry.id),
        };
        world.manifest().commit(&[], &[intent]).unwrap();
        let place = world.player("player").join(entry.path.as_str());
        put(&place, there);
        let time = if is_ours { modified } else { modified + Duration::from_secs(90) };
        File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
        let mut world = after_restart(world, &device).await;
        let tree = world.tree("player");
        assert_eq!(tree["Music/Ann/Live/a.mp3"], if is_ours { song } else { there });
        assert_eq!(tree.len(), 4, "{:?}", tree.keys());
        world.sync(&device).await;
        assert_eq!(world.tree("player"), tree, "it stays so");
    }
}

#[tokio::test]
async fn the_manifest_of_an_ended_partnership_goes_at_the_next_start() {
    let (world, _) = in_step().await;
    let state = world.dir.path().join("state");
    let ended = Guid(77);
    drop(tandem_store::SqliteManifests::new(state.clone()).open(ended).unwrap());
    let store = tandem_store::PartnershipFile::new(state.clone());
    let mut record = store.load().unwrap();
    record.ended.push(ended);
    let world = world.restart_with(|| store.save(&record).unwrap()).await;
    let files: Vec<_> =
        std::fs::read_dir(state.join("manifests")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(store.load().unwrap().ended.is_empty());
    drop(world);
}

#[tokio::test]
async fn a_run_that_is_cut_is_in_the_history_and_each_file_is_counted_once() {
    let mut world = World::new().await;
    // more than two groups
    let files: Vec<String> = (0..140).map(|n| format!("{n:03}.mp3")).collect();
    for file in &files {
        world.add_file(file, &vec![7; 1000]);
    }
    world.library.set("P", &[]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    world.engine.set(&device, Setting::SyncOnConnect(false)).await.unwrap();
    let before = world.engine.history(&device).await;
    world.library.set("P", &files.iter().map(String::as_str).collect::<Vec<_>>());
    world.start_and_hold(&device, 138).await;
    assert_eq!(world.engine.history(&device).await, before, "a run that goes on isn't there yet");
    named(&world, 138).await;
    // the next one is asked for once more by a group of its own, when that and what was done before it are recorded
    let mut asked = world.library.opened.subscribe();
    tokio::time::timeout(Duration::from_secs(20), asked.wait_for(|count| *count >= 140))
        .await
        .unwrap()
        .unwrap();
    drop(asked);
    let mut world = world.cut().await;
    world.release();
    // before the player is there again
    let cut = world.engine.history(&device).await;
    assert_eq!((cut.len(), &cut[1..]), (before.len() + 1, &before[..]));
    let run = &cut[0];
    assert_eq!(run.failure, Some(ItemError::Interrupted));
    assert!(run.ended >= run.began && run.began > 0, "its end is when it recorded something last: {run:?}");
    let known = world.engine.snapshot(&device).unwrap();
    assert_eq!((known.connected, known.status), (false, Status::PartnershipExists), "the record tells of it");
    assert!(run.change_count > 0 && run.change_count < 140, "{run:?}");
    assert_eq!((run.item_count, run.written_bytes), (run.change_count, u64::from(run.change_count) * 1000));
    let results = world.engine.results(&device).await.unwrap();
    assert_eq!((results[0].error, results[0].media.as_str()), (Some(ItemError::Interrupted), ""));

    // a run that can't even look at the player doesn't hide it
    world.plug("player").await;
    std::fs::rename(world.player("player"), world.player("away")).unwrap();
    world.sync(&device).await;
    let runs = world.engine.history(&device).await;
    assert_eq!(runs.iter().filter(|run| run.failure == Some(ItemError::Interrupted)).count(), 1, "{runs:#?}");
    std::fs::rename(world.player("away"), world.player("player")).unwrap();

    world.sync(&device).await;
    let mut runs = world.engine.history(&device).await;
    let failed = runs.iter().position(|run| run.failure.is_some_and(|error| error != ItemError::Interrupted));
    runs.remove(failed.unwrap());
    assert_eq!(&runs[1..], &cut[..], "it stays there once");
    let list = world.tree("player")["Playlists/P.m3u8"].len() as u64;
    assert_eq!(
        cut[0].change_count + runs[0].change_count,
        140 + 1,
        "the list is no track, and a file counts once"
    );
    assert_eq!(cut[0].written_bytes + runs[0].written_bytes, 140 * 1000 + list);
    assert_eq!((runs[0].failure, runs[0].item_count), (None, 140));
    assert!(world.engine.results(&device).await.unwrap().iter().all(|row| row.error.is_none()));
    assert_eq!(world.manifest().open_run(), Ok(None), "a run that ended is not open any more");
}
