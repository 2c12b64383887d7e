//! Everything before the first change on the device: clean-up of what was in flight, comparison of the manifest with
//! the device, the owner's playlists, and the plan. Previews and estimates end here and change nothing.

use super::RunInput;
use super::adopt::Adoption;
use super::albums::cover_stamps;
use super::cancel::unless_cancelled;
use super::compare::{compare, moved, outdated};
use super::error::RunError;
use super::interrupted;
use super::journal::Journal;
use super::planned::{Planned, Scope, plan_beside_his};
use super::recover::{self, Sources};
use super::temporary::TemporaryNames;
use crate::plan::albums::CoverStamps;
use crate::plan::changes::Candidate;
use crate::plan::{Plan, changes};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use std::hash::Hasher;
use std::sync::Arc;
use tandem_model::id::{Guid, MediaUri, PlaylistId};
use tandem_model::library::{Apart, Library, Resolved, TrackHashes};
use tandem_model::manifest::{Correction, Entry, EntryState, Origin};
use tandem_model::partnership::Partnership;
use tandem_model::player::{Mark, Player, Space, Storage, Transfer};
use tandem_model::presence::Locator;

/// Tracks whose bytes are looked at between two looks at the wish to stop.
const HASHED_TOGETHER: usize = 8;

/// What the preparation is for.
pub(crate) enum Question {
    /// A run: the record and the device may be changed.
    Run,
    /// A preview or an estimate: nothing may be changed. With playlists in the place of the assigned ones, or added.
    Hypothetical {
        /// In the place of the assigned playlists.
        instead: Option<Vec<PlaylistId>>,
        /// Besides those.
        besides: Option<PlaylistId>,
    },
}

/// A run that is ready to begin.
pub(crate) struct Prepared {
    pub(crate) player: Arc<dyn Player>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) journal: Journal,
    pub(crate) library: Resolved,
    pub(crate) entries: Vec<Entry>,
    pub(crate) space: Space,
    pub(crate) plan: Plan,
    /// Where the player takes pictures of albums.
    pub(crate) covers: CoverStamps,
    pub(crate) fingerprint: u64,
    pub(crate) names: TemporaryNames,
    /// Folders may have been made in vain: a run before this one was cut, or a file that was sent got no name.
    pub(crate) untidy: bool,
    /// The manifest was lost: a run adopts what is on the device exactly as it would be written there.
    pub(crate) lost: bool,
    /// What the user is told when the manifest was lost.
    pub(crate) lost_record: Option<String>,
    /// Files of the user's that count as there as soon as ours of the same tracks have given way.
    pub(crate) his_later: Vec<Correction>,
}

/// Prepares a run over an open device.
pub(crate) async fn prepare(
    input: &RunInput,
    player: Arc<dyn Player>,
    question: Question,
    cancel: &Transfer,
) -> Result<Prepared, RunError> {
    let journal = Journal::open(&input.parts, input.partnership.relationship).await?;
    let prepared = prepare_recorded(input, player, question, cancel, journal.clone()).await;
    if prepared.is_err() {
        journal.close().await;
    }
    prepared
}

