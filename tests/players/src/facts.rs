//! What a profile's facts mean for a synchronisation, read from its JSON without the player's own reading of it: whether it
//! can be synchronised at all, which tracks it takes, in which form it wants playlists, and what fits.

use serde_json::Value;
use tandem_mtp::codec::device_info::DeviceInfo;
use tandem_mtp::codes::StorageId;
use tandem_players::mtp::{Families, Traits};

/// Formats by extension, as the specification numbers them.
const FORMATS: [(&str, &[u64]); 5] = [
    ("mp3", &[0x3009]),
    ("flac", &[0xB906]),
    ("wav", &[0x3008]),
    ("ogg", &[0xB902]),
    ("m4a", &[0xB215, 0xB982, 0xB903]),
];
/// Everything else that is sound.
const OTHER_SOUND: [u64; 3] = [0x3007, 0xB901, 0xB903];
const UNDEFINED: u64 = 0x3000;
const ALBUM: u64 = 0xBA03;
/// Bytes that are reckoned for the picture of an album, at most.
const MOST_OF_A_PICTURE: u64 = 64 * 1024;
/// Bytes of `WMPInfo.xml`.
const MARK: u64 = 296;
/// Space is given in units of so many bytes.
const CLUSTER: u64 = 32 * 1024;

/// Why a player can't be synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It shows no storage, as a phone does that is locked.
    NoStorage,
    /// Nothing can be written to its storages.
    ReadOnly,
    /// It takes no files.
    TakesNoFiles,
    /// It lacks an operation that nothing can be done without.
    Lacks,
    /// It has no room for the partnership's mark.
    Full,
    /// It takes no format that music comes in.
    NoFormat,
}

impl Refusal {
    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoStorage => "it shows no storage: it is waited for until it is unlocked",
            Self::ReadOnly => "none of its storages can be written",
            Self::TakesNoFiles => "it knows no operation that sends a file",
            Self::Lacks => "it doesn't know an operation that nothing can be done without",
            Self::Full => "it has no room for the partnership's mark",
            Self::NoFormat => "it lists no format that music comes in",
        }
    }

    /// What the daemon's own words must hold.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::NoStorage => "",
            Self::ReadOnly => "can be written",
            Self::TakesNoFiles => "takes no files",
            Self::Lacks => "it doesn't know",
            Self::Full => "full",
            Self::NoFormat => "no format",
        }
    }
}

/// How a player gets its playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playlists {
    /// As objects that refer to the tracks.
    References,
    /// As M3U files.
    Files,
    /// As files of Samsung's own.
    Spl,
    /// Not at all.
    None,
}

/// A profile's facts.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The class that its maker put it in.
    pub class: String,
    operations: Vec<u64>,
    formats: Vec<u64>,
    is_android: bool,
    /// Extensions of what it plays without listing it: no answer of a player tells that.
    plays_besides: Vec<&'static str>,
    /// Whether it reads Samsung's playlist files alone: no answer tells that either.
    spl: bool,
    storages: Vec<Value>,
    /// Whether it has a property for the partner, and keeps it.
    keeps_partner: bool,
    /// Whether the picture of an album can be set, and be a JPEG file.
    takes_covers: bool,
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// What the table of families has of a player like this.
fn traits(profile: &Value) -> Traits {
    let info = &profile["device_info"];
    let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
    let device = DeviceInfo {
        standard_version: 100,
        vendor_extension_id: 6,
        vendor_extension_version: 100,
        vendor_extension_desc: text("vendor_extension_desc"),
        functional_mode: 0,
        operations: Vec::new(),
        events: Vec::new(),
        device_properties: Vec::new(),
        capture_formats: Vec::new(),
        playback_formats: Vec::new(),
        manufacturer: text("manufacturer"),
        model: text("model"),
        version: text("version"),
        serial: text("serial"),
    };
    let id = |key: &str| profile[key].as_u64().and_then(|id| u16::try_from(id).ok()).unwrap_or_default();
    let families = Families::load(&[]).expect("the families that come with the program are sound");
    families.traits_of((id("vendor_id"), id("product_id")), &device)
}

/// Whether the properties of albums hold a picture that can be set.
fn takes_covers(profile: &Value) -> bool {
    let mut formats = profile["formats"].as_array().into_iter().flatten();
    let album = formats.find(|format| format["code"] == ALBUM);
    let set = album.and_then(|album| album["properties"].as_u64()).and_then(|at| usize::try_from(at).ok());
    let Some(set) = set.and_then(|set| profile["property_sets"][set].as_array()) else { return false };
    let at = |index: &Value| index.as_u64().and_then(|index| usize::try_from(index).ok());
    let property = |code: u64| {
        set.iter().filter_map(at).map(|index| &profile["props"][index]).find(|known| known["code"] == code)
    };
    let is_settable = property(0xDC86).is_some_and(|data| data["access"] == "get/set");
    let kinds = property(0xDC81).and_then(|format| format["form"]["enum"].as_array());
    is_settable && kinds.is_none_or(|kinds| kinds.is_empty() || kinds.iter().any(|kind| *kind == 0x3801))
}

