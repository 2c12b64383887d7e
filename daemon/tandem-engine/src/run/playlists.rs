//! Writes the assigned playlists to the device: each holds what is there, and one that hasn't changed isn't written.

use super::error::RunError;
use super::folders::MadeFolders;
use super::ours;
use super::prepare::Prepared;
use super::transfer::on_device;
use super::{Observer, Results};
use crate::plan::names::{Namer, legal_name, numbered};
use crate::plan::playlists::{Place, hash, render};
use foldhash::{HashMap, HashSet, HashSetExt};
use std::sync::Arc;
use tandem_model::error::{ItemError, PlayerError};
use tandem_model::library::Resolved;
use tandem_model::manifest::{Entry, EntryState, Intent, Origin, Outcome};
use tandem_model::media::ResolvedPlaylist;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, PlaylistStyle, Source, Tags, WriteRequest};

/// Names that are tried when others have the wanted one.
const NAME_TRIES: u32 = 100;

/// What is to be done with the playlist files.
#[derive(Default)]
pub(crate) struct PlaylistChanges {
    /// Files that go.
    pub(crate) stale: Vec<Entry>,
    /// Files to write.
    pub(crate) fresh: Vec<PlaylistFile>,
}

/// A playlist file that is to be written.
pub(crate) struct PlaylistFile {
    pub(crate) playlist: ResolvedPlaylist,
    pub(crate) path: DevicePath,
    pub(crate) replaces: Option<Entry>,
    pub(crate) bytes: Vec<u8>,
}

/// What is to be done, given where the tracks are or will be. Pure.
pub(crate) fn changes(
    library: &Resolved,
    entries: &[Entry],
    style: &PlaylistStyle,
    places: &HashMap<u32, Place>,
) -> PlaylistChanges {
    // made when a playlist needs a name, which is rare
    let mut namer = None;
    let mut seen = HashSet::new();
    let mut changes = PlaylistChanges::default();
    for playlist in library.playlists.iter().filter(|playlist| seen.insert(&playlist.id)) {
        let entry =
            entries.iter().find(|entry| matches!(&entry.origin, Origin::Playlist(id) if *id == playlist.id));
        if entry.is_some_and(|entry| entry.state != EntryState::Present) {
            continue;
        }
        let place = |track: &u32| places.get(track).map(|place| (&library.tracks[*track as usize], place));
        let items: Vec<_> = playlist.tracks.iter().filter_map(place).collect();
        if items.is_empty() {
            changes.stale.extend(entry.cloned());
            continue;
        }
        let replaces = entry.filter(|entry| is_named(&entry.path, playlist, style));
        if replaces.is_some_and(|entry| entry.hash == hash(items.iter().copied(), style)) {
            continue;
        }
        if replaces.is_none() {
            changes.stale.extend(entry.cloned());
        }
        let new_path = || {
            let namer = namer.get_or_insert_with(|| Namer::new(entries.iter().map(|entry| &entry.path)));
            claim(namer, playlist, style)
        };
        let path = replaces.map_or_else(new_path, |entry| entry.path.clone());
        changes.fresh.push(PlaylistFile {
            playlist: playlist.clone(),
            path,
            replaces: replaces.cloned(),
            bytes: render(items.into_iter(), style),
        });
    }
    changes
}

/// Brings the playlists on the device up to date. One that can't be written is reported; the others go on.
pub(crate) async fn carry_out(
    prepared: &mut Prepared,
    now: u64,
    observer: &Observer,
    results: &mut Results,
    verify: bool,
) -> Result<(), RunError> {
    let Some(style) = &prepared.player.capabilities().playlists else { return Ok(()) };
    let places = on_device(prepared);
    // a list of references is not kept as it was sent
    let verify = verify && !style.is_by_reference();
    let PlaylistChanges { stale, fresh } = changes(&prepared.library, &prepared.entries, style, &places);
    let mut left = Vec::new();
    for entry in stale {
        if !delete(prepared, &entry, observer, results).await? {
            left.push(entry.origin);
        }
    }
    // a list that couldn't go, or has turned out to be the user's, is the only one
    let is_alone = |file: &PlaylistFile| !left.contains(&Origin::Playlist(file.playlist.id.clone()));
    for file in fresh.into_iter().filter(is_alone) {
        if observer.transfer.is_cancelled() {
            return Err(RunError::cancelled());
        }
        write(prepared, file, now, observer, results, verify).await?;
    }
    Ok(())
}

