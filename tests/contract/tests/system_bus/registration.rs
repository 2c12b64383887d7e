//! Who may serve players to everybody: an administrator decides, whoever asks, and nobody ends another's service.

use crate::stage::{answer, stage};
use dbus_interfaces::names;
use dbus_interfaces::proxies::ServicesProxy;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use zbus::ObjectPath;

#[tokio::test]
async fn a_stranger_registers_no_provider_without_an_administrator() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: nobody can be somebody else here");
        return;
    }
    let stage = stage().await;
    let bus = stage.daemon.bus().address().to_owned();
    let services = ServicesProxy::new(&stage.owner).await.unwrap();
    let root = ObjectPath::try_from("/org/example/Players").unwrap();
    services.register_provider("Root's players", &root, HashMap::new()).await.unwrap();
    assert_eq!(*stage.polkit.asked.lock().unwrap(), [], "root needs nobody's leave");

    let called = async |member: &str, arguments: &[&str]| {
        answer(&bus, names::ROOT_PATH, &format!("{}.{member}", names::SERVICES), arguments).await
    };
    let register: [&str; 3] = ["Strange players", "/org/example/Strange", "{'UseExtendedWmdm': <uint32 1>}"];
    let refused = called("RegisterProvider", &register).await;
    assert!(refused.contains("Error.NotAuthorized"), "{refused}");
    let refused = called("UnregisterProvider", &["Root's players"]).await;
    assert!(refused.contains("Error.NotAuthorized"), "{refused}");
    let asked = || (names::ACTION_REGISTER_PROVIDER.to_owned(), 0);
    assert_eq!(*stage.polkit.asked.lock().unwrap(), [asked(), asked()]);

    stage.polkit.allow.store(true, Ordering::SeqCst);
    assert_eq!(called("RegisterProvider", &register).await.trim(), "()", "an administrator allows it");
    let refused = called("UnregisterProvider", &["Root's players"]).await;
    assert!(refused.contains("Error.NotFound"), "what another has registered stays: {refused}");
    services.unregister_provider("Root's players").await.unwrap();
}
