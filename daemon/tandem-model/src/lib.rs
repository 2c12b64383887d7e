//! The vocabulary of Tandem: identifiers, descriptions, partnerships, tracks and playlists, the snapshot of a
//! session, and the traits between the crates.
//!
//! It does no I/O, reads no clock and knows neither D-Bus nor USB; every other crate of the daemon may depend on
//! it, and it depends on none of them.

pub mod clock;
pub mod device;
pub mod error;
pub mod event;
pub mod formats;
pub mod id;
pub mod library;
pub mod manifest;
pub mod media;
pub mod pace;
pub mod partnership;
pub mod path;
pub mod player;
pub mod presence;
mod shared_text;
pub mod snapshot;
pub mod usb;
pub mod wmp_info;

/// A boxed future, so that the traits between the crates can be used as `dyn`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
