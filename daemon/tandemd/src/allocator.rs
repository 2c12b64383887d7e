//! How the C library's allocator is told to give back what a run leaves: one arena, for each further thread would get one of
//! its own; and what is large always by itself, for between small pieces it leaves holes, more with each run. It must not
//! change anything else about the process.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the C library reads when a program starts, and only then (mallopt(3)).
const VARIABLES: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "262144")];

/// Starts this program again, as the same process, with what the user or the unit hasn't set; nothing where all is.
/// What can't be started again goes on as it is: memory is all that it costs.
pub(crate) fn give_back() {
    let unset = VARIABLES.into_iter().filter(|(variable, _)| std::env::var_os(variable).is_none());
    let unset: Vec<(&str, &str)> = unset.collect();
    if unset.is_empty() {
        return;
    }
    // the file's own name, for the process takes its name from there
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let name = words.next();
    let name = name.as_deref().unwrap_or(OsStr::new("tandemd"));
    // it comes back only when it failed, and then there is nothing to tell but what a debugger shows
    let _failure = Command::new(program).arg0(name).args(words).envs(unset).exec();
}
