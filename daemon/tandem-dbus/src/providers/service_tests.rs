//! Proves what comes and goes: registrations, announcements and their end, floods, and that a device is
//! looked at again.

use super::fake::{Device, Fake, ROOT, device};
use super::link::ProviderBus;
use super::offer::Offer;
use super::registry::Registry;
use super::relay::Relay;
use dbus_interfaces::provider::PROVIDER;
use kit::PrivateBus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tandem_model::device::Kind;
use tandem_model::presence::{Arrival, Locator, Presence};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use zbus::Variant;

struct Stage {
    bus: PrivateBus,
    registry: Arc<Registry>,
    hardware: mpsc::Sender<Presence>,
    told: mpsc::Receiver<Presence>,
    _relay: AbortOnDropHandle<()>,
}

impl Stage {
    fn new() -> Self {
        let bus = PrivateBus::start();
        let registry = Arc::new(Registry::new(Vec::new()));
        let (hardware, from) = mpsc::channel(8);
        let (to, told) = mpsc::channel(8);
        let at = ProviderBus::At(bus.address().to_owned());
        let relay = Relay::new(at, Arc::clone(&registry), to).run(from, CancellationToken::new());
        Self { bus, registry, hardware, told, _relay: AbortOnDropHandle::new(tokio::spawn(relay)) }
    }

    async fn register(&self) -> Fake {
        let fake = Fake::enter(&self.bus, &Arc::new(Mutex::new(Device::default()))).await;
        let Offer { name, bus_name, root, parameters } = fake.offer();
        self.registry.register(&bus_name, &name, root, parameters).unwrap();
        fake
    }

    async fn next(&mut self) -> Presence {
        timeout(kit::LIMIT, self.told.recv()).await.unwrap().unwrap()
    }

    async fn arrived(&mut self) -> Arrival {
        loop {
            match self.next().await {
                Presence::Arrived(arrival) => return arrival,
                Presence::ProvidersChanged => {}
                other @ Presence::Departed(_) => panic!("{other:?}"),
            }
        }
    }

    async fn departed(&mut self) -> String {
        loop {
            match self.next().await {
                Presence::Departed(key) => return key,
                Presence::ProvidersChanged => {}
                other @ Presence::Arrived(_) => panic!("{other:?}"),
            }
        }
    }
}

