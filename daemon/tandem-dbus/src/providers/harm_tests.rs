//! Proves that a provider may do anything wrong at any of its calls: nothing foreign is touched, nothing
//! blocks, and with a provider that works again all can be put in order.

mod missing;
mod references;
mod stopping;
mod together;

use super::fake::{Device, Fake, Harm};
use futures_util::StreamExt;
use futures_util::stream;
use kit::PrivateBus;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::path::DevicePath;
use tandem_model::player::{Close, Expect, Mark, Player, Source, Tags, Transfer, WriteRequest, Written};
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_128;

const OWN: (&str, &[u8]) = ("Music/own.mp3", b"the user's own");
const TEMPORARY: &str = ".tandem/0123456789abcdef0123456789abcdef.part";
/// Of files that are sent before the one before is answered for.
const AHEAD: [(&str, &str, &[u8]); 2] = [
    ("Music/A/c.mp3", ".tandem/1123456789abcdef0123456789abcdef.part", b"sent"),
    ("Music/A/d.mp3", ".tandem/2123456789abcdef0123456789abcdef.part", b"and another"),
];
const HARMS: [Harm; 10] = [
    Harm::Hang,
    Harm::Late,
    Harm::DieBefore,
    Harm::DieAfter,
    Harm::Nonsense,
    Harm::Lie,
    Harm::Refuse("Failed"),
    Harm::Refuse("InterfaceDead"),
    Harm::Refuse("NotSupported"),
    Harm::Refuse("NotFound"),
];

fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).unwrap()
}

fn request(at: &str, bytes: &[u8], expect: Expect) -> WriteRequest {
    WriteRequest {
        path: path(at),
        temporary: path(TEMPORARY),
        expect,
        size: bytes.len() as u64,
        modified_ns: 1_700_000_000_000_000_000,
        source: Source::Bytes(bytes.into()),
        tags: Tags { title: "T".into(), duration_ms: 1000, ..Tags::default() },
        cover: None,
    }
}

async fn write(player: &dyn Player, request: WriteRequest) -> Result<Written, PlayerError> {
    player.storage().write(request, &Arc::default()).await
}

fn fake_device() -> Arc<Mutex<Device>> {
    let mut device = Device::default();
    device.put(OWN.0, OWN.1);
    Arc::new(Mutex::new(device))
}

async fn work(fake: &Fake, bus: &PrivateBus) -> Result<(), PlayerError> {
    work_on(&*fake.open(bus).await?, &Arc::default()).await
}

/// A first file, a second in its place, a playlist, a deletion: all kinds of calls.
async fn work_on(player: &dyn Player, transfer: &Arc<Transfer>) -> Result<(), PlayerError> {
    player.set_mark(Mark { device: Guid(1), relationship: Guid(2) }).await?;
    let storage = player.storage();
    let write = |request| storage.write(request, transfer);
    let first = write(request("Music/A/a.mp3", b"first", Expect::Nothing)).await?;
    write(request("Music/A/a.mp3", b"second", Expect::This(first.facts))).await?;
    write(request("Playlists/l.pla", b"../Music/A/a.mp3\n", Expect::Nothing)).await?;
    let kept = write(request("Music/A/b.mp3", b"goes", Expect::Nothing)).await?;
    let object = storage.object(&path("Music/A/b.mp3"));
    if object.hash(transfer).await? != xxh3_128(b"goes") {
        return Err(PlayerError::VerifyFailed("Music/A/b.mp3".to_owned()));
    }
    object.delete(kept.facts, path(TEMPORARY)).await?;
    send_together(player, transfer).await?;
    player.close(Close::Release).await
}

