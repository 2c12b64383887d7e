//! A daemon with a device in memory, which a provider on its bus announces, and commands that have to succeed. It proves
//! nothing by itself.

use crate::memory::Memory;
use dbus_interfaces::names::DEVICE;
use kit::{Daemon, Events, property};
use tandem_provider::{Identity, Provider, Serving};
use zbus::OwnedObjectPath;

/// Says to the daemon what has to succeed.
///
/// # Panics
/// When it doesn't.
pub async fn say(daemon: &Daemon, arguments: &[&str]) {
    let output = daemon.ctl(arguments).await;
    let text = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{arguments:?}: {said}\n{}", daemon.stderr());
}

/// Has a provider announce the device; what serves it, and the device's id.
///
/// # Panics
/// When it can't, or the daemon has no device then.
pub async fn announced(daemon: &Daemon, events: &mut Events, memory: &Memory) -> (Serving, String) {
    let provider = Provider::new("org.example.Memory", "/org/example/Memory", memory.clone());
    let provider = provider.announce(Identity::named("memory")).register("Memory");
    let serving = provider.serve(&daemon.connect().await).await.expect("the provider can serve");
    let path: OwnedObjectPath =
        events.wait_for("DeviceConnect").await.body().deserialize().expect("the signal names a device");
    let id = property(&daemon.connect().await, path.as_str(), DEVICE, "DeviceId").await;
    (serving, id.expect("a device has an id"))
}
