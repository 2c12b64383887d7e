//! Tests of what counts as ours, on a stand-in for storages with exact times and with such as FAT's. It touches no disk.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use tandem_model::BoxFuture;
use tandem_model::id::MediaUri;
use tandem_model::manifest::Origin;
use tandem_model::player::{Object, Space, WriteRequest, Written};

const SECOND: i64 = 1_000_000_000;
const RECORDED: ObjectFacts = ObjectFacts { size: 5, modified_ns: 1_700_000_001 * SECOND };

/// A storage whose one file has these facts and this hash, and counts how often it was read.
struct OneFile {
    exact: bool,
    facts: ObjectFacts,
    hash: u128,
    read: Arc<AtomicU32>,
}

struct TheFile {
    facts: ObjectFacts,
    hash: u128,
    read: Arc<AtomicU32>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, PlayerError>>;

impl Storage for OneFile {
    fn id(&self) -> &str {
        "one"
    }
    fn keeps_exact_times(&self) -> bool {
        self.exact
    }
    fn object(&self, _: &DevicePath) -> Box<dyn Object> {
        Box::new(TheFile { facts: self.facts, hash: self.hash, read: Arc::clone(&self.read) })
    }
    fn space(&self) -> Answer<'_, Space> {
        unreachable!("not asked")
    }
    fn facts(&self, _: Vec<DevicePath>) -> Answer<'_, Vec<Option<ObjectFacts>>> {
        unreachable!("not asked")
    }
    fn missing_folders(&self, _: Vec<DevicePath>) -> Answer<'_, Vec<DevicePath>> {
        unreachable!("not asked")
    }
    fn write<'a>(&'a self, _: WriteRequest, _: &'a Arc<Transfer>) -> Answer<'a, Written> {
        unreachable!("not asked")
    }
    fn settle(&self, _: Vec<DevicePath>) -> Answer<'_, ()> {
        unreachable!("not asked")
    }
    fn remove_empty_folders(&self, _: Vec<DevicePath>) -> Answer<'_, ()> {
        unreachable!("not asked")
    }
    fn flush(&self) -> Answer<'_, ()> {
        unreachable!("not asked")
    }
}

impl Object for TheFile {
    fn facts(&self) -> Answer<'_, Option<ObjectFacts>> {
        Box::pin(async { Ok(Some(self.facts)) })
    }
    fn hash<'a>(&'a self, _: &'a Arc<Transfer>) -> Answer<'a, u128> {
        self.read.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.hash) })
    }
    fn read(&self, _: u64) -> Answer<'_, Vec<u8>> {
        unreachable!("not asked")
    }
    fn delete(&self, _: ObjectFacts, _: DevicePath) -> Answer<'_, ()> {
        unreachable!("not asked")
    }
    fn discard(&self) -> Answer<'_, ()> {
        unreachable!("not asked")
    }
    fn restore(&self, to: DevicePath) -> Answer<'_, DevicePath> {
        Box::pin(async { Ok(to) })
    }
}

/// Whether a file counts as ours whose time is off by so many seconds, and how often it was read to tell.
async fn judged(exact: bool, off: i64, same_bytes: bool) -> (bool, u32) {
    judged_of(RECORDED, exact, off, same_bytes).await
}

/// The same of a file that was recorded so.
async fn judged_of(recorded: ObjectFacts, exact: bool, off: i64, same_bytes: bool) -> (bool, u32) {
    let facts = ObjectFacts { modified_ns: recorded.modified_ns + off * SECOND, ..recorded };
    let read = Arc::default();
    let storage = OneFile { exact, facts, hash: if same_bytes { 7 } else { 8 }, read: Arc::clone(&read) };
    let entry = Entry {
        id: 1,
        origin: Origin::Track(MediaUri("file:///a.mp3".into())),
        path: DevicePath::parse("a.mp3").unwrap(),
        persistent_id: "".into(),
        facts: recorded,
        source_size: 5,
        source_modified_ns: 0,
        hash: 7,
        audio_hash: None,
        state: EntryState::Present,
    };
    let now = facts_now(&storage, &entry, &Arc::default()).await;
    assert!(matches!(&now, Err(PlayerError::Changed(_))) || now == Ok(facts), "{now:?}");
    (now.is_ok(), read.load(Ordering::Relaxed))
}

#[tokio::test]
async fn equal_facts_are_ours_unread_and_shifted_ones_only_with_equal_bytes() {
    for exact in [false, true] {
        assert_eq!(judged(exact, 0, false).await, (true, 0));
        assert_eq!(judged(exact, 600, true).await, (false, 0), "no rounding explains ten minutes");
    }
    for off in [1, 3600, -7200] {
        assert_eq!(judged(false, off, true).await, (true, 1));
        assert_eq!(judged(false, off, false).await, (false, 1));
        assert_eq!(judged(true, off, true).await, (false, 0), "exact times don't shift");
    }
}

#[tokio::test]
async fn a_list_of_references_has_no_bytes_to_tell_by() {
    let list = ObjectFacts { size: 0, ..RECORDED };
    for off in [0, 1, 3600] {
        assert_eq!(judged_of(list, false, off, false).await, (true, 0), "{off} seconds");
    }
    assert_eq!(judged_of(list, false, 600, false).await, (false, 0), "no rounding explains ten minutes");
    assert_eq!(judged_of(list, true, 3600, false).await, (false, 0), "exact times don't shift");
}
