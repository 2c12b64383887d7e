//! Metadata by WMDM's names.

use super::session::MODIFIED;
use super::{Check, Problem, Session, Verdict, check, ensure, offered, refused, words};
use std::collections::HashMap;
use zbus::Variant;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "what the properties tell is metadata too",
            "answer WMDM/FileName, WMDM/FileSize, WMDM/FileAttributes and WMDM/PersistentUniqueID with the properties' values; leave out names that have none",
            of_properties
        ),
        check!(
            "a file has the modification time that it was given",
            "keep WMDM/LastModifiedDate over writing and renaming, to two seconds; or don't tell it at all",
            modified
        ),
        check!(
            "metadata is set without touching the bytes",
            "keep what the device has a place for, leave out the rest without error, or fail with NotSupported",
            set
        ),
        check!(
            "metadata of a wrong type is refused",
            "fail with InvalidArgument when a name has another type than the contract gives it",
            wrong_type
        ),
    ]
}

async fn of_properties(session: &mut Session) -> Verdict {
    let name = session.name("metadata");
    let path = session.new_file(&session.folder, &name, b"bytes").await?;
    let (provider, file) = (&session.provider, session.provider.storage(&path).await?);
    let names =
        ["WMDM/FileName", "WMDM/FileSize", "WMDM/FileAttributes", "WMDM/PersistentUniqueID", "X/None"];
    let told = provider.ask(file.get_specified_metadata(&names)).await?;
    let is = |name: &str, expected: Variant<'_>| {
        let found = told.get(name).map(|value| &**value);
        ensure(found == Some(&expected), || {
            format!("{name} is {} in place of {}", words::maybe(found), words::value(&expected))
        })
    };
    is("WMDM/FileName", Variant::from(name.as_str()))?;
    is("WMDM/FileSize", Variant::from(5_u64))?;
    is("WMDM/FileAttributes", Variant::from(provider.ask(file.attributes()).await?))?;
    let id = provider.ask(file.persistent_unique_id()).await?;
    if !id.is_empty() {
        is("WMDM/PersistentUniqueID", Variant::from(id))?;
    }
    ensure(told.len() <= 4, || format!("it tells what wasn't asked for: {}", words::metadata(&told)))?;
    let all = provider.ask(file.get_specified_metadata(&[])).await?;
    ensure(told.iter().all(|(name, value)| all.get(name) == Some(value)), || {
        format!("asked for all it tells {}", words::metadata(&all))
    })
}

async fn modified(session: &mut Session) -> Verdict {
    let (name, other) = (session.name("modified"), session.name("modified"));
    let path = session.new_file(&session.folder, &name, b"bytes").await?;
    let (provider, object) = (&session.provider, session.provider.object(&path).await?);
    // devices that can't rename are told of by another check
    let renamed = provider.ask(object.rename(&other)).await;
    let file = provider.storage(&path).await?;
    let key = "WMDM/LastModifiedDate";
    let told = provider.ask(file.get_specified_metadata(&[key])).await?;
    let Some(value) = told.get(key) else {
        return Err(Problem::NotOffered("the device tells no modification time".to_owned()));
    };
    let time = u64::try_from(&**value)
        .map_err(|_| Problem::Wrong(format!("{key} is {} and no `t`", words::value(value))))?;
    ensure(time.abs_diff(MODIFIED) <= 2, || {
        let after = if renamed.is_ok() { "writing and renaming" } else { "writing" };
        format!("{MODIFIED} was given, and after {after} it is {time}")
    })
}

async fn set(session: &mut Session) -> Verdict {
    let name = session.name("tags");
    let path = session.new_file(&session.folder, &name, b"bytes").await?;
    let (provider, file) = (&session.provider, session.provider.storage(&path).await?);
    let (title, track) = (Variant::from("Army of Me"), Variant::from(1_u32));
    let values = HashMap::from([("WMDM/Title", &title), ("WMDM/Track", &track)]);
    offered("SetMetadata", provider.ask(file.set_metadata(values)).await)?;
    let names = ["WMDM/Title", "WMDM/Track"];
    let first = provider.ask(file.get_specified_metadata(&names)).await?;
    let other = Variant::from("Hyperballad");
    provider.ask(file.set_metadata(HashMap::from([("WMDM/Title", &other)]))).await?;
    let second = provider.ask(file.get_specified_metadata(&names)).await?;
    ensure(session.bytes(&path).await? == b"bytes", || "the file has other bytes now".to_owned())?;
    for (told, title) in [(&first, title), (&second, other)] {
        let found = told.get("WMDM/Title");
        ensure(found.is_none_or(|found| **found == title), || {
            format!("the title is {}", words::maybe(found.map(|found| &**found)))
        })?;
    }
    ensure(first.len() == second.len() && first.get("WMDM/Track") == second.get("WMDM/Track"), || {
        let (first, second) = (words::metadata(&first), words::metadata(&second));
        format!("there was {first}, and after the title alone was set there is {second}")
    })?;
    ensure(first.get("WMDM/Track").is_none_or(|found| **found == track), || {
        format!("there is {}", words::metadata(&first))
    })?;
    if first.is_empty() {
        return Err(Problem::NotOffered("the device has no place for title and track".to_owned()));
    }
    Ok(())
}

async fn wrong_type(session: &mut Session) -> Verdict {
    let name = session.name("tags");
    let path = session.new_file(&session.folder, &name, b"bytes").await?;
    let (provider, file) = (&session.provider, session.provider.storage(&path).await?);
    let wrong = Variant::from("one");
    let answer = provider.ask(file.set_metadata(HashMap::from([("WMDM/Track", &wrong)]))).await;
    refused("a text for WMDM/Track", answer, &["InvalidArgument", "NotSupported"])
}
