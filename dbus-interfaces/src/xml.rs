//! The text of the XML files, for tests and for tools that generate code of their own.
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

/// The daemon's four.
pub const ALL: [&str; 4] = [SERVICES, DEVICE, LIBRARY, PLAYLIST];

/// `org.tandemd.Provider1`.
pub const PROVIDER: &str = include_str!("../org.tandemd.Provider1.xml");

/// `org.tandemd.Provider1.Device`.
pub const PROVIDER_DEVICE: &str = include_str!("../org.tandemd.Provider1.Device.xml");

/// `org.tandemd.Provider1.Storage`.
pub const PROVIDER_STORAGE: &str = include_str!("../org.tandemd.Provider1.Storage.xml");

/// `org.tandemd.Provider1.Object`.
pub const PROVIDER_OBJECT: &str = include_str!("../org.tandemd.Provider1.Object.xml");

/// A provider's four.
pub const OF_PROVIDERS: [&str; 4] = [PROVIDER, PROVIDER_DEVICE, PROVIDER_STORAGE, PROVIDER_OBJECT];
