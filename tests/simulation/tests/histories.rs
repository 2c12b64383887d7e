//! Random histories, and those that have failed once. `TANDEM_HISTORIES` says how many, `TANDEM_SEED` where to begin.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::{History, Outcome, Stores, played, shrink};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many histories there are unless something else is said.
const HISTORIES: u64 = 100_000;
/// One of so many is played with the real stores too.
const REAL: u64 = 50;
/// As many that failed say enough.
const ENOUGH: usize = 12;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// Plays the histories of so many seeds, and makes those small that fail.
fn histories_end_in_step(stores: Stores, first: u64, count: u64) {
    let next = AtomicU64::new(first);
    let (played_, runs, operations) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let promised = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    let outcome = played(&History::of_seed(seed), stores);
                    played_.fetch_add(1, Ordering::Relaxed);
                    runs.fetch_add(outcome.runs, Ordering::Relaxed);
                    operations.fetch_add(outcome.operations, Ordering::Relaxed);
                    promised.fetch_add(outcome.promised, Ordering::Relaxed);
                    if !outcome.violations.is_empty() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "{} histories ({stores:?} stores), {} runs, {} operations, {} files promised and written, in {:?}, {} violations",
        played_.into_inner(),
        runs.into_inner(),
        operations.into_inner(),
        promised.load(Ordering::Relaxed),
        begun.elapsed(),
        failed.len()
    );
    for seed in &failed {
        let fails = |history: &History| !played(history, stores).violations.is_empty();
        let smallest = shrink(&History::of_seed(*seed), fails);
        println!("seed {seed}: {}", serde_json::to_string(&smallest).unwrap());
        for violation in played(&smallest, stores).violations {
            println!("    {violation}");
        }
    }
    assert!(failed.is_empty(), "{} of {count} histories failed", failed.len());
    assert!(promised.into_inner() > count / 2, "previews promise something");
}

#[test]
fn random_histories_end_in_step() {
    histories_end_in_step(Stores::Memory, number("TANDEM_SEED", 1), number("TANDEM_HISTORIES", HISTORIES));
}

#[test]
fn random_histories_on_the_real_stores_end_in_step() {
    let count = number("TANDEM_HISTORIES", HISTORIES) / REAL;
    histories_end_in_step(Stores::Real, number("TANDEM_SEED", 1), count);
}

/// Plays the history that `TANDEM_HISTORY` holds, and tells what was done.
#[test]
fn one_history_is_played_again() {
    let Ok(text) = std::env::var("TANDEM_HISTORY") else { return };
    let outcome = played(&serde_json::from_str(&text).unwrap(), Stores::Memory);
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
            let violations = played(history, Stores::Memory).violations;
            let text = || serde_json::to_string(history).unwrap();
            (!violations.is_empty()).then(|| format!("{}\n    {}", text(), violations.join("\n    ")))
        })
        .collect();
    println!("{} histories that have failed once", histories.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_same_history_is_the_same_again_and_with_either_stores() {
    for seed in 0..200 {
        let history = History::of_seed(seed);
        let one = played(&history, Stores::Memory);
        for stores in [Stores::Memory, Stores::Real] {
            let two = played(&history, stores);
            let apart = one.names.iter().zip(&two.names).position(|(one, two)| one != two);
            let around = |names: &[&'static str]| {
                apart.map(|at| names[at.saturating_sub(12)..names.len().min(at + 6)].join(" "))
            };
            assert_eq!(around(&one.names), around(&two.names), "seed {seed}, {stores:?}");
            let told = |outcome: &Outcome| (outcome.violations.clone(), outcome.names.len(), outcome.skipped);
            assert_eq!(told(&one), told(&two), "seed {seed}, {stores:?}");
        }
    }
}
