//! The Media Transfer Protocol, from both ends.
//!
//! - [`codec`]: containers, datasets and values, as pure functions;
//! - [`transport`]: what a USB library, or the responder in this process, has to give;
//! - [`initiator`]: sessions, transactions and what repairs them, over any transport;
//! - [`responder`]: a player made from a profile, with a switch for each fault that real players show.
//!
//! It must not know what a synchronisation is, nor tell names of media files in logs.

pub mod codec;
pub mod codes;
pub mod initiator;
pub mod responder;
pub mod transport;
pub mod usb;

pub use codec::Dataset;
pub use initiator::{Error, Initiator};
