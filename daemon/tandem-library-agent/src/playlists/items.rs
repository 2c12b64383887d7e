//! The items of static playlists, and how they keep their order.
//!
//! An item's number in the table only says what stands before it. The numbers are far apart, so that what is put between
//! two items, or taken away, moves no other; where no room is left, the items behind are spread anew, as few as will do.

use crate::failure::{Failure, Result};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// The most items of one playlist.
pub(crate) const MAX_ITEMS: usize = 1_000_000;

/// How far apart the numbers of items are that nothing was put between.
const SPACING: i64 = 1 << 20;

/// Numbers stay within this, on both sides of 0.
const END: i64 = 1 << 62;

/// How many items behind are spread anew where there is no room: as few as give each at least this distance.
const SPREAD: [(usize, i64); 4] = [(0, 1), (64, 1 << 8), (4096, 1 << 8), (MAX_ITEMS, 1)];

/// How many items a static playlist has.
pub(crate) fn count(connection: &Connection, playlist: i64) -> Result<usize> {
    let sql = "SELECT count(*) FROM lib.playlist_item WHERE playlist = ?1";
    let count: i64 = connection.prepare_cached(sql)?.query_row([playlist], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Puts these paths before the item at this index, or behind all.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    playlist: i64,
    at: usize,
    paths: &[Vec<u8>],
) -> Result<()> {
    if count(transaction, playlist)? + paths.len() > MAX_ITEMS {
        return Err(Failure::invalid(format!(
            "a playlist holds at most {MAX_ITEMS} items; make a second one"
        )));
    }
    if paths.is_empty() {
        return Ok(());
    }
    let below = match at.checked_sub(1) {
        None => None,
        Some(before) => place(transaction, playlist, before)?,
    };
    for (behind, least) in SPREAD {
        let above = place(transaction, playlist, at + behind)?;
        let rest = between(transaction, playlist, below, above, behind)?;
        let Some((first, step)) = spread(below, above, paths.len() + rest.len(), least) else { continue };
        if !rest.is_empty() {
            delete(transaction, playlist, below, above)?;
        }
        return write(transaction, playlist, paths.iter().chain(&rest), first, step);
    }
    // the numbers have come to their end
    let mut all = between(transaction, playlist, None, None, MAX_ITEMS)?;
    all.splice(at..at, paths.iter().cloned());
    delete(transaction, playlist, None, None)?;
    write(transaction, playlist, all.iter(), 0, SPACING)
}

/// Takes away so many items from an index on.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    playlist: i64,
    first: usize,
    length: usize,
) -> Result<()> {
    if length == 0 {
        return Ok(());
    }
    let below = match first.checked_sub(1) {
        None => None,
        Some(before) => place(transaction, playlist, before)?,
    };
    let above = place(transaction, playlist, first + length)?;
    delete(transaction, playlist, below, above)
}

/// Puts the item at one index to where another is, after it was taken away.
pub(crate) fn relocate(transaction: &Transaction<'_>, playlist: i64, from: usize, to: usize) -> Result<()> {
    let Some(place) = place(transaction, playlist, from)? else { return Ok(()) };
    let sql = "DELETE FROM lib.playlist_item WHERE playlist = ?1 AND position = ?2 RETURNING path";
    let path: Vec<u8> = transaction.prepare_cached(sql)?.query_row((playlist, place), |row| row.get(0))?;
    insert(transaction, playlist, to, &[path])
}

/// Takes all items away.
pub(crate) fn clear(transaction: &Transaction<'_>, playlist: i64) -> Result<()> {
    delete(transaction, playlist, None, None)
}

/// The number of the item at this index; `None` behind the end.
fn place(connection: &Connection, playlist: i64, index: usize) -> Result<Option<i64>> {
    let sql =
        "SELECT position FROM lib.playlist_item WHERE playlist = ?1 ORDER BY position LIMIT 1 OFFSET ?2";
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(sql)?.query_row((playlist, index), |row| row.get(0)).optional()?)
}

/// The first paths between two numbers, these not among them.
fn between(
    connection: &Connection,
    playlist: i64,
    below: Option<i64>,
    above: Option<i64>,
    most: usize,
) -> Result<Vec<Vec<u8>>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let sql = "SELECT path FROM lib.playlist_item WHERE playlist = ?1 AND position > ?2 AND position < ?3
               ORDER BY position LIMIT ?4";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let (below, above) = (below.unwrap_or(i64::MIN), above.unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(sql)?;
    let paths = statement.query_map((playlist, below, above, most), |row| row.get(0))?;
    Ok(paths.collect::<rusqlite::Result<_>>()?)
}

/// Takes away all items between two numbers, these not among them.
fn delete(
    transaction: &Transaction<'_>,
    playlist: i64,
    below: Option<i64>,
    above: Option<i64>,
) -> Result<()> {
    let sql = "DELETE FROM lib.playlist_item WHERE playlist = ?1 AND position > ?2 AND position < ?3";
    let (below, above) = (below.unwrap_or(i64::MIN), above.unwrap_or(i64::MAX));
    transaction.prepare_cached(sql)?.execute((playlist, below, above))?;
    Ok(())
}

fn write<'a>(
    transaction: &Transaction<'_>,
    playlist: i64,
    paths: impl Iterator<Item = &'a Vec<u8>>,
    first: i64,
    step: i64,
) -> Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO lib.playlist_item VALUES (?1, ?2, ?3)")?;
    let mut position = first;
    for path in paths {
        insert.execute((playlist, position, path))?;
        position = position.saturating_add(step);
    }
    Ok(())
}

