//! Keeps partnerships, manifests and journals on disk; `FORMAT.md` lists every file.
//!
//! Calls block and belong on a thread that may. This crate decides nothing about devices: it keeps what it is given,
//! refuses what can't be true, and tells damage apart from trouble with the disk.

mod damage;
mod envelope;
mod file;
mod manifest;
mod manifest_store;
mod partnership_file;
mod rows;
mod runs;
mod schema;
mod validate;

pub use manifest_store::SqliteManifests;
pub use partnership_file::PartnershipFile;
