//! Proves that a run survives any cut: killed with SIGKILL at 50 random instants it still ends in step, with nothing
//! foreign touched, nothing temporary left, and at most one track sent again for each kill; and so it does when the
//! library agent is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crash::{Random, Stage, Witness};
use std::time::Duration;

const TRACKS: usize = 200;
const KILLS: usize = 50;

#[tokio::test]
async fn fifty_kills_cost_at_most_one_track_each() {
    let mut random = Random::new("fifty kills");
    let mut stage = Stage::start(TRACKS, 1_500_000).await;
    let playlist = stage.playlist("All", 0..TRACKS).await;
    let mut witness = Witness::of_player(stage.player.path());
    let goals = random.sorted_below(KILLS, TRACKS as u64);
    stage.partner(&[playlist]).await;
    let (mut named, mut discarded, mut adopted) = (0, 0, 0);
    for (kill, goal) in goals.into_iter().enumerate() {
        let goal = usize::try_from(goal).unwrap();
        // past the goal already: somewhere in the start, the clean-up or the comparison
        let delay = if named >= goal { 60 } else { 8 };
        let delay = random.time_below(Duration::from_millis(delay));
        witness.wait(|seen| seen.named >= goal).await;
        // a random instant, but not so late that the next goals are overtaken
        let overtaken = witness.wait(|seen| seen.named > goal + 16);
        let in_time = tokio::time::timeout(delay, overtaken).await.is_err();
        stage.daemon.kill().await;
        let seen = witness.seen().await;
        let in_flight = seen.begun - seen.named - seen.discarded;
        let how = if in_time { format!("{delay:?} after") } else { "a group after".to_owned() };
        println!("kill {:2}: {:3} files there, {how} {goal}; {in_flight} in flight", kill + 1, seen.named);
        assert!(seen.discarded - discarded <= 1, "the kill before cost more than one file");
        adopted += in_flight.saturating_sub(1);
        (named, discarded) = (seen.named, seen.discarded);
        stage.daemon.restart().await;
    }
    stage.wait_until_stopped().await;
    stage.run_until_in_step().await;
    let tracks: Vec<usize> = (0..TRACKS).collect();
    stage.check("All", &tracks);

    let seen = witness.seen().await;
    let files = TRACKS + 1;
    println!("{} files begun for {files}; {adopted} whole ones were in flight at kills", seen.begun);
    assert_eq!(seen.named, files, "each file got its final name once, over all runs");
    assert_eq!(seen.begun, files + seen.discarded, "nothing was sent again but what was only half there");
    assert!(seen.discarded <= KILLS, "{} files were sent again for {KILLS} kills", seen.discarded);
    let replaced: Vec<_> = seen
        .inodes
        .iter()
        .filter(|(path, inodes)| inodes.len() > 1 && !path.ends_with("WMPInfo.xml"))
        .collect();
    assert!(replaced.is_empty(), "final names with more than one file: {replaced:?}");
    let removed: Vec<_> =
        seen.removed.iter().filter(|path| path.parent() != Some(stage.player.path())).collect();
    assert!(removed.is_empty(), "removed: {removed:?}");
}

#[tokio::test]
async fn killed_agents_cost_no_more_than_their_run() {
    let mut random = Random::new("killed agents");
    let mut stage = Stage::start(60, 1_500_000).await;
    let playlist = stage.playlist("All", 0..60).await;
    let mut witness = Witness::of_player(stage.player.path());
    stage.partner(&[playlist]).await;
    for goal in random.sorted_below(3, 50) {
        let goal = usize::try_from(goal).unwrap();
        if witness.seen().await.named < goal {
            let device = stage.proxy().await;
            device.start().await.unwrap();
        }
        witness.wait(|seen| seen.named >= goal).await;
        stage.kill_agent();
        println!("agent killed with {} files there", witness.seen().await.named);
        stage.wait_until_stopped().await;
        stage.check_own();
        assert!(stage.daemon.pid().is_some_and(is_running), "the daemon lives on");
    }
    stage.run_until_in_step().await;
    let tracks: Vec<usize> = (0..60).collect();
    stage.check("All", &tracks);
    let seen = witness.seen().await;
    assert_eq!(seen.named, 61, "each file got its final name once");
    stage.daemon.terminate().await;
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
