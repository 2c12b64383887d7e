//! Random histories, and those that have failed once. `TANDEM_HISTORIES` says how many, `TANDEM_SEED` where to begin.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::{History, played, shrink};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn random_histories_end_in_step() {
    let (count, first) = (number("TANDEM_HISTORIES", 3000), number("TANDEM_SEED", 1));
    let next = AtomicU64::new(first);
    let (runs, operations) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().len() >= 12 {
                        return;
                    }
                    let outcome = played(&History::of_seed(seed));
                    runs.fetch_add(outcome.runs, Ordering::Relaxed);
                    operations.fetch_add(outcome.operations, Ordering::Relaxed);
                    if !outcome.violations.is_empty() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    println!(
        "{count} histories, {} runs, {} operations in {:?}",
        runs.load(Ordering::Relaxed),
        operations.load(Ordering::Relaxed),
        begun.elapsed()
    );
    let failed = failed.into_inner().unwrap();
    for seed in &failed {
        let smallest = shrink(&History::of_seed(*seed), |history| !played(history).violations.is_empty());
        println!("seed {seed}: {}", serde_json::to_string(&smallest).unwrap());
        for violation in played(&smallest).violations {
            println!("    {violation}");
        }
    }
    assert!(failed.is_empty(), "{} of {count} histories failed", failed.len());
}

/// Plays the history that `TANDEM_HISTORY` holds, and tells what was done.
#[test]
fn one_history_is_played_again() {
    let Ok(text) = std::env::var("TANDEM_HISTORY") else { return };
    let outcome = played(&serde_json::from_str(&text).unwrap());
    println!("{}", outcome.names.join(" "));
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

#[test]
fn what_has_failed_once_ends_in_step() {
    let histories: Vec<History> =
        include_str!("regressions.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<String> = histories
        .iter()
        .filter_map(|history| {
            let violations = played(history).violations;
            let text = || serde_json::to_string(history).unwrap();
            (!violations.is_empty()).then(|| format!("{}\n    {}", text(), violations.join("\n    ")))
        })
        .collect();
    println!("{} histories that have failed once", histories.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_same_history_is_the_same_again() {
    for seed in 0..60 {
        let history = History::of_seed(seed);
        let (one, two) = (played(&history), played(&history));
        let apart = one.names.iter().zip(&two.names).position(|(one, two)| one != two);
        let around = |names: &[&'static str]| {
            apart.map(|at| names[at.saturating_sub(12)..names.len().min(at + 6)].join(" "))
        };
        assert_eq!(around(&one.names), around(&two.names), "seed {seed}");
        assert_eq!((one.violations, one.names.len()), (two.violations, two.names.len()), "seed {seed}");
    }
}
