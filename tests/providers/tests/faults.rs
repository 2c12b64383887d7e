//! A synchronisation through each example in which its provider does one thing wrong at one call. Afterwards, plugged in again
//! with a provider that works, all is as if nothing had: in step, nothing foreign touched, the manifest equal to the device.
//!
//! Each harm is done at every so many calls; with `TANDEM_EVERY=1`, at each.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{StreamExt, stream};
use players::shelf::Pool;
use providers::{Example, HARMS, Harm, Stage};
use std::path::Path;
use std::sync::Arc;
use tokio::process::Command;

/// Tracks of the pool that both examples take.
const TRACKS: [usize; 5] = [0, 1, 3, 5, 8];
const ADDED: usize = 9;
/// Runs at a time.
const AT_ONCE: usize = 12;
/// How often a player is plugged in again, at most, besides the first time.
const MORE: u32 = 2;
/// Every so many calls, unless `TANDEM_EVERY` says otherwise.
const EVERY: usize = 29;

const PYTHON: Example = Example {
    bus_name: "org.example.PythonPlayer",
    root: "/org/example/PythonPlayer",
    command: |player: &Path| {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus-interfaces/examples/directory_player.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(script).arg(player);
        command
    },
};

/// Partners, changes the library, synchronises. Tells how many calls that took.
async fn run(example: Example, pool: Arc<Pool>, plan: Option<(u64, Harm)>) -> Result<u64, String> {
    let mut stage = Stage::start(example, &pool, &TRACKS, plan).await;
    stage.plug().await;
    for act in ["partnering", "changing"] {
        if act == "changing" {
            stage.shelf.remove(TRACKS[0]);
            stage.shelf.add(TRACKS[1], 1);
            stage.shelf.add(ADDED, 0);
            let items = [TRACKS[3], TRACKS[1], ADDED, TRACKS[2], TRACKS[4]];
            stage.shelf.set_playlist(providers::PLAYLIST, items.to_vec());
        }
        let begun = stage.begin().await;
        let settled = match &begun {
            Ok(()) => stage.settled(plan.map_or(u64::MAX, |(at, _)| at)).await,
            Err(_) => Ok(()),
        };
        let damage = stage.damage();
        if !damage.is_empty() {
            return Err(format!("{act}, at once: {}", damage.join("\n")));
        }
        // a call that goes wrong need not cost anything
        let Err(wrong) = begun.and(settled) else { continue };
        if plan.is_none_or(|(at, _)| at >= stage.calls()) {
            return Err(format!("{act}: {wrong}"));
        }
        let mut recovered = stage.recover().await;
        for _ in 0..MORE {
            // on a busy machine a provider that works may be late too; nothing else is forgiven
            if recovered.is_err() && stage.was_late() {
                recovered = stage.recover().await;
            }
        }
        recovered.map_err(|error| format!("{act}, again: {error}"))?;
    }
    let calls = stage.calls();
    stage.end().await?;
    Ok(calls)
}

async fn sweep(example: Example) {
    let pool = Pool::new(ADDED + 1);
    let calls = run(example, Arc::clone(&pool), None).await.unwrap();
    assert!(calls > 60, "{calls} calls");
    let every = std::env::var("TANDEM_EVERY").map_or(EVERY, |text| text.parse().unwrap());
    // each harm begins at another call, so that together they strike more of them
    let plans = HARMS.into_iter().zip(0..).flat_map(|(harm, first)| {
        (0..calls).skip(first * 2 % every).step_by(every).map(move |call| (call, harm))
    });
    let plans: Vec<_> = plans.collect();
    let count = plans.len();
    let failed: Vec<String> = stream::iter(plans)
        .map(|plan| {
            let pool = Arc::clone(&pool);
            async move { run(example, pool, Some(plan)).await.err().map(|error| format!("{plan:?}: {error}")) }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    println!("{}: {count} faults over {calls} calls, {} failed", example.bus_name, failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_rust_is_kept_in_step() {
    sweep(Example::DIRECTORY_PLAYER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_python_is_kept_in_step() {
    let library = Command::new("/usr/bin/python3").args(["-c", "import dbus_next"]).output().await;
    if !library.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3-dbus-next isn't installed");
        return;
    }
    sweep(PYTHON).await;
}
