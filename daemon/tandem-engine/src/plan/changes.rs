//! Which tracks need a look at their bytes before planning: a file that was only touched, or moved, is not a new
//! song. Pure: it names the candidates and draws the conclusions; others do the reading.

use super::entries::TrackEntries;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use tandem_model::library::{Resolved, TrackHashes};
use tandem_model::manifest::{Correction, Entry, EntryState, Origin};
use tandem_model::media::Track;

/// A track and an entry that may be the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Position of the track in the library.
    pub(crate) track: u32,
    /// Position of the entry.
    pub(crate) entry: usize,
}

/// Tracks that were touched (same place, same size, another time), and tracks that are new here and as large as an
/// entry whose track is gone. Each track and each entry occurs once.
pub(crate) fn candidates(library: &Resolved, entries: &[Entry]) -> Vec<Candidate> {
    let known = TrackEntries::all(entries);
    let mut found = Vec::new();
    let mut fresh = Vec::new();
    for (track, position) in library.tracks.iter().zip(0..) {
        match known.position(&track.uri.0) {
            Some(entry) if matches!(entries[entry].state, EntryState::Present | EntryState::Foreign) => {
                let entry_ = &entries[entry];
                if entry_.source_size == track.size && entry_.source_modified_ns != track.modified_ns {
                    found.push(Candidate { track: position, entry });
                }
            }
            Some(_) => {}
            None => fresh.push(position),
        }
    }
    if fresh.is_empty() {
        return found;
    }
    let assigned: HashSet<&str> = library.tracks.iter().map(|track| &*track.uri.0).collect();
    let mut orphans: HashMap<u64, Vec<usize>> = HashMap::new();
    for (position, entry) in entries.iter().enumerate() {
        if let Origin::Track(uri) = &entry.origin
            && entry.state == EntryState::Present
            && !assigned.contains(&*uri.0)
        {
            orphans.entry(entry.source_size).or_default().push(position);
        }
    }
    for track in fresh {
        for &entry in orphans.get(&library.tracks[track as usize].size).into_iter().flatten() {
            found.push(Candidate { track, entry });
        }
    }
    found
}

/// Tracks that are others than when they were put on the device, where it is known what of them wasn't tags.
pub(crate) fn retag_candidates(library: &Resolved, entries: &[Entry]) -> Vec<Candidate> {
    let known = TrackEntries::those(entries, |entry| {
        entry.state == EntryState::Present && entry.audio_hash.is_some()
    });
    let is_other = |track: &Track, entry: usize| {
        (entries[entry].source_size, entries[entry].source_modified_ns) != (track.size, track.modified_ns)
    };
    let candidate = |(track, position): (&Track, u32)| {
        let entry = known.position(&track.uri.0).filter(|&entry| is_other(track, entry))?;
        Some(Candidate { track: position, entry })
    };
    library.tracks.iter().zip(0..).filter_map(candidate).collect()
}

/// What to correct in the record, given the hashes of each candidate's track. An entry goes to one track only. A track
/// that was moved and has only other tags is known by what isn't tags; its time is left open then.
pub(crate) fn corrections(
    library: &Resolved,
    entries: &[Entry],
    candidates: &[Candidate],
    hashes: &HashMap<u32, TrackHashes>,
) -> Vec<Correction> {
    let mut used_tracks = HashSet::new();
    let mut used_entries = HashSet::new();
    let mut corrections = Vec::new();
    for candidate in candidates {
        let entry = &entries[candidate.entry];
        let Some(hashes) = hashes.get(&candidate.track) else { continue };
        let track = &library.tracks[candidate.track as usize];
        let is_same = hashes.whole == entry.hash;
        let is_moved = !matches!(&entry.origin, Origin::Track(uri) if *uri == track.uri);
        let is_retagged = is_moved && hashes.audio.is_some() && hashes.audio == entry.audio_hash;
        if !(is_same || is_retagged)
            || used_tracks.contains(&candidate.track)
            || used_entries.contains(&candidate.entry)
        {
            continue;
        }
        used_tracks.insert(candidate.track);
        used_entries.insert(candidate.entry);
        corrections.push(Correction::Source {
            entry: entry.id,
            origin: Origin::Track(track.uri.clone()),
            size: track.size,
            modified_ns: if is_same { track.modified_ns } else { 0 },
        });
    }
    corrections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::properties::{entry, library, track};

    #[test]
    fn a_touched_file_is_the_same_song() {
        let mut touched = track(1);
        touched.modified_ns += 5;
        let library = library(vec![touched]);
        let entries = [entry(1)];
        let found = candidates(&library, &entries);
        assert_eq!(found, [Candidate { track: 0, entry: 0 }]);
        let of = |whole| HashMap::from_iter([(0, TrackHashes { whole, audio: None })]);
        assert_eq!(corrections(&library, &entries, &found, &of(entries[0].hash)).len(), 1);
        assert_eq!(corrections(&library, &entries, &found, &of(7)), []);
    }

    #[test]
    fn a_moved_file_takes_over_the_entry_of_the_one_that_is_gone() {
        let mut moved = track(1);
        moved.uri = tandem_model::id::MediaUri("file:///elsewhere/1.mp3".into());
        let library = library(vec![moved, track(2)]);
        let entries = [entry(1), entry(2)];
        let found = candidates(&library, &entries);
        assert_eq!(found, [Candidate { track: 0, entry: 0 }]);
    }

    #[test]
    fn what_is_not_tags_tells_a_moved_track_with_new_tags_and_which_tracks_have_new_ones() {
        let mut moved = track(1);
        moved.uri = tandem_model::id::MediaUri("file:///elsewhere/1.mp3".into());
        moved.modified_ns += 5;
        let mut entries = [entry(1), entry(2)];
        (entries[0].audio_hash, entries[1].audio_hash) = (Some(3), Some(4));
        let hashes = HashMap::from_iter([(0, TrackHashes { whole: 9, audio: Some(3) })]);
        let all = library(vec![moved, track(2)]);
        let found = corrections(&all, &entries, &candidates(&all, &entries), &hashes);
        assert!(matches!(found[..], [Correction::Source { entry: 1, modified_ns: 0, .. }]), "{found:?}");
        let mut longer = track(2);
        longer.size += 9;
        let all = library(vec![track(1), longer]);
        assert_eq!(retag_candidates(&all, &entries), [Candidate { track: 1, entry: 1 }]);
    }
}
