//! Proves that requests to a device which can't be served are refused by the contract's error, and that settings are
//! announced once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::Stage;
use dbus_interfaces::{Error, names};
use std::collections::HashMap;
use zbus::{DBusError, ObjectPath, OwnedVariant, Variant};

/// The contract's word for an error, or the full name of one that isn't the contract's.
fn word(error: zbus::Error) -> String {
    if let zbus::Error::FDO(error) = error {
        return error.name().to_string();
    }
    let error = Error::from(error);
    assert!(error.description().is_some_and(|text| text.len() > 5), "{error} says nothing");
    error.name().trim_start_matches(names::ERROR_PREFIX).to_owned()
}

#[tokio::test]
async fn refusals_of_a_device_without_a_partnership() {
    let stage = Stage::start(0).await;
    let device = stage.device().await;
    let services = stage.services().await;
    let none = ObjectPath::try_from("/").unwrap();

    assert_eq!(word(services.get_device(1).await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(services.probe("Walkman", false).await.unwrap_err()), "InvalidArgument");
    // this daemon looks for folders alone
    assert_eq!(word(services.probe("1-1", true).await.unwrap_err()), "Failed");
    assert_eq!(device.get_status().await.unwrap(), "new-device");
    assert_eq!(device.get_item_info("SyncRelationship").await.unwrap(), "0");
    assert_eq!(word(device.get_item_info("Colour").await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(device.get_item_info("SyncOnConnect").await.unwrap_err()), "PartnershipNotExist");
    assert_eq!(word(device.set_item_info("SyncOnConnect", "True").await.unwrap_err()), "PartnershipNotExist");
    assert_eq!(word(device.set_item_info("TotalSpace", "1").await.unwrap_err()), "ReadOnly");
    assert_eq!(word(device.set_percent_space_reserved(5).await.unwrap_err()), "PartnershipNotExist");
    assert_eq!(word(device.set_percent_space_reserved(96).await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(device.set_friendly_name(" ").await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(device.estimate_sync_size(&none, &none).await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(device.is_identical(&none).await.unwrap_err()), "NotFound");
    assert!(device.is_identical(device.inner().path()).await.unwrap());
    assert_eq!(word(device.transfer(&["/a.flac"]).await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(device.start().await.unwrap_err()), "PartnershipNotExist");
    assert!(device.get_sync_results().await.unwrap().is_empty());
    device.stop().await.unwrap();
    device.cancel_estimation().await.unwrap();

    let value = Variant::from(5u32);
    let wrong = device.create_partnership(HashMap::from([("playlists", &value)])).await;
    assert_eq!(word(wrong.unwrap_err()), "InvalidArgument");
    let unknown = device.delete_partnership(HashMap::from([("colour", &value)])).await;
    assert_eq!(word(unknown.unwrap_err()), "InvalidArgument");
    let path = device.inner().path();
    let set = kit::set_property(&stage.client, path, names::DEVICE, "Connected", true).await;
    assert_eq!(word(set.unwrap_err()), "org.freedesktop.DBus.Error.PropertyReadOnly");
    let call =
        stage.client.call_method(Some(names::BUS_NAME), path, Some(names::DEVICE), "Explode", &()).await;
    assert_eq!(word(call.unwrap_err()), "org.freedesktop.DBus.Error.UnknownMethod");
}

#[tokio::test]
async fn a_setting_is_announced_once_and_shows_at_once() {
    let stage = Stage::start(0).await;
    let device = stage.device().await;
    let mut events = stage.daemon.events().await;
    device.set_friendly_name("Ann's player").await.unwrap();
    assert_eq!(device.friendly_name().await.unwrap(), "Ann's player");
    assert_eq!(device.get_item_info("FriendlyName").await.unwrap(), "Ann's player");
    device.set_item_info("FriendlyName", "Another").await.unwrap();
    device.show_settings().await.ok();
    device.set_friendly_name("The last").await.unwrap();
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != "The last") {
        let message = events.wait_for("PropertiesChanged").await;
        let (_, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            message.body().deserialize().unwrap();
        names.extend(changed.get("FriendlyName").map(|name| String::try_from(name.clone()).unwrap()));
    }
    assert_eq!(names, ["Ann's player", "Another", "The last"]);
}

#[tokio::test]
async fn a_second_daemon_says_who_has_the_name() {
    let stage = Stage::start(0).await;
    let refused = kit::Daemon::builder().bus(stage.daemon.bus()).try_start().await.unwrap_err();
    assert!(!refused.status.success());
    let pid = stage.daemon.pid().unwrap().to_string();
    assert!(refused.stderr.contains(&pid) && refused.stderr.contains("tandemd"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_playlist_that_is_not_there_is_named_by_its_path() {
    let stage = Stage::start(1).await;
    let (library, device) = (stage.library().await, stage.device().await);
    let deleted = library.create_playlist("Mix", &[]).await.unwrap();
    stage.playlist(deleted.clone()).await.delete().await.unwrap();
    let never = format!("{}/playlists/p_2d0000000000000000", library.inner().path());
    let none = ObjectPath::try_from("/").unwrap();
    for path in [deleted.as_str(), &never] {
        let path = ObjectPath::try_from(path).unwrap();
        let playlists = Variant::from(vec![path.clone()]);
        for refused in [
            device.create_partnership(HashMap::from([("playlists", &playlists)])).await.unwrap_err(),
            device.estimate_sync_size(&path, &none).await.unwrap_err(),
            device.estimate_sync_size(&none, &path).await.unwrap_err(),
        ] {
            assert!(refused.to_string().contains(path.as_str()), "{refused}");
            assert_eq!(word(refused), "NotFound");
        }
    }
}

#[tokio::test]
async fn where_a_track_is_can_only_be_read() {
    let stage = Stage::start(1).await;
    let library = stage.library().await;
    let track = library.search("(size >= 0)").await.unwrap().remove(0);
    let refused = library.set_media_info(&track, "SyncState", &Variant::from(2u32)).await.unwrap_err();
    assert_eq!(word(refused), "ReadOnly");
}
