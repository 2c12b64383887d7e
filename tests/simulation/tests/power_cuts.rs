//! The state directory as a power cut would leave it after each system call that changes it, opened again: what was told to
//! be kept is there, and nothing that isn't true.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::disk::{Disk, Unsynced, rebuild};
use simulation::records::{Clerk, Held, SCRIPT, expected};
use simulation::trace::{CALLS, Change, changes};
use simulation::{Random, scratch};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const STATE: &str = "TANDEM_STATE";
const MARKS: &str = "TANDEM_MARKS";

/// What is left of what wasn't synced: of names and of bytes.
const WAYS: [(&str, Unsynced, Unsynced); 8] = [
    ("nothing unsynced", Unsynced::None, Unsynced::None),
    ("everything", Unsynced::All, Unsynced::All),
    ("bytes without names", Unsynced::None, Unsynced::All),
    ("names without bytes", Unsynced::All, Unsynced::None),
    ("names, some bytes", Unsynced::All, Unsynced::Some),
    ("some names, some bytes", Unsynced::Some, Unsynced::Some),
    ("some names, some bytes", Unsynced::Some, Unsynced::Some),
    ("some names, all bytes", Unsynced::Some, Unsynced::All),
];

/// The process that is traced.
#[test]
#[ignore = "is run by the test beside it"]
fn keeps_records() {
    let mut clerk = Clerk::new(Path::new(&std::env::var_os(STATE).unwrap()));
    let mut marks = File::create(std::env::var_os(MARKS).unwrap()).unwrap();
    for step in SCRIPT {
        clerk.perform(step).unwrap();
        marks.write_all(b".").unwrap();
    }
}

/// What the process does, or `None` where strace isn't there or may not trace.
fn traced(directory: &Path) -> Option<Vec<Change>> {
    let (trace, marks) = (directory.join("trace"), directory.join("marks"));
    let ran = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "1048576", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "keeps_records", "--ignored", "--test-threads=1"])
        .env(STATE, directory.join("state"))
        .env(MARKS, &marks)
        .output()
        .ok()?;
    if !ran.status.success() && !marks.exists() {
        return None;
    }
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    Some(changes(&std::fs::read_to_string(trace).unwrap(), directory, &marks))
}

#[test]
fn what_was_kept_survives_a_power_cut_at_any_instant() {
    let directory = scratch();
    let Some(changes) = traced(directory.path()) else {
        println!("skipped: strace isn't installed, or may not trace");
        return;
    };
    let held = expected(&directory.path().join("expected")).unwrap();
    let (mut disk, mut random, mut returned) = (Disk::default(), Random::new(1), 0);
    let (mut counts, mut seen, mut wrong) = ([0u32; WAYS.len()], HashSet::new(), Vec::new());
    let state = directory.path().join("state");
    for (number, change) in changes.iter().enumerate() {
        disk.take(change);
        if *change == Change::Returned {
            returned += 1;
        }
        for (way, (name, names, bytes)) in WAYS.iter().enumerate() {
            let left = disk.cut(*names, *bytes, &mut random);
            if !seen.insert((returned, left.clone())) {
                continue;
            }
            counts[way] += 1;
            let rebuilt = scratch();
            rebuild(&left, directory.path(), rebuilt.path());
            let now = Held::read(&rebuilt.path().join("state"));
            let is_true =
                now.as_ref().is_ok_and(|now| held[returned..].iter().take(2).any(|expected| expected == now));
            if !is_true {
                let step = SCRIPT.get(returned);
                let why = now.map_or_else(
                    |error| error.to_string(),
                    |now| format!("{now:?}").chars().take(300).collect(),
                );
                wrong.push(format!(
                    "change {number} {change:.120?} ({name}), {returned} returned, in {step:?}: {why}"
                ));
            }
        }
    }
    println!("{} changes below {}, {} operations", changes.len(), state.display(), SCRIPT.len());
    for ((name, ..), count) in WAYS.iter().zip(counts) {
        println!("{count:>6} states with {name}");
    }
    println!("{} violations", wrong.len());
    assert_eq!(returned, SCRIPT.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(25)].join("\n"));
}
