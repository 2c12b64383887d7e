//! Proves on a private system bus, with the daemon and its owner as root and a stranger of another user, that nothing
//! of the owner's media, playlists and folders reaches the stranger, by signals or by asking. systemd is a mock that
//! starts the real library agent, and polkit one that is asked no more than it has to be. Only root can become somebody
//! else; for others the test has nothing to prove.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, ServicesProxy};
use kit::{Daemon, LIMIT, MusicLibrary, PrivateBus};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zbus::proxy::CacheProperties;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, connection, interface};

/// `nobody`: the bus takes only users that exist, and this one owns nothing.
const STRANGER: &str = "65534";

/// What all names of the owner's hold.
const SECRET: &str = "Hush";

/// What the mocks of systemd and polkit need besides the installed policy.
const MOCKS_POLICY: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root">
    <allow own="org.freedesktop.systemd1"/>
    <allow send_destination="org.freedesktop.systemd1"/>
    <allow own="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
</busconfig>
"#;

/// Starts library agents as their unit would.
struct Systemd {
    socket: PathBuf,
    state: PathBuf,
    agents: Arc<Mutex<Vec<Child>>>,
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Systemd {
    fn start_unit(&self, name: String, mode: String) -> zbus::fdo::Result<OwnedObjectPath> {
        assert_eq!((name.as_str(), mode.as_str()), ("tandem-library@0.service", "replace"));
        let agent = Command::new(kit::program("tandem-library-agent"))
            .arg("--connect")
            .arg(&self.socket)
            .arg("--state")
            .arg(&self.state)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| zbus::fdo::Error::Failed(error.to_string()))?;
        self.agents.lock().unwrap().push(agent);
        Ok(ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1/job/1").into())
    }
}

/// What polkit was asked (the connection is always the stranger's), and what it answers.
#[derive(Default)]
struct Polkit {
    asked: Mutex<Vec<(String, u32)>>,
    allow: AtomicBool,
}

struct Authority(Arc<Polkit>);

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        cancellation_id: String,
    ) -> (bool, bool, HashMap<String, String>) {
        assert_eq!(subject.0, "system-bus-name", "a process id could be another's by now");
        assert!(subject.1.contains_key("name") && details.is_empty() && cancellation_id.is_empty());
        self.0.asked.lock().unwrap().push((action, flags));
        (self.0.allow.load(Ordering::SeqCst), true, HashMap::new())
    }
}

/// A program of the stranger's.
fn strange(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()];
    command.args(ids).arg(program).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a call of the stranger's is answered, result or error.
async fn answer(bus: &str, path: &str, method: &str, arguments: &[&str]) -> String {
    let call = strange("gdbus")
        .args([
            "call",
            "--address",
            bus,
            "--dest",
            names::BUS_NAME,
            "--object-path",
            path,
            "--method",
            method,
        ])
        .args(arguments)
        .output();
    let output = timeout(LIMIT, call).await.expect("a call is answered").unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Starts listening as the stranger; returns once it does.
async fn listen(bus: &str) -> (Child, BufReader<tokio::process::ChildStdout>) {
    let mut monitor = strange("gdbus")
        .args(["monitor", "--address", bus, "--dest", names::BUS_NAME])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = BufReader::new(monitor.stdout.take().unwrap());
    // its second line says whose the name is: it has asked for the signals before
    for _ in 0..2 {
        let mut line = String::new();
        timeout(LIMIT, heard.read_line(&mut line)).await.expect("gdbus says that it listens").unwrap();
    }
    (monitor, heard)
}

struct Stage {
    daemon: Daemon,
    owner: Connection,
    music: MusicLibrary,
    agents: Arc<Mutex<Vec<Child>>>,
    polkit: Arc<Polkit>,
    _mocks: Connection,
    _player: TempDir,
    _run: TempDir,
}

async fn stage() -> Stage {
    let run = TempDir::new().unwrap();
    let policy = run.path().join("policy.conf");
    kit::write_file(&policy, MOCKS_POLICY.as_bytes());
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/dbus-1/org.tandemd.Sync1.conf");
    let bus = Arc::new(PrivateBus::start_with_policy(&[&installed, &policy]));
    let address = bus.address().split(',').next().unwrap().trim_start_matches("unix:path=").to_owned();
    let folder = Path::new(&address).parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).unwrap();
    let agents = Arc::new(Mutex::new(Vec::new()));
    let systemd = Systemd {
        socket: run.path().join("library.sock"),
        state: run.path().join("state"),
        agents: Arc::clone(&agents),
    };
    let polkit = Arc::new(Polkit::default());
    let mocks = connection::Builder::address(bus.address())
        .serve_at("/org/freedesktop/systemd1", systemd)
        .serve_at("/org/freedesktop/PolicyKit1/Authority", Authority(Arc::clone(&polkit)))
        .name("org.freedesktop.systemd1")
        .name("org.freedesktop.PolicyKit1")
        .build()
        .await
        .unwrap();
    let music = MusicLibrary::new();
    for number in 0..3 {
        music.add(format!("{SECRET} {number}.flac"), SECRET, SECRET, SECRET, 20_000);
    }
    let player = kit::player_dir();
    let daemon = Daemon::builder()
        .bus(&bus)
        .system()
        .environment("RUNTIME_DIRECTORY", run.path())
        .folder(player.path())
        .start()
        .await;
    let owner = daemon.connect().await;
    Stage { daemon, owner, music, agents, polkit, _mocks: mocks, _player: player, _run: run }
}

