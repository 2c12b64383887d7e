//! What a simulated player in a directory knows beyond its files: formats, properties, references and the device's own
//! properties, in one JSON file beside the storages' folders.
//!
//! It must not be needed: without the file the objects are what their names say.

use super::tree::Tree;
use crate::codec::property::DevicePropertyDescription;
use crate::codec::value::Value;
use crate::codes::{DataType, DevicePropertyCode, FormatCode, ObjectPropertyCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Its name.
const FILE: &str = "player.json";

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    device: BTreeMap<u16, Stored>,
    objects: Vec<ObjectRecord>,
}

/// An object, found again by where it is.
#[derive(Debug, Serialize, Deserialize)]
struct ObjectRecord {
    storage: u32,
    path: String,
    format: u16,
    /// In hexadecimal digits: JSON's numbers are too small.
    persistent: String,
    modified: String,
    values: BTreeMap<u16, Stored>,
    /// Storages and paths.
    references: Vec<(u32, String)>,
}

/// A value: its type and its bytes on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Stored(u16, Vec<u8>);

impl Stored {
    fn new(value: &Value) -> io::Result<Self> {
        Ok(Self(value.data_type().0, value.encode().map_err(invalid)?))
    }

    fn value(&self) -> io::Result<Value> {
        Value::decode(&self.1, DataType(self.0)).map_err(invalid)
    }
}

type DeviceProperties = BTreeMap<DevicePropertyCode, DevicePropertyDescription>;

/// Writes the record; a cut leaves the old one.
pub(super) fn save(directory: &Path, tree: &Tree, device: &DeviceProperties) -> io::Result<()> {
    let mut record = Record::default();
    for (code, description) in device {
        record.device.insert(code.0, Stored::new(&description.current)?);
    }
    for (handle, node) in tree.iter() {
        let mut values = BTreeMap::new();
        for (code, value) in &node.values {
            values.insert(code.0, Stored::new(value)?);
        }
        let place = |handle: &u32| tree.get(*handle).ok().map(|node| (node.storage, tree.path(*handle)));
        record.objects.push(ObjectRecord {
            storage: node.storage,
            path: tree.path(handle),
            format: node.format.0,
            persistent: format!("{:x}", node.persistent),
            modified: node.modified.clone(),
            values,
            references: node.references.iter().filter_map(place).collect(),
        });
    }
    let temporary = directory.join("player.json.part");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(&record)?)?;
    file.sync_all()?;
    fs::rename(temporary, directory.join(FILE))
}

/// Reads the record and tells objects and device what they were; what isn't there any more is left out.
pub(super) fn load(directory: &Path, tree: &mut Tree, device: &mut DeviceProperties) -> io::Result<()> {
    let text = match fs::read(directory.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let record: Record = serde_json::from_slice(&text).map_err(invalid)?;
    for (code, stored) in &record.device {
        let value = stored.value()?;
        let known = device.get_mut(&DevicePropertyCode(*code));
        // the profile may have changed since
        if let Some(known) = known.filter(|known| known.data_type == value.data_type()) {
            known.current = value;
        }
    }
    let places: BTreeMap<(u32, String), u32> =
        tree.iter().map(|(handle, node)| ((node.storage, tree.path(handle)), handle)).collect();
    for object in record.objects {
        let Some(handle) = places.get(&(object.storage, object.path)) else { continue };
        let Ok(node) = tree.get_mut(*handle) else { continue };
        if !node.is_folder() && FormatCode(object.format) != FormatCode::ASSOCIATION {
            node.format = FormatCode(object.format);
        }
        node.persistent = u128::from_str_radix(&object.persistent, 16).map_err(invalid)?;
        node.modified = object.modified;
        for (code, stored) in &object.values {
            node.values.insert(ObjectPropertyCode(*code), stored.value()?);
        }
        node.references = object.references.iter().filter_map(|place| places.get(place).copied()).collect();
    }
    tree.renew_persistent();
    Ok(())
}

fn invalid<E: std::error::Error + Send + Sync + 'static>(error: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
