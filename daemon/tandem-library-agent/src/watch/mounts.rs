//! Notices that a file system was mounted or unmounted in one of the library's folders or above it, and asks the scanner
//! to look there. Inotify tells nothing of what is mounted over a folder.
//!
//! The kernel's own table is read, and nothing of what is mounted.

use crate::scan::Wanted;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// This process's mounts; the kernel announces changes of it as urgent.
const TABLE: &str = "/proc/self/mountinfo";

/// A mount: the kernel's number for it, which tells it from a later one at the same place, and where it is.
type Mount = (u64, PathBuf);

/// Asks for a look at what is mounted and unmounted, until the table can't be read any more.
pub(crate) async fn run(
    folders: impl Fn() -> Vec<PathBuf> + Send + Clone + 'static,
    request: impl Fn(Wanted),
) -> io::Result<()> {
    #[expect(deprecated, reason = "its successor is unsafe; a file owns its descriptor until it is dropped")]
    let table = AsyncFd::with_interest(File::open(TABLE)?, Interest::PRIORITY)?;
    let mut before = parse(&fs::read(TABLE)?);
    loop {
        table.ready(Interest::PRIORITY).await?.clear_ready();
        let now = parse(&fs::read(TABLE)?);
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
        let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
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

/// The mounts of a table. What isn't a line of one is left out.
fn parse(table: &[u8]) -> BTreeSet<Mount> {
    let line = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let number = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        Some((number, unescaped(fields.nth(3)?)))
    };
    table.split(|&byte| byte == b'\n').filter_map(line).collect()
}

/// A path of the table, which has blanks, line ends and backslashes as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = (*first == b'\\').then(|| after.first_chunk::<3>()).flatten();
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &after[3..];
            }
            None => {
                path.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_kernels_table_is_understood() {
        let table = b"36 35 98:0 / /home/ann/My\\040Music/N\\134S rw,noatime shared:1 - nfs4 nas:/m rw\n\
            37 36 0:40 / /media/\\303\\244 rw - tmpfs none rw\nnonsense\n38\n";
        let mounts: Vec<Mount> = parse(table).into_iter().collect();
        assert_eq!(mounts, [(36, "/home/ann/My Music/N\\S".into()), (37, "/media/ä".into())]);
        assert!(parse(&fs::read(TABLE).unwrap()).iter().any(|(_, path)| path == Path::new("/")));
    }

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
    }
}