async fn prepare_recorded(
    input: &RunInput,
    player: Arc<dyn Player>,
    question: Question,
    cancel: &Transfer,
    journal: Journal,
) -> Result<Prepared, RunError> {
    let for_run = matches!(question, Question::Run);
    let storage = player.storage();
    let playlists = playlists_of(input, question);
    if let Some(begun) = input.begun {
        interrupted::begin(&journal, input, begun).await;
    }
    let library = unless_cancelled(cancel, input.library.resolve(playlists));
    let place = Place { input, player: &*player, storage: &*storage, journal: &journal };
    let (Looked { mut entries, recovered, lost }, library) =
        if for_run && !journal.with(|manifest| manifest.pending()).await?.is_empty() {
            // what was in flight is held against its sources, if they can be had
            let library = library.await;
            let resolved = library.as_ref().ok().and_then(|library| library.as_ref().ok());
            let resolved = resolved.filter(|_| !input.turned_read_only);
            let sources = resolved.map(|library| Sources { library, owner: &*input.library, cancel });
            (place.look(for_run, sources).await?, library)
        } else {
            // the answer is awaited beside the look at the device, but its failure doesn't cut that short
            tokio::try_join!(place.look(for_run, None), async { Ok(library.await) })?
        };
    let mut library = library??;
    let capabilities = player.capabilities().clone();
    let names = TemporaryNames::new(&input.parts.new_guid);
    let mut lost_record = None;
    let apart = capabilities.told_apart();
    let mut adoption = Adoption::new(&journal, &*storage, &*input.library, apart, cancel);
    if lost && for_run {
        let adopted;
        (library, adopted) = adoption.adopt(library, &capabilities, &names).await?;
        entries = journal.with(|manifest| manifest.entries()).await?;
        lost_record = Some(lost_message(adopted));
    }
    let found = unchanged_bytes(&*input.library, &library, &entries, apart, cancel).await?;
    apply_or_correct(&journal, &mut entries, found, for_run).await?;
    let takes_tags = storage.updates_metadata();
    let retagged = if takes_tags {
        unchanged_audio(&*input.library, &library, &mut entries, apart, cancel).await?
    } else {
        HashSet::new()
    };
    let outdated = outdated(&library, &entries);
    apply_or_correct(&journal, &mut entries, outdated, for_run).await?;
    let space = storage.space().await?;
    let percent_reserved = input.partnership.percent_space_reserved;
    let scope = Scope { space, percent_reserved, retagged };
    let planned = plan_beside_his(library, entries, scope, capabilities, &mut adoption, for_run).await?;
    let (Planned { plan, fingerprint, library, entries, .. }, his_later) = (planned, adoption.into_later());
    let covers = cover_stamps(&*input.library, &library, player.capabilities(), cancel).await?;
    let prepared = Prepared {
        player,
        storage,
        journal,
        library,
        entries,
        space,
        plan,
        covers,
        fingerprint,
        names,
        untidy: recovered,
        lost,
        lost_record,
        his_later,
    };
    Ok(prepared)
}

fn lost_message(adopted: usize) -> String {
    format!(
        "the record of what was put on this player was lost. {adopted} files there are exactly what belongs there and \
         count as ours again; others are left alone, and may lie beside new copies: look through the player for files \
         that you no longer want"
    )
}

/// What a look at the device found.
struct Looked {
    /// The manifest, as it is true on the device now.
    entries: Vec<Entry>,
    /// Something was in flight.
    recovered: bool,
    /// The manifest was damaged or removed: it is empty, though runs before this one have filled it.
    lost: bool,
}

/// A device and the record of it.
struct Place<'a> {
    input: &'a RunInput,
    player: &'a dyn Player,
    storage: &'a dyn Storage,
    journal: &'a Journal,
}

impl Place<'_> {
    /// Cleans up what was in flight, and holds the manifest against the device: its entries are what is true there now.
    async fn look(&self, for_run: bool, sources: Option<Sources<'_>>) -> Result<Looked, RunError> {
        let Place { input, player, storage, journal } = *self;
        let marked = carries_our_mark(player, input).await?;
        let mut entries = journal.with(|manifest| manifest.entries()).await?;
        let mut recovered = false;
        if for_run {
            recovered = recover::recover(journal, storage, &entries, sources, false).await?;
            if recovered {
                entries = journal.with(|manifest| manifest.entries()).await?;
            }
        }
        if input.include_skipped {
            apply_or_correct(journal, &mut entries, vec![Correction::ForgetSkipped], for_run).await?;
        }
        let lost = entries.is_empty()
            && input.partnership.last_sync.item_count > 0
            && !journal.with(|manifest| manifest.was_filled()).await?;
        let mut found = compare(storage, &entries).await?;
        let moved = moved(storage, &entries, &found.missing).await?;
        if !moved.is_empty() {
            apply_or_correct(journal, &mut entries, moved, for_run).await?;
            found = compare(storage, &entries).await?;
        }
        let nothing_is_there = found.restored && !marked;
        let other_size = input.known_size != 0 && input.known_size != storage.space().await?.total;
        if nothing_is_there && other_size && matches!(input.arrival.locator, Locator::Folder { .. }) {
            return Err(RunError::not_the_player());
        }
        if for_run && !marked {
            let mark = Mark { device: input.device_guid, relationship: input.partnership.relationship };
            player.set_mark(mark).await?;
        }
        apply_or_correct(journal, &mut entries, found.corrections, for_run).await?;
        let wanted = wanted_again(&entries, &input.by_hand);
        apply_or_correct(journal, &mut entries, wanted, for_run).await?;
        Ok(Looked { entries, recovered, lost })
    }
}

