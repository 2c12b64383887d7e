//! What models have answered, on disk, so that each is asked once: not at the next connection, nor after a restart.
//!
//! It is a cache: a file that can't be read is as good as none, and is replaced. `FORMAT.md` in `tandem-store` describes it.

use crate::facts::UsbDeviceFacts;
use crate::microsoft::{Advertised, CompatibleId, DeviceInterface};
use crate::usb::Answer;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tandem_model::id::Guid;

/// The file's name in the state directory.
const NAME: &str = "usb-models.toml";
/// Models that are remembered, at most; those that were asked first go.
const MODELS: usize = 512;
/// Ids and interfaces of one model that are remembered, at most.
const ENTRIES: usize = 32;
/// Bytes of a file that is read, at most.
const LARGEST: u64 = 4 << 20;
const FORMAT: u32 = 1;
const HEADER: &str = "\
# Written by tandemd: what USB devices have answered when they were asked for their Microsoft OS descriptors. Each model is
# asked once. `tandemctl probe --again DEVICE` asks again; without this file all are.
";

/// What devices are alike by: vendor, product, and release of the firmware.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Model {
    vendor: String,
    product: String,
    release: String,
}

impl Model {
    /// A device's model.
    pub(crate) fn of(facts: &UsbDeviceFacts) -> Self {
        let digits = |text: &str| text.trim().to_ascii_lowercase();
        Self {
            vendor: digits(&facts.usb.vendor_id),
            product: digits(&facts.usb.product_id),
            release: digits(&facts.release),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: u32,
    #[serde(default)]
    models: VecDeque<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    model: Model,
    answer: Word,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    compatible_ids: Vec<Id>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    device_interfaces: Vec<Interface>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    None,
    Advertised,
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u8>,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sub_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Interface {
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u8>,
    guid: Guid,
}

impl Entry {
    fn new(model: Model, answer: &Answer) -> Self {
        let none = Advertised::default();
        let (word, advertised) = match answer {
            Answer::None => (Word::None, &none),
            Answer::Silent => (Word::Silent, &none),
            Answer::Advertised(advertised) => (Word::Advertised, advertised),
        };
        let ids = advertised.compatible_ids.iter().take(ENTRIES).cloned();
        let interfaces = advertised.device_interfaces.iter().take(ENTRIES);
        Self {
            model,
            answer: word,
            compatible_ids: ids
                .map(|CompatibleId { first_interface: interface, id, sub_id }| Id { interface, id, sub_id })
                .collect(),
            device_interfaces: interfaces
                .map(|found| Interface { interface: found.first_interface, guid: found.guid })
                .collect(),
        }
    }

    fn answer(&self) -> Answer {
        match self.answer {
            Word::None => Answer::None,
            Word::Silent => Answer::Silent,
            Word::Advertised => Answer::Advertised(Advertised {
                compatible_ids: self
                    .compatible_ids
                    .iter()
                    .cloned()
                    .map(|Id { interface: first_interface, id, sub_id }| CompatibleId {
                        first_interface,
                        id,
                        sub_id,
                    })
                    .collect(),
                device_interfaces: self
                    .device_interfaces
                    .iter()
                    .map(|found| DeviceInterface { first_interface: found.interface, guid: found.guid })
                    .collect(),
            }),
        }
    }
}

/// The answers of models, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    models: VecDeque<Entry>,
}

impl Cache {
    /// What is on disk; nothing, after a warning, where that can't be read.
    pub(crate) fn load(directory: &Path) -> Self {
        let path = directory.join(NAME);
        match read(&path) {
            Ok(models) => Self { models },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(
                    "{} can't be read, so USB devices are asked anew what they are: {error}",
                    path.display()
                );
                Self::default()
            }
        }
    }

    /// What a model has answered.
    pub(crate) fn get(&self, model: &Model) -> Option<Answer> {
        self.models.iter().find(|entry| entry.model == *model).map(Entry::answer)
    }

    /// Remembers what a model has answered.
    pub(crate) fn put(&mut self, model: Model, answer: &Answer) {
        self.forget(&model);
        while self.models.len() >= MODELS {
            self.models.pop_front();
        }
        self.models.push_back(Entry::new(model, answer));
    }

    /// Forgets what a model has answered.
    pub(crate) fn forget(&mut self, model: &Model) {
        self.models.retain(|entry| entry.model != *model);
    }

    /// What is to be written to disk now.
    pub(crate) fn text(&self) -> String {
        let file = File { format: FORMAT, models: self.models.clone() };
        let body = toml::to_string(&file).expect("numbers and texts can be written");
        format!("{HEADER}{body}")
    }
}

fn read(path: &Path) -> io::Result<VecDeque<Entry>> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    let damaged = |cause: String| io::Error::new(io::ErrorKind::InvalidData, cause);
    if u64::try_from(read).is_ok_and(|read| read > LARGEST) {
        return Err(damaged(format!("it is larger than {LARGEST} bytes")));
    }
    let mut file: File = toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if file.format != FORMAT {
        return Err(damaged(format!("it is of format {}; this version reads {FORMAT}", file.format)));
    }
    let beyond = file.models.len().saturating_sub(MODELS);
    file.models.drain(..beyond);
    Ok(file.models)
}