/// The owner's library, with his folder and one playlist.
async fn fill_library(stage: &Stage) -> (LibraryProxy<'static>, OwnedObjectPath) {
    let path = ServicesProxy::new(&stage.owner).await.unwrap().get_library().await.unwrap();
    let library =
        LibraryProxy::builder(&stage.owner).path(path.clone()).cache_properties(CacheProperties::No);
    let library = library.build().await.unwrap();
    library.set_folders(&[stage.music.dir().to_str().unwrap()]).await.unwrap();
    kit::wait_for_property(&stage.owner, &path, names::LIBRARY, "TrackCount", |count: &u32| *count == 3)
        .await;
    let media: Vec<_> = (0..3).map(|number| stage.music.uri(format!("{SECRET} {number}.flac"))).collect();
    let media: Vec<_> = media.iter().map(String::as_str).collect();
    let playlist = library.create_playlist(&format!("{SECRET} list"), &media).await.unwrap();
    (library, playlist)
}

#[tokio::test]
async fn a_stranger_learns_no_names() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: nobody can be somebody else here");
        return;
    }
    let stage = stage().await;
    let bus = stage.daemon.bus().address().to_owned();
    let (mut monitor, mut heard) = listen(&bus).await;
    let (library, playlist) = fill_library(&stage).await;
    let devices = ServicesProxy::new(&stage.owner).await.unwrap().get_devices().await.unwrap();
    let device = DeviceProxy::builder(&stage.owner).path(devices[0].clone()).build().await.unwrap();
    let mut events = stage.daemon.events().await;
    let assigned = Variant::from(vec![playlist.clone().into_inner()]);
    device.create_partnership(HashMap::from([("playlists", &assigned)])).await.unwrap();
    events.wait_for("CreatePartnershipComplete").await;
    let stopped = |state: &String| state == "stopped";
    let counted = |count: &u32| *count > 0;
    kit::wait_for_property(&stage.owner, &devices[0], names::DEVICE, "SyncItemCount", counted).await;
    kit::wait_for_property(&stage.owner, &devices[0], names::DEVICE, "SyncState", stopped).await;
    assert!(device.get_sync_results().await.unwrap().iter().any(|(media, ..)| media.contains(SECRET)));

    let device = devices[0].as_str();
    let library = library.inner().path().as_str();
    let of_device = |member: &str| format!("{}.{member}", names::DEVICE);
    let properties = |member: &str| format!("org.freedesktop.DBus.Properties.{member}");
    let calls: [(&str, String, &[&str], &str); 16] = [
        (names::ROOT_PATH, "org.freedesktop.DBus.ObjectManager.GetManagedObjects".to_owned(), &[], device),
        (device, of_device("GetStatus"), &[], "partnership-another"),
        (device, of_device("GetSyncResults"), &[], "(@a(sss) [],)"),
        (device, of_device("GetSyncHistory"), &[], "(@aa{sv} [],)"),
        (device, of_device("Preview"), &[], "Error.NotAuthorized"),
        (device, properties("Get"), &[names::DEVICE, "CurrentItem"], "(<''>,)"),
        (device, of_device("GetItemInfo"), &["SyncRelationship"], "('3',)"),
        (device, of_device("GetItemInfo"), &["SyncOnConnect"], "Error.PartnershipNotExist"),
        (device, of_device("Start"), &[], "Error.PartnershipNotExist"),
        (device, of_device("Stop"), &[], "Error.NotAuthorized"),
        (device, of_device("DeletePartnership"), &["{}"], "Error.NotAuthorized"),
        (device, properties("Set"), &[names::DEVICE, "FriendlyName", "<'x'>"], "Error.PartnershipNotExist"),
        (library, format!("{}.GetPlaylists", names::LIBRARY), &[], "Error.NotAuthorized"),
        (library, properties("Get"), &[names::LIBRARY, "Folders"], "Error.NotAuthorized"),
        (playlist.as_str(), properties("GetAll"), &[names::PLAYLIST], "Error.AccessDenied"),
        (playlist.as_str(), properties("Set"), &[names::PLAYLIST, "Name", "<'x'>"], "Error.NotAuthorized"),
    ];
    for (path, method, arguments, expected) in calls {
        let said = answer(&bus, path, &method, arguments).await;
        assert!(said.contains(expected), "{method} {arguments:?} is answered: {said}");
        assert!(!said.contains(SECRET), "{method} tells: {said}");
        assert!(!said.contains(stage.music.dir().to_str().unwrap()), "{method} tells of a folder: {said}");
    }

    let manage = || (names::ACTION_MANAGE_OTHERS.to_owned(), 0);
    assert_eq!(
        *stage.polkit.asked.lock().unwrap(),
        [manage(), manage()],
        "for Stop and DeletePartnership alone"
    );
    stage.polkit.allow.store(true, Ordering::SeqCst);
    assert_eq!(answer(&bus, device, &of_device("Stop"), &[]).await.trim(), "()", "an administrator may");

    monitor.start_kill().unwrap();
    let mut log = String::new();
    heard.read_to_string(&mut log).await.unwrap();
    assert!(log.contains("CreatePartnershipComplete") && log.contains("Progress"), "it does hear: {log}");
    assert!(!log.contains(SECRET) && !log.contains(stage.music.dir().to_str().unwrap()), "{log}");
    drop(stage.agents);
}
