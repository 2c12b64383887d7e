//! What the engine costs by itself: a plan and a run with nothing to do for 50,000 tracks, the record that a run keeps, and
//! sixteen players at once. The daemon's log tells what can't be seen from outside.

use crate::figures::{Memory, Table, median, shown};
use crate::stage::{Stage, tagged_files};

/// Tracks of a very large library.
const MANY: usize = 50_000;
/// Bytes of each, about.
const SMALL: u64 = 1000;
const ROUNDS: usize = 5;
/// Songs of a usual size, for what the record costs.
const SONGS: (usize, u64) = (1000, 400_000);
/// Players at once, and the songs that each of them gets.
const PLAYERS: usize = 16;
const EACH: (usize, u64) = (200, 100_000);
/// The log with what the engine says of its own times.
const LOG: &str = "[log]\nlevel = \"debug\"\n";

/// All of it.
pub(crate) async fn measure(table: &mut Table) {
    many(table).await;
    record(table).await;
    sixteen(table).await;
}

async fn many(table: &mut Table) {
    println!("making {MANY} tagged files");
    let music = tagged_files(MANY, SMALL);
    let stage = Stage::start_with(&music, 1, LOG).await;
    let device = stage.partner_with_everything(&music).await;
    stage.timed_run(&device).await;
    let there = device.sync_item_count().await.expect("the daemon answers");
    assert_eq!(usize::try_from(there), Ok(MANY), "all tracks are on the player");
    let (mut runs, mut plans) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        runs.push(stage.timed_run(&device).await);
        plans.push(stage.logged("planned"));
    }
    table.alone(&format!("plan for {MANY} tracks that are all there"), &shown(median(plans)), "≤ 200 ms");
    table.alone(&format!("run that finds nothing to do, {MANY} tracks"), &shown(median(runs)), "≤ 1 s");
    let memory = Memory::of(stage.daemon.pid().expect("the daemon runs"));
    table.alone(&format!("resident memory of the daemon, {MANY} tracks"), &memory.to_string(), "≤ 60 MB");
}

async fn record(table: &mut Table) {
    let (count, size) = SONGS;
    let music = tagged_files(count, size);
    let (mut shares, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let stage = Stage::start_with(&music, 1, LOG).await;
        let device = stage.partner_with_everything(&music).await;
        let run = stage.timed_run(&device).await;
        shares.push(stage.logged("recorded"));
        runs.push(run);
    }
    let (share, run) = (median(shares), median(runs));
    let percent = share.as_secs_f64() * 100.0 / run.as_secs_f64();
    let figure = format!("{percent:.1} % of {}", shown(run));
    table.alone(&format!("record of a run that copies {count} files of {size} bytes"), &figure, "< 5 %");
}

async fn sixteen(table: &mut Table) {
    let (count, size) = EACH;
    let music = tagged_files(count, size);
    let mut times = Vec::new();
    for players in [1, PLAYERS] {
        let mut each = Vec::new();
        for _ in 0..3 {
            let stage = Stage::start_with(&music, players, "").await;
            let devices = stage.partner_all_with_everything(&music).await;
            let before = stage.daemon_time();
            stage.timed_runs(&devices).await;
            each.push(
                (stage.daemon_time() - before)
                    / u32::try_from(players).expect("sixteen players fit into a u32"),
            );
        }
        times.push(median(each));
    }
    table.against(
        &format!("processor time for each of {PLAYERS} players at once, {count} files of {size} bytes"),
        times[1],
        ("one alone", times[0]),
        1.0,
    );
}
