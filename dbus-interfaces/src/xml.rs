//! The text of the four XML files, for tests and for tools that generate code of their own.
//!
//! Nothing is parsed here.

/// `org.tandemd.Sync1.Services`.
pub const SERVICES: &str = include_str!("../org.tandemd.Sync1.Services.xml");

/// `org.tandemd.Sync1.Device`.
pub const DEVICE: &str = include_str!("../org.tandemd.Sync1.Device.xml");

/// `org.tandemd.Sync1.Library`.
pub const LIBRARY: &str = include_str!("../org.tandemd.Sync1.Library.xml");

/// `org.tandemd.Sync1.Playlist`.
pub const PLAYLIST: &str = include_str!("../org.tandemd.Sync1.Playlist.xml");

/// All four.
pub const ALL: [&str; 4] = [SERVICES, DEVICE, LIBRARY, PLAYLIST];
