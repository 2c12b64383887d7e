//! Playlists: files that hold them, those made over the bus, and what tracks each stands for.
//!
//! Parsers and path candidates are pure; the tables are `store`'s and `resolve`'s.

pub(crate) mod defaults;
pub(crate) mod edit;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod items;
pub(crate) mod location;
pub(crate) mod parse;
pub(crate) mod resolve;
pub(crate) mod store;
mod xml;
