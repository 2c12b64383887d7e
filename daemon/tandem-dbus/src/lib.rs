//! The bus surface: one file for each interface, polkit in one file, errors in one table; and the services of others
//! on the system bus that the daemon uses, behind traits of the model.
//!
//! It decides nothing about devices: it hands requests to the engine and shows what the engine shows. No type of the
//! D-Bus library is part of its own interface.

mod arguments;
mod authorization;
mod boolean;
mod bus;
mod caller;
mod changes;
mod context;
mod desktop;
mod device;
mod errors;
mod guard;
mod inhibitor;
mod item_info;
mod leavers;
mod libraries;
mod library;
mod library_changes;
mod message;
mod objects;
mod paths;
mod playlist;
mod providers;
mod publisher;
mod services;
mod system_services;
mod systemd;
mod turns;
mod udisks2;
mod usb;

#[cfg(test)]
mod fake_engine;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod mock_tests;

pub use authorization::{Access, access, guarded_members};
pub use bus::{Bus, BusError, BusKind, ServeOptions, ServedBus};
pub use providers::ServiceProviders;
#[cfg(fuzzing)]
pub use providers::any_answer::read_any_answer;
pub use system_services::SystemServices;
