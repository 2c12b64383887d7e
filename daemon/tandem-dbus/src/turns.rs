//! Turns: of one connection only so many calls are worked on at the same time, until their answers are on their way;
//! the others wait. So nobody's flood of calls holds up other clients, or fills the memory with answers that its sender
//! doesn't read.
//!
//! It knows neither what is called nor who may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zbus::message::Header;

/// Connections without a call that are swept out together.
const SWEPT_TOGETHER: usize = 256;

/// Turns of all connections.
#[derive(Debug)]
pub(crate) struct Turns {
    at_once: usize,
    /// Those that have calls; the calls hold what is theirs.
    connections: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Turns {
    /// So many calls of each connection are worked on at the same time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { at_once, connections: Mutex::default() }
    }

    /// Waits for a turn of the message's sender. `None` when he has left the bus: nobody waits for an answer.
    pub(crate) async fn take(&self, header: &Header<'_>) -> Option<OwnedSemaphorePermit> {
        let sender = header.sender().map_or("", |sender| sender.as_str());
        self.of(sender).acquire_owned().await.ok()
    }

    fn of(&self, sender: &str) -> Arc<Semaphore> {
        let mut connections = self.lock();
        if let Some(turns) = connections.get(sender).and_then(Weak::upgrade) {
            return turns;
        }
        if connections.len() >= SWEPT_TOGETHER {
            connections.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(self.at_once));
        connections.insert(sender.to_owned(), Arc::downgrade(&turns));
        turns
    }

    /// Gives up what a connection that has left the bus still waits for.
    pub(crate) fn left(&self, connection: &str) {
        if let Some(turns) = self.lock().remove(connection).and_then(|turns| turns.upgrade()) {
            turns.close();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<Semaphore>>> {
        // nothing in here panics halfway through a change
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::Message;

    fn call(sender: &str) -> Message {
        Message::method_call("/", "M").sender(sender).build(&()).unwrap()
    }

    #[tokio::test]
    async fn a_connection_waits_for_itself_alone() {
        let turns = Turns::new(1);
        let (one, two) = (call(":1.1"), call(":1.2"));
        let held = turns.take(&one.header()).await.unwrap();
        let _other = turns.take(&two.header()).await.unwrap();
        let one_header = one.header();
        let mut waiting = std::pin::pin!(turns.take(&one_header));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(held);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn who_has_left_gets_no_turn() {
        let turns = Turns::new(1);
        let one = call(":1.1");
        let _held = turns.take(&one.header()).await.unwrap();
        let header = one.header();
        let mut waiting = std::pin::pin!(turns.take(&header));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        turns.left(":1.1");
        assert!(waiting.await.is_none());
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn connections_without_calls_take_no_room() {
        let turns = Turns::new(1);
        let held = call(":1.0");
        let _held = turns.take(&held.header()).await.unwrap();
        for number in 1..=5 * SWEPT_TOGETHER {
            drop(turns.take(&call(&format!(":1.{number}")).header()).await.unwrap());
        }
        assert!(turns.lock().len() <= SWEPT_TOGETHER);
        assert!(turns.lock().contains_key(":1.0"));
    }
}
