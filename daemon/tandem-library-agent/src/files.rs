//! Opens the library's files for the daemon, and hashes them.
//!
//! Only what is in the index and below a folder of the library is opened, through no link, and only regular files.

use crate::audio;
use crate::failure::{Failure, Result};
use crate::index::Index;
use crate::scan::tags;
use crate::scan::walk::Root;
use crate::text;
use rusqlite::OptionalExtension;
use rustix::fs::{Advice, FileType};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Seek};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tandem_library::uri;
use tandem_model::error::LibraryError;
use tandem_model::id::{MediaUri, TrackId};
use tandem_model::library::{Apart, TrackHashes};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;
/// Bytes at a file's beginning that the system is to have read by the time they are asked for: most tracks, whole.
const AHEAD: NonZeroU64 = NonZeroU64::new(8 << 20).unwrap();

/// Where a track lies: a folder of the library, the path below it, and what it is known by.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) relative: PathBuf,
    media: MediaUri,
}

impl Place {
    /// The track's file name.
    pub(crate) fn name(&self) -> &[u8] {
        text::file_name(text::bytes(&self.relative))
    }
}

/// Where a track of the index lies.
pub(crate) fn place(index: &Index, track: TrackId) -> Result<Place> {
    let path: Option<Vec<u8>> = index.read(|connection| {
        let mut statement = connection.prepare_cached("SELECT path FROM track WHERE id = ?1")?;
        Ok(statement.query_row([track.0], |row| row.get(0)).optional()?)
    })?;
    let path =
        path.ok_or_else(|| Failure::not_found(format!("the library has no track {} any more", track.0)))?;
    let path = text::path(&path);
    let media = uri::encode(path);
    let folder = index.folders().into_iter().find(|folder| path.starts_with(folder));
    let folder = folder
        .ok_or_else(|| Failure::not_found(format!("`{media}` is in no folder of the library any more")))?;
    let relative = path.strip_prefix(&folder).unwrap_or(path).to_owned();
    Ok(Place { folder, relative, media })
}

/// Opens a track for reading.
pub(crate) fn open(index: &Index, track: TrackId) -> Result<OwnedFd> {
    open_at(&place(index, track)?)
}

/// Opens the track that lies there.
pub(crate) fn open_at(Place { folder, relative, media }: &Place) -> Result<OwnedFd> {
    let refused = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR => LibraryError::NotFound(format!("`{media}` is gone")),
        Errno::LOOP => {
            LibraryError::Unreadable(format!("`{media}` is a symbolic link now, which is not followed"))
        }
        error => LibraryError::Unreadable(format!("`{media}` can't be read: {error}")),
    };
    let file = Root::open(folder).and_then(|root| root.open_file(relative)).map_err(refused)?;
    let stat = rustix::fs::fstat(&file).map_err(refused)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(LibraryError::Unreadable(format!("`{media}` is not a file any more")).into());
    }
    // whoever asks for it is still sending the one before; advice, so no harm where it isn't taken
    let _ = rustix::fs::fadvise(&file, 0, Some(AHEAD), Advice::WillNeed);
    Ok(file)
}

/// XXH3-128 of each track's bytes; `None` where it can't be read to its end.
pub(crate) fn hash(index: &Index, tracks: &[TrackId]) -> Vec<Option<u128>> {
    let mut buffer = vec![0; BUFFER];
    tracks.iter().map(|track| hash_one(&mut File::from(open(index, *track).ok()?), &mut buffer)).collect()
}

fn hash_one(file: &mut File, buffer: &mut [u8]) -> Option<u128> {
    let mut hasher = Xxh3::new();
    read_through(file, buffer, |_, bytes| hasher.update(bytes))?;
    Some(hasher.digest128())
}

/// Hashes of each track's bytes, with and without what is told `apart`; `None` where it can't be read to its end.
pub(crate) fn track_hashes(index: &Index, tracks: &[TrackId], apart: Apart) -> Vec<Option<TrackHashes>> {
    let mut buffer = vec![0; BUFFER];
    let hashes = |track: &TrackId| {
        let place = place(index, *track).ok()?;
        let mut file = File::from(open_at(&place).ok()?);
        let picture = match apart {
            Apart::Tags => tags::picture(&file, place.name()),
            Apart::TagsAndPicture => None,
        };
        file.rewind().ok()?;
        hash_parts(&mut file, picture.as_deref(), &mut buffer)
    };
    tracks.iter().map(hashes).collect()
}

fn hash_parts(file: &mut File, picture: Option<&[u8]>, buffer: &mut [u8]) -> Option<TrackHashes> {
    let size = file.metadata().ok()?.len();
    let read = |at: u64, bytes: &mut [u8]| file.read_exact_at(bytes, at).is_ok();
    let parts = audio::parts(&read, size);
    let (mut whole, mut audio) = (Xxh3::new(), Xxh3::new());
    let mut ahead = parts.iter().flatten().peekable();
    read_through(file, buffer, |at, bytes| {
        whole.update(bytes);
        let end = at + bytes.len() as u64;
        while let Some(&part) = ahead.peek().filter(|part| part.start < end) {
            let within = |position: u64| usize::try_from(position.clamp(at, end) - at).unwrap_or(bytes.len());
            audio.update(&bytes[within(part.start)..within(part.end)]);
            if part.end > end {
                // the rest comes with the next bytes
                break;
            }
            ahead.next();
        }
    })?;
    audio.update(picture.unwrap_or_default());
    Some(TrackHashes { whole: whole.digest128(), audio: parts.is_some().then(|| audio.digest128()) })
}

/// Hands over all bytes of a file, with their positions; `None` when it can't be read to its end.
fn read_through(file: &mut File, buffer: &mut [u8], mut take: impl FnMut(u64, &[u8])) -> Option<()> {
    let mut at = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => return Some(()),
            Ok(count) => {
                take(at, &buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
