//! Proves the service on a private bus, over an engine without devices and a library in memory: objects, announcements,
//! errors, who holds the library open, and what others get to see.

use crate::fake_engine::{MemoryLibraries, UNRESOLVED, engine};
use crate::{Bus, BusError, BusKind, ServeOptions, ServedBus, ServiceProviders};
use dbus_interfaces::proxies::{LibraryProxy, PlaylistProxy, ServicesProxy};
use dbus_interfaces::{Error, names};
use futures_util::StreamExt;
use kit::{Events, LIMIT, PrivateBus};
use std::collections::HashMap;
use std::time::Duration;
use tandem_model::presence::Presence;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zbus::connection::Builder;
use zbus::fdo::{ObjectManagerProxy, PeerProxy};
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, OwnedObjectPath, OwnedVariant, Variant};

struct Stage {
    bus: PrivateBus,
    libraries: MemoryLibraries,
    providers: ServiceProviders,
    stop: CancellationToken,
    served: ServedBus,
    engine: JoinHandle<()>,
    _presence: mpsc::Sender<Presence>,
}

async fn connect(bus: &PrivateBus) -> Bus {
    Bus::build(Builder::address(bus.address())).await.unwrap()
}

async fn serve(bus: PrivateBus, owner_is_everything: bool) -> Result<Stage, BusError> {
    let libraries = MemoryLibraries::new();
    let stop = CancellationToken::new();
    let (started, presence) = engine(&libraries, &stop).await;
    let providers = ServiceProviders::new(BusKind::Session, Vec::new());
    let options = ServeOptions {
        version: "1.2.3".to_owned(),
        owner_is_everything,
        providers: providers.clone(),
        usb: std::sync::Arc::new(crate::fake_engine::NoUsb),
        stop: stop.clone(),
    };
    let served = connect(&bus).await.serve(started.engine, started.events, options).await?;
    Ok(Stage { bus, libraries, providers, stop, served, engine: started.task, _presence: presence })
}

impl Stage {
    async fn session() -> Self {
        serve(PrivateBus::start(), true).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(LIMIT, self.served.ended()).await.unwrap().unwrap();
        timeout(LIMIT, self.engine).await.unwrap().unwrap();
        assert_eq!(self.libraries.open_now(), 0, "the library was let go");
    }
}

async fn library(client: &Connection) -> LibraryProxy<'static> {
    let path = ServicesProxy::new(client).await.unwrap().get_library().await.unwrap();
    LibraryProxy::builder(client).path(path).cache_properties(CacheProperties::No).build().await.unwrap()
}

async fn playlist(client: &Connection, path: OwnedObjectPath) -> PlaylistProxy<'static> {
    PlaylistProxy::builder(client).path(path).cache_properties(CacheProperties::No).build().await.unwrap()
}

/// The contract's word for an error, or the full name of one that isn't the contract's.
fn word(error: zbus::Error) -> String {
    if let zbus::Error::FDO(error) = error {
        return error.name().to_string();
    }
    let error = Error::from(error);
    let text = error.description().unwrap_or_default();
    assert!(!text.is_empty(), "{error} says nothing");
    error.name().trim_start_matches(names::ERROR_PREFIX).to_owned()
}

#[tokio::test]
async fn the_service_tells_of_itself() {
    let stage = Stage::session().await;
    let services = ServicesProxy::new(&stage.bus.connect().await).await.unwrap();
    assert_eq!(services.version().await.unwrap(), "1.2.3");
    assert_eq!(services.max_partnerships().await.unwrap(), 16);
    assert_eq!(services.device_count().await.unwrap(), 0);
    assert_eq!(word(services.get_device(0).await.unwrap_err()), "InvalidArgument");
    stage.end().await;
}

