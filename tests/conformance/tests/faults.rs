//! What goes wrong with real players: full, read-only, gone in the middle, links that lead out, a damaged mark.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;

use common::{MountPoint, open_folder, plant};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Mark, Player, Source, Tags, Transfer, WriteRequest, Written};

const MARK: Mark = Mark { device: Guid(7), relationship: Guid(9) };

fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).unwrap()
}

fn request(at: &str, content: Vec<u8>) -> WriteRequest {
    let temporary = path(at).parent().map_or_else(|| path("~part"), |folder| folder.join("~part").unwrap());
    let size = u64::try_from(content.len()).unwrap();
    let source = Source::Bytes(content.into());
    let tags = Tags::default();
    WriteRequest {
        path: path(at),
        temporary,
        expect: Expect::Nothing,
        size,
        modified_ns: 0,
        source,
        tags,
        cover: None,
    }
}

async fn put(player: &dyn Player, at: &str, size: usize) -> Result<Written, PlayerError> {
    player.storage().write(request(at, vec![7; size]), &Arc::new(Transfer::default())).await
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn small_tmpfs() -> Option<MountPoint> {
    let mounted = MountPoint::mount(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
    mounted.inspect_err(|reason| conformance::skip("tmpfs", reason)).ok()
}

#[tokio::test]
async fn a_full_device_says_so_and_keeps_no_remains() {
    let Some(mount) = small_tmpfs() else { return };
    let player = open_folder(mount.path()).await.unwrap();
    put(&*player, "Music/fits.mp3", 1 << 20).await.unwrap();
    assert_eq!(put(&*player, "Music/new/large.mp3", 8 << 20).await.unwrap_err(), PlayerError::Full);
    assert_eq!(names(&mount.path().join("Music")), ["fits.mp3"]);
    put(&*player, "Music/fits too.mp3", 2 << 20).await.unwrap();
    assert_eq!(put(&*player, "Music/large.mp3", 2 << 20).await.unwrap_err(), PlayerError::Full);
    player.storage().object(&path("Music/fits.mp3")).discard().await.unwrap();
    put(&*player, "Music/large.mp3", 1 << 20).await.unwrap();
}

#[tokio::test]
async fn a_device_that_turns_read_only_says_so() {
    let Some(mount) = small_tmpfs() else { return };
    let player = open_folder(mount.path()).await.unwrap();
    player.set_mark(MARK).await.unwrap();
    let written = put(&*player, "Music/a.mp3", 5).await.unwrap();
    common::run("mount", &["-o", "remount,ro", mount.path().to_str().unwrap()]).unwrap();
    let refused = put(&*player, "Music/b.mp3", 5).await.unwrap_err();
    assert!(matches!(refused, PlayerError::ReadOnly(_)), "{refused}");
    let object = player.storage().object(&path("Music/a.mp3"));
    assert!(matches!(
        object.delete(written.facts, path("~gone")).await.unwrap_err(),
        PlayerError::ReadOnly(_)
    ));
    let other = Mark { relationship: Guid(10), ..MARK };
    assert!(matches!(player.set_mark(other).await.unwrap_err(), PlayerError::ReadOnly(_)));
    assert_eq!(player.mark().await, Ok(Some(MARK)));
    assert_eq!(object.facts().await, Ok(Some(written.facts)));
}

#[tokio::test]
async fn a_root_that_vanishes_in_the_middle_is_a_device_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("player");
    std::fs::create_dir(&root).unwrap();
    let player = open_folder(&root).await.unwrap();
    let (transfer, storage) = (Arc::new(Transfer::default()), player.storage());
    let (written, ()) =
        tokio::join!(storage.write(request("Music/a.mp3", vec![1; 48 << 20]), &transfer), async {
            while transfer.bytes() == 0 {
                tokio::task::yield_now().await;
            }
            std::fs::remove_dir_all(&root).unwrap();
        });
    assert_eq!(written.unwrap_err(), PlayerError::Removed);
    assert_eq!(put(&*player, "b.mp3", 5).await.unwrap_err(), PlayerError::Removed);
    assert_eq!(storage.facts(vec![path("Music/a.mp3")]).await, Err(PlayerError::Removed));
    assert_eq!(storage.object(&path("a.mp3")).facts().await, Err(PlayerError::Removed));
    assert_eq!(storage.object(&path("a.mp3")).discard().await, Err(PlayerError::Removed));
    assert_eq!(storage.flush().await, Err(PlayerError::Removed));
    assert_eq!(player.mark().await, Err(PlayerError::Removed));
    assert_eq!(player.set_mark(MARK).await, Err(PlayerError::Removed));
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn a_source_that_changes_under_the_copy_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let player = open_folder(directory.path()).await.unwrap();
    let size = 48u64 << 20;
    for end in [size / 2, size + 1] {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        let source = Source::File(file.try_clone().unwrap());
        let request = WriteRequest { size, source, ..request("a.mp3", Vec::new()) };
        let (transfer, storage) = (Arc::new(Transfer::default()), player.storage());
        let (written, ()) = tokio::join!(storage.write(request, &transfer), async {
            while transfer.bytes() == 0 {
                tokio::task::yield_now().await;
            }
            file.set_len(end).unwrap();
        });
        assert_eq!(written.unwrap_err(), PlayerError::SourceChanged, "{end}");
    }
    let (pipe, _writer) = std::io::pipe().unwrap();
    let request = WriteRequest {
        size: 1,
        source: Source::File(std::os::fd::OwnedFd::from(pipe).into()),
        ..request("a.mp3", Vec::new())
    };
    let written = player.storage().write(request, &Arc::new(Transfer::default())).await;
    assert!(matches!(written.unwrap_err(), PlayerError::Source(_)));
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn links_lead_nowhere() {
    let (directory, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    plant(&outside.path().join("secret.mp3"), b"the user's");
    let player = open_folder(directory.path()).await.unwrap();
    symlink(outside.path(), directory.path().join("Music")).unwrap();
    symlink(outside.path().join("secret.mp3"), directory.path().join("song.mp3")).unwrap();
    let refused = put(&*player, "Music/new.mp3", 5).await.unwrap_err();
    assert!(matches!(&refused, PlayerError::NotPermitted(text) if text.contains("link")), "{refused}");
    let deeper = put(&*player, "Music/Artist/new.mp3", 5).await.unwrap_err();
    assert!(matches!(deeper, PlayerError::NotPermitted(_)), "{deeper}");
    assert_eq!(put(&*player, "song.mp3", 5).await.unwrap_err(), PlayerError::Exists("song.mp3".into()));
    let storage = player.storage();
    let told = storage.facts(vec![path("song.mp3"), path("Music/secret.mp3")]).await;
    assert_eq!(told, Ok(vec![None, None]));
    assert!(storage.object(&path("song.mp3")).read(100).await.is_err());
    assert!(storage.object(&path("Music/secret.mp3")).discard().await.is_err());
    storage.remove_empty_folders(vec![path("Music")]).await.unwrap();
    put(&*player, "other.mp3", 5).await.unwrap();
    assert_eq!(names(outside.path()), ["secret.mp3"]);
    assert_eq!(names(directory.path()), ["Music", "other.mp3", "song.mp3"]);
    symlink("secret", directory.path().join("~part")).unwrap();
    assert!(put(&*player, "third.mp3", 5).await.is_err(), "a link is not written through, and not replaced");
    assert!(directory.path().join("~part").is_symlink());
}

#[tokio::test]
async fn what_is_no_file_is_never_opened() {
    let directory = tempfile::tempdir().unwrap();
    let root =
        rustix::fs::open(directory.path(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    for name in ["pipe.mp3", "WMPInfo.xml", ".is_audio_player"] {
        rustix::fs::mknodat(&root, name, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    let player = open_folder(directory.path()).await.unwrap();
    let storage = player.storage();
    let object = storage.object(&path("pipe.mp3"));
    assert_eq!(object.facts().await, Ok(None));
    assert_eq!(object.read(10).await.unwrap_err(), PlayerError::NotFound("pipe.mp3".into()));
    assert!(object.hash(&Arc::new(Transfer::default())).await.is_err());
    assert_eq!(player.mark().await, Ok(None));
    player.set_mark(MARK).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(MARK)));
    assert_eq!(
        names(directory.path()),
        [".is_audio_player", "WMPInfo.xml", "WMPInfo.xml.damaged", "pipe.mp3"]
    );
}

#[tokio::test]
async fn a_damaged_mark_is_set_aside_and_never_lost() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let player = open_folder(directory.path()).await.unwrap();
    let damaged: [&[u8]; 4] = [b"\xff\xfe<\0D", b"<html/>", b"", &[b' '; 70_000]];
    for content in damaged {
        plant(&at("WMPInfo.xml"), content);
        assert_eq!(player.mark().await, Ok(None));
        player.set_mark(MARK).await.unwrap();
        assert_eq!(player.mark().await, Ok(Some(MARK)));
        assert_eq!(std::fs::read(at("WMPInfo.xml")).unwrap().len(), 296);
    }
    for (name, content) in ["", ".2", ".3", ".4"].into_iter().zip(damaged) {
        assert_eq!(std::fs::read(at(&format!("WMPInfo.xml.damaged{name}"))).unwrap(), content);
    }
    std::fs::remove_file(at("WMPInfo.xml")).unwrap();
    std::fs::create_dir(at("WMPInfo.xml")).unwrap();
    assert_eq!(player.mark().await, Ok(None));
    player.set_mark(MARK).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(MARK)));
    assert!(at("WMPInfo.xml.damaged.5").is_dir());
}

#[tokio::test]
async fn a_mark_keeps_its_company_and_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("wmpinfo.XML");
    plant(&at, b"<?xml version=\"1.0\"?>\n<DeviceInfo><Other kept='yes'/><WMP Mine='1'/></DeviceInfo>");
    plant(&directory.path().join("WMPInfo.xml.new"), b"the user's own");
    let player = open_folder(directory.path()).await.unwrap();
    assert_eq!(player.mark().await, Ok(None));
    player.set_mark(MARK).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(MARK)));
    assert_eq!(names(directory.path()), ["WMPInfo.xml.new", "wmpinfo.XML"]);
    let units: Vec<u16> = std::fs::read(&at).unwrap()[2..]
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let text = String::from_utf16(&units).unwrap();
    assert!(text.contains("<Other kept='yes'/>") && text.contains("<WMP Mine=\"1\" DeviceID=\"{"), "{text}");
    // a partnership that ends leaves the rest of the file
    player.remove_mark(MARK).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(Mark { relationship: Guid::ZERO, ..MARK })));
    assert_eq!(names(directory.path()), ["WMPInfo.xml.new", "wmpinfo.XML"]);
}

#[tokio::test]
async fn a_transfer_that_nobody_waits_for_ends() {
    let directory = tempfile::tempdir().unwrap();
    let player = open_folder(directory.path()).await.unwrap();
    let (transfer, storage) = (Arc::new(Transfer::default()), player.storage());
    tokio::select! {
        _ = storage.write(request("a.mp3", vec![1; 256 << 20]), &transfer) => panic!("it can't be done yet"),
        () = async {
            while transfer.bytes() == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    // closing lets go of the tree, and the last work on it ends before the runtime does
    player.close(tandem_model::player::Close::Release).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while !names(directory.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the temporary goes when the transfer ends");
    assert!(transfer.bytes() < 256 << 20);
}
