//! Each fault at each transaction of each profile, and every call dropped at every point: nothing hangs, what is read is
//! right, and afterwards the session is usable again or the device is reported gone.

mod common;

use common::shared::Shared;
use common::{announce, opened, options, own, pattern, player, recover, reference, upload};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tandem_mtp::codes::{
    EventCode, FormatCode, ObjectHandle, OperationCode as O, ResponseCode as R, StorageId,
};
use tandem_mtp::initiator::{ErrorKind, Options, Parent, Phase, SplitHeader};
use tandem_mtp::responder::{Fault, Habit, Planned, profile};
use tandem_mtp::{Error, Initiator};
use tokio::time::{Instant, timeout};

/// More than any repair takes: an answer's limit, draining, a status that stays busy, three short questions.
const LONGEST: Duration = Duration::from_secs(400);

#[tokio::test(start_paused = true)]
async fn each_fault_at_each_transaction_is_got_over() {
    let mut ends = BTreeMap::new();
    let mut runs = 0;
    for (name, _) in profile::OWN {
        let profile = own(name);
        let options = options(&profile);
        for fault in Fault::ALL {
            for after in 0.. {
                let player = player(profile.clone());
                player.plan(Planned::after(fault, after));
                let mut mtp = Initiator::new(player.connect(), options);
                let case = format!("{name}, {fault:?} at transaction {after}");
                let first = timeout(LONGEST, reference(&mut mtp)).await;
                let first = first.unwrap_or_else(|_| panic!("{case}: the first run hangs"));
                if player.transactions() <= u64::from(after) {
                    break;
                }
                player.forget_plans();
                let end = timeout(LONGEST, recover(&player, &mut mtp, options)).await;
                let end = end.unwrap_or_else(|_| panic!("{case}: hangs after {first:?}"));
                let unplugged =
                    matches!(fault, Fault::UnplugBefore | Fault::UnplugWithin | Fault::UnplugAfter);
                assert!(end == "usable" || unplugged, "{case}: {end} after {first:?}");
                *ends.entry((format!("{fault:?}"), end)).or_insert(0) += 1;
                runs += 1;
            }
        }
    }
    println!("{runs} runs: {ends:#?}");
    assert!(runs > 1_000);
}

/// A call polled so many times and then dropped.
async fn dropped_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_anywhere_leaves_a_session_that_repairs_itself() {
    for (name, _) in profile::OWN {
        let profile = own(name);
        let options = options(&profile);
        let player = player(profile);
        let mut mtp = opened(&player, options).await;
        let mut whole = 0;
        for polls in 0..400 {
            // a busy device lets a call be dropped at more places
            player.plan(Planned::after(Fault::Slow(Duration::from_millis(1)), (polls % 7) as u32));
            if dropped_after(polls, reference(&mut mtp)).await.is_some() {
                whole += 1;
                if whole > 3 {
                    break;
                }
            }
            player.forget_plans();
            let end = timeout(LONGEST, recover(&player, &mut mtp, options)).await;
            assert_eq!(end, Ok("usable"), "{name}, dropped after {polls} polls");
        }
    }
}

/// Dropping an upload is how it is cancelled: what the device keeps of it is what it always keeps, and the next call works.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_dropped_is_cancelled() {
    for (name, kept) in
        [("classic", false), ("art-and-albums", true), ("phone", false), ("list-reader", false)]
    {
        let player = player(own(name));
        let mut mtp = opened(&player, Options::default()).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let size = 50 << 20;
        let made = announce(&mut mtp, storage, Parent::Root, FormatCode::MP3, "song.mp3", size).await;
        let handle = made.unwrap().handle;
        // a source that stops half-way: bytes, and then nothing for ever
        let (mut writer, mut reader) = tokio::io::duplex(1 << 20);
        tokio::io::AsyncWriteExt::write_all(&mut writer, &pattern(1 << 20)).await.unwrap();
        let sent = timeout(Duration::from_secs(1), mtp.send_object(size, &mut reader)).await;
        assert!(sent.is_err(), "{name}");
        let begun = Instant::now();
        mtp.repair().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(begun.elapsed() < Duration::from_secs(2), "{name}: {:?}", begun.elapsed());
        assert_eq!(player.bytes(handle).is_some(), kept, "{name}");
        if kept {
            mtp.delete_object(handle).await.unwrap();
        }
        let again = upload(&mut mtp, storage, Parent::Root, "song.mp3", &pattern(5_000)).await.unwrap();
        assert_eq!(player.bytes(again), Some(pattern(5_000)), "{name}");
    }
}

