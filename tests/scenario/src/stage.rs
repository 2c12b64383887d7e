//! A daemon on a private bus with a library and players, and what a user does with them. Every wait is for what the
//! daemon says.

use crate::{Player, WantedPlaylist, out_of_step, path_of};
use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, PlaylistProxy, ServicesProxy};
use kit::{Daemon, DaemonBuilder, Events, LIMIT, MusicLibrary};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, OwnedObjectPath, Variant};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What became of each item: media, `synchronized` or an item error, message.
    pub results: Vec<(String, String, String)>,
    /// `DeviceSyncError` while it ran: media, error, message.
    pub errors: Vec<(String, String, String)>,
}

impl Ended {
    /// The media with this result, sorted.
    #[must_use]
    pub fn with(&self, result: &str) -> Vec<&str> {
        let mut media: Vec<_> = self
            .results
            .iter()
            .filter(|(_, found, _)| found == result)
            .map(|(media, _, _)| &**media)
            .collect();
        media.sort_unstable();
        media
    }

    /// The error of the whole run, if it had one.
    #[must_use]
    pub fn failure(&self) -> Option<(&str, &str)> {
        let whole = self.errors.iter().rev().find(|(media, _, _)| media.is_empty());
        whole.map(|(_, error, message)| (&**error, &**message))
    }
}

/// All that a scenario plays on.
pub struct Stage {
    /// The daemon.
    pub daemon: Daemon,
    /// A client's connection.
    pub client: Connection,
    /// The library's files.
    pub music: MusicLibrary,
    /// The players.
    pub players: Vec<Player>,
}

impl Stage {
    /// A library of so many tracks of 20 kB, and one player that is a directory.
    pub async fn with_tracks(count: usize) -> Self {
        Self::with(MusicLibrary::with_tracks(count, 20_000), vec![Player::new()]).await
    }

    /// This library and these players.
    pub async fn with(music: MusicLibrary, players: Vec<Player>) -> Self {
        Self::configured(music, players, |builder| builder).await
    }

    /// The same, with a daemon that is started in a way of its own.
    pub async fn configured(
        music: MusicLibrary,
        mut players: Vec<Player>,
        configure: impl FnOnce(DaemonBuilder) -> DaemonBuilder,
    ) -> Self {
        let mut builder = configure(Daemon::builder().music(music.dir()));
        for player in &players {
            builder = builder.folder(player.path());
        }
        let daemon = builder.start().await;
        let client = daemon.connect().await;
        let all = |count: &u32| *count as usize >= players.len();
        kit::wait_for_property(&client, names::ROOT_PATH, names::SERVICES, "DeviceCount", all).await;
        for device in devices(&client).await {
            let name = device.device_name().await.expect("a device has a name");
            let player = players.iter_mut().find(|player| player.path().ends_with(&name));
            player.unwrap_or_else(|| panic!("nobody's device: {name}")).is(device);
        }
        let stage = Self { daemon, client, music, players };
        for player in &stage.players {
            stage.idle(player).await;
        }
        stage.library().await;
        stage
    }

    /// The only player, or the first.
    #[must_use]
    pub fn player(&self) -> &Player {
        &self.players[0]
    }