impl Facts {
    /// Reads a profile.
    ///
    /// # Errors
    /// When it isn't JSON.
    pub fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let info = &value["device_info"];
        let formats = value["formats"].as_array().into_iter().flatten();
        let storages = value["storages"].as_array().cloned().unwrap_or_default();
        let has_medium = |id: u64| id != 0 && StorageId(id as u32).has_medium();
        let partner = info["device_properties"].as_array().into_iter().flatten().any(|p| p["code"] == 0xD401);
        let habits = value["habits"].as_array().into_iter().flatten();
        let forgets = habits.into_iter().any(|habit| habit == "forgets-device-properties");
        let operations = numbers(&info["operations"]);
        let settable = operations.contains(&0x1015) && operations.contains(&0x1016);
        let traits = traits(&value);
        let besides = [("ogg", traits.plays_ogg), ("flac", traits.plays_flac)];
        Ok(Self {
            keeps_partner: partner && settable && !forgets,
            takes_covers: takes_covers(&value),
            class: value["class"].as_str().unwrap_or("-").to_owned(),
            operations,
            formats: formats.filter_map(|format| format["code"].as_u64()).collect(),
            plays_besides: besides
                .into_iter()
                .filter_map(|(extension, plays)| plays.then_some(extension))
                .collect(),
            spl: traits.playlists.is_some(),
            is_android: info["vendor_extension_desc"]
                .as_str()
                .is_some_and(|text| text.contains("android.com")),
            storages: storages
                .into_iter()
                .filter(|storage| storage["id"].as_u64().is_some_and(has_medium))
                .collect(),
        })
    }

    fn knows(&self, operation: u64) -> bool {
        self.operations.contains(&operation)
    }

    fn lists(&self, formats: &[u64]) -> bool {
        formats.iter().any(|format| self.formats.contains(format))
    }

    fn lists_sound(&self) -> bool {
        self.lists(&OTHER_SOUND) || FORMATS.iter().any(|(_, formats)| self.lists(formats))
    }

    /// Why it can't be synchronised; `None` when it can.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let announces = self.knows(0x100C) || self.knows(0x9808);
        if !announces || !self.knows(0x100D) {
            return Some(Refusal::TakesNoFiles);
        }
        if ![0x1004, 0x1005, 0x1007, 0x1008, 0x1009, 0x100B].into_iter().all(|needed| self.knows(needed)) {
            return Some(Refusal::Lacks);
        }
        if !self.lists(&[UNDEFINED]) && !self.lists_sound() {
            return Some(Refusal::NoFormat);
        }
        if self.storages.is_empty() {
            return Some(Refusal::NoStorage);
        }
        let writable = self.storages.iter().filter(|storage| storage["access"].as_u64().unwrap_or(0) == 0);
        let number = |storage: &Value, key: &str| storage[key].as_u64();
        // the largest is chosen, and of those that are as large the first
        let chosen = writable.min_by_key(|storage| {
            (std::cmp::Reverse(number(storage, "capacity").unwrap_or(0)), number(storage, "id"))
        });
        let Some(chosen) = chosen else { return Some(Refusal::ReadOnly) };
        let is_full = number(chosen, "free_bytes").is_some_and(|free| free < MARK);
        (is_full && !self.keeps_partner && self.lists(&[UNDEFINED])).then_some(Refusal::Full)
    }

    /// Whether a track with this extension is for it. What lists no sound at all doesn't say, and Android's list is the
    /// same whatever the phone plays.
    #[must_use]
    pub fn takes(&self, extension: &str) -> bool {
        let known =
            FORMATS.iter().find(|(known, _)| *known == extension).map_or(&[][..], |(_, formats)| formats);
        let as_anything = self.is_android || !self.lists_sound() || self.plays_besides.contains(&extension);
        self.lists(known) || (as_anything && self.lists(&[UNDEFINED]))
    }

    /// Codes that an object with this extension may have on it.
    #[must_use]
    pub fn codes(&self, extension: &str) -> Vec<u64> {
        let known =
            FORMATS.iter().find(|(known, _)| *known == extension).map_or(&[][..], |(_, formats)| formats);
        let listed: Vec<u64> = known.iter().copied().filter(|format| self.lists(&[*format])).collect();
        if listed.is_empty() { vec![UNDEFINED] } else { listed }
    }

    /// How it gets its playlists.
    #[must_use]
    pub fn playlists(&self) -> Playlists {
        if self.spl && self.lists(&[UNDEFINED]) {
            Playlists::Spl
        } else if self.knows(0x9810) && self.knows(0x9811) && self.lists(&[0xBA05, 0xBA09]) {
            Playlists::References
        } else if self.lists(&[0xBA11, UNDEFINED]) {
            Playlists::Files
        } else {
            Playlists::None
        }
    }

    /// Whether it has objects for albums.
    #[must_use]
    pub fn albums(&self) -> bool {
        self.knows(0x9810) && self.knows(0x9811) && self.lists(&[ALBUM])
    }

    /// Whether those have pictures that can be set.
    #[must_use]
    pub fn covers(&self) -> bool {
        self.albums()
            && self.takes_covers
            && [0x9801, 0x9802, 0x9804].into_iter().all(|needed| self.knows(needed))
    }

    /// Whether files of these sizes, and pictures of so many albums, fit surely, whichever of its storages is chosen.
    #[must_use]
    pub fn surely_fits(&self, sizes: impl Iterator<Item = u64>, albums: usize) -> bool {
        let pictures = if self.covers() { albums as u64 * MOST_OF_A_PICTURE } else { 0 };
        let needed: u64 = pictures + sizes.map(|size| size.div_ceil(CLUSTER) * CLUSTER).sum::<u64>();
        let free = |storage: &Value| storage["free_bytes"].as_u64().or(storage["capacity"].as_u64());
        let least = self.storages.iter().map(|storage| free(storage).unwrap_or(1 << 30)).min();
        // the margin that is kept for folders and playlists, twice
        least.unwrap_or(0) >= needed + 2 * 16 * CLUSTER + 8 * CLUSTER
    }
}
