//! Small file systems of a test's own, where the machine lets it mount: to be filled, turned read-only, taken away.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A mounted `tmpfs`, unmounted when the value is dropped.
#[derive(Debug)]
pub struct Mount {
    dir: TempDir,
    path: PathBuf,
}

impl Mount {
    /// Mounts one with these options, such as `size=4m`. `None`, said aloud, where that isn't possible.
    ///
    /// # Panics
    /// When the temporary directory can't be written.
    #[must_use]
    pub fn tmpfs(options: &str) -> Option<Self> {
        let dir = TempDir::with_prefix("tandem-mount-").expect("the temporary directory can be written");
        let path = dir.path().join(dir.path().file_name()?);
        std::fs::create_dir(&path).expect("the temporary directory can be written");
        match mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &path) {
            Ok(()) => Some(Self { dir, path }),
            Err(reason) => {
                eprintln!("skipped: file systems can't be mounted here: {reason}");
                None
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes its options, such as `ro`.
    ///
    /// # Errors
    /// What `mount` says, such as that a file is open for writing.
    pub fn remount(&self, options: &str) -> Result<(), String> {
        mount(&["-o", &format!("remount,{options}")], &self.path)
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<(), String> {
    let output =
        Command::new("mount").args(arguments).arg(path).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.trim().to_owned()) }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // lazily, because a daemon that is about to be killed may still have it open
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} could not be unmounted", self.dir.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_mount_has_a_size_and_turns_read_only() {
        let Some(mount) = Mount::tmpfs("size=1m") else { return };
        crate::write_file(&mount.path().join("fits"), &[1; 1000]);
        let mut large = std::fs::File::create(mount.path().join("large")).unwrap();
        assert!(std::io::Write::write_all(&mut large, &[1; 2 << 20]).is_err());
        drop(large);
        // a program that another test is starting has its files open until it runs
        let end = Instant::now() + crate::LIMIT;
        while let Err(reason) = mount.remount("ro") {
            assert!(reason.contains("busy") && Instant::now() < end, "{reason}");
        }
        assert!(std::fs::File::create(mount.path().join("other")).is_err());
    }
}
