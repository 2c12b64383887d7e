//! Mounts, unmounts and ejects block devices through UDisks2, with proxies of our own for the few members needed.
//!
//! It never forces anything, never asks the user for a password, and touches no device but the one it is told, and on
//! ejecting the others of the same drive.

mod facts;

use crate::desktop;
use facts::{Block, DriveFacts, Facts, Properties, facts, path_of};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::presence::{Mounted, Mounter};
use tokio::time::Instant;
use zbus::fdo::{InterfacesAdded, ObjectManagerProxy, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, OwnedObjectPath, Variant, proxy};

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

#[proxy(
    interface = "org.freedesktop.UDisks2.Manager",
    default_service = "org.freedesktop.UDisks2",
    default_path = "/org/freedesktop/UDisks2/Manager"
)]
trait Manager {
    fn resolve_device(
        &self,
        device: HashMap<&str, Variant<'_>>,
        options: Options,
    ) -> zbus::Result<Vec<OwnedObjectPath>>;
}

#[proxy(interface = "org.freedesktop.UDisks2.Drive", default_service = "org.freedesktop.UDisks2")]
trait Drive {
    fn eject(&self, options: Options) -> zbus::Result<()>;
    fn power_off(&self, options: Options) -> zbus::Result<()>;
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

/// Which error of the bus's own it is.
fn bus_error(error: &zbus::Error) -> Option<String> {
    let name = match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => return None,
    };
    name.strip_prefix("org.freedesktop.DBus.Error.").map(ToOwned::to_owned)
}

/// Whether the object, or this side of it, isn't there (any more).
fn is_missing(error: &zbus::Error) -> bool {
    // GLib's word for an interface that an object doesn't have is the first
    matches!(
        bus_error(error).as_deref(),
        Some("InvalidArgs" | "UnknownInterface" | "UnknownMethod" | "UnknownObject")
    )
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

/// The file system on this device. A node without one is a medium that was taken out, or a device on its way out.
fn block_in<'a>(facts: &'a Facts, node: &Path) -> Result<&'a Block, PlayerError> {
    let number = std::fs::metadata(node).ok().map(|metadata| metadata.rdev()).filter(|number| *number != 0);
    facts.block(node, number).ok_or(PlayerError::Removed)
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

    async fn properties(
        &self,
        object: &OwnedObjectPath,
        interface: &'static str,
    ) -> Result<Properties, zbus::Error> {
        let builder = PropertiesProxy::builder(&self.connection).destination(SERVICE);
        let proxy = builder.path(object.clone()).cache_properties(CacheProperties::No).build().await?;
        Ok(proxy.get_all(InterfaceName::from_static_str_unchecked(interface)).await?)
    }

    /// The file systems on what has this node. Asking for all that UDisks2 knows costs it, the bus and us more with each
    /// device.
    async fn resolve(&self, node: &Path) -> Result<Vec<Block>, zbus::Error> {
        let builder = ManagerProxy::builder(&self.connection);
        let manager = builder.cache_properties(CacheProperties::No).build().await?;
        let device = HashMap::from([("path", Variant::from(node.to_string_lossy().into_owned()))]);
        let mut blocks = Vec::new();
        for object in manager.resolve_device(device, options()).await? {
            let asked = async {
                let block = self.properties(&object, BLOCK).await?;
                let filesystem = self.properties(&object, FILESYSTEM).await?;
                Ok(Block::new(object.clone(), &block, &filesystem))
            };
            match asked.await {
                Ok(block) => blocks.push(block),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(blocks)
    }

    /// The file system on this device.
    async fn find(&self, node: &Path) -> Result<Block, PlayerError> {
        let told = match within(LIMIT, "asking UDisks2 about", node, self.resolve(node)).await? {
            Ok(blocks) => Facts { blocks, drives: Vec::new() },
            // before 2.7.3 it can't be asked for one device
            Err(error) if bus_error(&error).as_deref() == Some("UnknownMethod") => self.facts(node).await?,
            Err(error) => return Err(player_error("asking UDisks2 about", node, &error)),
        };
        block_in(&told, node).cloned()
    }

    /// Finds a device that has just come, of which UDisks2 may not know yet.
    async fn find_new(&self, node: &Path) -> Result<Block, PlayerError> {
        match self.find(node).await {
            Err(PlayerError::Removed) if node.exists() => {}
            outcome => return outcome,
        }
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

    /// When the medium arrived, since 1970; long ago where that isn't known.
    async fn arrived(&self, block: &Block) -> Duration {
        let Some(drive) = block.drive() else { return Duration::ZERO };
        match tokio::time::timeout(LIMIT, self.properties(drive, DRIVE)).await {
            Ok(Ok(properties)) => DriveFacts::new(drive.clone(), &properties).arrived,
            Ok(Err(error)) => {
                tracing::debug!("when a medium arrived is not known: {error}");
                Duration::ZERO
            }
            Err(_) => Duration::ZERO,
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
        let block = self.find_new(node).await?;
        if let Some(mounted) = self.used_mount(&block).await? {
            return Ok(mounted);
        }
        let wait = left_of(self.desktop_grace, self.arrived(&block).await);
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
                let block = self.find(node).await?;
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
            let block = self.find(node).await?;
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
        let facts = self.facts(node).await?;
        let (drive, blocks) = facts.device_of(block_in(&facts, node)?);
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
            let block = self.find(node).await?;
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
