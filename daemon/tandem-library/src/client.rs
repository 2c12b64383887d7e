//! The daemon's view of one owner's library: every method of [`Library`] as a call to the agent.
//!
//! A call has a time limit, and what comes back is checked before anyone sees it.

use crate::collect::Collected;
use crate::connection::Reply;
use crate::libraries::{Hold, Slot};
use crate::message::{Answer, HASH_BATCH, MOST_COVER_BYTES, Request, STAMP_BATCH, WirePath};
use crate::times;
use rustix::fs::{FileType, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::{DeviceId, MediaUri, PlaylistId, TrackId};
use tandem_model::library::{
    Apart, Cover, CoverLimits, ImportedPlaylist, Library, LibraryState, OpenedTrack, Resolved, TrackHashes,
};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo};
use tokio::sync::watch;

/// What a JPEG file begins with.
const JPEG: [u8; 3] = [0xFF, 0xD8, 0xFF];
/// For what the agent answers from its index.
const SHORT: Duration = Duration::from_secs(30);
/// For what reads many rows or files.
const LONG: Duration = Duration::from_secs(180);

/// One owner's library. The agent runs while one of these exists, and for a while after.
#[derive(Debug)]
pub struct Client {
    slot: Arc<Slot>,
    _hold: Hold,
}

type Outcome<'a, T> = BoxFuture<'a, Result<T, LibraryError>>;

impl Client {
    pub(crate) fn new(slot: Arc<Slot>, hold: Hold) -> Self {
        Self { slot, _hold: hold }
    }

    async fn call(
        &self,
        request: Request,
        media: Vec<MediaUri>,
        limit: Duration,
    ) -> Result<Reply, LibraryError> {
        self.slot.connection().await?.call(request, media, limit).await
    }

    async fn nothing(&self, request: Request) -> Result<(), LibraryError> {
        match self.call(request, Vec::new(), SHORT).await?.answer {
            Answer::Nothing => Ok(()),
            _ => Err(unexpected("another kind of answer")),
        }
    }

    /// What the agent has to say of each of these tracks, asked of so many at once.
    async fn of_each<T>(
        &self,
        tracks: Vec<TrackId>,
        at_once: usize,
        request: impl Fn(Vec<TrackId>) -> Request + Send,
        told: fn(Answer) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, LibraryError> {
        let mut all = Vec::with_capacity(tracks.len());
        for batch in tracks.chunks(at_once) {
            let reply = self.call(request(batch.to_vec()), Vec::new(), LONG).await?;
            let answers = told(reply.answer).filter(|answers| answers.len() == batch.len());
            all.extend(answers.ok_or_else(|| unexpected("not one answer for each track"))?);
        }
        Ok(all)
    }

    async fn one_playlist(
        &self,
        request: Request,
        media: Vec<MediaUri>,
    ) -> Result<(PlaylistInfo, Collected), LibraryError> {
        let reply = self.call(request, media, LONG).await?;
        match reply.answer {
            Answer::Playlist(info) => Ok((info, reply.parts)),
            _ => Err(unexpected("another kind of answer")),
        }
    }

    async fn media(&self, request: Request) -> Result<Vec<MediaUri>, LibraryError> {
        self.call(request, Vec::new(), LONG).await?.parts.into_media().map_err(unexpected)
    }
}

fn unexpected(what: &str) -> LibraryError {
    LibraryError::Failed(format!("the library agent's answer is not right: {what}"))
}

/// Checks that a descriptor is what the agent says: a regular file, open for reading alone.
fn check_descriptor(descriptor: OwnedFd) -> Result<OpenedTrack, LibraryError> {
    let failed = |error: rustix::io::Errno| {
        LibraryError::Failed(format!("the agent's descriptor can't be used: {error}"))
    };
    let stat = rustix::fs::fstat(&descriptor).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(unexpected("the descriptor is not that of a file"));
    }
    let flags = rustix::fs::fcntl_getfl(&descriptor).map_err(failed)?;
    if flags & OFlags::ACCMODE != OFlags::RDONLY || flags.contains(OFlags::PATH) {
        return Err(unexpected("the descriptor is not open for reading alone"));
    }
    let size = u64::try_from(stat.st_size).map_err(|_| unexpected("the file's size is negative"))?;
    let (modified_ns, changed_ns) = (times::modified_ns(&stat), times::changed_ns(&stat));
    Ok(OpenedTrack { file: File::from(descriptor), size, modified_ns, changed_ns })
}

