//! Holds the manifest against the device and the library: what of ours is elsewhere, gone or another's by now, and what of
//! the user's is not what belongs there any more. It reads and concludes; others correct the record.

use super::error::RunError;
use super::ours::can_be;
use crate::plan::names::TakenNames;
use foldhash::{HashMap, HashSet};
use tandem_model::library::Resolved;
use tandem_model::manifest::{Correction, Entry, EntryState, Origin};
use tandem_model::path::DevicePath;
use tandem_model::player::Storage;

/// Files of ours that the user moved on the device, found by the lasting ids that it gave them: what is not where it was
/// put, and is elsewhere exactly as it was.
pub(super) async fn moved(
    storage: &dyn Storage,
    entries: &[Entry],
    missing: &[usize],
) -> Result<Vec<Correction>, RunError> {
    let has_id =
        |entry: &&Entry| !entry.persistent_id.is_empty() && *entry.persistent_id != *entry.path.as_str();
    let missing: Vec<&Entry> = missing.iter().map(|&at| &entries[at]).filter(has_id).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let places = storage.find(missing.iter().map(|entry| entry.persistent_id.to_string()).collect()).await?;
    let taken: HashSet<&DevicePath> = entries.iter().map(|entry| &entry.path).collect();
    let mut found = Vec::new();
    for (entry, place) in missing.into_iter().zip(places) {
        let Some(path) = place else { continue };
        let now = storage.object(&path).facts().await?;
        if now == Some(entry.facts) && !taken.contains(&path) {
            found.push(Correction::Place { entry: entry.id, path });
        }
    }
    Ok(found)
}

/// What holding the manifest against the device found.
pub(super) struct Compared {
    pub(super) corrections: Vec<Correction>,
    /// Positions of entries of ours whose files aren't where they were put.
    pub(super) missing: Vec<usize>,
    /// There were files of ours, and none is there any more.
    pub(super) restored: bool,
}

/// Holds the manifest against the device. Files of ours that are gone were deleted by the user and are skipped from
/// now on; if all are gone, the device was restored or formatted, and they are forgotten. Files that are others now
/// are the user's. What was gone and is back exactly as it was put there (it lay behind a link or a mount) is ours again.
pub(super) async fn compare(storage: &dyn Storage, entries: &[Entry]) -> Result<Compared, RunError> {
    let is_there = |entry: &&Entry| matches!(entry.state, EntryState::Present | EntryState::Foreign);
    let known: Vec<(usize, &Entry)> =
        entries.iter().enumerate().filter(|(_, entry)| entry.state != EntryState::Disowned).collect();
    let facts = storage.facts(known.iter().map(|(_, entry)| entry.path.clone()).collect()).await?;
    // made when a file is back, which is rare
    let mut taken = None;
    let names = || entries.iter().filter(is_there).map(|entry| &entry.path).collect::<TakenNames>();
    let ours = || known.iter().zip(&facts).filter(|((_, entry), _)| entry.state == EntryState::Present);
    let missing: Vec<usize> =
        ours().filter(|(_, now)| now.is_none()).map(|((position, _), _)| *position).collect();
    let restored = !missing.is_empty() && missing.len() == ours().count();
    let mut corrections = Vec::new();
    for ((_, entry), now) in known.iter().zip(&facts) {
        let is_track = matches!(entry.origin, Origin::Track(_));
        match now {
            now if entry.state == EntryState::Skipped => {
                if *now == Some(entry.facts) && taken.get_or_insert_with(names).insert(&entry.path) {
                    corrections.push(Correction::State { entry: entry.id, state: EntryState::Present });
                }
            }
            Some(now) if *now == entry.facts => {}
            // the bytes of what is the user's are looked at when it is found again
            Some(now) if entry.state == EntryState::Present && can_be(storage, entry.facts, *now) => {}
            _ if entry.state == EntryState::Foreign => {
                corrections.push(Correction::Forget { entry: entry.id });
            }
            Some(_) => corrections.push(Correction::State { entry: entry.id, state: EntryState::Disowned }),
            None if restored || !is_track => corrections.push(Correction::Forget { entry: entry.id }),
            None => corrections.push(Correction::State { entry: entry.id, state: EntryState::Skipped }),
        }
    }
    Ok(Compared { corrections, missing, restored })
}

/// The user's own files that are not what belongs there any more. Whether his playlists and albums are, is known when it is
/// known what is on the device.
pub(super) fn outdated(library: &Resolved, entries: &[Entry]) -> Vec<Correction> {
    let mut foreign = entries.iter().filter(|entry| entry.state == EntryState::Foreign).peekable();
    if foreign.peek().is_none() {
        return Vec::new();
    }
    let wanted: HashMap<&str, (u64, i64)> =
        library.tracks.iter().map(|track| (&*track.uri.0, (track.size, track.modified_ns))).collect();
    let belongs = |entry: &&Entry| match &entry.origin {
        Origin::Track(uri) => wanted.get(&*uri.0) == Some(&(entry.source_size, entry.source_modified_ns)),
        Origin::Playlist(_) | Origin::Album(_) => true,
    };
    foreign.filter(|entry| !belongs(entry)).map(|entry| Correction::Forget { entry: entry.id }).collect()
}
