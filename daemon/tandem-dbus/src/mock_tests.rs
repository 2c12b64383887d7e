//! Proves the calls to UDisks2 and systemd against mocks of both on a private bus.

use crate::inhibitor::inhibit_while;
use crate::systemd::Systemd;
use crate::udisks2::Udisks2;
use futures_util::StreamExt;
use kit::PrivateBus;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_model::error::{LibraryError, PlayerError};
use tandem_model::library::AgentStarter;
use tandem_model::presence::{Mounted, Mounter};
use tokio::sync::watch;
use zbus::fdo::ObjectManager;
use zbus::names::InterfaceName;
use zbus::object_server::SignalEmitter;
use zbus::{
    Connection, DBusError, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, connection, interface,
};

const NODE: &str = "/dev/no-such-node-1";
const BLOCK: &str = "/org/freedesktop/UDisks2/block_devices/one";
const SESSION: &str = "/org/freedesktop/login1/session/_31";
const DRIVE: &str = "/org/freedesktop/UDisks2/drives/one";
const MANAGER: &str = "/org/freedesktop/UDisks2/Manager";

/// A node that is there while UDisks2 doesn't know of it.
const NODE_OF_CROWD: &str = "/dev/null";

type Options = HashMap<String, OwnedVariant>;

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.UDisks2.Error")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    AlreadyMounted(String),
    DeviceBusy(String),
    NotAuthorizedCanObtain(String),
}

/// What the mock is to do, and what it was asked.
struct Script {
    /// Nodes, and the objects that have them.
    known: Vec<(&'static str, &'static str)>,
    mounts: Vec<Vec<u8>>,
    refuse_mount: Option<fn(String) -> Refusal>,
    /// Where the desktop mounts just before our own mounting is refused.
    overtaken_by: Option<Vec<u8>>,
    busy: bool,
    /// Whether the device has just arrived.
    new: bool,
    calls: Vec<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            known: vec![(NODE, BLOCK)],
            mounts: Vec::new(),
            refuse_mount: None,
            overtaken_by: None,
            busy: false,
            new: false,
            calls: Vec::new(),
        }
    }
}

type Shared = Arc<Mutex<Script>>;

fn note(script: &Shared, call: &str, options: &Options) {
    let interactive =
        options.get("auth.no_user_interaction").is_none_or(|value| bool::try_from(value) != Ok(true));
    assert!(!interactive, "{call} must never ask the user");
    script.lock().unwrap().calls.push(call.to_owned());
}

