//! What families of players do otherwise than they say, read from TOML files: `config/players.d` is built in, and the
//! files of a directory come behind it.
//!
//! It must not hold what a player can be asked for: a family says only what no answer tells.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use tandem_model::player::SplVersion;
use tandem_mtp::codec::device_info::DeviceInfo;

/// The families that come with the program.
const BUILT_IN: [(&str, &str); 2] = [
    ("android.toml", include_str!("../../../../config/players.d/android.toml")),
    ("players.toml", include_str!("../../../../config/players.d/players.toml")),
];

/// Bytes of a file at most.
const LIMIT: u64 = 256 * 1024;

/// Why a file with families can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    /// It can't be read.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It isn't a file of families.
    #[error("{file}: {cause}")]
    Toml {
        /// Which file.
        file: String,
        /// Where and what.
        cause: Box<toml::de::Error>,
    },
    /// A family that says nothing of which players it is for.
    #[error(
        "{file}: the family `{family}` matches every player; give it `vendor-id`, `extension`, `manufacturer` or `model`"
    )]
    MatchesAll {
        /// Which file.
        file: String,
        /// Which family.
        family: String,
    },
    /// It is larger than such a file can be.
    #[error("{}: it is larger than {LIMIT} bytes", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

/// What a player does otherwise than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Traits {
    /// GetObjectPropList is announced and of no use.
    pub no_property_lists: bool,
    /// GetObjectPropList of all objects at once is of no use; that of a folder is.
    pub no_whole_lists: bool,
    /// SendObjectPropList is announced and of no use.
    pub no_send_property_list: bool,
    /// SetObjectPropList is announced and of no use.
    pub no_set_property_list: bool,
    /// A settable file name that can't be set.
    pub cannot_rename: bool,
    /// It plays more than it lists.
    pub plays_more_than_listed: bool,
    /// It plays Ogg Vorbis that it takes as a file of any kind.
    pub plays_ogg: bool,
    /// It plays FLAC that it takes as a file of any kind.
    pub plays_flac: bool,
    /// References are announced and lead nowhere.
    pub no_references: bool,
    /// It reads playlists from Samsung's own files alone.
    pub playlists: Option<SplVersion>,
    /// No two files on it may have the same name, whatever folders they are in.
    pub unique_file_names: bool,
    /// Width and height of an album's picture can be told, and crash it.
    pub no_cover_dimensions: bool,
    /// Code and transaction of data containers hold junk.
    pub ignore_data_headers: bool,
    /// The battery's level is announced and can't be read.
    pub no_battery_level: bool,
    /// Lasting ids of objects that don't last.
    pub no_persistent_ids: bool,
    /// It takes up to this many seconds to answer.
    pub answer_seconds: Option<u16>,
    /// CloseSession makes it leave the bus or hang.
    pub keep_session_open: bool,
}

impl Traits {
    fn and(self, other: Self) -> Self {
        Self {
            no_property_lists: self.no_property_lists || other.no_property_lists,
            no_whole_lists: self.no_whole_lists || other.no_whole_lists,
            no_send_property_list: self.no_send_property_list || other.no_send_property_list,
            no_set_property_list: self.no_set_property_list || other.no_set_property_list,
            cannot_rename: self.cannot_rename || other.cannot_rename,
            plays_more_than_listed: self.plays_more_than_listed || other.plays_more_than_listed,
            plays_ogg: self.plays_ogg || other.plays_ogg,
            plays_flac: self.plays_flac || other.plays_flac,
            no_references: self.no_references || other.no_references,
            playlists: other.playlists.or(self.playlists),
            unique_file_names: self.unique_file_names || other.unique_file_names,
            no_cover_dimensions: self.no_cover_dimensions || other.no_cover_dimensions,
            ignore_data_headers: self.ignore_data_headers || other.ignore_data_headers,
            no_battery_level: self.no_battery_level || other.no_battery_level,
            no_persistent_ids: self.no_persistent_ids || other.no_persistent_ids,
            answer_seconds: self.answer_seconds.max(other.answer_seconds),
            keep_session_open: self.keep_session_open || other.keep_session_open,
        }
    }
}

/// Which players, and what they do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Family {
    name: String,
    vendor_id: Option<u16>,
    /// Of that vendor; none: all of them.
    #[serde(default)]
    product_ids: Vec<u16>,
    /// A part of the description of vendor extensions.
    extension: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    #[serde(default)]
    traits: Traits,
}

impl Family {
    fn matches(&self, ids: (u16, u16), device: &DeviceInfo) -> bool {
        let vendor = self.vendor_id.is_none_or(|vendor| vendor == ids.0);
        let product = self.product_ids.is_empty() || self.product_ids.contains(&ids.1);
        let extension = self.extension.as_ref().is_none_or(|name| device.has_extension(name));
        let is = |wanted: &Option<String>, told: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(told.trim()))
        };
        vendor
            && product
            && extension
            && is(&self.manufacturer, &device.manufacturer)
            && is(&self.model, &device.model)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    #[serde(default)]
    family: Vec<Family>,
}

