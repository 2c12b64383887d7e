//! A player's facts as JSON: codes, formats, properties and storages, in the form that dumps of real players are kept in.
//!
//! It must not hold behaviour: it says what a player announces, and its habits by name.

use super::fault::Habit;
use crate::codec::property::{Form, ObjectPropertyDescription};
use crate::codec::value::Value;
use crate::codes::{DataType, FormatCode, ObjectPropertyCode};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The profiles of the project's own making, one for each class of behaviour: name and JSON.
pub const OWN: [(&str, &str); 13] = [
    ("classic", include_str!("../../profiles/classic.json")),
    ("classic-no-lists", include_str!("../../profiles/classic-no-lists.json")),
    ("list-reader", include_str!("../../profiles/list-reader.json")),
    ("playlist-files", include_str!("../../profiles/playlist-files.json")),
    ("spl-playlists", include_str!("../../profiles/spl-playlists.json")),
    ("art-and-albums", include_str!("../../profiles/art-and-albums.json")),
    ("phone", include_str!("../../profiles/phone.json")),
    ("phone-locked", include_str!("../../profiles/phone-locked.json")),
    ("phone-with-lists", include_str!("../../profiles/phone-with-lists.json")),
    ("split-header", include_str!("../../profiles/split-header.json")),
    ("sloppy-packets", include_str!("../../profiles/sloppy-packets.json")),
    ("minimal", include_str!("../../profiles/minimal.json")),
    ("tiny-store", include_str!("../../profiles/tiny-store.json")),
];

/// Why a profile can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It isn't JSON of this form.
    #[error("the profile can't be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It points at something that isn't there.
    #[error("the profile's format {format} points at {index}, which isn't there")]
    Dangling {
        /// The format.
        format: FormatCode,
        /// The set or property that it points at.
        index: usize,
    },
}

