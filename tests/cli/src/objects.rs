//! What the stand-in for the daemon holds: devices and playlists as plain values.

use std::collections::BTreeMap;
use std::collections::HashMap;
use zbus::Variant;

/// Devices are below this path.
pub const DEVICES: &str = dbus_interfaces::names::DEVICES_PATH;
/// The caller's library.
pub const LIBRARY: &str = "/org/tandemd/Sync1/libraries/u1000";

/// Properties by their names.
pub(crate) type Properties = HashMap<String, Variant<'static>>;

/// Everything that there is.
#[derive(Debug, Default)]
pub struct World {
    /// In the order of `GetDevices`.
    pub devices: Vec<Device>,
    /// Of the one library.
    pub playlists: Vec<Playlist>,
    /// The library's directories.
    pub folders: Vec<String>,
    /// Counts scans.
    pub scans: u64,
    /// Why the library looks wrong.
    pub trouble: String,
    /// Why a run would stop; empty: it wouldn't.
    pub objection: String,
    /// Entries that name no media: of whatever is imported or shown.
    pub unresolved: Vec<String>,
    /// The library's agent hangs: what needs it isn't answered.
    pub agent_hangs: bool,
    /// No USB device is there.
    pub no_usb: bool,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// Its path's last part, and its id with `id-` before it.
    pub key: String,
    /// All its properties.
    pub properties: HashMap<String, Variant<'static>>,
    /// What `GetSyncResults` answers.
    pub results: Vec<(String, String, String)>,
    /// How the last run ended by `GetSyncHistory`.
    pub ended: &'static str,
}

impl Device {
    /// A connected device without a partnership.
    #[must_use]
    pub fn new(key: &str, name: &str) -> Self {
        let mut properties = Properties::new();
        let mut set = |name: &str, value: Variant<'static>| properties.insert(name.to_owned(), value);
        for text in ["Manufacturer", "Model", "SerialNumber", "Firmware", "ManualReason", "CurrentItem"] {
            set(text, "".into());
        }
        for number in ["BytesDone", "BytesTotal", "Rate", "ExpectedEndTime", "LastSyncTime"] {
            set(number, 0u64.into());
        }
        for number in [
            "Progress",
            "PercentSpaceReserved",
            "LastSyncErrorCount",
            "LastSyncNoFitCount",
            "SyncItemCount",
            "PartnershipIndex",
        ] {
            set(number, 0u32.into());
        }
        set("LastSyncChangeCount", 1u32.into());
        for flag in ["Connected", "SafeToRemove", "SyncOnConnect", "SupportsAudio"] {
            set(flag, true.into());
        }
        for flag in ["HasSkippedFiles", "SupportsVideo", "SupportsPhoto"] {
            set(flag, false.into());
        }
        set("DeviceId", format!("id-{key}").into());
        set("DeviceName", name.to_owned().into());
        set("FriendlyName", name.to_owned().into());
        set("Kind", "folder".into());
        set("Status", "new-device".into());
        set("SyncState", "stopped".into());
        set("PartnershipOwner", u32::MAX.into());
        set("BatteryLevel", u32::MAX.into());
        set("TotalSpace", 8_000_000_000u64.into());
        set("FreeSpace", 1_500_000_000u64.into());
        set("Formats", vec!["audio/mpeg", "audio/flac"].into());
        Self { key: key.to_owned(), properties, results: Vec::new(), ended: "synchronized" }
    }

    /// With a partnership of this index with the library.
    #[must_use]
    pub fn partnered(self, index: u32) -> Self {
        self.with("PartnershipIndex", index)
            .with("PartnershipOwner", 1000u32)
            .with("Status", "partnership-exists")
    }

    /// With another value of a property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Variant<'static>>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// With these results of the last run.
    #[must_use]
    pub fn with_results(mut self, results: &[(&str, &str, &str)]) -> Self {
        let owned =
            results.iter().map(|(media, result, text)| ((*media).into(), (*result).into(), (*text).into()));
        self.results = owned.collect();
        self
    }

    /// With a last run that ended so.
    #[must_use]
    pub fn ended(self, how: &'static str) -> Self {
        Self { ended: how, ..self }
    }

    /// Its object's path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{DEVICES}/{}", self.key)
    }

    /// Its status as `GetStatus` gives it.
    pub(crate) fn status(&self) -> String {
        String::try_from(&self.properties["Status"]).unwrap_or_default()
    }
}

/// A playlist.
#[derive(Debug, Clone)]
pub struct Playlist {
    /// Its path's last part.
    pub key: String,
    /// As the user sees it.
    pub name: String,
    /// The rule of an auto playlist, else empty.
    pub rule: String,
    /// URIs.
    pub items: Vec<String>,
    /// Partnership index to priority.
    pub priorities: BTreeMap<u32, u32>,
}

impl Playlist {
    /// A static playlist.
    #[must_use]
    pub fn new(key: &str, name: &str, items: &[&str]) -> Self {
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
            rule: String::new(),
            items: items.iter().map(|item| (*item).to_owned()).collect(),
            priorities: BTreeMap::new(),
        }
    }

    /// Assigned to the partnership of this index.
    #[must_use]
    pub fn assigned(mut self, index: u32, priority: u32) -> Self {
        self.priorities.insert(index, priority);
        self
    }

    /// Its object's path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{LIBRARY}/playlists/{}", self.key)
    }

    pub(crate) fn properties(&self) -> Properties {
        let kind = if self.rule.is_empty() { "static" } else { "auto" };
        let priorities: HashMap<u32, u32> =
            self.priorities.iter().map(|(index, priority)| (*index, *priority)).collect();
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        Properties::from([
            ("Name".to_owned(), self.name.clone().into()),
            ("Kind".to_owned(), kind.into()),
            ("Rule".to_owned(), self.rule.clone().into()),
            ("Count".to_owned(), count.into()),
            ("SyncPriorities".to_owned(), priorities.into()),
            ("SyncOnly".to_owned(), false.into()),
        ])
    }
}
