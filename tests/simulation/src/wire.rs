//! What counts the operations of a connection, on the device and in the store, and says what happens at each: nothing, a
//! fault, the end of the cable or of the daemon. After an end nothing that the engine still does has an effect.

use crate::event::{Fault, Harm};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// More operations than any run of a simulation needs: whoever does more will not stop.
const MOST_OPERATIONS: u32 = 20_000;

/// What becomes of an operation.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It is done.
    Done,
    /// The device isn't there, or another connection's.
    Gone,
    /// The daemon was killed: it never comes back.
    Dead,
    /// This happens at it.
    Harmed(Harm),
}

/// What ended a connection early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trip {
    /// The cable was pulled; the daemon learns of it at once, or when it has noticed all that it can by itself.
    Unplugged {
        /// The latter.
        late: bool,
    },
    /// The daemon was killed.
    Killed,
    /// The user wants the run to stop.
    Stopped,
}

#[derive(Debug, Default)]
struct State {
    count: u32,
    faults: Vec<Fault>,
    /// Number of the connection; 0: never connected.
    connection: u64,
    present: bool,
    /// Number of the daemon that runs, and whether it was killed.
    daemon: u64,
    killed: bool,
    trips: Vec<Trip>,
    /// What is to happen at the next operation on the device.
    deferred: Vec<Harm>,
    /// Names of the operations, in their order.
    names: Vec<&'static str>,
}

/// Shared by the device, the stores and whoever drives the history.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    state: Mutex<State>,
    tripped: Notify,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A player is plugged in, and these faults will happen; tells the connection's number.
    pub(crate) fn plug(&self, faults: Vec<Fault>) -> u64 {
        let mut state = self.lock();
        state.count = 0;
        state.names.push("\nplug");
        state.faults = faults;
        state.connection += 1;
        state.present = true;
        state.connection
    }

    /// More faults for the connection that goes on.
    pub(crate) fn arm(&self, faults: Vec<Fault>) {
        let mut state = self.lock();
        state.count = 0;
        state.names.push("\nstart");
        state.faults = faults;
    }

    /// The player is pulled out.
    pub(crate) fn unplug(&self) {
        let mut state = self.lock();
        state.present = false;
        state.faults.clear();
        state.trips.clear();
        state.deferred.clear();
    }

    /// A daemon is started; tells its number.
    pub(crate) fn start_daemon(&self) -> u64 {
        let mut state = self.lock();
        state.killed = false;
        state.daemon += 1;
        state.daemon
    }

    /// The number of the connection that is there.
    #[must_use]
    pub(crate) fn connection(&self) -> u64 {
        self.lock().connection
    }

    /// What becomes of the next operation of that connection on the device.
    pub(crate) fn on_device(&self, name: &'static str, connection: u64, daemon: u64) -> Fate {
        let mut state = self.lock();
        if state.killed || state.daemon != daemon {
            return Fate::Dead;
        }
        if !state.present || state.connection != connection {
            return Fate::Gone;
        }
        let fate = state.next(name);
        match state.deferred.pop() {
            Some(harm) if matches!(fate, Fate::Done) => Fate::Harmed(harm),
            _ => fate,
        }
    }

    /// What becomes of the next operation of that daemon in its store.
    pub(crate) fn in_store(&self, name: &'static str, daemon: u64) -> Fate {
        let mut state = self.lock();
        if state.killed || state.daemon != daemon {
            return Fate::Dead;
        }
        state.next(name)
    }

    /// Something ends the connection.
    pub(crate) fn trip(&self, trip: Trip) {
        let mut state = self.lock();
        match trip {
            Trip::Unplugged { .. } => state.present = false,
            Trip::Killed => state.killed = true,
            Trip::Stopped => {}
        }
        state.trips.push(trip);
        drop(state);
        self.tripped.notify_one();
    }

    /// Has this happen at the next operation on the device: only there it is certain what goes on beside it.
    pub(crate) fn defer(&self, harm: Harm) {
        self.lock().deferred.push(harm);
    }

    /// What has ended the connection since this was asked last.
    #[must_use]
    pub(crate) fn tripped(&self) -> Option<Trip> {
        self.lock().trips.pop()
    }

    /// Returns when there is something to ask for.
    pub(crate) async fn wait(&self) {
        self.tripped.notified().await;
    }

    /// How many operations there were since the player was plugged in.
    #[must_use]
    pub(crate) fn count(&self) -> u32 {
        self.lock().count
    }

    /// Forgets what they were.
    pub(crate) fn forget_names(&self) {
        self.lock().names.clear();
    }

    /// What they were.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.lock().names.clone()
    }

    /// Whether there were so many that it can't be a run that ends.
    #[must_use]
    pub(crate) fn is_endless(&self) -> bool {
        self.lock().count >= MOST_OPERATIONS
    }
}

impl State {
    fn next(&mut self, name: &'static str) -> Fate {
        let number = self.count;
        self.count += 1;
        if self.count >= MOST_OPERATIONS {
            return Fate::Dead;
        }
        if self.names.len() < 5000 {
            self.names.push(name);
        }
        match self.faults.iter().position(|fault| u32::from(fault.at) == number) {
            Some(at) => {
                self.names.push("<- harmed");
                Fate::Harmed(self.faults.remove(at).harm)
            }
            None => Fate::Done,
        }
    }
}