#[tokio::test]
async fn a_provider_is_registered_until_it_ends_that_or_leaves() {
    let stage = Stage::session().await;
    let provider = stage.bus.connect().await;
    let services = ServicesProxy::new(&provider).await.unwrap();
    let root = zbus::ObjectPath::try_from("/p").unwrap();
    let flag = Variant::from(1u32);
    let with = |name| HashMap::from([(name, &flag)]);
    let refused = services.register_provider("p", &root, with("UseExtendedWmdn")).await.unwrap_err();
    assert!(refused.to_string().contains("`UseExtendedWmdn`"), "{refused}");
    assert_eq!(word(refused), "InvalidArgument");
    assert_eq!(
        word(services.register_provider("", &root, HashMap::new()).await.unwrap_err()),
        "InvalidArgument"
    );
    assert_eq!(word(services.unregister_provider("p").await.unwrap_err()), "NotFound");
    services.register_provider("p", &root, with("UseExtendedWmdm")).await.unwrap();
    let twice = services.register_provider("p", &root, HashMap::new()).await;
    assert_eq!(word(twice.unwrap_err()), "InvalidArgument");
    services.unregister_provider("p").await.unwrap();
    for number in 0..16 {
        services.register_provider(&format!("p{number}"), &root, HashMap::new()).await.unwrap();
    }
    let too_many = services.register_provider("p16", &root, HashMap::new()).await;
    assert_eq!(word(too_many.unwrap_err()), "InvalidArgument");
    assert_eq!(stage.providers.registered(), 16);
    provider.close().await.unwrap();
    let forgotten = async {
        while stage.providers.registered() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, forgotten).await.expect("who leaves is forgotten");
    stage.end().await;
}

#[tokio::test]
async fn calls_are_taken_before_the_name_is() {
    let bus = PrivateBus::start();
    let service = connect(&bus).await;
    let client = bus.connect().await;
    let peer = PeerProxy::builder(&client)
        .destination(service.connection.unique_name().unwrap().as_ref())
        .path(names::ROOT_PATH);
    timeout(LIMIT, peer.build().await.unwrap().ping()).await.expect("the call is answered").unwrap();
}

#[tokio::test]
async fn a_second_service_names_the_first() {
    let stage = Stage::session().await;
    let libraries = MemoryLibraries::new();
    let stop = CancellationToken::new();
    let (started, _presence) = engine(&libraries, &stop).await;
    let options = ServeOptions {
        version: String::new(),
        owner_is_everything: true,
        providers: ServiceProviders::new(BusKind::Session, Vec::new()),
        usb: std::sync::Arc::new(crate::fake_engine::NoUsb),
        stop: stop.clone(),
    };
    let second = connect(&stage.bus).await.serve(started.engine, started.events, options).await;
    let error = second.unwrap_err();
    assert!(
        matches!(&error, BusError::NameTaken { owner, pid, .. }
        if owner.starts_with(":1.") && *pid == std::process::id().to_string()),
        "{error}"
    );
    stop.cancel();
    started.task.await.unwrap();
    stage.end().await;
}

#[tokio::test]
async fn the_loss_of_the_bus_is_told() {
    let Stage { bus, served, stop, engine, .. } = Stage::session().await;
    drop(bus);
    assert!(matches!(timeout(LIMIT, served.ended()).await.unwrap(), Err(BusError::Lost)));
    stop.cancel();
    engine.await.unwrap();
}

#[tokio::test]
async fn playlists_come_change_and_go() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let mut events = Events::subscribe(stage.bus.connect().await).await;
    let path = library.create_playlist("Jazz", &["file:///m/a.flac"]).await.unwrap();
    events.wait_for("InterfacesAdded").await;
    let one = playlist(&client, path.clone()).await;
    assert_eq!(one.name().await.unwrap(), "Jazz");
    assert_eq!(one.kind().await.unwrap(), "static");
    assert_eq!(one.get_items(0, 0).await.unwrap(), ["file:///m/a.flac"]);
    assert_eq!(library.get_playlists().await.unwrap(), std::slice::from_ref(&path));
    assert_eq!(library.get_playlist("Jazz").await.unwrap(), path);

    one.append(&["file:///m/b.flac"]).await.unwrap();
    assert_eq!(one.count().await.unwrap(), 2, "the answer comes after the change is shown");
    one.set_item_info("SyncOnly", "true").await.unwrap();
    assert_eq!(one.get_item_info("SyncOnly").await.unwrap(), "True");
    assert_eq!(one.get_item_info("Sync03").await.unwrap(), "0");
    one.delete().await.unwrap();
    events.wait_for("InterfacesRemoved").await;
    assert!(word(one.count().await.unwrap_err()).contains("Unknown"));
    assert!(library.get_playlists().await.unwrap().is_empty());
    stage.end().await;
}

