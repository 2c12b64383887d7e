//! Proves that a player which a service provider serves is kept in step: partnered, changed, its provider killed in the
//! middle, and in step again by itself; and that one which can't be synchronised says what is missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::names;
use dbus_interfaces::provider::PROVIDER;
use dbus_interfaces::proxies::{DeviceProxy, PlaylistProxy, ServicesProxy};
use kit::{Daemon, MusicLibrary, Tree, program, started, track, tracks, write_file};
use scenario::{Stage, refusal};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use zbus::proxy::CacheProperties;
use zbus::{ObjectPath, Variant};

const BUS_NAME: &str = "org.example.DirectoryPlayer";

/// A player that is a directory, served by the example's process.
struct Provided {
    stage: Stage,
    root: TempDir,
    process: Child,
    device: DeviceProxy<'static>,
}

async fn provider(daemon: &Daemon, root: &Path) -> Child {
    let mut command = Command::new(program("examples/directory_player"));
    started(daemon.bus(), BUS_NAME, command.arg(root).arg("--register")).await
}

async fn only_device(stage: &Stage) -> DeviceProxy<'static> {
    let one = |count: &u32| *count == 1;
    kit::wait_for_property(&stage.client, names::ROOT_PATH, names::SERVICES, "DeviceCount", one).await;
    let services = ServicesProxy::new(&stage.client).await.unwrap();
    let path = services.get_device(0).await.unwrap();
    let builder = DeviceProxy::builder(&stage.client).path(path);
    builder.cache_properties(CacheProperties::No).build().await.unwrap()
}

impl Provided {
    async fn start(music: MusicLibrary) -> Self {
        let stage = Stage::with(music, Vec::new()).await;
        let root = TempDir::with_prefix("tandem-provided-").unwrap();
        write_file(&root.path().join("Music/Own song.mp3"), b"the user's own song");
        let process = provider(&stage.daemon, root.path()).await;
        let device = only_device(&stage).await;
        let provided = Self { stage, root, process, device };
        provided.wait("SyncState", "stopped").await;
        provided
    }

    async fn wait(&self, property: &str, wanted: &'static str) {
        let path = self.device.inner().path();
        let is_it = |state: &String| state == wanted;
        kit::wait_for_property(&self.stage.client, path, names::DEVICE, property, is_it).await;
    }

    async fn partner(&self, playlist: &PlaylistProxy<'_>) {
        let paths = Variant::from(vec![playlist.inner().path().clone()]);
        let mut events = self.stage.daemon.events().await;
        self.device.create_partnership(HashMap::from([("playlists", &paths)])).await.unwrap();
        let complete = events.wait_for("CreatePartnershipComplete").await;
        let (_, success, error, text): (zbus::OwnedObjectPath, bool, String, String) =
            complete.body().deserialize().unwrap();
        assert!(success, "{error}: {text}");
    }

    /// What is on the player below `Music`, but the user's own.
    fn content(&self) -> Tree {
        let mut tree = kit::tree(&self.root.path().join("Music"));
        assert!(tree.remove(Path::new("Own song.mp3")).is_some(), "the user's own song is gone");
        tree
    }

    /// Waits until the player holds exactly these files of the library.
    async fn in_step(&self, files: &[String]) {
        let wanted: BTreeMap<_, _> =
            files.iter().map(|file| (kit::file_facts(&self.stage.music.path(file)).unwrap(), file)).collect();
        let mut events = self.stage.daemon.events().await;
        let wait = async {
            loop {
                self.wait("SyncState", "stopped").await;
                let content = self.content();
                let right =
                    content.len() == files.len() && content.values().all(|facts| wanted.contains_key(facts));
                if right {
                    return;
                }
                events.wait_for("DeviceSyncStateChange").await;
            }
        };
        let done = tokio::time::timeout(kit::LIMIT, wait).await;
        assert!(done.is_ok(), "not in step: {:?}\n{}", self.content(), self.stage.daemon.stderr());
        let temporary = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "part");
        assert!(!kit::tree(self.root.path()).keys().any(temporary), "a temporary file is left");
    }
}

#[tokio::test]
async fn a_provided_player_is_kept_in_step_though_its_provider_is_killed() {
    let mut provided = Provided::start(MusicLibrary::with_tracks(60, 4_000_000)).await;
    assert_eq!(provided.device.kind().await.unwrap(), "provider");
    assert_eq!(provided.device.status().await.unwrap(), "new-device");
    let mix = provided.stage.new_playlist("Mix", &tracks(0..6)).await;
    provided.partner(&mix).await;
    provided.in_step(&tracks(0..6)).await;
    mix.remove(0, 2).await.unwrap();
    mix.append(&[&provided.stage.music.uri(track(8))]).await.unwrap();
    let now: Vec<String> = tracks(2..6).into_iter().chain(tracks(8..9)).collect();
    provided.in_step(&now).await;
    // many more, and the provider dies while they come
    let mut events = provided.stage.daemon.events().await;
    let more: Vec<String> = tracks(10..60).iter().map(|file| provided.stage.music.uri(file)).collect();
    mix.append(&more.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let path = provided.device.inner().path().to_owned();
    let under_way = |bytes: &u64| *bytes > 1_000_000;
    kit::wait_for_property(&provided.stage.client, &path, names::DEVICE, "BytesDone", under_way).await;
    provided.process.kill().await.unwrap();
    events.wait_for("DeviceDisconnect").await;
    assert!(!provided.device.connected().await.unwrap());
    assert_eq!(provided.device.status().await.unwrap(), "partnership-exists");
    assert!(provided.content().len() < 55, "it was killed in the middle");
    provided.process = provider(&provided.stage.daemon, provided.root.path()).await;
    events.wait_for("DeviceConnect").await;
    let all: Vec<String> = now.into_iter().chain(tracks(10..60)).collect();
    provided.in_step(&all).await;
    assert_eq!(only_device(&provided.stage).await.inner().path(), &path, "it is the same device");
}

#[tokio::test]
async fn a_player_whose_provider_serves_it_by_hand_only_says_why() {
    let stage = Stage::with(MusicLibrary::with_tracks(1, 20_000), Vec::new()).await;
    let provider = stage.daemon.connect().await;
    let services = ServicesProxy::new(&provider).await.unwrap();
    let root = ObjectPath::try_from("/org/example/ByHand").unwrap();
    services.register_provider("By hand", &root, HashMap::new()).await.unwrap();
    let identity = HashMap::from([("canonical-name", Variant::from("by hand 1"))]);
    let mut events = stage.daemon.events().await;
    let heard = async {
        loop {
            // the daemon listens some time after the registration
            let none: Option<&str> = None;
            provider.emit_signal(none, &root, PROVIDER, "DeviceArrived", &identity).await.unwrap();
            let connected = events.wait_for("DeviceConnect");
            if tokio::time::timeout(Duration::from_millis(100), connected).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(kit::LIMIT, heard).await.unwrap();
    let device = only_device(&stage).await;
    let manual = |status: &String| status == "manual-device";
    kit::wait_for_property(&stage.client, device.inner().path(), names::DEVICE, "Status", manual).await;
    let (word, text) = refusal(device.create_partnership(HashMap::new()).await.unwrap_err());
    assert_eq!(word, "ManualDevice");
    assert!(text.contains("UseExtendedWmdm"), "{text}");
    services.unregister_provider("By hand").await.unwrap();
    events.wait_for("DeviceDisconnect").await;
}
