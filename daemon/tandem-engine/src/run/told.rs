//! What a run tells of before it changes anything: what the library has not, and what the plan leaves out.

use super::playlists::uri;
use super::prepare::Prepared;
use super::{Observer, Results};
use tandem_model::error::ItemError;
use tandem_model::manifest::{EntryState, ItemResult, Origin};

/// Tells of assigned playlists that are gone, when that takes something from the device; once it has, they are only waited
/// for. In a library that looks wrong they are part of what is told already.
pub(super) async fn gone_playlists(prepared: &Prepared, observer: &Observer, results: &mut Results) {
    let Prepared { library, entries, plan, .. } = prepared;
    if library.trouble.is_some() {
        return;
    }
    for id in &library.missing {
        let is_list = |origin: &Origin| matches!(origin, Origin::Playlist(list) if list == id);
        let list = entries.iter().find(|entry| entry.state == EntryState::Present && is_list(&entry.origin));
        if list.is_none() && plan.deletions.is_empty() {
            continue;
        }
        // only the device still knows what it was called
        let name = list.map_or(&*id.0, |entry| entry.path.name());
        let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let message = format!(
            "the playlist `{name}` is assigned to this device and gone from the library, so what it alone brought here is \
             deleted; put it back where it was, or assign another one"
        );
        results.fail(observer, &uri(name), ItemError::SourceMissing, message).await;
    }
}

/// Tells of entries of playlists that name no track.
pub(super) async fn unresolved_entries(prepared: &Prepared, observer: &Observer, results: &mut Results) {
    for playlist in &prepared.library.playlists {
        if let Some(first) = playlist.unresolved.first() {
            let name = &playlist.name;
            let message = match playlist.unresolved.len() {
                1 => format!("one entry of the playlist `{name}` names no file of the library: `{first}`"),
                count => format!(
                    "{count} entries of the playlist `{name}` name no file of the library, among them `{first}`"
                ),
            };
            results.fail(observer, first, ItemError::SourceMissing, message).await;
        }
    }
}

/// Tells of tracks that the plan leaves out.
pub(super) async fn left_out(prepared: &mut Prepared, observer: &Observer, results: &mut Results) {
    for left_out in std::mem::take(&mut prepared.plan.left_out) {
        let media = prepared.library.tracks[left_out.track as usize].uri.0.to_string();
        match left_out.error {
            Some(error) => results.fail(observer, &media, error, left_out.message).await,
            None => results.rows.push(ItemResult {
                media,
                error: Some(ItemError::Cancelled),
                message: left_out.message,
            }),
        }
    }
}
