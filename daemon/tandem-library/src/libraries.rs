//! Everybody's libraries: one agent for each user, shared by all who hold it, ended a while after the last has let go,
//! and started again when it died.
//!
//! While nobody holds a library and no agent runs, nothing here wakes.

use crate::client::Client;
use crate::connection::Connection;
use crate::launch::Launcher;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::Uid;
use tandem_model::library::{Libraries, Library, LibraryState};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// An agent that lived so long is started again at once when it dies while somebody holds it; one that lived shorter
/// waits for the next call, so that a crash at start doesn't repeat for ever.
const LIVED_WELL: Duration = Duration::from_secs(10);

/// Starts and ends the agents.
pub struct AgentLibraries {
    launcher: Arc<dyn Launcher>,
    linger: Duration,
    users: Mutex<HashMap<Uid, User>>,
}

/// One user's slot and the task that looks after it.
struct User {
    slot: Arc<Slot>,
    keeper: JoinHandle<()>,
}

impl std::fmt::Debug for AgentLibraries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentLibraries").field("linger", &self.linger).finish_non_exhaustive()
    }
}

impl Drop for AgentLibraries {
    fn drop(&mut self) {
        for user in self.users.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            user.keeper.abort();
        }
    }
}

impl AgentLibraries {
    /// Libraries whose agents `launcher` starts, and which end when nobody has held them for `linger`.
    #[must_use]
    pub fn new(launcher: Arc<dyn Launcher>, linger: Duration) -> Self {
        Self { launcher, linger, users: Mutex::default() }
    }

    /// Ends all agents and waits until they are gone; for the daemon's own end.
    pub async fn shut_down(&self) {
        let slots: Vec<Arc<Slot>> = {
            let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.values().inspect(|user| user.keeper.abort()).map(|user| user.slot.clone()).collect()
        };
        for slot in slots {
            slot.end(|| true).await;
        }
    }

    fn slot(&self, owner: Uid) -> Arc<Slot> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let user = users.entry(owner).or_insert_with(|| {
            let slot = Arc::new(Slot::new(owner, self.launcher.clone()));
            let keeper = tokio::spawn(keep(slot.clone(), self.linger));
            User { slot, keeper }
        });
        user.slot.clone()
    }
}

impl Libraries for AgentLibraries {
    fn open(&self, owner: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>> {
        Box::pin(async move {
            let slot = self.slot(owner);
            let hold = Hold::new(&slot);
            slot.connection().await?;
            Ok(Arc::new(Client::new(slot, hold)) as Arc<dyn Library>)
        })
    }
}

/// The place of one user's agent, whether it runs or not.
pub(crate) struct Slot {
    owner: Uid,
    launcher: Arc<dyn Launcher>,
    current: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// Counts the connections that were made, so that the keeper sees each.
    started: watch::Sender<u64>,
    holders: watch::Sender<usize>,
    state: watch::Sender<LibraryState>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Slot {
    fn new(owner: Uid, launcher: Arc<dyn Launcher>) -> Self {
        Self {
            owner,
            launcher,
            current: tokio::sync::Mutex::default(),
            started: watch::Sender::new(0),
            holders: watch::Sender::new(0),
            state: watch::Sender::default(),
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<LibraryState> {
        self.state.subscribe()
    }

    /// The agent's connection; starts the agent if none runs.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, LibraryError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.is_dead()) {
            return Ok(connection.clone());
        }
        if let Some(dead) = current.take() {
            dead.end().await;
        }
        let launched = self.launcher.launch(self.owner).await?;
        let connection = Arc::new(Connection::start(launched, self.state.clone()).await?);
        *current = Some(connection.clone());
        self.started.send_modify(|count| *count += 1);
        Ok(connection)
    }

    /// Ends the agent if `really`, asked while no call can start one.
    async fn end(&self, really: impl FnOnce() -> bool) {
        let mut current = self.current.lock().await;
        if really()
            && let Some(connection) = current.take()
        {
            connection.end().await;
        }
    }
}

/// Keeps an agent running while it exists.
#[derive(Debug)]
pub(crate) struct Hold(watch::Sender<usize>);

impl Hold {
    fn new(slot: &Slot) -> Self {
        slot.holders.send_modify(|count| *count += 1);
        Self(slot.holders.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Looks after one user's agent: starts it again when it died while held, ends it when nobody holds it any more.
/// The slot lives as long as this task, so its channels never close under it.
async fn keep(slot: Arc<Slot>, linger: Duration) {
    let mut started = slot.started.subscribe();
    while started.changed().await.is_ok() {
        let since = Instant::now();
        let Some(connection) = slot.current.lock().await.clone() else { continue };
        let mut ended = connection.ended();
        drop(connection);
        let died = tokio::select! {
            () = async { ended.wait_for(|ended| *ended).await.map_or((), |_| ()) } => true,
            () = unheld(&slot, linger) => false,
        };
        if !died {
            slot.end(|| *slot.holders.borrow() == 0).await;
        } else if *slot.holders.borrow() > 0
            && since.elapsed() >= LIVED_WELL
            && let Err(error) = slot.connection().await
        {
            tracing::warn!(%error, owner = slot.owner, "the library agent could not be started again");
        }
        // a holder that came in the meantime keeps the agent: look after it again
        if slot.current.lock().await.as_ref().is_some_and(|connection| !connection.is_dead()) {
            started.mark_changed();
        }
    }
}

/// Returns when nobody has held the slot for `linger` and no scan runs.
async fn unheld(slot: &Slot, linger: Duration) {
    let mut holders = slot.holders.subscribe();
    let mut state = slot.state.subscribe();
    loop {
        // neither channel closes while the slot exists
        let _ = holders.wait_for(|count| *count == 0).await;
        let quiet = async {
            sleep(linger).await;
            let _ = state.wait_for(|state| !state.scanning).await;
        };
        tokio::select! {
            () = quiet => return,
            _ = holders.wait_for(|count| *count > 0) => {}
        }
    }
}

#[cfg(test)]
mod tests;
