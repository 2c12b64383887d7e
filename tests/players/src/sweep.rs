//! A small reference synchronisation in which one thing goes wrong at one transaction. Afterwards, plugged in again, all
//! must be as if nothing had.

use crate::reference::{PLAYLISTS, Scene, change_library, set_playlists};
use crate::shelf::Pool;
use crate::witness::foreign_damage;
use std::sync::Arc;
use std::time::Duration;
use tandem_mtp::responder::{Fault, Planned};

/// How long a player may take to be looked at, by the runtime's clock.
const PATIENCE: Duration = Duration::from_secs(600);
/// Within what a removal that goes on by itself is told to have ended.
const SOON: Duration = Duration::from_secs(60);

/// What happens, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Partner,
    Change,
    Part,
}

/// What one run of a sweep was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck {
    /// Transactions of the whole of it.
    pub transactions: u64,
    /// Whether the fault came to strike.
    pub struck: bool,
}

/// Synchronises with one fault after so many transactions; without one, nothing goes wrong.
///
/// # Errors
/// What is wrong afterwards.
pub async fn with_fault(
    profile: &str,
    text: &str,
    pool: &Arc<Pool>,
    tracks: usize,
    fault: Option<(Fault, u32)>,
) -> Result<Struck, String> {
    let mut scene = Scene::start(profile, text, pool, tracks).await?;
    let strikes_at =
        fault.map_or(u64::MAX, |(_, after)| scene.stage.player().transactions() + u64::from(after));
    if let Some((fault, after)) = fault {
        scene.stage.player().plan(Planned::after(fault, after));
    }
    set_playlists(&scene.stage, tracks);
    if !scene.stage.plug(PATIENCE).await {
        return Err("it isn't initialised".to_owned());
    }
    scene.stage.rest().await?;
    let mut recovered = false;
    for act in [Act::Partner, Act::Change, Act::Part] {
        let place = |error: String| format!("{act:?}: {error}");
        if act == Act::Change {
            change_library(&scene.stage, tracks);
        }
        let done = scene.act(act).await;
        let damage = foreign_damage(scene.stage.player(), &scene.foreign);
        if !damage.is_empty() {
            return Err(place(format!("at once: {}", damage.join("\n"))));
        }
        if !recovered && scene.stage.player().transactions() > strikes_at {
            recovered = true;
            scene.recover(act).await.map_err(place)?;
        } else {
            done.map_err(place)?;
            if let Some(failure) = scene.stage.failures.first() {
                return Err(place(failure.clone()));
            }
        }
        let checked =
            if act == Act::Part { scene.check_empty() } else { scene.check(&PLAYLISTS).await.map(drop) };
        checked.map_err(place)?;
    }
    let transactions = scene.stage.player().transactions();
    scene.stage.end().await?;
    Ok(Struck { transactions, struck: recovered })
}

impl Scene {
    async fn act(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Partner => self.stage.partner(&PLAYLISTS).await,
            Act::Change => self.stage.sync().await,
            Act::Part => self.stage.part().await,
        }
    }

    /// Plugs the player in again, and asks for the same once more.
    async fn recover(&mut self, act: Act) -> Result<(), String> {
        self.stage.replug().await.map_err(|error| format!("replugged: {error}"))?;
        self.stage.forget_failures();
        let partnered = self.stage.is_partnered();
        let again = match act {
            Act::Partner if !partnered => self.stage.partner(&PLAYLISTS).await,
            Act::Partner | Act::Change => self.stage.sync().await,
            // what was asked for before may go on by itself
            Act::Part if partnered => match self.stage.parted(SOON).await {
                Err(_) if self.stage.is_partnered() => {
                    self.stage.forget_failures();
                    self.stage.part().await
                }
                _ => Ok(()),
            },
            Act::Part => Ok(()),
        };
        again.map_err(|error| format!("once more: {error}"))?;
        match self.stage.failures.first() {
            Some(failure) => Err(format!("once more: {failure}")),
            None => Ok(()),
        }
    }
}
