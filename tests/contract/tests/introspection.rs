//! Proves that what the running daemon shows of itself is what the XML says, on each of its objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::{Stage, members};
use dbus_interfaces::{names, xml};
use zbus::fdo::{IntrospectableProxy, ObjectManagerProxy};

async fn introspect(stage: &Stage, path: &str) -> String {
    let builder =
        IntrospectableProxy::builder(&stage.client).destination(names::BUS_NAME).path(path.to_owned());
    builder.build().await.unwrap().introspect().await.unwrap()
}

#[tokio::test]
async fn introspection_equals_the_xml() {
    let stage = Stage::start(2).await;
    let device = stage.device_path().await;
    let library = stage.library().await;
    let playlist = library.create_playlist("Some", &[]).await.unwrap();
    let objects = [
        (names::ROOT_PATH, names::SERVICES, xml::SERVICES),
        (device.as_str(), names::DEVICE, xml::DEVICE),
        (library.inner().path().as_str(), names::LIBRARY, xml::LIBRARY),
        (playlist.as_str(), names::PLAYLIST, xml::PLAYLIST),
    ];
    for (path, interface, xml) in objects {
        let live = members(&introspect(&stage, path).await, interface);
        assert_eq!(live, members(xml, interface), "{path}");
    }
    let root = introspect(&stage, names::ROOT_PATH).await;
    assert!(members(&root, "org.freedesktop.DBus.ObjectManager").is_some(), "the root manages objects");
}

#[tokio::test]
async fn the_object_manager_shows_every_object_with_every_property() {
    let stage = Stage::start(1).await;
    let device = stage.device_path().await;
    let library = stage.library().await;
    let playlist = library.create_playlist("Some", &[]).await.unwrap();
    let builder =
        ObjectManagerProxy::builder(&stage.client).destination(names::BUS_NAME).path(names::ROOT_PATH);
    let objects = builder.build().await.unwrap().get_managed_objects().await.unwrap();
    let expected = [
        (device.as_str().to_owned(), names::DEVICE, xml::DEVICE),
        (library.inner().path().to_string(), names::LIBRARY, xml::LIBRARY),
        (playlist.as_str().to_owned(), names::PLAYLIST, xml::PLAYLIST),
    ];
    for (path, interface, xml) in expected {
        let (_, interfaces) = objects.iter().find(|(object, _)| object.as_str() == path).unwrap();
        let (_, properties) = interfaces.iter().find(|(name, _)| name.as_str() == interface).unwrap();
        for (member, line) in members(xml, interface).unwrap() {
            if let Some(declared) = line.strip_prefix("property ") {
                let value = properties.get(&member).unwrap_or_else(|| panic!("{path} lacks {member}"));
                let signature = declared.split(' ').next().unwrap();
                assert_eq!(value.value_signature().to_string(), signature, "{member}");
            }
        }
    }
}
