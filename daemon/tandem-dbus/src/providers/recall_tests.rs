//! Proves what a device's own report of its changes is worth: folders without any aren't listed again, every
//! change is seen, and a report that isn't true costs a wrong belief for a while, and no file.

use super::fake::{Device, Fake, Harm, description, device};
use super::opener::Opener;
use super::registry;
use kit::PrivateBus;
use std::sync::{Arc, Mutex, MutexGuard};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Close, Expect, ObjectFacts, Player, Source, Tags, Transfer, WriteRequest};
use tandem_model::presence::Providers;

const FILES: [&str; 3] = ["Music/A/1.mp3", "Music/B/2.mp3", "Music/C/3.mp3"];
const ROOT_ALONE: usize = 1;
/// The root, `Music`, and three folders in it.
const ALL: usize = 5;

fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).unwrap()
}

fn temporary() -> DevicePath {
    path(".tandem/0123456789abcdef0123456789abcdef.part")
}

fn request(at: &str, bytes: &[u8], expect: Expect) -> WriteRequest {
    WriteRequest {
        path: path(at),
        temporary: temporary(),
        expect,
        size: bytes.len() as u64,
        modified_ns: 1_700_000_000_000_000_000,
        source: Source::Bytes(bytes.into()),
        tags: Tags::default(),
        cover: None,
    }
}

/// A device, its provider, and a daemon's side that outlasts openings.
struct Stage {
    bus: PrivateBus,
    device: Arc<Mutex<Device>>,
    fake: Fake,
    opener: Opener,
}

impl Stage {
    async fn new() -> Self {
        let (bus, device) = (PrivateBus::start(), Arc::<Mutex<Device>>::default());
        let fake = Fake::enter(&bus, &device).await;
        let opener = fake.opener(&bus);
        Self { bus, device, fake, opener }
    }

    /// One that has been filled, and whose report was found to be true.
    async fn proven() -> Self {
        let stage = Self::new().await;
        stage.write(&FILES).await;
        assert_eq!(stage.look().await, (there(&FILES), ALL), "what was written is listed");
        assert_eq!(stage.look().await, (there(&FILES), ROOT_ALONE));
        stage
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap()
    }

    async fn open(&self) -> Arc<dyn Player> {
        self.opener.open(&device(), description()).await.unwrap()
    }

    async fn write(&self, files: &[&str]) {
        let player = self.open().await;
        for file in files {
            let request = request(file, b"ours", Expect::Nothing);
            player.storage().write(request, &Arc::new(Transfer::default())).await.unwrap();
        }
        player.close(Close::Release).await.unwrap();
    }

    /// What a run sees of the files, and how many folders are listed for that.
    async fn look(&self) -> (Vec<Option<u64>>, usize) {
        self.device().calls.clear();
        let player = self.open().await;
        let facts = player.storage().facts(FILES.map(path).to_vec()).await.unwrap();
        player.close(Close::Release).await.unwrap();
        let listed = self.device().calls.iter().filter(|call| *call == "EnumStorageWithMetadata").count();
        (facts.into_iter().map(|facts| facts.map(|facts| facts.size)).collect(), listed)
    }
}

/// What is seen where these files are as they were written.
fn there(files: &[&str]) -> Vec<Option<u64>> {
    FILES.map(|file| files.contains(&file).then_some(4)).to_vec()
}

#[tokio::test]
async fn what_the_user_does_is_seen_and_nothing_else_is_listed() {
    let stage = Stage::proven().await;
    stage.device().put("Music/A/1.mp3", b"another");
    assert_eq!(stage.look().await, (vec![Some(7), Some(4), Some(4)], 3), "the root, `Music`, and `A`");
    stage.device().remove("Music/B/2.mp3");
    assert_eq!(stage.look().await, (vec![Some(7), None, Some(4)], 3));
    stage.device().put("Music/B/2.mp3", b"back");
    stage.device().put("New/Folder/x.mp3", b"x");
    assert_eq!(stage.look().await.0, [Some(7), Some(4), Some(4)]);
    stage.device().put("New/Folder/y.mp3", b"x");
    assert_eq!(stage.look().await.1, ROOT_ALONE, "a folder that nobody asks for");
    stage.device().remove("Music/C/3.mp3");
    stage.device().remove("Music/C");
    assert_eq!(stage.look().await.0, [Some(7), Some(4), None]);
    stage.device().put("Music/C", b"a file");
    assert_eq!(stage.look().await.0, [Some(7), Some(4), None]);
    assert_eq!(stage.look().await, (vec![Some(7), Some(4), None], ROOT_ALONE));
}

