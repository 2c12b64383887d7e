//! Writes the assigned playlists to the device: each holds what is there, and one that hasn't changed isn't written.

use super::adopt::{FoundList, List};
use super::error::RunError;
use super::folders::MadeFolders;
use super::ours;
use super::prepare::Prepared;
use super::transfer::on_device;
use super::{Observer, Results};
use crate::plan::names::{Namer, TakenNames, legal_name, numbered};
use crate::plan::playlists::{Place, hash, render};
use crate::plan::round_up;
use foldhash::{HashMap, HashSet, HashSetExt};
use std::sync::Arc;
use tandem_model::error::{ItemError, PlayerError};
use tandem_model::id::percent_encode;
use tandem_model::library::Resolved;
use tandem_model::manifest::{Entry, EntryState, Intent, ItemResult, Origin, Outcome};
use tandem_model::media::ResolvedPlaylist;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, PlaylistStyle, Source, Space, Tags, WriteRequest, Written};

/// Names that are tried when others have the wanted one.
const NAME_TRIES: u32 = 100;

/// What is to be done with the playlist files.
#[derive(Default)]
pub(crate) struct PlaylistChanges {
    /// Files that go.
    pub(crate) stale: Vec<Entry>,
    /// Files to write.
    pub(crate) fresh: Vec<PlaylistFile>,
    /// Files that the user has changed, and that are his now.
    pub(crate) left: Vec<LeftList>,
    /// Entries of files of the user's that were what belongs there, and aren't any more.
    pub(crate) outdated: Vec<i64>,
}

/// A playlist file that stays as the user has it.
pub(crate) struct LeftList {
    /// What stands for it where tracks have their URIs.
    pub(crate) media: String,
    /// Why, for the user.
    pub(crate) message: String,
}

impl LeftList {
    fn of(playlist: &ResolvedPlaylist, path: &DevicePath) -> Self {
        let message = format!(
            "left as it is on the device: you changed the playlist `{}` there (`{path}`); set IncludeSkippedFiles to have \
             the library's version beside it",
            playlist.name
        );
        Self { media: uri(&playlist.name), message }
    }
}

/// `playlist:` and the name, percent-encoded.
pub(super) fn uri(name: &str) -> String {
    let mut uri = "playlist:".to_owned();
    percent_encode(name.as_bytes(), &[], &mut uri);
    uri
}

/// A playlist file that is to be written.
pub(crate) struct PlaylistFile {
    pub(crate) playlist: ResolvedPlaylist,
    /// Its name where no other list has that.
    pub(crate) plain: DevicePath,
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
        let is_left = |entry: &&Entry| matches!(entry.state, EntryState::Skipped | EntryState::Disowned);
        let left = entry.filter(is_left).map(|entry| LeftList::of(playlist, &entry.path));
        if left.is_some() {
            changes.left.extend(left);
            continue;
        }
        let place = |track: &u32| places.get(track).map(|place| (&library.tracks[*track as usize], place));
        let items: Vec<_> = playlist.tracks.iter().filter_map(place).collect();
        let named = entry.filter(|entry| is_named(&entry.path, playlist, style));
        let is_current = |entry: &Entry| entry.hash == hash(items.iter().copied(), style);
        if !items.is_empty() && named.is_some_and(is_current) {
            continue;
        }
        let is_ours = |entry: &&Entry| entry.state == EntryState::Present;
        changes.outdated.extend(entry.filter(|entry| !is_ours(entry)).map(|entry| entry.id));
        let (entry, replaces) = (entry.filter(is_ours), named.filter(is_ours));
        if items.is_empty() {
            changes.stale.extend(entry.cloned());
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
            plain: plain_path(playlist, style),
            path,
            replaces: replaces.cloned(),
            bytes: render(items.into_iter(), style),
        });
    }
    let unassigned = |entry: &&Entry| matches!(&entry.origin, Origin::Playlist(id) if entry.state == EntryState::Foreign && !seen.contains(id));
    changes.outdated.extend(entries.iter().filter(unassigned).map(|entry| entry.id));
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
    let PlaylistChanges { stale, fresh, left, outdated } =
        changes(&prepared.library, &prepared.entries, style, &places);
    ours::forget(&prepared.journal, outdated).await?;
    let row = |LeftList { media, message }| ItemResult { media, error: Some(ItemError::Cancelled), message };
    results.rows.extend(left.into_iter().map(row));
    let mut left = Vec::new();
    for entry in stale {
        if !delete(prepared, &entry, observer, results).await? {
            left.push(entry.origin);
        }
    }
    let recorded = || prepared.entries.iter().map(|entry| &entry.path);
    let used: TakenNames = recorded().chain(fresh.iter().map(|file| &file.path)).collect();
    let taken = recorded().collect();
    let mut course = Course { prepared, now, observer, results, verify, used, taken };
    // a list that couldn't go, or has turned out to be the user's, is the only one
    let is_alone = |file: &PlaylistFile| !left.contains(&Origin::Playlist(file.playlist.id.clone()));
    for file in fresh.into_iter().filter(is_alone) {
        if course.observer.transfer.is_cancelled() {
            return Err(RunError::cancelled());
        }
        if !course.is_his(&file).await? {
            course.write(file).await?;
        }
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

fn plain_path(playlist: &ResolvedPlaylist, style: &PlaylistStyle) -> DevicePath {
    claim(&mut Namer::new(std::iter::empty()), playlist, style)
}

fn claim(namer: &mut Namer, playlist: &ResolvedPlaylist, style: &PlaylistStyle) -> DevicePath {
    let folder = style.folder.as_ref().map_or("", DevicePath::as_str);
    namer.claim(folder, &file_name(playlist, style))
}

/// What the writing of lists shares.
struct Course<'a> {
    prepared: &'a mut Prepared,
    now: u64,
    observer: &'a Observer,
    results: &'a mut Results,
    /// What is written is read back and compared.
    verify: bool,
    /// Names that are recorded, or wanted by a list.
    used: TakenNames,
    /// Names that are recorded.
    taken: TakenNames,
}

