//! What a run would do, item by item, as `Preview` shows it, and the space it would take, as an estimate
//! tells it. It looks at names on the device, and at playlists that have the names of ours; it changes nothing.

use crate::plan::albums::{self, AlbumChanges, AlbumObject};
use crate::plan::names::{TakenNames, numbered};
use crate::plan::playlists::Place;
use crate::plan::{Deletion, LeftOut, MetadataUpdate, TrackWrite, guard, round_up, taken};
use crate::run::adopt::{FoundList, List};
use crate::run::error::RunError;
use crate::run::playlists::{self, LeftList, PlaylistChanges, PlaylistFile};
use crate::run::prepare::Prepared;
use crate::run::transfer::{NAME_TRIES, on_device, used_names};
use std::collections::{HashMap, HashSet};
use tandem_model::manifest::{Entry, EntryState, Origin};
use tandem_model::path::DevicePath;
use tandem_model::player::{PlaylistStyle, Storage, Transfer};

/// What would be done with one item; the contract's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It would be copied.
    Copy,
    /// It would replace what we put there before.
    Replace,
    /// It would be deleted from the device.
    Delete,
    /// Only what the device knows of it would change.
    UpdateMetadata,
    /// It would be left out.
    Skip,
}

impl Action {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::UpdateMetadata => "update-metadata",
            Self::Skip => "skip",
        }
    }
}

/// One item of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewItem {
    /// What would be done.
    pub action: Action,
    /// The media's URI; empty for a playlist or an album, but one that stays as the user has changed it.
    pub media: String,
    /// Where on the device; empty for what is left out. Without media either, it is the whole run that would stop.
    pub destination: String,
    /// Bytes.
    pub size: u64,
    /// Why, for the user.
    pub reason: String,
}

/// What this plan comes to, under the names that the run will use. The first item says so where the run would stop
/// before it changes anything; the others are what it would do once that is allowed.
pub(crate) async fn items(
    prepared: &Prepared,
    allow_mass_deletion: bool,
    cancel: &Transfer,
) -> Result<Vec<PreviewItem>, RunError> {
    let Foreseen { names, playlists: changes, albums } = foresee(prepared, cancel).await?;
    let Prepared { plan, library, entries, .. } = prepared;
    let objection = guard::objection(plan, entries, library.trouble.as_deref());
    let mut items: Vec<PreviewItem> =
        objection.filter(|_| !allow_mass_deletion).map(whole_run).into_iter().collect();
    items.extend(plan.deletions.iter().map(|deletion| deleted(prepared, deletion)));
    items.extend(plan.writes.iter().map(|write| written(prepared, write, &names)));
    items.extend(plan.updates.iter().map(|update| updated(prepared, update)));
    items.extend(plan.left_out.iter().map(|left_out| skipped(prepared, left_out)));
    items.extend(playlist_items(&changes, &names));
    items.extend(album_items(&albums, &names));
    Ok(items)
}

/// Bytes on the storage that everything assigned takes once the run has been: tracks and playlists, in whole clusters.
pub(crate) async fn space(prepared: &Prepared, cancel: &Transfer) -> Result<u64, RunError> {
    let Prepared { plan, library, entries, space, .. } = prepared;
    let cluster = space.cluster.max(1);
    let Foreseen { names, playlists: changes, albums: _ } = foresee(prepared, cancel).await?;
    let nameless = plan.writes.iter().filter(|write| names.of_write(write).is_none());
    let nameless: u64 =
        nameless.map(|write| round_up(library.tracks[write.track as usize].size, cluster)).sum();
    let style = prepared.player.capabilities().playlists.as_ref();
    if style.is_none_or(PlaylistStyle::is_by_reference) {
        return Ok(plan.used - nameless);
    }
    let replaced = changes.fresh.iter().filter_map(|file| file.replaces.as_ref());
    let gone: HashSet<i64> = changes.stale.iter().chain(replaced).map(|entry| entry.id).collect();
    let deleted: HashSet<usize> = plan.deletions.iter().map(|deletion| deletion.entry).collect();
    let stays = |(position, entry): &(usize, &Entry)| {
        let is_list = entry.state == EntryState::Present && matches!(entry.origin, Origin::Playlist(_));
        is_list && !gone.contains(&entry.id) && !deleted.contains(position)
    };
    let kept = entries.iter().enumerate().filter(stays);
    let kept: u64 = kept.map(|(_, entry)| taken(entry.facts.size, *space)).sum();
    let has_name = |file: &&PlaylistFile| file.replaces.is_some() || names.of_path(&file.path).is_some();
    let fresh = changes.fresh.iter().filter(has_name);
    let fresh: u64 = fresh.map(|file| round_up(file.bytes.len() as u64, cluster)).sum();
    Ok(plan.used - nameless + kept + fresh)
}

