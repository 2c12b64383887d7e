//! Proxies of the daemon's four interfaces, and of a provider's in [`provider`], made from the XML. Change the XML, then run the tests of this crate with
//! `UPDATE_PROXIES=1`; the files beside this one are never edited by hand.

#![allow(missing_docs, reason = "zbus_xmlgen documents a property's getter only")]

mod device;
mod library;
mod playlist;
pub mod provider;
mod services;

pub use device::*;
pub use library::*;
pub use playlist::*;
pub use services::*;
