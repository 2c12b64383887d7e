//! Manifests on disk: makes them, opens them after a look at their health, sets damaged ones aside, removes them.
//!
//! What a manifest records is `manifest`'s business.

use crate::damage::{HEADER_LENGTH, damaged, odd_header, store_error};
use crate::file;
use crate::manifest::SqliteManifest;
use crate::schema::{self, APPLICATION, FORMAT};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::error::StoreError;
use tandem_model::id::Guid;
use tandem_model::manifest::{Manifest, ManifestStore};

/// How many damaged files of one partnership are kept; a further one takes the last one's place.
const KEPT_DAMAGED: u32 = 9;

/// Partnerships whose manifest turned out to be damaged while it was used.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<BTreeSet<Guid>>);

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Guid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, relationship: Guid) {
        self.lock().insert(relationship);
    }
}

/// Keeps each partnership's manifest in `manifests/` of a state directory.
#[derive(Debug)]
pub struct SqliteManifests {
    directory: PathBuf,
    suspects: Arc<Suspects>,
    /// Held while files are made, set aside or removed.
    changing: Mutex<()>,
}

impl SqliteManifests {
    /// The manifests kept in this directory, which is made with the first of them. Touches nothing yet.
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        Self { directory: state_dir.join("manifests"), suspects: Arc::default(), changing: Mutex::default() }
    }

    fn path(&self, relationship: Guid) -> PathBuf {
        let name = relationship.to_string();
        self.directory.join(format!("{}.sqlite", name.trim_matches(['{', '}'])))
    }

    fn open_at(&self, path: &Path, relationship: Guid) -> Result<SqliteManifest, StoreError> {
        let suspected = self.suspects.lock().remove(&relationship);
        let odd = match look(path)? {
            Look::Absent => {
                create(path)?;
                None
            }
            Look::Usual => None,
            Look::Odd(what) => Some(what),
        };
        let in_sqlite = |error| store_error(path, &error);
        let mut connection = schema::open_file(path).map_err(in_sqlite)?;
        let (application, format) = schema::identity(&connection).map_err(in_sqlite)?;
        if application != APPLICATION || format == 0 {
            return Err(damaged(path, odd.unwrap_or("it is a database, but not a manifest").to_owned()));
        }
        if format > FORMAT {
            let path = path.display().to_string();
            return Err(StoreError::TooNew { path, found: format, supported: FORMAT });
        }
        if format < FORMAT {
            schema::upgrade(&mut connection, format).map_err(in_sqlite)?;
        }
        schema::set_up(&connection).map_err(in_sqlite)?;
        if (odd.is_some() || suspected)
            && let Some(finding) = schema::quick_check(&connection).map_err(in_sqlite)?
        {
            return Err(damaged(path, odd.map_or(finding.clone(), |odd| format!("{odd}; {finding}"))));
        }
        let suspects = Arc::clone(&self.suspects);
        let path = path.to_owned();
        let manifest = SqliteManifest { path, relationship, connection, suspects, run: None };
        if suspected {
            manifest.check_rows()?;
        }
        Ok(manifest)
    }
}

impl ManifestStore for SqliteManifests {
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(relationship);
        match self.open_at(&path, relationship) {
            Ok(manifest) => Ok(Box::new(manifest)),
            Err(StoreError::Damaged { path: named, cause }) => {
                let aside = set_aside(&path)?;
                self.suspects.lock().remove(&relationship);
                tracing::warn!("{} is damaged and set aside as {}: {cause}", path.display(), aside.display());
                let cause = format!(
                    "{cause}; it was set aside as {}, and what is on the device counts as foreign from now on",
                    aside.display()
                );
                Err(StoreError::Damaged { path: named, cause })
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&self, relationship: Guid) -> Result<(), StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(relationship);
        self.suspects.lock().remove(&relationship);
        // the database first: a log without one means nothing, a database without its log is an older state
        for suffix in ["", "-wal", "-shm", "-journal", ".new", ".new-journal"] {
            file::remove(&file::with_suffix(&path, suffix))?;
        }
        for aside in places_aside(&path) {
            file::remove(&aside)?;
            file::remove(&file::with_suffix(&aside, "-wal"))?;
        }
        match file::sync_directory(&path) {
            Err(_) if !self.directory.exists() => Ok(()),
            result => result,
        }
    }
}

/// What the first look at a manifest's file tells.
enum Look {
    Absent,
    Usual,
    Odd(&'static str),
}

fn look(path: &Path) -> Result<Look, StoreError> {
    let in_system = |error| file::io_error(path, &error);
    let Some(file) = file::open(path)? else { return Ok(Look::Absent) };
    for suffix in ["-wal", "-shm", "-journal"] {
        file::check_kind(&file::with_suffix(path, suffix))?;
    }
    let length = file.metadata().map_err(in_system)?.len();
    let mut header = Vec::with_capacity(HEADER_LENGTH);
    file.take(HEADER_LENGTH as u64).read_to_end(&mut header).map_err(in_system)?;
    Ok(odd_header(&header, length).map_or(Look::Usual, Look::Odd))
}

/// Makes an empty manifest beside its final name, then gives it that name: under it there is never half a file.
fn create(path: &Path) -> Result<(), StoreError> {
    file::ensure_directory(path.parent().unwrap_or(Path::new(".")))?;
    // what a removal left that was cut; a log would be replayed into the new file
    for suffix in ["-wal", "-shm", "-journal", ".new-journal"] {
        file::remove(&file::with_suffix(path, suffix))?;
    }
    let fresh = file::with_suffix(path, ".new");
    drop(file::create_fresh(&fresh)?);
    schema::create(&fresh).map_err(|error| store_error(&fresh, &error))?;
    file::rename(&fresh, path)
}

fn places_aside(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=KEPT_DAMAGED).map(|number| file::with_suffix(path, &format!(".damaged-{number}")))
}

/// Renames a damaged manifest and its log; tells to what.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let last = file::with_suffix(path, &format!(".damaged-{KEPT_DAMAGED}"));
    let aside = places_aside(path).find(|place| !place.exists()).unwrap_or(last);
    file::remove(&file::with_suffix(&aside, "-wal"))?;
    file::rename(path, &aside)?;
    let log = file::with_suffix(path, "-wal");
    if log.exists() {
        file::rename(&log, &file::with_suffix(&aside, "-wal"))?;
    }
    file::remove(&file::with_suffix(path, "-shm"))?;
    Ok(aside)
}

#[cfg(test)]
mod tests;
