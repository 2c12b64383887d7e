//! Who holds a device node open: the names that a person needs to make a program let go.
//!
//! It must not guess: processes that may not be looked at are told as unknown.

use std::fs;
use std::path::Path;

/// The program and process that has the node open, besides this one; `another program` where that can't be seen.
pub(super) async fn of(node: &Path) -> String {
    let node = node.to_owned();
    let found = tokio::task::spawn_blocking(move || find(&node, std::process::id()));
    found.await.ok().flatten().unwrap_or_else(|| "another program".to_owned())
}

/// The first process but `except` with an open descriptor of the node.
fn find(node: &Path, except: u32) -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| *number != except).find_map(|number| {
        // those of other users are closed to us, and those that ended meanwhile are gone
        let descriptors = fs::read_dir(format!("/proc/{number}/fd")).ok()?;
        let holds =
            descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == node));
        holds.then(|| {
            let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
            let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
            format!("{} (process {number})", if name.is_empty() { "a program" } else { &name })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_holds_a_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = fs::canonicalize(file.path()).unwrap();
        let told = find(&path, 0).unwrap();
        assert!(told.contains(&format!("(process {})", std::process::id())), "{told}");
        assert_eq!(find(&path, std::process::id()), None);
    }
}
