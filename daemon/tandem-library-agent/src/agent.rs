//! Carries out the daemon's requests: the library as one object, with the state that the daemon is told.
//!
//! Everything but `prepare` blocks, and runs on blocking threads.

use crate::answers::{self, Parts};
use crate::failure::{Failure, Result};
use crate::index::{self, Folders, Index};
use crate::playlists::resolve::{self, Item, Moment};
use crate::playlists::{defaults, edit, identity, import, items, store};
use crate::scan::{self, Scanner};
use crate::watch::Watcher;
use crate::{covers, files, folders, media, rules};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tandem_library::message::{Answer, HASH_BATCH, Request, STAMP_BATCH};
use tandem_library::uri;
use tandem_model::clock::{Clock, SystemClock};
use tandem_model::id::{MediaUri, PlaylistId};
use tandem_model::library::LibraryState;
use tandem_model::media::PlaylistKind;
use tokio::sync::watch;

/// How long a request waits for scans that were asked for before it.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

/// How long a resolution waits for what the watches have to tell.
const WATCH_LIMIT: Duration = Duration::from_secs(1);

/// An answer, and the descriptor that goes with it.
pub(crate) type Answered = (Answer, Option<OwnedFd>);

/// One user's library.
pub(crate) struct Agent {
    index: Arc<Index>,
    pub(crate) scanner: Arc<Scanner>,
    watcher: Arc<Watcher>,
    state: watch::Sender<LibraryState>,
    /// Held while the state is read and told, so that what is told last is what was read last.
    publishing: Mutex<()>,
    /// Of the random order that was resolved last.
    seed: AtomicI64,
}

impl Agent {
    /// Opens the library whose index is in this directory.
    pub(crate) fn open(state: &Path, defaults: Vec<PathBuf>, watcher: Arc<Watcher>) -> Result<Self> {
        let index = Arc::new(Index::open(state, Folders::default())?);
        let set = index.read(folders::stored)?;
        index.show_folders(if set.is_empty() { defaults } else { set });
        let scanner = Arc::new(Scanner::new(index.clone(), watcher.clone()));
        scanner.request_full(false);
        let agent = Self {
            index,
            scanner,
            watcher,
            state: watch::Sender::default(),
            publishing: Mutex::default(),
            seed: AtomicI64::new(1),
        };
        agent.publish()?;
        Ok(agent)
    }

