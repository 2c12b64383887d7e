//! What the daemon and the library agent say to each other: messages, frames, and the daemon's end of it.
//!
//! The agent runs with its owner's rights and is not trusted: whatever comes from it is checked for size and range.
//! No file of a user is opened or parsed here.

mod client;
mod collect;
mod connection;
mod launch;
mod libraries;
pub mod message;
pub mod times;
pub mod uri;
pub mod wire;

pub use client::Client;
pub use launch::{ChildLauncher, Launched, Launcher, UnitLauncher};
pub use libraries::AgentLibraries;