/// What will be done besides the plan.
struct Foreseen {
    /// Those that new files get.
    names: Names,
    playlists: PlaylistChanges,
    albums: AlbumChanges,
}

async fn foresee(prepared: &Prepared, cancel: &Transfer) -> Result<Foreseen, RunError> {
    let storage = &*prepared.storage;
    let mut names = Names::of(prepared);
    let fresh = prepared.plan.writes.iter().filter(|write| write.replaces.is_none());
    names.look(storage, fresh.map(|write| (write.path.clone(), write.path.clone())).collect()).await?;
    let places = places(prepared, &names);
    let (library, entries, can) = (&prepared.library, &prepared.entries, prepared.player.capabilities());
    let mut playlists = match &can.playlists {
        Some(style) => playlists::changes(library, entries, style, &places),
        None => PlaylistChanges::default(),
    };
    let mut albums = albums::changes(library, entries, can.albums.as_ref(), &places, &prepared.covers);
    let mut taken: TakenNames = entries.iter().map(|entry| &entry.path).collect();
    if let Some(style) = &can.playlists {
        let list = |file: &PlaylistFile| List::of_playlist(file, style);
        let is_new = |file: &PlaylistFile| file.replaces.is_none();
        without_his(&mut playlists.fresh, is_new, list, (storage, &mut taken, cancel)).await?;
    }
    let is_new = |album: &AlbumObject| album.replaces.is_none();
    without_his(&mut albums.fresh, is_new, List::of_album, (storage, &mut taken, cancel)).await?;
    // lists are named when the tracks have their names, and albums after them
    let fresh = playlists.fresh.iter().filter(|file| file.replaces.is_none());
    names.look(storage, fresh.map(|file| (file.path.clone(), file.plain.clone())).collect()).await?;
    let fresh = albums.fresh.iter().filter(|album| album.replaces.is_none());
    names.look(storage, fresh.map(|album| (album.path.clone(), album.plain.clone())).collect()).await?;
    Ok(Foreseen { names, playlists, albums })
}

/// Leaves out those that the user has exactly so: they aren't written.
async fn without_his<T>(
    fresh: &mut Vec<T>,
    is_new: impl Fn(&T) -> bool,
    list: impl Fn(&T) -> List,
    (storage, taken, cancel): (&dyn Storage, &mut TakenNames, &Transfer),
) -> Result<(), RunError> {
    let mut others = Vec::with_capacity(fresh.len());
    for item in fresh.drain(..) {
        if !is_new(&item) || FoundList::find(storage, list(&item), taken, cancel).await?.is_none() {
            others.push(item);
        }
    }
    *fresh = others;
    Ok(())
}

/// The run would stop before it changes anything.
fn whole_run(objection: String) -> PreviewItem {
    PreviewItem {
        action: Action::Skip,
        media: String::new(),
        destination: String::new(),
        size: 0,
        reason: objection,
    }
}

fn deleted(prepared: &Prepared, deletion: &Deletion) -> PreviewItem {
    let entry = &prepared.entries[deletion.entry];
    PreviewItem {
        action: Action::Delete,
        media: match &entry.origin {
            Origin::Track(uri) => uri.0.to_string(),
            Origin::Playlist(_) | Origin::Album(_) => String::new(),
        },
        destination: entry.path.to_string(),
        size: entry.facts.size,
        reason: deletion.reason.to_owned(),
    }
}

fn written(prepared: &Prepared, write: &TrackWrite, names: &Names) -> PreviewItem {
    let track = &prepared.library.tracks[write.track as usize];
    let (action, reason) = match write.replaces {
        Some(_) => (Action::Replace, "changed in the library"),
        None => (Action::Copy, "not yet on the device"),
    };
    let destination = names.of_write(write);
    PreviewItem {
        action: if destination.is_some() { action } else { Action::Skip },
        media: track.uri.0.to_string(),
        destination: destination.map(ToString::to_string).unwrap_or_default(),
        size: track.size,
        reason: match destination {
            Some(path) if *path != write.path => {
                let name = &write.path;
                let taken = if prepared.lost { "it is taken for ours again and " } else { "" };
                format!(
                    "{reason}; another file has the name `{name}`: if it is exactly this one, {taken}nothing is copied"
                )
            }
            Some(_) => reason.to_owned(),
            None => format!("`{}` and all names like it are taken by other files", write.path),
        },
    }
}

fn updated(prepared: &Prepared, update: &MetadataUpdate) -> PreviewItem {
    PreviewItem {
        action: Action::UpdateMetadata,
        media: prepared.library.tracks[update.track as usize].uri.0.to_string(),
        destination: prepared.entries[update.entry].path.to_string(),
        size: 0,
        reason: "only its tags have changed, and the device takes those without the file".to_owned(),
    }
}

fn skipped(prepared: &Prepared, left_out: &LeftOut) -> PreviewItem {
    let track = &prepared.library.tracks[left_out.track as usize];
    PreviewItem {
        action: Action::Skip,
        media: track.uri.0.to_string(),
        destination: String::new(),
        size: track.size,
        reason: left_out.message.clone(),
    }
}

