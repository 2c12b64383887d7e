//! Changes of a playlist over the bus.
//!
//! Positions are checked against what is there; nothing is changed where one is out of range.

use super::items;
use super::store::{self, Stored};
use crate::failure::{Failure, Result};
use rusqlite::Transaction;
use tandem_model::id::PlaylistId;
use tandem_model::media::{PlaylistEdit, PlaylistKind};

/// Carries out an edit; `added` are the paths of what it adds.
pub(crate) fn edit(
    transaction: &Transaction<'_>,
    id: &PlaylistId,
    edit: &PlaylistEdit,
    added: &[Vec<u8>],
) -> Result<Stored> {
    let playlist = store::find(transaction, id)?;
    match edit {
        PlaylistEdit::Rename(name) => {
            let playlist = changeable(playlist)?;
            store::check_name(name)?;
            transaction
                .execute("UPDATE lib.playlist SET name = ?1 WHERE number = ?2", (name, playlist.number))?;
        }
        PlaylistEdit::SyncOnly(only) => {
            let playlist = changeable(playlist)?;
            transaction.execute(
                "UPDATE lib.playlist SET sync_only = ?1 WHERE number = ?2",
                (only, playlist.number),
            )?;
        }
        _ if playlist.kind != PlaylistKind::Static => return Err(store::read_only(&playlist)),
        _ => edit_items(transaction, &playlist, edit, added)?,
    }
    store::find(transaction, id)
}

fn changeable(playlist: Stored) -> Result<Stored> {
    if playlist.kind == PlaylistKind::File { Err(store::read_only(&playlist)) } else { Ok(playlist) }
}

fn edit_items(
    transaction: &Transaction<'_>,
    playlist: &Stored,
    edit: &PlaylistEdit,
    added: &[Vec<u8>],
) -> Result<()> {
    let number = playlist.number;
    let count = items::count(transaction, number)?;
    let within = |position: u32, end: usize| match usize::try_from(position) {
        Ok(position) if position < end => Ok(position),
        _ => Err(Failure::invalid(format!(
            "there is no position {position} in `{}`, which has {count} items",
            playlist.name
        ))),
    };
    match edit {
        PlaylistEdit::Append(_) => items::insert(transaction, number, count, added),
        PlaylistEdit::Insert(at, _) => items::insert(transaction, number, within(*at, count + 1)?, added),
        PlaylistEdit::Remove(first, length) => {
            let first = within(*first, count.max(1))?;
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            if length > count - first.min(count) {
                let words = format!(
                    "{length} items from position {first} are more than `{}` has ({count})",
                    playlist.name
                );
                return Err(Failure::invalid(words));
            }
            items::remove(transaction, number, first, length)
        }
        PlaylistEdit::Move(from, to) => {
            items::relocate(transaction, number, within(*from, count)?, within(*to, count)?)
        }
        PlaylistEdit::Clear => items::clear(transaction, number),
        PlaylistEdit::Rename(_) | PlaylistEdit::SyncOnly(_) => Ok(()),
    }
}