struct Block(&'static str);

#[interface(name = "org.freedesktop.UDisks2.Block")]
impl Block {
    #[zbus(property)]
    fn device(&self) -> Vec<u8> {
        [self.0.as_bytes(), b"\0"].concat()
    }
    #[zbus(property)]
    fn device_number(&self) -> u64 {
        7
    }
    #[zbus(property)]
    fn drive(&self) -> OwnedObjectPath {
        ObjectPath::from_static_str_unchecked(DRIVE).into()
    }
}

/// Finds objects by their nodes.
struct Resolver(Shared);

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl Resolver {
    fn resolve_device(
        &self,
        device: HashMap<String, OwnedVariant>,
        _options: Options,
    ) -> Vec<OwnedObjectPath> {
        let script = self.0.lock().unwrap();
        let known = script.known.iter().filter(|(node, _)| *device["path"] == Variant::from(*node));
        known.map(|(_, path)| ObjectPath::from_static_str_unchecked(path).into()).collect()
    }
}

/// One of before that could be asked.
struct OldManager;

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl OldManager {
    fn get_block_devices(&self, _options: Options) -> Vec<OwnedObjectPath> {
        Vec::new()
    }
}

struct Filesystem(Shared);

#[interface(name = "org.freedesktop.UDisks2.Filesystem")]
impl Filesystem {
    #[zbus(property)]
    fn mount_points(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().mounts.clone()
    }
    fn mount(&self, options: Options) -> Result<String, Refusal> {
        note(&self.0, "Mount", &options);
        let mut script = self.0.lock().unwrap();
        let overtaken = script.overtaken_by.take();
        script.mounts.extend(overtaken);
        match script.refuse_mount {
            Some(refusal) => Err(refusal("because".to_owned())),
            None => {
                script.mounts.push(b"/run/media/one\0".to_vec());
                Ok("/run/media/one".to_owned())
            }
        }
    }
    fn unmount(&self, options: Options) -> Result<(), Refusal> {
        note(&self.0, "Unmount", &options);
        let mut script = self.0.lock().unwrap();
        if script.busy {
            return Err(Refusal::DeviceBusy("target is busy".to_owned()));
        }
        script.mounts.pop();
        Ok(())
    }
}

struct Drive(Shared);

#[interface(name = "org.freedesktop.UDisks2.Drive")]
impl Drive {
    #[zbus(property)]
    fn can_power_off(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn ejectable(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn time_media_detected(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        if self.0.lock().unwrap().new { u64::try_from(now.as_micros()).unwrap() } else { 0 }
    }
    fn power_off(&self, options: Options) {
        note(&self.0, "PowerOff", &options);
    }
}

/// The other end of the last lock that it gave.
struct Logind(watch::Sender<Option<UnixStream>>);

#[interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let session = |seat: &str, path| {
            let path = ObjectPath::from_static_str_unchecked(path).into();
            ("1".to_owned(), 1000, "ann".to_owned(), seat.to_owned(), path)
        };
        vec![session("", "/no/such/session"), session("seat0", SESSION)]
    }

    fn inhibit(&self, what: &str, _who: &str, _why: &str, mode: &str) -> zbus::fdo::Result<zbus::OwnedFd> {
        assert_eq!((what, mode), ("sleep", "block"));
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.0.send_replace(Some(ours));
        Ok(std::os::fd::OwnedFd::from(theirs).into())
    }
}

struct Session;

#[interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn active(&self) -> bool {
        true
    }
    #[zbus(property, name = "Type")]
    fn kind(&self) -> &str {
        "wayland"
    }
}

struct Manager(Arc<Mutex<Vec<String>>>);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn start_unit(&self, name: String, mode: String) -> zbus::fdo::Result<OwnedObjectPath> {
        if name == "tandem-library@1.service" {
            return Err(zbus::fdo::Error::Failed("unit not found".to_owned()));
        }
        self.0.lock().unwrap().push(format!("{name} {mode}"));
        Ok(ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1/job/1").into())
    }
}

struct Mock {
    script: Shared,
    mounter: Udisks2,
    client: Connection,
    _service: Connection,
    _bus: PrivateBus,
}

async fn mock(script: Script) -> Mock {
    let bus = PrivateBus::start();
    let script = Arc::new(Mutex::new(script));
    let service = connection::Builder::address(bus.address())
        .serve_at("/org/freedesktop/UDisks2", ObjectManager)
        .serve_at(MANAGER, Resolver(Arc::clone(&script)))
        .serve_at(BLOCK, Block(NODE))
        .serve_at(BLOCK, Filesystem(Arc::clone(&script)))
        .serve_at(DRIVE, Drive(Arc::clone(&script)))
        .name("org.freedesktop.UDisks2")
        .build()
        .await
        .unwrap();
    let client = bus.connect().await;
    Mock { script, mounter: Udisks2::new(client.clone()), client, _service: service, _bus: bus }
}

impl Mock {
    fn calls(&self) -> Vec<String> {
        self.script.lock().unwrap().calls.clone()
    }

    /// Waits until a method of the mock is called.
    async fn called(&self, member: &'static str) {
        let calls = zbus::MatchRule::builder().msg_type(zbus::message::Type::MethodCall);
        let rule = calls.member(member).build().unwrap();
        zbus::MessageStream::for_match_rule(rule, &self._service, None).await.unwrap().next().await;
    }
}

