//! One connection to one running agent: requests with numbers, their answers, and the state that the agent tells.
//!
//! When it ends, every pending call ends with it, and a process that hangs on is killed. It never starts an agent.

use crate::collect::Collected;
use crate::launch::Launched;
use crate::message::{Answer, PART_BYTES, Request, ToAgent, ToDaemon, VERSION};
use crate::wire::{Frame, FrameReader, WireError, send};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_model::error::LibraryError;
use tandem_model::id::MediaUri;
use tandem_model::library::LibraryState;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long an agent may take to greet and to tell its state.
const GREETING_LIMIT: Duration = Duration::from_secs(15);
/// How long an agent may take to end by itself; well within the two seconds that the daemon itself may take.
const ENDING_LIMIT: Duration = Duration::from_secs(1);
/// Frames that may wait to be sent.
const OUTGOING: usize = 16;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) parts: Collected,
    pub(crate) descriptor: Option<OwnedFd>,
}

type Outcome = Result<Reply, LibraryError>;

#[derive(Debug)]
struct Pending {
    parts: Collected,
    done: oneshot::Sender<Outcome>,
}

/// The calls that wait for their answers; `None` once the connection has ended.
type Calls = Mutex<Option<HashMap<u32, Pending>>>;

fn lock(calls: &Calls) -> MutexGuard<'_, Option<HashMap<u32, Pending>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to an agent.
#[derive(Debug)]
pub(crate) struct Connection {
    calls: Arc<Calls>,
    outgoing: mpsc::Sender<Frame>,
    next: AtomicU32,
    ending: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Greets the agent, waits for its state, and serves the connection from then on.
    pub(crate) async fn start(
        launched: Launched,
        state: watch::Sender<LibraryState>,
    ) -> Result<Self, LibraryError> {
        let Launched { stream, process } = launched;
        let stream = Arc::new(stream);
        let mut reader = FrameReader::new(stream.clone(), true);
        let greeting = async {
            send(&stream, &Frame::hello(VERSION)).await?;
            reader.hello(VERSION).await?;
            match reader.message().await? {
                Some(ToDaemon::State(first)) => Ok(Ok(LibraryState::from(first))),
                Some(ToDaemon::Unable(why)) => Ok(Err(why)),
                Some(_) => Err(WireError::Malformed("it does not begin with the library's state".into())),
                None => Err(WireError::Truncated),
            }
        };
        let unavailable =
            |why: String| LibraryError::Unavailable(format!("the library agent did not start: {why}"));
        let first = timeout(GREETING_LIMIT, greeting)
            .await
            .map_err(|_| unavailable(format!("no answer within {} s", GREETING_LIMIT.as_secs())))?
            .map_err(|error| unavailable(error.to_string()))?
            .map_err(unavailable)?;
        state.send_replace(first);
        let calls: Arc<Calls> = Arc::new(Mutex::new(Some(HashMap::new())));
        let (outgoing, frames) = mpsc::channel(OUTGOING);
        let (ending, stop) = watch::channel(false);
        let (ended_sender, ended) = watch::channel(false);
        let task = tokio::spawn(serve(Served {
            stream,
            reader,
            frames,
            stop,
            process,
            calls: calls.clone(),
            state,
            ended: ended_sender,
        }));
        Ok(Self { calls, outgoing, next: AtomicU32::new(1), ending, ended, task })
    }

    /// Whether no call can be answered any more.
    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.calls).is_none()
    }

    /// Turns true when the connection has ended and its process is gone.
    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// Closes, and waits until the agent is gone.
    pub(crate) async fn end(&self) {
        self.ending.send_replace(true);
        // the sender is gone only if the task is: then it has ended as well
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Asks and waits for the answer, for at most `limit`.
    pub(crate) async fn call(&self, request: Request, media: Vec<MediaUri>, limit: Duration) -> Outcome {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (done, answer) = oneshot::channel();
        match lock(&self.calls).as_mut() {
            Some(calls) => calls.insert(id, Pending { parts: Collected::default(), done }),
            None => return Err(gone()),
        };
        let _forget = Forget { calls: &self.calls, id };
        let exchange = async {
            for frame in media_frames(id, media).chain([Frame::new(&ToAgent::Request { id, request }, None)])
            {
                let frame = frame.map_err(|error| LibraryError::InvalidArgument(error.to_string()))?;
                self.outgoing.send(frame).await.map_err(|_| gone())?;
            }
            answer.await.map_err(|_| gone())?
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs();
            Err(LibraryError::Unavailable(format!(
                "the library agent did not answer within {seconds} s; try again"
            )))
        })
    }
}

