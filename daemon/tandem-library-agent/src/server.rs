//! The agent's end of the connection: reads requests, has them carried out side by side, and tells every change of
//! the library's state.
//!
//! It ends when the daemon closes.

use crate::agent::Agent;
use crate::answers::Parts;
use crate::failure::Failure;
use std::collections::HashMap;
use std::sync::Arc;
use tandem_library::message::{Answer, Request, ToAgent, ToDaemon, VERSION, WireState};
use tandem_library::wire::{Frame, FrameReader, WireError, send};
use tandem_model::error::LibraryError;
use tandem_model::id::MediaUri;
use tandem_model::library::LibraryState;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Frames that may wait to be sent.
const OUTGOING: usize = 8;
/// Requests that may be under way; more wait in the socket.
const REQUESTS: usize = 32;
/// Hashing reads whole files; more at once would only make the disk seek.
const HASHES: usize = 2;
/// Pictures that are decoded at once: each may take much of the memory that there is.
const COVERS: usize = 1;
/// Files that may be opened at once: on a file system that doesn't answer, threads are left for other requests.
const OPENS: usize = 6;
/// The most media that may wait for their request.
const MAX_MEDIA: usize = crate::playlists::items::MAX_ITEMS * 2;

/// Serves the daemon until it closes, or is gone. An error is what made going on impossible.
pub(crate) async fn serve(stream: UnixStream, agent: Arc<Agent>) -> anyhow::Result<()> {
    let stream = Arc::new(stream);
    let mut reader = FrameReader::new(stream.clone(), false);
    send(&stream, &Frame::hello(VERSION)).await?;
    reader.hello(VERSION).await?;
    let outcome = converse(&stream, &mut reader, agent).await;
    match outcome.as_ref().err().and_then(|error| error.downcast_ref::<WireError>()) {
        Some(end) if end.is_end() => {
            tracing::debug!(%end, "the daemon has gone");
            Ok(())
        }
        _ => outcome,
    }
}

/// Tells the daemon why there is no library to serve.
pub(crate) async fn refuse(stream: UnixStream, why: String) {
    let stream = Arc::new(stream);
    let mut reader = FrameReader::new(stream.clone(), false);
    let tell = async {
        send(&stream, &Frame::hello(VERSION)).await?;
        // a daemon that is still greeting would find the connection broken
        reader.hello(VERSION).await?;
        send(&stream, &Frame::new(&ToDaemon::Unable(why), None)?).await
    };
    if let Err(error) = tell.await {
        tracing::warn!(%error, "the daemon could not be told why the library can't be opened");
    }
}

async fn converse(stream: &UnixStream, reader: &mut FrameReader, agent: Arc<Agent>) -> anyhow::Result<()> {
    let (frames, outgoing) = mpsc::channel(OUTGOING);
    let mut tasks = JoinSet::new();
    let read = Requests {
        agent: agent.clone(),
        frames: frames.clone(),
        hashes: Arc::new(Semaphore::new(HASHES)),
        covers: Arc::new(Semaphore::new(COVERS)),
        opens: Arc::new(Semaphore::new(OPENS)),
    };
    tokio::select! {
        outcome = read.serve(reader, &mut tasks) => outcome,
        outcome = write(stream, outgoing) => Ok(outcome?),
        outcome = tell_state(agent.state(), frames) => Ok(outcome?),
    }
}

async fn write(stream: &UnixStream, mut frames: mpsc::Receiver<Frame>) -> Result<(), WireError> {
    while let Some(frame) = frames.recv().await {
        send(stream, &frame).await?;
    }
    Ok(())
}

async fn tell_state(
    mut state: watch::Receiver<LibraryState>,
    frames: mpsc::Sender<Frame>,
) -> Result<(), WireError> {
    state.mark_changed();
    while state.changed().await.is_ok() {
        let message = ToDaemon::State(WireState::from(&*state.borrow_and_update()));
        if frames.send(Frame::new(&message, None)?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What requests are carried out with.
struct Requests {
    agent: Arc<Agent>,
    frames: mpsc::Sender<Frame>,
    hashes: Arc<Semaphore>,
    covers: Arc<Semaphore>,
    opens: Arc<Semaphore>,
}

impl Requests {
    async fn serve(
        &self,
        reader: &mut FrameReader,
        tasks: &mut JoinSet<Result<(), Failure>>,
    ) -> anyhow::Result<()> {
        let mut waiting: HashMap<u32, Vec<MediaUri>> = HashMap::new();
        loop {
            let message = tokio::select! {
                message = reader.message::<ToAgent>(), if tasks.len() < REQUESTS => message?,
                Some(done) = tasks.join_next() => {
                    // a database that is damaged is only repaired by a new start
                    done??;
                    continue;
                }
            };
            match message {
                None => return Ok(()),
                Some(ToAgent::Media { id, media }) => {
                    anyhow::ensure!(
                        waiting.values().map(Vec::len).sum::<usize>() + media.len() <= MAX_MEDIA,
                        "more than {MAX_MEDIA} media came without their request"
                    );
                    waiting.entry(id).or_default().extend(media);
                }
                Some(ToAgent::Request { id, request }) => {
                    let media = waiting.remove(&id).unwrap_or_default();
                    let turn = match request {
                        Request::Hash(_) | Request::TrackHashes(..) => Some(self.hashes.clone()),
                        Request::Cover { .. } => Some(self.covers.clone()),
                        Request::Open(_) => Some(self.opens.clone()),
                        _ => None,
                    };
                    tasks.spawn(answer(self.agent.clone(), self.frames.clone(), turn, id, request, media));
                }
            }
        }
    }
}

/// Answers one request when its turn comes. An error is one after which the agent can't go on.
async fn answer(
    agent: Arc<Agent>,
    frames: mpsc::Sender<Frame>,
    turn: Option<Arc<Semaphore>>,
    id: u32,
    request: Request,
    media: Vec<MediaUri>,
) -> Result<(), Failure> {
    let _turn = match turn {
        Some(turn) => turn.acquire_owned().await.ok(),
        None => None,
    };
    agent.prepare(&request).await;
    let parts = Parts::new(id, frames.clone());
    let outcome = tokio::task::spawn_blocking(move || agent.answer(request, &media, &parts)).await;
    let outcome = outcome.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed");
        Err(LibraryError::Failed("the library agent failed on this request; its log tells more".into())
            .into())
    });
    let (result, descriptor, fatal) = match outcome {
        Ok((answer, descriptor)) => (Ok(answer), descriptor, None),
        Err(Failure::Gone) => return Ok(()),
        Err(failure) if failure.is_damage() => {
            (Err(LibraryError::Failed(failure.to_string())), None, Some(failure))
        }
        Err(failure) => (Err(LibraryError::from(failure)), None, None),
    };
    let frame = Frame::new(&ToDaemon::Done { id, result }, descriptor).or_else(|error| {
        let result: Result<Answer, LibraryError> = Err(LibraryError::Failed(error.to_string()));
        Frame::new(&ToDaemon::Done { id, result }, None)
    });
    let Ok(frame) = frame else { return Ok(()) };
    // the daemon may have gone meanwhile, which ends the connection anyway
    let _ = frames.send(frame).await;
    fatal.map_or(Ok(()), Err)
}
