//! Proves the order of events: a property's change always comes before the event that tells of it, and a partnership is
//! told in the documented order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::Stage;
use dbus_interfaces::names;
use std::collections::HashMap;
use zbus::{Message, OwnedObjectPath, OwnedVariant};

/// Holds each event against the properties that were announced before it.
#[derive(Default)]
struct Watch {
    properties: HashMap<String, OwnedVariant>,
    events: Vec<String>,
    progress: Vec<u32>,
}

impl Watch {
    fn text(&self, property: &str) -> Option<String> {
        self.properties.get(property).cloned().and_then(|value| String::try_from(value).ok())
    }

    /// Takes a signal; tells its name.
    fn take(&mut self, message: &Message) -> String {
        let member = message.header().member().unwrap().to_string();
        let body = message.body();
        match member.as_str() {
            "PropertiesChanged" => {
                let (interface, changed, hidden): (String, HashMap<String, OwnedVariant>, Vec<String>) =
                    body.deserialize().unwrap();
                if interface == names::DEVICE {
                    assert!(!changed.is_empty() || !hidden.is_empty(), "an announcement of nothing");
                    assert!(!changed.contains_key("CurrentItem"), "its value is the owner's alone");
                    self.progress.extend(changed.get("Progress").map(|value| u32::try_from(value).unwrap()));
                    self.properties.extend(changed);
                }
                return member;
            }
            "DeviceStatusChange" => {
                let (_, status): (OwnedObjectPath, String) = body.deserialize().unwrap();
                assert_eq!(self.text("Status").as_deref(), Some(status.as_str()), "announced before");
                self.events.push(status);
            }
            "DeviceSyncStateChange" => {
                let (_, state): (OwnedObjectPath, String) = body.deserialize().unwrap();
                self.events.push(state);
            }
            "CreatePartnershipComplete" => {
                let (_, success, error, text): (OwnedObjectPath, bool, String, String) =
                    body.deserialize().unwrap();
                assert!(success && error.is_empty() && text.is_empty(), "{error}: {text}");
                assert_eq!(self.text("Status").as_deref(), Some("partnership-exists"));
                self.events.push(member.clone());
            }
            _ => self.events.push(member.clone()),
        }
        member
    }
}

#[tokio::test]
async fn a_partnership_and_its_first_run_are_told_in_order() {
    let stage = Stage::start(3).await;
    stage.library().await;
    let device = stage.device().await;
    let mut signals = stage.daemon.events().await;
    device.create_partnership(HashMap::new()).await.unwrap();
    let mut watch = Watch::default();
    while watch.events.iter().filter(|event| *event == "stopped").count() == 0 {
        watch.take(&signals.next().await);
    }
    let of_the_device: Vec<_> =
        watch.events.iter().filter(|event| !event.starts_with("Interfaces")).collect();
    assert_eq!(
        of_the_device,
        ["partnership-exists", "CreatePartnershipComplete", "synchronizing", "stopped"]
    );
    assert!(watch.progress.is_sorted(), "{:?}", watch.progress);
    assert_eq!(watch.progress.last(), Some(&100));
    assert_eq!(watch.text("SyncState").as_deref(), Some("stopped"));
    assert_eq!(device.partnership_index().await.unwrap(), 1);
    assert_eq!(device.get_item_info("SyncIndex").await.unwrap(), "1");

    // one that is there already has no event; deleting it has
    device.create_partnership(HashMap::new()).await.unwrap();
    device.delete_partnership(HashMap::new()).await.unwrap();
    let before = watch.events.len();
    while watch.take(&signals.next().await) != "DeviceStatusChange" {}
    assert_eq!(watch.events[before..].last().map(String::as_str), Some("partnership-declined"));
    assert!(!watch.events[before..].contains(&"CreatePartnershipComplete".to_owned()));
}

#[tokio::test]
async fn a_player_that_comes_is_there_before_it_is_told_of() {
    let mut stage = Stage::start(0).await;
    let device = stage.device_path().await;
    let mut signals = stage.daemon.events().await;
    stage.daemon.restart().await;
    let message = signals.wait_for("DeviceConnect").await;
    let (path,): (OwnedObjectPath,) = message.body().deserialize().unwrap();
    assert_eq!(path, device, "the path survives a restart");
    let seen = signals.seen();
    let added = seen.iter().position(|name| name == "InterfacesAdded");
    let connected = seen.iter().position(|name| name == "DeviceConnect");
    assert!(added.is_some() && added < connected, "{seen:?}");
    assert!(kit::property::<bool>(&stage.client, &path, names::DEVICE, "Connected").await.unwrap());
}
