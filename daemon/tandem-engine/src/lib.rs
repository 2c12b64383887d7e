//! What a synchronisation is: the manager of all devices, one session for each, plans and transfers.
//!
//! It knows neither D-Bus nor USB nor file systems: players, libraries, stores and the clock are traits of
//! `tandem-model` that `tandemd` plugs in.

mod blocking;
mod engine;
mod ledger;
mod manager;
mod parts;
mod plan;
mod preview;
mod registry;
mod run;
mod session;

pub use engine::{Engine, Setting, Started};
pub use parts::{EngineOptions, Inputs, Parts};
pub use preview::{Action, PreviewItem};