/// The first number and the distance of so many items between two numbers; `None` where the distance would be less than
/// the least, or a number has no room.
fn spread(below: Option<i64>, above: Option<i64>, count: usize, least: i64) -> Option<(i64, i64)> {
    let count = i64::try_from(count).ok()?;
    let length = count.checked_mul(SPACING)?;
    match (below, above) {
        (None, None) => Some((0, SPACING)),
        (Some(below), None) => {
            (below.saturating_add(length) < END).then(|| (below.saturating_add(SPACING), SPACING))
        }
        (None, Some(above)) => {
            let first = above.saturating_sub(length);
            (first > -END).then_some((first, SPACING))
        }
        (Some(below), Some(above)) => {
            let step = above.checked_sub(below)? / (count + 1);
            (step >= least).then_some((below + step, step))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of items such as the library file has.
    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "ATTACH ':memory:' AS lib;
                 CREATE TABLE lib.playlist_item (playlist INTEGER NOT NULL, position INTEGER NOT NULL,
                                                 path BLOB NOT NULL, PRIMARY KEY (playlist, position)) WITHOUT ROWID;",
            )
            .unwrap();
        connection
    }

    fn path(number: u32) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    fn changing<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> u64 {
        let before = connection.total_changes();
        let transaction = connection.transaction().unwrap();
        assert!(work(&transaction).is_ok());
        transaction.commit().unwrap();
        connection.total_changes() - before
    }

    fn all(connection: &Connection) -> Vec<Vec<u8>> {
        between(connection, 1, None, None, MAX_ITEMS).unwrap()
    }

    #[test]
    fn an_edit_in_a_long_playlist_moves_no_other_items() {
        let mut connection = table();
        let paths: Vec<Vec<u8>> = (0..5000).map(path).collect();
        changing(&mut connection, |transaction| insert(transaction, 1, 0, &paths));
        assert_eq!(changing(&mut connection, |transaction| insert(transaction, 1, 10, &[path(9)])), 1);
        assert_eq!(changing(&mut connection, |transaction| insert(transaction, 1, 0, &[path(9)])), 1);
        assert_eq!(changing(&mut connection, |transaction| remove(transaction, 1, 20, 3)), 3);
        assert_eq!(changing(&mut connection, |transaction| relocate(transaction, 1, 4000, 2)), 2);
        // again and again at one place, which costs a few others now and then
        let mut changes = 0;
        for number in 0..1000 {
            changes += changing(&mut connection, |transaction| insert(transaction, 1, 700, &[path(number)]));
        }
        assert!(changes < 50_000, "{changes} rows were written for 1000 items");
        assert_eq!(count(&connection, 1).unwrap(), 5000 + 1002 - 3);
    }

    #[test]
    fn items_that_stand_close_are_spread_once() {
        let mut connection = table();
        let close = "WITH RECURSIVE n (value) AS (VALUES (0) UNION ALL SELECT value + 1 FROM n LIMIT 100)
                     INSERT INTO lib.playlist_item SELECT 1, value, CAST(value AS BLOB) FROM n";
        connection.execute_batch(close).unwrap();
        let first = changing(&mut connection, |transaction| insert(transaction, 1, 50, &[path(1000)]));
        let second = changing(&mut connection, |transaction| insert(transaction, 1, 51, &[path(1001)]));
        assert_eq!((first, second), (50 + 51, 1));
        let mut expected: Vec<Vec<u8>> = (0..100).map(path).collect();
        expected.splice(50..50, [path(1000), path(1001)]);
        assert_eq!(all(&connection), expected);
    }

    #[test]
    fn numbers_that_come_to_their_end_begin_anew() {
        let mut connection = table();
        changing(&mut connection, |transaction| insert(transaction, 1, 0, &[path(0), path(1)]));
        connection
            .execute("UPDATE lib.playlist_item SET position = ?1 WHERE position > 0", [END - 1])
            .unwrap();
        changing(&mut connection, |transaction| insert(transaction, 1, 2, &[path(2)]));
        assert_eq!(all(&connection), [path(0), path(1), path(2)]);
        assert_eq!(place(&connection, 1, 0).unwrap(), Some(0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(usize, usize),
        Remove(usize, usize),
        Relocate(usize, usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (any::<usize>(), 0usize..9).prop_map(|(at, count)| Step::Insert(at, count)),
            // the same place each time
            3 => (3usize..4, 1usize..3).prop_map(|(at, count)| Step::Insert(at, count)),
            1 => (any::<usize>(), 0usize..5).prop_map(|(at, count)| Step::Remove(at, count)),
            1 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Step::Relocate(from, to)),
        ]
    }

    proptest! {
        #[test]
        fn items_stand_where_a_list_would_have_them(steps in prop::collection::vec(any_step(), 1..80)) {
            let mut connection = table();
            let mut list: Vec<Vec<u8>> = Vec::new();
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Insert(at, count) => {
                        let at = at % (list.len() + 1);
                        let paths: Vec<Vec<u8>> = (next..).take(count).map(path).collect();
                        next += 10;
                        changing(&mut connection, |transaction| insert(transaction, 1, at, &paths));
                        list.splice(at..at, paths);
                    }
                    Step::Remove(at, count) if !list.is_empty() => {
                        let at = at % list.len();
                        let count = count.min(list.len() - at);
                        changing(&mut connection, |transaction| remove(transaction, 1, at, count));
                        list.drain(at..at + count);
                    }
                    Step::Relocate(from, to) if !list.is_empty() => {
                        let (from, to) = (from % list.len(), to % list.len());
                        changing(&mut connection, |transaction| relocate(transaction, 1, from, to));
                        let item = list.remove(from);
                        list.insert(to, item);
                    }
                    _ => {}
                }
                prop_assert_eq!(all(&connection), list.clone());
                prop_assert_eq!(count(&connection, 1).unwrap(), list.len());
            }
        }
    }
}
