//! What saves calls: `Insert` of a storage and `RenameAll` of the device. Both are optional.

use super::session::{MODIFIED, UNDEFINED, pattern};
use super::{Check, Fault, Problem, Session, Verdict, check, ensure, names_in, offered, refused, words};
use futures_util::future::join_all;
use std::collections::HashMap;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

const NAME: &str = "WMDM/FileName";
const SIZE: &str = "WMDM/FileSize";
const TIME: &str = "WMDM/LastModifiedDate";

/// Metadata by its names.
type Metadata = HashMap<String, OwnedVariant>;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "files are made with their bytes by one call",
            "let Insert do what CreateStorageWithMetadata, WriteOnClearChannel and GetSpecifiedMetadata do, also for several files at once; after an error there is no file; or don't have the method",
            insert
        ),
        check!(
            "files are renamed together as one by one",
            "let RenameAll rename each file and tell its metadata then, and tell what fails by its word, without leaving the others out; or don't have the method",
            rename_all
        ),
    ]
}

async fn inserted(
    session: &Session,
    name: &str,
    bytes: &[u8],
    size: u64,
) -> Result<(OwnedObjectPath, Metadata), Fault> {
    let (format, modified) = (Variant::from(UNDEFINED), Variant::from(MODIFIED));
    let metadata = HashMap::from([("WMDM/FormatCode", &format), (TIME, &modified)]);
    session.provider.insert(&session.folder, (name, metadata), bytes, size, &[NAME, SIZE, TIME]).await
}

/// Whether metadata tells a file of this name and size.
fn is_told(told: &Metadata, name: &str, size: usize) -> Verdict {
    let text = |key: &str| told.get(key).and_then(|value| <&str>::try_from(&**value).ok());
    let number = |key: &str| told.get(key).and_then(|value| u64::try_from(&**value).ok());
    let found = (text(NAME), number(SIZE), number(TIME));
    ensure(found == (Some(name), Some(size as u64), Some(MODIFIED)), || {
        format!("of `{name}` with {size} bytes, modified at {MODIFIED}, it tells {}", words::metadata(told))
    })
}

async fn insert(session: &mut Session) -> Verdict {
    let first = session.name("inserted");
    offered("Insert", inserted(session, &first, b"first", 5).await)?;
    refused("a name that is taken", inserted(session, &first, b"again", 5).await, &["Exists"])?;
    let files: Vec<_> = [0, 1, 4096, 70_000, 1 << 20].map(|size| (session.name("inserted"), size)).into();
    let session = &*session;
    let made = join_all(files.iter().map(|(name, size)| async move {
        let bytes = pattern(*size);
        let (path, told) = inserted(session, name, &bytes, *size as u64).await?;
        is_told(&told, name, *size)?;
        let back = session.bytes(&path).await?;
        ensure(back == bytes, || {
            format!("of `{name}`, {size} bytes were sent, others came back ({})", back.len())
        })
    }));
    made.await.into_iter().collect::<Result<(), Problem>>()?;
    for (given, said) in [(5, 6), (6, 5)] {
        let answer = inserted(session, "cut", &pattern(given), said).await;
        refused(&format!("{given} bytes where {said} were said"), answer, &["InvalidArgument"])?;
        let listed = names_in(&session.folder().await?, &session.provider).await?;
        ensure(!listed.iter().any(|name| name == "cut"), || "a file that was refused is there".to_owned())?;
    }
    Ok(())
}

async fn rename_all(session: &mut Session) -> Verdict {
    let mut files = Vec::new();
    for bytes in [&b"one"[..], b"two", b"three"] {
        let (old, new) = (session.name("old"), session.name("new"));
        let path = session.new_file(&session.folder, &old, bytes).await?;
        files.push((path, old, new, bytes));
    }
    // the second one's name is taken
    files[1].2 = session.name("taken");
    session.new_file(&session.folder, &files[1].2, b"another").await?;
    let names: Vec<(&ObjectPath<'_>, &str)> =
        files.iter().map(|(path, _, new, _)| (&**path, new.as_str())).collect();
    let names: Vec<_> = names.iter().collect();
    let device = session.device().await?;
    let answer = session.provider.ask(device.rename_all(&names, &[NAME, SIZE, TIME])).await;
    let told = offered("RenameAll", answer)?;
    ensure(told.len() == 3, || format!("it tells of {} files where 3 were named", told.len()))?;
    for ((path, old, new, bytes), (word, told)) in files.iter().zip(&told) {
        let wanted = if *bytes == b"two" { "Exists" } else { "" };
        ensure(word == wanted, || format!("of `{old}` it tells `{word}` in place of `{wanted}`"))?;
        let name = if word.is_empty() { new } else { old };
        if word.is_empty() {
            is_told(told, name, bytes.len())?;
        }
        let there = session.provider.ask(session.provider.storage(path).await?.name()).await?;
        ensure(there == *name, || format!("`{old}` is called `{there}` in place of `{name}`"))?;
        let back = session.bytes(path).await?;
        ensure(back == *bytes, || format!("`{name}` holds {} other bytes", back.len()))?;
    }
    Ok(())
}