/// What the user deleted or changed on the device and now names by hand is as if it had never been there.
fn wanted_again(entries: &[Entry], by_hand: &std::collections::HashSet<MediaUri>) -> Vec<Correction> {
    let is_wanted = |entry: &&Entry| {
        entry.state != EntryState::Present
            && matches!(&entry.origin, Origin::Track(uri) if by_hand.contains(uri))
    };
    entries.iter().filter(is_wanted).map(|entry| Correction::Forget { entry: entry.id }).collect()
}

/// Whether the device carries this partnership's mark. One that carries another partnership's is refused; that of one
/// that was ended here counts as none.
async fn carries_our_mark(player: &dyn Player, input: &RunInput) -> Result<bool, RunError> {
    let carried = player.mark().await?.map(|mark| mark.relationship);
    match carried.filter(|carried| *carried != Guid::ZERO && Some(*carried) != input.ended_relationship) {
        Some(carried) if carried == input.partnership.relationship => Ok(true),
        Some(_) => Err(RunError::partnership_lost()),
        None => Ok(false),
    }
}

/// The assigned playlists, the most important first; equal priorities in the order of their ids.
pub(crate) fn in_priority_order(partnership: &Partnership) -> Vec<PlaylistId> {
    let mut assigned: Vec<_> = partnership.assignments.iter().collect();
    assigned.sort_by(|a, b| (a.priority, &a.playlist).cmp(&(b.priority, &b.playlist)));
    assigned.into_iter().map(|assignment| assignment.playlist.clone()).collect()
}

fn playlists_of(input: &RunInput, question: Question) -> Vec<PlaylistId> {
    let mut playlists = in_priority_order(&input.partnership);
    if let Question::Hypothetical { instead, besides } = question {
        playlists = instead.unwrap_or(playlists);
        // one that is assigned already is there once
        playlists.extend(besides.filter(|besides| !playlists.contains(besides)));
    }
    playlists
}

/// Tracks (by position) of which only the tags have changed since they were put on the device.
async fn unchanged_audio(
    owner: &dyn Library,
    library: &Resolved,
    entries: &mut [Entry],
    apart: Apart,
    cancel: &Transfer,
) -> Result<HashSet<u32>, RunError> {
    let candidates = changes::retag_candidates(library, entries);
    let tracks: Vec<u32> = candidates.iter().map(|candidate| candidate.track).collect();
    let hashes = track_hashes(owner, library, &tracks, apart, cancel).await?;
    let is_unchanged = |candidate: &&Candidate| {
        let audio = hashes.get(&candidate.track).and_then(|hashes| hashes.audio);
        audio.is_some() && audio == entries[candidate.entry].audio_hash
    };
    Ok(candidates.iter().filter(is_unchanged).map(|candidate| candidate.track).collect())
}