/// Announces a device until it is heard: the daemon begins to listen some time after the registration.
async fn announce(stage: &mut Stage, fake: &Fake, name: &str) -> Arrival {
    loop {
        let identity = HashMap::from([("canonical-name", Variant::from(name))]);
        let none: Option<&str> = None;
        fake.connection.emit_signal(none, ROOT, PROVIDER, "DeviceArrived", &identity).await.unwrap();
        if let Ok(presence) = timeout(std::time::Duration::from_millis(50), stage.told.recv()).await {
            match presence {
                Some(Presence::Arrived(arrival)) => return arrival,
                Some(Presence::ProvidersChanged) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_a_provider_announces_comes_and_goes_with_it() {
    let mut stage = Stage::new();
    let fake = stage.register().await;
    let first = announce(&mut stage, &fake, "net one").await;
    assert_eq!(first.description.kind, Kind::Provider);
    let second = announce(&mut stage, &fake, "net two").await;
    let none: Option<&str> = None;
    let removed = fake.connection.emit_signal(none, ROOT, PROVIDER, "DeviceRemoved", &"net one").await;
    removed.unwrap();
    assert_eq!(stage.departed().await, first.key);
    stage.registry.left(&fake.name);
    assert_eq!(stage.departed().await, second.key);
}

#[tokio::test]
async fn another_process_announces_nothing_in_a_providers_name() {
    let mut stage = Stage::new();
    let fake = stage.register().await;
    announce(&mut stage, &fake, "own").await;
    let stranger = stage.bus.connect().await;
    let names = zbus::fdo::DBusProxy::new(&stranger).await.unwrap().list_names().await.unwrap();
    let identity = HashMap::from([("canonical-name", Variant::from("forged"))]);
    for name in names.iter().filter(|name| name.starts_with(':')) {
        let name = Some(name.as_str());
        stranger.emit_signal(name, ROOT, PROVIDER, "DeviceArrived", &identity).await.unwrap();
    }
    let next = announce(&mut stage, &fake, "own too").await;
    assert!(next.key.ends_with(":own too"), "{}", next.key);
}

#[tokio::test]
async fn what_strangers_send_costs_a_provider_nothing() {
    let mut stage = Stage::new();
    let fake = stage.register().await;
    announce(&mut stage, &fake, "own").await;
    let stranger = stage.bus.connect().await;
    let names = zbus::fdo::DBusProxy::new(&stranger).await.unwrap().list_names().await.unwrap();
    for name in names.iter().filter(|name| name.starts_with(':')) {
        let name = Some(name.as_str());
        for _ in 0..400 {
            stranger.emit_signal(name, ROOT, PROVIDER, "DeviceRemoved", &"own").await.unwrap();
        }
    }
    // a departure would be told before
    let next = announce(&mut stage, &fake, "own too").await;
    assert!(next.key.ends_with(":own too"), "{}", next.key);
}

#[tokio::test]
async fn a_flood_costs_the_one_who_sends_it_its_devices_and_nobody_else_anything() {
    let mut stage = Stage::new();
    let (flooding, other) = (stage.register().await, stage.register().await);
    let lost = announce(&mut stage, &flooding, "flood").await;
    announce(&mut stage, &other, "calm").await;
    let identity = HashMap::from([("canonical-name", Variant::from("flood"))]);
    let none: Option<&str> = None;
    for _ in 0..3000 {
        let sent = flooding.connection.emit_signal(none, ROOT, PROVIDER, "DeviceArrived", &identity).await;
        sent.unwrap();
    }
    assert_eq!(stage.departed().await, lost.key);
    announce(&mut stage, &other, "calm too").await;
}

#[tokio::test]
async fn a_provider_that_has_flooded_and_is_started_anew_is_heard() {
    const NAME: &str = "org.example.Flooding";
    let mut stage = Stage::new();
    let device = Arc::new(Mutex::new(Device::default()));
    let flooding = Fake::enter(&stage.bus, &device).await;
    flooding.connection.request_name(NAME).await.unwrap();
    let Offer { name, root, parameters, .. } = flooding.offer();
    stage.registry.register(NAME, &name, root, parameters).unwrap();
    let lost = announce(&mut stage, &flooding, "flood").await;
    let identity = HashMap::from([("canonical-name", Variant::from("flood"))]);
    let none: Option<&str> = None;
    for _ in 0..600 {
        let sent = flooding.connection.emit_signal(none, ROOT, PROVIDER, "DeviceArrived", &identity).await;
        sent.unwrap();
    }
    assert_eq!(stage.departed().await, lost.key);
    flooding.connection.clone().close().await.unwrap();
    let anew = Fake::enter(&stage.bus, &device).await;
    anew.connection.request_name(NAME).await.unwrap();
    let heard = timeout(kit::LIMIT, announce(&mut stage, &anew, "anew")).await.unwrap();
    assert!(heard.key.ends_with(":anew"), "{}", heard.key);
}

#[tokio::test]
async fn a_device_whose_provider_goes_is_told_again() {
    let mut stage = Stage::new();
    let device = device();
    let key = super::registry::key(&device);
    let arrival = Arrival {
        key: "/sys/fake".to_owned(),
        description: super::fake::description(),
        port: String::new(),
        locator: Locator::Provider(Box::new(device)),
    };
    stage.hardware.send(Presence::Arrived(arrival.clone())).await.unwrap();
    assert_eq!(stage.arrived().await, arrival);
    let fake = stage.register().await;
    assert_eq!(stage.next().await, Presence::ProvidersChanged);
    stage.registry.opened(&key, &fake.name);
    stage.registry.closed(&key, false);
    stage.registry.left(&fake.name);
    let mut told = vec![stage.next().await, stage.next().await, stage.next().await];
    told.retain(|presence| *presence != Presence::ProvidersChanged);
    assert_eq!(told, [Presence::Departed(arrival.key.clone()), Presence::Arrived(arrival)]);
}
