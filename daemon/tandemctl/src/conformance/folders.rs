//! What is in folders: listing, parents, lasting ids.

use super::{Check, Problem, Session, Verdict, check, ensure, names_in, offered, refused, words};
use dbus_interfaces::provider::{SCOPE_GLOBAL, SCOPE_IMMEDIATE_CHILDREN};
use std::collections::BTreeSet;
use zbus::OwnedObjectPath;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "a new folder is there as it was made",
            "show a folder at once, under its name, with `folder`, size 0 and its parent; only root storages have space",
            new_folder
        ),
        check!(
            "a new file is empty until its bytes come",
            "make a file of size 0 with `file`; WriteOnClearChannel brings its bytes",
            new_file
        ),
        check!(
            "what is made is either a folder or a file",
            "fail with InvalidArgument when the attributes have neither or both of `folder` and `file`",
            one_kind
        ),
        check!(
            "nothing is made in a file",
            "fail with InvalidArgument when CreateStorageWithMetadata is called on a file; EnumStorage answers with none",
            file_as_folder
        ),
        check!(
            "listings come in parts",
            "EnumStorage answers `count` objects from `first`, fewer only at the end, 0 for all, always in one order",
            parts
        ),
        check!(
            "a folder is read in one call",
            "EnumStorageWithMetadata answers the objects of EnumStorage, each with what GetSpecifiedMetadata answers",
            with_metadata
        ),
        check!(
            "lasting ids are unique and lasting",
            "give each storage an id that no other has and that is the same when the device is opened again",
            lasting_ids
        ),
        check!(
            "FindStorage keeps to its scope",
            "look below the folder for `global`, and right in it for `immediate-children`",
            scopes
        ),
    ]
}

async fn new_folder(session: &mut Session) -> Verdict {
    let name = session.name("folder");
    let path = session.create(&session.folder().await?, "folder", &name, 0).await?;
    let (provider, folder) = (&session.provider, session.provider.storage(&path).await?);
    let listed = provider.ask(session.folder().await?.enum_storage(0, 0)).await?;
    ensure(listed.contains(&path), || format!("{path} is not listed"))?;
    let found = provider.ask(folder.name()).await?;
    ensure(found == name, || format!("`{name}` is called `{found}`"))?;
    let attributes = provider.ask(folder.attributes()).await?;
    let is_folder = |word: &str| attributes.iter().any(|attribute| attribute == word);
    ensure(is_folder("folder") && !is_folder("file"), || format!("it has {}", words::list(&attributes)))?;
    let parent = provider.ask(folder.get_parent()).await?;
    ensure(parent == session.folder, || format!("its parent is {parent}"))?;
    let sizes = (
        provider.ask(folder.size()).await?,
        provider.ask(folder.total_size()).await?,
        provider.ask(folder.total_free()).await?,
    );
    ensure(sizes == (0, 0, 0), || {
        let (size, total, free) = sizes;
        format!("it has {size} bytes, and {free} of {total} bytes free")
    })
}

async fn new_file(session: &mut Session) -> Verdict {
    let name = session.name("file");
    let path = session.create(&session.folder().await?, "file", &name, 5).await?;
    let (provider, file) = (&session.provider, session.provider.storage(&path).await?);
    let attributes = provider.ask(file.attributes()).await?;
    let has = |word: &str| attributes.iter().any(|attribute| attribute == word);
    ensure(has("file") && !has("folder"), || format!("it has {}", words::list(&attributes)))?;
    let size = provider.ask(file.size()).await?;
    ensure(size == 0, || format!("it has {size} bytes before any were written"))?;
    provider.write(&path, b"hello", 5).await?;
    let size = provider.ask(file.size()).await?;
    ensure(size == 5, || format!("it has {size} bytes after 5 were written"))
}

async fn one_kind(session: &mut Session) -> Verdict {
    let (folder, name) = (session.folder().await?, session.name("neither"));
    for attributes in [vec![], vec!["folder", "file"], vec!["hidden"]] {
        let call = folder.create_storage_with_metadata(&attributes, &name, [].into(), 0);
        let answer = session.provider.ask(call).await;
        refused(&format!("making what is {}", words::list(&attributes)), answer, &["InvalidArgument"])?;
    }
    let names = names_in(&folder, &session.provider).await?;
    ensure(!names.contains(&name), || format!("`{name}` was made all the same"))
}

async fn file_as_folder(session: &mut Session) -> Verdict {
    let name = session.name("file");
    let path = session.new_file(&session.folder, &name, b"x").await?;
    let file = session.provider.storage(&path).await?;
    refused(
        "making a file in a file",
        session.create(&file, "file", "inner", 0).await,
        &["InvalidArgument"],
    )?;
    let listed = session.provider.ask(file.enum_storage(0, 0)).await?;
    ensure(listed.is_empty(), || format!("a file lists {}", words::list(&listed)))
}

/// A folder with this many files.
async fn filled(session: &mut Session, count: usize) -> Result<OwnedObjectPath, Problem> {
    let path = session.new_folder("filled").await?;
    for number in 0..count {
        session.new_file(&path, &format!("{number}.mp3"), &vec![7; number]).await?;
    }
    Ok(path)
}