/// Hashes of these tracks' files, as far as they can be read.
pub(crate) async fn track_hashes(
    owner: &dyn Library,
    library: &Resolved,
    tracks: &[u32],
    apart: Apart,
    cancel: &Transfer,
) -> Result<HashMap<u32, TrackHashes>, RunError> {
    let mut hashes = HashMap::new();
    for group in tracks.chunks(HASHED_TOGETHER) {
        let ids = group.iter().map(|&track| library.tracks[track as usize].id).collect();
        let found = group.iter().zip(unless_cancelled(cancel, owner.track_hashes(ids, apart)).await??);
        hashes.extend(found.filter_map(|(&track, hashes)| hashes.map(|hashes| (track, hashes))));
    }
    Ok(hashes)
}

/// Files that were only touched or moved keep what they have on the device.
async fn unchanged_bytes(
    owner: &dyn Library,
    library: &Resolved,
    entries: &[Entry],
    apart: Apart,
    cancel: &Transfer,
) -> Result<Vec<Correction>, RunError> {
    let candidates = changes::candidates(library, entries);
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut tracks: Vec<u32> = candidates.iter().map(|candidate| candidate.track).collect();
    tracks.dedup();
    let hashes = track_hashes(owner, library, &tracks, apart, cancel).await?;
    Ok(changes::corrections(library, entries, &candidates, &hashes))
}

async fn apply_or_correct(
    journal: &Journal,
    entries: &mut Vec<Entry>,
    corrections: Vec<Correction>,
    for_run: bool,
) -> Result<(), RunError> {
    if for_run {
        return correct(journal, entries, corrections).await;
    }
    apply(entries, &corrections);
    Ok(())
}

/// Corrects the record, on disk and here.
pub(crate) async fn correct(
    journal: &Journal,
    entries: &mut Vec<Entry>,
    corrections: Vec<Correction>,
) -> Result<(), RunError> {
    if corrections.is_empty() {
        return Ok(());
    }
    apply(entries, &corrections);
    journal.with(move |manifest| manifest.correct(&corrections)).await
}

/// What the corrections come to, in memory.
fn apply(entries: &mut Vec<Entry>, corrections: &[Correction]) {
    let position: HashMap<i64, usize> =
        entries.iter().zip(0..).map(|(entry, position)| (entry.id, position)).collect();
    let mut forgotten = HashSet::new();
    for correction in corrections {
        match correction {
            Correction::Source { entry, origin, size, modified_ns } => {
                if let Some(&at) = position.get(entry) {
                    entries[at].origin = origin.clone();
                    entries[at].source_size = *size;
                    entries[at].source_modified_ns = *modified_ns;
                }
            }
            Correction::Place { entry, path } => {
                if let Some(&at) = position.get(entry) {
                    entries[at].path = path.clone();
                }
            }
            Correction::State { entry, state } => {
                if let Some(&at) = position.get(entry) {
                    entries[at].state = *state;
                }
            }
            Correction::Forget { entry } => {
                forgotten.insert(*entry);
            }
            Correction::ForgetSkipped => {
                forgotten.extend(entries.iter().filter(|e| e.state != EntryState::Present).map(|e| e.id));
            }
            // none of these is of what a run plans from here
            Correction::Found { .. } | Correction::MadeFolders(_) | Correction::ForgetFolders(_) => {}
        }
    }
    entries.retain(|entry| !forgotten.contains(&entry.id));
}

/// One number for what the assigned playlists hold, to tell whether a change of the library matters to the device.
pub(crate) fn fingerprint(library: &Resolved) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    for playlist in &library.playlists {
        hasher.update(playlist.id.0.as_bytes());
        hasher.write_u8(0);
        hasher.update(playlist.name.as_bytes());
        hasher.write_u8(0);
        hasher.write_usize(playlist.tracks.len());
        for &track in &playlist.tracks {
            let track = &library.tracks[track as usize];
            hasher.update(track.uri.0.as_bytes());
            hasher.write_u64(track.size);
            hasher.write_i64(track.modified_ns);
        }
    }
    hasher.write_usize(library.missing.len());
    hasher.finish()
}
