//! Opening and releasing: `org.tandemd.Provider1`.

use super::session::create_device;
use super::{Check, Fault, Problem, Provider, Session, Target, Verdict, check, ensure, offered, refused};
use dbus_interfaces::provider::{DEVICE, OBJECT, PROVIDER, STORAGE};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::time::Instant;
use zbus::names::BusName;
use zbus::{Fd, OwnedObjectPath, OwnedVariant, Variant, connection, fdo};

/// How soon a device is released after its caller left.
const RELEASE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// How many callers leave while the device is opened: one may be late for that.
const LEAVES: u32 = 3;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "EnumDevices tells identities",
            "answer with one `a{sv}` for each device that was announced, with a `canonical-name` of 1 to 255 bytes",
            enum_devices
        ),
        check!(
            "a device that isn't there is refused",
            "fail with NotFound when there is no device of that canonical name",
            no_such_device
        ),
        check!(
            "an identity without a canonical name is refused",
            "fail with InvalidArgument when `canonical-name` is missing or is no text",
            nameless_device
        ),
        check!(
            "objects lie below the root object",
            "publish devices and storages below the root object's path",
            below_root
        ),
        check!(
            "each object tells which interfaces it has",
            "serve org.freedesktop.DBus.Introspectable: a root object with Provider1, a device with its Device, folders and files with Storage and Object, a root storage with Storage alone",
            introspection
        ),
        check!(
            "another caller is told that the device is busy",
            "remember who opened a device, and fail with Busy for another caller",
            busy_for_another
        ),
        check!(
            "the same caller may open the device again",
            "release what the caller had of the device, and open it anew",
            opened_again
        ),
    ]
}

/// These leave the device open as they found it, and lose what the others made of paths.
pub(super) fn last_checks() -> Vec<Check> {
    vec![
        check!(
            "releasing what isn't open is refused",
            "fail with InvalidArgument for a path that is no open device of the caller's",
            release_of_nothing
        ),
        check!(
            "a released device is gone from the bus",
            "take the device's objects away before ReleaseDevice answers; calls fail with InterfaceDead",
            released
        ),
        check!(
            "a device is released when its caller leaves the bus",
            "watch NameOwnerChanged, and release what a caller had when its name is gone",
            left
        ),
        check!(
            "a device is released when its caller leaves while it is opened",
            "when a device is open, see that its caller is still on the bus; release it if not",
            left_while_opening
        ),
    ]
}

async fn enum_devices(session: &mut Session) -> Verdict {
    let provider = &session.provider;
    let root = provider.provider(&provider.root).await?;
    for identity in offered("EnumDevices", provider.ask(root.enum_devices()).await)? {
        let name = identity.get("canonical-name").and_then(|name| <&str>::try_from(&**name).ok());
        ensure(name.is_some_and(|name| (1..=255).contains(&name.len())), || {
            format!("an identity has the canonical name `{}`", name.unwrap_or_default())
        })?;
    }
    Ok(())
}

/// What comes of opening a device by these fields alone.
async fn open(session: &Session, fields: HashMap<String, OwnedVariant>) -> Result<OwnedObjectPath, Fault> {
    create_device(&session.provider, &Target { identity: fields, usb: None }).await
}

async fn no_such_device(session: &mut Session) -> Verdict {
    let name = Variant::from("tandem-provider-test: no such device");
    let fields = HashMap::from([("canonical-name".to_owned(), owned(name)?)]);
    refused("CreateDevice", open(session, fields).await, &["NotFound", "NotSupported"])
}

fn owned(value: Variant<'_>) -> Result<OwnedVariant, Problem> {
    OwnedVariant::try_from(value).map_err(|error| Problem::Wrong(error.to_string()))
}

async fn nameless_device(session: &mut Session) -> Verdict {
    refused("CreateDevice without a name", open(session, HashMap::new()).await, &["InvalidArgument"])?;
    let fields = HashMap::from([("canonical-name".to_owned(), owned(Variant::from(5_u32))?)]);
    refused("CreateDevice with a number for a name", open(session, fields).await, &["InvalidArgument"])
}

async fn below_root(session: &mut Session) -> Verdict {
    let root = session.provider.root.as_str();
    let prefix = format!("{}/", root.trim_end_matches('/'));
    for path in [&session.device, &session.storage, &session.folder] {
        ensure(path.as_str().starts_with(&prefix), || format!("`{path}` doesn't lie below `{root}`"))?;
    }
    Ok(())
}

async fn introspection(session: &mut Session) -> Verdict {
    let objects: [(&OwnedObjectPath, &[&str]); 4] = [
        (&session.provider.root, &[PROVIDER]),
        (&session.device, &[DEVICE]),
        (&session.storage, &[STORAGE]),
        (&session.folder, &[STORAGE, OBJECT]),
    ];
    for (path, wanted) in objects {
        let document = session.provider.introspect(path).await?;
        for interface in [PROVIDER, DEVICE, STORAGE, OBJECT] {
            let has = document.contains(&format!("\"{interface}\""));
            ensure(has == wanted.contains(&interface), || {
                let word = if has { "has" } else { "lacks" };
                format!("`{path}` {word} `{interface}`, as it tells")
            })?;
        }
    }
    Ok(())
}

