//! Holds service providers against the contract. Here: a device in memory that can do everything, or one thing wrong; and
//! `tandemctl provider test` as a function. It proves nothing by itself.

mod memory;
mod suite;

pub use kit::started;
pub use memory::{Flaw, Memory};
pub use suite::{Report, conformance, on_bus};
