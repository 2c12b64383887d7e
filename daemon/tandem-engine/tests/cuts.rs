//! What must hold after a run was cut, and of what others do to the device meanwhile. The engine is real, and so are
//! the store and the player; only the library is a stand-in.

mod support;

use std::fs::{File, FileTimes};
use std::time::Duration;
use support::World;
use tandem_model::device::Status;
use tandem_model::event::EngineEvent;
use tandem_model::id::PlaylistId;

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
    assert_eq!((own(&world), world.tree("player").len()), (8, 16 + 8 + 2));
    world.engine.delete_partnership(&device, true).await.unwrap();
    world.wait_for(|event| matches!(event, EngineEvent::StatusChanged(_, Status::PartnershipDeclined))).await;
    assert_eq!(own(&world), 8);
}