/// The provider as another caller on the same bus sees it.
async fn another(session: &Session) -> Result<Provider, Problem> {
    let address = session.provider.connection.server_guid().to_string();
    let builder = match std::env::var("DBUS_SESSION_BUS_ADDRESS") {
        Ok(_) if session.provider.session => connection::Builder::session(),
        _ => connection::Builder::system(),
    };
    let connection =
        builder.build().await.map_err(|error| Problem::Wrong(format!("no second connection: {error}")))?;
    ensure(connection.server_guid().to_string() == address, || "the bus has changed".to_owned())?;
    Ok(Provider { connection, ..session.provider.clone() })
}

async fn busy_for_another(session: &mut Session) -> Verdict {
    let other = another(session).await?;
    refused("CreateDevice by another caller", create_device(&other, &session.target).await, &["Busy"])?;
    session.provider.ask(session.device().await?.enum_storage()).await?;
    Ok(())
}

async fn opened_again(session: &mut Session) -> Verdict {
    let before = session.device.clone();
    session.reopen().await?;
    session.provider.ask(session.device().await?.enum_storage()).await?;
    if before != session.device {
        let old = session.provider.device(&before).await?;
        refused(
            "a call to the earlier object",
            session.provider.ask(old.enum_storage()).await,
            &["InterfaceDead"],
        )?;
    }
    Ok(())
}

async fn release_of_nothing(session: &mut Session) -> Verdict {
    let root = session.provider.provider(&session.provider.root).await?;
    let answer = session.provider.ask(root.release_device(&session.storage)).await;
    refused("ReleaseDevice of a storage", answer, &["InvalidArgument"])
}

async fn released(session: &mut Session) -> Verdict {
    let root = session.provider.provider(&session.provider.root).await?;
    let (device, folder) = (session.device().await?, session.folder().await?);
    session.provider.ask(root.release_device(&session.device)).await?;
    let dead = ["InterfaceDead"];
    let of_device = refused("a call to the device", session.provider.ask(device.enum_storage()).await, &dead);
    let of_folder = refused("a call to a folder", session.provider.ask(folder.name()).await, &dead);
    session.reopen().await?;
    of_device.and(of_folder)
}

async fn left(session: &mut Session) -> Verdict {
    let root = session.provider.provider(&session.provider.root).await?;
    session.provider.ask(root.release_device(&session.device)).await?;
    let other = another(session).await?;
    let opened = create_device(&other, &session.target).await;
    // closed and not only dropped: the bus has to see it
    let closed = other.connection.close().await;
    let again = reopened(session).await;
    opened?;
    closed.map_err(Fault::from)?;
    again
}

async fn left_while_opening(session: &mut Session) -> Verdict {
    for _ in 0..LEAVES {
        let root = session.provider.provider(&session.provider.root).await?;
        session.provider.ask(root.release_device(&session.device)).await?;
        let asked = ask_and_leave(session).await;
        let again = reopened(session).await;
        asked.and(again)?;
    }
    Ok(())
}

/// Has another caller ask for the device, and leave the bus without waiting for it.
async fn ask_and_leave(session: &Session) -> Verdict {
    let other = another(session).await?;
    let root = other.provider(&other.root).await?;
    let Target { identity, usb } = &session.target;
    let usb: Vec<Fd<'_>> = usb.iter().map(|node| Fd::from(node.as_fd())).collect();
    let asked = root.inner().call_noreply("CreateDevice", &(identity, usb)).await;
    let name = other.connection.unique_name().map(ToString::to_string).unwrap_or_default();
    other.connection.close().await.map_err(Fault::from)?;
    asked.map_err(Fault::from)?;
    // when it is gone, the bus has passed on what it asked
    let bus = fdo::DBusProxy::new(&session.provider.connection).await.map_err(Fault::from)?;
    let name = BusName::try_from(name).map_err(|error| Problem::Wrong(error.to_string()))?;
    let limit = Instant::now() + RELEASE;
    while bus.name_has_owner(name.clone()).await.map_err(Fault::from)? && Instant::now() < limit {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Opens the device that another caller had, when the provider has heard that this one has left.
async fn reopened(session: &mut Session) -> Verdict {
    let mut again = session.reopen().await;
    let limit = Instant::now() + RELEASE;
    while again.as_ref().is_err_and(|fault| fault.word == "Busy") && Instant::now() < limit {
        // the bus tells the provider at its own time, and us of nothing
        tokio::time::sleep(PAUSE).await;
        again = session.reopen().await;
    }
    again.map_err(|fault| {
        Problem::Wrong(format!("{} seconds after its caller left: {fault}", RELEASE.as_secs()))
    })
}
