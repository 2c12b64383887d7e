//! Playlists that refer to files.

use super::{Check, Fault, Problem, Session, Verdict, check, ensure, offered, refused, words};
use std::collections::HashMap;
use zbus::{OwnedObjectPath, Variant};

/// `WMDM/FormatCode` of a playlist of references: abstract audio and video playlist.
const PLAYLIST: u32 = 0xBA05;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            "a playlist keeps its references in order",
            "keep the whole ordered list, also a file that occurs twice; another list replaces it, and an empty one empties it",
            kept
        ),
        check!(
            "what was deleted leaves the playlist",
            "leave out of GetReferences what is gone, and say so by `partial`; refuse a list with it as InterfaceDead",
            deleted
        ),
        check!(
            "references outlast the device's release",
            "keep references on the device, and find the files again when it is opened",
            lasting
        ),
        check!(
            "only playlists refer to files",
            "fail with NotSupported for a file that is no playlist, with InvalidArgument for what is no file of the device",
            wrong
        ),
    ]
}

async fn playlist(session: &mut Session) -> Result<OwnedObjectPath, Problem> {
    let name = session.name("playlist");
    let format = Variant::from(PLAYLIST);
    let metadata = HashMap::from([("WMDM/FormatCode", &format)]);
    let folder = session.folder().await?;
    let call = folder.create_storage_with_metadata(&["file"], &name, metadata, 0);
    let path = offered("a playlist of references", session.provider.ask(call).await)?;
    offered("SetReferences", set(session, &path, &[]).await)?;
    Ok(path)
}

async fn tracks(session: &mut Session) -> Result<Vec<OwnedObjectPath>, Fault> {
    let mut tracks = Vec::new();
    for _ in 0..3 {
        let name = session.name("track");
        tracks.push(session.new_file(&session.folder, &name, b"bytes").await?);
    }
    Ok(tracks)
}

async fn set(session: &Session, path: &OwnedObjectPath, list: &[&OwnedObjectPath]) -> Result<(), Fault> {
    let playlist = session.provider.storage(path).await?;
    let list: Vec<_> = list.iter().map(|path| path.as_ref()).collect();
    let list: Vec<_> = list.iter().collect();
    session.provider.ask(playlist.set_references(&list)).await
}

async fn get(session: &Session, path: &OwnedObjectPath) -> Result<(Vec<OwnedObjectPath>, bool), Fault> {
    let playlist = session.provider.storage(path).await?;
    session.provider.ask(playlist.get_references()).await
}

async fn kept(session: &mut Session) -> Verdict {
    let (list, tracks) = (playlist(session).await?, tracks(session).await?);
    let [a, b, c] = &tracks[..] else { return Err(Problem::Wrong("three files were not made".to_owned())) };
    for wanted in [vec![c, a, b], vec![b, b, a], vec![a], vec![]] {
        set(session, &list, &wanted).await?;
        let (found, partial) = get(session, &list).await?;
        let same = found.iter().eq(wanted.iter().copied());
        ensure(same && !partial, || {
            let (wanted, left_out) =
                (words::list(&wanted), if partial { ", and some are left out" } else { "" });
            format!("{wanted} was set, {} is there{left_out}", words::list(&found))
        })?;
    }
    session.provider.ask(session.provider.storage(&list).await?.name()).await?;
    Ok(())
}

async fn deleted(session: &mut Session) -> Verdict {
    let (list, tracks) = (playlist(session).await?, tracks(session).await?);
    let [a, b, c] = &tracks[..] else { return Err(Problem::Wrong("three files were not made".to_owned())) };
    set(session, &list, &[a, b, c]).await?;
    let provider = &session.provider;
    provider.ask(provider.object(b).await?.delete(false)).await?;
    let (found, _) = get(session, &list).await?;
    let same = found.iter().eq([a, c]);
    // a device that takes it out of the list has nothing left out
    ensure(same, || format!("after the second was deleted it refers to {}", words::list(&found)))?;
    refused("a list with a deleted file", set(session, &list, &[a, b]).await, &["InterfaceDead"])
}

async fn lasting(session: &mut Session) -> Verdict {
    let (list, tracks) = (playlist(session).await?, tracks(session).await?);
    set(session, &list, &tracks.iter().rev().collect::<Vec<_>>()).await?;
    let names = referred(session, &list).await?;
    let name = session.provider.ask(session.provider.storage(&list).await?.name()).await?;
    let root = session.provider.provider(&session.provider.root).await?;
    session.provider.ask(root.release_device(&session.device)).await?;
    session.reopen().await?;
    let provider = &session.provider;
    for path in provider.ask(session.folder().await?.enum_storage(0, 0)).await? {
        if provider.ask(provider.storage(&path).await?.name()).await? == name {
            let found = referred(session, &path).await?;
            return ensure(found == names, || {
                format!("it referred to {}, and now to {}", words::list(&names), words::list(&found))
            });
        }
    }
    Err(Problem::Wrong("the playlist is gone".to_owned()))
}

async fn referred(session: &Session, list: &OwnedObjectPath) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for path in get(session, list).await?.0 {
        names.push(session.provider.ask(session.provider.storage(&path).await?.name()).await?);
    }
    Ok(names)
}

async fn wrong(session: &mut Session) -> Verdict {
    let tracks = tracks(session).await?;
    let [a, b, _] = &tracks[..] else { return Err(Problem::Wrong("three files were not made".to_owned())) };
    refused("references of an ordinary file", set(session, a, &[b]).await, &["NotSupported"])?;
    refused("GetReferences of an ordinary file", get(session, a).await, &["NotSupported"])?;
    let list = playlist(session).await?;
    let answer = set(session, &list, &[&session.device]).await;
    refused("a reference to the device", answer, &["InvalidArgument"])?;
    refused("a reference to a folder", set(session, &list, &[&session.folder]).await, &["InvalidArgument"])
}