/// All families that are known.
#[derive(Debug, Clone, Default)]
pub struct Families(Vec<Family>);

impl Families {
    /// The families that come with the program, and those in the `.toml` files of these directories, in the order of
    /// their names. A directory that isn't there is none.
    ///
    /// # Errors
    /// When a file can't be read or isn't a file of families; names the file and what is wrong.
    pub fn load(directories: &[PathBuf]) -> Result<Self, FamilyError> {
        let mut families = Self::default();
        for (file, text) in BUILT_IN {
            families.read(file, text)?;
        }
        for directory in directories {
            for path in files(directory)? {
                let text = read(&path)?;
                families.read(&path.display().to_string(), &text)?;
            }
        }
        Ok(families)
    }

    fn read(&mut self, file: &str, text: &str) -> Result<(), FamilyError> {
        let toml = |cause| FamilyError::Toml { file: file.to_owned(), cause: Box::new(cause) };
        let read: FamilyFile = toml::from_str(text).map_err(toml)?;
        for family in read.family {
            let says = [&family.extension, &family.manufacturer, &family.model]
                .into_iter()
                .flatten()
                .any(|text| !text.is_empty());
            if family.vendor_id.is_none() && !says {
                return Err(FamilyError::MatchesAll { file: file.to_owned(), family: family.name });
            }
            self.0.push(family);
        }
        Ok(())
    }

    /// What a player does otherwise than it says, by all families that it is of. `ids` are USB's, vendor and product.
    #[must_use]
    pub fn traits_of(&self, ids: (u16, u16), device: &DeviceInfo) -> Traits {
        let matching = self.0.iter().filter(|family| family.matches(ids, device));
        matching.fold(Traits::default(), |traits, family| {
            tracing::debug!(family = family.name, "the player is of a family that is known");
            traits.and(family.traits)
        })
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, FamilyError> {
    let failed = |cause| FamilyError::Io { path: directory.to_owned(), cause };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, FamilyError> {
    let failed = |cause| FamilyError::Io { path: path.to_owned(), cause };
    if std::fs::metadata(path).map_err(failed)?.len() > LIMIT {
        return Err(FamilyError::TooLarge { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn device(extension: &str) -> DeviceInfo {
        DeviceInfo {
            standard_version: 100,
            vendor_extension_id: 6,
            vendor_extension_version: 100,
            vendor_extension_desc: extension.to_owned(),
            functional_mode: 0,
            operations: Vec::new(),
            events: Vec::new(),
            device_properties: Vec::new(),
            capture_formats: Vec::new(),
            playback_formats: Vec::new(),
            manufacturer: "Creative".to_owned(),
            model: "ZEN".to_owned(),
            version: String::new(),
            serial: String::new(),
        }
    }

    #[test]
    fn the_built_in_families_are_sound_and_found() {
        let families = Families::load(&[]).unwrap();
        let phone = families.traits_of((1, 1), &device("microsoft.com: 1.0; android.com: 1.0;"));
        assert!(phone.plays_more_than_listed && phone.no_persistent_ids && !phone.no_property_lists);
        let zen = families.traits_of((0x041e, 0x4157), &device(""));
        assert!(zen.ignore_data_headers && zen.no_property_lists);
        let iaudio = families.traits_of((0x0e21, 0x0701), &device(""));
        assert!(iaudio.plays_ogg && iaudio.plays_flac && iaudio.no_property_lists);
        let samsung = |product| families.traits_of((0x04e8, product), &device(""));
        assert_eq!(samsung(0x5118).playlists, Some(SplVersion::V2));
        assert_eq!(samsung(0x511d).playlists, Some(SplVersion::V1));
        assert!(samsung(0x511d).no_property_lists, "all families that it is of count");
        assert_eq!(samsung(0x507d).playlists, None);
        assert!(samsung(0x5121).unique_file_names && !samsung(0x511d).unique_file_names);
        assert_eq!(families.traits_of((1, 1), &device("")), Traits::default());
    }

    #[test]
    fn a_bad_file_is_refused_with_its_name_and_the_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("local.toml");
        for (text, fault) in [
            (
                "[[family]]\nname = 'x'\nvendor-id = 1\n[family.traits]\nno-proprety-lists = true",
                "no-proprety-lists",
            ),
            ("[[family]]\nname = 'everything'", "everything"),
            ("[[family]]\nname = 'x'\nvendor-id = 1\n[family.traits]\nplaylists = 'spl-3'", "spl-3"),
            ("[[family]]\nname = 'x'\nvendor-id = 70000", "vendor-id"),
            ("not toml", "local.toml"),
        ] {
            std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
            let told = Families::load(&[directory.path().to_owned()]).unwrap_err().to_string();
            assert!(told.contains("local.toml") && told.contains(fault), "{told}");
        }
        assert!(Families::load(&[directory.path().join("missing")]).is_ok());
    }
}
