//! A daemon with a library and a player that holds files of its user's own, and what must be true of that player whenever
//! a run has ended.

use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, PlaylistProxy, ServicesProxy};
use kit::{Daemon, MusicLibrary, Tree, wait_for_property, write_file};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant};

/// Where the daemon puts music on a folder player.
const MUSIC: &str = "Music";
/// Where it puts playlists.
const PLAYLISTS: &str = "Playlists";

/// The user's own files: inode and modification time of each, size and hash.
type Own = BTreeMap<PathBuf, ((u64, i64, i64), (u64, u128))>;

/// A daemon with one player and a library.
pub struct Stage {
    /// The daemon.
    pub daemon: Daemon,
    /// A client's connection; it outlives the daemon.
    pub client: Connection,
    /// The library's files.
    pub music: MusicLibrary,
    /// The player's files.
    pub player: TempDir,
    /// The player's path, the same over all restarts.
    pub device: OwnedObjectPath,
    own: Own,
}

impl Stage {
    /// Starts one with this many tracks of this size, and waits until the player is there and the library is scanned. Among
    /// the user's own files is one with the name that a track would get.
    ///
    /// # Panics
    /// When that doesn't come to pass.
    pub async fn start(tracks: usize, size: u64) -> Self {
        let music = MusicLibrary::with_tracks(tracks, size);
        let player = kit::player_dir();
        write_file(
            &player.path().join("Music/Artist 00/Album 00/00003 Title.mp3"),
            b"not ours, but so named",
        );
        write_file(&player.path().join("Playlists/Own.m3u8"), b"#EXTM3U\n../Music/Own song.mp3\n");
        let own = own_files(player.path());
        let daemon = Daemon::builder().folder(player.path()).music(music.dir()).start().await;
        let client = daemon.connect().await;
        let one = |count: &u32| *count == 1;
        wait_for_property(&client, names::ROOT_PATH, names::SERVICES, "DeviceCount", one).await;
        let services = ServicesProxy::new(&client).await.expect("the contract's names are legal");
        let device = services.get_device(0).await.expect("one device is known");
        let stage = Self { daemon, client, music, player, device, own };
        stage.wait_until_stopped().await;
        let library = stage.library().await;
        let count = library.track_count().await.expect("the library tells its size");
        assert_eq!(usize::try_from(count), Ok(tracks), "all tracks were found");
        stage
    }