/// Where the tracks are once the plan is carried out.
fn places(prepared: &Prepared, names: &Names) -> foldhash::HashMap<u32, Place> {
    let mut places = on_device(prepared);
    let deleted: HashSet<&DevicePath> =
        prepared.plan.deletions.iter().map(|deletion| &prepared.entries[deletion.entry].path).collect();
    places.retain(|_, place| !deleted.contains(&place.path));
    let written =
        |write: &TrackWrite| names.of_write(write).map(|path| (write.track, Place::to_come(path.clone())));
    places.extend(prepared.plan.writes.iter().filter_map(written));
    places
}

fn album_items(changes: &AlbumChanges, names: &Names) -> Vec<PreviewItem> {
    let because = "no track of the album would be on the device";
    let stale = changes.stale.iter().map(|entry| stale_list(entry, because));
    let fresh = changes.fresh.iter().map(|album| {
        let reason = format!("the album `{}`", album.id.title());
        fresh_list(names, &album.path, album.replaces.is_some(), 0, reason)
    });
    stale.chain(fresh).collect()
}

fn playlist_items(changes: &PlaylistChanges, names: &Names) -> Vec<PreviewItem> {
    let because = "nothing of the playlist would be on the device under this name";
    let stale = changes.stale.iter().map(|entry| stale_list(entry, because));
    let fresh = changes.fresh.iter().map(|file| {
        let reason = format!("the playlist `{}`", file.playlist.name);
        fresh_list(names, &file.path, file.replaces.is_some(), file.bytes.len() as u64, reason)
    });
    let left = changes.left.iter().map(|LeftList { media, message }| PreviewItem {
        action: Action::Skip,
        media: media.clone(),
        destination: String::new(),
        size: 0,
        reason: message.clone(),
    });
    stale.chain(fresh).chain(left).collect()
}

/// A playlist or an album that would go.
fn stale_list(entry: &Entry, reason: &str) -> PreviewItem {
    PreviewItem {
        action: Action::Delete,
        media: String::new(),
        destination: entry.path.to_string(),
        size: entry.facts.size,
        reason: reason.to_owned(),
    }
}

/// One that would be written.
fn fresh_list(names: &Names, path: &DevicePath, replaces: bool, size: u64, reason: String) -> PreviewItem {
    PreviewItem {
        action: if replaces { Action::Replace } else { Action::Copy },
        media: String::new(),
        destination: names.of_path(path).unwrap_or(path).to_string(),
        size,
        reason,
    }
}

/// The names that new files get: the planned one, or the next numbered one where somebody else's file has it.
struct Names {
    /// Of files of ours, which are deleted or replaced before.
    ours: HashSet<DevicePath>,
    /// Planned, recorded, or given here.
    used: TakenNames,
    /// For planned names that are taken; `None` where all names like it are.
    other: HashMap<DevicePath, Option<DevicePath>>,
}

impl Names {
    fn of(prepared: &Prepared) -> Self {
        let present = |entry: &&Entry| entry.state == EntryState::Present;
        Self {
            ours: prepared.entries.iter().filter(present).map(|entry| entry.path.clone()).collect(),
            used: used_names(prepared),
            other: HashMap::new(),
        }
    }

    /// Looks which of these names are taken, and finds others for them: those behind them with numbers.
    async fn look(
        &mut self,
        storage: &dyn Storage,
        wanted: Vec<(DevicePath, DevicePath)>,
    ) -> Result<(), RunError> {
        self.used.extend(wanted.iter().map(|(wanted, _)| wanted));
        let facts = storage.facts(wanted.iter().map(|(wanted, _)| wanted.clone()).collect()).await?;
        for ((wanted, plain), facts) in wanted.into_iter().zip(facts) {
            if facts.is_none() || self.ours.contains(&wanted) {
                continue;
            }
            let mut free = None;
            for number in 2..=NAME_TRIES {
                let path = numbered(&plain, number);
                if !self.used.contains(&path) && storage.object(&path).facts().await?.is_none() {
                    self.used.insert(&path);
                    free = Some(path);
                    break;
                }
            }
            self.other.insert(wanted, free);
        }
        Ok(())
    }

    /// Where this write goes; `None` where all names are taken.
    fn of_write<'a>(&'a self, write: &'a TrackWrite) -> Option<&'a DevicePath> {
        if write.replaces.is_some() { Some(&write.path) } else { self.of_path(&write.path) }
    }

    /// The name that a file planned under this one gets; `None` where all are taken.
    fn of_path<'a>(&'a self, planned: &'a DevicePath) -> Option<&'a DevicePath> {
        match self.other.get(planned) {
            Some(other) => other.as_ref(),
            None => Some(planned),
        }
    }
}