async fn parts(session: &mut Session) -> Verdict {
    let path = filled(session, 5).await?;
    let (provider, folder) = (&session.provider, session.provider.storage(&path).await?);
    let all = provider.ask(folder.enum_storage(0, 0)).await?;
    ensure(all.len() == 5, || format!("{} of 5 files are listed", all.len()))?;
    for (first, count) in
        [(0, 2), (2, 2), (4, 2), (1, 0), (0, 5), (0, 100), (5, 2), (u32::MAX, 0), (3, u32::MAX)]
    {
        let part = provider.ask(folder.enum_storage(first, count)).await?;
        let most = if count == 0 { usize::MAX } else { count as usize };
        let expected: Vec<_> = all.iter().skip(first as usize).take(most).cloned().collect();
        ensure(part == expected, || {
            let (part, expected) = (words::list(&part), words::list(&expected));
            format!("EnumStorage({first}, {count}) answers {part} in place of {expected}")
        })?;
    }
    Ok(())
}

async fn with_metadata(session: &mut Session) -> Verdict {
    let path = filled(session, 3).await?;
    let (provider, folder) = (&session.provider, session.provider.storage(&path).await?);
    let names = ["WMDM/FileName", "WMDM/FileSize"];
    let answer = provider.ask(folder.enum_storage_with_metadata(1, 2, &names)).await;
    let told = offered("EnumStorageWithMetadata", answer)?;
    let expected = provider.ask(folder.enum_storage(1, 2)).await?;
    let paths: Vec<_> = told.iter().map(|(path, _)| path.clone()).collect();
    ensure(paths == expected, || {
        format!("it answers {} in place of {}", words::list(&paths), words::list(&expected))
    })?;
    for (path, metadata) in told {
        let single = provider.storage(&path).await?;
        let single = provider.ask(single.get_specified_metadata(&names)).await?;
        ensure(single == metadata, || {
            let (metadata, single) = (words::metadata(&metadata), words::metadata(&single));
            format!("of {path} it tells {metadata} in place of {single}")
        })?;
    }
    Ok(())
}

async fn lasting_ids(session: &mut Session) -> Verdict {
    let path = filled(session, 4).await?;
    let before = ids(session, &path).await?;
    if before.iter().any(|(_, id)| id.is_empty()) {
        return Err(Problem::NotOffered("the device has no lasting ids".to_owned()));
    }
    let unique: BTreeSet<_> = before.iter().map(|(_, id)| id).collect();
    ensure(unique.len() == before.len(), || format!("two files have one id: {}", words::pairs(&before)))?;
    ensure(before.iter().all(|(_, id)| id.len() <= 255), || {
        format!("an id is too long: {}", words::pairs(&before))
    })?;
    let provider = session.provider.clone();
    let folder_id = provider.ask(provider.storage(&path).await?.persistent_unique_id()).await?;
    let root = provider.provider(&provider.root).await?;
    provider.ask(root.release_device(&session.device)).await?;
    session.reopen().await?;
    let folder = provider.ask(session.device().await?.find_storage(SCOPE_GLOBAL, &folder_id)).await?;
    let after = ids(session, &folder).await?;
    ensure(before == after, || {
        let (before, after) = (words::pairs(&before), words::pairs(&after));
        format!("they were {before}, and are {after} when it is opened again")
    })
}

/// Names and lasting ids in a folder, by name.
async fn ids(session: &Session, folder: &OwnedObjectPath) -> Result<Vec<(String, String)>, Problem> {
    let (provider, folder) = (&session.provider, session.provider.storage(folder).await?);
    let mut ids = Vec::new();
    for path in provider.ask(folder.enum_storage(0, 0)).await? {
        let storage = provider.storage(&path).await?;
        ids.push((provider.ask(storage.name()).await?, provider.ask(storage.persistent_unique_id()).await?));
    }
    ids.sort();
    Ok(ids)
}

async fn scopes(session: &mut Session) -> Verdict {
    let path = filled(session, 1).await?;
    let (provider, folder) = (&session.provider, session.provider.storage(&path).await?);
    let file = provider.ask(folder.enum_storage(0, 1)).await?.remove(0);
    let id = provider.ask(provider.storage(&file).await?.persistent_unique_id()).await?;
    if id.is_empty() {
        return Err(Problem::NotOffered("the device has no lasting ids".to_owned()));
    }
    let above = session.folder().await?;
    for (scope, place) in
        [(SCOPE_IMMEDIATE_CHILDREN, &folder), (SCOPE_GLOBAL, &folder), (SCOPE_GLOBAL, &above)]
    {
        let found = provider.ask(place.find_storage(scope, &id)).await?;
        ensure(found == file, || format!("{scope}: {found} was found in place of {file}"))?;
    }
    let answer = provider.ask(above.find_storage(SCOPE_IMMEDIATE_CHILDREN, &id)).await;
    refused("FindStorage among the children of the folder above", answer, &["NotFound"])?;
    let elsewhere = session.new_folder("elsewhere").await?;
    let elsewhere = session.provider.storage(&elsewhere).await?;
    let answer = session.provider.ask(elsewhere.find_storage(SCOPE_GLOBAL, &id)).await;
    refused("FindStorage in a folder that doesn't hold it", answer, &["NotFound"])
}
