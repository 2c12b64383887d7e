//! Makes sure that no two daemons use one state directory. The kernel lets go of the lock when the process ends, so
//! nothing is left over by a crash.

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The lock on a state directory, held as long as the value lives.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the state directory where it isn't there yet, readable for its owner alone, and locks it.
    ///
    /// # Errors
    /// When another process holds it, with that process's id; when the directory can't be written.
    pub(crate) fn take(state: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
        made.with_context(|| format!("the state directory {} can't be made", state.display()))?;
        let path = state.join("lock");
        let mut file = open(&path)?;
        // a lock of the process, not of the open file: a child that is just being started would keep the latter alive
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => bail!(
                "another tandemd runs already: {} holds {}; end it, or give this one a directory of its own with --state",
                holder(&mut file),
                path.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("{} can't be locked", path.display())),
        }
        let note = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        note.with_context(|| format!("{} can't be written", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Opens the lock file, made where it isn't there yet. What else has its name isn't ours, nor is what a link leads to.
fn open(path: &Path) -> anyhow::Result<File> {
    let links_stay = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits())?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(links_stay);
    let opened = options.open(path);
    let is_file = |file: &File| file.metadata().is_ok_and(|facts| facts.is_file());
    match opened {
        Ok(file) if is_file(&file) => Ok(file),
        Err(error) if path.symlink_metadata().is_ok_and(|facts| facts.is_file()) => {
            Err(error).with_context(|| format!("{} can't be written", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(error).with_context(|| format!("{} can't be written", path.display()))
        }
        Err(error) if path.symlink_metadata().is_err() => {
            Err(error).with_context(|| format!("{} can't be made", path.display()))
        }
        Ok(_) | Err(_) => bail!(
            "{} is a link, a directory or a device, where tandemd keeps a file of its own; move it away and start again",
            path.display()
        ),
    }
}

/// The process that wrote its id into the lock file, with its name where that can be found out.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let pid = file
        .rewind()
        .and_then(|()| file.take(32).read_to_string(&mut text))
        .ok()
        .and_then(|_| text.trim().parse::<u32>().ok());
    let Some(pid) = pid else { return "an unknown process".to_owned() };
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim().escape_debug()),
        Err(_) => format!("process {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_lock_file_names_its_holder() {
        let dir = tempfile::TempDir::new().unwrap();
        let state = dir.path().join("deep/state");
        let first = StateLock::take(&state).unwrap();
        assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let mut file = File::open(state.join("lock")).unwrap();
        let text = holder(&mut file);
        assert!(text.contains(&format!("process {} (", std::process::id())), "{text}");
        drop(first);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let dir = tempfile::TempDir::new().unwrap();
        let (target, lock) = (dir.path().join("precious"), dir.path().join("lock"));
        std::os::unix::fs::symlink(&target, &lock).unwrap();
        let refused = |dir: &Path| format!("{:#}", StateLock::take(dir).unwrap_err());
        let text = refused(dir.path());
        assert!(text.contains("lock is a link") && text.contains("move it away"), "{text}");
        assert!(!target.exists(), "nothing was made where the link leads");
        std::fs::remove_file(&lock).unwrap();
        std::fs::create_dir(&lock).unwrap();
        assert!(refused(dir.path()).contains("move it away"));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        let text = StateLock::take(&file.join("state")).unwrap_err().to_string();
        assert!(text.contains("file/state can't be made"), "{text}");
    }
}