fn file_name(playlist: &ResolvedPlaylist, style: &PlaylistStyle) -> String {
    legal_name(&format!("{}.{}", legal_name(&playlist.name), style.extension))
}

/// Whether a file already has this playlist's name, with or without a number.
fn is_named(path: &DevicePath, playlist: &ResolvedPlaylist, style: &PlaylistStyle) -> bool {
    let name = file_name(playlist, style);
    let plain = DevicePath::parse(&name);
    let in_folder = path.parent() == style.folder;
    in_folder
        && (path.name() == name
            || plain.is_some_and(|plain| {
                (2..=NAME_TRIES).any(|number| numbered(&plain, number).as_str() == path.name())
            }))
}

fn claim(namer: &mut Namer, playlist: &ResolvedPlaylist, style: &PlaylistStyle) -> DevicePath {
    let folder = style.folder.as_ref().map_or("", DevicePath::as_str);
    namer.claim(folder, &file_name(playlist, style))
}

async fn write(
    prepared: &mut Prepared,
    file: PlaylistFile,
    now: u64,
    observer: &Observer,
    results: &mut Results,
    verify: bool,
) -> Result<(), RunError> {
    let PlaylistFile { playlist, path: wanted, replaces, bytes } = file;
    let mut expect = Expect::Nothing;
    if let Some(entry) = &replaces {
        match ours::facts_now(&*prepared.storage, entry, &observer.transfer).await {
            Ok(now) => expect = Expect::This(now),
            Err(error) if error.ends_run() => return Err(error.into()),
            Err(error) => {
                if let PlayerError::Changed(_) = &error {
                    ours::disown(&prepared.journal, entry).await?;
                }
                results.fail(observer, "", error.item_error(), not_written(&playlist, &error)).await;
                return Ok(());
            }
        }
    }
    let bytes: Arc<[u8]> = bytes.into();
    let modified_ns = i64::try_from(now.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX);
    let mut path = wanted.clone();
    let folders = MadeFolders::for_files(prepared, vec![wanted.clone()]).await?;
    let temporary = prepared.names.next();
    for number in 2..=NAME_TRIES {
        // no intent may name a file that isn't ours: after a cut, what is found under a recorded name counts as sent
        if replaces.is_none() && prepared.storage.object(&path).facts().await?.is_some() {
            path = numbered(&wanted, number);
            continue;
        }
        let intent = Intent::Write {
            origin: Origin::Playlist(playlist.id.clone()),
            path: path.clone(),
            temporary: temporary.clone(),
            size: bytes.len() as u64,
            modified_ns,
            replaces: replaces.as_ref().map(|entry| entry.id),
        };
        let numbers = prepared.journal.record(folders.intended(), Vec::new(), vec![intent]).await?;
        let Some(&intent) = numbers.first() else { return Ok(()) };
        let request = WriteRequest {
            path: path.clone(),
            temporary: temporary.clone(),
            expect,
            size: bytes.len() as u64,
            modified_ns,
            source: Source::Bytes(Arc::clone(&bytes)),
            tags: Tags::default(),
            cover: None,
        };
        let before = observer.transfer.bytes();
        let written = prepared.storage.write(request, &observer.transfer).await;
        observer.transfer.set(before);
        let failure = match written {
            Ok(written) => {
                prepared.storage.settle(vec![path.clone()]).await?;
                let hash = if verify {
                    read_back(prepared, &playlist, &path, written.hash, observer, results).await?
                } else {
                    written.hash
                };
                let outcome = Outcome::Written {
                    intent,
                    persistent_id: written.persistent_id,
                    facts: written.facts,
                    hash,
                    audio_hash: None,
                };
                prepared.journal.commit(vec![outcome], Vec::new()).await?;
                folders.forget_others(prepared, &written.made_folders, &MadeFolders::default()).await?;
                results.changed = true;
                return Ok(());
            }
            // what may be left under the temporary name is settled by the next run
            Err(error) if error.ends_run() && error != PlayerError::Cancelled => return Err(error.into()),
            Err(error) => error,
        };
        // that the temporary name is free has to last before it is forgotten
        prepared.storage.settle(vec![temporary.clone()]).await?;
        let outcome = ours::failed_write(&*prepared.storage, &path, replaces.is_some(), intent).await?;
        prepared.journal.commit(vec![outcome], Vec::new()).await?;
        match failure {
            PlayerError::Exists(_) if replaces.is_none() => path = numbered(&wanted, number),
            error if error.ends_run() => return Err(error.into()),
            error => {
                results.fail(observer, "", error.item_error(), not_written(&playlist, &error)).await;
                return Ok(());
            }
        }
    }
    let message =
        format!("the playlist `{}` could not be written: all names like `{wanted}` are taken", playlist.name);
    results.fail(observer, "", ItemError::NameRejected, message).await;
    Ok(())
}

