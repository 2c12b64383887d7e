//! Histories of a library, a player, two computers and all that can go wrong, with the real engine in the middle, over the
//! real stores or their like in memory, on a clock that costs no time. A seed decides everything, so that what failed once
//! can be played again.

mod device;
pub mod disk;
mod event;
mod host;
mod library;
pub mod memory;
mod player;
mod random;
pub mod records;
mod reference;
mod shrink;
mod stage;
mod steps;
mod store;
pub mod trace;
mod wire;
mod world;

pub use event::{Event, Fault, Flavour, Harm, History, LibraryEdit, Unkept, UserEdit, When};
pub use random::Random;
pub use shrink::shrink;
pub use world::{Outcome, cycles, play};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tempfile::TempDir;

/// What the computers keep their state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// The real stores, in a directory of the history's own.
    Real,
    /// Stores in memory that say the same.
    Memory,
}

/// Plays a history. A panic is a violation.
///
/// # Panics
/// When no directory can be made.
#[must_use]
pub fn played(history: &History, stores: Stores) -> Outcome {
    let directory = (stores == Stores::Real).then(scratch);
    let directory = directory.as_ref().map(TempDir::path);
    let outcome = catch_unwind(AssertUnwindSafe(|| play(history, directory)));
    outcome.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Outcome { violations: vec![format!("a panic: {said}")], ..Outcome::default() }
    })
}

/// An empty directory, in memory where the system has such a place.
///
/// # Panics
/// When none can be made.
#[must_use]
pub fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { TempDir::with_prefix_in("tandem-", memory) } else { TempDir::new() };
    made.expect("a temporary directory can be made")
}