    /// The library's folders as they are set now.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.index.folders()
    }

    /// What is true of the library, as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<LibraryState> {
        self.state.subscribe()
    }

    /// Tells the state as it is now, where it has changed.
    pub(crate) fn publish(&self) -> Result<()> {
        let _last_read_is_last_told = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let folders = self.index.folders();
        let scanning = *self.scanner.scanning().borrow();
        let trouble = self.scanner.trouble();
        let state = self.index.read(|connection| {
            Ok(LibraryState {
                generation: index::meta(connection, "generation")?,
                folders,
                track_count: scan::track_count(connection)?,
                playlist_count: store::count(connection)?,
                scanning,
                last_scan_time: index::meta(connection, "last_scan")?,
                trouble: trouble.or(index::lib_meta(connection, "damage")?).unwrap_or_default(),
            })
        })?;
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
        Ok(())
    }

    /// What has to happen before a request can be answered, without blocking a thread.
    pub(crate) async fn prepare(&self, request: &Request) {
        match request {
            Request::Resolve(_) => {
                if self.watcher.is_incomplete() || self.scanner.has_failed() {
                    self.scanner.request_full(false);
                } else {
                    self.watcher.hand_over(WATCH_LIMIT).await;
                    self.look_again().await;
                }
                self.scanner.settle(SETTLE_LIMIT).await;
            }
            // before the first scan has ended, nothing found would look like nothing there
            Request::Search(_) if self.state.borrow().last_scan_time == 0 => {
                self.scanner.settle(SETTLE_LIMIT).await;
            }
            _ => {}
        }
    }

    /// Has the scanner look whether a folder lies in a player now, and whether what was unusable still is.
    async fn look_again(&self) {
        let scanner = self.scanner.clone();
        let looking = tokio::task::spawn_blocking(move || scanner.look_again());
        match tokio::time::timeout(WATCH_LIMIT, looking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the library's folders could not be looked at again"),
            Err(_) => tracing::debug!("a folder of the library doesn't answer; it is looked at when it does"),
        }
    }

    /// Carries a request out.
    pub(crate) fn answer(&self, request: Request, media: &[MediaUri], parts: &Parts) -> Result<Answered> {
        let answer = match request {
            Request::Open(track) => return Ok((Answer::Opened, Some(files::open(&self.index, track)?))),
            Request::Hash(tracks) => {
                Answer::Hashes(files::hash(&self.index, &tracks[..tracks.len().min(HASH_BATCH)]))
            }
            Request::TrackHashes(tracks, apart) => {
                let tracks = &tracks[..tracks.len().min(HASH_BATCH)];
                Answer::TrackHashes(files::track_hashes(&self.index, tracks, apart))
            }
            Request::Cover { track, limits } => Answer::Cover(covers::cover(&self.index, track, limits)?),
            Request::CoverStamps(tracks) => {
                let tracks = &tracks[..tracks.len().min(STAMP_BATCH)];
                Answer::CoverStamps(tracks.iter().map(|track| covers::stamp(&self.index, *track)).collect())
            }
            Request::SetFolders(folders) => {
                self.set_folders(folders.into_iter().map(PathBuf::from).collect())?
            }
            Request::Scan => {
                self.scanner.request_full(false);
                self.publish()?;
                Answer::Nothing
            }
            Request::Search(rule) => self.search(&rule, parts)?,
            Request::MediaInfo(media) => {
                Answer::Info(self.index.read(|connection| media::info(connection, &media))?)
            }
            Request::SetMediaInfo { media, name, value } => {
                let now = SystemClock.now();
                self.change(|transaction| media::set(transaction, &media, &name, &value, now))?;
                Answer::Nothing
            }
            Request::Resolve(ids) => self.resolve(&ids, parts)?,
            Request::Playlists => self.playlists(parts)?,
            Request::PlaylistItems { id, first, count } => self.items(&id, first, count, parts)?,
            request => self.playlist_request(request, media, parts)?,
        };
        Ok((answer, None))
    }

    fn change<T>(&self, work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T>) -> Result<T> {
        let outcome = self.index.change(work)?;
        self.publish()?;
        Ok(outcome)
    }

    fn playlist_request(&self, request: Request, media: &[MediaUri], parts: &Parts) -> Result<Answer> {
        let now = SystemClock.now();
        let paths = store::media_paths(&self.index, media)?;
        let info = match request {
            Request::CreatePlaylist { name } => self.change(|transaction| {
                let new = store::New {
                    name: &name,
                    kind: PlaylistKind::Static,
                    rule: "",
                    sync_only: false,
                    preset: None,
                };
                let playlist = store::create(transaction, &new)?;
                items::insert(transaction, playlist.number, 0, &paths)?;
                store::info(transaction, &playlist, now)
            })?,
            Request::CreateAutoPlaylist { name, rule } => self.change(|transaction| {
                let new = store::New {
                    name: &name,
                    kind: PlaylistKind::Auto,
                    rule: &rule,
                    sync_only: false,
                    preset: None,
                };
                let playlist = store::create(transaction, &new)?;
                store::info(transaction, &playlist, now)
            })?,
            Request::ImportPlaylist(path) => {
                let file = import::read(&PathBuf::from(path))?;
                let folders = self.index.folders();
                let (info, unresolved) =
                    self.change(|transaction| import::store(transaction, &file, &folders, now))?;
                answers::send_texts(parts, unresolved)?;
                info
            }
            Request::EditPlaylist { id, edit } => self.change(|transaction| {
                let playlist = edit::edit(transaction, &id, &edit, &paths)?;
                store::info(transaction, &playlist, now)
            })?,
            Request::DeletePlaylist(id) => {
                self.change(|transaction| store::delete(transaction, &id))?;
                return Ok(Answer::Nothing);
            }
            Request::Playlist(id) => {
                self.index.read(|connection| store::info(connection, &store::find(connection, &id)?, now))?
            }
            Request::TransferPlaylist { device, name } => self.change(|transaction| {
                let playlist = defaults::transfer(transaction, &device, &name)?;
                store::info(transaction, &playlist, now)
            })?,
            Request::DefaultPlaylists => return self.default_playlists(),
            _ => return Err(Failure::invalid("the agent doesn't know this request; restart the daemon")),
        };
        Ok(Answer::Playlist(info))
    }

    fn default_playlists(&self) -> Result<Answer> {
        let there = self.index.read(defaults::are_there)?;
        // a set that is there is only read, so that the generation stays
        let ids = if there { self.index.write(defaults::ensure)? } else { self.change(defaults::ensure)? };
        Ok(Answer::PlaylistIds(ids))
    }

    fn set_folders(&self, folders: Vec<PathBuf>) -> Result<Answer> {
        let folders = folders::check(folders)?;
        self.index.change(|transaction| folders::store(transaction, &folders))?;
        self.index.show_folders(folders);
        self.scanner.request_full(true);
        self.publish()?;
        Ok(Answer::Nothing)
    }

    fn search(&self, rule: &str, parts: &Parts) -> Result<Answer> {
        let query =
            rules::compile(&rules::parse(rule)?, SystemClock.now(), self.seed.load(Ordering::Relaxed));
        self.index.read(|connection| {
            answers::send_media(parts, |send| {
                resolve::each_match(connection, &query, &mut |row| {
                    send(answers::row_uri(row)?).map(|()| true)
                })
            })
        })?;
        Ok(Answer::Nothing)
    }

    fn playlists(&self, parts: &Parts) -> Result<Answer> {
        let now = SystemClock.now();
        let infos = self.index.read(|connection| {
            store::all(connection)?
                .iter()
                .map(|playlist| store::info(connection, playlist, now))
                .collect::<Result<Vec<_>>>()
        })?;
        answers::send_playlists(parts, infos)?;
        Ok(Answer::Nothing)
    }

    fn items(&self, id: &PlaylistId, first: u32, count: u32, parts: &Parts) -> Result<Answer> {
        let moment = Moment { now: SystemClock.now(), seed: self.seed.load(Ordering::Relaxed) };
        let end = if count == 0 { u32::MAX } else { first.saturating_add(count) };
        self.index.read(|connection| {
            let playlist = store::find(connection, id)?;
            let mut position = 0u32;
            answers::send_media(parts, |send| {
                resolve::for_each(connection, &playlist, moment, &mut |item| {
                    let uri = match item {
                        Item::Track(row) => answers::row_uri(row)?,
                        Item::MissingPath(path) => uri::encode(crate::text::path(path)),
                        // an entry that names no file has no URI; resolutions report it
                        Item::MissingText(_) => return Ok(true),
                    };
                    if position >= first && position < end {
                        send(uri)?;
                    }
                    position = position.saturating_add(1);
                    Ok(position < end)
                })
            })
        })?;
        Ok(Answer::Nothing)
    }

    fn resolve(&self, ids: &[PlaylistId], parts: &Parts) -> Result<Answer> {
        let seed = RandomState::new().build_hasher().finish().cast_signed();
        self.seed.store(seed, Ordering::Relaxed);
        let moment = Moment { now: SystemClock.now(), seed };
        let (generation, missing, trouble) = self.index.read(|connection| {
            let generation = index::meta(connection, "generation")?;
            let missing = answers::send_resolved(connection, parts, ids, moment)?;
            let told = self.scanner.trouble_with(connection, ids)?;
            let trouble = if told.is_some() {
                told
            } else if index::meta(connection, "last_scan")? == 0 {
                Some(
                    "the library has not been scanned to its end yet; wait until its first scan has ended"
                        .to_owned(),
                )
            } else {
                // a library file that is new since the owner last set its folders may have replaced a lost one
                let confirmed = index::lib_meta(connection, "confirmed")?.is_some();
                let lost = || lost_playlist(&missing).filter(|_| !confirmed);
                index::lib_meta(connection, "damage")?.or_else(lost)
            };
            Ok((generation, missing, trouble))
        })?;
        Ok(Answer::Resolved { generation, missing, trouble })
    }
}

/// What a playlist that was made here and is unknown now tells of the library: one that its owner deletes is asked for
/// no more, so its record was lost. A playlist file that is gone was deleted on disk, which is the owner's choice.
fn lost_playlist(missing: &[PlaylistId]) -> Option<String> {
    let lost = missing.iter().find(|id| !identity::is_file(id))?;
    Some(format!(
        "the library has lost the playlist {lost}; restore its file library.sqlite, or set the library's folders \
         again if that is meant"
    ))
}
