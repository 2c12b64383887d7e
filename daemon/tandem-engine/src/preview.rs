//! What a run would do, item by item, as `Preview` shows it. Pure values.

use crate::plan::{Deletion, LeftOut, TrackWrite};
use crate::run::playlists;
use crate::run::prepare::Prepared;
use crate::run::transfer::on_device;
use tandem_model::manifest::Origin;

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
    /// The media's URI; empty for a playlist file.
    pub media: String,
    /// Where on the device.
    pub destination: String,
    /// Bytes.
    pub size: u64,
    /// Why, for the user.
    pub reason: String,
}

/// What this plan comes to.
pub(crate) fn items(prepared: &Prepared) -> Vec<PreviewItem> {
    let Prepared { plan, library, entries, .. } = prepared;
    let delete = |deletion: &Deletion| {
        let entry = &entries[deletion.entry];
        PreviewItem {
            action: Action::Delete,
            media: match &entry.origin {
                Origin::Track(uri) => uri.0.to_string(),
                Origin::Playlist(_) => String::new(),
            },
            destination: entry.path.to_string(),
            size: entry.facts.size,
            reason: deletion.reason.to_owned(),
        }
    };
    let write = |write: &TrackWrite| {
        let track = &library.tracks[write.track as usize];
        let (action, reason) = match write.replaces {
            Some(_) => (Action::Replace, "changed in the library"),
            None => (Action::Copy, "not yet on the device"),
        };
        PreviewItem {
            action,
            media: track.uri.0.to_string(),
            destination: write.path.to_string(),
            size: track.size,
            reason: reason.to_owned(),
        }
    };
    let skip = |left_out: &LeftOut| {
        let track = &library.tracks[left_out.track as usize];
        PreviewItem {
            action: Action::Skip,
            media: track.uri.0.to_string(),
            destination: String::new(),
            size: track.size,
            reason: left_out.message.clone(),
        }
    };
    let mut items: Vec<PreviewItem> = plan.deletions.iter().map(delete).collect();
    items.extend(plan.writes.iter().map(write));
    items.extend(plan.left_out.iter().map(skip));
    items.extend(playlist_items(prepared));
    items
}

/// What would become of the playlist files, once the tracks are where the plan puts them.
fn playlist_items(prepared: &Prepared) -> Vec<PreviewItem> {
    let Some(style) = &prepared.player.capabilities().playlists else { return Vec::new() };
    let mut places = on_device(prepared);
    for deletion in &prepared.plan.deletions {
        places.retain(|_, path| *path != prepared.entries[deletion.entry].path);
    }
    places.extend(prepared.plan.writes.iter().map(|write| (write.track, write.path.clone())));
    let changes = playlists::changes(&prepared.library, &prepared.entries, style, &places);
    let stale = changes.stale.iter().map(|entry| PreviewItem {
        action: Action::Delete,
        media: String::new(),
        destination: entry.path.to_string(),
        size: entry.facts.size,
        reason: "nothing of the playlist would be on the device under this name".to_owned(),
    });
    let fresh = changes.fresh.iter().map(|file| PreviewItem {
        action: if file.replaces.is_some() { Action::Replace } else { Action::Copy },
        media: String::new(),
        destination: file.path.to_string(),
        size: file.text.len() as u64,
        reason: format!("the playlist `{}`", file.playlist.name),
    });
    stale.chain(fresh).collect()
}