#[tokio::test]
async fn a_new_playlist_does_not_wait_for_a_look_at_all_of_them() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let mut events = Events::subscribe(stage.bus.connect().await).await;
    stage.libraries.lists.send_replace(false);
    // the watcher asks for all of them now, and that takes long
    stage.libraries.appear("p-file", "From a file");
    let path = timeout(LIMIT, library.create_playlist("Jazz", &[])).await.unwrap().unwrap();
    events.wait_for("InterfacesAdded").await;
    let one = playlist(&client, path.clone()).await;
    assert_eq!(one.name().await.unwrap(), "Jazz");
    assert_eq!(library.playlist_count().await.unwrap(), 2);
    timeout(LIMIT, one.append(&["file:///m/a.flac"])).await.unwrap().unwrap();
    assert_eq!(one.count().await.unwrap(), 1);
    stage.libraries.lists.send_replace(true);
    // the answer is of the time before it was made, and takes nothing away
    events.wait_for("InterfacesAdded").await;
    assert_eq!(one.name().await.unwrap(), "Jazz");
    assert!(library.get_playlists().await.unwrap().contains(&path));
    stage.end().await;
}

#[tokio::test]
async fn an_import_tells_what_it_left_out() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let (path, unresolved) = library.import_playlist_with_report("/m/list.m3u").await.unwrap();
    assert_eq!(unresolved, [UNRESOLVED]);
    assert_eq!(library.get_playlists().await.unwrap(), std::slice::from_ref(&path));
    assert_eq!(playlist(&client, path).await.get_unresolved().await.unwrap(), [UNRESOLVED]);
    stage.end().await;
}

#[tokio::test]
async fn what_appears_by_itself_is_announced() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let mut events = Events::subscribe(stage.bus.connect().await).await;
    stage.libraries.appear("p-file", "From a file");
    let added = events.wait_for("InterfacesAdded").await;
    let body = added.body();
    let (path, interfaces): (OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>) =
        body.deserialize().unwrap();
    assert!(path.as_str().ends_with("/playlists/p_2dfile"));
    assert_eq!(
        interfaces[names::PLAYLIST]["Name"],
        OwnedVariant::try_from(Variant::from("From a file")).unwrap()
    );
    let count = |count: &u32| *count == 1;
    kit::wait_for_property(&client, library.inner().path(), names::LIBRARY, "PlaylistCount", count).await;
    stage.end().await;
}

