//! How the C library's allocator is told to keep one arena. Each further thread would get one of its own, and what a run
//! leaves in several of them isn't given back. It must not change anything else about the process.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the C library reads when a program starts, and only then (mallopt(3)).
const VARIABLE: &str = "MALLOC_ARENA_MAX";

/// Starts this program again, as the same process, with one arena; nothing where the user or the unit has set how many.
/// What can't be started again goes on as it is: memory is all that it costs.
pub(crate) fn keep_one_arena() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    // the file's own name, for the process takes its name from there
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let name = words.next();
    let name = name.as_deref().unwrap_or(OsStr::new("tandemd"));
    // it comes back only when it failed, and then there is nothing to tell but what a debugger shows
    let _failure = Command::new(program).arg0(name).args(words).env(VARIABLE, "1").exec();
}
