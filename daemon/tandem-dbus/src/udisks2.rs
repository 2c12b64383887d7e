//! Mounts, unmounts and ejects block devices through UDisks2, with proxies of our own for the few members needed.
//!
//! It never forces anything, never asks the user for a password, and touches no device but the one it is told, and on
//! ejecting the others of the same drive.

use crate::desktop;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::presence::{Mounted, Mounter};
use tokio::time::Instant;
use zbus::fdo::{InterfacesAdded, ManagedObjects, ObjectManagerProxy, PropertiesProxy};
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, proxy};

const SERVICE: &str = "org.freedesktop.UDisks2";
const BLOCK: &str = "org.freedesktop.UDisks2.Block";
const FILESYSTEM: &str = "org.freedesktop.UDisks2.Filesystem";
const DRIVE: &str = "org.freedesktop.UDisks2.Drive";

/// How long mounting and switching off may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long after its arrival a device is left to the desktop to mount: what the desktop has mounted is its user's to look
/// at during a run, and a desktop that finds a device mounted already doesn't mount it again.
const DESKTOP_GRACE: Duration = Duration::from_secs(3);

/// How long after udev UDisks2 may know of a device: with many at once it follows by seconds.
const LAG_LIMIT: Duration = Duration::from_secs(30);

/// How long unmounting may take: others may have written much, and it is flushed first.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(600);

type Options = HashMap<&'static str, Variant<'static>>;

#[proxy(interface = "org.freedesktop.UDisks2.Filesystem", default_service = "org.freedesktop.UDisks2")]
trait Filesystem {
    fn mount(&self, options: Options) -> zbus::Result<String>;
    fn unmount(&self, options: Options) -> zbus::Result<()>;
}

#[proxy(interface = "org.freedesktop.UDisks2.Drive", default_service = "org.freedesktop.UDisks2")]
trait Drive {
    fn eject(&self, options: Options) -> zbus::Result<()>;
    fn power_off(&self, options: Options) -> zbus::Result<()>;
}

/// A block device with a file system, as UDisks2 tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    object: OwnedObjectPath,
    drive: OwnedObjectPath,
    /// Device nodes, the preferred one among them.
    nodes: Vec<PathBuf>,
    number: u64,
    mount_points: Vec<PathBuf>,
}

/// A drive, as UDisks2 tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DriveFacts {
    object: OwnedObjectPath,
    /// The same for all drives of one device; empty for a lone one.
    sibling_id: String,
    can_power_off: bool,
    ejectable: bool,
    /// When the medium arrived, since 1970.
    arrived: Duration,
}

/// What UDisks2 knows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    blocks: Vec<Block>,
    drives: Vec<DriveFacts>,
}

/// A byte string that ends with NUL, as a path.
fn path_of(bytes: &[u8]) -> PathBuf {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes.get(..end).unwrap_or(bytes)))
}

type Properties = HashMap<String, OwnedVariant>;

/// A property of the type that it should have; `None` when it is missing or of another.
fn property<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
    properties.get(name).and_then(|value| value.try_clone().ok()).and_then(|value| T::try_from(value).ok())
}

/// Copies what is needed out of UDisks2's objects; what isn't as it should be is left out.
fn facts(objects: ManagedObjects) -> Facts {
    let mut facts = Facts::default();
    for (object, interfaces) in objects {
        let of =
            |name: &str| interfaces.iter().find(|(interface, _)| interface.as_str() == name).map(|(_, p)| p);
        if let (Some(block), Some(filesystem)) = (of(BLOCK), of(FILESYSTEM)) {
            let nodes =
                ["Device", "PreferredDevice"].iter().filter_map(|name| property::<Vec<u8>>(block, name));
            let mount_points: Vec<Vec<u8>> = property(filesystem, "MountPoints").unwrap_or_default();
            facts.blocks.push(Block {
                object: object.clone(),
                drive: property(block, "Drive")
                    .unwrap_or_else(|| ObjectPath::from_static_str_unchecked("/").into()),
                nodes: nodes.map(|bytes| path_of(&bytes)).collect(),
                number: property(block, "DeviceNumber").unwrap_or(0),
                mount_points: mount_points.iter().map(|bytes| path_of(bytes)).collect(),
            });
        }
        if let Some(drive) = of(DRIVE) {
            facts.drives.push(DriveFacts {
                object: object.clone(),
                sibling_id: property(drive, "SiblingId").unwrap_or_default(),
                can_power_off: property(drive, "CanPowerOff").unwrap_or(false),
                ejectable: property(drive, "Ejectable").unwrap_or(false),
                arrived: Duration::from_micros(property(drive, "TimeMediaDetected").unwrap_or(0)),
            });
        }
    }
    facts
}