/// The `PropertiesChanged` of this object that are received until `until` changes too.
async fn changes_until(
    events: &mut Events,
    interface: &str,
    until: &str,
) -> Vec<HashMap<String, OwnedVariant>> {
    let mut seen = Vec::new();
    loop {
        let message = events.wait_for("PropertiesChanged").await;
        let body = message.body();
        let (of, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            body.deserialize().unwrap();
        if of == interface {
            let last = changed.contains_key(until);
            seen.push(changed);
            if last {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn a_property_that_is_set_is_announced_once() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let one = playlist(&client, library.create_playlist("Old", &[]).await.unwrap()).await;
    let mut events = Events::subscribe(stage.bus.connect().await).await;
    one.set_name("New").await.unwrap();
    assert_eq!(one.name().await.unwrap(), "New", "it shows as soon as it is answered");
    one.append(&["file:///m/b.flac"]).await.unwrap();
    let seen = changes_until(&mut events, names::PLAYLIST, "Count").await;
    assert_eq!(seen.iter().filter(|changed| changed.contains_key("Name")).count(), 1, "{seen:?}");
    stage.end().await;
}

#[tokio::test]
async fn refusals_have_their_names() {
    let stage = Stage::session().await;
    let client = stage.bus.connect().await;
    let library = library(&client).await;
    let media = Variant::from(5u32);
    let one = playlist(&client, library.create_playlist("One", &[]).await.unwrap()).await;
    assert_eq!(word(library.get_playlist("None").await.unwrap_err()), "NotFound");
    assert_eq!(word(library.create_playlist("P", &["/a.flac"]).await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(library.create_auto_playlist("P", "x").await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(library.import_playlist("/p.m3u").await.unwrap_err()), "Failed");
    assert_eq!(word(library.set_media_info("file:///a", "Title", &media).await.unwrap_err()), "ReadOnly");
    assert_eq!(word(one.get_item_info("Sync17").await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(one.set_item_info("Sync01", "x").await.unwrap_err()), "InvalidArgument");
    assert_eq!(word(one.set_item_info("Sync01", "1").await.unwrap_err()), "PartnershipNotExist");
    let info = library.get_media_info("file:///a").await.unwrap();
    assert_eq!(u64::try_from(info["Duration"].clone()), Ok(5));
    assert_eq!(u32::try_from(info["SyncState"].clone()), Ok(0));
    let path = library.inner().path().to_owned();
    let set = kit::set_property(&client, &path, names::LIBRARY, "TrackCount", 1u32).await;
    assert!(word(set.unwrap_err()).contains("PropertyReadOnly"));
    let set = kit::set_property(&client, &path, names::LIBRARY, "Colour", 1u32).await;
    assert!(word(set.unwrap_err()).contains("UnknownProperty"));
    let call = client.call_method(Some(names::BUS_NAME), &path, Some(names::LIBRARY), "Explode", &()).await;
    assert!(word(call.unwrap_err()).contains("UnknownMethod"));
    let call =
        client.call_method(Some(names::BUS_NAME), &path, Some(names::LIBRARY), "Search", &(1u32,)).await;
    assert!(word(call.unwrap_err()).contains("InvalidArgs"));
    stage.end().await;
}

#[tokio::test]
async fn the_library_is_held_while_its_user_is_there_or_it_scans() {
    let stage = Stage::session().await;
    let stays = stage.bus.connect().await;
    let other = library(&stays).await;
    let leaves = stage.bus.connect().await;
    library(&leaves).await.scan().await.unwrap();
    assert_eq!(stage.libraries.open_now(), 1, "both use one");
    leaves.close().await.unwrap();
    assert_eq!(other.track_count().await.unwrap(), 0);
    assert_eq!(stage.libraries.open_now(), 1);
    stays.close().await.unwrap();
    // who reads properties is told what is true, and holds nothing: this one only watches
    let watcher = stage.bus.connect().await;
    let path = other.inner().path().to_owned();
    assert!(kit::property::<bool>(&watcher, &path, names::LIBRARY, "Scanning").await.is_ok());
    stage.libraries.state.send_modify(|state| state.scanning = false);
    timeout(LIMIT, stage.libraries.closed(1)).await.expect("nobody uses it, and the scan has ended");
    let again = library(&stage.bus.connect().await).await;
    assert!(again.inner().path() == &path);
    stage.end().await;
}

#[tokio::test]
async fn on_the_system_bus_nothing_of_a_library_is_broadcast() {
    let stage = serve(PrivateBus::start(), false).await.unwrap();
    let owner = stage.bus.connect().await;
    let stranger = stage.bus.connect().await;
    let mut heard = zbus::MessageStream::from(&stranger);
    let rule = "type='signal',sender='org.tandemd.Sync1'";
    zbus::fdo::DBusProxy::new(&stranger)
        .await
        .unwrap()
        .add_match_rule(rule.try_into().unwrap())
        .await
        .unwrap();

    let library = library(&owner).await;
    let mut told = Events::subscribe(owner.clone()).await;
    let one =
        playlist(&owner, library.create_playlist("My secret", &["file:///secret.flac"]).await.unwrap()).await;
    one.set_name("Another secret").await.unwrap();
    one.append(&["file:///secret.flac"]).await.unwrap();
    assert_eq!(one.name().await.unwrap(), "Another secret");
    let seen = changes_until(&mut told, names::PLAYLIST, "Count").await;
    assert!(seen.iter().any(|changed| changed.contains_key("Name")), "the owner is told: {seen:?}");

    let builder = ObjectManagerProxy::builder(&owner).destination(names::BUS_NAME).path(names::ROOT_PATH);
    let objects = builder.build().await.unwrap().get_managed_objects().await.unwrap();
    let found = &objects[one.inner().path()];
    assert!(found.iter().all(|(_, properties)| properties.is_empty()), "{found:?}");

    one.delete().await.unwrap();
    let removed = async {
        loop {
            let message = heard.next().await.unwrap().unwrap();
            let text = format!("{:?} {:?}", message, message.body());
            assert!(!text.contains("secret"), "{text}");
            let member = message.header().member().map(ToString::to_string).unwrap_or_default();
            assert_ne!(member, "PropertiesChanged", "nothing public has changed");
            if member == "InterfacesRemoved" {
                break;
            }
        }
    };
    timeout(LIMIT, removed).await.unwrap();
    stage.end().await;
}

#[tokio::test]
async fn a_service_that_ends_does_so_at_once() {
    let stage = Stage::session().await;
    library(&stage.bus.connect().await).await.scan().await.unwrap();
    stage.stop.cancel();
    timeout(Duration::from_secs(2), stage.served.ended()).await.expect("a scan doesn't hold it up").unwrap();
}