/// The hash of what the device has instead of what was sent, which is told of, and none of what can't be read; with another
/// hash than its text has, the list is written again by the next run.
async fn read_back(
    prepared: &Prepared,
    playlist: &ResolvedPlaylist,
    path: &DevicePath,
    sent: u128,
    observer: &Observer,
    results: &mut Results,
) -> Result<u128, RunError> {
    let (found, error) = match prepared.storage.object(path).hash(&observer.transfer).await {
        Ok(found) if found == sent => return Ok(sent),
        Ok(found) => (found, PlayerError::VerifyFailed(path.as_str().to_owned())),
        Err(error) if error.ends_run() => return Err(error.into()),
        Err(error) => (0, error),
    };
    results.verify_failed |= matches!(error, PlayerError::VerifyFailed(_));
    results.fail(observer, "", error.item_error(), not_written(playlist, &error)).await;
    Ok(found)
}

fn not_written(playlist: &ResolvedPlaylist, error: &PlayerError) -> String {
    format!("the playlist `{}` could not be written: {error}", playlist.name)
}

/// Whether the file is gone; what is left is told of, and the user's where he has changed it.
async fn delete(
    prepared: &mut Prepared,
    entry: &Entry,
    observer: &Observer,
    results: &mut Results,
) -> Result<bool, RunError> {
    let aside = prepared.names.next();
    let intent = Intent::Delete { entry: entry.id, aside: aside.clone() };
    let numbers = prepared.journal.commit(Vec::new(), vec![intent]).await?;
    let Some(&intent) = numbers.first() else { return Ok(false) };
    let deleted = ours::delete(&*prepared.storage, entry, aside, &observer.transfer).await;
    if let Err(PlayerError::Changed(_)) = &deleted {
        ours::disown(&prepared.journal, entry).await?;
    }
    let is_gone = matches!(deleted, Ok(()) | Err(PlayerError::NotFound(_)));
    let outcome = match deleted {
        Ok(()) | Err(PlayerError::NotFound(_)) => {
            prepared.storage.settle(vec![entry.path.clone()]).await?;
            results.changed = true;
            Outcome::Deleted { intent }
        }
        Err(error) if error.ends_run() => return Err(error.into()),
        Err(error) => {
            let message = format!("`{}` could not be deleted: {error}", entry.path);
            results.fail(observer, "", error.item_error(), message).await;
            // it may have been aside, and is back for good before that is forgotten
            prepared.storage.settle(vec![entry.path.clone()]).await?;
            Outcome::Abandoned { intent }
        }
    };
    prepared.journal.commit(vec![outcome], Vec::new()).await?;
    Ok(is_gone)
}