fn gone() -> LibraryError {
    LibraryError::Unavailable("the library agent has ended; it is started again with the next call".into())
}

/// Forgets a call when its caller stops waiting.
struct Forget<'a> {
    calls: &'a Calls,
    id: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(calls) = lock(self.calls).as_mut() {
            calls.remove(&self.id);
        }
    }
}

fn media_frames(id: u32, media: Vec<MediaUri>) -> impl Iterator<Item = Result<Frame, WireError>> {
    let mut rest = media.into_iter().peekable();
    std::iter::from_fn(move || {
        rest.peek()?;
        let (mut media, mut bytes) = (Vec::new(), 0);
        while let Some(uri) = rest.next_if(|_| bytes < PART_BYTES) {
            bytes += uri.0.len() + 4;
            media.push(uri);
        }
        Some(Frame::new(&ToAgent::Media { id, media }, None))
    })
}

/// What the serving task owns.
struct Served {
    stream: Arc<UnixStream>,
    reader: FrameReader,
    frames: mpsc::Receiver<Frame>,
    stop: watch::Receiver<bool>,
    process: Option<Child>,
    calls: Arc<Calls>,
    state: watch::Sender<LibraryState>,
    ended: watch::Sender<bool>,
}

async fn serve(served: Served) {
    let Served { stream, mut reader, mut frames, mut stop, process, calls, state, ended } = served;
    let write = async {
        while let Some(frame) = frames.recv().await {
            send(&stream, &frame).await?;
        }
        Ok::<(), WireError>(())
    };
    let outcome = tokio::select! {
        outcome = read(&mut reader, &calls, &state) => outcome,
        outcome = write => outcome,
        // an error here means that the connection's holder is gone: close as well
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    let expected = *stop.borrow();
    lock(&calls).take();
    state.send_if_modified(|state| std::mem::take(&mut state.scanning));
    if let Err(error) = rustix::net::shutdown(&*stream, rustix::net::Shutdown::Both) {
        tracing::debug!(%error, "the agent's socket was closed already");
    }
    let status = match process {
        Some(process) => reap(process).await,
        None => "its unit tells why".into(),
    };
    match outcome {
        _ if expected => tracing::debug!(status, "the library agent has ended"),
        Ok(()) => tracing::warn!(status, "the library agent has ended by itself"),
        Err(error) => tracing::warn!(status, %error, "the connection to the library agent was closed"),
    }
    ended.send_replace(true);
}

async fn reap(mut process: Child) -> String {
    let status = match timeout(ENDING_LIMIT, process.wait()).await {
        Ok(status) => status,
        Err(_) => match process.start_kill() {
            Ok(()) => process.wait().await,
            Err(error) => Err(error),
        },
    };
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

async fn read(
    reader: &mut FrameReader,
    calls: &Calls,
    state: &watch::Sender<LibraryState>,
) -> Result<(), WireError> {
    loop {
        let Some(body) = reader.next().await? else { return Ok(()) };
        let bytes = body.len();
        let message = postcard::from_bytes(body).map_err(|error| WireError::Malformed(error.to_string()))?;
        match message {
            ToDaemon::State(new) => {
                state.send_replace(new.into());
            }
            ToDaemon::Unable(_) => {
                return Err(WireError::Malformed("it has told the library's state before".into()));
            }
            ToDaemon::Part { id, part } => {
                let mut calls = lock(calls);
                let pending = calls.as_mut().and_then(|calls| calls.get_mut(&id));
                // the caller may have stopped waiting
                let Some(pending) = pending else { continue };
                pending.parts.add(part, bytes).map_err(|why| WireError::Malformed(why.into()))?;
            }
            ToDaemon::Done { id, result } => {
                let descriptor = match &result {
                    Ok(Answer::Opened) => {
                        let missing = || WireError::Malformed("the descriptor is missing".into());
                        Some(reader.take_descriptor().ok_or_else(missing)?)
                    }
                    _ => None,
                };
                let pending = lock(calls).as_mut().and_then(|calls| calls.remove(&id));
                if let Some(Pending { parts, done }) = pending {
                    // nobody may wait any more
                    let _ = done.send(result.map(|answer| Reply { answer, parts, descriptor }));
                }
            }
        }
    }
}
