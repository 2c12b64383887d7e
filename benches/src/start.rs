//! From the start of the daemon to its name on the bus, and what it holds in memory when nothing goes on.

use crate::figures::{Memory, Table, median, shown};
use crate::stage::Stage;
use kit::MusicLibrary;

const ROUNDS: usize = 11;

/// Starts it again and again over the same state.
pub(crate) async fn measure(table: &mut Table) {
    let music = MusicLibrary::new();
    let mut stage = Stage::start(&music).await;
    stage.device().await;
    let mut times = Vec::new();
    let mut memory = None;
    for _ in 0..ROUNDS {
        stage.daemon.terminate().await;
        stage.daemon.restart().await;
        times.push(stage.daemon.start_time());
        stage.device().await;
        memory = stage.daemon.pid().map(Memory::of);
    }
    table.alone("start of the daemon to its name on the bus", &shown(median(times)), "≤ 30 ms");
    if let Some(memory) = memory {
        table.alone("resident memory of the daemon, idle, one player", &memory.to_string(), "≤ 9 MB");
    }
}