#[tokio::test]
async fn what_is_written_is_listed_the_next_time_and_the_rest_is_not() {
    let stage = Stage::proven().await;
    stage.write(&["Music/A/4.mp3"]).await;
    let (seen, listed) = stage.look().await;
    assert_eq!((seen, listed), (there(&FILES), 3), "the root, `Music`, and `A`");
    let player = stage.open().await;
    let facts = player.storage().facts(vec![path(FILES[1])]).await.unwrap()[0].unwrap();
    player.storage().object(&path(FILES[1])).delete(facts, temporary()).await.unwrap();
    let facts = player.storage().facts(vec![path(FILES[1]), path(FILES[2])]).await.unwrap();
    assert_eq!(facts.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    player.close(Close::Release).await.unwrap();
    assert_eq!(stage.look().await.0, there(&[FILES[0], FILES[2]]));
}

#[tokio::test]
async fn whatever_happens_between_openings_is_seen() {
    let stage = Stage::proven().await;
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut whole = 0;
    for step in 0..120 {
        for _ in 0..random(3) {
            let file = FILES[usize::try_from(random(3)).unwrap()];
            let is_there = stage.device().files().contains_key(file);
            match random(3) {
                0 if is_there => stage.device().remove(file),
                1 => stage.device().put(file, &vec![7; usize::try_from(random(9)).unwrap()]),
                _ if !is_there => stage.write(&[file]).await,
                _ => {}
            }
        }
        let real = stage.device().files();
        let (seen, listed) = stage.look().await;
        let sizes = FILES.map(|file| real.get(file).map(|bytes| bytes.len() as u64));
        assert_eq!(seen, sizes, "step {step}");
        whole += usize::from(listed == ALL);
    }
    assert!(whole < 60, "{whole} of 120 whole listings");
}

#[tokio::test]
async fn without_a_report_that_is_whole_all_is_listed() {
    let changes: [fn(&mut Device); 5] = [
        |device| device.changes.are_told = false,
        |device| device.changes.flags = 1,
        |device| device.changes.flags = 2,
        |device| device.changes.transaction = 0,
        |device| device.changes.at_once = 0,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let stage = Stage::proven().await;
        // what isn't told can't be missed
        stage.device().remove(FILES[0]);
        change(&mut stage.device());
        assert_eq!(stage.look().await, (there(&FILES[1..]), ALL), "change {number}");
    }
    for harm in [Harm::Lie, Harm::Nonsense, Harm::Refuse("Failed"), Harm::Refuse("NotFound")] {
        let stage = Stage::proven().await;
        stage.device().calls.clear();
        let at = {
            stage.look().await;
            let device = stage.device();
            device.calls.iter().rposition(|call| call == "DeviceIoControl").unwrap()
        };
        stage.device().remove(FILES[0]);
        stage.device().plan = Some((at, harm));
        assert_eq!(stage.look().await, (there(&FILES[1..]), ALL), "{harm:?}");
    }
}

#[tokio::test]
async fn a_report_that_comes_in_too_many_answers_is_not_waited_for() {
    let stage = Stage::proven().await;
    for number in 0..400 {
        stage.device().put(&format!("Other/{number}"), b"x");
    }
    stage.device().remove(FILES[0]);
    stage.device().changes.at_once = 1;
    assert_eq!(stage.look().await, (there(&FILES[1..]), ALL));
    let asked = stage.device().calls.iter().filter(|call| *call == "DeviceIoControl").count();
    // fewer where the time for it is over before
    assert!((3..200).contains(&asked), "{asked} questions");
}

#[tokio::test]
async fn another_connection_or_arrival_begins_anew() {
    let mut stage = Stage::proven().await;
    stage.opener.registry.departed(&registry::key(&device()));
    assert_eq!(stage.look().await.1, ALL, "it was away");
    let stage_of = Stage::proven().await;
    stage_of.opener.registry.arrived(&registry::key(&device()));
    assert_eq!(stage_of.look().await.1, ALL, "it was away, and nobody saw it go");
    stage = Stage::proven().await;
    stage.device().remove(FILES[0]);
    // an upgrade that knows nothing of before, and counts as the old one did
    stage.device().changes.leaves_out = Some("Music");
    let old = stage.fake.name.clone();
    let new = Fake::enter(&stage.bus, &stage.device).await;
    stage.opener.registry.left(&old);
    new.register(&stage.opener.registry);
    assert_eq!(stage.look().await, (there(&FILES[1..]), ALL));
}

#[tokio::test]
async fn a_report_that_does_not_name_what_was_written_is_believed_no_more() {
    let stage = Stage::proven().await;
    stage.device().changes.leaves_out = Some("Music/A");
    stage.write(&["Music/A/4.mp3"]).await;
    for _ in 0..3 {
        assert_eq!(stage.look().await, (there(&FILES), ALL));
    }
    stage.device().remove(FILES[0]);
    assert_eq!(stage.look().await, (there(&FILES[1..]), ALL));
    let asked = stage.device().calls.iter().filter(|call| *call == "DeviceIoControl").count();
    assert_eq!(asked, 1, "whether it can be synchronised, and no more");
}

#[tokio::test]
async fn what_was_written_and_is_gone_again_needs_no_report() {
    let stage = Stage::proven().await;
    stage.write(&["Music/A/4.mp3"]).await;
    stage.device().remove("Music/A/4.mp3");
    assert_eq!(stage.look().await, (there(&FILES), ALL));
    stage.write(&["Music/A/4.mp3"]).await;
    assert_eq!(stage.look().await.1, ALL, "there is no proof before that");
    assert_eq!(stage.look().await.1, ROOT_ALONE, "it was not called a lie");
}

#[tokio::test]
async fn a_report_that_names_folders_in_place_of_files_is_true_and_proves_nothing() {
    let stage = Stage::new().await;
    stage.device().changes.leaves_out = Some("Music/");
    stage.write(&FILES).await;
    for _ in 0..3 {
        assert_eq!(stage.look().await, (there(&FILES), ALL));
    }
}

#[tokio::test]
async fn a_report_that_was_never_proven_is_not_gone_by() {
    let stage = Stage::new().await;
    for file in FILES {
        stage.device().put(file, b"ours");
    }
    for _ in 0..3 {
        assert_eq!(stage.look().await, (there(&FILES), ALL));
    }
}

#[tokio::test]
async fn what_a_report_leaves_out_costs_no_file_and_is_found_when_its_folder_is_listed() {
    let stage = Stage::proven().await;
    let before = ObjectFacts { size: 4, modified_ns: 1_700_000_000_000_000_000 };
    // from here on it says nothing of `A`, where its user has put other music under the old name
    stage.device().changes.leaves_out = Some("Music/A");
    stage.device().put(FILES[0], b"the user's own");
    assert_eq!(stage.look().await, (there(&FILES), ROOT_ALONE), "the belief is wrong");
    let player = stage.open().await;
    let wrong = player.storage().facts(FILES.map(path).to_vec()).await.unwrap()[0];
    assert_eq!(wrong, Some(before));
    let deleted = player.storage().object(&path(FILES[0])).delete(before, temporary()).await;
    assert!(matches!(deleted, Err(PlayerError::Changed(_))), "{deleted:?}");
    let request = request(FILES[0], b"new", Expect::This(before));
    let replaced = player.storage().write(request, &Arc::default()).await;
    assert!(matches!(replaced, Err(PlayerError::Changed(_))), "{replaced:?}");
    player.close(Close::Release).await.unwrap();
    assert_eq!(stage.device().files()[FILES[0]], b"the user's own");
    assert_eq!(stage.look().await, (vec![Some(14), Some(4), Some(4)], ALL), "it was found out");
}

#[tokio::test]
async fn a_wrong_belief_lasts_for_some_openings_and_no_longer() {
    let stage = Stage::proven().await;
    stage.device().changes.leaves_out = Some("Music/A");
    stage.device().remove(FILES[0]);
    let mut openings = 0;
    while stage.look().await.0 != there(&FILES[1..]) {
        openings += 1;
        assert!(openings < 20);
    }
    assert!(openings > 10, "{openings}");
    stage.device().remove(FILES[1]);
    assert_eq!(stage.look().await, (there(&FILES[2..]), ALL), "it is believed no more");
}

#[tokio::test]
async fn space_that_changes_by_itself_is_a_change() {
    let stage = Stage::proven().await;
    stage.device().used_otherwise = 10_000;
    assert_eq!(stage.look().await.1, ROOT_ALONE, "a device's own notes");
    stage.device().used_otherwise = 5_000_000;
    assert_eq!(stage.look().await.1, ALL);
    assert_eq!(stage.look().await.1, ROOT_ALONE);
}
