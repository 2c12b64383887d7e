//! The device itself: `org.tandemd.Provider1.Device`.

use super::session::pattern;
use super::{Check, Problem, Session, Verdict, check, ensure, offered, refused, words};
use dbus_interfaces::provider::{
    CONTROL_CAN_SYNCHRONIZE, CONTROL_CHANGED_ITEMS, SCOPE_GLOBAL, SYNC_RELATIONSHIP_ID,
};
use std::collections::BTreeSet;
use zbus::Variant;

const FRIENDLY_NAME: &str = "WMDM/DeviceFriendlyName";
const FORMATS: &str = "WMDM/FormatsSupported";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "the device tells what it is",
            "serve all seven properties: five texts of at most 255 bytes, `PowerSource` of battery, external or unknown, `BatteryPercent` of 0 to 100",
            properties
        ),
        check!(
            "root storages are told with their space",
            "answer EnumStorage with at least one root storage, always in one order; each has `folder`, `TotalFree` at most `TotalSize`, and `/` for its parent",
            root_storages
        ),
        check!(
            "properties by WMDM's names are those that are listed",
            "list each name once in GetSupportedProperties, WMDM/SyncRelationshipID among them; answer GetProperty for those, and NotSupported for others",
            listed
        ),
        check!(
            "the partnership's mark is kept as it is",
            "keep WMDM/SyncRelationshipID on the device, byte by byte, also after ReleaseDevice; empty text takes it away",
            mark
        ),
        check!(
            "a mark that can't be kept is refused",
            "fail with InvalidArgument for a value that is no text or has more than 255 bytes, and keep the old one",
            wrong_mark
        ),
        check!(
            "the user's name for the device is kept",
            "keep WMDM/DeviceFriendlyName, or leave it out of GetSupportedProperties",
            friendly_name
        ),
        check!(
            "formats are told with what the device plays of them",
            "serve WMDM/FormatsSupported as `au`; GetFormatCapability answers configurations with a `preference` of type `u`, or NotSupported",
            formats
        ),
        check!(
            "control codes are answered or refused",
            "fail with NotSupported for a code that the device doesn't know; WMP2 answers 0 or 1 and WMP1 at least five numbers, in 32 little-endian bits each",
            control
        ),
        check!(
            "what was done is there after Flush",
            "keep all that was answered for before Flush answers, whoever opened the device and however it is let go of; or don't have the method, when each answer means that",
            flush
        ),
        check!(
            "storages are found by their lasting ids",
            "FindStorage answers the same object as EnumStorage, NotFound for an id that there isn't, InvalidArgument for another scope",
            find
        ),
    ]
}

async fn properties(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let texts = [
        ("Name", provider.ask(device.name()).await?),
        ("Manufacturer", provider.ask(device.manufacturer()).await?),
        ("Model", provider.ask(device.model()).await?),
        ("SerialNumber", provider.ask(device.serial_number()).await?),
        ("Version", provider.ask(device.version()).await?),
    ];
    for (name, text) in texts {
        ensure(text.len() <= 255, || format!("`{name}` has {} bytes", text.len()))?;
    }
    let source = provider.ask(device.power_source()).await?;
    ensure(["battery", "external", "unknown"].contains(&source.as_str()), || {
        format!("`PowerSource` is `{source}`")
    })?;
    let percent = provider.ask(device.battery_percent()).await?;
    ensure(percent <= 100, || format!("`BatteryPercent` is {percent}"))
}

async fn root_storages(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let roots = provider.ask(device.enum_storage()).await?;
    ensure(!roots.is_empty(), || "there is none".to_owned())?;
    ensure(roots == provider.ask(device.enum_storage()).await?, || {
        "the second answer is another".to_owned()
    })?;
    for path in roots {
        let root = provider.storage(&path).await?;
        let attributes = provider.ask(root.attributes()).await?;
        ensure(attributes.iter().any(|word| word == "folder"), || {
            format!("{path} has {}", words::list(&attributes))
        })?;
        let (total, free) = (provider.ask(root.total_size()).await?, provider.ask(root.total_free()).await?);
        ensure(free <= total && total > 0, || format!("{path} has {free} of {total} bytes free"))?;
        let parent = provider.ask(root.get_parent()).await?;
        ensure(parent.as_str() == "/", || format!("{path} has the parent {parent}"))?;
        let object = provider.object(&path).await?;
        refused("Rename of a root storage", provider.ask(object.rename("x")).await, &["NotSupported"])?;
    }
    Ok(())
}

async fn listed(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let names = provider.ask(device.get_supported_properties()).await?;
    let unique: BTreeSet<_> = names.iter().collect();
    ensure(unique.len() == names.len(), || format!("a name is listed twice: {}", words::list(&names)))?;
    ensure(names.iter().any(|name| name == SYNC_RELATIONSHIP_ID), || {
        format!("{SYNC_RELATIONSHIP_ID} is not among what is listed: {}", words::list(&names))
    })?;
    for name in &names {
        provider.ask(device.get_property(name)).await?;
    }
    let odd = "Tandem/NoSuchProperty";
    refused("GetProperty of another name", provider.ask(device.get_property(odd)).await, &["NotSupported"])?;
    let answer = provider.ask(device.set_property(odd, &Variant::from("x"))).await;
    refused("SetProperty of another name", answer, &["NotSupported"])
}

async fn mark(session: &mut Session) -> Verdict {
    let long = "\u{e9}".repeat(127);
    for mark in ["{6AC27878-A6FA-4155-BA85-F98F491D4F33}", "two words\tand a tab", &long] {
        session.write_mark(mark).await?;
        let found = session.read_mark().await?;
        ensure(found == mark, || format!("`{mark}` was set, and `{found}` is there"))?;
    }
    session.reopen().await?;
    let found = session.read_mark().await?;
    ensure(found == long, || format!("after the device was opened again the mark is `{found}`"))?;
    session.write_mark("").await?;
    let found = session.read_mark().await?;
    ensure(found.is_empty(), || format!("it was taken away, and `{found}` is there"))
}

