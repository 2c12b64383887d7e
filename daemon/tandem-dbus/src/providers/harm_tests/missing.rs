//! Proves that a device whose provider is missing, or lacks something, is done without that, or told with the remedy.

use super::super::fake::{description, device};
use super::super::link::{Limits, ProviderBus};
use super::super::opener::Opener;
use super::super::registry::Registry;
use super::*;
use tandem_model::presence::Providers;

#[tokio::test]
async fn a_device_that_cannot_rename_or_list_at_once_is_served_too() {
    let bus = PrivateBus::start();
    let device = fake_device();
    {
        let mut device = device.lock().unwrap();
        (device.renames, device.lists_at_once, device.keeps_later, device.takes_together) =
            (false, false, false, false);
    }
    let fake = Fake::enter(&bus, &device).await;
    work(&fake, &bus).await.unwrap();
    let files = device.lock().unwrap().files();
    let all = ["Music/A/a.mp3", AHEAD[0].0, AHEAD[1].0, OWN.0, "Playlists/l.pla"];
    assert_eq!(files.keys().collect::<Vec<_>>(), all);
    assert_eq!(files["Music/A/a.mp3"], b"second");
}

async fn manual(change: impl FnOnce(&mut Device)) -> String {
    let bus = PrivateBus::start();
    let device = fake_device();
    device.lock().unwrap().put("at the root.mp3", b"x");
    change(&mut device.lock().unwrap());
    let fake = Fake::enter(&bus, &device).await;
    match fake.open(&bus).await.err() {
        Some(PlayerError::Manual(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_missing_for_synchronising_is_said() {
    use dbus_interfaces::provider::{DEVICE, OBJECT, PROVIDER, STORAGE};
    for interface in [PROVIDER, DEVICE, STORAGE, OBJECT] {
        let reason = manual(|device| device.lacks = Some(interface)).await;
        assert!(reason.contains(&format!("`{interface}`")), "{reason}");
    }
    let reason = manual(|device| device.can_synchronize = vec![0, 0, 0, 0]).await;
    assert!(reason.contains("WMP2"), "{reason}");
}

#[tokio::test]
async fn nobody_to_serve_a_device_is_said_with_the_remedy() {
    let bus = PrivateBus::start();
    let directory = tempfile::TempDir::new().unwrap();
    let registry = Arc::new(Registry::new(vec![directory.path().to_owned()]));
    let opener = Opener {
        bus: ProviderBus::At(bus.address().to_owned()),
        registry: Arc::clone(&registry),
        limits: Limits::default(),
    };
    let reason = async |demanded: Option<&str>| {
        let mut device = device();
        device.provider = demanded.map(str::to_owned);
        match opener.open(&device, description()).await.err() {
            Some(PlayerError::Manual(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let told = reason(None).await;
    assert!(told.contains("USB 0001:0002") && told.contains("providers.d"), "{told}");
    let told = reason(Some("org.example.Players")).await;
    assert!(told.contains("`org.example.Players`") && told.contains("providers.d"), "{told}");
    let file = |parameters: &str| {
        let text =
            format!("name = 'P'\nbus_name = 'org.example.P'\nobject = '/p'\n[parameters]\n{parameters}");
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(directory.path().join("p.toml"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
    };
    file("");
    let told = reason(None).await;
    assert!(told.contains("UseExtendedWmdm"), "{told}");
    file("UseExtendedWmdm = 1");
    let told = reason(None).await;
    assert!(told.contains("can't start it") && told.contains("`org.example.P`"), "{told}");
}

#[tokio::test]
async fn an_installed_provider_that_runs_already_needs_no_service_file() {
    let bus = PrivateBus::start();
    let fake = Fake::enter(&bus, &fake_device()).await;
    fake.connection.request_name("org.example.Running").await.unwrap();
    let name = zbus::names::OwnedBusName::try_from("org.example.Running").unwrap();
    let at = ProviderBus::At(bus.address().to_owned());
    let link = super::super::link::Link::open(&at, &name, Limits::default()).await.unwrap();
    assert_eq!(link.owner(), fake.name.as_str());
}

#[tokio::test]
async fn a_provider_that_takes_the_name_later_is_not_called_in_place_of_the_first() {
    let bus = PrivateBus::start();
    let old = fake_device();
    let fake = Fake::enter(&bus, &old).await;
    fake.connection.request_name("org.example.Upgraded").await.unwrap();
    let player = fake.open(&bus).await.unwrap();
    let new = Fake::enter(&bus, &fake_device()).await;
    fake.connection.clone().close().await.unwrap();
    new.connection.request_name("org.example.Upgraded").await.unwrap();
    let written = write(&*player, request("Music/a.mp3", b"x", Expect::Nothing)).await;
    let error = written.unwrap_err();
    assert!(matches!(&error, PlayerError::ProviderGone(text) if text.contains("`Fake players`")), "{error}");
    assert!(new.device.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_provider_that_hangs_keeps_another_one_waiting_once() {
    let bus = PrivateBus::start();
    let (hanging, serving) = (fake_device(), fake_device());
    hanging.lock().unwrap().plan = Some((0, Harm::Hang));
    let (first, second) = (Fake::enter(&bus, &hanging).await, Fake::enter(&bus, &serving).await);
    let opener = first.opener(&bus);
    second.register(&opener.registry);
    for _ in 0..3 {
        let player = opener.open(&device(), description()).await.unwrap();
        player.close(Close::Release).await.unwrap();
    }
    assert_eq!(hanging.lock().unwrap().calls.len(), 1);
    // when nobody else is left it is asked again
    opener.registry.left(&second.name);
    let player = opener.open(&device(), description()).await.unwrap();
    player.close(Close::Release).await.unwrap();
    assert!(hanging.lock().unwrap().calls.len() > 1);
}

#[tokio::test]
async fn a_provider_that_is_busy_once_is_asked_first_again() {
    let bus = PrivateBus::start();
    let (busy, serving) = (fake_device(), fake_device());
    let (first, second) = (Fake::enter(&bus, &busy).await, Fake::enter(&bus, &serving).await);
    let opener = first.opener(&bus);
    second.register(&opener.registry);
    for (plan, served_by_second) in [(Some((0, Harm::Refuse("Busy"))), true), (None, false)] {
        busy.lock().unwrap().plan = plan;
        serving.lock().unwrap().calls.clear();
        let player = opener.open(&device(), description()).await.unwrap();
        player.close(Close::Release).await.unwrap();
        assert_eq!(!serving.lock().unwrap().calls.is_empty(), served_by_second);
    }
}