    /// The player, without a cache: what it tells is true now.
    ///
    /// # Panics
    /// When there is no proxy of it.
    pub async fn proxy(&self) -> DeviceProxy<'static> {
        let builder = DeviceProxy::builder(&self.client).path(self.device.clone());
        builder.cache_properties(CacheProperties::No).build().await.expect("a device has a proxy")
    }

    /// The library, once it has been scanned; a restarted daemon shows it and its playlists from then on.
    ///
    /// # Panics
    /// When it can't be had.
    pub async fn library(&self) -> LibraryProxy<'static> {
        let services = ServicesProxy::new(&self.client).await.expect("the contract's names are legal");
        let path = services.get_library().await.expect("a user has a library");
        let scanned = |time: &u64| *time > 0;
        wait_for_property(&self.client, &path, names::LIBRARY, "LastScanTime", scanned).await;
        wait_for_property(&self.client, &path, names::LIBRARY, "Scanning", |scanning: &bool| !scanning).await;
        let builder = LibraryProxy::builder(&self.client).path(path);
        builder.cache_properties(CacheProperties::No).build().await.expect("a library has a proxy")
    }

    /// The URI of the library's track with this number, as [`MusicLibrary::with_tracks`] names it.
    #[must_use]
    pub fn track(&self, number: usize) -> String {
        self.music.uri(format!("Artist {:02}/Album {:02}/{number:05} Title.mp3", number / 100, number / 10))
    }

    /// Makes a playlist of these tracks.
    ///
    /// # Panics
    /// When the daemon refuses.
    pub async fn playlist(&self, name: &str, tracks: impl IntoIterator<Item = usize>) -> OwnedObjectPath {
        let library = self.library().await;
        let uris: Vec<String> = tracks.into_iter().map(|number| self.track(number)).collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        library.create_playlist(name, &uris).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Takes so many tracks from a playlist's beginning, and appends others.
    ///
    /// # Panics
    /// When the daemon refuses.
    pub async fn edit(
        &self,
        playlist: &OwnedObjectPath,
        remove: u32,
        append: impl IntoIterator<Item = usize>,
    ) {
        self.library().await;
        let builder = PlaylistProxy::builder(&self.client).path(playlist.clone());
        let proxy = builder.build().await.expect("a playlist has a proxy");
        if remove > 0 {
            proxy.remove(0, remove).await.unwrap_or_else(|error| panic!("{playlist}: {error}"));
        }
        let uris: Vec<String> = append.into_iter().map(|number| self.track(number)).collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        proxy.append(&uris).await.unwrap_or_else(|error| panic!("{playlist}: {error}"));
    }

    /// Asks for a partnership with these playlists.
    ///
    /// # Errors
    /// What the daemon answers, or that it is gone.
    pub async fn ask_for_partnership(&self, playlists: &[OwnedObjectPath]) -> zbus::Result<()> {
        let playlists = Variant::from(playlists.to_vec());
        self.proxy().await.create_partnership(HashMap::from([("playlists", &playlists)])).await
    }

    /// Makes a partnership with these playlists, and waits until it is there.
    ///
    /// # Panics
    /// When it isn't made.
    pub async fn partner(&self, playlists: &[OwnedObjectPath]) {
        self.ask_for_partnership(playlists).await.unwrap_or_else(|error| panic!("no partnership: {error}"));
        let made = |status: &String| status == "partnership-exists";
        wait_for_property(&self.client, &self.device, names::DEVICE, "Status", made).await;
    }

    /// Waits until the player is there and no run goes on.
    pub async fn wait_until_stopped(&self) {
        let stopped = |state: &String| state == "stopped";
        wait_for_property(&self.client, &self.device, names::DEVICE, "SyncState", stopped).await;
    }

    /// Kills the library agent with SIGKILL, if it runs.
    ///
    /// # Panics
    /// When the daemon doesn't run.
    pub fn kill_agent(&self) {
        let daemon = self.daemon.pid().expect("the daemon runs");
        for pid in children_of(daemon) {
            // one that has ended by itself needs no killing
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }

    /// Starts runs until one has nothing more to do, or none has come nearer to that.
    ///
    /// # Panics
    /// When the player isn't in step after five runs.
    pub async fn run_until_in_step(&self) {
        let device = self.proxy().await;
        for _ in 0..5 {
            let mut events = self.daemon.events().await;
            device.start().await.unwrap_or_else(|error| panic!("no run: {error}"));
            if device.sync_state().await.is_ok_and(|state| state != "stopped") {
                events.wait_until(is_end_of_run).await;
            }
            if device.preview().await.is_ok_and(|left| left.iter().all(is_skipped)) {
                return;
            }
        }
        panic!("not in step: {:?}", device.preview().await);
    }

    /// Holds the player against the library: each of these tracks is there once with identical bytes, every line of every
    /// playlist leads to a file, the playlist of this name holds the tracks in their order, nothing foreign has changed,
    /// and nothing temporary is left.
    ///
    /// # Panics
    /// When any of that isn't so.
    pub fn check(&self, playlist: &str, tracks: &[usize]) {
        self.check_own();
        let library = kit::tree(self.music.dir());
        let there = kit::tree(self.player.path());
        let ours: Tree = there.into_iter().filter(|(path, _)| !self.own.contains_key(path)).collect();
        let on_player: Vec<_> =
            ours.iter().filter(|(path, _)| path.starts_with(MUSIC)).map(|(_, facts)| *facts).collect();
        let wanted: Vec<_> = tracks.iter().map(|number| library[&self.source(*number)]).collect();
        assert_eq!(
            on_player.iter().collect::<BTreeSet<_>>(),
            wanted.iter().collect::<BTreeSet<_>>(),
            "the tracks on the player are not those of the library"
        );
        assert_eq!(on_player.len(), wanted.iter().collect::<BTreeSet<_>>().len(), "a track is there twice");
        for path in ours.keys().filter(|path| !path.starts_with(MUSIC)) {
            let known = path.starts_with(PLAYLISTS) || path == Path::new("WMPInfo.xml");
            assert!(known, "{} is left on the player", path.display());
        }
        let place = Path::new(PLAYLISTS).join(format!("{playlist}.m3u8"));
        let in_order: Vec<_> = self.entries(&place).iter().map(|path| ours[path]).collect();
        assert_eq!(in_order, wanted, "{} does not hold the playlist's tracks", place.display());
    }

    /// Holds the user's own files against what they were: the same files with the same bytes.
    ///
    /// # Panics
    /// When one isn't.
    pub fn check_own(&self) {
        let now = own_files(self.player.path());
        for (path, facts) in &self.own {
            assert_eq!(now.get(path), Some(facts), "{} is the user's own", path.display());
        }
    }

    /// From now on everything that is on the player, but the mark, counts as foreign.
    pub fn call_everything_foreign(&mut self) {
        self.own = own_files(self.player.path());
        self.own.remove(Path::new("WMPInfo.xml"));
    }

    /// Holds every playlist on the player to naming only files that are there.
    ///
    /// # Panics
    /// When one doesn't.
    pub fn check_playlists_resolve(&self) {
        let playlists = kit::tree(self.player.path()).into_keys();
        let playlists = playlists.filter(|path| path.extension().is_some_and(|end| end == "m3u8"));
        let entries: usize = playlists.map(|path| self.entries(&path).len()).sum();
        assert!(entries > 0, "there are playlists, and something in them");
    }

    fn source(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("Artist {:02}/Album {:02}/{number:05} Title.mp3", number / 100, number / 10))
    }

    /// Where the lines of a playlist on the player lead, from the player's root.
    fn entries(&self, playlist: &Path) -> Vec<PathBuf> {
        let text = std::fs::read_to_string(self.player.path().join(playlist))
            .unwrap_or_else(|error| panic!("{}: {error}", playlist.display()));
        let folder = playlist.parent().expect("a playlist lies in a folder");
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let file = self.player.path().join(folder).join(line);
                let file =
                    file.canonicalize().unwrap_or_else(|error| panic!("{line} leads nowhere: {error}"));
                let root = self.player.path().canonicalize().expect("the player is there");
                file.strip_prefix(&root)
                    .unwrap_or_else(|_| panic!("{line} leads out of the player"))
                    .to_owned()
            })
            .collect()
    }
}

/// Whether a line of a preview tells of something that won't be done.
fn is_skipped(line: &HashMap<String, OwnedVariant>) -> bool {
    line.get("action").is_some_and(|action| <&str>::try_from(action).is_ok_and(|action| action == "skip"))
}

fn own_files(player: &Path) -> Own {
    let identity = |path: &Path| {
        let facts = player.join(path).symlink_metadata();
        let facts = facts.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (facts.ino(), facts.mtime(), facts.mtime_nsec())
    };
    kit::tree(player).into_iter().map(|(path, facts)| (path.clone(), (identity(&path), facts))).collect()
}

fn is_end_of_run(message: &zbus::Message) -> bool {
    let is_change =
        message.header().member().is_some_and(|member| member.as_str() == "DeviceSyncStateChange");
    is_change
        && message
            .body()
            .deserialize::<(OwnedObjectPath, String)>()
            .is_ok_and(|(_, state)| state == "stopped")
}

/// The processes whose parent this is.
fn children_of(parent: u32) -> Vec<rustix::process::Pid> {
    let processes = std::fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(is_child).filter_map(rustix::process::Pid::from_raw).collect()
}
