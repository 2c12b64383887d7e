//! Proves what `tandemctl` prints, how it exits and how it waits: against a daemon whose every answer a test decides,
//! and, in `tests/daemon.rs`, against the real one.

mod answers;
mod fake;
mod objects;
mod program;

pub use fake::{Fake, Step};
pub use objects::{DEVICES, Device, LIBRARY, Playlist, World};
pub use program::{Ended, Running};
