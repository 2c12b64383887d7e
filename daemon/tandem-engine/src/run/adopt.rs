//! Files on the device that have the names that we would choose and exactly the content that we would write. After the
//! manifest was lost they count as ours again; otherwise they are the user's, and count as there. Whatever differs is
//! somebody else's.

use super::cancel::unless_cancelled;
use super::error::RunError;
use super::journal::Journal;
use super::playlists;
use super::prepare::{Scope, plan_aside};
use super::temporary::TemporaryNames;
use crate::plan::Plan;
use crate::plan::playlists::Place;
use foldhash::HashMap;
use std::sync::Arc;
use tandem_model::library::{Library, Resolved};
use tandem_model::manifest::{Correction, Intent, Origin, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, ObjectFacts, Space, Storage, Transfer};

/// Tracks whose bytes the library is asked for between two looks at the wish to stop.
const HASHED_TOGETHER: usize = 8;
/// Where nothing is left out for want of space.
const BOUNDLESS: Space = Space { total: u64::MAX, free: u64::MAX, cluster: 1, cluster_is_known: true };

/// What adopting works with.
pub(crate) struct Adoption<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) storage: &'a dyn Storage,
    pub(crate) owner: &'a dyn Library,
    pub(crate) cancel: &'a Transfer,
}

/// A file that may be adopted: something of its size has its name.
struct Candidate {
    origin: Origin,
    path: DevicePath,
    facts: ObjectFacts,
    size: u64,
    modified_ns: i64,
}

/// A file that is adopted, with the hash of its bytes.
type Adopted = (Candidate, u128);

impl Adoption<'_> {
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
        let places: HashMap<u32, DevicePath> =
            planned.plan.writes.into_iter().map(|write| (write.track, write.path)).collect();
        let mut adopted = self.tracks(&library, &places).await?;
        adopted.extend(self.playlists(&library, capabilities, &places).await?);
        let count = adopted.len();
        self.record(adopted, names).await?;
        Ok((library, count))
    }

    /// Records the user's files that are exactly what this plan would copy, as his, in one step: at no time do they count
    /// as ours. Tells whether there were any.
    pub(crate) async fn find_his(&self, library: &Resolved, plan: &Plan) -> Result<bool, RunError> {
        let fresh = plan.writes.iter().filter(|write| write.replaces.is_none() && !write.delete_first);
        let places = fresh.map(|write| (write.track, write.path.clone())).collect();
        let correction = |(candidate, hash): Adopted| {
            let Candidate { origin, path, facts, size, modified_ns } = candidate;
            Correction::Found { origin, path, facts, size, modified_ns, hash }
        };
        let found: Vec<Correction> =
            self.tracks(library, &places).await?.into_iter().map(correction).collect();
        if found.is_empty() {
            return Ok(false);
        }
        self.journal.with(move |manifest| manifest.correct(&found)).await?;
        Ok(true)
    }

    async fn tracks(
        &self,
        library: &Resolved,
        places: &HashMap<u32, DevicePath>,
    ) -> Result<Vec<Adopted>, RunError> {
        let mut wanted: Vec<(&u32, &DevicePath)> = places.iter().collect();
        wanted.sort();
        let facts = self.storage.facts(wanted.iter().map(|(_, path)| (*path).clone()).collect()).await?;
        let mut candidates = Vec::new();
        for ((&position, path), facts) in wanted.into_iter().zip(facts) {
            let track = &library.tracks[position as usize];
            if let Some(facts) = facts.filter(|facts| facts.size == track.size) {
                let (origin, path) = (Origin::Track(track.uri.clone()), path.clone());
                let (size, modified_ns) = (track.size, track.modified_ns);
                candidates.push((track.id, Candidate { origin, path, facts, size, modified_ns }));
            }
        }
        let mut adopted = Vec::new();
        let mut candidates = candidates.into_iter();
        loop {
            let group: Vec<_> = candidates.by_ref().take(HASHED_TOGETHER).collect();
            if group.is_empty() {
                return Ok(adopted);
            }
            let ids = group.iter().map(|(id, _)| *id).collect();
            let hashes = unless_cancelled(self.cancel, self.owner.hash(ids)).await??;
            for ((_, candidate), hash) in group.into_iter().zip(hashes) {
                if let Some(hash) = hash
                    && self.has_bytes(&candidate.path, hash).await?
                {
                    adopted.push((candidate, hash));
                }
            }
        }
    }

    async fn playlists(
        &self,
        library: &Resolved,
        capabilities: &Capabilities,
        places: &HashMap<u32, DevicePath>,
    ) -> Result<Vec<Adopted>, RunError> {
        let mut adopted = Vec::new();
        let Some(style) = &capabilities.playlists else { return Ok(adopted) };
        let place = |(&track, path): (&u32, &DevicePath)| {
            (track, Place::of_track(&library.tracks[track as usize], path.clone()))
        };
        let places = places.iter().map(place).collect();
        for file in playlists::changes(library, &[], style, &places).fresh {
            let size = file.text.len() as u64;
            let facts = self.storage.object(&file.path).facts().await?;
            let Some(facts) = facts.filter(|facts| facts.size == size) else { continue };
            let hash = xxhash_rust::xxh3::xxh3_128(file.text.as_bytes());
            if self.has_bytes(&file.path, hash).await? {
                let origin = Origin::Playlist(file.playlist.id);
                let modified_ns = facts.modified_ns;
                adopted.push((Candidate { origin, path: file.path, facts, size, modified_ns }, hash));
            }
        }
        Ok(adopted)
    }

    /// Whether the file on the device has the bytes with this hash. One that can't be read hasn't.
    async fn has_bytes(&self, path: &DevicePath, hash: u128) -> Result<bool, RunError> {
        let object = self.storage.object(path);
        let reading = Arc::new(Transfer::default());
        match unless_cancelled(self.cancel, object.hash(&reading)).await? {
            Ok(found) => Ok(found == hash),
            Err(error) if error.ends_run() => Err(error.into()),
            Err(_) => Ok(false),
        }
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
        let written = |((candidate, hash), intent): (Adopted, i64)| Outcome::Written {
            intent,
            persistent_id: candidate.path.as_str().to_owned(),
            facts: candidate.facts,
            hash,
            audio_hash: None,
        };
        let outcomes = adopted.into_iter().zip(numbers).map(written).collect();
        self.journal.commit(outcomes, Vec::new()).await?;
        Ok(())
    }
}
