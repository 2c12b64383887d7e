//! Holds service providers against the contract. Here: a device in memory that can do everything, or one thing wrong;
//! `tandemctl provider test` as a function; and an engine with a provider that something goes wrong at. It proves nothing by
//! itself.

mod daemon;
mod meddler;
mod memory;
mod stage;
mod suite;

pub use daemon::{announced, say};
pub use kit::started;
pub use meddler::{HARMS, Harm};
pub use memory::{Flaw, Memory};
pub use stage::{Example, PLAYLIST, Stage};
pub use suite::{Report, conformance, conformance_without, on_bus};
