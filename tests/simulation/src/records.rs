//! A sequence of operations on the real stores, step by step, and what the stores hold after each: what a power cut or a
//! failing disk is held against.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::error::{ItemError, StoreError};
use tandem_model::id::{DeviceId, Guid, MediaUri, PartnershipIndex, PlaylistId};
use tandem_model::manifest::{
    Correction, Entry, EntryState, Intent, ItemResult, Manifest, ManifestStore, Origin, Outcome,
};
use tandem_model::partnership::{
    Assignment, KnownDevice, LastSync, Partnership, PartnershipStore, Partnerships,
};
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tandem_store::{PartnershipFile, SqliteManifests};

/// One operation.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// So many partnerships are saved.
    Save(u8),
    /// A manifest is opened, and made if there is none.
    Open(u128),
    /// So many writes are intended.
    Intend(u8),
    /// All that is intended has come to pass, and so many more writes are intended.
    Settle(u8),
    /// Folders are recorded, and an entry is skipped.
    Correct,
    /// An entry is to be deleted.
    IntendDeletion,
    /// Results are recorded.
    Results,
    /// The manifest is closed.
    Close,
    /// A manifest is removed.
    Remove(u128),
}

/// The operations, in their order.
pub const SCRIPT: [Step; 26] = [
    Step::Save(1),
    Step::Open(1),
    Step::Intend(3),
    Step::Settle(2),
    Step::Correct,
    Step::Save(2),
    Step::Settle(0),
    Step::IntendDeletion,
    Step::Settle(1),
    Step::Results,
    Step::Close,
    Step::Save(3),
    Step::Open(1),
    Step::Settle(60),
    Step::Settle(60),
    Step::Results,
    Step::Settle(0),
    Step::Close,
    Step::Open(2),
    Step::Intend(2),
    Step::Save(2),
    Step::Settle(1),
    Step::Close,
    Step::Remove(1),
    Step::Save(1),
    Step::Save(4),
];

/// What the stores hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Held {
    partnerships: Partnerships,
    manifests: BTreeMap<u128, Kept>,
}

type Kept = (Vec<Entry>, Vec<DevicePath>, Vec<(i64, Intent)>, Vec<ItemResult>);

/// Carries the operations out.
pub struct Clerk {
    store: PartnershipFile,
    manifests: SqliteManifests,
    open: Option<Box<dyn Manifest>>,
    number: u32,
}

impl Clerk {
    /// Somebody who keeps records in this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let directory: PathBuf = directory.to_owned();
        let store = PartnershipFile::new(directory.clone());
        Self { store, manifests: SqliteManifests::new(directory), open: None, number: 0 }
    }

    /// Carries one out. After an error the same one can be carried out again.
    ///
    /// # Errors
    /// What the stores say.
    pub fn perform(&mut self, step: Step) -> Result<(), StoreError> {
        let number = self.number;
        match step {
            Step::Save(count) => self.store.save(&partnerships(count))?,
            Step::Open(relationship) => self.open = Some(self.manifests.open(Guid(relationship))?),
            Step::Close => self.open = None,
            Step::Remove(relationship) => self.manifests.remove(Guid(relationship))?,
            Step::Intend(count) => drop(self.manifest()?.commit(&[], &intents(number, count))?),
            Step::Settle(count) => {
                let manifest = self.manifest()?;
                let outcomes: Vec<Outcome> = manifest.pending()?.iter().map(outcome).collect();
                manifest.commit(&outcomes, &intents(number, count))?;
            }
            Step::Correct => {
                let manifest = self.manifest()?;
                let entry = manifest.entries()?.first().map(|entry| entry.id);
                let mut corrections = vec![Correction::MadeFolders(vec![path("Music"), path("Music/Ann")])];
                corrections
                    .extend(entry.map(|entry| Correction::State { entry, state: EntryState::Skipped }));
                manifest.correct(&corrections)?;
            }
            Step::IntendDeletion => {
                let manifest = self.manifest()?;
                let entry = manifest.entries()?.last().map(|entry| entry.id);
                let intent = entry.map(|entry| Intent::Delete { entry, aside: path(".tandem/aside.part") });
                manifest.commit(&[], &intent.into_iter().collect::<Vec<_>>())?;
            }
            Step::Results => {
                let result = |at: u32| ItemResult {
                    media: format!("file:///{number}/{at}.mp3"),
                    error: at.is_multiple_of(2).then_some(ItemError::NoFit),
                    message: "no space is left for it".to_owned(),
                };
                self.manifest()?.set_results(&(0..9).map(result).collect::<Vec<_>>())?;
            }
        }
        self.number += 1;
        Ok(())
    }

    fn manifest(&mut self) -> Result<&mut dyn Manifest, StoreError> {
        let none = || StoreError::Io { path: "manifest".to_owned(), cause: "none is open".to_owned() };
        self.open.as_deref_mut().map(|manifest| manifest as &mut dyn Manifest).ok_or_else(none)
    }
}

