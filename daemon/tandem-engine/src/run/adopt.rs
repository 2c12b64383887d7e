//! Files on the device that have the names that we would choose and exactly the content that we would write. After the
//! manifest was lost they count as ours again; otherwise they are the user's, and count as there. Whatever differs is
//! somebody else's, and where it has a name, the numbered ones after it are looked at.

use super::cancel::unless_cancelled;
use super::error::RunError;
use super::journal::Journal;
use super::planned::{Scope, plan_aside};
use super::playlists::{self, PlaylistFile};
use super::prepare::Prepared;
use super::temporary::TemporaryNames;
use super::transfer::NAME_TRIES;
use crate::plan::Plan;
use crate::plan::albums::{self, AlbumObject, CoverStamps};
use crate::plan::names::{TakenNames, numbered};
use crate::plan::playlists::Place;
use foldhash::{HashMap, HashSet};
use std::sync::Arc;
use tandem_model::formats::playlist_items;
use tandem_model::id::TrackId;
use tandem_model::library::{Apart, Library, Resolved, TrackHashes};
use tandem_model::manifest::{Correction, Entry, Intent, Manifest, Origin, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, ObjectFacts, PlaylistStyle, Space, Storage, Transfer};

/// Tracks whose bytes the library is asked for between two looks at the wish to stop.
const HASHED_TOGETHER: usize = 8;
/// Where nothing is left out for want of space.
const BOUNDLESS: Space =
    Space { total: u64::MAX, free: u64::MAX, cluster: 1, cluster_is_known: true, folder: Some(0) };

/// What adopting works with.
pub(crate) struct Adoption<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) storage: &'a dyn Storage,
    pub(crate) owner: &'a dyn Library,
    apart: Apart,
    pub(crate) cancel: &'a Transfer,
    /// The tracks that were looked for, and under which names.
    looked: HashSet<(u32, DevicePath)>,
    /// Found as the user's, of tracks that ours give way of: to be recorded when those are gone.
    later: Vec<Correction>,
}

/// A file that may be adopted: something of its size has its name.
struct Candidate {
    origin: Origin,
    path: DevicePath,
    facts: ObjectFacts,
    size: u64,
    modified_ns: i64,
}

/// A file that is adopted, with the hashes of its bytes.
type Adopted = (Candidate, TrackHashes);

/// What holds no audio and may be adopted: a playlist, or an album that refers to exactly the tracks that it would.
pub(crate) struct List {
    origin: Origin,
    path: DevicePath,
    bytes: Arc<[u8]>,
    /// The device keeps it as what it refers to.
    by_reference: bool,
}

impl List {
    pub(crate) fn of_playlist(file: &PlaylistFile, style: &PlaylistStyle) -> Self {
        let PlaylistFile { playlist, plain, bytes, .. } = file;
        let (origin, bytes) = (Origin::Playlist(playlist.id.clone()), bytes.as_slice().into());
        Self { origin, path: plain.clone(), bytes, by_reference: style.is_by_reference() }
    }

    pub(crate) fn of_album(object: &AlbumObject) -> Self {
        let AlbumObject { id, plain, text, .. } = object;
        let (origin, bytes) = (Origin::Album(id.clone()), text.as_bytes().into());
        Self { origin, path: plain.clone(), bytes, by_reference: true }
    }

    /// Whether what lies there, of which the device tells this, is exactly the list. What can't be read isn't.
    async fn is_there(
        &self,
        storage: &dyn Storage,
        facts: ObjectFacts,
        cancel: &Transfer,
    ) -> Result<bool, RunError> {
        if !self.by_reference {
            let is_as_long = facts.size == self.bytes.len() as u64;
            return Ok(is_as_long && has_bytes(storage, &self.path, self.hash(), cancel).await?);
        }
        let files = playlist_items(&String::from_utf8_lossy(&self.bytes), self.path.parent().as_ref());
        match storage.refers_to(self.path.clone(), files).await {
            Err(error) if error.ends_run() => Err(error.into()),
            refers => Ok(refers.unwrap_or(false)),
        }
    }

    /// XXH3-128 of its text.
    fn hash(&self) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&self.bytes)
    }
}

