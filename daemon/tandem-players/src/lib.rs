//! Moves bytes to players: opens what the hardware announced, and writes, reads, checks and deletes files there.
//!
//! It decides nothing about what belongs on a player, and knows neither the bus nor the library; UDisks2 is behind
//! [`tandem_model::presence::Mounter`].

pub mod file_system;
mod folder;
mod mass_storage;
pub mod mtp;
mod opener;
mod simulated;

pub use opener::Players;
pub use simulated::{Simulated, SimulatedError};