/// Checks that a picture is a JPEG file within the limits; what is in it, only the device looks at.
fn check_cover(cover: Cover, limits: CoverLimits) -> Result<Cover, LibraryError> {
    let fits = u32::try_from(cover.jpeg.len()).is_ok_and(|bytes| bytes <= limits.bytes)
        && (1..=limits.width).contains(&cover.width)
        && (1..=limits.height).contains(&cover.height);
    if fits && cover.jpeg.starts_with(&JPEG) {
        Ok(cover)
    } else {
        Err(unexpected("the picture is not as asked for"))
    }
}

/// Takes the media out of an edit, because long lists travel in parts.
fn split_edit(edit: PlaylistEdit) -> (PlaylistEdit, Vec<MediaUri>) {
    match edit {
        PlaylistEdit::Append(media) => (PlaylistEdit::Append(Vec::new()), media),
        PlaylistEdit::Insert(position, media) => (PlaylistEdit::Insert(position, Vec::new()), media),
        other => (other, Vec::new()),
    }
}

impl Library for Client {
    fn state(&self) -> watch::Receiver<LibraryState> {
        self.slot.state()
    }

    fn set_folders(&self, folders: Vec<PathBuf>) -> Outcome<'_, ()> {
        let folders = folders.iter().map(|path| WirePath::from(path.as_path())).collect();
        Box::pin(self.nothing(Request::SetFolders(folders)))
    }

    fn scan(&self) -> Outcome<'_, ()> {
        Box::pin(self.nothing(Request::Scan))
    }

    fn playlists(&self) -> Outcome<'_, Vec<PlaylistInfo>> {
        Box::pin(async { Ok(self.call(Request::Playlists, Vec::new(), LONG).await?.parts.playlists) })
    }

    fn playlist(&self, id: PlaylistId) -> Outcome<'_, PlaylistInfo> {
        Box::pin(async { Ok(self.one_playlist(Request::Playlist(id), Vec::new()).await?.0) })
    }

    fn playlist_items(&self, id: PlaylistId, first: u32, count: u32) -> Outcome<'_, Vec<MediaUri>> {
        Box::pin(self.media(Request::PlaylistItems { id, first, count }))
    }

    fn create_playlist(&self, name: String, media: Vec<MediaUri>) -> Outcome<'_, PlaylistInfo> {
        Box::pin(async { Ok(self.one_playlist(Request::CreatePlaylist { name }, media).await?.0) })
    }

    fn create_auto_playlist(&self, name: String, rule: String) -> Outcome<'_, PlaylistInfo> {
        Box::pin(async {
            Ok(self.one_playlist(Request::CreateAutoPlaylist { name, rule }, Vec::new()).await?.0)
        })
    }

    fn import_playlist(&self, path: PathBuf) -> Outcome<'_, ImportedPlaylist> {
        Box::pin(async move {
            let request = Request::ImportPlaylist(WirePath::from(path.as_path()));
            let (playlist, parts) = self.one_playlist(request, Vec::new()).await?;
            Ok(ImportedPlaylist { playlist, unresolved: parts.texts })
        })
    }

    fn edit_playlist(&self, id: PlaylistId, edit: PlaylistEdit) -> Outcome<'_, PlaylistInfo> {
        Box::pin(async {
            let (edit, media) = split_edit(edit);
            Ok(self.one_playlist(Request::EditPlaylist { id, edit }, media).await?.0)
        })
    }

    fn delete_playlist(&self, id: PlaylistId) -> Outcome<'_, ()> {
        Box::pin(self.nothing(Request::DeletePlaylist(id)))
    }

    fn search(&self, rule: String) -> Outcome<'_, Vec<MediaUri>> {
        Box::pin(self.media(Request::Search(rule)))
    }

    fn media_info(&self, media: MediaUri) -> Outcome<'_, BTreeMap<String, MediaValue>> {
        Box::pin(async {
            match self.call(Request::MediaInfo(media), Vec::new(), SHORT).await?.answer {
                Answer::Info(info) => Ok(info.into_iter().collect()),
                _ => Err(unexpected("another kind of answer")),
            }
        })
    }

    fn set_media_info(&self, media: MediaUri, name: String, value: MediaValue) -> Outcome<'_, ()> {
        Box::pin(self.nothing(Request::SetMediaInfo { media, name, value }))
    }

    fn default_playlists(&self) -> Outcome<'_, Vec<PlaylistId>> {
        Box::pin(async {
            match self.call(Request::DefaultPlaylists, Vec::new(), SHORT).await?.answer {
                Answer::PlaylistIds(ids) => Ok(ids),
                _ => Err(unexpected("another kind of answer")),
            }
        })
    }

    fn transfer_playlist(&self, device: DeviceId, name: String) -> Outcome<'_, PlaylistInfo> {
        let request = Request::TransferPlaylist { device, name };
        Box::pin(async { Ok(self.one_playlist(request, Vec::new()).await?.0) })
    }

    fn resolve(&self, playlists: Vec<PlaylistId>) -> Outcome<'_, Resolved> {
        Box::pin(async {
            let reply = self.call(Request::Resolve(playlists), Vec::new(), LONG).await?;
            match reply.answer {
                Answer::Resolved { generation, missing, trouble } => {
                    let resolved = reply.parts.into_resolved().map_err(unexpected)?;
                    Ok(Resolved { generation, missing, trouble, ..resolved })
                }
                _ => Err(unexpected("another kind of answer")),
            }
        })
    }

    fn open(&self, track: TrackId) -> Outcome<'_, OpenedTrack> {
        Box::pin(async move {
            let reply = self.call(Request::Open(track), Vec::new(), SHORT).await?;
            check_descriptor(reply.descriptor.ok_or_else(|| unexpected("the descriptor is missing"))?)
        })
    }

    fn hash(&self, tracks: Vec<TrackId>) -> Outcome<'_, Vec<Option<u128>>> {
        Box::pin(self.of_each(tracks, HASH_BATCH, Request::Hash, |answer| match answer {
            Answer::Hashes(hashes) => Some(hashes),
            _ => None,
        }))
    }

    fn track_hashes(&self, tracks: Vec<TrackId>, apart: Apart) -> Outcome<'_, Vec<Option<TrackHashes>>> {
        let request = move |tracks| Request::TrackHashes(tracks, apart);
        Box::pin(self.of_each(tracks, HASH_BATCH, request, |answer| match answer {
            Answer::TrackHashes(hashes) => Some(hashes),
            _ => None,
        }))
    }

    fn cover(&self, track: TrackId, limits: CoverLimits) -> Outcome<'_, Option<Cover>> {
        Box::pin(async move {
            let limits = CoverLimits { bytes: limits.bytes.min(MOST_COVER_BYTES), ..limits };
            let request = Request::Cover { track, limits };
            match self.call(request, Vec::new(), SHORT).await?.answer {
                Answer::Cover(None) => Ok(None),
                Answer::Cover(Some(cover)) => check_cover(cover, limits).map(Some),
                _ => Err(unexpected("another kind of answer")),
            }
        })
    }

    fn cover_stamps(&self, tracks: Vec<TrackId>) -> Outcome<'_, Vec<u64>> {
        Box::pin(self.of_each(tracks, STAMP_BATCH, Request::CoverStamps, |answer| match answer {
            Answer::CoverStamps(stamps) => Some(stamps),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_pictures_within_the_limits_are_taken() {
        let limits = CoverLimits { bytes: 10, width: 20, height: 30 };
        let cover = |jpeg: &[u8], width, height| Cover { jpeg: jpeg.to_vec(), width, height };
        let good = cover(b"\xFF\xD8\xFF and on", 20, 30);
        assert_eq!(check_cover(good.clone(), limits), Ok(good));
        for bad in [
            cover(b"\xFF\xD8\xFF and on", 21, 30),
            cover(b"\xFF\xD8\xFF and on", 20, 0),
            cover(b"\xFF\xD8\xFF and on.", 20, 30),
            cover(b"\x89PNG", 20, 30),
        ] {
            assert!(matches!(check_cover(bad, limits), Err(LibraryError::Failed(_))));
        }
    }

    #[test]
    fn only_regular_files_open_for_reading_are_taken() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"12345").unwrap();
        let opened = check_descriptor(File::open(file.path()).unwrap().into()).unwrap();
        assert_eq!(opened.size, 5);
        assert!(opened.modified_ns > 0);
        for bad in [
            file.reopen().unwrap(),
            File::open("/").unwrap(),
            File::open("/dev/null").unwrap(),
            File::from(rustix::fs::open(file.path(), OFlags::PATH, rustix::fs::Mode::empty()).unwrap()),
        ] {
            assert!(matches!(check_descriptor(bad.into()), Err(LibraryError::Failed(_))));
        }
    }
}