impl Facts {
    /// The file system on this device: by number if it is known, else by node.
    fn block(&self, node: &Path, number: Option<u64>) -> Option<&Block> {
        let by_number = number.and_then(|number| self.blocks.iter().find(|block| block.number == number));
        by_number.or_else(|| self.blocks.iter().find(|block| block.nodes.iter().any(|of| of == node)))
    }

    fn drive_of(&self, block: &Block) -> Option<&DriveFacts> {
        self.drives.iter().find(|drive| drive.object == block.drive)
    }

    /// The drive of this block device, and all file systems of that drive and its siblings.
    fn device_of(&self, block: &Block) -> (Option<&DriveFacts>, Vec<&Block>) {
        let drive = self.drive_of(block);
        let sibling = |other: &DriveFacts| {
            drive.is_some_and(|drive| {
                other.object == drive.object
                    || (!drive.sibling_id.is_empty() && other.sibling_id == drive.sibling_id)
            })
        };
        let group: Vec<_> =
            self.drives.iter().filter(|other| sibling(other)).map(|other| &other.object).collect();
        let blocks =
            self.blocks.iter().filter(|other| other.object == block.object || group.contains(&&other.drive));
        (drive, blocks.collect())
    }
}

/// The mount to use: one that can be written if there is one.
fn choose(mount_points: &[PathBuf], writable: impl Fn(&Path) -> bool) -> Option<&PathBuf> {
    mount_points.iter().find(|path| writable(path)).or(mount_points.first())
}

