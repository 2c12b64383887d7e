//! Notices that a file system was mounted or unmounted in one of the library's folders or above it, and asks the scanner
//! to look there. Inotify tells nothing of what is mounted over a folder.
//!
//! The kernel's own table is read, and nothing of what is mounted.

use crate::mount_table::{TABLE, Table};
use crate::scan::Wanted;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Asks for a look at what is mounted and unmounted, until the table can't be read any more.
pub(crate) async fn run(
    folders: impl Fn() -> Vec<PathBuf> + Send + Clone + 'static,
    request: impl Fn(Wanted),
) -> io::Result<()> {
    #[expect(deprecated, reason = "its successor is unsafe; a file owns its descriptor until it is dropped")]
    let table = AsyncFd::with_interest(File::open(TABLE)?, Interest::PRIORITY)?;
    let mut before = places(&Table::read()?);
    loop {
        table.ready(Interest::PRIORITY).await?.clear_ready();
        let now = places(&Table::read()?);
        let changed: Vec<PathBuf> = before.symmetric_difference(&now).map(|(_, path)| path.clone()).collect();
        before = now;
        if changed.is_empty() {
            continue;
        }
        let folders = folders.clone();
        // asking where folders are may wait for a file system
        let wanted = tokio::task::spawn_blocking(move || wanted(&folders(), &changed)).await;
        match wanted.map_err(io::Error::other)? {
            wanted if wanted.dirty.is_empty() => {}
            wanted => request(wanted),
        }
    }
}

/// What changes at these places call for. The table has the places without links, folders may be reached by some.
fn wanted(folders: &[PathBuf], changed: &[PathBuf]) -> Wanted {
    let mut wanted = Wanted::default();
    for folder in folders {
        let Ok(real) = folder.canonicalize() else {
            // it isn't there, or its link leads nowhere: what is mounted now may bring it back
            wanted.dirty.insert(folder.clone(), true);
            continue;
        };
        for place in changed {
            if let Ok(inside) = place.strip_prefix(&real) {
                let inside = if inside.as_os_str().is_empty() { folder.clone() } else { folder.join(inside) };
                wanted.dirty.insert(inside, true);
            } else if real.starts_with(place) {
                wanted.dirty.insert(folder.clone(), true);
            }
        }
    }
    wanted
}

/// What is mounted where: the number of a mount tells it from a later one at the same place.
fn places(table: &Table) -> BTreeSet<(u64, PathBuf)> {
    table.mounts().map(|mount| (mount.number, mount.place.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_in_a_folder_or_above_it_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let linked = folder.path().join("link");
        let dirty = |place: &Path| {
            wanted(std::slice::from_ref(&linked), &[place.to_owned()]).dirty.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(dirty(&real.join("NAS")), [linked.join("NAS")]);
        assert_eq!(dirty(&real), std::slice::from_ref(&linked));
        assert_eq!(dirty(Path::new("/")), std::slice::from_ref(&linked));
        assert!(dirty(Path::new("/nonexistent")).is_empty());
        let missing = folder.path().join("missing");
        std::os::unix::fs::symlink("/nonexistent/Music", &missing).unwrap();
        let asked = wanted(std::slice::from_ref(&missing), &["/nonexistent".into()]);
        assert!(asked.dirty.contains_key(&missing));
    }
}
