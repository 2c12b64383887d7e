//! The daemon synchronises with a device that tells what has changed on it: what its user does there is seen as on any
//! other, and a run that finds nothing to do doesn't list it all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{Daemon, Events, MusicLibrary};
use providers::{Flaw, Memory, announced, say};

const ALBUMS: usize = 8;
const FIRST: &str = "Music/Artist/Album 0/song.mp3";
const SECOND: &str = "Music/Artist/Album 1/song.mp3";

fn add(music: &MusicLibrary, album: usize, padding: u64) {
    music.add(format!("{album}/song.mp3"), "Artist", &format!("Album {album}"), "song", padding);
}

/// Has the daemon synchronise; tells how many folders that listed.
async fn run(daemon: &Daemon, id: &str, memory: &Memory) -> usize {
    let before = memory.listed();
    say(daemon, &["scan"]).await;
    say(daemon, &["sync", id]).await;
    memory.listed() - before
}

#[tokio::test]
async fn what_the_user_does_on_the_device_is_seen_without_listing_it_all() {
    let (music, memory) = (MusicLibrary::new(), Memory::new(Flaw::None));
    (0..ALBUMS).for_each(|album| add(&music, album, 20_000));
    let daemon = Daemon::builder().music(music.dir()).start().await;
    let mut events = Events::subscribe(daemon.connect().await).await;
    let (serving, id) = announced(&daemon, &mut events, &memory).await;
    say(&daemon, &["partner", &id]).await;
    // the first report after something was written proves what reports are worth
    let proof = run(&daemon, &id, &memory).await;
    let all: Vec<String> = memory.files().into_keys().filter(|path| path.ends_with(".mp3")).collect();
    assert_eq!(all.len(), ALBUMS, "{all:?}\n{}", daemon.stderr());
    let idle = run(&daemon, &id, &memory).await;
    assert!(idle < ALBUMS && ALBUMS < proof, "{proof}, then {idle} folders");

    memory.delete_by_hand(FIRST);
    memory.replace_by_hand(SECOND, b"the user's own");
    run(&daemon, &id, &memory).await;
    add(&music, 0, 30_000);
    add(&music, 1, 30_000);
    run(&daemon, &id, &memory).await;
    let files = memory.files();
    assert!(!files.contains_key(FIRST), "what the user has deleted is back");
    assert_eq!(files[SECOND], b"the user's own");
    serving.end().await;
}
