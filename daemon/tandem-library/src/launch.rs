//! Ways to start a library agent: as a child process over a socket pair, or by a systemd unit that connects to a
//! listening socket.
//!
//! Starting is all that happens here; what is said over the stream is `connection`'s.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, os::fd::OwnedFd};
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::Uid;
use tandem_model::library::AgentStarter;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a unit's agent may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// A running agent.
#[derive(Debug)]
pub struct Launched {
    /// The connection to it.
    pub stream: UnixStream,
    /// Its process, where it is our child.
    pub process: Option<Child>,
}

/// Starts agents.
pub trait Launcher: Send + Sync {
    /// Starts this user's agent.
    fn launch(&self, owner: Uid) -> BoxFuture<'_, Result<Launched, LibraryError>>;
}

fn unavailable(what: &str, error: &dyn std::fmt::Display) -> LibraryError {
    LibraryError::Unavailable(format!("{what}: {error}"))
}

/// Starts the agent as a child; for a daemon that runs as the owner.
#[derive(Debug, Clone)]
pub struct ChildLauncher {
    /// The agent's program.
    pub program: PathBuf,
    /// Where the agent keeps its index.
    pub state_dir: PathBuf,
    /// The folders of a library whose owner has set none; empty: the user's music directory.
    pub default_folders: Vec<PathBuf>,
}

impl ChildLauncher {
    fn spawn(&self) -> Result<Launched, LibraryError> {
        let io = |error: io::Error| unavailable("no socket for the library agent", &error);
        let (ours, theirs) = StdStream::pair().map_err(io)?;
        ours.set_nonblocking(true).map_err(io)?;
        let stream = UnixStream::from_std(ours).map_err(io)?;
        let mut command = Command::new(&self.program);
        command.arg("--stdin").arg("--state").arg(&self.state_dir);
        for folder in &self.default_folders {
            command.arg("--music").arg(folder);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).kill_on_drop(true);
        let process = command
            .spawn()
            .map_err(|error| unavailable(&format!("{} can't be started", self.program.display()), &error))?;
        Ok(Launched { stream, process: Some(process) })
    }
}

impl Launcher for ChildLauncher {
    fn launch(&self, owner: Uid) -> BoxFuture<'_, Result<Launched, LibraryError>> {
        Box::pin(async move {
            let own = rustix::process::geteuid().as_raw();
            if owner != own {
                let words = format!(
                    "this daemon runs for user {own} alone and can't open the library of user {owner}"
                );
                return Err(LibraryError::Unavailable(words));
            }
            self.spawn()
        })
    }
}

type Expected = Arc<Mutex<HashMap<Uid, oneshot::Sender<UnixStream>>>>;

fn lock(expected: &Expected) -> MutexGuard<'_, HashMap<Uid, oneshot::Sender<UnixStream>>> {
    expected.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has systemd start the agent's unit, and waits for it to connect.
pub struct UnitLauncher {
    starter: Arc<dyn AgentStarter>,
    expected: Expected,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for UnitLauncher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitLauncher").finish_non_exhaustive()
    }
}

impl Drop for UnitLauncher {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl UnitLauncher {
    /// Listens at `socket`, which anybody may connect to: a connection is taken only from a user whose agent was
    /// asked for. What is left there of an earlier run is replaced.
    ///
    /// # Errors
    /// What the system says; `AlreadyExists` where something else than a socket is there.
    pub fn bind(starter: Arc<dyn AgentStarter>, socket: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(socket) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(socket)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(socket)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666))?;
        let expected = Expected::default();
        let accepting = tokio::spawn(accept(listener, expected.clone()));
        Ok(Self { starter, expected, accepting })
    }
}

async fn accept(listener: UnixListener, expected: Expected) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a library agent's connection could not be accepted");
                // out of descriptors, most likely: without a pause this would spin
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) => match lock(&expected).remove(&peer.uid()) {
                // the waiter may have given up; dropping the stream ends the agent
                Some(waiter) => drop(waiter.send(stream)),
                None => tracing::warn!(
                    uid = peer.uid(),
                    "closed a connection of a user whose agent was not asked for"
                ),
            },
            Err(error) => tracing::warn!(%error, "closed a connection whose user is not known"),
        }
    }
}

impl Launcher for UnitLauncher {
    fn launch(&self, owner: Uid) -> BoxFuture<'_, Result<Launched, LibraryError>> {
        Box::pin(async move {
            let (sender, arrival) = oneshot::channel();
            lock(&self.expected).insert(owner, sender);
            let started = match self.starter.start(owner).await {
                Ok(()) => timeout(CONNECT_LIMIT, arrival).await,
                Err(error) => {
                    lock(&self.expected).remove(&owner);
                    return Err(error);
                }
            };
            match started {
                Ok(Ok(stream)) => Ok(Launched { stream, process: None }),
                Ok(Err(_)) => {
                    Err(LibraryError::Unavailable("the agent was asked for twice at once; try again".into()))
                }
                Err(_) => {
                    lock(&self.expected).remove(&owner);
                    Err(LibraryError::Unavailable(format!(
                        "the agent of user {owner} did not connect within {} s; `systemctl status \
                         tandem-library@{owner}.service` tells why",
                        CONNECT_LIMIT.as_secs()
                    )))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Connects(PathBuf, Mutex<Vec<UnixStream>>);

    impl AgentStarter for Connects {
        fn start(&self, _: Uid) -> BoxFuture<'_, Result<(), LibraryError>> {
            Box::pin(async {
                let stream = UnixStream::connect(&self.0).await.unwrap();
                self.1.lock().unwrap().push(stream);
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn a_unit_is_taken_only_from_the_user_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("library.sock");
        drop(StdStream::connect(&socket));
        let starter = Arc::new(Connects(socket.clone(), Mutex::default()));
        let launcher = UnitLauncher::bind(starter.clone(), &socket).unwrap();
        let mut stranger = UnixStream::connect(&socket).await.unwrap();
        let closed =
            timeout(Duration::from_secs(5), tokio::io::AsyncReadExt::read(&mut stranger, &mut [0; 1])).await;
        assert_eq!(closed.unwrap().unwrap(), 0);
        let own = rustix::process::geteuid().as_raw();
        let launched = timeout(Duration::from_secs(5), launcher.launch(own)).await.unwrap().unwrap();
        assert_eq!(launched.stream.peer_cred().unwrap().uid(), own);
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
        drop(launcher);
        assert!(UnitLauncher::bind(starter, &socket).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let starter = Arc::new(Connects(PathBuf::new(), Mutex::default()));
        let error = UnitLauncher::bind(starter, folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[tokio::test]
    async fn a_missing_program_and_another_user_are_named() {
        let launcher = ChildLauncher {
            program: "/nonexistent/agent".into(),
            state_dir: "/nonexistent".into(),
            default_folders: Vec::new(),
        };
        let own = rustix::process::geteuid().as_raw();
        let error = launcher.launch(own).await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/agent"), "{error}");
        assert!(matches!(launcher.launch(own + 1).await, Err(LibraryError::Unavailable(_))));
    }
}