    /// Its object on the bus.
    #[must_use]
    pub fn device(&self) -> &DeviceProxy<'static> {
        self.player().device()
    }

    /// The user's library, once it has been scanned.
    ///
    /// # Panics
    /// When it can't be had.
    pub async fn library(&self) -> LibraryProxy<'static> {
        let services = ServicesProxy::new(&self.client).await.expect("the contract's names are legal");
        let path = services.get_library().await.expect("a user has a library");
        let scanned = |time: &u64| *time > 0;
        kit::wait_for_property(&self.client, &path, names::LIBRARY, "LastScanTime", scanned).await;
        kit::wait_for_property(&self.client, &path, names::LIBRARY, "Scanning", |scanning: &bool| !scanning)
            .await;
        let builder = LibraryProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a library has a proxy")
    }

    /// Waits until the library has noticed that it holds so many tracks.
    pub async fn library_has(&self, tracks: u32) {
        let path = self.library().await.inner().path().to_owned();
        let noticed = |count: &u32| *count == tracks;
        kit::wait_for_property(&self.client, &path, names::LIBRARY, "TrackCount", noticed).await;
    }

    /// The process of the user's library agent.
    ///
    /// # Panics
    /// When the daemon has none.
    #[must_use]
    pub fn agent(&self) -> rustix::process::Pid {
        let daemon = self.daemon.pid().expect("the daemon runs");
        let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).expect("a process has threads");
        let children =
            tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids: Vec<i32> = children
            .flat_map(|line| line.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
            .collect();
        let pid = pids.first().copied();
        pid.and_then(rustix::process::Pid::from_raw).expect("a library in use has its agent")
    }

    /// Has the library scanned anew, and waits for the end of it.
    ///
    /// # Panics
    /// When it can't be.
    pub async fn scan(&self) -> LibraryProxy<'static> {
        self.library().await.scan().await.expect("a library can be scanned");
        self.library().await
    }

    /// The playlist at this path.
    ///
    /// # Panics
    /// When it has no proxy.
    pub async fn playlist_at(&self, path: OwnedObjectPath) -> PlaylistProxy<'static> {
        let builder = PlaylistProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a playlist has a proxy")
    }

    /// The library's playlist of this name.
    ///
    /// # Panics
    /// When there is none.
    pub async fn playlist(&self, name: &str) -> PlaylistProxy<'static> {
        let path = self.library().await.get_playlist(name).await;
        self.playlist_at(path.unwrap_or_else(|error| panic!("{name}: {error}"))).await
    }

    /// Makes a static playlist of these files of the library.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn new_playlist(&self, name: &str, files: &[impl AsRef<Path>]) -> PlaylistProxy<'static> {
        let uris: Vec<String> = files.iter().map(|file| self.music.uri(file)).collect();
        let media: Vec<&str> = uris.iter().map(String::as_str).collect();
        let path = self.library().await.create_playlist(name, &media).await;
        self.playlist_at(path.unwrap_or_else(|error| panic!("{name}: {error}"))).await
    }

    /// Makes a static playlist of every file of the library, by path.
    pub async fn playlist_of_all(&self, name: &str) -> PlaylistProxy<'static> {
        let files: Vec<_> = kit::tree(self.music.dir()).into_keys().collect();
        self.new_playlist(name, &files).await
    }

    /// Waits until the player is there and nothing goes on.
    pub async fn idle(&self, player: &Player) {
        let path = player.device().inner().path();
        let stopped = |state: &String| state == "stopped";
        kit::wait_for_property(&self.client, path, names::DEVICE, "SyncState", stopped).await;
    }

    /// Partners the player with these playlists and waits for the end of the first run.
    ///
    /// # Panics
    /// When it can't be partnered.
    pub async fn partner(&self, player: &Player, playlists: &[&PlaylistProxy<'_>]) -> Ended {
        let mut events = self.daemon.events().await;
        self.create_partnership(player, playlists, &mut events).await;
        self.end_of_run(player, &mut events).await
    }

    /// Partners the player with these playlists; its first run begins.
    ///
    /// # Panics
    /// When it can't be partnered.
    pub async fn create_partnership(
        &self,
        player: &Player,
        playlists: &[&PlaylistProxy<'_>],
        events: &mut Events,
    ) {
        let paths: Vec<_> = playlists.iter().map(|playlist| playlist.inner().path().clone()).collect();
        let paths = Variant::from(paths);
        let made = player.device().create_partnership(HashMap::from([("playlists", &paths)])).await;
        made.unwrap_or_else(|error| panic!("the partnership was refused: {error}"));
        let complete = events.wait_for("CreatePartnershipComplete").await;
        let (_, success, error, text): (OwnedObjectPath, bool, String, String) =
            complete.body().deserialize().expect("the event is as the contract has it");
        assert!(success, "{error}: {text}");
    }

    /// From here on the player is synchronised only when it is asked for.
    ///
    /// # Panics
    /// When the daemon refuses.
    pub async fn by_hand(&self, player: &Player) {
        player.device().set_sync_on_connect(false).await.expect("a partnered device has settings");
        self.idle(player).await;
    }

    /// Starts a run of a player that is synchronised by hand, and waits for its end.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn run(&self, player: &Player) -> Ended {
        let mut events = self.daemon.events().await;
        player.device().start().await.unwrap_or_else(|error| panic!("it did not start: {error}"));
        self.end_of_run(player, &mut events).await
    }

    /// Waits for the beginning and the end of a run.
    ///
    /// # Panics
    /// When they don't come.
    pub async fn end_of_run(&self, player: &Player, events: &mut Events) -> Ended {
        events.wait_until(|message| new_state(message, player) == "synchronizing").await;
        self.end_of_this_run(player, events).await
    }

    /// Waits for the end of the run whose beginning has been told already.
    ///
    /// # Panics
    /// When it doesn't come.
    pub async fn end_of_this_run(&self, player: &Player, events: &mut Events) -> Ended {
        let mut errors = Vec::new();
        loop {
            let message = events.next().await;
            if matches!(&*new_state(&message, player), "stopped" | "unknown") {
                break;
            }
            if message.header().member().is_some_and(|member| member.as_str() == "DeviceSyncError") {
                let (device, media, error, text): (OwnedObjectPath, String, String, String) =
                    message.body().deserialize().expect("the event is as the contract has it");
                if device.as_str() == player.device().inner().path().as_str() {
                    errors.push((media, error, text));
                }
            }
        }
        let results = player.device().get_sync_results().await.expect("a run has results");
        Ended { results, errors }
    }

    /// Waits until the player holds all that is assigned to it, and nothing else.
    ///
    /// # Panics
    /// When that doesn't come to pass; the message says what is wrong.
    pub async fn in_step(&self, player: &Player) {
        self.in_step_but(player, &[]).await;
    }

    /// The same, where these media can't be on the player.
    ///
    /// # Panics
    /// When that doesn't come to pass; the message says what is wrong.
    pub async fn in_step_but(&self, player: &Player, left_out: &[&str]) {
        let mut events = self.daemon.events().await;
        let mut wrong = Vec::new();
        let wait = async {
            loop {
                self.idle(player).await;
                wrong = self.wrong_on(player, left_out).await;
                if wrong.is_empty() {
                    return;
                }
                events.wait_until(|message| new_state(message, player) == "stopped").await;
            }
        };
        if tokio::time::timeout(LIMIT * 3 / 4, wait).await.is_err() {
            wrong.truncate(20);
            panic!("not in step:\n{}", wrong.join("\n"));
        }
    }

    /// What is wrong on the player now, and in the results of its last run.
    async fn wrong_on(&self, player: &Player, left_out: &[&str]) -> Vec<String> {
        let device = player.device();
        let (wanted, media) = self.wanted(player, left_out).await;
        let mut wrong = out_of_step(&wanted, player.path(), player.before());
        let results = device.get_sync_results().await.expect("a partnered device has results");
        let there: BTreeSet<_> =
            results.iter().filter(|(_, word, _)| word == "synchronized").map(|row| &row.0).collect();
        wrong.extend(media.iter().filter(|uri| !there.contains(uri)).map(|uri| format!("no result: {uri}")));
        let too_much = there.iter().filter(|uri| !media.contains(**uri));
        wrong.extend(too_much.map(|uri| format!("`synchronized`, but shouldn't be there: {uri}")));
        if !device.safe_to_remove().await.expect("a device has properties") {
            wrong.push("it is not safe to remove".to_owned());
        }
        wrong
    }

    /// The playlists that are assigned to the player, with those of their tracks that exist and aren't left out, and
    /// these tracks' URIs.
    async fn wanted(&self, player: &Player, left_out: &[&str]) -> (Vec<WantedPlaylist>, BTreeSet<String>) {
        let index = player.device().partnership_index().await.expect("a device has properties");
        let mut wanted = Vec::new();
        let mut media = BTreeSet::new();
        for path in self.library().await.get_playlists().await.expect("a library has playlists") {
            let playlist = self.playlist_at(path).await;
            let priorities = playlist.sync_priorities().await.expect("a playlist has properties");
            if !priorities.contains_key(&index) {
                continue;
            }
            let items = playlist.get_items(0, 0).await.expect("a playlist has items");
            let can_be = |uri: &&String| {
                let is_file = path_of(uri).symlink_metadata().is_ok_and(|file| file.is_file());
                is_file && !left_out.contains(&uri.as_str())
            };
            let items: Vec<String> = items.iter().filter(can_be).cloned().collect();
            let tracks = items.iter().map(|uri| path_of(uri)).collect();
            wanted
                .push(WantedPlaylist { name: playlist.name().await.expect("a playlist has a name"), tracks });
            media.extend(items);
        }
        (wanted, media)
    }
}

/// The devices that the daemon knows.
async fn devices(client: &Connection) -> Vec<DeviceProxy<'static>> {
    let services = ServicesProxy::new(client).await.expect("the contract's names are legal");
    let mut devices = Vec::new();
    for path in services.get_devices().await.expect("devices can be listed") {
        let builder = DeviceProxy::builder(client).path(path);
        let device = builder.cache_properties(CacheProperties::No).build().await;
        devices.push(device.expect("a device has a proxy"));
    }
    devices
}

/// The new state that this signal announces for the player; empty for any other signal.
fn new_state(message: &Message, player: &Player) -> String {
    let header = message.header();
    if header.member().is_none_or(|member| member.as_str() != "DeviceSyncStateChange") {
        return String::new();
    }
    let (device, state): (OwnedObjectPath, String) =
        message.body().deserialize().expect("the event is as the contract has it");
    if device.as_str() == player.device().inner().path().as_str() { state } else { String::new() }
}
