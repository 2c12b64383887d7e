//! The way to the players, with a count: how often one was opened, and which are still held. It changes nothing about
//! them.

use std::sync::{Arc, Mutex, Weak};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::player::{Player, PlayerOpener};
use tandem_model::presence::Arrival;

/// Opens players as the daemon does.
pub(crate) struct Door {
    players: tandem_players::Players,
    opened: Mutex<Vec<Weak<dyn Player>>>,
    missing: Mutex<Option<String>>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            players: tandem_players::Players::new(None, Vec::new()),
            opened: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// From now on players can only be served by hand, because this is missing; or all is there again.
    pub(crate) fn lacks(&self, missing: Option<&str>) {
        *self.missing.lock().unwrap() = missing.map(str::to_owned);
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
            if let Some(missing) = missing {
                return Err(PlayerError::Manual(missing));
            }
            let player = self.players.open(arrival).await?;
            self.opened.lock().unwrap().push(Arc::downgrade(&player));
            Ok(player)
        })
    }
}
