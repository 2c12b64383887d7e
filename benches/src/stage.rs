//! A daemon with a library and one player, and how to drive it: partner, fill a playlist, run and time a run.

use crate::others;
use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, PlaylistProxy, ServicesProxy};
use kit::{Daemon, MusicLibrary, wait_for_property};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, OwnedObjectPath, Variant};

/// URIs handed over in one call.
const BATCH: usize = 1000;

/// Tagged MP3 and FLAC files in turns, ten to an album.
pub(crate) fn tagged_files(count: usize, size: u64) -> MusicLibrary {
    let music = MusicLibrary::new();
    for number in 0..count {
        let (artist, album) = (format!("Artist {:03}", number / 100), format!("Album {:04}", number / 10));
        let extension = if number % 2 == 0 { "mp3" } else { "flac" };
        let path = format!("{artist}/{album}/{number:05} Title.{extension}");
        music.add(path, &artist, &album, &format!("Title {number:05}"), size);
    }
    music
}

/// A daemon, its player, and a client.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) client: Connection,
    pub(crate) player: TempDir,
}

impl Stage {
    /// Starts a daemon over this library, with an empty player.
    pub(crate) async fn start(music: &MusicLibrary) -> Self {
        let player = TempDir::with_prefix("tandem-player-").expect("the temporary directory can be written");
        let daemon = Daemon::builder().folder(player.path()).music(music.dir()).start().await;
        let client = daemon.connect().await;
        Self { daemon, client, player }
    }

    async fn services(&self) -> ServicesProxy<'static> {
        ServicesProxy::new(&self.client).await.expect("the contract's names are legal")
    }

    /// The library, once it has been scanned.
    pub(crate) async fn library(&self) -> LibraryProxy<'static> {
        let path = self.services().await.get_library().await.expect("a user has a library");
        let scanned = |time: &u64| *time > 0;
        wait_for_property(&self.client, &path, names::LIBRARY, "LastScanTime", scanned).await;
        wait_for_property(&self.client, &path, names::LIBRARY, "Scanning", |scanning: &bool| !scanning).await;
        let builder = LibraryProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a library has a proxy")
    }

    async fn device_path(&self) -> OwnedObjectPath {
        wait_for_property(&self.client, names::ROOT_PATH, names::SERVICES, "DeviceCount", |count: &u32| {
            *count == 1
        })
        .await;
        self.services().await.get_device(0).await.expect("one device is known")
    }

    /// The player, once nothing goes on there.
    pub(crate) async fn device(&self) -> DeviceProxy<'static> {
        let path = self.device_path().await;
        let stopped = |state: &String| state == "stopped";
        wait_for_property(&self.client, &path, names::DEVICE, "SyncState", stopped).await;
        let builder = DeviceProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a device has a proxy")
    }

    /// Partners the player with one playlist of the whole library; nothing runs by itself from then on.
    pub(crate) async fn partner_with_everything(&self, music: &MusicLibrary) -> DeviceProxy<'static> {
        let library = self.library().await;
        let path = library.create_playlist("Everything", &[]).await.expect("a playlist can be made");
        let device = self.device().await;
        let playlists = Variant::from(vec![path.clone()]);
        device
            .create_partnership(HashMap::from([("playlists", &playlists)]))
            .await
            .expect("a device without a partnership takes one");
        let made = |status: &String| status == "partnership-exists";
        wait_for_property(&self.client, device.inner().path(), names::DEVICE, "Status", made).await;
        device.set_sync_on_connect(false).await.expect("a partnership has this setting");
        let device = self.device().await;
        let playlist =
            PlaylistProxy::builder(&self.client).path(path).build().await.expect("a playlist has a proxy");
        let uris: Vec<String> = others::files(music.dir()).iter().map(|path| music.uri(path)).collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        for batch in uris.chunks(BATCH) {
            playlist.append(batch).await.expect("a static playlist can be edited");
        }
        device
    }

    /// Runs, and tells how long it took from the call to the event, as a client sees it.
    pub(crate) async fn timed_run(&self, device: &DeviceProxy<'_>) -> Duration {
        let mut events = self.daemon.events().await;
        let begun = Instant::now();
        device.start().await.expect("a run can be started");
        events.wait_until(|message| is_state(message, "stopped")).await;
        begun.elapsed()
    }

    /// The library agent's process.
    pub(crate) fn agent_pid(&self) -> u32 {
        let daemon = self.daemon.pid().expect("the daemon runs");
        others::child_of(daemon).expect("the library agent runs")
    }
}

fn is_state(message: &Message, wanted: &str) -> bool {
    let header = message.header();
    header.member().is_some_and(|member| member.as_str() == "DeviceSyncStateChange")
        && message.body().deserialize::<(OwnedObjectPath, String)>().is_ok_and(|(_, state)| state == wanted)
}
