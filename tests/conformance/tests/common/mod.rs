//! Opens each implementation for the suite: folders, and mass storage with a mounter that mounts nothing.

#![allow(dead_code, unreachable_pub, reason = "each suite uses its share of it")]
#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use conformance::Subject;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tandem_model::BoxFuture;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::error::PlayerError;
use tandem_model::id::DeviceId;
use tandem_model::player::{Player, PlayerOpener};
use tandem_model::presence::{Arrival, Locator, Mounted, Mounter};
use tandem_players::Players;

pub fn arrival(kind: Kind, name: &str, locator: Locator) -> Arrival {
    let description = DeviceDescription::named(DeviceId(format!("test-{name}")), kind, name);
    Arrival { key: name.into(), description, port: String::new(), locator }
}

pub async fn open_folder(path: &Path) -> Result<Arc<dyn Player>, PlayerError> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let arrival = arrival(Kind::Folder, &name, Locator::Folder { path: path.to_owned() });
    Players::new(None, Vec::new()).open(&arrival).await
}

/// A folder player in a temporary directory.
pub async fn folder() -> Option<Subject> {
    let directory = tempfile::tempdir().unwrap();
    let player = open_folder(directory.path()).await.unwrap();
    Some(Subject { player, keep: Box::new(directory) })
}

/// Says where things are mounted, and remembers what it was asked.
pub struct FakeMounter {
    pub mounted: Mounted,
    pub asked: Mutex<Vec<String>>,
    pub busy: AtomicBool,
}

impl FakeMounter {
    pub fn new(path: &Path, ours: bool) -> Arc<Self> {
        let mounted = Mounted { path: path.to_owned(), ours };
        Arc::new(Self { mounted, asked: Mutex::default(), busy: AtomicBool::new(false) })
    }

    fn note(&self, what: &str, node: &Path) {
        self.asked.lock().unwrap().push(format!("{what} {}", node.display()));
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Mounter for FakeMounter {
    fn mount<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<Mounted, PlayerError>> {
        self.note("mount", node);
        let busy = self.busy.load(Ordering::Relaxed);
        Box::pin(async move {
            if busy { Err(PlayerError::Busy("dd (4711)".into())) } else { Ok(self.mounted.clone()) }
        })
    }

    fn unmount<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<(), PlayerError>> {
        self.note("unmount", node);
        Box::pin(async { Ok(()) })
    }

    fn eject<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<(), PlayerError>> {
        self.note("eject", node);
        Box::pin(async { Ok(()) })
    }
}

/// A block device's node, and the number that a player on `directory` must have; `None` when there are none here.
pub fn block_device(directory: &Path) -> Option<(PathBuf, (u32, u32))> {
    let number = |dev| (rustix::fs::major(dev), rustix::fs::minor(dev));
    let on = number(rustix::fs::stat(directory).ok()?.st_dev);
    let mut nodes =
        std::fs::read_dir("/dev").ok()?.filter_map(Result::ok).map(|entry| entry.path()).filter_map(|node| {
            let stat = rustix::fs::stat(&node).ok()?;
            let is_block =
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::BlockDevice;
            is_block.then(|| (node, number(stat.st_rdev)))
        });
    nodes.find(|(_, number)| on.0 == 0 || *number == on)
}

pub fn mass_storage_arrival(node: &Path, number: (u32, u32), media_player: Option<&str>) -> Arrival {
    let locator = Locator::BlockDevice {
        node: node.to_owned(),
        number,
        file_system_uuid: "1234-ABCD".into(),
        media_player: media_player.map(str::to_owned),
    };
    arrival(Kind::MassStorage, "stick", locator)
}

/// A mass storage player whose file system is a temporary directory.
pub async fn mass_storage() -> Option<Subject> {
    let directory = tempfile::tempdir().unwrap();
    let Some((node, number)) = block_device(directory.path()) else {
        conformance::skip("mass storage", "no block device holds the temporary directory");
        return None;
    };
    let mounter = FakeMounter::new(directory.path(), true);
    let arrival = mass_storage_arrival(&node, number, None);
    let player = Players::new(Some(mounter), Vec::new()).open(&arrival).await.unwrap();
    Some(Subject { player, keep: Box::new(directory) })
}

/// Puts a file straight into a directory.
pub fn plant(path: &Path, content: &[u8]) {
    use std::io::Write;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).and_then(|mut file| file.write_all(content)).unwrap();
}

/// Runs a program; its error output when it fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// A mounted file system that is unmounted again.
pub struct MountPoint {
    pub directory: tempfile::TempDir,
    loop_device: Option<String>,
}

impl MountPoint {
    /// Mounts what the arguments of `mount` say.
    pub fn mount(arguments: &[&str]) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let at = directory.path().to_str().unwrap();
        run("mount", &[arguments, &[at]].concat())?;
        Ok(Self { directory, loop_device: None })
    }

    /// Makes an image with `make`, and mounts it as `kind`, by the kernel or else by `fuse`.
    pub fn image(kind: &str, megabytes: u64, make: &[&str], fuse: Option<&str>) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can mount images".into());
        }
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let by_kernel = known.split_whitespace().any(|known| known == kind);
        let fuse = fuse.filter(|fuse| !by_kernel && run(fuse, &["-V"]).is_ok());
        if !by_kernel && fuse.is_none() {
            return Err("neither this kernel nor a FUSE program here can mount it".into());
        }
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let image = directory.path().with_extension("img");
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(megabytes << 20))
            .map_err(|error| error.to_string())?;
        let mounted = run(make[0], &[&make[1..], &[image.to_str().unwrap()]].concat())
            .and_then(|_| run("losetup", &["-f", "--show", image.to_str().unwrap()]))
            .and_then(|device| {
                let at = directory.path().to_str().unwrap();
                let mounted = match fuse {
                    Some(fuse) => run(fuse, &[&device, at]),
                    None => run("mount", &["-t", kind, &device, at]),
                };
                mounted.map(|_| device.clone()).inspect_err(|_| {
                    let _ = run("losetup", &["-d", &device]);
                })
            });
        std::fs::remove_file(&image).map_err(|error| error.to_string())?;
        mounted.map(|device| Self { directory, loop_device: Some(device) })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn node(&self) -> &Path {
        Path::new(self.loop_device.as_deref().unwrap())
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        // lazily, so that a test that failed with the player open leaves nothing mounted
        let unmounted = run("umount", &["-l", self.directory.path().to_str().unwrap()]);
        let detached = self.loop_device.as_ref().map(|device| run("losetup", &["-d", device]));
        if let (Err(error), _) | (_, Some(Err(error))) = (unmounted, detached) {
            conformance::skip("cleaning up", &error);
        }
    }
}
