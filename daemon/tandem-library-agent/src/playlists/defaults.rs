//! The playlists that are made once: WMP's default set for synchronisation, and the one that collects what is
//! transferred to a device by hand.
//!
//! Each is found again by what it was made for, whatever the user calls it.

use super::store::{self, New, Stored};
use crate::failure::Result;
use rusqlite::Transaction;
use tandem_model::id::{DeviceId, PlaylistId};
use tandem_model::media::PlaylistKind;

/// Purpose, name and rule of each, in WMP's order.
const SET: [(&str, &str, &str); 6] = [
    ("five-stars", "Music rated at 5 stars", "(stars == 5)"),
    ("added", "Music added in the last month", "(added-since 30d)"),
    ("four-stars", "Music rated at 4 or 5 stars", "(stars >= 4)"),
    ("played", "Music played in the last month", "(played-since 30d)"),
    ("most-played", "Music played the most", "(playcount > 0) sort -playcount limit 250 items"),
    ("all", "All music", "(size >= 0)"),
];

/// The user's own static playlists and then the set, made where it isn't there.
pub(crate) fn ensure(transaction: &Transaction<'_>) -> Result<Vec<PlaylistId>> {
    let mut ids = store::own_static(transaction)?;
    for (preset, name, rule) in SET {
        let new = New { name, kind: PlaylistKind::Auto, rule, sync_only: true, preset: Some(preset) };
        ids.push(ensure_one(transaction, preset, &new)?.id);
    }
    Ok(ids)
}

/// Whether the set is there already.
pub(crate) fn are_there(connection: &rusqlite::Connection) -> Result<bool> {
    for (preset, _, _) in SET {
        if store::preset(connection, preset)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The playlist that collects what is transferred to this device by hand. Its name is for people alone, and it stays the
/// device's whatever that is called later.
pub(crate) fn transfer(
    transaction: &Transaction<'_>,
    device: &DeviceId,
    device_name: &str,
) -> Result<Stored> {
    let preset = format!("transfer-to:{device}");
    if let Some(playlist) = store::preset(transaction, &preset)? {
        return Ok(playlist);
    }
    // before devices were told apart by their ids, the name alone said whose it was
    if let Some(playlist) = store::preset(transaction, &format!("transfer:{device_name}"))? {
        store::set_preset(transaction, playlist.number, &preset)?;
        return Ok(playlist);
    }
    let name = transfer_name(transaction, device_name)?;
    let new =
        New { name: &name, kind: PlaylistKind::Static, rule: "", sync_only: false, preset: Some(&preset) };
    store::create(transaction, &new)
}

/// A name for a device's transfer playlist that no other playlist has.
fn transfer_name(transaction: &Transaction<'_>, device_name: &str) -> Result<String> {
    let shown: String = device_name.chars().filter(|character| !character.is_control()).take(200).collect();
    let name = format!("Transferred to {}", if shown.trim().is_empty() { "a device" } else { shown.trim() });
    let mut free = name.clone();
    let mut number = 2;
    while store::is_name_taken(transaction, &free)? {
        free = format!("{name} ({number})");
        number += 1;
    }
    Ok(free)
}

fn ensure_one(transaction: &Transaction<'_>, preset: &str, new: &New<'_>) -> Result<Stored> {
    match store::preset(transaction, preset)? {
        Some(playlist) => Ok(playlist),
        None => store::create(transaction, new),
    }
}
