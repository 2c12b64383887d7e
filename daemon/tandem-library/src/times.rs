//! A file's times in nanoseconds, told alike by the agent that lists a file and the daemon that is handed it.
//!
//! No file is looked at here.

use rustix::fs::Stat;

/// When the file's content was last modified, nanoseconds since 1970 (`st_mtim`). Programs can set it.
#[must_use]
pub fn modified_ns(stat: &Stat) -> i64 {
    nanoseconds(stat.st_mtime, stat.st_mtime_nsec.try_into())
}

/// When the file's content or what the file system says of it last changed, nanoseconds since 1970 (`st_ctim`). No program
/// can set it.
#[must_use]
pub fn changed_ns(stat: &Stat) -> i64 {
    nanoseconds(stat.st_ctime, stat.st_ctime_nsec.try_into())
}

fn nanoseconds<E>(seconds: i64, rest: Result<i64, E>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.unwrap_or(0))
}
