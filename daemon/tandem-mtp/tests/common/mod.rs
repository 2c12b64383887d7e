//! A player, an initiator, and what a synchroniser does with them.
//!
//! Everything that comes back without an error is checked here: wrong data must never be taken for right.

// each suite uses a part of it
#![allow(dead_code, clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

pub(crate) mod shared;

use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{FormatCode, ObjectHandle, ObjectPropertyCode as P, OperationCode as O, StorageId};
use tandem_mtp::initiator::{Created, ErrorKind, ObjectFilter, Options, Parent, PropertyQuery};
use tandem_mtp::responder::{Habit, Place, Profile, SimulatedPlayer, profile};
use tandem_mtp::{Error, Initiator};

pub(crate) fn own(name: &str) -> Profile {
    let (_, json) = profile::OWN.iter().find(|(known, _)| *known == name).expect("a profile of our own");
    Profile::from_json(json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A player in memory, already allowed.
pub(crate) fn player(profile: Profile) -> SimulatedPlayer {
    let player = SimulatedPlayer::new(profile, Place::Memory).unwrap();
    player.allow();
    player
}

/// What a caller knows of a player from its data.
pub(crate) fn options(profile: &Profile) -> Options {
    let ignore_data_headers = profile.habits.contains(&Habit::JunkDataHeaders);
    Options { ignore_data_headers, reset_as_last_resort: true, ..Options::default() }
}

pub(crate) async fn opened(player: &SimulatedPlayer, options: Options) -> Initiator {
    let mut initiator = Initiator::new(player.connect(), options);
    initiator.get_device_info().await.unwrap();
    initiator.open_session().await.unwrap();
    initiator
}

pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Announces an object as the player can take it.
pub(crate) async fn announce(
    mtp: &mut Initiator,
    storage: StorageId,
    parent: Parent,
    format: FormatCode,
    name: &str,
    size: u64,
) -> Result<Created, Error> {
    if mtp.supports(O::SEND_OBJECT_PROP_LIST) {
        let name = PropertyElement::of_new(P::OBJECT_FILE_NAME, name.into());
        return mtp.send_object_property_list(storage, parent, format, size, &[name]).await;
    }
    mtp.send_object_info(storage, parent, &ObjectInfo::new(format, size, name)).await
}

pub(crate) async fn upload(
    mtp: &mut Initiator,
    storage: StorageId,
    parent: Parent,
    name: &str,
    bytes: &[u8],
) -> Result<ObjectHandle, Error> {
    let created = announce(mtp, storage, parent, FormatCode::MP3, name, bytes.len() as u64).await?;
    mtp.send_object(bytes.len() as u64, &mut &*bytes).await?;
    Ok(created.handle)
}

/// What lies right below a folder, with what the device tells of it.
pub(crate) async fn children(
    mtp: &mut Initiator,
    storage: StorageId,
    parent: Parent,
) -> Result<Vec<(ObjectHandle, ObjectInfo)>, Error> {
    let mut found = Vec::new();
    for handle in mtp.object_handles(ObjectFilter::children(storage, parent)).await? {
        found.push((handle, mtp.object_info(handle).await?));
    }
    Ok(found)
}

pub(crate) const SONG: &str = "song.mp3";

/// A small synchronisation, that begins with whatever an earlier one left: a folder, a song in it that is sent, listed,
/// read back and named, a playlist, and all of it deleted.
pub(crate) async fn reference(mtp: &mut Initiator) -> Result<(), Error> {
    if mtp.device().is_none() {
        mtp.get_device_info().await?;
    }
    if !mtp.has_session() {
        mtp.open_session().await?;
    }
    let storage = mtp.storage_ids().await?[0];
    assert!(mtp.storage_info(storage).await?.capacity > 0);
    let folder = folder(mtp, storage).await?;
    for (handle, _) in children(mtp, storage, Parent::Folder(folder)).await? {
        mtp.delete_object(handle).await?;
    }
    let song = pattern(9_000);
    let handle = upload(mtp, storage, Parent::Folder(folder), SONG, &song).await?;
    let listed = children(mtp, storage, Parent::Folder(folder)).await?;
    let [(found, info)] = &listed[..] else { panic!("one song was sent, and {listed:?} is there") };
    assert_eq!((*found, info.file_name.as_str(), info.size), (handle, SONG, song.len() as u64));
    check_list(mtp, folder, handle).await?;
    check_bytes(mtp, handle, &song).await?;
    check_properties(mtp, handle).await?;
    if mtp.supports(O::SET_OBJECT_REFERENCES) && mtp.supports(O::GET_OBJECT_REFERENCES) {
        mtp.set_object_references(folder, &[handle, handle]).await?;
        assert_eq!(mtp.object_references(folder).await?, [handle, handle]);
    }
    mtp.delete_object(handle).await?;
    assert!(children(mtp, storage, Parent::Folder(folder)).await?.is_empty());
    mtp.close_session().await
}

async fn folder(mtp: &mut Initiator, storage: StorageId) -> Result<ObjectHandle, Error> {
    for (handle, info) in children(mtp, storage, Parent::Root).await? {
        assert!(info.parent.is_root_of(storage));
        if info.file_name == "Music" {
            return Ok(handle);
        }
    }
    let folder = FormatCode::ASSOCIATION;
    Ok(announce(mtp, storage, Parent::Root, folder, "Music", 0).await?.handle)
}

async fn check_list(mtp: &mut Initiator, folder: ObjectHandle, song: ObjectHandle) -> Result<(), Error> {
    if !mtp.supports(O::GET_OBJECT_PROP_LIST) {
        return Ok(());
    }
    if !mtp.object_properties_supported(FormatCode::MP3).await?.contains(&P::OBJECT_FILE_NAME) {
        return Ok(());
    }
    let list = mtp.object_property_list(PropertyQuery::children(folder)).await?;
    let name = list.iter().find(|element| element.property == P::OBJECT_FILE_NAME);
    let name = name.unwrap_or_else(|| panic!("no name in {list:?}"));
    assert_eq!((name.object, &name.value), (song, &Value::from(SONG)));
    assert!(list.iter().all(|element| element.object == song));
    Ok(())
}

async fn check_bytes(mtp: &mut Initiator, handle: ObjectHandle, song: &[u8]) -> Result<(), Error> {
    let mut read = Vec::new();
    let size = song.len() as u64;
    assert_eq!(mtp.get_object(handle, Some(size), &mut read).await?, size);
    assert!(read == song, "what was read is not what was sent");
    if mtp.supports(O::GET_PARTIAL_OBJECT) {
        let mut part = Vec::new();
        mtp.get_partial_object(handle, 100, 2_000, &mut part).await?;
        assert!(part == song[100..2_100], "a part that was read is not what was sent");
    }
    Ok(())
}

async fn check_properties(mtp: &mut Initiator, song: ObjectHandle) -> Result<(), Error> {
    if !mtp.supports(O::SET_OBJECT_PROP_VALUE) {
        return Ok(());
    }
    for property in mtp.object_properties_supported(FormatCode::MP3).await? {
        if property != P::OBJECT_SIZE && property != P::NAME {
            continue;
        }
        let description = mtp.object_property_description(property, FormatCode::MP3).await?;
        let value = mtp.object_property(song, property, description.data_type).await?;
        if property == P::OBJECT_SIZE {
            assert_eq!(value.as_number(), Some(9_000));
        } else if description.writable {
            mtp.set_object_property(song, property, &"A Song".into()).await?;
            let now = mtp.object_property(song, property, description.data_type).await?;
            assert_eq!(now, "A Song".into());
        }
    }
    Ok(())
}

/// After any error: either the session is usable again, or the device is reported gone and works when it is plugged in.
pub(crate) async fn recover(player: &SimulatedPlayer, mtp: &mut Initiator, options: Options) -> &'static str {
    for _ in 0..4 {
        match reference(mtp).await {
            Ok(()) => return "usable",
            Err(error) if error.kind() == ErrorKind::SessionLost => mtp.open_session().await.unwrap_or(()),
            Err(error) if error.kind() == ErrorKind::Gone => {
                *mtp = Initiator::new(player.connect(), options);
                let again = reference(mtp).await;
                assert!(again.is_ok(), "plugged in again: {again:?}");
                return "replugged";
            }
            Err(_) => {}
        }
    }
    panic!("neither usable nor gone: {:?}", reference(mtp).await)
}
