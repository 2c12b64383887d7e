//! The contract for machines: the documented XML, the names, the errors, and proxies that are made from the XML.
//!
//! Clients and providers depend on this crate and on no other of the workspace; nothing of the daemon's inside belongs here.

pub mod changed_items;
mod error;
pub mod names;
pub mod provider;
pub mod proxies;
pub mod xml;

pub use error::Error;
