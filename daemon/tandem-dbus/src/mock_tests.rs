//! Proves the calls to UDisks2 and systemd against mocks of both on a private bus.

mod asking;
mod services;

use crate::udisks2::Udisks2;
use futures_util::StreamExt;
use kit::PrivateBus;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::presence::{Mounted, Mounter};
use tokio::sync::watch;
use zbus::fdo::ObjectManager;
use zbus::{
    Connection, DBusError, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, connection, interface,
};

const NODE: &str = "/dev/no-such-node-1";
const BLOCK: &str = "/org/freedesktop/UDisks2/block_devices/one";
const SESSION: &str = "/org/freedesktop/login1/session/_31";
const DRIVE: &str = "/org/freedesktop/UDisks2/drives/one";
const MANAGER: &str = "/org/freedesktop/UDisks2/Manager";

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
