//! A run is stopped, or its player unplugged, while its provider hangs in a call: nobody waits for that, and when the player
//! is there again with a provider that works, all is in step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{StreamExt, stream};
use players::shelf::Pool;
use providers::{Example, Harm, Stage};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TRACKS: [usize; 5] = [0, 1, 3, 5, 8];
/// How long a call may take: longer than anybody would wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long stopping may take, by the contract.
const STOPPED: Duration = Duration::from_secs(2);
/// How long it may take until a player that was unplugged and comes again is looked at.
const LOOKED_AT: Duration = Duration::from_secs(6);
/// Runs at a time.
const AT_ONCE: usize = 4;

/// What the user does while the provider hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Stop,
    Unplug,
}

/// Has the provider hang at this call; whether there was such a call.
async fn hangs(pool: &Arc<Pool>, call: u64, act: Act) -> bool {
    let plan = Some((call, Harm::Hang));
    let mut stage = Stage::patient(Example::DIRECTORY_PLAYER, pool, &TRACKS, plan, PATIENCE).await;
    stage.plug().await;
    if stage.begin().await.is_err() || !stage.reaches(call + 1).await {
        return false;
    }
    let since = Instant::now();
    if act == Act::Stop {
        stage.stop().await;
        assert!(since.elapsed() < STOPPED, "call {call}: stopping took {:?}", since.elapsed());
        let told = stage.failures();
        assert!(!told.iter().any(|failure| failure.contains("in time")), "call {call}: {told:?}");
    }
    let since = Instant::now();
    stage.recover().await.unwrap_or_else(|error| panic!("{act:?} at call {call}: {error}"));
    assert!(since.elapsed() < LOOKED_AT, "{act:?} at call {call}: {:?}", since.elapsed());
    stage.end().await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_provider_that_hangs() {
    let pool = Pool::new(10);
    let calls = (17..90).step_by(7).zip([Act::Stop, Act::Unplug].into_iter().cycle());
    let reached: Vec<bool> = stream::iter(calls)
        .map(|(call, act)| {
            let pool = Arc::clone(&pool);
            async move { hangs(&pool, call, act).await }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let count = reached.iter().filter(|reached| **reached).count();
    assert!(count >= 6, "{count} of {} calls", reached.len());
}
