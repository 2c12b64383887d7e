//! The manifest by track. Most tracks are recorded in the order in which the library tells of them, so a look begins behind
//! where the last one ended, and a map is made only for those that are elsewhere. It must not conclude anything.
//!
//! A run records no track twice, and the manifest doesn't forbid it: of two entries one whose file is ours is found
//! before another, and the plan has a further such file deleted, so that the track is there once again.

use foldhash::HashMap;
use std::cell::{Cell, OnceCell};
use tandem_model::manifest::{Entry, EntryState, Origin};

/// Which entries count.
type Counts = fn(&Entry) -> bool;

/// Entries that were made from tracks.
pub(crate) struct TrackEntries<'a> {
    entries: &'a [Entry],
    counts: Counts,
    next: Cell<usize>,
    by_uri: OnceCell<HashMap<&'a str, usize>>,
}

impl<'a> TrackEntries<'a> {
    /// Those of every state.
    pub(crate) fn all(entries: &'a [Entry]) -> Self {
        Self::those(entries, |_| true)
    }

    /// Those whose files are on the device.
    pub(crate) fn there(entries: &'a [Entry]) -> Self {
        Self::those(entries, |entry| matches!(entry.state, EntryState::Present | EntryState::Foreign))
    }

    /// Those that count.
    pub(crate) fn those(entries: &'a [Entry], counts: Counts) -> Self {
        Self { entries, counts, next: Cell::new(0), by_uri: OnceCell::new() }
    }

    /// The position of the entry of the track with this URI.
    pub(crate) fn position(&self, uri: &str) -> Option<usize> {
        let expected = self.next.get();
        let is_it = |entry: &&'a Entry| is_present(entry) && self.uri_of(entry) == Some(uri);
        let is_expected = self.entries.get(expected).filter(is_it).is_some();
        let found = if is_expected {
            Some(expected)
        } else {
            self.by_uri.get_or_init(|| self.map()).get(uri).copied()
        };
        if let Some(position) = found {
            self.next.set(position + 1);
        }
        found
    }

    fn uri_of(&self, entry: &'a Entry) -> Option<&'a str> {
        match &entry.origin {
            Origin::Track(uri) if (self.counts)(entry) => Some(&uri.0),
            Origin::Track(_) | Origin::Playlist(_) | Origin::Album(_) => None,
        }
    }

    fn map(&self) -> HashMap<&'a str, usize> {
        let mut map = HashMap::with_capacity_and_hasher(self.entries.len(), Default::default());
        for (position, entry) in self.entries.iter().enumerate() {
            let Some(uri) = self.uri_of(entry) else { continue };
            let found = map.entry(uri).or_insert(position);
            if is_present(entry) && !is_present(&self.entries[*found]) {
                *found = position;
            }
        }
        map
    }
}

fn is_present(entry: &Entry) -> bool {
    entry.state == EntryState::Present
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::properties::entry;

    #[test]
    fn an_entry_is_found_wherever_it_is() {
        let mut entries: Vec<Entry> = [3, 1, 2, 5].into_iter().map(entry).collect();
        entries[3].state = EntryState::Skipped;
        let uri = |position: usize| match &entries[position].origin {
            Origin::Track(uri) => uri.0.to_string(),
            Origin::Playlist(_) | Origin::Album(_) => panic!("these are tracks"),
        };
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            let (all, there) = (TrackEntries::all(&entries), TrackEntries::there(&entries));
            for position in order {
                assert_eq!(all.position(&uri(position)), Some(position));
                assert_eq!(there.position(&uri(position)), (position != 3).then_some(position));
                assert_eq!(all.position("file:///elsewhere.mp3"), None);
            }
        }
    }
}
