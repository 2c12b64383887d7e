//! Writing: what was sent is there, whole, under its final name, or nothing is.

use crate::{MODIFIED, assert_holds, assert_nothing, bytes, file, path, put, request};
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::player::{Expect, ObjectFacts, Player, Sent, Source, Transfer, WriteRequest};
use xxhash_rust::xxh3::xxh3_128;

/// Bytes, hash, size, time and progress are right.
///
/// # Panics
/// When the player doesn't do so.
pub async fn a_file_arrives_as_it_was_sent(player: &dyn Player) {
    let content = bytes(100_003, 1);
    let transfer = Arc::new(Transfer::default());
    let storage = player.storage();
    let written =
        storage.write(request("Arrives/a.mp3", &content, Expect::Nothing), &transfer).await.unwrap();
    assert_eq!(written.hash, xxh3_128(&content));
    assert!(
        written.facts.matches(&ObjectFacts { size: 100_003, modified_ns: MODIFIED }),
        "{:?}",
        written.facts
    );
    assert!(!written.persistent_id.is_empty());
    assert_eq!(transfer.bytes(), 100_003);
    assert_holds(player, "Arrives/a.mp3", &content).await;
    assert_nothing(player, "Arrives/~new.part").await;
    let told = storage.facts(vec![path("Arrives/a.mp3")]).await.unwrap();
    assert!(told[0].is_some_and(|facts| written.facts.matches(&facts)), "{told:?}");
}

/// Zero bytes are a file too.
///
/// # Panics
/// When the player doesn't take one.
pub async fn an_empty_file_is_a_file(player: &dyn Player) {
    let written = put(player, "Empty/nothing.m3u8", b"").await.unwrap();
    assert_eq!((written.facts.size, written.hash), (0, xxh3_128(b"")));
    assert_holds(player, "Empty/nothing.m3u8", b"").await;
    let transfer = Arc::new(Transfer::default());
    let source = Source::Bytes(Arc::from(&b"list"[..]));
    let request = WriteRequest { size: 4, source, ..request("Empty/list.m3u8", b"", Expect::Nothing) };
    player.storage().write(request, &transfer).await.unwrap();
    assert_holds(player, "Empty/list.m3u8", b"list").await;
}

/// More than is copied at once, and not a multiple of it.
///
/// # Panics
/// When bytes are lost.
pub async fn a_file_of_many_chunks_arrives(player: &dyn Player) {
    let content = bytes((9 << 20) + 17, 2);
    let written = put(player, "Chunks/long.flac", &content).await.unwrap();
    assert_eq!(written.hash, xxh3_128(&content));
    assert_holds(player, "Chunks/long.flac", &content).await;
}

/// A source that is shorter or longer than announced gives `SourceChanged`, and nothing on the player.
///
/// # Panics
/// When it is written nevertheless.
pub async fn a_source_that_is_not_as_announced_is_refused(player: &dyn Player) {
    let content = bytes(5000, 3);
    for announced in [0, 4999, 5001, 3 << 20] {
        for source in [file(&content), Source::Bytes(Arc::from(&content[..]))] {
            let request = WriteRequest {
                size: announced,
                source,
                ..request("Changed/a.mp3", &content, Expect::Nothing)
            };
            let transfer = Arc::new(Transfer::default());
            let written = player.storage().write(request, &transfer).await;
            assert_eq!(written.unwrap_err(), PlayerError::SourceChanged, "{announced}");
        }
    }
    assert_nothing(player, "Changed/a.mp3").await;
    assert_nothing(player, "Changed/~new.part").await;
}

/// Stop leaves neither name, and the next attempt succeeds.
///
/// # Panics
/// When something is left, or the player is of no use afterwards.
pub async fn a_cancelled_transfer_leaves_nothing(player: &dyn Player) {
    let content = bytes(3 << 20, 4);
    let transfer = Arc::new(Transfer::default());
    transfer.cancel();
    let written =
        player.storage().write(request("Cancelled/a.mp3", &content, Expect::Nothing), &transfer).await;
    assert_eq!(written.unwrap_err(), PlayerError::Cancelled);
    let transfer = Arc::new(Transfer::default());
    let storage = player.storage();
    let (written, ()) = tokio::join!(
        storage.write(request("Cancelled/b.mp3", &bytes(64 << 20, 5), Expect::Nothing), &transfer),
        async {
            while transfer.bytes() == 0 {
                tokio::task::yield_now().await;
            }
            transfer.cancel();
        }
    );
    assert_eq!(written.unwrap_err(), PlayerError::Cancelled);
    for name in ["a.mp3", "b.mp3", "~new.part"] {
        assert_nothing(player, &format!("Cancelled/{name}")).await;
    }
    put(player, "Cancelled/a.mp3", &content).await.unwrap();
    assert_holds(player, "Cancelled/a.mp3", &content).await;
}