/// Two files, the second sent before the first is finished.
async fn send_together(player: &dyn Player, transfer: &Arc<Transfer>) -> Result<(), PlayerError> {
    let (storage, mut sent) = (player.storage(), Vec::new());
    let mut failed = None;
    for (at, temporary, bytes) in AHEAD {
        let request = WriteRequest { temporary: path(temporary), ..request(at, bytes, Expect::Nothing) };
        match storage.send(request, transfer).await {
            Ok(one) => sent.push(one),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    // what was sent is finished also when another one failed
    for (finished, (_, _, bytes)) in storage.finish(sent).await?.into_iter().zip(AHEAD) {
        let hash = finished?.hash;
        if failed.is_none() {
            assert_eq!(hash, xxh3_128(bytes));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What may be there, whatever happened.
fn check(device: &Device, harmed: &str) {
    assert_eq!(device.named_too_early, [""; 0], "{harmed}");
    let files = device.files();
    assert_eq!(files.get(OWN.0).map(Vec::as_slice), Some(OWN.1), "{harmed}: the user's file");
    for (name, bytes) in &files {
        let right: &[&[u8]] = match name.as_str() {
            "Music/own.mp3" => &[OWN.1],
            "Music/A/a.mp3" => &[b"first", b"second"],
            "Music/A/b.mp3" => &[b"goes"],
            "Music/A/c.mp3" => &[AHEAD[0].2],
            "Music/A/d.mp3" => &[AHEAD[1].2],
            "Playlists/l.pla" => &[b""],
            // what was in flight, whole or not
            name if name.ends_with(".part") => continue,
            other => panic!("{harmed}: `{other}`"),
        };
        assert!(right.contains(&bytes.as_slice()), "{harmed}: {name} holds {bytes:?}");
    }
}

/// Puts all in order, as a next run does.
async fn put_in_order(bus: &PrivateBus, device: &Arc<Mutex<Device>>, harmed: &str) {
    device.lock().unwrap().plan = None;
    let fake = Fake::enter(bus, device).await;
    let player = fake.open(bus).await.unwrap_or_else(|error| panic!("{harmed}: {error}"));
    let storage = player.storage();
    for temporary in [TEMPORARY, AHEAD[0].1, AHEAD[1].1] {
        match storage.object(&path(temporary)).discard().await {
            Ok(()) | Err(PlayerError::NotFound(_)) => {}
            Err(error) => panic!("{harmed}: {error}"),
        }
    }
    for name in ["Music/A/a.mp3", "Music/A/b.mp3", AHEAD[0].0, AHEAD[1].0, "Playlists/l.pla"] {
        let there = storage.object(&path(name)).facts().await.unwrap();
        if let Some(facts) = there {
            storage.object(&path(name)).delete(facts, path(TEMPORARY)).await.unwrap();
        }
    }
    let written = write(&*player, request("Music/A/a.mp3", b"first", Expect::Nothing)).await;
    written.unwrap_or_else(|error| panic!("{harmed}: {error}"));
    player.close(Close::Release).await.unwrap();
    let files: Vec<String> = device.lock().unwrap().files().into_keys().collect();
    assert_eq!(files, ["Music/A/a.mp3", OWN.0], "{harmed}");
}

async fn harmed(bus: &PrivateBus, number: usize, harm: Harm) {
    let device = fake_device();
    device.lock().unwrap().plan = Some((number, harm));
    let fake = Fake::enter(bus, &device).await;
    let done = timeout(Duration::from_secs(60), work(&fake, bus)).await;
    let what = device.lock().unwrap().calls.get(number).cloned().unwrap_or_default();
    let label = format!("{harm:?} at call {number}, {what}");
    let done = done.unwrap_or_else(|_| panic!("{label}: it blocks"));
    match harm {
        Harm::Hang | Harm::Late => {
            assert!(matches!(done, Err(PlayerError::TimedOut(_))), "{label}: {done:?}");
        }
        Harm::DieBefore | Harm::DieAfter => {
            let is_right = matches!(done, Err(PlayerError::ProviderGone(_) | PlayerError::Manual(_)));
            assert!(is_right || what == "ReleaseDevice", "{label}: {done:?}");
        }
        _ => {}
    }
    if what == "Flush" && harm == Harm::Refuse("NotSupported") {
        // whoever says so keeps everything at once
        device.lock().unwrap().named_too_early.clear();
    }
    check(&device.lock().unwrap(), &label);
    drop(fake);
    put_in_order(bus, &device, &label).await;
}

async fn calls_of_whole_work(bus: &PrivateBus) -> usize {
    let device = fake_device();
    let fake = Fake::enter(bus, &device).await;
    work(&fake, bus).await.unwrap();
    let device = device.lock().unwrap();
    let files: Vec<String> = device.files().into_keys().collect();
    assert_eq!(files, ["Music/A/a.mp3", AHEAD[0].0, AHEAD[1].0, OWN.0, "Playlists/l.pla"]);
    assert_eq!(device.files()["Music/A/a.mp3"], b"second");
    assert_eq!(device.references("l.pla"), ["a.mp3"]);
    device.calls.len()
}

#[tokio::test]
async fn whatever_goes_wrong_at_whichever_call_harms_nothing_and_is_mended() {
    let bus = PrivateBus::start();
    let calls = calls_of_whole_work(&bus).await;
    assert!(calls > 40, "{calls} calls");
    let cases = HARMS.into_iter().flat_map(|harm| (0..calls).map(move |number| (number, harm)));
    stream::iter(cases)
        .map(|(number, harm)| harmed(&bus, number, harm))
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
}

#[tokio::test]
async fn what_counts_as_done_was_kept_by_the_device() {
    let bus = PrivateBus::start();
    let device = fake_device();
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    let unkept = || std::mem::take(&mut device.lock().unwrap().unkept);
    player.set_mark(Mark { device: Guid(1), relationship: Guid(2) }).await.unwrap();
    assert_eq!(unkept(), 0, "the mark");
    let storage = player.storage();
    let first = write(&*player, request("Music/A/a.mp3", b"first", Expect::Nothing)).await.unwrap();
    write(&*player, request("Music/A/a.mp3", b"second", Expect::This(first.facts))).await.unwrap();
    send_together(&*player, &Arc::default()).await.unwrap();
    assert!(unkept() > 0, "names are kept together");
    storage.settle(vec![path("Music/A/a.mp3")]).await.unwrap();
    assert_eq!(unkept(), 0, "what was written");
    let now = storage.object(&path("Music/A/a.mp3")).facts().await.unwrap().unwrap();
    storage.object(&path("Music/A/a.mp3")).delete(now, path(TEMPORARY)).await.unwrap();
    storage.flush().await.unwrap();
    assert_eq!(unkept(), 0, "what was deleted");
    let flushes = device.lock().unwrap().flushes;
    assert!(storage.object(&path("Music/A/a.mp3")).facts().await.unwrap().is_none());
    storage.flush().await.unwrap();
    assert_eq!(device.lock().unwrap().flushes, flushes, "nothing was done since");
    check(&device.lock().unwrap(), "nothing");
}

#[tokio::test]
async fn what_a_listing_mixes_up_is_not_deleted() {
    let remains = "0123456789abcdef0123456789abcdef.part";
    let bus = PrivateBus::start();
    let device = fake_device();
    {
        let mut device = device.lock().unwrap();
        // what a name is listed with is the object before it
        device.put("users.txt", b"the user's");
        device.put("Empty/gone.mp3", b"");
        device.remove("Empty/gone.mp3");
        device.put("users too.txt", b"the user's");
        device.put(remains, b"of a cut");
        device.mixes_up = true;
    }
    let before = device.lock().unwrap().files();
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    let storage = player.storage();
    let removed = storage.remove_empty_folders(vec![path("Empty")]).await;
    assert!(matches!(removed, Err(PlayerError::ProviderWrong(_))), "{removed:?}");
    let discarded = storage.object(&path(remains)).discard().await;
    assert!(matches!(discarded, Err(PlayerError::ProviderWrong(_))), "{discarded:?}");
    assert_eq!(device.lock().unwrap().files(), before);
}

#[tokio::test]
async fn nothing_is_written_into_a_file_that_is_answered_as_a_new_one() {
    let bus = PrivateBus::start();
    for (other, bytes) in [("Books/own.txt", &b"the user's"[..]), ("Books/empty.txt", b"")] {
        for list in [false, true] {
            let device = fake_device();
            device.lock().unwrap().put(other, bytes);
            let fake = Fake::enter(&bus, &device).await;
            let player = fake.open(&bus).await.unwrap();
            device.lock().unwrap().answers_with = Some(other);
            let before = device.lock().unwrap().files();
            let (at, text) = if list {
                ("Lists/l.pla", &b"../Music/own.mp3\n"[..])
            } else {
                ("Music/A/a.mp3", &b"new"[..])
            };
            let written = write(&*player, request(at, text, Expect::Nothing)).await;
            let error = written.unwrap_err();
            assert!(
                matches!(&error, PlayerError::ProviderWrong(text) if text.contains("`Fake players`")),
                "{error}"
            );
            let device = device.lock().unwrap();
            assert_eq!(device.files(), before);
            assert_eq!(device.references(super::tree::name(other)), [""; 0]);
            let written = ["WriteOnClearChannel", "SetReferences"];
            assert!(!device.calls.iter().any(|call| written.contains(&call.as_str())));
        }
    }
}

#[tokio::test]
async fn a_mark_that_the_provider_does_not_keep_is_in_a_file() {
    let bus = PrivateBus::start();
    let device = fake_device();
    device.lock().unwrap().properties.clear();
    let fake = Fake::enter(&bus, &device).await;
    let mark = Mark { device: Guid(1), relationship: Guid(2) };
    let text = |name: &str| {
        let files = device.lock().unwrap().files();
        files.get(name).map(|bytes| tandem_model::wmp_info::decode(bytes).unwrap_or_default())
    };
    let player = fake.open(&bus).await.unwrap();
    assert_eq!(player.mark().await, Ok(None));
    player.set_mark(mark).await.unwrap();
    assert_eq!(device.lock().unwrap().unkept, 0);
    assert_eq!(player.mark().await, Ok(Some(mark)));
    assert!(text("WMPInfo.xml").unwrap().contains(&mark.relationship.to_string()));
    player.remove_mark(mark).await.unwrap();
    assert_eq!((player.mark().await, text("WMPInfo.xml")), (Ok(None), None), "the file was ours alone");
    player.close(Close::Release).await.unwrap();

    // beside what another program has there, and in the place of what can't be read
    device.lock().unwrap().put("wmpinfo.xml", b"<DeviceInfo><Other a='1'/></DeviceInfo>");
    let player = fake.open(&bus).await.unwrap();
    player.set_mark(mark).await.unwrap();
    let both = text("wmpinfo.xml").unwrap();
    assert!(both.contains("<Other a='1'/>") && both.contains(&mark.device.to_string()), "{both}");
    player.remove_mark(mark).await.unwrap();
    assert!(text("wmpinfo.xml").unwrap().contains("<Other a='1'/>"));
    player.close(Close::Release).await.unwrap();
    device.lock().unwrap().put("wmpinfo.xml", b"nonsense");
    let player = fake.open(&bus).await.unwrap();
    player.set_mark(mark).await.unwrap();
    assert_eq!(player.mark().await, Ok(Some(mark)));
    let files: Vec<String> = device.lock().unwrap().files().into_keys().collect();
    assert_eq!(files, [OWN.0, "WMPInfo.xml", "WMPInfo.xml.damaged"]);
}

#[tokio::test]
async fn a_provider_that_takes_no_more_is_told_by_its_answer() {
    let bus = PrivateBus::start();
    let device = fake_device();
    device.lock().unwrap().is_full = true;
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    // more than can be on the way
    let large = vec![7; 8 << 20];
    let written = write(&*player, request("Music/A/large.mp3", &large, Expect::Nothing)).await;
    assert_eq!(written.unwrap_err(), PlayerError::Full);
    assert_eq!(device.lock().unwrap().files().into_keys().collect::<Vec<_>>(), [OWN.0]);
}

#[tokio::test]
async fn a_deletion_that_cannot_be_looked_at_is_seen_by_listing() {
    let bus = PrivateBus::start();
    for harm in [Harm::Lie, Harm::Nonsense, Harm::Refuse("Failed")] {
        let device = fake_device();
        let fake = Fake::enter(&bus, &device).await;
        let player = fake.open(&bus).await.unwrap();
        let written = write(&*player, request("Music/a.mp3", b"first", Expect::Nothing)).await.unwrap();
        // the look before it, the deletion, the look after it
        let calls = device.lock().unwrap().calls.len();
        device.lock().unwrap().plan = Some((calls + 2, harm));
        let object = player.storage().object(&path("Music/a.mp3"));
        let deleted = object.delete(written.facts, path(TEMPORARY)).await;
        let device = device.lock().unwrap();
        assert_eq!(device.calls[calls + 1..calls + 3], ["Delete", "GetSpecifiedMetadata"]);
        assert_eq!((deleted, device.files().len()), (Ok(()), 1), "{harm:?}");
    }
}

#[tokio::test]
async fn a_file_is_found_by_its_lasting_id_where_its_user_has_moved_it() {
    let bus = PrivateBus::start();
    let device = fake_device();
    let fake = Fake::enter(&bus, &device).await;
    let player = fake.open(&bus).await.unwrap();
    let written = write(&*player, request("Music/A/a.mp3", b"first", Expect::Nothing)).await.unwrap();
    let moved = player.storage().object(&path("Music/A/a.mp3")).restore(path("Music/b.mp3")).await;
    assert_eq!(moved, Ok(path("Music/b.mp3")));
    let ids = vec![written.persistent_id, "id999".to_owned(), "Music/A/a.mp3".to_owned()];
    assert_eq!(player.storage().find(ids).await, Ok(vec![Some(path("Music/b.mp3")), None, None]));
}

#[tokio::test]
async fn folders_without_an_end_are_not_searched_for_ever() {
    let bus = PrivateBus::start();
    for folders in [1, 3] {
        let device = fake_device();
        device.lock().unwrap().bottomless = folders;
        let fake = Fake::enter(&bus, &device).await;
        let player = fake.open(&bus).await.unwrap();
        let object = player.storage().object(&path(TEMPORARY));
        let discarded = timeout(kit::LIMIT, object.discard()).await.unwrap();
        assert!(
            matches!(&discarded, Err(PlayerError::ProviderWrong(text)) if text.contains("without an end"))
        );
        let facts = player.storage().object(&path(OWN.0)).facts().await.unwrap();
        assert_eq!(facts.map(|facts| facts.size), Some(OWN.1.len() as u64), "the rest is served");
    }
}
