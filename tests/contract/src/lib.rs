//! Holds the running daemon against the XML and the contract. Here: interfaces in a form that can be compared, and a
//! daemon with one player. It proves nothing by itself.

use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, PlaylistProxy, ServicesProxy};
use kit::{Daemon, MusicLibrary};
use std::collections::BTreeMap;
use tempfile::TempDir;
use zbus::{Connection, OwnedObjectPath};
use zbus_xml::{Interface, Node};

/// An interface's members, each as one line of text that holds all that counts.
pub type Members = BTreeMap<String, String>;

/// The interface of this name in an introspection document.
///
/// # Panics
/// When the document can't be read.
#[must_use]
pub fn members(xml: &str, interface: &str) -> Option<Members> {
    let node = Node::from_reader(xml.as_bytes()).unwrap_or_else(|error| panic!("{error} in:\n{xml}"));
    node.interfaces().iter().find(|found| found.name() == interface).map(members_of)
}

fn members_of(interface: &Interface<'_>) -> Members {
    let arguments = |args: &[zbus_xml::Arg<'_>], default: &str| {
        let one = |arg: &zbus_xml::Arg<'_>| {
            let out = matches!(arg.direction(), Some(zbus_xml::ArgDirection::Out));
            let direction = if default == "out" || out { "out" } else { "in" };
            format!("{direction} {} {}", arg.ty(), arg.name().unwrap_or("(unnamed)"))
        };
        args.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let notes = |annotations: &[zbus_xml::Annotation<'_>]| {
        annotations.iter().map(|note| format!(" [{}={}]", note.name(), note.value())).collect::<String>()
    };
    let mut members = Members::new();
    for method in interface.methods() {
        let line = format!("method({}){}", arguments(method.args(), "in"), notes(method.annotations()));
        members.insert(method.name().to_string(), line);
    }
    for signal in interface.signals() {
        let line = format!("signal({}){}", arguments(signal.args(), "out"), notes(signal.annotations()));
        members.insert(signal.name().to_string(), line);
    }
    for property in interface.properties() {
        let access = property.access();
        let line = format!(
            "property {} read={} write={}{}",
            property.ty(),
            access.read(),
            access.write(),
            notes(property.annotations())
        );
        members.insert(property.name().to_string(), line);
    }
    members
}

/// A daemon with a small library and one player that is a directory.
pub struct Stage {
    /// The daemon.
    pub daemon: Daemon,
    /// A client's connection.
    pub client: Connection,
    /// The library's files.
    pub music: MusicLibrary,
    /// The player's files.
    pub player: TempDir,
}

impl Stage {
    /// Starts one, with this many tracks, and waits until the player is there.
    ///
    /// # Panics
    /// When that doesn't come to pass.
    pub async fn start(tracks: usize) -> Self {
        let music = MusicLibrary::with_tracks(tracks, 20_000);
        let player = kit::player_dir();
        let daemon = Daemon::builder().folder(player.path()).music(music.dir()).start().await;
        let client = daemon.connect().await;
        let stage = Self { daemon, client, music, player };
        let device = stage.device_path().await;
        kit::wait_for_property(&stage.client, &device, names::DEVICE, "SyncState", |state: &String| {
            state == "stopped"
        })
        .await;
        stage
    }

    /// The root object.
    ///
    /// # Panics
    /// When there is no proxy of it.
    pub async fn services(&self) -> ServicesProxy<'static> {
        ServicesProxy::new(&self.client).await.expect("the contract's names are legal")
    }

    /// The player's path; waits until it is known.
    ///
    /// # Panics
    /// When it doesn't come.
    pub async fn device_path(&self) -> OwnedObjectPath {
        let known = |count: &u32| *count > 0;
        kit::wait_for_property(&self.client, names::ROOT_PATH, names::SERVICES, "DeviceCount", known).await;
        self.services().await.get_device(0).await.expect("one device is known")
    }

    /// The player.
    ///
    /// # Panics
    /// When it isn't known.
    pub async fn device(&self) -> DeviceProxy<'static> {
        let path = self.device_path().await;
        let builder = DeviceProxy::builder(&self.client).path(path);
        builder
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .expect("a device has a proxy")
    }

    /// The user's library, scanned.
    ///
    /// # Panics
    /// When it can't be had.
    pub async fn library(&self) -> LibraryProxy<'static> {
        let path = self.services().await.get_library().await.expect("a user has a library");
        let ready = |time: &u64| *time > 0;
        kit::wait_for_property(&self.client, &path, names::LIBRARY, "LastScanTime", ready).await;
        let builder = LibraryProxy::builder(&self.client).path(path);
        builder
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .expect("a library has a proxy")
    }

    /// A playlist.
    ///
    /// # Panics
    /// When it has no proxy.
    pub async fn playlist(&self, path: OwnedObjectPath) -> PlaylistProxy<'static> {
        let builder = PlaylistProxy::builder(&self.client).path(path);
        builder
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .expect("a playlist has a proxy")
    }
}