#[tokio::test]
async fn an_unmounted_device_is_mounted_and_unmounted() {
    let mock = mock(Script::default()).await;
    let mounted = mock.mounter.mount(Path::new(NODE)).await;
    assert_eq!(mounted, Ok(Mounted { path: "/run/media/one".into(), ours: true }));
    mock.mounter.unmount(Path::new(NODE)).await.unwrap();
    assert_eq!(mock.calls(), ["Mount", "Unmount"]);
}

#[tokio::test]
async fn the_desktops_mount_is_used_and_left() {
    let mock = mock(Script { mounts: vec![b"/media/ann/STICK\0".to_vec()], ..Script::default() }).await;
    let mounted = mock.mounter.mount(Path::new(NODE)).await;
    assert_eq!(mounted, Ok(Mounted { path: "/media/ann/STICK".into(), ours: false }));
    assert!(mock.calls().is_empty());
}

#[tokio::test]
async fn a_mount_that_came_first_is_used() {
    let script = Script {
        refuse_mount: Some(Refusal::AlreadyMounted),
        overtaken_by: Some(b"/media/ann/STICK\0".to_vec()),
        ..Script::default()
    };
    let mounted = mock(script).await.mounter.mount(Path::new(NODE)).await;
    assert_eq!(mounted, Ok(Mounted { path: "/media/ann/STICK".into(), ours: false }));
}

/// A device that has just arrived, with somebody at a desktop.
async fn arrival(grace: Duration) -> Mock {
    let mut mock = mock(Script { new: true, ..Script::default() }).await;
    let server = mock._service.object_server();
    server.at("/org/freedesktop/login1", Logind(watch::Sender::default())).await.unwrap();
    server.at(SESSION, Session).await.unwrap();
    mock._service.request_name("org.freedesktop.login1").await.unwrap();
    mock.mounter = Udisks2::new(mock.client.clone()).waiting(grace);
    mock
}

#[tokio::test]
async fn a_device_that_arrives_is_left_to_the_desktop() {
    let mock = arrival(kit::LIMIT).await;
    let desktop = async {
        mock.called("ListSessions").await;
        mock.script.lock().unwrap().mounts.push(b"/media/ann/STICK\0".to_vec());
        let filesystem = mock._service.object_server().interface::<_, Filesystem>(BLOCK).await.unwrap();
        filesystem.get().await.mount_points_changed(filesystem.signal_emitter()).await.unwrap();
    };
    let (mounted, ()) = tokio::join!(mock.mounter.mount(Path::new(NODE)), desktop);
    assert_eq!(mounted, Ok(Mounted { path: "/media/ann/STICK".into(), ours: false }));
    assert!(mock.calls().is_empty());
}

#[tokio::test]
async fn a_desktop_that_mounts_nothing_is_not_waited_for_long() {
    let mock = arrival(Duration::from_millis(50)).await;
    let mounted = mock.mounter.mount(Path::new(NODE)).await;
    assert_eq!(mounted, Ok(Mounted { path: "/run/media/one".into(), ours: true }));
}

#[tokio::test]
async fn a_device_that_udisks_learns_of_later_is_waited_for() {
    let late = "/org/freedesktop/UDisks2/block_devices/two";
    let mock = mock(Script::default()).await;
    let udisks = async {
        mock.called("ResolveDevice").await;
        mock.script.lock().unwrap().known.push(("/dev/null", late));
        let server = mock._service.object_server();
        server.at(late, Block("/dev/null")).await.unwrap();
        server.at(late, Filesystem(Arc::clone(&mock.script))).await.unwrap();
    };
    let (mounted, ()) = tokio::join!(mock.mounter.mount(Path::new("/dev/null")), udisks);
    assert_eq!(mounted, Ok(Mounted { path: "/run/media/one".into(), ours: true }));
}

