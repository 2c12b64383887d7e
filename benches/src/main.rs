//! Measures the daemon and the library agent against other tools, in one run on one file system, and prints a table. It
//! asserts nothing: figures are for people, and machines differ.
//!
//! `make bench` builds and runs it; `TMPDIR` says on which file system. Names of measures after it select some of them.

mod answers;
mod copy;
mod engine;
mod figures;
mod mtp;
mod others;
mod provider;
mod scan;
mod stage;
mod start;
mod step;

use figures::Table;

/// Tracks of the large library.
const TRACKS: usize = 10_000;
/// Bytes of each, about.
const TRACK_SIZE: u64 = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|known| known == name);
    let mut table = Table::default();
    if is_wanted("start") {
        start::measure(&mut table).await;
    }
    if is_wanted("scan") || is_wanted("step") {
        println!("making {TRACKS} tagged files");
        let music = stage::tagged_files(TRACKS, TRACK_SIZE);
        if is_wanted("scan") {
            scan::measure(&mut table, &music).await;
        }
        if is_wanted("step") {
            step::measure(&mut table, &music, TRACKS).await;
        }
    }
    if is_wanted("copy") {
        copy::measure(&mut table).await;
    }
    if is_wanted("provider") {
        provider::measure(&mut table).await;
    }
    if is_wanted("engine") {
        engine::measure(&mut table).await;
    }
    if is_wanted("answers") {
        answers::measure(&mut table).await;
    }
    if is_wanted("mtp") {
        mtp::measure(&mut table, TRACKS).await;
    }
    print!("\n{table}");
}