async fn wrong_mark(session: &mut Session) -> Verdict {
    session.write_mark("kept").await?;
    let answer = session.write_mark(&"n".repeat(256)).await;
    refused("a mark of 256 bytes", answer, &["InvalidArgument"])?;
    let device = session.device().await?;
    let answer = session.provider.ask(device.set_property(SYNC_RELATIONSHIP_ID, &Variant::from(5_u32))).await;
    refused("a number for a mark", answer, &["InvalidArgument"])?;
    let found = session.read_mark().await?;
    ensure(found == "kept", || format!("the mark was changed to `{found}`"))
}

async fn friendly_name(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let names = provider.ask(device.get_supported_properties()).await?;
    if !names.iter().any(|name| name == FRIENDLY_NAME) {
        return Err(Problem::NotOffered(format!("{FRIENDLY_NAME} is not listed")));
    }
    let before = provider.ask(device.get_property(FRIENDLY_NAME)).await?;
    let set = provider.ask(device.set_property(FRIENDLY_NAME, &Variant::from("Ann's player"))).await;
    let after = provider.ask(device.get_property(FRIENDLY_NAME)).await;
    provider.ask(device.set_property(FRIENDLY_NAME, &before)).await?;
    set?;
    let after = after?;
    ensure(<&str>::try_from(&*after).is_ok_and(|name| name == "Ann's player"), || {
        format!("`Ann's player` was set, and {} is there", words::value(&after))
    })
}

async fn formats(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let unknown = provider.ask(device.get_format_capability(0xFFFF_FFFF)).await;
    refused("GetFormatCapability of a format that isn't one", unknown, &["NotSupported"])?;
    let value = offered(FORMATS, provider.ask(device.get_property(FORMATS)).await)?;
    let codes = Vec::<u32>::try_from(value.clone())
        .map_err(|_| Problem::Wrong(format!("{FORMATS} is {} and no `au`", words::value(&value))))?;
    for code in codes {
        let told = match provider.ask(device.get_format_capability(code)).await {
            Err(fault) if fault.word == "NotSupported" => continue,
            told => told?,
        };
        for configuration in told {
            let preference = configuration.get("preference").map(|value| &**value);
            ensure(preference.is_some_and(|value| u32::try_from(value).is_ok()), || {
                let preference = words::maybe(preference);
                format!("the preference of a configuration of format {code:#06x} is {preference}, and no `u`")
            })?;
        }
    }
    Ok(())
}

async fn control(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let odd = provider.ask(device.device_io_control(0xFFFF_FFFF, &[])).await;
    refused("a code that isn't one", odd, &["NotSupported"])?;
    let mut missing = Vec::new();
    match provider.ask(device.device_io_control(CONTROL_CAN_SYNCHRONIZE, &[])).await {
        Err(fault) if fault.word == "NotSupported" => missing.push("WMP2"),
        answer => {
            let answer = answer?;
            let right = answer == 1_u32.to_le_bytes() || answer == 0_u32.to_le_bytes();
            ensure(right, || format!("WMP2 answered the bytes {}", words::list(&answer)))?;
        }
    }
    match provider.ask(device.device_io_control(CONTROL_CHANGED_ITEMS, &[0; 8])).await {
        Err(fault) if fault.word == "NotSupported" => missing.push("WMP1"),
        answer => {
            let length = answer?.len();
            ensure((20..=327_700).contains(&length), || format!("WMP1 answered {length} bytes"))?;
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Problem::NotOffered(missing.join(" and "))) }
}

async fn flush(session: &mut Session) -> Verdict {
    session.target.identity.insert("flushes".to_owned(), true.into());
    let kept = flushed(session).await;
    session.target.identity.remove("flushes");
    let reopened = session.reopen().await;
    kept.and(reopened.map_err(Problem::from))
}

/// Changes of a caller that calls `Flush`.
async fn flushed(session: &mut Session) -> Verdict {
    session.reopen().await?;
    // nothing may rest on it where it isn't offered
    offered("Flush", session.provider.flush(&session.device).await)?;
    let (name, renamed, bytes) = (session.name("kept"), session.name("renamed"), pattern(70_000));
    let path = session.new_file(&session.folder, &name, &bytes).await?;
    session.provider.flush(&session.device).await?;
    let object = session.provider.object(&path).await?;
    match session.provider.ask(object.rename(&renamed)).await {
        Err(fault) if fault.word == "NotSupported" => {}
        answer => answer?,
    }
    session.provider.flush(&session.device).await?;
    let back = session.bytes(&path).await?;
    ensure(back == bytes, || format!("a file has {} other bytes after Flush", back.len()))
}

async fn find(session: &mut Session) -> Verdict {
    let (provider, device) = (&session.provider, session.device().await?);
    let id = provider.ask(session.folder().await?.persistent_unique_id()).await?;
    if id.is_empty() {
        return Err(Problem::NotOffered("the device has no lasting ids".to_owned()));
    }
    let found = provider.ask(device.find_storage(SCOPE_GLOBAL, &id)).await?;
    ensure(found == session.folder, || format!("{found} was found in place of {}", session.folder))?;
    let none = provider.ask(device.find_storage(SCOPE_GLOBAL, "no such id")).await;
    refused("FindStorage of no such id", none, &["NotFound"])?;
    let odd = provider.ask(device.find_storage("everywhere", &id)).await;
    refused("FindStorage in no such scope", odd, &["InvalidArgument"])
}
