//! What the suites share: a private bus, a running daemon, a library of real audio files, and ways to wait for what
//! happens. It knows the contract by its names alone, and never sleeps: every wait is for an event, with a limit.

mod appears;
mod audio;
mod bus;
mod client;
mod daemon;
mod mount;
mod music;
mod programs;
mod tree;

pub use appears::{appears, file_appears_in};
pub use audio::Tags;
pub use bus::{PrivateBus, started};
pub use client::{Events, property, set_property, wait_for_property};
pub use daemon::{Daemon, DaemonBuilder, Refused};
pub use mount::Mount;
pub use music::{Asset, MusicLibrary, track, tracks, write_file};
pub use programs::program;
pub use tree::{Tree, differences, file_facts, player_dir, tree, try_tree};

use std::time::Duration;

/// How long anything may take before a test fails: far longer than it ever does, because machines are busy.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The daemon's name on the bus, as the contract fixes it.
pub const BUS_NAME: &str = "org.tandemd.Sync1";

/// The root object, as the contract fixes it.
pub const ROOT_PATH: &str = "/org/tandemd/Sync1";