/// Tells of many other objects before it answers those who listen, and of the device last.
struct Crowd {
    asked: Arc<AtomicUsize>,
}

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl Crowd {
    async fn resolve_device(
        &self,
        _device: HashMap<String, OwnedVariant>,
        _options: Options,
        #[zbus(connection)] connection: &Connection,
    ) -> Vec<OwnedObjectPath> {
        const OTHERS: usize = 200;
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            // nobody listens yet
            0 => return Vec::new(),
            1 => {}
            _ => return vec![ObjectPath::from_static_str_unchecked(BLOCK).into()],
        }
        let emitter = SignalEmitter::new(connection, "/org/freedesktop/UDisks2").unwrap();
        let name = |name| InterfaceName::from_static_str_unchecked(name);
        for number in 0..OTHERS {
            let path = ObjectPath::try_from(format!("/org/freedesktop/UDisks2/jobs/{number}")).unwrap();
            let job = HashMap::from([(name("org.freedesktop.UDisks2.Job"), HashMap::new())]);
            Announcer::interfaces_added(&emitter, path, job).await.unwrap();
        }
        let node = [NODE_OF_CROWD.as_bytes(), b"\0"].concat();
        let added = [
            (name("org.freedesktop.UDisks2.Block"), HashMap::from([("Device", Variant::from(node))])),
            (name("org.freedesktop.UDisks2.Filesystem"), HashMap::new()),
        ];
        let path = ObjectPath::from_static_str_unchecked(BLOCK);
        Announcer::interfaces_added(&emitter, path, HashMap::from(added)).await.unwrap();
        Vec::new()
    }
}

/// Tells of objects that aren't there.
struct Announcer;

#[interface(name = "org.freedesktop.DBus.ObjectManager")]
impl Announcer {
    #[zbus(signal)]
    async fn interfaces_added(
        emitter: &SignalEmitter<'_>,
        object: ObjectPath<'_>,
        interfaces: HashMap<InterfaceName<'_>, HashMap<&str, Variant<'_>>>,
    ) -> zbus::Result<()>;
}