impl Held {
    /// What the stores in this directory hold.
    ///
    /// # Errors
    /// What they say.
    pub fn read(directory: &Path) -> Result<Self, StoreError> {
        let manifests = SqliteManifests::new(directory.to_owned());
        let mut held = Self {
            partnerships: PartnershipFile::new(directory.to_owned()).load()?,
            manifests: BTreeMap::new(),
        };
        for relationship in [1, 2] {
            let manifest = manifests.open(Guid(relationship))?;
            let kept = (manifest.entries()?, manifest.folders()?, manifest.pending()?, manifest.results()?);
            held.manifests.insert(relationship, kept);
        }
        Ok(held)
    }
}

/// What is held after none, one, two, … of the operations, each carried out in a directory below this one.
///
/// # Errors
/// What the stores say.
pub fn expected(directory: &Path) -> Result<Vec<Held>, StoreError> {
    (0..=SCRIPT.len())
        .map(|count| {
            let state = directory.join(count.to_string());
            let mut clerk = Clerk::new(&state);
            SCRIPT[..count].iter().try_for_each(|step| clerk.perform(*step))?;
            drop(clerk);
            Held::read(&state)
        })
        .collect()
}

fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).expect("the script's paths are legal ones")
}

fn intents(number: u32, count: u8) -> Vec<Intent> {
    let intent = |at: u8| Intent::Write {
        origin: Origin::Track(MediaUri(format!("file:///{number}/{at}.mp3").into())),
        path: path(&format!("Music/Ann/{number}-{at}.mp3")),
        temporary: path(&format!(".tandem/{number}-{at}.part")),
        size: 1000 + u64::from(at),
        modified_ns: 5,
        replaces: None,
    };
    (0..count).map(intent).collect()
}

fn outcome((intent, what): &(i64, Intent)) -> Outcome {
    let intent = *intent;
    match what {
        Intent::Delete { .. } => Outcome::Deleted { intent },
        Intent::Write { path, size, .. } => Outcome::Written {
            intent,
            persistent_id: path.as_str().to_owned(),
            facts: ObjectFacts { size: *size, modified_ns: 6 },
            hash: 7,
            audio_hash: Some(8),
        },
        Intent::UpdateMetadata { .. } => {
            Outcome::MetadataUpdated { intent, facts: ObjectFacts { size: 1, modified_ns: 6 } }
        }
    }
}

/// So many partnerships, sixteen at most.
///
/// # Panics
/// With more.
#[must_use]
pub fn partnerships(count: u8) -> Partnerships {
    let device = |number: u8| DeviceId(format!("device-{number}"));
    let known = |number: u8| KnownDevice {
        description: DeviceDescription::named(device(number), Kind::Folder, format!("Player {number}")),
        friendly_name: None,
        guid: Guid(100 + u128::from(number)),
        declined: false,
        ended_relationship: None,
        made_mark: true,
        unsettled: Vec::new(),
        verify_failed: 0,
        last_seen: 1,
        total_space: 0,
    };
    let partnership = |number: u8| Partnership {
        relationship: Guid(u128::from(number)),
        device: device(number),
        owner: 1000,
        index: PartnershipIndex::new(number).expect("the script has no more than sixteen"),
        created: 1,
        percent_space_reserved: 5,
        sync_on_connect: true,
        auto_sync_default_rules: false,
        verify: false,
        removing: false,
        last_sync: LastSync::default(),
        assignments: vec![Assignment { playlist: PlaylistId("p".to_owned()), priority: 1 }],
        history: Vec::new(),
    };
    Partnerships {
        ended: Vec::new(),
        devices: (1..=count).map(known).collect(),
        partnerships: (1..=count).map(partnership).collect(),
    }
}
