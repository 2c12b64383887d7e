//! What every player must do, whatever it is: assertions over `&dyn Player`, and the macro that makes tests of them.
//!
//! It knows no implementation; `tests/` points it at each. A case works in a folder of its own, so that cases can run
//! one after the other on one player.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

pub mod expectations;
pub mod folders;
pub mod marks;
pub mod names;
pub mod transfers;

use std::any::Any;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Close, Expect, Player, Source, Tags, Transfer, WriteRequest, Written};
use xxhash_rust::xxh3::xxh3_128;

/// 2023-11-14 22:13:20 UTC in nanoseconds: an even second, which every file system can hold.
pub const MODIFIED: i64 = 1_700_000_000_000_000_000;

/// An open player, and what has to live as long as it does.
pub struct Subject {
    /// The player.
    pub player: Arc<dyn Player>,
    /// Dropped after the player.
    pub keep: Box<dyn Any + Send>,
}

/// Says on the terminal, past the test harness, that something could not be tested here; each thing once.
pub fn skip(what: &str, reason: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("skipped: {what}: {reason}");
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        // a terminal that is gone is no reason to fail
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Makes a test of each case that is named, over what `$open` opens; `None` skips it.
#[macro_export]
macro_rules! conformance {
    ($open:expr; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                if let Some(subject) = $open.await {
                    $crate::$group::$case(&*subject.player).await;
                    $crate::release(subject).await;
                }
            })+
        })+
    };
    ($open:expr) => {
        $crate::conformance! { $open;
            transfers: a_file_arrives_as_it_was_sent, an_empty_file_is_a_file, a_file_of_many_chunks_arrives,
                a_source_that_is_not_as_announced_is_refused, a_cancelled_transfer_leaves_nothing,
                a_taken_temporary_name_is_left_alone, files_are_sent_and_finished_together,
                a_name_that_is_taken_while_a_file_is_sent_is_left_alone, space_is_told_and_used;
            expectations: an_existing_file_is_not_replaced, what_is_expected_is_replaced,
                what_was_changed_is_left_alone, what_lost_its_name_gets_it_back, only_what_is_expected_is_deleted, reading_is_limited;
            folders: deep_folders_are_made_and_told, missing_folders_are_told, a_temporary_folder_that_is_none_ends_the_run,
                empty_folders_are_removed_and_others_stay,
                many_files_are_told_in_order, a_file_in_place_of_a_folder_is_in_the_way,
                settling_and_flushing_take_what_is_gone;
            names: unicode_names_survive, long_names_are_taken_up_to_the_limit, refused_names_are_told_so,
                normalised_twins_do_not_overwrite_each_other, case_twins_do_not_overwrite_each_other;
            marks: a_mark_is_kept_and_replaced, a_mark_goes_with_its_file;
        }
    };
}

/// Closes a player.
///
/// # Panics
/// When that fails.
pub async fn release(subject: Subject) {
    subject.player.close(Close::Release).await.expect("closing succeeds");
}

pub(crate) fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).expect("a path of the suite's own making")
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap_or_default() ^ seed).collect()
}

pub(crate) fn file(bytes: &[u8]) -> Source {
    let mut file: File = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("writing a temporary file");
    Source::File(file)
}

pub(crate) fn request(at: &str, bytes: &[u8], expect: Expect) -> WriteRequest {
    let path = path(at);
    let temporary = path
        .parent()
        .map_or_else(|| self::path("~new.part"), |folder| folder.join("~new.part").expect("a plain name"));
    let size = u64::try_from(bytes.len()).expect("a small file");
    let tags = Tags::default();
    WriteRequest {
        path,
        temporary,
        expect,
        size,
        modified_ns: MODIFIED,
        source: file(bytes),
        tags,
        cover: None,
    }
}

/// Writes a file where nothing is.
pub(crate) async fn put(player: &dyn Player, at: &str, bytes: &[u8]) -> Result<Written, PlayerError> {
    let transfer = Arc::new(Transfer::default());
    player.storage().write(request(at, bytes, Expect::Nothing), &transfer).await
}

/// Asserts that exactly these bytes are there, by reading and by hash.
pub(crate) async fn assert_holds(player: &dyn Player, at: &str, bytes: &[u8]) {
    let object = player.storage().object(&path(at));
    let limit = u64::try_from(bytes.len()).expect("a small file") + 1;
    assert!(object.read(limit).await.as_deref() == Ok(bytes), "{at} holds what was sent");
    let transfer = Arc::new(Transfer::default());
    assert_eq!(object.hash(&transfer).await, Ok(xxh3_128(bytes)), "{at}");
}

/// Asserts that nothing is there.
pub(crate) async fn assert_nothing(player: &dyn Player, at: &str) {
    assert_eq!(player.storage().object(&path(at)).facts().await, Ok(None), "{at}");
}
