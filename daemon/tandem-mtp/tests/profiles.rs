//! Every profile of the project's own, and those of a directory that `TANDEM_PROFILES` names, synchronise.

mod common;

use common::{opened, options, own, pattern, player, recover, reference, upload};
use std::time::Duration;
use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codes::{
    DataType, DevicePropertyCode, EventCode, FormatCode, ObjectPropertyCode as P, OperationCode as O,
    ResponseCode as R,
};
use tandem_mtp::initiator::{ObjectFilter, Options, Parent, PropertyQuery};
use tandem_mtp::responder::{Habit, Place, Profile, SimulatedPlayer, profile};
use tandem_mtp::{Error, Initiator};
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn every_own_profile_synchronises_without_waiting() {
    for (name, _) in profile::OWN {
        let player = player(own(name));
        let begun = Instant::now();
        let mut mtp = Initiator::new(player.connect(), options(&own(name)));
        for _ in 0..2 {
            reference(&mut mtp).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{name} took {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn profiles_of_real_players_can_be_simulated() {
    let Some(directory) = std::env::var_os("TANDEM_PROFILES") else {
        eprintln!("skipped: TANDEM_PROFILES names no directory");
        return;
    };
    let (mut passed, mut refused, mut failed) = (0, Vec::new(), Vec::new());
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let profile = Profile::from_json(&std::fs::read_to_string(&path).unwrap());
        let profile = profile.unwrap_or_else(|error| panic!("{name}: {error}"));
        let options = options(&profile);
        let player = player(profile);
        let mut mtp = opened(&player, options).await;
        match mtp.storage_ids().await.as_deref() {
            Ok([_, ..]) if mtp.supports(O::SEND_OBJECT) => {}
            _ => {
                refused.push(name);
                continue;
            }
        }
        match reference(&mut mtp).await {
            Ok(()) => passed += 1,
            Err(Error::Refused {
                code: R::INVALID_OBJECT_FORMAT_CODE | R::STORE_FULL | R::STORE_READ_ONLY,
                ..
            }) => refused.push(name),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{passed} passed, {} take no song, as their facts say: {refused:?}", refused.len());
    assert!(passed > 0);
}

/// The lengths around which packets, headers and buffers end.
#[tokio::test(start_paused = true)]
async fn objects_of_every_awkward_size_come_and_go() {
    for (name, _) in profile::OWN {
        let player = player(own(name));
        let mut mtp = opened(&player, options(&own(name))).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        for edge in [0usize, 64, 128, 512, 1024, 65_536, 131_072, 262_144] {
            for size in
                [edge.saturating_sub(13), edge.saturating_sub(12), edge.saturating_sub(1), edge, edge + 1]
            {
                let bytes = pattern(size);
                let handle = upload(&mut mtp, storage, Parent::Root, "edge.mp3", &bytes).await;
                let handle = handle.unwrap_or_else(|error| panic!("{name}, {size} bytes: {error}"));
                assert_eq!(player.bytes(handle), Some(bytes.clone()), "{name}, {size} bytes");
                for known in [None, Some(size as u64)] {
                    let mut read = Vec::new();
                    let got = mtp.get_object(handle, known, &mut read).await;
                    got.unwrap_or_else(|error| panic!("{name}, {size} bytes: {error}"));
                    assert!(read == bytes, "{name}, {size} bytes");
                }
                mtp.delete_object(handle).await.unwrap();
            }
        }
    }
}

/// Datasets that fill their last packet end with an empty one, or the next command would be taken for their rest.
#[tokio::test(start_paused = true)]
async fn datasets_that_fill_their_packets_are_sent_and_read() {
    for name in ["classic", "list-reader", "sloppy-packets", "tiny-store", "phone-with-lists"] {
        let player = player(own(name));
        let mut mtp = opened(&player, options(&own(name))).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let song = upload(&mut mtp, storage, Parent::Root, "song.mp3", b"x").await.unwrap();
        // header, count and 12 handles are 64 bytes, and 124 handles are 512
        for count in [11, 12, 13, 123, 124, 125, 252] {
            let references = vec![song; count];
            mtp.set_object_references(song, &references).await.unwrap();
            assert_eq!(mtp.object_references(song).await.unwrap(), references, "{name}, {count}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_profile_does_not_announce_is_refused() {
    let player = player(own("minimal"));
    let mut mtp = opened(&player, Options::default()).await;
    let error =
        mtp.object_property_list(PropertyQuery::children(tandem_mtp::codes::ObjectHandle::ROOT)).await;
    assert_eq!(error.unwrap_err().code(), Some(R::OPERATION_NOT_SUPPORTED));
    assert!(!mtp.supports(O::GET_OBJECT_PROP_LIST));
    let storage = mtp.storage_ids().await.unwrap()[0];
    let ogg = ObjectInfo::new(FormatCode::OGG, 5, "song.ogg");
    let error = mtp.send_object_info(storage, Parent::Root, &ogg).await.unwrap_err();
    assert_eq!(error.code(), Some(R::INVALID_OBJECT_FORMAT_CODE));
}

#[tokio::test(start_paused = true)]
async fn properties_take_what_their_descriptions_say() {
    let player = player(own("classic"));
    let mut mtp = opened(&player, Options::default()).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    let song = upload(&mut mtp, storage, Parent::Root, "song.mp3", b"x").await.unwrap();
    use tandem_mtp::codec::value::Value;
    for (property, value, code) in [
        (P::RATING, Value::U16(50), None),
        (P::RATING, Value::U16(101), Some(R::INVALID_OBJECT_PROP_VALUE)),
        (P::OBJECT_SIZE, Value::U64(1), Some(R::ACCESS_DENIED)),
        (P::COMPOSER, "Somebody".into(), Some(R::OBJECT_PROP_NOT_SUPPORTED)),
        (P::DATE_MODIFIED, "soon".into(), Some(R::INVALID_OBJECT_PROP_VALUE)),
        (P::OBJECT_FILE_NAME, "other.mp3".into(), None),
        (P::OBJECT_FILE_NAME, "a/b".into(), Some(R::INVALID_PARAMETER)),
    ] {
        let set = mtp.set_object_property(song, property, &value).await;
        assert_eq!(set.err().and_then(|error| error.code()), code, "{property} = {value:?}");
    }
    assert_eq!(player.objects()[0].path, "other.mp3");
}

#[tokio::test(start_paused = true)]
async fn a_phone_shows_its_storage_when_the_user_allows_it() {
    let phone = SimulatedPlayer::new(own("phone-locked"), Place::Memory).unwrap();
    let mut mtp = opened(&phone, Options::default()).await;
    assert!(mtp.storage_ids().await.unwrap().is_empty());
    phone.allow();
    assert!(matches!(mtp.storage_ids().await, Err(Error::Gone)) && mtp.is_gone());
    let mut mtp = opened(&phone, Options::default()).await;
    reference(&mut mtp).await.unwrap();

    let phone = SimulatedPlayer::new(own("phone-with-lists"), Place::Memory).unwrap();
    let mut mtp = opened(&phone, Options::default()).await;
    assert!(mtp.storage_ids().await.unwrap().is_empty());
    let (event, ()) = tokio::join!(mtp.next_event(), async { phone.allow() });
    assert_eq!(event.unwrap().code, EventCode::STORE_ADDED);
    reference(&mut mtp).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn handles_of_some_players_are_others_in_the_next_connection() {
    for (name, same) in [("phone", false), ("classic", true)] {
        let player = player(own(name));
        let mut mtp = opened(&player, Options::default()).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let before = upload(&mut mtp, storage, Parent::Root, "song.mp3", b"x").await.unwrap();
        let mut mtp = opened(&player, Options::default()).await;
        let after = mtp.object_handles(ObjectFilter::children(storage, Parent::Root)).await.unwrap();
        assert_eq!(after == [before], same, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_told_before_or_within_the_data() {
    for late in [false, true] {
        let mut profile = own("tiny-store");
        if !late {
            profile.habits.remove(&Habit::StoreFullLate);
        }
        let player = player(profile.clone());
        let mut mtp = opened(&player, Options::default()).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let song = pattern(5 << 20);
        let error = upload(&mut mtp, storage, Parent::Root, "song.mp3", &song).await.unwrap_err();
        assert_eq!(error.code(), Some(R::STORE_FULL), "{error}");
        assert!(player.objects().is_empty());
        assert_eq!(
            mtp.storage_ids().await.unwrap(),
            [storage],
            "the rest of the data isn't taken for a command"
        );
        assert_eq!(recover(&player, &mut mtp, Options::default()).await, "usable");
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_holds_the_objects_and_nothing_leads_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = || Place::Directory(dir.path().to_owned());
    let player = SimulatedPlayer::new(own("classic"), place()).unwrap();
    let mut mtp = opened(&player, Options::default()).await;
    reference(&mut mtp).await.unwrap();
    mtp.open_session().await.unwrap();
    let storage = mtp.storage_ids().await.unwrap()[0];
    let song = upload(&mut mtp, storage, Parent::Root, "song.mp3", &pattern(100_000)).await.unwrap();
    let folder = player.objects().into_iter().find(|object| object.path == "Music").unwrap().handle;
    mtp.move_object(song, storage, Parent::Folder(folder)).await.unwrap();
    let copy = mtp.copy_object(song, storage, Parent::Root).await.unwrap();
    mtp.set_object_references(folder, &[copy, song]).await.unwrap();
    mtp.set_object_property(song, P::ARTIST, &"Somebody".into()).await.unwrap();
    mtp.set_device_property(DevicePropertyCode::DEVICE_FRIENDLY_NAME, &"Bathroom".into()).await.unwrap();
    for path in ["song.mp3", "Music/song.mp3"] {
        let file = dir.path().join("storage-00010001").join(path);
        assert!(std::fs::read(file).unwrap() == pattern(100_000));
    }
    for name in ["..", "../out.mp3", "", "a/b"] {
        let error = upload(&mut mtp, storage, Parent::Root, name, b"x").await.unwrap_err();
        assert_eq!(error.code(), Some(R::INVALID_PARAMETER), "{name}");
    }
    mtp.close_session().await.unwrap();
    let again = SimulatedPlayer::new(own("classic"), place()).unwrap();
    let mut mtp = opened(&again, Options::default()).await;
    let name = DevicePropertyCode::DEVICE_FRIENDLY_NAME;
    assert_eq!(mtp.device_property(name, DataType::STRING).await.unwrap(), "Bathroom".into());
    let [folder, inner, outer] = &again.objects()[..] else { panic!("{:?}", again.objects()) };
    assert_eq!(mtp.object_references(folder.handle).await.unwrap(), [outer.handle, inner.handle]);
    let artist = mtp.object_property(inner.handle, P::ARTIST, DataType::STRING).await.unwrap();
    assert_eq!(artist, "Somebody".into());
    let paths: Vec<_> = again.objects().into_iter().map(|object| (object.path, object.size)).collect();
    let expected = [("Music", 0), ("Music/song.mp3", 100_000), ("song.mp3", 100_000)];
    assert_eq!(paths, expected.map(|(path, size)| (path.to_owned(), size)));
}

#[tokio::test(start_paused = true)]
async fn objects_are_edited_in_place_on_a_phone() {
    let player = player(own("phone"));
    let mut mtp = opened(&player, Options::default()).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    let song = upload(&mut mtp, storage, Parent::Root, "song.mp3", b"old text").await.unwrap();
    assert_eq!(mtp.truncate_object(song, 1).await.unwrap_err().code(), Some(R::GENERAL_ERROR));
    mtp.begin_edit(song).await.unwrap();
    mtp.send_partial_object(song, 0, 3, &mut &b"new"[..]).await.unwrap();
    mtp.truncate_object(song, 5).await.unwrap();
    mtp.end_edit(song).await.unwrap();
    assert_eq!(player.bytes(song).unwrap(), b"new t");
}

#[tokio::test(start_paused = true)]
async fn listing_answers_as_the_player_is() {
    use tandem_mtp::codes::ObjectHandle;
    for (name, expected) in
        [("classic", Ok(2)), ("split-header", Ok(1)), ("classic-no-lists", Err(R::INVALID_OBJECT_HANDLE))]
    {
        let player = player(own(name));
        let mut mtp = opened(&player, Options::default()).await;
        let storage = mtp.storage_ids().await.unwrap()[0];
        let folder = player.put(storage, ObjectHandle::ROOT, FormatCode::ASSOCIATION, "Music", b"").unwrap();
        player.put(storage, folder, FormatCode::MP3, "song.mp3", b"x").unwrap();
        let everything = ObjectFilter { storage, format: None, parent: None };
        let listed = mtp.object_handles(everything).await.map(|handles| handles.len());
        assert_eq!(listed.map_err(|error| error.code().unwrap()), expected, "{name}");
    }
    let player = player(own("list-reader"));
    let mut mtp = opened(&player, Options::default()).await;
    let storage = mtp.storage_ids().await.unwrap()[0];
    let folder = player.put(storage, ObjectHandle::ROOT, FormatCode::ASSOCIATION, "Music", b"").unwrap();
    player.put(storage, folder, FormatCode::MP3, "song.mp3", b"x").unwrap();
    let list = mtp.object_property_list(PropertyQuery::children(ObjectHandle::ROOT)).await.unwrap();
    let objects: std::collections::BTreeSet<_> = list.iter().map(|element| element.object).collect();
    assert_eq!(objects.len(), 2, "this one lists the whole store for object 0");
}

#[tokio::test(start_paused = true)]
async fn the_string_descriptor_of_microsoft_may_be_something_else() {
    assert_eq!(player(own("classic")).os_string_descriptor().unwrap()[2..4], *b"M\0");
    assert_eq!(player(own("sloppy-packets")).os_string_descriptor().unwrap()[2..4], *b"T\0");
    assert_eq!(player(own("minimal")).os_string_descriptor(), None);
}

/// An event wakes whoever waits for it, and one that came during a transaction is kept.
#[tokio::test(start_paused = true)]
async fn events_are_kept_until_they_are_asked_for() {
    let player = player(own("classic"));
    let mut mtp = opened(&player, Options::default()).await;
    assert!(timeout(Duration::from_secs(1), mtp.next_event()).await.is_err());
    player.tell(EventCode::OBJECT_ADDED, &[9]);
    player.tell(EventCode::STORE_FULL, &[1]);
    mtp.storage_ids().await.unwrap();
    let event = mtp.take_event().unwrap();
    assert_eq!((event.code, event.parameters.get(0)), (EventCode::OBJECT_ADDED, 9));
    assert_eq!(mtp.next_event().await.unwrap().code, EventCode::STORE_FULL);
    player.unplug();
    assert!(matches!(mtp.next_event().await, Err(Error::Gone)));
}
