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

/// What /proc counts processor time in (USER_HZ).
const TICKS_PER_SECOND: u64 = 100;
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
    /// The players' directories.
    pub(crate) players: Vec<TempDir>,
}

impl Stage {
    /// Starts a daemon over this library, with an empty player.
    pub(crate) async fn start(music: &MusicLibrary) -> Self {
        Self::start_with(music, 1, "").await
    }

    /// The same with so many players, and this in the daemon's configuration.
    pub(crate) async fn start_with(music: &MusicLibrary, players: usize, config: &str) -> Self {
        let player =
            || TempDir::with_prefix("tandem-player-").expect("the temporary directory can be written");
        let players: Vec<TempDir> = (0..players).map(|_| player()).collect();
        let mut builder = Daemon::builder().music(music.dir()).config(config);
        for player in &players {
            builder = builder.folder(player.path());
        }
        let daemon = builder.start().await;
        let client = daemon.connect().await;
        Self { daemon, client, players }
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

    async fn device_path(&self, number: u32) -> OwnedObjectPath {
        let all = |count: &u32| usize::try_from(*count) == Ok(self.players.len());
        wait_for_property(&self.client, names::ROOT_PATH, names::SERVICES, "DeviceCount", all).await;
        self.services().await.get_device(number).await.expect("the device is known")
    }

    /// The first player, once nothing goes on there.
    pub(crate) async fn device(&self) -> DeviceProxy<'static> {
        self.device_at(0).await
    }

    /// The player with this number, once nothing goes on there.
    pub(crate) async fn device_at(&self, number: u32) -> DeviceProxy<'static> {
        let path = self.device_path(number).await;
        let stopped = |state: &String| state == "stopped";
        wait_for_property(&self.client, &path, names::DEVICE, "SyncState", stopped).await;
        let builder = DeviceProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a device has a proxy")
    }

    /// Partners the player with one playlist of the whole library; nothing runs by itself from then on.
    pub(crate) async fn partner_with_everything(&self, music: &MusicLibrary) -> DeviceProxy<'static> {
        let mut devices = self.partner_all_with_everything(music).await;
        devices.swap_remove(0)
    }

    /// The same with all players.
    pub(crate) async fn partner_all_with_everything(
        &self,
        music: &MusicLibrary,
    ) -> Vec<DeviceProxy<'static>> {
        let library = self.library().await;
        let path = library.create_playlist("Everything", &[]).await.expect("a playlist can be made");
        let mut devices = Vec::new();
        for number in 0..self.players.len() {
            let number = u32::try_from(number).expect("sixteen players fit into a u32");
            devices.push(self.partner(number, &path).await);
        }
        let playlist =
            PlaylistProxy::builder(&self.client).path(path).build().await.expect("a playlist has a proxy");
        let uris: Vec<String> = others::files(music.dir()).iter().map(|path| music.uri(path)).collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        for batch in uris.chunks(BATCH) {
            playlist.append(batch).await.expect("a static playlist can be edited");
        }
        devices
    }

    async fn partner(&self, number: u32, playlist: &OwnedObjectPath) -> DeviceProxy<'static> {
        let device = self.device_at(number).await;
        let playlists = Variant::from(vec![playlist.clone()]);
        device
            .create_partnership(HashMap::from([("playlists", &playlists)]))
            .await
            .expect("a device without a partnership takes one");
        let made = |status: &String| status == "partnership-exists";
        wait_for_property(&self.client, device.inner().path(), names::DEVICE, "Status", made).await;
        device.set_sync_on_connect(false).await.expect("a partnership has this setting");
        self.device_at(number).await
    }

    /// Runs all players at once; tells how long that took.
    pub(crate) async fn timed_runs(&self, devices: &[DeviceProxy<'_>]) -> Duration {
        let mut events = self.daemon.events().await;
        let begun = Instant::now();
        for device in devices {
            device.start().await.expect("a run can be started");
        }
        for _ in devices {
            events.wait_until(|message| is_state(message, "stopped")).await;
        }
        begun.elapsed()
    }

    /// Runs, and tells how long it took from the call to the event, as a client sees it.
    pub(crate) async fn timed_run(&self, device: &DeviceProxy<'_>) -> Duration {
        self.timed_runs(std::slice::from_ref(device)).await
    }

    /// Processor time that the daemon has used so far.
    pub(crate) fn daemon_time(&self) -> Duration {
        let pid = self.daemon.pid().expect("the daemon runs");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the daemon runs");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks =
            |field: usize| after_name.split_whitespace().nth(field).and_then(|word| word.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map_or(0, |(user, system)| user + system);
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// What the daemon's log says last of this message's `microseconds`.
    pub(crate) fn logged(&self, message: &str) -> Duration {
        let log = self.daemon.stderr();
        let line = log.lines().rfind(|line| line.contains(message) && line.contains("microseconds="));
        let line = line.unwrap_or_else(|| panic!("the log says `{message}`"));
        let digits = line.split("microseconds=").nth(1).unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        Duration::from_micros(digits.parse().expect("a number of microseconds is logged"))
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