/// A sink that takes some bytes and then fails, as a full disk does.
struct Full(usize);

impl tokio::io::AsyncWrite for Full {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        Poll::Ready(if taken > 0 { Ok(taken) } else { Err(full()) })
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_on_this_side_cancels_the_transfer() {
    for name in ["classic", "phone", "sloppy-packets"] {
        let player = player(own(name));
        let mut mtp = opened(&player, options(&own(name))).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let song =
            player.put(storage, ObjectHandle::ROOT, FormatCode::MP3, "a.mp3", &pattern(600_000)).unwrap();
        let error = mtp.get_object(song, None, &mut Full(1_000)).await.unwrap_err();
        assert!(matches!(error, Error::Sink(_)) && error.kind() == ErrorKind::Local, "{name}: {error}");
        assert_eq!(mtp.storage_ids().await.unwrap()[0], storage, "{name}");
        announce(&mut mtp, storage, Parent::Root, FormatCode::MP3, "b.mp3", 500).await.unwrap();
        let error = mtp.send_object(500, &mut &[0; 100][..]).await.unwrap_err();
        assert!(matches!(error, Error::SourceEnded { missing: 400 }), "{name}: {error}");
        assert_eq!(recover(&player, &mut mtp, options(&own(name))).await, "usable");
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_own_error() {
    let player = player(own("classic"));
    let options = options(&own("classic"));
    let mut mtp = opened(&player, options).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    for (fault, expected) in [
        (Fault::Stall, "stalled"),
        (Fault::StallThenReason, "General_Error"),
        (Fault::ShortData, "of 40000 bytes"),
        (Fault::WrongTransaction, "the device answered to"),
        (Fault::Hang, "silent for too long"),
        (Fault::Oversize, "are the most"),
        (Fault::Garbage, "no container"),
        (Fault::LostSession, "no session is open"),
        (Fault::Busy, "Device_Busy"),
        (Fault::UnplugWithin, "gone"),
    ] {
        let song =
            player.put(storage, ObjectHandle::ROOT, FormatCode::MP3, "a.mp3", &pattern(40_000)).unwrap();
        player.plan(Planned::at(fault, O::GET_OBJECT));
        let mut bytes = Vec::new();
        let error = mtp.get_object(song, Some(40_000), &mut bytes).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{fault:?}: {error}");
        recover(&player, &mut mtp, options).await;
        mtp.open_session().await.unwrap();
        player.remove(song).unwrap();
    }
    player.plan(Planned::at(Fault::Slow(Duration::from_secs(3)), O::GET_STORAGE_IDS));
    assert_eq!(mtp.storage_ids().await.unwrap(), [storage], "slow is not wrong");
    player.plan(Planned::at(Fault::StaleResponse, O::GET_STORAGE_IDS));
    assert_eq!(
        mtp.storage_ids().await.unwrap(),
        [storage],
        "a late answer to another transaction is skipped"
    );
}

/// The event alone says it: the device takes no more, or answers with something else, or takes everything after all.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_is_told_by_an_event() {
    for name in ["classic", "phone", "split-header"] {
        let (player, options) = (player(own(name)), options(&own(name)));
        let mut mtp = opened(&player, options).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        // what lies in the device's buffers when it is told, and what doesn't
        for size in [2_000, 4 << 20] {
            player.plan(Planned::at(Fault::StoreFullEvent, O::SEND_OBJECT));
            let begun = Instant::now();
            let sent = upload(&mut mtp, storage, Parent::Root, "song.mp3", &pattern(size)).await;
            assert!(matches!(sent, Err(Error::StoreFull { .. })), "{name}, {size}: {sent:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}, {size}: {:?}", begun.elapsed());
            mtp.repair().await.unwrap();
            for object in player.objects() {
                player.remove(object.handle).unwrap();
            }
        }
        player.plan(Planned::at(Fault::StallThenReason, O::SEND_OBJECT));
        player.tell(EventCode::STORE_FULL, &[storage.0]);
        let sent = upload(&mut mtp, storage, Parent::Root, "song.mp3", &pattern(5_000)).await;
        assert!(matches!(sent, Err(Error::StoreFull { .. })), "{name}: {sent:?}");
        mtp.repair().await.unwrap();
        for object in player.objects() {
            player.remove(object.handle).unwrap();
        }
        player.tell(EventCode::STORE_FULL, &[storage.0]);
        let sent = upload(&mut mtp, storage, Parent::Root, "song.mp3", &pattern(4 << 20)).await.unwrap();
        assert_eq!(player.bytes(sent).map(|bytes| bytes.len()), Some(4 << 20), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_answers_nothing_is_reported_and_comes_back_when_it_does() {
    for reset in [false, true] {
        let options = Options { reset_as_last_resort: reset, ..Options::default() };
        let player = player(own("classic"));
        let mut mtp = opened(&player, options).await;
        player.plan(Planned::at(Fault::HangForever, O::GET_STORAGE_IDS));
        let error = mtp.storage_ids().await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { phase: Phase::DataIn, .. }), "{error}");
        let error = mtp.repair().await.unwrap_err();
        let expected = if reset { ErrorKind::SessionLost } else { ErrorKind::Gone };
        assert_eq!(error.kind(), expected, "{error}");
        if reset {
            reference(&mut mtp).await.unwrap();
        }
    }
}

/// Another program left a session open, and a download half read.
#[tokio::test(start_paused = true)]
async fn what_another_program_left_behind_is_cleared_away() {
    for habit in [None, Some(Habit::CancelStalls), Some(Habit::CancelSilent)] {
        let mut profile = own("classic");
        profile.habits.extend(habit);
        let player = player(profile);
        let storage = StorageId(0x0001_0001);
        let song = player.put(storage, ObjectHandle::ROOT, FormatCode::MP3, "a.mp3", &pattern(3_000_000));
        let transport = Shared::new(player.connect());
        let mut first = Initiator::new(Box::new(transport.clone()), Options::default());
        first.open_session().await.unwrap();
        let mut bytes = Vec::new();
        assert!(
            dropped_after(1, first.get_object(song.unwrap(), None, &mut Slow(&mut bytes))).await.is_none()
        );
        drop(first);
        let mut second = Initiator::new(Box::new(transport), Options::default());
        second.open_session().await.unwrap_or_else(|error| panic!("{habit:?}: {error}"));
        assert_eq!(second.storage_ids().await.unwrap(), [storage], "{habit:?}");
    }
}

/// A sink that never takes anything.
struct Slow<'a>(#[allow(dead_code)] &'a mut Vec<u8>);

impl tokio::io::AsyncWrite for Slow<'_> {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn habits_of_packets_are_got_along_with() {
    use Habit::*;
    let packets =
        [SplitHeader, NoZeroLengthPacket, ExtraByte, SpuriousEmptyPacket, GluedResponse, JunkDataHeaders];
    for habit in packets.into_iter().chain([CancelStalls, CancelSilent, NoClassRequests, RootParentIsStorage])
    {
        let mut profile = own("classic");
        profile.habits.insert(habit);
        let player = player(profile.clone());
        let mut mtp = opened(&player, options(&profile)).await;
        reference(&mut mtp).await.unwrap_or_else(|error| panic!("{habit:?}: {error}"));
        for size in [500, 512, 1012] {
            let song = pattern(size);
            let storage = StorageId(0x0001_0001);
            mtp.open_session().await.unwrap();
            let handle = upload(&mut mtp, storage, Parent::Root, "song.mp3", &song).await.unwrap();
            let mut read = Vec::new();
            mtp.get_object(handle, None, &mut read)
                .await
                .unwrap_or_else(|error| panic!("{habit:?}: {error}"));
            assert!(read == song, "{habit:?}, {size}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_wants_its_headers_apart_gets_them_so_and_no_other() {
    let wanted = player(own("split-header"));
    let never = Options { split_header: SplitHeader::Never, ..Options::default() };
    let mut mtp = opened(&wanted, never).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    assert!(upload(&mut mtp, storage, Parent::Root, "song.mp3", b"x").await.is_err());
    let mut mtp = opened(&wanted, Options { split_header: SplitHeader::Always, ..Options::default() }).await;
    upload(&mut mtp, storage, Parent::Root, "song.mp3", b"x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_that_leaves_objects_out_is_found_by_comparing() {
    let mut profile = own("classic");
    profile.habits.insert(Habit::PropertyListLoses);
    let player = player(profile);
    let mut mtp = opened(&player, Options::default()).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    for name in ["a.mp3", "b.mp3"] {
        upload(&mut mtp, storage, Parent::Root, name, b"x").await.unwrap();
    }
    use tandem_mtp::initiator::{ObjectFilter, PropertyQuery};
    let handles = mtp.object_handles(ObjectFilter::children(storage, Parent::Root)).await.unwrap();
    let list = mtp.object_property_list(PropertyQuery::children(ObjectHandle::ROOT)).await.unwrap();
    assert_eq!(handles.len(), 2);
    assert!(list.iter().all(|element| element.object == handles[0]));
}

#[tokio::test(start_paused = true)]
async fn everything_cannot_be_deleted_at_once() {
    let player = player(own("classic"));
    let mut mtp = opened(&player, Options::default()).await;
    let before = player.transactions();
    for handle in [ObjectHandle::ROOT, ObjectHandle::ALL_ONES] {
        let error = mtp.delete_object(handle).await.unwrap_err();
        assert!(matches!(error, Error::NotOffered(O::DELETE_OBJECT)), "{error}");
    }
    assert_eq!(player.transactions(), before);
    let error = mtp.delete_object(ObjectHandle(7)).await.unwrap_err();
    assert_eq!(error.code(), Some(R::INVALID_OBJECT_HANDLE));
}

/// Objects of 4 GiB and more: their length isn't in the container, a short packet ends them.
#[tokio::test(start_paused = true)]
async fn objects_of_more_than_4_gib_come_and_go() {
    const SIZE: u64 = (4 << 30) + 512 - 12;
    let mut profile = own("phone");
    profile.habits.insert(Habit::NoZeroLengthPacket);
    let player = player(profile);
    let mut mtp = opened(&player, Options::default()).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    let made = announce(&mut mtp, storage, Parent::Root, FormatCode::MP3, "long.mp3", SIZE).await;
    let handle = made.unwrap().handle;
    let mut zeros = tokio::io::AsyncReadExt::take(tokio::io::repeat(0), SIZE);
    mtp.send_object(SIZE, &mut zeros).await.unwrap();
    assert_eq!(player.objects()[0].size, SIZE);
    let read = mtp.get_object(handle, Some(SIZE), &mut tokio::io::sink()).await;
    assert_eq!(read.unwrap(), SIZE);
    let mut end = Vec::new();
    let part = mtp.get_partial_object(handle, SIZE - 5, 100, &mut end).await;
    assert_eq!((part.unwrap(), end), (5, vec![0; 5]));
}
