//! What a run does when nothing is recorded of what lies on the player: the record was lost, or the partnership is new. The
//! engine is real, and so are the store and the player; only the library is a stand-in.

#![allow(missing_docs, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod support;

use std::fs::File;
use std::path::Path;
use support::World;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
}

/// A player that holds these tracks, and a playlist of them.
async fn in_step(names: &[&str]) -> (World, DeviceId) {
    let mut world = World::new().await;
    for name in names {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", names);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    (world, device)
}

#[tokio::test]
async fn identical_files_are_adopted_others_stay_foreign_and_the_user_is_told() {
    for damaged in [false, true] {
        let (world, device) = in_step(&["a.mp3", "b.mp3", "c.mp3"]).await;
        let before = world.tree("player");
        let folder = world.player("player").join("Music/Ann/Live");
        let manifests = world.dir.path().join("state/manifests");
        let lose = || {
            for file in std::fs::read_dir(manifests).unwrap() {
                let file = file.unwrap().path();
                if damaged { put(&file, b"not a manifest") } else { std::fs::remove_file(file).unwrap() }
            }
            put(&folder.join("c.mp3"), b"mine!");
        };
        let mut world = world.restart_with(lose).await;
        world.plug("player").await;
        world.wait_synchronizing(&device).await;
        world.wait_stopped(&device).await;
        let tree = world.tree("player");
        for name in ["a.mp3", "b.mp3"].map(|name| format!("Music/Ann/Live/{name}")) {
            assert_eq!(tree[&name], before[&name]);
        }
        assert_eq!(tree["Music/Ann/Live/c.mp3"], b"mine!");
        assert_eq!(tree["Music/Ann/Live/c (2).mp3"], b"c.mp3");
        let copies = tree.keys().filter(|name| name.contains(" (2)")).collect::<Vec<_>>();
        assert_eq!(copies, ["Music/Ann/Live/c (2).mp3"], "the playlist was ours, and follows");
        let told = world.engine.results(&device).await.unwrap();
        let is_told = told.iter().any(|row| row.media.is_empty() && row.message.contains("was lost"));
        assert!(is_told, "{told:?}");
        // what was adopted goes with the partnership, and what is the user's stays
        world.engine.delete_partnership(&device, true).await.unwrap();
        let ended = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
        world.wait_for(ended).await;
        let left: Vec<_> = world.tree("player").into_keys().filter(|name| name != "WMPInfo.xml").collect();
        assert_eq!(left, ["Music/Ann/Live/c.mp3"]);
    }
}

#[tokio::test]
async fn what_an_ended_partnership_left_counts_as_there_and_stays_the_users() {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3", "c.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let first = world.tree("player");
    world.engine.delete_partnership(&device, false).await.unwrap();
    world.library.set("Q", &["a.mp3", "b.mp3", "c.mp3"]);
    world.partner(&device, &["Q"]).await;
    let tracks = |world: &World| {
        let tree = world.tree("player").into_keys();
        tree.filter_map(|name| name.strip_prefix("Music/Ann/Live/").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(tracks(&world), ["a.mp3", "b.mp3", "c.mp3"], "nothing is copied beside what is there");
    let list = String::from_utf8(world.tree("player")["Playlists/Q.m3u8"].clone()).unwrap();
    assert!(["a.mp3", "b.mp3", "c.mp3"].iter().all(|name| list.contains(name)), "{list}");
    assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.item_count, 3);
    assert!(world.engine.results(&device).await.unwrap().iter().all(|row| row.error.is_none()));
    let opened = *world.library.opened.borrow();
    world.sync(&device).await;
    assert_eq!(*world.library.opened.borrow(), opened, "a run with nothing to do copies nothing");
    // what the library changes comes beside it, for that is not ours to replace
    world.add_file("a.mp3", b"a, remastered");
    world.sync(&device).await;
    assert_eq!(tracks(&world), ["a (2).mp3", "a.mp3", "b.mp3", "c.mp3"]);
    // and what goes is only what the new partnership has brought
    world.library.set("Q", &[]);
    world.sync(&device).await;
    assert_eq!(tracks(&world), ["a.mp3", "b.mp3"]);
    assert_eq!(world.tree("player")["Music/Ann/Live/a.mp3"], first["Music/Ann/Live/a.mp3"]);
    world.engine.delete_partnership(&device, true).await.unwrap();
    let ended = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
    world.wait_for(ended).await;
    assert_eq!(tracks(&world), ["a.mp3", "b.mp3"]);
}

#[tokio::test]
async fn playlists_of_an_ended_partnership_count_as_there_until_they_are_others() {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("P", &["a.mp3", "b.mp3"]);
    let device = world.plug("player").await;
    world.partner(&device, &["P"]).await;
    let files = |world: &World| {
        let mut tree = world.tree("player");
        tree.remove("WMPInfo.xml");
        tree
    };
    let first = files(&world);
    for _ in 0..3 {
        world.engine.delete_partnership(&device, false).await.unwrap();
        world.partner(&device, &["P"]).await;
        assert_eq!(files(&world), first);
    }
    // another list comes beside it, for it isn't ours to replace, and is ours
    world.library.set("P", &["b.mp3"]);
    world.sync(&device).await;
    let (beside, list) = ("Playlists/P (2).m3u8", "Playlists/P.m3u8");
    assert_eq!(files(&world)[list], first[list]);
    assert!(!String::from_utf8_lossy(&files(&world)[beside]).contains("a.mp3"));
    world.library.set("P", &["a.mp3", "b.mp3"]);
    world.sync(&device).await;
    assert_eq!(files(&world)[beside], first[list]);
    // one that the user deletes comes again
    world.engine.delete_partnership(&device, true).await.unwrap();
    let ended = |event: &EngineEvent| matches!(event, EngineEvent::DeletePartnershipComplete { .. });
    world.wait_for(ended).await;
    assert_eq!(files(&world), first);
    world.partner(&device, &["P"]).await;
    std::fs::remove_file(world.player("player").join(list)).unwrap();
    world.sync(&device).await;
    assert_eq!(files(&world), first);
    // and goes with its assignment only when it is ours
    world.library.set("P", &[]);
    world.sync(&device).await;
    assert!(!files(&world).contains_key(list));
}

/// What lies in the player's folder of playlists, by name, with the time of its last change.
fn lists(world: &World) -> Vec<(String, std::time::SystemTime)> {
    let folder = std::fs::read_dir(world.player("player").join("Playlists")).unwrap();
    let file = |file: std::fs::DirEntry| {
        (file.file_name().into_string().unwrap(), file.metadata().unwrap().modified().unwrap())
    };
    let mut lists: Vec<_> = folder.map(|entry| file(entry.unwrap())).collect();
    lists.sort();
    lists
}

/// A player in step with two playlists whose files have one name.
async fn with_two_of_one_name() -> (World, DeviceId) {
    let mut world = World::new().await;
    for name in ["a.mp3", "b.mp3", "c.mp3"] {
        world.add_file(name, name.as_bytes());
    }
    world.library.set("A?C", &["a.mp3"]);
    world.library.set("A*C", &["b.mp3", "c.mp3"]);
    let device = world.plug("player").await;
    (world, device)
}

#[tokio::test]
async fn playlists_of_one_name_are_found_in_any_order() {
    let (mut world, device) = with_two_of_one_name().await;
    world.partner(&device, &["A?C", "A*C"]).await;
    let first = lists(&world);
    assert_eq!(first.len(), 2, "{first:?}");
    for order in [["A*C", "A?C"], ["A?C", "A*C"]] {
        world.engine.delete_partnership(&device, false).await.unwrap();
        world.partner(&device, &order).await;
        assert_eq!(lists(&world), first);
        world.sync(&device).await;
        assert_eq!(lists(&world), first);
    }
}

#[tokio::test]
async fn a_list_whose_numbered_name_is_the_users_gets_one_number_and_stays() {
    let (mut world, device) = with_two_of_one_name().await;
    let folder = world.player("player").join("Playlists");
    std::fs::create_dir_all(&folder).unwrap();
    put(&folder.join("A_C (2).m3u8"), b"mine!");
    world.partner(&device, &["A?C", "A*C"]).await;
    let first = lists(&world);
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A_C (2).m3u8", "A_C (3).m3u8", "A_C.m3u8"]);
    for _ in 0..2 {
        world.sync(&device).await;
        assert_eq!(lists(&world), first, "a run with nothing to do writes nothing");
    }
}

#[tokio::test]
async fn what_lies_under_a_numbered_name_is_found_behind_the_users_file() {
    for ended in [false, true] {
        let mut world = World::new().await;
        for name in ["a.mp3", "b.mp3"] {
            world.add_file(name, name.as_bytes());
        }
        world.library.set("P", &["a.mp3", "b.mp3"]);
        let device = world.plug("player").await;
        for (folder, name) in
            [("Music/Ann/Live", "a.mp3"), ("Music/Ann/Live", "a (2).mp3"), ("Playlists", "P.m3u8")]
        {
            let folder = world.player("player").join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            put(&folder.join(name), b"mine!");
        }
        world.partner(&device, &["P"]).await;
        let before = world.tree("player");
        assert_eq!(before["Music/Ann/Live/a (3).mp3"], b"a.mp3");
        assert!(before.contains_key("Playlists/P (2).m3u8"));
        if ended {
            // without a record they are the user's, and count as there; a list would have to be changed later
            world.engine.delete_partnership(&device, false).await.unwrap();
            world.library.set("P", &[]);
            world.library.set("Q", &["a.mp3", "b.mp3"]);
            world.partner(&device, &["Q"]).await;
            let added: Vec<_> =
                world.tree("player").into_keys().filter(|name| !before.contains_key(name)).collect();
            assert_eq!(added, ["Playlists/Q.m3u8"]);
        } else {
            let manifests = world.dir.path().join("state/manifests");
            let lose = || {
                std::fs::read_dir(manifests)
                    .unwrap()
                    .for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
            };
            let mut world = world.restart_with(lose).await;
            world.plug("player").await;
            world.wait_synchronizing(&device).await;
            world.wait_stopped(&device).await;
            assert_eq!(
                world.tree("player"),
                before,
                "tracks and list are ours again, and nothing comes beside them"
            );
            // they follow the library, and the user's don't
            world.add_file("a.mp3", b"a, remastered");
            world.sync(&device).await;
            let tree = world.tree("player");
            assert_eq!(tree["Music/Ann/Live/a (3).mp3"], b"a, remastered");
            assert_eq!(tree["Music/Ann/Live/a.mp3"], b"mine!");
            assert_eq!(tree.len(), before.len(), "{:?}", tree.keys());
        }
    }
}

#[tokio::test]
async fn what_was_away_for_a_run_and_is_back_as_it_was_is_ours_again() {
    let (mut world, device) = in_step(&["a.mp3", "b.mp3", "c.mp3"]).await;
    let folder = world.player("player").join("Music/Ann/Live");
    let away = world.dir.path().join("away");
    std::fs::create_dir(&away).unwrap();
    let names = ["a.mp3", "b.mp3"];
    let to_and_from = |from: &Path, to: &Path| {
        names.iter().for_each(|name| std::fs::rename(from.join(name), to.join(name)).unwrap());
    };
    to_and_from(&folder, &away);
    world.sync(&device).await;
    assert!(world.engine.snapshot(&device).unwrap().has_skipped_files);
    to_and_from(&away, &folder);
    // another one that has only the name stays the user's
    put(&folder.join("b.mp3"), b"mine!");
    world.sync(&device).await;
    assert_eq!(world.engine.snapshot(&device).unwrap().last_sync.item_count, 2);
    world.library.set("P", &["c.mp3"]);
    world.sync(&device).await;
    let tree = world.tree("player");
    assert!(!tree.contains_key("Music/Ann/Live/a.mp3"));
    assert_eq!(tree["Music/Ann/Live/b.mp3"], b"mine!");
}
