//! Copying through a service provider, the example in Rust whose player is a directory, against the built-in player of a
//! folder on the same file system.

use crate::figures::{Table, median};
use crate::others;
use crate::stage::{Stage, tagged_files};
use kit::{MusicLibrary, program, started};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

const ROUNDS: usize = 15;
const BUS_NAME: &str = "org.example.DirectoryPlayer";
/// At least nine tenths of the folder's throughput.
const AIM: f64 = 1.11;

/// Copies large files, then small ones, by both in turns.
pub(crate) async fn measure(table: &mut Table) {
    for (files, size, told) in
        [(250, 4 << 20, "1 GiB in 250 files"), (1000, 400_000, "400 MB in 1,000 files")]
    {
        println!("making {told}");
        let music = tagged_files(files, size);
        let (mut provided, mut folder) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            provided.push(through_provider(&music, files).await);
            folder.push(into_folder(&music, files).await);
        }
        let what = format!("copy of {told} through a provider");
        table.against(&what, median(provided), ("a folder", median(folder)), AIM);
    }
}

async fn into_folder(music: &MusicLibrary, files: usize) -> Duration {
    let stage = Stage::start(music).await;
    timed(&stage, music, files).await
}

async fn through_provider(music: &MusicLibrary, files: usize) -> Duration {
    let mut stage = Stage::start_with(music, 0, "").await;
    let player = TempDir::with_prefix("tandem-player-").expect("the temporary directory can be written");
    let mut command = Command::new(program("examples/directory_player"));
    let mut process =
        started(stage.daemon.bus(), BUS_NAME, command.arg(player.path()).arg("--register")).await;
    stage.players.push(player);
    let took = timed(&stage, music, files).await;
    process.kill().await.expect("the provider is still there");
    took
}

async fn timed(stage: &Stage, music: &MusicLibrary, files: usize) -> Duration {
    let device = stage.partner_with_everything(music).await;
    // nothing of an earlier run is still to be written
    others::drop_caches();
    let warm = others::files(music.dir()).iter().filter(|path| std::fs::read(path).is_ok()).count();
    assert!(warm >= files, "the sources are read from memory");
    let took = stage.timed_run(&device).await;
    let there = device.sync_item_count().await.expect("the daemon answers");
    assert_eq!(usize::try_from(there), Ok(files), "all files are on the player");
    took
}
