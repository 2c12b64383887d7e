//! Nothing of the owner's media, playlists and folders reaches the stranger, by signals or by asking, and polkit is asked no
//! more than it has to be.

use crate::stage::{SECRET, Stage, answer, stage, strange};
use dbus_interfaces::names;
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, ServicesProxy};
use kit::LIMIT;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;
use zbus::proxy::CacheProperties;
use zbus::{OwnedObjectPath, Variant};

/// Starts listening as the stranger; returns once it does.
async fn listen(bus: &str) -> (Child, BufReader<tokio::process::ChildStdout>) {
    let mut monitor = strange("gdbus")
        .args(["monitor", "--address", bus, "--dest", names::BUS_NAME])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = BufReader::new(monitor.stdout.take().unwrap());
    // its second line says whose the name is: it has asked for the signals before
    for _ in 0..2 {
        let mut line = String::new();
        timeout(LIMIT, heard.read_line(&mut line)).await.expect("gdbus says that it listens").unwrap();
    }
    (monitor, heard)
}

/// The owner's library, with his folder and one playlist.
async fn fill_library(stage: &Stage) -> (LibraryProxy<'static>, OwnedObjectPath) {
    let path = ServicesProxy::new(&stage.owner).await.unwrap().get_library().await.unwrap();
    let library =
        LibraryProxy::builder(&stage.owner).path(path.clone()).cache_properties(CacheProperties::No);
    let library = library.build().await.unwrap();
    library.set_folders(&[stage.music.dir().to_str().unwrap()]).await.unwrap();
    kit::wait_for_property(&stage.owner, &path, names::LIBRARY, "TrackCount", |count: &u32| *count == 3)
        .await;
    let media: Vec<_> = (0..3).map(|number| stage.music.uri(format!("{SECRET} {number}.flac"))).collect();
    let media: Vec<_> = media.iter().map(String::as_str).collect();
    let playlist = library.create_playlist(&format!("{SECRET} list"), &media).await.unwrap();
    (library, playlist)
}

#[tokio::test]
async fn a_stranger_learns_no_names() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: nobody can be somebody else here");
        return;
    }
    let stage = stage().await;
    let bus = stage.daemon.bus().address().to_owned();
    let (mut monitor, mut heard) = listen(&bus).await;
    let (library, playlist) = fill_library(&stage).await;
    let devices = ServicesProxy::new(&stage.owner).await.unwrap().get_devices().await.unwrap();
    let device = DeviceProxy::builder(&stage.owner).path(devices[0].clone()).build().await.unwrap();
    let mut events = stage.daemon.events().await;
    let assigned = Variant::from(vec![playlist.clone().into_inner()]);
    device.create_partnership(HashMap::from([("playlists", &assigned)])).await.unwrap();
    events.wait_for("CreatePartnershipComplete").await;
    let stopped = |state: &String| state == "stopped";
    let counted = |count: &u32| *count > 0;
    kit::wait_for_property(&stage.owner, &devices[0], names::DEVICE, "SyncItemCount", counted).await;
    kit::wait_for_property(&stage.owner, &devices[0], names::DEVICE, "SyncState", stopped).await;
    assert!(device.get_sync_results().await.unwrap().iter().any(|(media, ..)| media.contains(SECRET)));

    let device = devices[0].as_str();
    let library = library.inner().path().as_str();
    let of_device = |member: &str| format!("{}.{member}", names::DEVICE);
    let properties = |member: &str| format!("org.freedesktop.DBus.Properties.{member}");
    let calls: [(&str, String, &[&str], &str); 16] = [
        (names::ROOT_PATH, "org.freedesktop.DBus.ObjectManager.GetManagedObjects".to_owned(), &[], device),
        (device, of_device("GetStatus"), &[], "partnership-another"),
        (device, of_device("GetSyncResults"), &[], "(@a(sss) [],)"),
        (device, of_device("GetSyncHistory"), &[], "(@aa{sv} [],)"),
        (device, of_device("Preview"), &[], "Error.NotAuthorized"),
        (device, properties("Get"), &[names::DEVICE, "CurrentItem"], "(<''>,)"),
        (device, of_device("GetItemInfo"), &["SyncRelationship"], "('3',)"),
        (device, of_device("GetItemInfo"), &["SyncOnConnect"], "Error.PartnershipNotExist"),
        (device, of_device("Start"), &[], "Error.PartnershipNotExist"),
        (device, of_device("Stop"), &[], "Error.NotAuthorized"),
        (device, of_device("DeletePartnership"), &["{}"], "Error.NotAuthorized"),
        (device, properties("Set"), &[names::DEVICE, "FriendlyName", "<'x'>"], "Error.PartnershipNotExist"),
        (library, format!("{}.GetPlaylists", names::LIBRARY), &[], "Error.NotAuthorized"),
        (library, properties("Get"), &[names::LIBRARY, "Folders"], "Error.NotAuthorized"),
        (playlist.as_str(), properties("GetAll"), &[names::PLAYLIST], "Error.AccessDenied"),
        (playlist.as_str(), properties("Set"), &[names::PLAYLIST, "Name", "<'x'>"], "Error.NotAuthorized"),
    ];
    for (path, method, arguments, expected) in calls {
        let said = answer(&bus, path, &method, arguments).await;
        assert!(said.contains(expected), "{method} {arguments:?} is answered: {said}");
        assert!(!said.contains(SECRET), "{method} tells: {said}");
        assert!(!said.contains(stage.music.dir().to_str().unwrap()), "{method} tells of a folder: {said}");
    }

    let manage = || (names::ACTION_MANAGE_OTHERS.to_owned(), 0);
    assert_eq!(
        *stage.polkit.asked.lock().unwrap(),
        [manage(), manage()],
        "for Stop and DeletePartnership alone"
    );
    stage.polkit.allow.store(true, Ordering::SeqCst);
    assert_eq!(answer(&bus, device, &of_device("Stop"), &[]).await.trim(), "()", "an administrator may");

    monitor.start_kill().unwrap();
    let mut log = String::new();
    heard.read_to_string(&mut log).await.unwrap();
    assert!(log.contains("CreatePartnershipComplete") && log.contains("Progress"), "it does hear: {log}");
    assert!(!log.contains(SECRET) && !log.contains(stage.music.dir().to_str().unwrap()), "{log}");
    drop(stage.agents);
}
