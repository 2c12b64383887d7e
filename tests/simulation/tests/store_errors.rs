//! A full disk, a failing one and one that turned read-only, at each system call of the stores that changes something: the
//! error says what is wrong and where, nothing is lost, and the next attempt goes on without a restart. `TANDEM_EVERY`
//! says which share of the calls is tried: 1 for all.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::records::{Clerk, Held, SCRIPT, expected};
use simulation::scratch;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const STATE: &str = "TANDEM_STATE";
const REMEDY: &str = "TANDEM_REMEDY";

/// Which calls fail, how, and what the error has to say then.
const TROUBLES: [(&str, &str, &str); 16] = [
    ("write", "ENOSPC", "free some space"),
    ("write", "EIO", ""),
    ("pwrite64", "ENOSPC", "free some space"),
    ("pwrite64", "EIO", ""),
    ("ftruncate", "EIO", ""),
    ("fsync", "EIO", ""),
    ("fsync", "ENOSPC", ""),
    ("fdatasync", "EIO", ""),
    ("openat", "EROFS", ""),
    ("openat", "EIO", ""),
    ("rename", "ENOSPC", "free some space"),
    ("rename", "EROFS", "writable"),
    ("unlink", "EIO", ""),
    ("unlink", "EROFS", ""),
    ("mkdir", "ENOSPC", "free some space"),
    ("mkdir", "EROFS", "writable"),
];

/// The process whose calls fail. Each operation is tried again as the daemon would; whatever an error says names a file.
#[test]
#[ignore = "is run by the test beside it"]
fn keeps_records_all_the_same() {
    let state = PathBuf::from(std::env::var_os(STATE).unwrap());
    let remedy = std::env::var(REMEDY).unwrap();
    let mut clerk = Clerk::new(&state);
    let mut errors = 0;
    for step in SCRIPT {
        let mut attempts = 0;
        while let Err(error) = clerk.perform(step) {
            let text = error.to_string();
            let is_clear =
                text.contains(&*state.parent().unwrap().to_string_lossy()) && text.contains(&remedy);
            assert!(is_clear, "{step:?}: unclear: {text}");
            assert!(attempts < 3, "{step:?}: no attempt succeeds: {text}");
            attempts += 1;
            errors += 1;
        }
    }
    println!("errors: {errors}");
}

/// The files that the stores use.
fn files(state: &Path) -> Vec<PathBuf> {
    let manifests = state.join("manifests");
    let mut files = vec![state.to_owned(), manifests.clone(), state.parent().unwrap().to_owned()];
    for copy in ["a", "b"] {
        files.extend(["", ".new"].map(|end| state.join(format!("partnerships.{copy}.toml{end}"))));
    }
    for number in 1..=2 {
        let name = format!("00000000-0000-0000-0000-00000000000{number}.sqlite");
        let ends = ["", "-wal", "-journal", ".new", ".new-journal"];
        files.extend(ends.map(|end| manifests.join(format!("{name}{end}"))));
    }
    files
}

/// Runs the process with strace's `rules`; `None` where strace isn't there.
fn run(directory: &Path, rules: &[String], remedy: &str) -> Option<Output> {
    let state = directory.join("state");
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(directory.join("trace"));
    for rule in rules {
        command.args(["-e", rule]);
    }
    for file in files(&state) {
        command.arg("-P").arg(file);
    }
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "keeps_records_all_the_same", "--ignored", "--nocapture", "--test-threads=1"])
        .env(STATE, &state)
        .env(REMEDY, remedy)
        .output()
        .ok()
}

/// How often each of the calls occurs.
fn count(call: &str) -> Option<usize> {
    let directory = scratch();
    let ran = run(directory.path(), &[format!("trace={call}")], "")?;
    let trace = std::fs::read_to_string(directory.path().join("trace")).ok()?;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    Some(trace.lines().filter(|line| line.contains(&format!(" {call}("))).count())
}

#[test]
fn no_failing_call_loses_what_was_kept() {
    let every: usize = std::env::var("TANDEM_EVERY").map_or(5, |text| text.parse().unwrap());
    let mut cases = Vec::new();
    for (trouble, (call, ..)) in TROUBLES.iter().enumerate() {
        let Some(count) = count(call) else {
            println!("skipped: strace isn't installed, or may not trace");
            return;
        };
        // what was opened wrongly once stays so: each opening counts
        let every = if *call == "openat" { 1 } else { every };
        cases.extend((1..=count).skip(trouble % every).step_by(every).map(|number| (trouble, number)));
    }
    let whole = scratch();
    let expected = expected(whole.path()).unwrap().pop().unwrap();
    let (next, wrong, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(trouble, number)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (call, errno, remedy) = TROUBLES[trouble];
                    let directory = scratch();
                    let rules =
                        [format!("trace={call}"), format!("inject={call}:error={errno}:when={number}")];
                    let ran = run(directory.path(), &rules, remedy).unwrap();
                    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
                    told.fetch_add(usize::from(said.contains("errors: 1")), Ordering::Relaxed);
                    let held = Held::read(&directory.path().join("state"));
                    if held.as_ref() != Ok(&expected) {
                        wrong.lock().unwrap().push(format!("{call} {number} {errno}: {held:?}"));
                    }
                    if !ran.status.success() {
                        let why = String::from_utf8_lossy(&ran.stderr).chars().take(700).collect::<String>();
                        wrong.lock().unwrap().push(format!("{call} {number} {errno}: {why}"));
                    }
                }
            });
        }
    });
    for (trouble, (call, errno, _)) in TROUBLES.iter().enumerate() {
        println!("{:>5} times {errno} at {call}", cases.iter().filter(|case| case.0 == trouble).count());
    }
    let wrong = wrong.into_inner().unwrap();
    println!("{} cases, {} told by an error, {} violations", cases.len(), told.into_inner(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(12)].join("\n"));
}