#[tokio::test]
async fn a_device_that_comes_in_a_crowd_is_asked_for_thrice() {
    let (bus, asked) = (PrivateBus::start(), Arc::new(AtomicUsize::new(0)));
    let _service = connection::Builder::address(bus.address())
        .serve_at("/org/freedesktop/UDisks2", Announcer)
        .serve_at(MANAGER, Crowd { asked: Arc::clone(&asked) })
        .serve_at(BLOCK, Block(NODE_OF_CROWD))
        .serve_at(BLOCK, Filesystem(Shared::default()))
        .name("org.freedesktop.UDisks2")
        .build()
        .await
        .unwrap();
    let mounter = Udisks2::new(bus.connect().await);
    let mounted = tokio::time::timeout(kit::LIMIT, mounter.mount(Path::new(NODE_OF_CROWD))).await.unwrap();
    assert_eq!(mounted, Ok(Mounted { path: "/run/media/one".into(), ours: true }));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_old_udisks_is_asked_for_all_that_it_knows() {
    let mock = mock(Script::default()).await;
    let server = mock._service.object_server();
    server.remove::<Resolver, _>(MANAGER).await.unwrap();
    server.at(MANAGER, OldManager).await.unwrap();
    let mounted = mock.mounter.mount(Path::new(NODE)).await;
    assert_eq!(mounted, Ok(Mounted { path: "/run/media/one".into(), ours: true }));
}

#[tokio::test]
async fn a_mount_asks_for_one_device_alone() {
    let mock = mock(Script::default()).await;
    let calls = zbus::MatchRule::builder().msg_type(zbus::message::Type::MethodCall);
    let rule = calls.member("GetManagedObjects").build().unwrap();
    let mut asked = zbus::MessageStream::for_match_rule(rule, &mock._service, None).await.unwrap();
    mock.mounter.mount(Path::new(NODE)).await.unwrap();
    mock.mounter.unmount(Path::new(NODE)).await.unwrap();
    // ejecting asks for the other drives of the device; its question comes after those that there were before
    mock.mounter.eject(Path::new(NODE)).await.unwrap();
    asked.next().await.unwrap().unwrap();
    let more = futures_util::FutureExt::now_or_never(asked.next());
    assert!(more.is_none(), "{more:?}");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let refused =
        mock(Script { refuse_mount: Some(Refusal::NotAuthorizedCanObtain), ..Script::default() }).await;
    let error = refused.mounter.mount(Path::new(NODE)).await;
    assert!(matches!(error, Err(PlayerError::NotPermitted(text)) if text.contains("because")));
    assert_eq!(refused.mounter.mount(Path::new("/dev/no-such-node-2")).await, Err(PlayerError::Removed));

    let busy = mock(Script { mounts: vec![b"/m\0".to_vec()], busy: true, ..Script::default() }).await;
    let error = busy.mounter.eject(Path::new(NODE)).await;
    assert!(matches!(error, Err(PlayerError::Busy(text)) if text.contains("target is busy")));
    assert_eq!(busy.calls(), ["Unmount"], "a busy device keeps its power");
}

#[tokio::test]
async fn ejecting_unmounts_and_powers_off() {
    let mock = mock(Script { mounts: vec![b"/m\0".to_vec(), b"/n\0".to_vec()], ..Script::default() }).await;
    mock.mounter.eject(Path::new(NODE)).await.unwrap();
    assert_eq!(mock.calls(), ["Unmount", "Unmount", "PowerOff"]);
}

#[tokio::test]
async fn without_udisks_the_error_says_so() {
    let bus = PrivateBus::start();
    let mounter = Udisks2::new(bus.connect().await);
    let error = mounter.mount(Path::new(NODE)).await;
    assert!(matches!(&error, Err(PlayerError::Other(text)) if text.contains("udisks2")), "{error:?}");
}

#[tokio::test]
async fn a_lock_against_sleep_is_held_while_something_is_copied() {
    let mock = mock(Script::default()).await;
    let locks = watch::Sender::default();
    let mut given = locks.subscribe();
    mock._service.object_server().at("/org/freedesktop/login1", Logind(locks)).await.unwrap();
    mock._service.request_name("org.freedesktop.login1").await.unwrap();
    let busy = watch::Sender::new(false);
    let (client, told) = (mock.client.clone(), busy.subscribe());
    let guard = tokio::spawn(async move { inhibit_while(&client, told).await });
    for _ in 0..2 {
        busy.send_replace(true);
        tokio::time::timeout(kit::LIMIT, given.changed()).await.unwrap().unwrap();
        busy.send_replace(false);
        // the lock's other end is closed when it is given back
        let lock = given.borrow_and_update().as_ref().unwrap().try_clone().unwrap();
        let closed = tokio::task::spawn_blocking(move || std::io::Read::read(&mut &lock, &mut [0]));
        assert_eq!(tokio::time::timeout(kit::LIMIT, closed).await.unwrap().unwrap().unwrap(), 0);
    }
    drop(busy);
    tokio::time::timeout(kit::LIMIT, guard).await.unwrap().unwrap();
}

#[tokio::test]
async fn agents_are_started_by_their_unit() {
    let mock = mock(Script::default()).await;
    let units = Arc::new(Mutex::new(Vec::new()));
    let server = mock._service.object_server();
    server.at("/org/freedesktop/systemd1", Manager(Arc::clone(&units))).await.unwrap();
    mock._service.request_name("org.freedesktop.systemd1").await.unwrap();
    let systemd = Systemd::new(mock.client.clone());
    systemd.start(1000).await.unwrap();
    assert_eq!(*units.lock().unwrap(), ["tandem-library@1000.service replace"]);
    let error = systemd.start(1).await;
    assert!(
        matches!(error, Err(LibraryError::Unavailable(text)) if text.contains("systemctl status tandem-library@1.service"))
    );
}