/// Puts the text in the file's place at once, or leaves it as it was. It blocks.
pub(crate) fn save(directory: &Path, text: &str) -> io::Result<()> {
    let new: PathBuf = directory.join(format!("{NAME}.new"));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, directory.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::PLAYER_INTERFACE;
    use crate::usb::tests::unknown;
    use std::os::unix::fs::PermissionsExt;

    fn model(release: usize) -> Model {
        Model { vendor: "1209".to_owned(), product: "7a01".to_owned(), release: format!("{release:04x}") }
    }

    fn advertised() -> Answer {
        let id =
            |first_interface| CompatibleId { first_interface, id: "MTP".to_owned(), sub_id: "03".to_owned() };
        let interface = |first_interface| DeviceInterface { first_interface, guid: PLAYER_INTERFACE };
        Answer::Advertised(Advertised {
            compatible_ids: vec![id(Some(2)), id(None)],
            device_interfaces: vec![interface(None), interface(Some(255))],
        })
    }

    #[test]
    fn what_was_answered_is_there_after_a_restart_and_readable_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut cache = Cache::load(directory.path());
        for (release, answer) in [Answer::None, Answer::Silent, advertised()].iter().enumerate() {
            cache.put(model(release), answer);
        }
        cache.put(model(0), &advertised());
        save(directory.path(), &cache.text()).unwrap();
        let again = Cache::load(directory.path());
        assert_eq!(again.get(&model(0)), Some(advertised()));
        assert_eq!(again.get(&model(1)), Some(Answer::Silent));
        assert_eq!(again.get(&model(2)), Some(advertised()));
        assert_eq!(again.get(&model(3)), None);
        let mode = std::fs::metadata(directory.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let mut cache = Cache::default();
        for release in 0..=MODELS {
            cache.put(model(release), &Answer::None);
        }
        assert_eq!((cache.get(&model(0)), cache.get(&model(1))), (None, Some(Answer::None)));
        assert_eq!(cache.models.len(), MODELS);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none_and_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let whole = {
            let mut cache = Cache::default();
            cache.put(model(1), &advertised());
            cache.text()
        };
        for text in ["\0", "format = 2\n", "[[models]]\nvendor = 1", &whole[..whole.len() - 3]] {
            let mut file = std::fs::File::create(directory.path().join(NAME)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert!(Cache::load(directory.path()).models.is_empty(), "{text}");
        }
        save(directory.path(), &whole).unwrap();
        assert_eq!(Cache::load(directory.path()).get(&model(1)), Some(advertised()));
        assert!(save(&directory.path().join("none"), &whole).is_err());
    }

    #[test]
    fn models_are_told_apart_by_their_release_in_either_case() {
        let facts = UsbDeviceFacts { release: "01AB\n".to_owned(), ..unknown() };
        let model = Model::of(&facts);
        assert_eq!((model.product.as_str(), model.release.as_str()), ("4ee1", "01ab"));
        assert_ne!(model, Model::of(&unknown()));
    }
}