fn writable(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|info| !info.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// What an error of UDisks2 means.
fn player_error(doing: &str, node: &Path, error: &zbus::Error) -> PlayerError {
    let node = node.display();
    let (name, text) = match error {
        zbus::Error::MethodError(name, text, _) => (name.to_string(), text.as_deref()),
        zbus::Error::FDO(error) => (error.name().to_string(), error.description()),
        _ => return PlayerError::Other(format!("{doing} {node} failed: {error}")),
    };
    let text = text.unwrap_or("no reason given");
    match name.rsplit('.').next().unwrap_or_default() {
        "DeviceBusy" => PlayerError::Busy(format!("another program ({text})")),
        "NotAuthorized" | "NotAuthorizedCanObtain" | "NotAuthorizedDismissed" | "AccessDenied" => {
            PlayerError::NotPermitted(format!(
                "{doing} {node}: {text}; see that the polkit rule is installed"
            ))
        }
        "Timedout" | "NoReply" => PlayerError::TimedOut(format!("{doing} {node}")),
        "UnknownObject" | "UnknownInterface" => PlayerError::Removed,
        "ServiceUnknown" => PlayerError::Other(format!(
            "{doing} {node} failed: UDisks2 isn't there; install or start udisks2"
        )),
        _ => PlayerError::Other(format!("{doing} {node} failed: {text}")),
    }
}

fn is_udisks_error(error: &zbus::Error, word: &str) -> bool {
    matches!(error, zbus::Error::MethodError(name, _, _)
        if name.strip_prefix("org.freedesktop.UDisks2.Error.") == Some(word))
}

/// Whether this tells of a file system that may be the one on this device. Of many that come at once each is announced to
/// all who wait, and asking for all that UDisks2 knows costs more with each.
fn brings(signal: &InterfacesAdded, node: &Path) -> bool {
    let Ok(told) = signal.args() else { return true };
    let added = |name: &str| {
        let mut interfaces = told.interfaces_and_properties.iter();
        interfaces.find(|(interface, _)| interface.as_str() == name).map(|(_, properties)| properties)
    };
    let device = |name| {
        let value = added(BLOCK)?.get(name)?.try_clone().ok()?;
        Vec::<u8>::try_from(value).ok()
    };
    let is_it = |name| device(name).is_none_or(|bytes| path_of(&bytes) == node);
    added(FILESYSTEM).is_some() && (is_it("Device") || is_it("PreferredDevice"))
}

async fn within<T>(
    limit: Duration,
    doing: &str,
    node: &Path,
    call: impl Future<Output = Result<T, zbus::Error>>,
) -> Result<Result<T, zbus::Error>, PlayerError> {
    let late = |_| PlayerError::TimedOut(format!("{doing} {}", node.display()));
    tokio::time::timeout(limit, call).await.map_err(late)
}

/// What is left of a grace that began at this time since 1970; nothing when the clock was set in between.
fn left_of(grace: Duration, began: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.checked_sub(began).map_or(Duration::ZERO, |passed| grace.saturating_sub(passed))
}

fn options() -> Options {
    HashMap::from([("auth.no_user_interaction", Variant::from(true))])
}

/// UDisks2 on the system bus.
pub(crate) struct Udisks2 {
    connection: Connection,
    desktop_grace: Duration,
}

impl Udisks2 {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, desktop_grace: DESKTOP_GRACE }
    }

    /// With another patience.
    #[cfg(test)]
    pub(crate) fn waiting(self, desktop_grace: Duration) -> Self {
        Self { desktop_grace, ..self }
    }

    async fn objects(&self) -> Result<ObjectManagerProxy<'_>, zbus::Error> {
        let builder = ObjectManagerProxy::builder(&self.connection).destination(SERVICE);
        let builder = builder.path("/org/freedesktop/UDisks2").cache_properties(CacheProperties::No);
        builder.build().await
    }

    async fn facts(&self, node: &Path) -> Result<Facts, PlayerError> {
        let ask = async { Ok(self.objects().await?.get_managed_objects().await?) };
        let objects = within(LIMIT, "asking UDisks2 about", node, ask).await?;
        objects.map(facts).map_err(|error| player_error("asking UDisks2 about", node, &error))
    }

    async fn find(&self, node: &Path) -> Result<(Facts, Block), PlayerError> {
        let number = std::fs::metadata(node).ok().map(|metadata| metadata.rdev());
        let facts = self.facts(node).await?;
        // a node without a file system is a medium that was taken out, or a device on its way out
        let block =
            facts.block(node, number.filter(|number| *number != 0)).cloned().ok_or(PlayerError::Removed)?;
        Ok((facts, block))
    }

    /// Finds a device that has just come, of which UDisks2 may not know yet.
    async fn find_new(&self, node: &Path) -> Result<(Facts, Block), PlayerError> {
        let told = |error: zbus::Error| player_error("waiting for UDisks2 to know", node, &error);
        let deadline = Instant::now() + LAG_LIMIT;
        let objects = self.objects().await.map_err(told)?;
        let mut added = objects.receive_interfaces_added().await.map_err(told)?;
        loop {
            let mut is_there = false;
            let outcome = {
                let mut find = pin!(self.find(node));
                loop {
                    // the connection reads no answer while signals wait for somebody to take them
                    tokio::select! {
                        biased;
                        outcome = &mut find => break outcome,
                        Some(signal) = added.next() => is_there |= brings(&signal, node),
                    }
                }
            };
            match outcome {
                Err(PlayerError::Removed) if node.exists() => {}
                outcome => return outcome,
            }
            while !is_there {
                match tokio::time::timeout_at(deadline, added.next()).await {
                    Ok(Some(signal)) => is_there = brings(&signal, node),
                    Ok(None) | Err(_) => return Err(PlayerError::Removed),
                }
            }
        }
    }

    async fn filesystem(&self, block: &Block) -> Result<FilesystemProxy<'_>, zbus::Error> {
        let builder = FilesystemProxy::builder(&self.connection).path(block.object.clone());
        builder.cache_properties(CacheProperties::No).build().await
    }

    async fn used_mount(&self, block: &Block) -> Result<Option<Mounted>, PlayerError> {
        let mount_points = block.mount_points.clone();
        let chosen = tokio::task::spawn_blocking(move || choose(&mount_points, writable).cloned()).await;
        let chosen =
            chosen.map_err(|error| PlayerError::Other(format!("looking at mounts failed: {error}")))?;
        Ok(chosen.map(|path| Mounted { path, ours: false }))
    }

    async fn mount_block(&self, node: &Path) -> Result<Mounted, PlayerError> {
        let (facts, block) = self.find_new(node).await?;
        if let Some(mounted) = self.used_mount(&block).await? {
            return Ok(mounted);
        }
        let wait =
            facts.drive_of(&block).map_or(Duration::ZERO, |drive| left_of(self.desktop_grace, drive.arrived));
        if !wait.is_zero()
            && desktop::is_active(&self.connection).await
            && let Some(mounted) = self.mounted_within(wait, node, &block).await?
        {
            return Ok(mounted);
        }
        let mount = async { self.filesystem(&block).await?.mount(options()).await };
        match within(LIMIT, "mounting", node, mount).await? {
            Ok(path) => Ok(Mounted { path: PathBuf::from(path), ours: true }),
            // the desktop was faster
            Err(error) if is_udisks_error(&error, "AlreadyMounted") => {
                let (_, block) = self.find(node).await?;
                self.used_mount(&block).await?.ok_or_else(|| player_error("mounting", node, &error))
            }
            Err(error) => Err(player_error("mounting", node, &error)),
        }
    }

    /// The mount that somebody else makes in this time.
    async fn mounted_within(
        &self,
        wait: Duration,
        node: &Path,
        block: &Block,
    ) -> Result<Option<Mounted>, PlayerError> {
        let deadline = Instant::now() + wait;
        let told = |error: zbus::Error| player_error("waiting for the mount of", node, &error);
        let builder = PropertiesProxy::builder(&self.connection).destination(SERVICE);
        let proxy = builder.path(block.object.clone()).cache_properties(CacheProperties::No).build();
        let proxy = proxy.await.map_err(told)?;
        let mut changes = proxy.receive_properties_changed().await.map_err(told)?;
        loop {
            let (_, block) = self.find(node).await?;
            if let Some(mounted) = self.used_mount(&block).await? {
                return Ok(Some(mounted));
            }
            match tokio::time::timeout_at(deadline, changes.next()).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    async fn unmount_block(&self, node: &Path, block: &Block) -> Result<(), PlayerError> {
        let unmount = async { self.filesystem(block).await?.unmount(options()).await };
        match within(UNMOUNT_LIMIT, "unmounting", node, unmount).await? {
            Ok(()) => Ok(()),
            Err(error) if is_udisks_error(&error, "NotMounted") => Ok(()),
            Err(error) => Err(player_error("unmounting", node, &error)),
        }
    }

    async fn eject_drive(&self, node: &Path) -> Result<(), PlayerError> {
        let (facts, block) = self.find(node).await?;
        let (drive, blocks) = facts.device_of(&block);
        for block in blocks {
            // each unmounting takes one mount away
            for _ in &block.mount_points {
                self.unmount_block(node, block).await?;
            }
        }
        let Some(drive) = drive.filter(|drive| drive.can_power_off || drive.ejectable) else { return Ok(()) };
        let eject = async {
            let builder = DriveProxy::builder(&self.connection).path(drive.object.clone());
            let proxy = builder.cache_properties(CacheProperties::No).build().await?;
            if drive.can_power_off { proxy.power_off(options()).await } else { proxy.eject(options()).await }
        };
        within(LIMIT, "ejecting", node, eject).await?.map_err(|error| player_error("ejecting", node, &error))
    }
}

impl Mounter for Udisks2 {
    fn mount<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<Mounted, PlayerError>> {
        Box::pin(self.mount_block(node))
    }

    fn unmount<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<(), PlayerError>> {
        Box::pin(async move {
            let (_, block) = self.find(node).await?;
            self.unmount_block(node, &block).await
        })
    }

    fn eject<'a>(&'a self, node: &'a Path) -> BoxFuture<'a, Result<(), PlayerError>> {
        Box::pin(self.eject_drive(node))
    }
}

#[cfg(test)]
#[path = "udisks2_tests.rs"]
mod tests;