/// A player's facts.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    /// Which behaviour it shows; some classes bring habits.
    #[serde(default)]
    pub class: String,
    /// USB vendor id.
    #[serde(default)]
    pub vendor_id: u16,
    /// USB product id.
    #[serde(default)]
    pub product_id: u16,
    #[serde(default)]
    pub(super) usb: Usb,
    #[serde(default)]
    ms_os: MsOs,
    #[serde(default)]
    object_size_bits: Option<u8>,
    pub(super) device_info: Info,
    #[serde(default)]
    pub(super) formats: Vec<FormatFacts>,
    #[serde(default)]
    property_sets: Vec<Vec<usize>>,
    #[serde(default)]
    props: Vec<PropertyFacts>,
    #[serde(default)]
    pub(super) storages: Vec<StorageFacts>,
    #[serde(default)]
    pub(super) friendly_name: String,
    #[serde(default)]
    pub(super) sync_partner: String,
    #[serde(default)]
    pub(super) battery: Battery,
    /// What it always does.
    #[serde(default)]
    pub habits: BTreeSet<Habit>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Usb {
    #[serde(default)]
    pub(super) in_maxpacket: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct MsOs {
    #[serde(default)]
    string_0xee_hex: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) manufacturer: String,
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) serial: String,
    #[serde(default)]
    pub(super) vendor_extension_id: u32,
    #[serde(default)]
    pub(super) vendor_extension_desc: String,
    pub(super) operations: Vec<u16>,
    #[serde(default)]
    pub(super) events: Vec<u16>,
    #[serde(default)]
    pub(super) device_properties: Vec<CodeFacts>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CodeFacts {
    pub(super) code: u16,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct FormatFacts {
    pub(super) code: u16,
    #[serde(default)]
    properties: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
struct PropertyFacts {
    code: u16,
    #[serde(default, rename = "type")]
    data_type: Option<String>,
    #[serde(default)]
    form: Option<FormFacts>,
    #[serde(default)]
    access: Option<String>,
    #[serde(default)]
    group: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum FormFacts {
    Range { range: Vec<serde_json::Value> },
    Enumeration { r#enum: Vec<serde_json::Value> },
    Named(String),
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct StorageFacts {
    /// 0 where the dump doesn't tell.
    #[serde(default)]
    pub(super) id: u32,
    #[serde(default, rename = "type")]
    pub(super) storage_type: Option<u16>,
    #[serde(default)]
    pub(super) filesystem: Option<u16>,
    #[serde(default)]
    pub(super) access: Option<u16>,
    #[serde(default)]
    pub(super) capacity: Option<u64>,
    #[serde(default)]
    pub(super) free_bytes: Option<u64>,
    #[serde(default)]
    pub(super) free_objects: Option<u32>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) volume: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Battery {
    #[serde(default)]
    pub(super) current: Option<u8>,
    #[serde(default)]
    pub(super) max: Option<u8>,
}

/// What objects of each format have, in the order that the player lists it.
pub(super) type Schema = BTreeMap<FormatCode, Vec<ObjectPropertyDescription>>;

impl Profile {
    /// Reads a profile, and gives it the habits of its class.
    ///
    /// # Errors
    /// When it isn't JSON of this form, or points at what isn't there.
    pub fn from_json(text: &str) -> Result<Self, ProfileError> {
        let mut profile: Self = serde_json::from_str(text)?;
        if ["aosp-android", "kindle-fire", "sony-xperia"].contains(&profile.class.as_str()) {
            profile.habits.extend([
                Habit::HandlesChange,
                Habit::NameTaken,
                Habit::CancelStalls,
                Habit::NoDeepLists,
            ]);
        }
        profile.storages.retain(|storage| storage.id != 0);
        profile.schema()?;
        Ok(profile)
    }

    /// What the device answers for string descriptor 0xEE; `None` when it stalls.
    #[must_use]
    pub fn os_string_descriptor(&self) -> Option<Vec<u8>> {
        if self.habits.contains(&Habit::GarbageOsString) {
            let units = self.device_info.manufacturer.encode_utf16().take(126);
            let text: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
            // at most 2 + 252 bytes
            return Some([&[text.len() as u8 + 2, 3], &text[..]].concat());
        }
        let hex = self.ms_os.string_0xee_hex.as_deref()?;
        let digits = hex.as_bytes().chunks_exact(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    }

    pub(super) fn schema(&self) -> Result<Schema, ProfileError> {
        let mut schema = Schema::new();
        for facts in &self.formats {
            let format = FormatCode(facts.code);
            let dangling = |index| ProfileError::Dangling { format, index };
            let set = match facts.properties {
                Some(index) => self.property_sets.get(index).ok_or_else(|| dangling(index))?,
                None => &Vec::new(),
            };
            let known = schema.entry(format).or_default();
            for index in set {
                let property = self.props.get(*index).ok_or_else(|| dangling(*index))?;
                let description = property.description(self.object_size_bits);
                if !known.iter().any(|known| known.property == description.property) {
                    known.push(description);
                }
            }
        }
        Ok(schema)
    }
}

impl PropertyFacts {
    fn description(&self, object_size_bits: Option<u8>) -> ObjectPropertyDescription {
        let property = ObjectPropertyCode(self.code);
        let data_type = match (property, object_size_bits) {
            (ObjectPropertyCode::OBJECT_SIZE, Some(32)) => DataType::UINT32,
            (ObjectPropertyCode::OBJECT_SIZE, Some(64)) => DataType::UINT64,
            _ => self
                .data_type
                .as_deref()
                .and_then(type_named)
                .unwrap_or_else(|| super::standard::object_property_type(property)),
        };
        ObjectPropertyDescription {
            property,
            data_type,
            writable: self.access.as_deref() == Some("get/set"),
            default: Value::empty(data_type).unwrap_or(Value::U32(0)),
            group: self.group.as_ref().and_then(serde_json::Value::as_u64).map_or(0, |group| group as u32),
            form: self.form.as_ref().map_or(Form::None, |form| form.form(data_type)),
        }
    }
}

impl FormFacts {
    fn form(&self, data_type: DataType) -> Form {
        // a number that the type can't hold is one that the dump got wrong
        let number = |number: &serde_json::Value| {
            let number = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
            Value::from_number(data_type, number).or_else(|| Value::from_number(data_type, 0))
        };
        match self {
            Self::Range { range } => match &range[..] {
                [minimum, maximum, step] => {
                    let values = number(minimum).zip(number(maximum)).zip(number(step));
                    values.map_or(Form::None, |((minimum, maximum), step)| Form::Range {
                        minimum,
                        maximum,
                        step,
                    })
                }
                _ => Form::None,
            },
            Self::Enumeration { r#enum: values } => {
                let value = |value: &serde_json::Value| match value {
                    serde_json::Value::String(text) => Some(Value::String(text.clone())),
                    other => number(other),
                };
                let values = values.iter().filter_map(value);
                Form::Enumeration(values.filter(|value| value.data_type() == data_type).collect())
            }
            Self::Named(name) => match name.as_str() {
                "datetime" => Form::DateTime,
                "regex" => Form::RegularExpression(String::new()),
                "byte_array" => Form::ByteArray(u32::MAX),
                "long_string" => Form::LongString(u32::MAX),
                _ => Form::None,
            },
        }
    }
}

fn type_named(name: &str) -> Option<DataType> {
    if name == "STR" {
        return Some(DataType::STRING);
    }
    let (array, single) = name.strip_prefix('A').map_or((0, name), |single| (0x4000, single));
    let number = match single {
        "INT8" => 1,
        "UINT8" => 2,
        "INT16" => 3,
        "UINT16" => 4,
        "INT32" => 5,
        "UINT32" => 6,
        "INT64" => 7,
        "UINT64" => 8,
        "INT128" => 9,
        "UINT128" => 10,
        _ => return None,
    };
    Some(DataType(array | number))
}
