//! A player that is plugged in, run and pulled out over and over: the daemon's memory and its descriptors stay what they
//! are. `TANDEM_CYCLES` says how often.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::{Flavour, cycles};

/// How often before anything is compared, so that whatever is kept for good is there: where few follow, and where many do.
const WARM_UP: (u64, u64) = (200, 1000);
/// How many connections are looked at together: what is only in use for a moment doesn't count.
const WINDOW: u64 = 50;
/// Bytes that the memory may grow by over many connections.
const GROWTH: u64 = 1 << 20;
/// Over a few it also moves by what the allocator keeps for each thread.
const FEW: (u64, u64) = (5000, 3 << 20);

/// Memory of the process's own, in bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn neither_memory_nor_descriptors_grow_with_connections() {
    let count: u64 = std::env::var("TANDEM_CYCLES").map_or(400, |text| text.parse().unwrap());
    let least = |known: &mut (u64, usize)| {
        *known = (known.0.min(memory()), known.1.min(descriptors()));
    };
    let (warm_up, allowed) = if count < FEW.0 { (WARM_UP.0, FEW.1) } else { (WARM_UP.1, GROWTH) };
    let (mut before, mut after) = ((u64::MAX, usize::MAX), (u64::MAX, usize::MAX));
    let runs = cycles(Flavour::Exact, warm_up + count, |number| {
        if (warm_up - WINDOW..warm_up).contains(&number) {
            least(&mut before);
        } else if number >= warm_up + count - WINDOW {
            least(&mut after);
        }
    });
    println!(
        "{runs} connections: memory {} KiB and then {} KiB, descriptors {} and then {}",
        before.0 / 1024,
        after.0 / 1024,
        before.1,
        after.1
    );
    assert_eq!(runs, warm_up + count);
    assert_eq!(after.1, before.1, "descriptors");
    assert!(after.0 < before.0 + allowed, "memory grew by {} bytes", after.0.saturating_sub(before.0));
}
