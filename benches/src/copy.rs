//! Copying large files: a run against `rsync -a --fsync`, each from a cold cache where that is allowed.

use crate::figures::{Table, median};
use crate::others;
use crate::stage::{Stage, tagged_files};
use tempfile::TempDir;

const ROUNDS: usize = 3;
const FILES: usize = 500;
const SIZE: u64 = 4 << 20;

/// Copies 2 GB in 500 files, by both in turns.
pub(crate) async fn measure(table: &mut Table) {
    println!("making {FILES} files of {} MiB", SIZE >> 20);
    let music = tagged_files(FILES, SIZE);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut cold = true;
    for _ in 0..ROUNDS {
        let stage = Stage::start(&music).await;
        let device = stage.partner_with_everything(&music).await;
        cold &= others::drop_caches();
        ours.push(stage.timed_run(&device).await);
        let there = device.sync_item_count().await.expect("the daemon answers");
        assert_eq!(usize::try_from(there), Ok(FILES), "all files are on the player");
        drop(stage);
        let target = TempDir::with_prefix("tandem-rsync-").expect("the temporary directory can be written");
        cold &= others::drop_caches();
        theirs.push(others::rsync(&["-a", "--fsync"], music.dir(), target.path()));
    }
    let cache = if cold { "cold" } else { "warm" };
    table.against(
        &format!("copy of 2 GiB in {FILES} files, {cache} cache"),
        median(ours),
        ("rsync -a --fsync", median(theirs)),
        1.0,
    );
}
