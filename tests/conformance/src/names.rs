//! Names: what a player takes comes back as it went, what it refuses is told so, and twins don't overwrite each other.

use crate::{assert_holds, assert_nothing, put};
use tandem_model::error::PlayerError;
use tandem_model::player::Player;

/// Names in many scripts, with spaces and signs.
///
/// # Panics
/// When one isn't there again.
pub async fn unicode_names_survive(player: &dyn Player) {
    let names = [
        "Ä ö ü ß.mp3",
        "日本語.flac",
        "🎵 music 🎶.opus",
        "عربي.ogg",
        "a'b & c, (d) [e].mp3",
        "%20 #1.m4a",
        "-rf",
        ".hidden",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let content = [u8::try_from(at).unwrap()];
        put(player, &format!("Names {name}/{name}"), &content).await.unwrap();
        assert_holds(player, &format!("Names {name}/{name}"), &content).await;
    }
}

/// 255 characters of ASCII are taken, 256 refused, for files and folders.
///
/// # Panics
/// When they aren't.
pub async fn long_names_are_taken_up_to_the_limit(player: &dyn Player) {
    let longest = format!("{}.mp3", "n".repeat(251));
    put(player, &format!("Long/{longest}"), b"x").await.unwrap();
    assert_holds(player, &format!("Long/{longest}"), b"x").await;
    put(player, &format!("Long/{}/a.mp3", "f".repeat(255)), b"x").await.unwrap();
    for bad in [format!("Long/x{longest}"), format!("Long/{}/a.mp3", "f".repeat(256))] {
        let refused = put(player, &bad, b"x").await.unwrap_err();
        assert!(matches!(refused, PlayerError::NameRejected(_)), "{refused}");
        assert_nothing(player, &bad).await;
    }
    assert_nothing(player, "Long/~new.part").await;
}

/// A name that some file systems refuse is either taken, or `NameRejected`.
///
/// # Panics
/// When it is neither.
pub async fn refused_names_are_told_so(player: &dyn Player) {
    for name in [
        "a:b.mp3",
        "why?.mp3",
        "a*b.mp3",
        "a\"b.mp3",
        "a<b>.mp3",
        "a|b.mp3",
        "back\\slash.mp3",
        "new\nline.mp3",
    ] {
        match put(player, &format!("Refused/{name}"), b"x").await {
            Ok(_) => assert_holds(player, &format!("Refused/{name}"), b"x").await,
            Err(refused) => {
                assert!(matches!(refused, PlayerError::NameRejected(_)), "{name:?}: {refused}");
                assert_nothing(player, "Refused/~new.part").await;
            }
        }
    }
}

/// Two names, of which the second may be another file or the first: never does it overwrite.
async fn twins(player: &dyn Player, first: &str, second: &str) {
    put(player, first, b"first").await.unwrap();
    match put(player, second, b"second").await {
        Ok(_) => assert_holds(player, second, b"second").await,
        Err(error) => assert_eq!(error, PlayerError::Exists(second.into())),
    }
    assert_holds(player, first, b"first").await;
}

/// The composed and the decomposed spelling.
///
/// # Panics
/// When the second overwrites the first.
pub async fn normalised_twins_do_not_overwrite_each_other(player: &dyn Player) {
    twins(player, "Twins/caf\u{e9}.mp3", "Twins/cafe\u{301}.mp3").await;
}

/// Two spellings that differ by case alone.
///
/// # Panics
/// When the second overwrites the first.
pub async fn case_twins_do_not_overwrite_each_other(player: &dyn Player) {
    twins(player, "Twins/Song \u{c9}.mp3", "Twins/SONG \u{e9}.mp3").await;
}
