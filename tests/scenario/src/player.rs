//! A directory or a small file system that stands for a player, and what of it was there before Tandem came.

use dbus_interfaces::proxies::DeviceProxy;
use kit::{Mount, Tree};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A player as the tests see it: its files, and its object on the bus once a stage has it.
pub struct Player {
    root: PathBuf,
    before: Tree,
    kept: Kept,
    device: Option<DeviceProxy<'static>>,
}

/// What goes away with the player.
enum Kept {
    Directory { _dir: TempDir },
    Mount(Mount),
    Nothing,
}

impl Default for Player {
    fn default() -> Self {
        Self::new()
    }
}

impl Player {
    /// A directory with a song and a photo of its user's own.
    ///
    /// # Panics
    /// When the temporary directory can't be written.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("tandem-player-").expect("the temporary directory can be written");
        // its own name, within a directory in which it can be moved away and back
        let name = dir.path().file_name().expect("a temporary directory has a name");
        let root = dir.path().join(name);
        let mut player =
            Self { root, before: Tree::new(), kept: Kept::Directory { _dir: dir }, device: None };
        player.has_files_of_its_user();
        player
    }

    /// A small file system with those files; the options are those of `tmpfs`. `None` where it can't be mounted.
    #[must_use]
    pub fn of_size(options: &str) -> Option<Self> {
        let mount = Mount::tmpfs(options)?;
        let root = mount.path().to_owned();
        let mut player = Self { root, before: Tree::new(), kept: Kept::Mount(mount), device: None };
        player.has_files_of_its_user();
        Some(player)
    }

    /// The same player as another daemon sees it; all that is there now is foreign to that one.
    #[must_use]
    pub fn again(&self) -> Self {
        let root = self.root.clone();
        Self { before: kit::tree(&root), root, kept: Kept::Nothing, device: None }
    }

    fn has_files_of_its_user(&mut self) {
        self.plant("Music/Own song.mp3", b"the user's own song");
        self.plant("DCIM/0001.jpg", b"the user's own photo");
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Its file system, where it has one of its own.
    #[must_use]
    pub fn mount(&self) -> Option<&Mount> {
        if let Kept::Mount(mount) = &self.kept { Some(mount) } else { None }
    }

    /// The user puts a file of his own on it.
    pub fn plant(&mut self, relative: impl AsRef<Path>, bytes: &[u8]) {
        kit::write_file(&self.root.join(relative), bytes);
        self.remember();
    }

    /// All that is on it now is the user's from here on.
    pub fn remember(&mut self) {
        self.before = kit::tree(&self.root);
    }

    /// The user has deleted what was his here.
    pub fn forget(&mut self, relative: impl AsRef<Path>) {
        self.before.remove(relative.as_ref());
    }

    /// What was there before Tandem came.
    #[must_use]
    pub fn before(&self) -> &Tree {
        &self.before
    }

    /// Its object on the bus.
    ///
    /// # Panics
    /// When it isn't on a stage.
    #[must_use]
    pub fn device(&self) -> &DeviceProxy<'static> {
        self.device.as_ref().expect("a test asks only for players that it gave to a stage")
    }

    pub(crate) fn is(&mut self, device: DeviceProxy<'static>) {
        self.device = Some(device);
    }

    /// Takes it away, as when its plug is pulled.
    ///
    /// # Panics
    /// When it can't be moved.
    pub fn unplug(&self) {
        std::fs::rename(&self.root, self.away()).expect("a directory of a test can be moved");
    }

    /// Brings it back.
    ///
    /// # Panics
    /// When it wasn't taken away.
    pub fn plug(&self) {
        std::fs::rename(self.away(), &self.root).expect("a directory that was moved away can be moved back");
    }

    /// Where it is while it is away.
    #[must_use]
    pub fn away(&self) -> PathBuf {
        self.root.with_extension("away")
    }

    /// The files that Tandem put there, with their bytes' hashes: all that wasn't there before, but the mark.
    #[must_use]
    pub fn content(&self) -> Tree {
        let mut now = kit::tree(&self.root);
        now.retain(|path, _| !self.before.contains_key(path) && !crate::checker::is_mark(path));
        now
    }
}
