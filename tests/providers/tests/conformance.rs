//! The conformance suite passes a device that does everything and both examples, and names each thing that a device does
//! wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::future::join_all;
use kit::{PrivateBus, program};
use providers::{Example, Flaw, Memory, conformance, conformance_without, on_bus, started};
use std::path::Path;
use tokio::process::Command;

#[tokio::test]
async fn a_device_that_does_everything_passes_everything() {
    let (bus, memory) = (PrivateBus::start(), Memory::new(Flaw::None));
    let serving = on_bus(&bus, memory.clone()).await;
    let report = conformance(&bus, "org.example.Memory").await;
    assert_eq!(report.with("fail"), []);
    assert_eq!(report.with("not-offered"), []);
    assert!(report.cleaned_up && report.code == Some(0) && report.checks.len() > 55, "{report:?}");
    assert_eq!(memory.count(), 0, "the suite left something on the device");
    serving.end().await;
}

#[tokio::test]
async fn each_flaw_is_found() {
    let flaws = [
        (Flaw::Names, "names are kept exactly or refused"),
        (Flaw::Overwrites, "a name that is taken is refused"),
        (Flaw::Forgets, "the partnership's mark is kept as it is"),
        (Flaw::CutsMark, "the partnership's mark is kept as it is"),
        (Flaw::Ids, "lasting ids are unique and lasting"),
        (Flaw::Times, "a file has the modification time that it was given"),
        (Flaw::Bytes, "files of every size come back as they were sent"),
        (Flaw::Tail, "a second write replaces the first"),
        (Flaw::Offsets, "any part of a file can be read"),
        (Flaw::RenameReplaces, "renaming replaces nothing"),
        (Flaw::Keeps, "a deleted file is gone"),
        (Flaw::OneReference, "a playlist keeps its references in order"),
        (Flaw::SortsReferences, "a playlist keeps its references in order"),
        (Flaw::ClearsMetadata, "metadata is set without touching the bytes"),
        (Flaw::AnyPlaylist, "only playlists refer to files"),
        (Flaw::Space, "what doesn't fit is refused before it is made"),
        (Flaw::FindsNothing, "storages are found by their lasting ids"),
        (Flaw::Preference, "formats are told with what the device plays of them"),
        (Flaw::Control, "control codes are answered or refused"),
        (Flaw::TellsNoDeletion, "what is changed and deleted is told since a transaction"),
        (Flaw::TellsOldName, "what is changed and deleted is told since a transaction"),
    ];
    for some in flaws.chunks(5) {
        join_all(some.iter().map(|(flaw, check)| finds(*flaw, check))).await;
    }
}

async fn finds(flaw: Flaw, check: &str) {
    let bus = PrivateBus::start();
    let serving = on_bus(&bus, Memory::new(flaw)).await;
    let report = conformance(&bus, "org.example.Memory").await;
    let failed = report.with("fail");
    assert!(failed.iter().any(|(name, _)| *name == check), "{flaw:?}: {failed:?}");
    assert!(failed.len() <= 6, "{flaw:?} fails more than it should: {failed:?}");
    assert_eq!(report.code, Some(1), "{flaw:?}");
    let mut told = report.checks.iter().filter(|line| line.result == "fail");
    assert!(told.all(|line| line.why.is_some() && line.remedy.is_some()));
    serving.end().await;
}

/// Runs the suite against an example whose player is a directory; tells what isn't offered.
async fn example(bus_name: &str, command: &mut Command, player: &Path) -> Vec<String> {
    let bus = PrivateBus::start();
    std::fs::File::create_new(player.join("mine.mp3")).unwrap();
    let mut process = started(&bus, bus_name, command.arg(player)).await;
    let report = conformance(&bus, bus_name).await;
    assert_eq!(report.with("fail"), []);
    assert!(report.cleaned_up && report.code == Some(0));
    process.kill().await.unwrap();
    let mut left: Vec<_> = kit::tree(player).into_keys().collect();
    left.retain(|path| path != Path::new(".player/mark"));
    assert_eq!(left, [Path::new("mine.mp3")], "the suite left something on the player");
    report.with("not-offered").into_iter().map(|(name, _)| name.to_owned()).collect()
}

const NOT_OFFERED: [&str; 4] = [
    "the user's name for the device is kept",
    "control codes are answered or refused",
    "what is changed and deleted is told since a transaction",
    "metadata is set without touching the bytes",
];

#[tokio::test]
async fn the_example_in_rust_passes() {
    let player = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("examples/directory_player"));
    let missing = example("org.example.DirectoryPlayer", &mut command, player.path()).await;
    assert_eq!(missing, NOT_OFFERED);
}

/// What the example in Python has not, besides.
const NOT_IN_PYTHON: [&str; 8] = [
    "formats are told with what the device plays of them",
    "what was done is there after Flush",
    "files are made with their bytes by one call",
    "files are renamed together as one by one",
    "a playlist keeps its references in order",
    "what was deleted leaves the playlist",
    "references outlast the device's release",
    "only playlists refer to files",
];

#[tokio::test]
async fn the_example_in_python_passes() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus-interfaces/examples/directory_player.py");
    let library = Command::new("/usr/bin/python3").args(["-c", "import dbus_next"]).output().await;
    if !library.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3-dbus-next isn't installed");
        return;
    }
    let player = tempfile::tempdir().unwrap();
    let mut command = Command::new("/usr/bin/python3");
    // nothing is left beside the example
    command.arg("-B").arg(script);
    let mut missing = example("org.example.PythonPlayer", &mut command, player.path()).await;
    missing.retain(|name| !NOT_OFFERED.contains(&name.as_str()));
    assert_eq!(missing, NOT_IN_PYTHON);
}

#[tokio::test]
async fn a_device_without_rename_and_flush_fails_nothing_for_that() {
    let player = tempfile::tempdir().unwrap();
    let report = conformance_without(Example::DIRECTORY_PLAYER, player.path(), &["Rename", "Flush"]).await;
    for (check, wanted) in [
        ("the provider answers while a transfer is under way", "pass"),
        ("what was done is there after Flush", "not-offered"),
    ] {
        // what stands between is one caller for all, and keeps descriptors open: other checks may fail for that
        let found = report.checks.iter().find(|line| line.name == check).unwrap();
        assert_eq!(found.result, wanted, "{found:?}");
    }
}
