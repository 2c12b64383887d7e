//! Deleting, renaming, moving: `org.tandemd.Provider1.Object`.

use super::{Check, Session, Verdict, check, ensure, names_in, offered, refused, words};
use zbus::OwnedObjectPath;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "a deleted file is gone",
            "delete the file before Delete answers; its object then fails with InterfaceDead, and its path isn't used again",
            delete_file
        ),
        check!(
            "a folder that isn't empty is deleted only recursively",
            "fail with InvalidArgument, and delete nothing, unless `recursive` is true",
            delete_folder
        ),
        check!(
            "a renamed file keeps its bytes and its object",
            "give the file its new name in one step, under the same object path",
            rename
        ),
        check!(
            "renaming replaces nothing",
            "fail with Exists when the name is taken, and leave both as they are; the same name is no error",
            rename_taken
        ),
        check!(
            "renaming to a name that can't be is refused",
            "fail with InvalidArgument, and keep the old name",
            rename_illegal
        ),
        check!(
            "a file is replaced by writing, deleting and renaming",
            "free a name at once when its file is deleted, so that another file can have it",
            replace
        ),
        check!(
            "a moved file or folder keeps its bytes and its object",
            "move it with all that is in it, in one step, under the same object path; or fail with NotSupported",
            relocate
        ),
        check!(
            "moving to where it can't be is refused",
            "fail with Exists for a taken name, with InvalidArgument for a file and for a folder within what is moved",
            relocate_wrong
        ),
        check!("many calls at once are all answered", "answer up to 100 calls that wait at once", many),
    ]
}

async fn delete_file(session: &mut Session) -> Verdict {
    let name = session.name("deleted");
    let path = session.new_file(&session.folder, &name, b"bytes").await?;
    let (provider, object) = (&session.provider, session.provider.object(&path).await?);
    provider.ask(object.delete(false)).await?;
    let listed = names_in(&session.folder().await?, provider).await?;
    ensure(!listed.contains(&name), || format!("`{name}` is still listed"))?;
    let dead = ["InterfaceDead"];
    refused("a property of it", provider.ask(provider.storage(&path).await?.name()).await, &dead)?;
    refused("Delete of it", provider.ask(object.delete(false)).await, &dead)?;
    refused("writing to it", provider.write(&path, b"x", 1).await, &dead)?;
    let again = session.new_file(&session.folder, &name, b"again").await?;
    ensure(again != path, || format!("the next file has the path {path} again"))
}

async fn delete_folder(session: &mut Session) -> Verdict {
    let outer = session.new_folder("outer").await?;
    let provider = &session.provider;
    let inner = session.create(&provider.storage(&outer).await?, "folder", "inner", 0).await?;
    let file = session.new_file(&inner, "file", b"bytes").await?;
    let object = provider.object(&outer).await?;
    refused("Delete of a full folder", provider.ask(object.delete(false)).await, &["InvalidArgument"])?;
    let bytes = session.bytes(&file).await?;
    ensure(bytes == b"bytes", || "a file in it was deleted all the same".to_owned())?;
    provider.ask(object.delete(true)).await?;
    for path in [&outer, &inner, &file] {
        let answer = provider.ask(provider.storage(path).await?.name()).await;
        refused("a property of what was in it", answer, &["InterfaceDead"])?;
    }
    let empty = session.new_folder("empty").await?;
    session.provider.ask(session.provider.object(&empty).await?.delete(false)).await?;
    Ok(())
}

async fn rename(session: &mut Session) -> Verdict {
    for kind in ["file", "folder"] {
        let (old, new) = (session.name("old"), session.name("new"));
        let folder = session.folder().await?;
        let path = session.create(&folder, kind, &old, 5).await?;
        if kind == "file" {
            session.provider.write(&path, b"bytes", 5).await?;
        }
        let provider = &session.provider;
        offered("Rename", provider.ask(provider.object(&path).await?.rename(&new)).await)?;
        let found = provider.ask(provider.storage(&path).await?.name()).await?;
        ensure(found == new, || format!("the {kind} is called `{found}` in place of `{new}`"))?;
        let listed = names_in(&folder, provider).await?;
        ensure(listed.contains(&new) && !listed.contains(&old), || {
            format!("listed are {}", words::list(&listed))
        })?;
        let paths = provider.ask(folder.enum_storage(0, 0)).await?;
        ensure(paths.contains(&path), || format!("{path} is not listed any more"))?;
        ensure(kind == "folder" || session.bytes(&path).await? == b"bytes", || {
            "the file has other bytes".to_owned()
        })?;
    }
    Ok(())
}

