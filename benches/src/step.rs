//! Many tracks: a run that copies them all, for its memory, and runs that find nothing to do, against `rsync --dry-run`.

use crate::figures::{Memory, Table, median, shown};
use crate::others;
use crate::stage::Stage;
use kit::MusicLibrary;

const ROUNDS: usize = 5;

/// Fills a player once, then runs again with nothing to do.
pub(crate) async fn measure(table: &mut Table, music: &MusicLibrary, tracks: usize) {
    let stage = Stage::start(music).await;
    let device = stage.partner_with_everything(music).await;
    let filled = stage.timed_run(&device).await;
    let there = device.sync_item_count().await.expect("the daemon answers");
    assert_eq!(usize::try_from(there), Ok(tracks), "all tracks are on the player");
    table.alone(&format!("run that copies {tracks} tracks of 20 KB"), &shown(filled), "");
    let pid = stage.daemon.pid().expect("the daemon runs");
    table.alone(
        &format!("resident memory of the daemon after that run, {tracks} tracks"),
        &Memory::of(pid).to_string(),
        "≤ 32 MB",
    );
    let on_player = stage.players[0].path().join("Music");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(others::rsync(&["-a", "--dry-run"], music.dir(), &on_player));
        ours.push(stage.timed_run(&device).await);
    }
    table.against(
        &format!("run that finds nothing to do, {tracks} tracks"),
        median(ours),
        ("rsync -a --dry-run", median(theirs)),
        0.5,
    );
    table.alone(
        &format!("resident memory of the daemon after {ROUNDS} more runs"),
        &Memory::of(pid).to_string(),
        "≤ 32 MB",
    );
    let agent = Memory::of(stage.agent_pid());
    table.alone(
        &format!("resident memory of the agent after those runs, {tracks} tracks"),
        &agent.to_string(),
        "≤ 40 MB",
    );
}
