//! Puts an answer's parts together, within bounds, and checks what came.
//!
//! The agent is not trusted: a part too many, a position out of range or a URI of another kind fails the call.

use crate::message::Part;
use foldhash::HashSet;
use std::sync::Arc;
use tandem_model::id::MediaUri;
use tandem_model::library::Resolved;
use tandem_model::media::{PlaylistInfo, ResolvedPlaylist, Track};

/// The most bytes of one answer's parts.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// The most playlists of one answer.
const MAX_PLAYLISTS: usize = 100_000;

/// The parts of one answer so far.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    bytes: usize,
    pub(crate) media: Vec<MediaUri>,
    pub(crate) playlists: Vec<PlaylistInfo>,
    pub(crate) texts: Vec<String>,
    tracks: Vec<Track>,
    resolved: Vec<ResolvedPlaylist>,
    texts_of_tracks: SharedTexts,
}

/// What many tracks have alike, each text once.
#[derive(Debug, Default)]
struct SharedTexts(HashSet<Arc<str>>);

impl SharedTexts {
    fn share(&mut self, track: &mut Track) {
        let Track { mime, artist, album_artist, album, genre, .. } = track;
        for text in [mime, artist, album_artist, album, genre] {
            match self.0.get(text) {
                Some(known) => *text = Arc::clone(known),
                None => drop(self.0.insert(Arc::clone(text))),
            }
        }
    }
}

impl Collected {
    /// Adds a part that took `bytes` on the wire. An error says what is wrong with it.
    pub(crate) fn add(&mut self, part: Part, bytes: usize) -> Result<(), &'static str> {
        self.bytes += bytes;
        if self.bytes > MAX_BYTES {
            return Err("it is too long");
        }
        match part {
            Part::Media(media) => self.media.extend(media),
            Part::Playlists(playlists) => self.playlists.extend(playlists),
            Part::Tracks(mut tracks) => {
                tracks.iter_mut().for_each(|track| self.texts_of_tracks.share(track));
                self.tracks.append(&mut tracks);
            }
            Part::Resolved(id, name) => {
                self.resolved.push(ResolvedPlaylist { id, name, tracks: Vec::new(), unresolved: Vec::new() });
            }
            Part::Positions(positions) => {
                self.resolved
                    .last_mut()
                    .ok_or("positions came before their playlist")?
                    .tracks
                    .extend(positions);
            }
            Part::Texts(texts) => match self.resolved.last_mut() {
                Some(playlist) => playlist.unresolved.extend(texts),
                None => self.texts.extend(texts),
            },
        }
        if self.playlists.len().max(self.resolved.len()) > MAX_PLAYLISTS {
            Err("it has too many playlists")
        } else {
            Ok(())
        }
    }

    /// The resolution that the parts make up; the rest of it comes with the answer's end.
    pub(crate) fn into_resolved(mut self) -> Result<Resolved, &'static str> {
        let in_range =
            |position: &u32| usize::try_from(*position).is_ok_and(|index| index < self.tracks.len());
        if !self.resolved.iter().flat_map(|playlist| &playlist.tracks).all(in_range) {
            return Err("a playlist has a track that was not sent");
        }
        if !self.tracks.iter().all(|track| is_file(&track.uri)) {
            return Err("a track is not a file");
        }
        self.tracks.shrink_to_fit();
        Ok(Resolved { tracks: self.tracks, playlists: self.resolved, ..Resolved::default() })
    }

    /// The media that the parts list.
    pub(crate) fn into_media(self) -> Result<Vec<MediaUri>, &'static str> {
        if self.media.iter().all(is_file) { Ok(self.media) } else { Err("a URI is not that of a file") }
    }
}

fn is_file(uri: &MediaUri) -> bool {
    uri.0.starts_with("file:///")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::id::{PlaylistId, TrackId};

    fn track(uri: &str) -> Track {
        Track {
            id: TrackId(1),
            uri: MediaUri(uri.into()),
            file_name: "a".into(),
            size: 1,
            modified_ns: 0,
            mime: "".into(),
            title: "".into(),
            artist: "".into(),
            album_artist: "".into(),
            album: "".into(),
            duration_ms: 0,
            genre: "".into(),
            track_number: 0,
        }
    }

    fn resolution(uri: &str, positions: Vec<u32>) -> Result<Resolved, &'static str> {
        let mut parts = Collected::default();
        parts.add(Part::Tracks(vec![track(uri)]), 1)?;
        parts.add(Part::Resolved(PlaylistId("p-1".into()), "one".into()), 1)?;
        parts.add(Part::Positions(positions), 1)?;
        parts.add(Part::Texts(vec!["gone.mp3".into()]), 1)?;
        parts.into_resolved()
    }

    #[test]
    fn tracks_share_what_they_have_alike() {
        let mut parts = Collected::default();
        for number in 0..2 {
            let mut track = track(&format!("file:///{number}"));
            (track.artist, track.album) = ("Ann".into(), number.to_string().into());
            parts.add(Part::Tracks(vec![track]), 1).unwrap();
        }
        let tracks = parts.into_resolved().unwrap().tracks;
        assert!(Arc::ptr_eq(&tracks[0].artist, &tracks[1].artist));
        assert_eq!([&*tracks[0].album, &*tracks[1].album], ["0", "1"]);
    }

    #[test]
    fn positions_must_be_of_tracks_that_came() {
        let good = resolution("file:///a", vec![0, 0]).unwrap();
        assert_eq!((good.playlists[0].tracks.len(), good.playlists[0].unresolved.len()), (2, 1));
        assert!(resolution("file:///a", vec![0, 1]).is_err());
        assert!(resolution("http://x/a", vec![0]).is_err());
        assert!(Collected::default().add(Part::Positions(vec![0]), 1).is_err());
    }

    #[test]
    fn an_answer_has_a_bound() {
        let mut parts = Collected::default();
        assert!(parts.add(Part::Media(Vec::new()), MAX_BYTES).is_ok());
        assert!(parts.add(Part::Media(Vec::new()), 1).is_err());
    }
}
