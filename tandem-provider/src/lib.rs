//! A service provider for Tandem, but for the device's own part.
//!
//! Whoever wants `tandemd` to synchronise a player that it doesn't speak to itself writes a [`Driver`], which opens
//! devices, and a [`Device`], which is plain blocking code: list, make, write, read, delete, rename. [`Provider`] does the
//! rest: objects on the bus, descriptors, the names of errors, what a caller may not ask for, and giving devices back
//! when whoever opened them has left.
//!
//! ```no_run
//! use std::os::fd::OwnedFd;
//! use std::sync::Arc;
//! use tandem_provider::{Bus, Device, Driver, Error, Identity, Provider};
//!
//! struct Players;
//!
//! impl Driver for Players {
//!     fn open(&self, identity: &Identity, usb: Option<OwnedFd>) -> Result<Arc<dyn Device>, Error> {
//!         let _ = usb;
//!         Err(Error::NotFound(format!("there is no player `{}`", identity.canonical_name)))
//!     }
//! }
//!
//! # fn main() -> Result<(), Error> {
//! Provider::new("org.example.Players", "/org/example/Players", Players).run(Bus::System)
//! # }
//! ```
//!
//! The contract is in `org.tandemd.Provider1.xml` and the three files beside it; what is said there isn't said again here.
//! This crate knows nothing of the daemon's inside.

mod answers;
mod calls;
mod changes;
mod channel;
mod check;
mod device;
mod dispatch;
mod identity;
mod provider;
mod registration;
mod sessions;
mod standard;

pub use changes::Changes;
pub use channel::{Sink, Source};
pub use dbus_interfaces::provider::Error;
pub use device::{Configuration, Device, Driver, Entry, Handle, Kind, Metadata, New, Power, Space};
pub use identity::Identity;
pub use provider::{Bus, Provider, Serving};