/// Whether the file on the device has the bytes with this hash. One that can't be read hasn't.
async fn has_bytes(
    storage: &dyn Storage,
    path: &DevicePath,
    hash: u128,
    cancel: &Transfer,
) -> Result<bool, RunError> {
    let object = storage.object(path);
    let reading = Arc::new(Transfer::default());
    match unless_cancelled(cancel, object.hash(&reading)).await? {
        Ok(found) => Ok(found == hash),
        Err(error) if error.ends_run() => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// A list that lies on the device exactly as it would be written there.
pub(crate) struct FoundList {
    list: List,
    facts: ObjectFacts,
}

impl FoundList {
    /// Looks for it under its name and, where others have that, under numbered ones: where the first free one comes it would
    /// be written. Names that are `taken` are other lists', and so is then that of what is found.
    pub(crate) async fn find(
        storage: &dyn Storage,
        mut list: List,
        taken: &mut TakenNames,
        cancel: &Transfer,
    ) -> Result<Option<Self>, RunError> {
        let plain = list.path.clone();
        let numbers = (2..=NAME_TRIES).map(|number| numbered(&plain, number));
        for path in std::iter::once(plain.clone()).chain(numbers) {
            if taken.contains(&path) {
                continue;
            }
            let Some(facts) = storage.object(&path).facts().await? else { break };
            list.path = path;
            if list.is_there(storage, facts, cancel).await? {
                taken.insert(&list.path);
                return Ok(Some(Self { list, facts }));
            }
        }
        Ok(None)
    }

    /// Records it as the user's, which counts as there.
    pub(super) async fn record(self, journal: &Journal) -> Result<(), RunError> {
        let Self { list, facts } = self;
        let (hash, size, modified_ns) = (list.hash(), list.bytes.len() as u64, facts.modified_ns);
        let List { origin, path, .. } = list;
        let found = Correction::Found { origin, path, facts, size, modified_ns, hash };
        journal.with(move |manifest| manifest.correct(&[found])).await
    }
}

fn lists(library: &Resolved, capabilities: &Capabilities, places: &HashMap<u32, Place>) -> Vec<List> {
    let Capabilities { playlists: style, albums: album_style, .. } = capabilities;
    let playlists = style.iter().flat_map(|style| {
        let list = |file: &PlaylistFile| List::of_playlist(file, style);
        playlists::changes(library, &[], style, places).fresh.iter().map(list).collect::<Vec<_>>()
    });
    let albums = albums::changes(library, &[], album_style.as_ref(), places, &CoverStamps::default());
    playlists.chain(albums.fresh.iter().map(List::of_album)).collect()
}

/// Records as the user's what was found in the place of files that gave way, where those are gone now.
pub(super) async fn record_his(prepared: &mut Prepared) -> Result<(), RunError> {
    let mut his = std::mem::take(&mut prepared.his_later);
    let recorded: HashSet<&Origin> = prepared.entries.iter().map(|entry| &entry.origin).collect();
    his.retain(|correction| found(correction).is_some_and(|(origin, _)| !recorded.contains(origin)));
    if his.is_empty() {
        return Ok(());
    }
    let correct = move |manifest: &mut dyn Manifest| {
        manifest.correct(&his)?;
        manifest.entries()
    };
    prepared.entries = prepared.journal.with(correct).await?;
    Ok(())
}

/// Of what track a file of the user's was found, and where.
fn found(correction: &Correction) -> Option<(&Origin, &DevicePath)> {
    match correction {
        Correction::Found { origin, path, .. } => Some((origin, path)),
        _ => None,
    }
}

impl<'a> Adoption<'a> {
    pub(crate) fn new(
        journal: &'a Journal,
        storage: &'a dyn Storage,
        owner: &'a dyn Library,
        apart: Apart,
        cancel: &'a Transfer,
    ) -> Self {
        Self { journal, storage, owner, apart, cancel, looked: HashSet::default(), later: Vec::new() }
    }

    /// Records what is on the device exactly as it would be written there. Gives the library back, and tells how many
    /// files it was. They are recorded together: a cut before that leaves the record as lost as it was.
    pub(crate) async fn adopt(
        &self,
        library: Resolved,
        capabilities: &Capabilities,
        names: &TemporaryNames,
    ) -> Result<(Resolved, usize), RunError> {
        let planned = plan_aside(
            library,
            Vec::new(),
            Scope { space: BOUNDLESS, ..Scope::default() },
            capabilities.clone(),
        )
        .await?;
        let library = planned.library;
        let wanted: HashMap<u32, DevicePath> =
            planned.plan.writes.into_iter().map(|write| (write.track, write.path)).collect();
        let mut adopted = self.tracks(&library, &wanted, &mut TakenNames::default()).await?;
        let found: HashMap<&Origin, &Adopted> =
            adopted.iter().map(|adopted| (&adopted.0.origin, adopted)).collect();
        let place = |(track, path): (u32, DevicePath)| {
            let origin = Origin::Track(library.tracks[track as usize].uri.clone());
            let there = found.get(&origin);
            let there =
                there.map(|(candidate, hashes)| Place::of_bytes(candidate.path.clone(), hashes.whole));
            (track, there.unwrap_or_else(|| Place::to_come(path)))
        };
        let places = wanted.into_iter().map(place).collect();
        let mut taken = TakenNames::default();
        for list in lists(&library, capabilities, &places) {
            adopted.extend(self.list(list, &mut taken).await?);
        }
        let count = adopted.len();
        self.record(adopted, names).await?;
        Ok((library, count))
    }

    /// Records the user's files that are exactly what this plan would copy, or what has no space and would lie there (`unfit`),
    /// as his, in one step: at no time do they count as ours. Tells whether there were any. What was looked for before is not
    /// again.
    pub(crate) async fn find_his(
        &mut self,
        library: &Resolved,
        entries: &[Entry],
        plan: &Plan,
        unfit: Vec<(u32, DevicePath)>,
    ) -> Result<bool, RunError> {
        let fresh = plan.writes.iter().filter(|write| write.replaces.is_none() && !write.delete_first);
        let fresh = fresh.map(|write| (write.track, write.path.clone()));
        let places = fresh.filter(|place| self.looked.insert(place.clone())).collect();
        let planned = plan.writes.iter().map(|write| &write.path);
        let later = self.later.iter().filter_map(found).map(|(_, path)| path);
        let mut used: TakenNames =
            entries.iter().map(|entry| &entry.path).chain(planned).chain(later).collect();
        let mut adopted = self.tracks(library, &places, &mut used).await?;
        let unfit = unfit.into_iter().filter(|(_, path)| !used.contains(path));
        let unfit: Vec<_> = unfit.filter(|place| self.looked.insert(place.clone())).collect();
        if !unfit.is_empty() {
            (adopted, _) = self.under_names(library, unfit, adopted).await?;
        }
        let correction = |(candidate, hashes): Adopted| {
            let Candidate { origin, path, facts, size, modified_ns } = candidate;
            Correction::Found { origin, path, facts, size, modified_ns, hash: hashes.whole }
        };
        let recorded: HashSet<&Origin> = entries.iter().map(|entry| &entry.origin).collect();
        let is_recorded = |(candidate, _): &Adopted| recorded.contains(&candidate.origin);
        let (later, now): (Vec<_>, Vec<_>) = adopted.into_iter().partition(is_recorded);
        self.later.extend(later.into_iter().map(correction));
        let now: Vec<Correction> = now.into_iter().map(correction).collect();
        if now.is_empty() {
            return Ok(false);
        }
        self.journal.with(move |manifest| manifest.correct(&now)).await?;
        Ok(true)
    }

    /// Tracks of which the user's file counts as there as soon as ours has given way.
    pub(crate) fn will_be_his(&self) -> HashSet<&Origin> {
        self.later.iter().filter_map(found).map(|(origin, _)| origin).collect()
    }

    /// What is to be recorded when what gives way is gone.
    pub(crate) fn into_later(self) -> Vec<Correction> {
        self.later
    }

    /// The files that are exactly these tracks, under their names or, where others have those, under numbered ones. Names that
    /// are `used` or wanted are no other track's.
    async fn tracks(
        &self,
        library: &Resolved,
        places: &HashMap<u32, DevicePath>,
        used: &mut TakenNames,
    ) -> Result<Vec<Adopted>, RunError> {
        let mut wanted: Vec<(u32, DevicePath)> =
            places.iter().map(|(&track, path)| (track, path.clone())).collect();
        wanted.sort();
        used.extend(places.values());
        let (mut adopted, mut others) = self.under_names(library, wanted.clone(), Vec::new()).await?;
        for number in 2..=NAME_TRIES {
            wanted.retain(|(track, _)| others.contains(track));
            if wanted.is_empty() {
                break;
            }
            let next = |(track, path): &(u32, DevicePath)| (*track, numbered(path, number));
            let (taken, free): (Vec<_>, Vec<_>) =
                wanted.iter().map(next).partition(|(_, path)| used.contains(path));
            (adopted, others) = self.under_names(library, free, adopted).await?;
            others.extend(taken.into_iter().map(|(track, _)| track));
            used.extend(adopted.iter().map(|(candidate, _)| &candidate.path));
        }
        Ok(adopted)
    }

    /// Adds the tracks that lie exactly so under these names; tells under whose names something else lies.
    async fn under_names(
        &self,
        library: &Resolved,
        names: Vec<(u32, DevicePath)>,
        mut adopted: Vec<Adopted>,
    ) -> Result<(Vec<Adopted>, HashSet<u32>), RunError> {
        let facts = self.storage.facts(names.iter().map(|(_, path)| path.clone()).collect()).await?;
        let mut others = HashSet::default();
        let mut candidates = Vec::new();
        for ((position, path), facts) in names.into_iter().zip(facts) {
            let track = &library.tracks[position as usize];
            let Some(facts) = facts else { continue };
            others.insert(position);
            if facts.size == track.size {
                let (size, modified_ns) = (track.size, track.modified_ns);
                let origin = Origin::Track(track.uri.clone());
                candidates.push((position, Candidate { origin, path, facts, size, modified_ns }));
            }
        }
        let mut candidates = candidates.into_iter();
        loop {
            let group: Vec<_> = candidates.by_ref().take(HASHED_TOGETHER).collect();
            if group.is_empty() {
                return Ok((adopted, others));
            }
            let ids = group.iter().map(|(position, _)| library.tracks[*position as usize].id).collect();
            let hashes = unless_cancelled(self.cancel, self.hashes(ids)).await??;
            for ((position, candidate), hashes) in group.into_iter().zip(hashes) {
                if let Some(hashes) = hashes
                    && has_bytes(self.storage, &candidate.path, hashes.whole, self.cancel).await?
                {
                    others.remove(&position);
                    adopted.push((candidate, hashes));
                }
            }
        }
    }

    /// The hashes of tracks; of what isn't tags only where the device is told those apart from the rest.
    async fn hashes(&self, ids: Vec<TrackId>) -> Result<Vec<Option<TrackHashes>>, RunError> {
        if self.storage.updates_metadata() {
            return Ok(self.owner.track_hashes(ids, self.apart).await?);
        }
        let whole = |hash: Option<u128>| hash.map(|whole| TrackHashes { whole, audio: None });
        Ok(self.owner.hash(ids).await?.into_iter().map(whole).collect())
    }

    /// The list under its name, or under the first numbered one after others that isn't `taken`.
    async fn list(&self, list: List, taken: &mut TakenNames) -> Result<Option<Adopted>, RunError> {
        let found = FoundList::find(self.storage, list, taken, self.cancel).await?;
        let adopted = |FoundList { list, facts }: FoundList| {
            // which picture an album has isn't known, so that it is written again
            let whole = if matches!(list.origin, Origin::Album(_)) { 0 } else { list.hash() };
            let List { origin, path, bytes, .. } = list;
            let (size, modified_ns) = (bytes.len() as u64, facts.modified_ns);
            let candidate = Candidate { origin, path, facts, size, modified_ns };
            (candidate, TrackHashes { whole, audio: None })
        };
        Ok(found.map(adopted))
    }

    async fn record(&self, adopted: Vec<Adopted>, names: &TemporaryNames) -> Result<(), RunError> {
        let intend = |(candidate, _): &Adopted| Intent::Write {
            origin: candidate.origin.clone(),
            path: candidate.path.clone(),
            temporary: names.next(),
            size: candidate.size,
            modified_ns: candidate.modified_ns,
            replaces: None,
        };
        let intents = adopted.iter().map(intend).collect();
        let numbers = self.journal.commit(Vec::new(), intents).await?;
        let written = |((candidate, hashes), intent): (Adopted, i64)| Outcome::Written {
            intent,
            persistent_id: candidate.path.as_str().to_owned(),
            facts: candidate.facts,
            hash: hashes.whole,
            audio_hash: hashes.audio,
        };
        let outcomes = adopted.into_iter().zip(numbers).map(written).collect();
        self.journal.commit(outcomes, Vec::new()).await?;
        Ok(())
    }
}