impl Course<'_> {
    /// Writes one list, under a numbered name while somebody else's file has the wanted one.
    async fn write(&mut self, file: PlaylistFile) -> Result<(), RunError> {
        let PlaylistFile { playlist, plain, path: wanted, replaces, bytes } = file;
        let mut expect = Expect::Nothing;
        if let Some(entry) = &replaces {
            match ours::facts_now(&*self.prepared.storage, entry, &self.observer.transfer).await {
                Ok(now) => expect = Expect::This(now),
                Err(error) if error.ends_run() => return Err(error.into()),
                Err(error) => {
                    if let PlayerError::Changed(_) = &error {
                        ours::disown(&self.prepared.journal, entry).await?;
                    }
                    self.fail(error.item_error(), not_written(&playlist, &error)).await;
                    return Ok(());
                }
            }
        }
        let bytes: Arc<[u8]> = bytes.into();
        let folders = MadeFolders::for_files(self.prepared, vec![wanted.clone()]).await?;
        let temporary = self.prepared.names.next();
        let tries = if replaces.is_some() { 1 } else { NAME_TRIES };
        let others = (2..=tries).map(|number| numbered(&plain, number));
        for path in std::iter::once(wanted.clone()).chain(others) {
            // no intent may name a file that isn't ours: after a cut, what is found under a recorded name counts as sent
            let is_taken = path != wanted && self.used.contains(&path);
            if is_taken || replaces.is_none() && self.is_there(&path).await? {
                continue;
            }
            self.taken.insert(&path);
            let request = WriteRequest {
                path,
                temporary: temporary.clone(),
                expect,
                size: bytes.len() as u64,
                modified_ns: i64::try_from(self.now.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX),
                source: Source::Bytes(Arc::clone(&bytes)),
                tags: Tags::default(),
                cover: None,
            };
            match self.attempt(request, &playlist, replaces.as_ref(), &folders).await? {
                Ok(made) => {
                    folders.forget_others(self.prepared, &made, &MadeFolders::default()).await?;
                    self.results.changed = true;
                    return Ok(());
                }
                Err(PlayerError::Exists(_)) if replaces.is_none() => {}
                Err(PlayerError::Full) if self.has_no_room(bytes.len(), &folders).await? => {
                    self.leave_out(&playlist);
                    return Ok(());
                }
                Err(error) => {
                    self.fail(error.item_error(), not_written(&playlist, &error)).await;
                    return Ok(());
                }
            }
        }
        let message = format!(
            "the playlist `{}` could not be written: all names like `{wanted}` are taken",
            playlist.name
        );
        self.fail(ItemError::NameRejected, message).await;
        Ok(())
    }

    /// Whether the user has exactly this list, which stays his and is recorded: a partnership that begins anew finds the lists
    /// of the one before.
    async fn is_his(&mut self, file: &PlaylistFile) -> Result<bool, RunError> {
        let Some(style) = &self.prepared.player.capabilities().playlists else { return Ok(false) };
        if file.replaces.is_some() {
            return Ok(false);
        }
        let list = List::of_playlist(file, style);
        let (storage, cancel) = (&*self.prepared.storage, &self.observer.transfer);
        let found = FoundList::find(storage, list, &mut self.taken, cancel).await?;
        let Some(his) = found else { return Ok(false) };
        his.record(&self.prepared.journal).await?;
        Ok(true)
    }

    async fn fail(&mut self, error: ItemError, message: String) {
        self.results.fail(self.observer, "", error, message).await;
    }

    /// Whether the storage's space tells that a list of this many bytes has none: the user's own files may fill a player on
    /// which they count as what a list names.
    async fn has_no_room(&self, bytes: usize, folders: &MadeFolders) -> Result<bool, RunError> {
        let Space { free, cluster, .. } = self.prepared.storage.space().await?;
        let cluster = cluster.max(1);
        // its folder grows by the entry
        let folders = (folders.len() as u64 + 1).saturating_mul(cluster);
        Ok(free < round_up(bytes as u64, cluster).saturating_add(folders))
    }

    /// Nothing has failed where there is no room, and trying again makes none.
    fn leave_out(&mut self, playlist: &ResolvedPlaylist) {
        let message = format!(
            "no space is left for the playlist `{}`; the tracks that it names are there: free some space on the device",
            playlist.name
        );
        self.results.rows.push(ItemResult {
            media: uri(&playlist.name),
            error: Some(ItemError::NoFit),
            message,
        });
    }

    async fn is_there(&self, path: &DevicePath) -> Result<bool, RunError> {
        Ok(self.prepared.storage.object(path).facts().await?.is_some())
    }

    /// Writes a list under one name, recorded before and after; tells which folders were made for it. The inner error is of
    /// this name alone.
    async fn attempt(
        &mut self,
        request: WriteRequest,
        playlist: &ResolvedPlaylist,
        replaces: Option<&Entry>,
        folders: &MadeFolders,
    ) -> Result<Result<Vec<DevicePath>, PlayerError>, RunError> {
        let (path, temporary) = (request.path.clone(), request.temporary.clone());
        let intent = Intent::Write {
            origin: Origin::Playlist(playlist.id.clone()),
            path: path.clone(),
            temporary: temporary.clone(),
            size: request.size,
            modified_ns: request.modified_ns,
            replaces: replaces.map(|entry| entry.id),
        };
        let numbers = self.prepared.journal.record(folders.intended(), Vec::new(), vec![intent]).await?;
        let Some(&intent) = numbers.first() else { return Ok(Ok(Vec::new())) };
        let before = self.observer.transfer.bytes();
        let written = self.prepared.storage.write(request, &self.observer.transfer).await;
        self.observer.transfer.set(before);
        let failure = match written {
            Ok(written) => return self.written(intent, playlist, &path, written).await.map(Ok),
            // what may be left under the temporary name is settled by the next run
            Err(error) if error.ends_run() && error != PlayerError::Cancelled => return Err(error.into()),
            Err(error) => error,
        };
        // that the temporary name is free has to last before it is forgotten
        let storage = &*self.prepared.storage;
        let origin = Origin::Playlist(playlist.id.clone());
        ours::keep_remains(&self.prepared.journal, storage, origin, &temporary).await?;
        self.prepared.storage.settle(vec![temporary]).await?;
        let outcome = ours::failed_write(&*self.prepared.storage, &path, replaces.is_some(), intent).await?;
        self.prepared.journal.commit(vec![outcome], Vec::new()).await?;
        if failure.ends_run() { Err(failure.into()) } else { Ok(Err(failure)) }
    }

    /// Has the device keep a list that was written, and records it.
    async fn written(
        &mut self,
        intent: i64,
        playlist: &ResolvedPlaylist,
        path: &DevicePath,
        written: Written,
    ) -> Result<Vec<DevicePath>, RunError> {
        self.prepared.storage.settle(vec![path.clone()]).await?;
        let Written { facts, hash, persistent_id, made_folders } = written;
        let hash = if self.verify { self.read_back(playlist, path, (facts, hash)).await? } else { hash };
        let outcome = Outcome::Written { intent, persistent_id, facts, hash, audio_hash: None };
        self.prepared.journal.commit(vec![outcome], Vec::new()).await?;
        Ok(made_folders)
    }

    /// The hash of what the device has instead of what was sent, which is told of, and none of what can't be read; with
    /// another hash than its text has, the list is written again by the next run. One that the user has changed since is his.
    async fn read_back(
        &mut self,
        playlist: &ResolvedPlaylist,
        path: &DevicePath,
        (facts, sent): (ObjectFacts, u128),
    ) -> Result<u128, RunError> {
        let object = self.prepared.storage.object(path);
        let name = || path.as_str().to_owned();
        let (found, error) = match object.hash(&self.observer.transfer).await {
            Ok(found) if found == sent => return Ok(sent),
            Ok(_) if object.facts().await? != Some(facts) => (sent, PlayerError::Changed(name())),
            Ok(found) => (found, PlayerError::VerifyFailed(name())),
            Err(error) if error.ends_run() => return Err(error.into()),
            Err(error) => (0, error),
        };
        self.results.verify_failed |= matches!(error, PlayerError::VerifyFailed(_));
        self.fail(error.item_error(), not_written(playlist, &error)).await;
        Ok(found)
    }
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