/// A file that has the temporary name is somebody else's: it stays, and the write fails.
///
/// # Panics
/// When it is touched.
pub async fn a_taken_temporary_name_is_left_alone(player: &dyn Player) {
    let own = WriteRequest {
        temporary: path("Taken/other.part"),
        ..request("Taken/~new.part", b"the user's own", Expect::Nothing)
    };
    player.storage().write(own, &Arc::new(Transfer::default())).await.unwrap();
    assert!(put(player, "Taken/a.mp3", b"ours").await.is_err());
    assert_holds(player, "Taken/~new.part", b"the user's own").await;
    assert_nothing(player, "Taken/a.mp3").await;
}

/// The figures are plausible, and a file takes room.
///
/// # Panics
/// When they aren't.
pub async fn space_is_told_and_used(player: &dyn Player) {
    let storage = player.storage();
    let before = storage.space().await.unwrap();
    assert!(before.total > 0 && before.free <= before.total && before.cluster >= 1, "{before:?}");
    put(player, "Space/a.mp3", &bytes(1 << 20, 6)).await.unwrap();
    storage.flush().await.unwrap();
    let after = storage.space().await.unwrap();
    assert_eq!((after.total, after.cluster), (before.total, before.cluster));
}

/// Files that are sent one after the other and finished together arrive like others, and have no final name before that
/// unless they are finished already.
///
/// # Panics
/// When the player doesn't do so.
pub async fn files_are_sent_and_finished_together(player: &dyn Player) {
    let (storage, transfer) = (player.storage(), Arc::new(Transfer::default()));
    let content = |number: u8| bytes(70_001, number);
    let at = |number: u8| format!("Together/{}/{number}.mp3", number % 2);
    let mut sent = Vec::new();
    for number in 0..5 {
        let temporary = path(&format!("Together/~{number}.part"));
        let request = WriteRequest { temporary, ..request(&at(number), &content(number), Expect::Nothing) };
        let one = storage.send(request, &transfer).await.unwrap();
        if !matches!(one, Sent::Written(_)) {
            assert!(storage.most_unfinished() > 0);
            assert_nothing(player, &at(number)).await;
        }
        sent.push(one);
    }
    assert_eq!(transfer.bytes(), 5 * 70_001);
    let finished = storage.finish(sent).await.unwrap();
    assert_eq!(finished.len(), 5);
    for (number, written) in (0..5).zip(finished) {
        let written = written.unwrap();
        assert_eq!(written.hash, xxh3_128(&content(number)));
        let sent = ObjectFacts { size: 70_001, modified_ns: MODIFIED };
        assert!(written.facts.matches(&sent), "{:?}", written.facts);
        assert_holds(player, &at(number), &content(number)).await;
        assert_nothing(player, &format!("Together/~{number}.part")).await;
    }
    storage.settle((0..5).map(|number| path(&at(number))).collect()).await.unwrap();
    assert!(storage.finish(Vec::new()).await.unwrap().is_empty());
}

/// Somebody else's file that takes the name of one that was sent stays; the others are finished.
///
/// # Panics
/// When it is replaced, or something is left under the temporary name.
pub async fn a_name_that_is_taken_while_a_file_is_sent_is_left_alone(player: &dyn Player) {
    let (storage, transfer) = (player.storage(), Arc::new(Transfer::default()));
    // some send nothing ahead before they have seen a file get its name
    put(player, "Meanwhile/first.mp3", b"ours too").await.unwrap();
    let mut sent = Vec::new();
    for name in ["a", "b"] {
        let temporary = path(&format!("Meanwhile/~{name}.part"));
        let at = format!("Meanwhile/{name}.mp3");
        let request = WriteRequest { temporary, ..request(&at, b"ours", Expect::Nothing) };
        sent.push(storage.send(request, &transfer).await.unwrap());
    }
    if sent.iter().any(|sent| matches!(sent, Sent::Written(_))) {
        return;
    }
    put(player, "Meanwhile/a.mp3", b"somebody else's").await.unwrap();
    let finished = storage.finish(sent).await.unwrap();
    assert_eq!(finished[0], Err(PlayerError::Exists("Meanwhile/a.mp3".into())));
    assert!(finished[1].is_ok());
    assert_holds(player, "Meanwhile/a.mp3", b"somebody else's").await;
    assert_holds(player, "Meanwhile/b.mp3", b"ours").await;
    assert_nothing(player, "Meanwhile/~a.part").await;
}
