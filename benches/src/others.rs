//! What the daemon is measured against: rsync, the tag reader alone, a plain walk; and small helpers about processes and
//! the page cache.

use lofty::config::ParseOptions;
use lofty::probe::Probe;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs rsync over the contents of two directories; tells how long it took.
///
/// # Panics
/// When it isn't installed or fails.
pub(crate) fn rsync(options: &[&str], from: &Path, to: &Path) -> Duration {
    let mut source = from.as_os_str().to_owned();
    source.push("/");
    let begun = Instant::now();
    let status = Command::new("rsync").args(options).arg(source).arg(to).stdout(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("rsync can't be run: {error}; install it"));
    assert!(status.success(), "rsync: {status}");
    begun.elapsed()
}

/// Reads the tags of all these files, one after the other, as the agent does: without covers.
pub(crate) fn lofty_alone(files: &[PathBuf]) -> Duration {
    let begun = Instant::now();
    let options = ParseOptions::new().read_cover_art(false);
    let read = |path: &PathBuf| Probe::open(path).and_then(|probe| probe.options(options).read()).is_ok();
    let readable = files.iter().filter(|path| read(path)).count();
    assert_eq!(readable, files.len(), "every file has tags that can be read");
    begun.elapsed()
}

/// Every file below a directory, and its facts asked for.
///
/// # Panics
/// When the directory can't be read.
pub(crate) fn walk(dir: &Path) -> Duration {
    let begun = Instant::now();
    let bytes: u64 = files(dir)
        .iter()
        .map(|path| {
            path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).len()
        })
        .sum();
    assert!(bytes > 0, "{} holds something", dir.display());
    begun.elapsed()
}

/// Every file below a directory, in the order of their paths.
///
/// # Panics
/// When the directory can't be read.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    found
}

/// Writes out and forgets what the kernel holds of files; tells whether it was allowed to.
pub(crate) fn drop_caches() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    let mut file = std::fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches");
    synced && file.as_mut().is_ok_and(|file| std::io::Write::write_all(file, b"3").is_ok())
}

/// A child of this process.
pub(crate) fn child_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    })
}
