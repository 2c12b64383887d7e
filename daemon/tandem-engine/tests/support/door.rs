//! The way to the players, with a count: how often one was opened, and which are still held. It changes nothing about
//! them.

use std::sync::{Arc, Mutex, Weak};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::player::{Player, PlayerOpener};
use tandem_model::presence::Arrival;
use tokio::sync::watch;

/// Opens players as the daemon does.
pub(crate) struct Door {
    players: tandem_players::Players,
    opened: Mutex<Vec<Weak<dyn Player>>>,
    missing: Mutex<Option<String>>,
    /// Whether players are opened; who comes meanwhile waits at the door.
    is_open: watch::Sender<bool>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            players: tandem_players::Players::new(None, Vec::new()),
            opened: Mutex::default(),
            missing: Mutex::default(),
            is_open: watch::Sender::new(true),
        }
    }

    /// From now on players can only be served by hand, because this is missing; or all is there again.
    pub(crate) fn lacks(&self, missing: Option<&str>) {
        *self.missing.lock().unwrap() = missing.map(str::to_owned);
    }

    /// Keeps whoever wants to open a player waiting, until it isn't shut any more.
    pub(crate) fn shut(&self, shut: bool) {
        self.is_open.send_replace(!shut);
    }

    /// Waits until somebody wants to open a player.
    pub(crate) async fn knocked(&self) {
        while self.is_open.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// How often a player was opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }

    /// How many players are held open.
    pub(crate) fn held(&self) -> usize {
        self.opened.lock().unwrap().iter().filter(|player| player.strong_count() > 0).count()
    }
}

impl PlayerOpener for Door {
    fn open<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>> {
        Box::pin(async move {
            let missing = self.missing.lock().unwrap().clone();
            self.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
            if let Some(missing) = missing {
                return Err(PlayerError::Manual(missing));
            }
            let player = self.players.open(arrival).await?;
            self.opened.lock().unwrap().push(Arc::downgrade(&player));
            Ok(player)
        })
    }
}
