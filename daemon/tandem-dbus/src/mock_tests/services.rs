//! Proves the calls to systemd: units of agents, and the lock against sleep.

use super::*;
use crate::inhibitor::inhibit_while;
use crate::systemd::Systemd;
use tandem_model::error::LibraryError;
use tandem_model::library::AgentStarter;

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
