//! The library agent's first scan against the tag reader alone, and its rescan against a plain walk.

use crate::figures::{Memory, Table, median};
use crate::others;
use crate::stage::Stage;
use dbus_interfaces::names;
use kit::{MusicLibrary, wait_for_property};
use std::time::Instant;

const ROUNDS: usize = 5;

/// Scans a library anew in each round, then again without changes.
pub(crate) async fn measure(table: &mut Table, music: &MusicLibrary) {
    let files = others::files(music.dir());
    let (mut alone, mut walks, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut memory = None;
    for _ in 0..ROUNDS {
        alone.push(others::lofty_alone(&files));
        walks.push(others::walk(music.dir()));
        let stage = Stage::start(music).await;
        stage.device().await;
        let begun = Instant::now();
        let library = stage.library().await;
        first.push(begun.elapsed());
        let path = library.inner().path().to_owned();
        let begun = Instant::now();
        library.scan().await.expect("a library can be scanned");
        wait_for_property(&stage.client, &path, names::LIBRARY, "Scanning", |scanning: &bool| !scanning)
            .await;
        again.push(begun.elapsed());
        memory = Some(Memory::of(stage.agent_pid()));
    }
    let count = files.len();
    table.against(
        &format!("first scan of {count} files, the agent's start included"),
        median(first),
        ("lofty alone", median(alone)),
        1.5,
    );
    table.against(
        &format!("scan of {count} files without changes"),
        median(again),
        ("plain walk with stat", median(walks)),
        1.5,
    );
    if let Some(memory) = memory {
        table.alone(
            &format!("resident memory of the agent after scans, {count} tracks"),
            &memory.to_string(),
            "≤ 40 MB",
        );
    }
}
