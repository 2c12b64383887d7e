//! Proves that what a playlist refers to is what the provider tells of it, not what was set.

use super::*;

const LIST: &str = "Playlists/l.pla";

/// A device with two tracks, opened.
async fn opened(bus: &PrivateBus, change: impl FnOnce(&mut Device)) -> (Fake, Arc<dyn Player>) {
    let device = fake_device();
    change(&mut device.lock().unwrap());
    let fake = Fake::enter(bus, &device).await;
    let player = fake.open(bus).await.unwrap();
    for name in ["Music/a.mp3", "Music/b.mp3"] {
        write(&*player, request(name, name.as_bytes(), Expect::Nothing)).await.unwrap();
    }
    (fake, player)
}

fn list(expect: Expect) -> WriteRequest {
    request(LIST, b"../Music/b.mp3\n../Music/a.mp3\n../Music/b.mp3\n", expect)
}

async fn refers_to(player: &dyn Player, at: &str, files: &[&str]) -> Result<bool, PlayerError> {
    player.storage().refers_to(path(at), files.iter().map(|file| path(file)).collect()).await
}

#[tokio::test]
async fn a_playlist_that_lost_a_track_is_not_done() {
    let bus = PrivateBus::start();
    for says_so in [false, true] {
        let (fake, player) = opened(&bus, |device| device.loses_references = Some(says_so)).await;
        let written = write(&*player, list(Expect::Nothing)).await;
        assert!(matches!(written, Err(PlayerError::VerifyFailed(_))), "{written:?}");
        assert!(fake.device.lock().unwrap().files().keys().all(|path| !path.starts_with("Playlists")));
        fake.device.lock().unwrap().loses_references = None;
        let written = write(&*player, list(Expect::Nothing)).await.unwrap();
        fake.device.lock().unwrap().loses_references = Some(says_so);
        let replaced = write(&*player, list(Expect::This(written.facts))).await;
        assert!(matches!(replaced, Err(PlayerError::VerifyFailed(_))), "{replaced:?}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_tell_references_is_believed() {
    let bus = PrivateBus::start();
    let (fake, player) = opened(&bus, |device| device.refuses = Some("GetReferences")).await;
    write(&*player, list(Expect::Nothing)).await.unwrap();
    assert_eq!(fake.device.lock().unwrap().references("l.pla"), ["b.mp3", "a.mp3", "b.mp3"]);
    let all = ["Music/b.mp3", "Music/a.mp3", "Music/b.mp3"];
    assert_eq!(refers_to(&*player, LIST, &all).await, Ok(false));
}

#[tokio::test]
async fn what_a_playlist_refers_to_is_compared_in_order() {
    let bus = PrivateBus::start();
    let (fake, player) = opened(&bus, |_| {}).await;
    write(&*player, list(Expect::Nothing)).await.unwrap();
    let all = ["Music/b.mp3", "Music/a.mp3", "Music/b.mp3"];
    assert_eq!(refers_to(&*player, LIST, &all).await, Ok(true));
    assert_eq!(refers_to(&*player, "Music/a.mp3", &all).await, Ok(false));
    for others in [&all[..2], &["Music/a.mp3", "Music/b.mp3", "Music/b.mp3"], &["Music/c.mp3"], &[]] {
        assert_eq!(refers_to(&*player, LIST, others).await, Ok(false), "{others:?}");
    }
    for (at, files) in [("Playlists/other.pla", &all), ("Playlists", &all)] {
        assert_eq!(refers_to(&*player, at, files).await, Ok(false), "{at}");
    }
    let calls = || fake.device.lock().unwrap().calls.len();
    for (harm, comes) in [(Harm::Refuse("Failed"), Ok(false)), (Harm::Refuse("NotFound"), Ok(false))] {
        let plan = Some((calls(), harm));
        fake.device.lock().unwrap().plan = plan;
        assert_eq!(refers_to(&*player, LIST, &all).await, comes);
    }
    let plan = Some((calls(), Harm::Lie));
    fake.device.lock().unwrap().plan = plan;
    let lie = refers_to(&*player, LIST, &all).await;
    assert!(matches!(lie, Err(PlayerError::ProviderWrong(_))), "{lie:?}");
    fake.device.lock().unwrap().loses_references = Some(true);
    assert_eq!(refers_to(&*player, LIST, &all[..2]).await, Ok(false), "there is more");
}

#[tokio::test]
async fn a_playlist_that_was_made_without_a_proper_answer_goes() {
    let bus = PrivateBus::start();
    for harm in [Harm::Lie, Harm::Nonsense, Harm::Refuse("Failed")] {
        for offset in 0..6 {
            let device = fake_device();
            let fake = Fake::enter(&bus, &device).await;
            let player = fake.open(&bus).await.unwrap();
            write(&*player, request("Playlists/a.mp3", b"first", Expect::Nothing)).await.unwrap();
            let before = device.lock().unwrap().files();
            let calls = device.lock().unwrap().calls.len();
            device.lock().unwrap().plan = Some((calls + offset, harm));
            let list = request("Playlists/l.pla", b"a.mp3\n", Expect::Nothing);
            // that it refers to its tracks is answered with nothing that could be a lie
            let is_made = write(&*player, list).await.is_ok();
            let device = device.lock().unwrap();
            assert!(
                is_made || device.files() == before,
                "{harm:?} at {}: {:?}",
                device.calls[calls + offset],
                device.files()
            );
        }
    }
}
