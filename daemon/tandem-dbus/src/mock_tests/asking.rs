//! Proves how UDisks2 is asked for a device: for that one alone, again when it learns of it later, and otherwise where it
//! is an old one.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use zbus::names::InterfaceName;
use zbus::object_server::SignalEmitter;

/// A node that is there while UDisks2 doesn't know of it.
const NODE_OF_CROWD: &str = "/dev/null";

/// One of before that could be asked.
struct OldManager;

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl OldManager {
    fn get_block_devices(&self, _options: Options) -> Vec<OwnedObjectPath> {
        Vec::new()
    }
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
