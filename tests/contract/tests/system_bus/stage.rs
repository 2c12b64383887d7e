//! A private system bus: the daemon and its owner as root, a stranger of another user, systemd as a mock that starts the
//! real library agent, and polkit as one that tells what it was asked.

use dbus_interfaces::names;
use kit::{Daemon, LIMIT, MusicLibrary, PrivateBus};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, connection, interface};

/// What all names of the owner's hold.
pub(crate) const SECRET: &str = "Hush";

/// `nobody`: the bus takes only users that exist, and this one owns nothing.
const STRANGER: &str = "65534";

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
pub(crate) struct Polkit {
    pub(crate) asked: Mutex<Vec<(String, u32)>>,
    pub(crate) allow: AtomicBool,
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
pub(crate) fn strange(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()];
    command.args(ids).arg(program).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a call of the stranger's is answered, result or error.
pub(crate) async fn answer(bus: &str, path: &str, method: &str, arguments: &[&str]) -> String {
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

pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) owner: Connection,
    pub(crate) music: MusicLibrary,
    pub(crate) agents: Arc<Mutex<Vec<Child>>>,
    pub(crate) polkit: Arc<Polkit>,
    _mocks: Connection,
    _player: TempDir,
    _run: TempDir,
}

pub(crate) async fn stage() -> Stage {
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
