//! What must hold before something is replaced or deleted: only what is still as it was recorded is touched.

use crate::{MODIFIED, assert_holds, assert_nothing, path, put, request};
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::player::{Expect, ObjectFacts, Player, Transfer, WriteRequest};

async fn replace(
    player: &dyn Player,
    at: &str,
    bytes: &[u8],
    expected: ObjectFacts,
) -> Result<ObjectFacts, PlayerError> {
    let transfer = Arc::new(Transfer::default());
    let written = player.storage().write(request(at, bytes, Expect::This(expected)), &transfer).await?;
    Ok(written.facts)
}

/// `Expect::Nothing` over something is `Exists`.
///
/// # Panics
/// When it is replaced.
pub async fn an_existing_file_is_not_replaced(player: &dyn Player) {
    put(player, "Exists/a.mp3", b"the user's").await.unwrap();
    let again = put(player, "Exists/a.mp3", b"ours").await;
    assert_eq!(again.unwrap_err(), PlayerError::Exists("Exists/a.mp3".into()));
    assert_holds(player, "Exists/a.mp3", b"the user's").await;
    assert_nothing(player, "Exists/~new.part").await;
}

/// `Expect::This` over that replaces it.
///
/// # Panics
/// When it doesn't.
pub async fn what_is_expected_is_replaced(player: &dyn Player) {
    let first = put(player, "Replaced/a.mp3", b"first").await.unwrap();
    let second = replace(player, "Replaced/a.mp3", b"second!", first.facts).await.unwrap();
    assert_eq!(second.size, 7);
    assert_holds(player, "Replaced/a.mp3", b"second!").await;
}

/// `Expect::This` over something else, or over nothing, is `Changed`.
///
/// # Panics
/// When it is replaced, or made anew.
pub async fn what_was_changed_is_left_alone(player: &dyn Player) {
    let written = put(player, "Guarded/a.mp3", b"the user's").await.unwrap();
    let changed = PlayerError::Changed("Guarded/a.mp3".into());
    let larger = ObjectFacts { size: 11, ..written.facts };
    let later = ObjectFacts { modified_ns: written.facts.modified_ns + 600_000_000_000, ..written.facts };
    for expected in [larger, later] {
        assert_eq!(replace(player, "Guarded/a.mp3", b"ours", expected).await.unwrap_err(), changed);
        let deleted = player
            .storage()
            .object(&path("Guarded/a.mp3"))
            .delete(expected, path("Guarded/~gone.part"))
            .await;
        assert_eq!(deleted.unwrap_err(), changed);
    }
    assert_holds(player, "Guarded/a.mp3", b"the user's").await;
    let missing = replace(player, "Guarded/b.mp3", b"ours", written.facts).await;
    assert_eq!(missing.unwrap_err(), PlayerError::Changed("Guarded/b.mp3".into()));
    assert_nothing(player, "Guarded/b.mp3").await;
    assert_nothing(player, "Guarded/~new.part").await;
}

/// A file that was moved aside goes back to its name, or to a numbered one.
///
/// # Panics
/// When it doesn't, or takes another's name.
pub async fn what_lost_its_name_gets_it_back(player: &dyn Player) {
    put(player, "Back/aside/1", b"a stranger's").await.unwrap();
    put(player, "Back/a.mp3", b"another's").await.unwrap();
    let back = player.storage().object(&path("Back/aside/1")).restore(path("Back/a.mp3")).await;
    assert_eq!(back, Ok(path("Back/a (2).mp3")));
    assert_holds(player, "Back/a (2).mp3", b"a stranger's").await;
    assert_holds(player, "Back/a.mp3", b"another's").await;
    assert_nothing(player, "Back/aside/1").await;
}

/// Deleting works once, and then there is nothing to delete.
///
/// # Panics
/// When it doesn't.
pub async fn only_what_is_expected_is_deleted(player: &dyn Player) {
    let written = put(player, "Deleted/a.mp3", b"ours").await.unwrap();
    let storage = player.storage();
    let aside = || path("Aside/0123.part");
    let object = storage.object(&path("Deleted/a.mp3"));
    object.delete(written.facts, aside()).await.unwrap();
    assert_nothing(player, "Deleted/a.mp3").await;
    let gone = PlayerError::NotFound("Deleted/a.mp3".into());
    assert_eq!(object.discard().await.unwrap_err(), gone);
    assert_eq!(object.delete(written.facts, aside()).await.unwrap_err(), gone);
    assert_nothing(player, aside().as_str()).await;
    let elsewhere = storage.object(&path("Nowhere/a.mp3")).discard().await;
    assert_eq!(elsewhere.unwrap_err(), PlayerError::NotFound("Nowhere/a.mp3".into()));
    put(player, "Deleted/b.mp3", b"whatever").await.unwrap();
    storage.object(&path("Deleted/b.mp3")).discard().await.unwrap();
    assert_nothing(player, "Deleted/b.mp3").await;
}

/// Reading ends at the limit; times before 1970 and after 2107 do no harm.
///
/// # Panics
/// When it doesn't, or they do.
pub async fn reading_is_limited(player: &dyn Player) {
    put(player, "Limits/a.mp3", b"0123456789").await.unwrap();
    let storage = player.storage();
    assert_eq!(storage.object(&path("Limits/a.mp3")).read(4).await.as_deref(), Ok(&b"0123"[..]));
    let missing = storage.object(&path("Limits/b.mp3")).read(4).await;
    assert_eq!(missing.unwrap_err(), PlayerError::NotFound("Limits/b.mp3".into()));
    for (at, modified_ns) in [i64::MIN, -1, 0, i64::MAX, MODIFIED + 999_999_999].into_iter().enumerate() {
        let request =
            WriteRequest { modified_ns, ..request(&format!("Limits/{at}.mp3"), b"x", Expect::Nothing) };
        let written = storage.write(request, &Arc::new(Transfer::default())).await.unwrap();
        let told = storage.facts(vec![path(&format!("Limits/{at}.mp3"))]).await.unwrap();
        assert_eq!(told, [Some(written.facts)], "{modified_ns}");
    }
}