async fn rename_taken(session: &mut Session) -> Verdict {
    let folder = session.new_folder("names").await?;
    let first = session.new_file(&folder, "first", b"first").await?;
    let second = session.new_file(&folder, "second", b"second").await?;
    let (provider, object) = (&session.provider, session.provider.object(&second).await?);
    match offered("Rename", provider.ask(object.rename("second")).await) {
        Ok(()) => {}
        other => return other,
    }
    refused("Rename to a taken name", provider.ask(object.rename("first")).await, &["Exists"])?;
    let same = session.bytes(&first).await? == b"first" && session.bytes(&second).await? == b"second";
    ensure(same, || "one of the two has other bytes".to_owned())?;
    let mut listed = names_in(&provider.storage(&folder).await?, provider).await?;
    listed.sort();
    ensure(listed == ["first", "second"], || format!("listed are {}", words::list(&listed)))
}

async fn rename_illegal(session: &mut Session) -> Verdict {
    let folder = session.new_folder("names").await?;
    let path = session.new_file(&folder, "name", b"bytes").await?;
    let (provider, object) = (&session.provider, session.provider.object(&path).await?);
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "../escape", &long] {
        let answer = provider.ask(object.rename(name)).await;
        refused(&format!("Rename to `{name}`"), answer, &["InvalidArgument", "NotSupported"])?;
    }
    let listed = names_in(&provider.storage(&folder).await?, provider).await?;
    ensure(listed == ["name"], || format!("listed are {}", words::list(&listed)))
}

async fn replace(session: &mut Session) -> Verdict {
    let folder = session.new_folder("replaced").await?;
    let old = session.new_file(&folder, "song.mp3", b"old").await?;
    let new = session.new_file(&folder, "song.mp3.part", b"new bytes").await?;
    let provider = &session.provider;
    provider.ask(provider.object(&old).await?.delete(false)).await?;
    offered("Rename", provider.ask(provider.object(&new).await?.rename("song.mp3")).await)?;
    let listed = names_in(&provider.storage(&folder).await?, provider).await?;
    ensure(listed == ["song.mp3"], || format!("listed are {}", words::list(&listed)))?;
    ensure(session.bytes(&new).await? == b"new bytes", || "it has other bytes".to_owned())
}

async fn moved(session: &Session, path: &OwnedObjectPath, to: &OwnedObjectPath) -> Result<(), super::Fault> {
    let object = session.provider.object(path).await?;
    session.provider.ask(object.move_(to)).await
}

async fn relocate(session: &mut Session) -> Verdict {
    let (from, to) = (session.new_folder("from").await?, session.new_folder("to").await?);
    let provider = &session.provider;
    let file = session.new_file(&from, "file", b"bytes").await?;
    offered("Move", moved(session, &file, &to).await)?;
    let parent = provider.ask(provider.storage(&file).await?.get_parent()).await?;
    ensure(parent == to, || format!("the file's parent is {parent} in place of {to}"))?;
    ensure(session.bytes(&file).await? == b"bytes", || "the file has other bytes".to_owned())?;
    let left = names_in(&provider.storage(&from).await?, provider).await?;
    ensure(left.is_empty(), || format!("where it was there still is {}", words::list(&left)))?;
    moved(session, &to, &from).await?;
    let listed = provider.ask(provider.storage(&to).await?.enum_storage(0, 0)).await?;
    ensure(listed == std::slice::from_ref(&file), || {
        format!("the moved folder holds {}", words::list(&listed))
    })?;
    ensure(session.bytes(&file).await? == b"bytes", || "the file in it has other bytes".to_owned())
}

async fn relocate_wrong(session: &mut Session) -> Verdict {
    let (from, to) = (session.new_folder("from").await?, session.new_folder("to").await?);
    let provider = &session.provider;
    let file = session.new_file(&from, "name", b"bytes").await?;
    let other = session.new_file(&to, "name", b"other").await?;
    let inner = session.create(&provider.storage(&from).await?, "folder", "inner", 0).await?;
    let answer = moved(session, &file, &to).await;
    if answer.as_ref().is_err_and(|fault| fault.word == "NotSupported") {
        return offered("Move", answer);
    }
    refused("Move to a taken name", answer, &["Exists"])?;
    refused("Move to a file", moved(session, &inner, &other).await, &["InvalidArgument"])?;
    refused("Move of a folder into itself", moved(session, &from, &from).await, &["InvalidArgument"])?;
    refused("Move of a folder below itself", moved(session, &from, &inner).await, &["InvalidArgument"])?;
    ensure(session.bytes(&file).await? == b"bytes", || "the file has other bytes".to_owned())?;
    ensure(session.bytes(&other).await? == b"other", || "the other file has other bytes".to_owned())
}

async fn many(session: &mut Session) -> Verdict {
    let (provider, folder) = (&session.provider, session.folder().await?);
    let calls = (0..100).map(|_| provider.ask(folder.name()));
    for answer in futures_util::future::join_all(calls).await {
        let name = answer?;
        ensure(name == session.folder_name, || format!("one answer was `{name}`"))?;
    }
    Ok(())
}
