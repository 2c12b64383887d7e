//! Agents that are shared, die, linger and end, with a scripted agent in place of the process.
//!
//! No process is started here; the agent's own tests do that.

use super::*;
use crate::launch::Launched;
use crate::message::{Answer, Part, Request, ToAgent, ToDaemon, VERSION, WireState};
use crate::wire::{Frame, FrameReader, send};
use std::sync::atomic::{AtomicUsize, Ordering};
use tandem_model::id::{MediaUri, PlaylistId, TrackId};
use tandem_model::library::{Apart, TrackHashes};
use tandem_model::media::{PlaylistEdit, PlaylistInfo, PlaylistKind};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// What the scripted agent does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Script {
    Answer,
    Die,
    Nonsense,
    OtherVersion,
    Unable,
}

#[derive(Default)]
struct Scripted {
    launches: AtomicUsize,
    script: Mutex<Vec<Script>>,
    running: Arc<AtomicUsize>,
    tasks: Mutex<JoinSet<()>>,
}

impl Launcher for Scripted {
    fn launch(&self, _: Uid) -> BoxFuture<'_, Result<Launched, LibraryError>> {
        Box::pin(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let launch = self.launches.fetch_add(1, Ordering::SeqCst);
            let script = self.script.lock().unwrap().get(launch).copied().unwrap_or(Script::Answer);
            let running = self.running.clone();
            running.fetch_add(1, Ordering::SeqCst);
            self.tasks.lock().unwrap().spawn(async move {
                agent(theirs, script).await;
                running.fetch_sub(1, Ordering::SeqCst);
            });
            Ok(Launched { stream: ours, process: None })
        })
    }
}

fn info(name: String) -> PlaylistInfo {
    PlaylistInfo {
        id: PlaylistId("p-1".into()),
        name,
        kind: PlaylistKind::Static,
        rule: String::new(),
        count: 0,
        sync_only: false,
    }
}

async fn agent(stream: UnixStream, script: Script) {
    let stream = Arc::new(stream);
    let mut reader = FrameReader::new(stream.clone(), false);
    let version = if script == Script::OtherVersion { VERSION + 1 } else { VERSION };
    send(&stream, &Frame::hello(version)).await.unwrap();
    if script == Script::Unable {
        reader.hello(VERSION).await.unwrap();
        let why = ToDaemon::Unable("library.sqlite can't be used: free some space".into());
        return send(&stream, &Frame::new(&why, None).unwrap()).await.unwrap();
    }
    let state = LibraryState { generation: 5, ..LibraryState::default() };
    send(&stream, &Frame::new(&ToDaemon::State(WireState::from(&state)), None).unwrap()).await.unwrap();
    if reader.hello(VERSION).await.is_err() {
        return;
    }
    let mut media = 0;
    while let Ok(Some(message)) = reader.message::<ToAgent>().await {
        let (id, request) = match message {
            ToAgent::Media { media: more, .. } => {
                media += more.len();
                continue;
            }
            ToAgent::Request { id, request } => (id, request),
        };
        if script == Script::Die {
            return;
        }
        if script == Script::Nonsense {
            let part = Part::Positions(vec![3]);
            let frames = [ToDaemon::Part { id, part }, ToDaemon::Done { id, result: Ok(Answer::Opened) }];
            for message in frames {
                send(&stream, &Frame::new(&message, None).unwrap()).await.unwrap();
            }
            continue;
        }
        let result = match request {
            Request::EditPlaylist { .. } => Ok(Answer::Playlist(PlaylistInfo {
                count: u32::try_from(media).unwrap(),
                ..info("x".into())
            })),
            Request::Playlist(id) => Err(LibraryError::NotFound(format!("no {id}"))),
            Request::CreateAutoPlaylist { name, .. } => Ok(Answer::Playlist(info(name))),
            Request::TrackHashes(tracks, _) => {
                let hashes = Some(TrackHashes { whole: 7, audio: Some(8) });
                Ok(Answer::TrackHashes(tracks.iter().map(|_| hashes).collect()))
            }
            Request::Hash(tracks) => Ok(Answer::Hashes(tracks.iter().map(|_| Some(7)).collect())),
            _ => Ok(Answer::Nothing),
        };
        send(&stream, &Frame::new(&ToDaemon::Done { id, result }, None).unwrap()).await.unwrap();
    }
}

fn scripted(scripts: &[Script], linger: Duration) -> (Arc<Scripted>, AgentLibraries) {
    let launcher = Arc::new(Scripted { script: Mutex::new(scripts.to_vec()), ..Scripted::default() });
    (launcher.clone(), AgentLibraries::new(launcher, linger))
}

