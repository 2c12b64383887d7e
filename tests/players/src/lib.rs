//! Whole synchronisations with simulated MTP players: a library, an engine on the real store and the real player, and a
//! witness that reads the player's objects without asking either. It proves nothing by itself.

#![allow(clippy::missing_panics_doc, reason = "a suite: what can't be unwrapped has failed")]

pub mod facts;
pub mod mutant;
pub mod reference;
pub mod shelf;
pub mod stage;
pub mod sweep;
pub mod witness;

/// A runtime whose clock stands still while something is done and jumps when all wait: no test waits for a time limit.
///
/// # Panics
/// When the system gives no runtime.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("the system gives a thread its events")
}