async fn until(condition: impl Fn() -> bool) {
    let turns = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, turns).await.expect("it does not come");
}

#[tokio::test]
async fn holders_share_one_agent_and_calls_run_side_by_side() {
    let (launcher, libraries) = scripted(&[], LIMIT);
    let (one, two) = tokio::join!(libraries.open(1), libraries.open(1));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.state().borrow().generation, 5);
    let mut calls = JoinSet::new();
    for index in 0..50 {
        let library = if index % 2 == 0 { one.clone() } else { two.clone() };
        calls.spawn(async move {
            let made = library.create_auto_playlist(index.to_string(), String::new()).await.unwrap();
            assert_eq!(made.name, index.to_string());
        });
    }
    calls.join_all().await;
    assert!(
        matches!(one.playlist(PlaylistId("q".into())).await, Err(LibraryError::NotFound(words)) if words == "no q")
    );
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 1);
    libraries.open(2).await.unwrap();
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn long_lists_are_sent_in_parts_and_hashes_in_batches() {
    let (_, libraries) = scripted(&[], LIMIT);
    let library = libraries.open(1).await.unwrap();
    let media: Vec<MediaUri> =
        (0..100_000).map(|n| MediaUri(format!("file:///music/some album/{n:040}.flac").into())).collect();
    let edited = library.edit_playlist(PlaylistId("p-1".into()), PlaylistEdit::Append(media)).await.unwrap();
    assert_eq!(edited.count, 100_000);
    assert_eq!(library.hash((0..21).map(TrackId).collect()).await.unwrap(), vec![Some(7); 21]);
    let hashes = library.track_hashes((0..21).map(TrackId).collect(), Apart::Tags).await.unwrap();
    assert_eq!(hashes, vec![Some(TrackHashes { whole: 7, audio: Some(8) }); 21]);
}

#[tokio::test]
async fn a_dead_agent_fails_the_pending_call_and_the_next_one_starts_it_again() {
    let (launcher, libraries) = scripted(&[Script::Die], LIMIT);
    let library = libraries.open(1).await.unwrap();
    let error = library.scan().await.unwrap_err();
    assert!(matches!(error, LibraryError::Unavailable(_)), "{error}");
    library.scan().await.unwrap();
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_can_not_be_ends_the_connection() {
    let (launcher, libraries) = scripted(&[Script::Nonsense, Script::OtherVersion], LIMIT);
    let library = libraries.open(1).await.unwrap();
    assert!(matches!(library.open(TrackId(1)).await, Err(LibraryError::Unavailable(_))));
    let error = library.scan().await.unwrap_err();
    let theirs = format!("version {}", VERSION + 1);
    assert!(error.to_string().contains(&theirs), "{error}");
    library.scan().await.unwrap();
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_agent_that_can_not_open_the_library_tells_why_and_is_started_again() {
    let (launcher, libraries) = scripted(&[Script::Unable], LIMIT);
    let told = |error: LibraryError| {
        assert!(matches!(error, LibraryError::Unavailable(_)), "{error:?}");
        let words = "did not start: library.sqlite can't be used: free some space";
        assert!(error.to_string().contains(words), "{error}");
    };
    told(libraries.open(1).await.err().unwrap());
    let library = libraries.open(1).await.unwrap();
    library.scan().await.unwrap();
    let (_, libraries) = scripted(&[Script::Die, Script::Unable], LIMIT);
    let library = libraries.open(1).await.unwrap();
    library.scan().await.unwrap_err();
    told(library.scan().await.unwrap_err());
    library.scan().await.unwrap();
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_lingers_and_then_ends() {
    let linger = Duration::from_secs(60);
    let (launcher, libraries) = scripted(&[], linger);
    let library = libraries.open(1).await.unwrap();
    drop(library);
    sleep(linger / 2).await;
    let again = libraries.open(1).await.unwrap();
    sleep(linger * 2).await;
    assert_eq!((launcher.launches.load(Ordering::SeqCst), launcher.running.load(Ordering::SeqCst)), (1, 1));
    drop(again);
    sleep(linger * 2).await;
    until(|| launcher.running.load(Ordering::SeqCst) == 0).await;
    libraries.open(1).await.unwrap();
    assert_eq!(launcher.launches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn shutting_down_ends_the_agents() {
    let (launcher, libraries) = scripted(&[], LIMIT);
    let _library = libraries.open(1).await.unwrap();
    libraries.shut_down().await;
    until(|| launcher.running.load(Ordering::SeqCst) == 0).await;
}
