//! An engine on the real store and the real player, with one simulated player and one library.
//!
//! It must not know what a synchronisation should come to: it only has things happen and waits for their end.

use crate::shelf::{OneShelf, Pool, Shelf};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tandem_engine::{Engine, EngineOptions, Inputs, Parts, Setting};
use tandem_model::clock::SystemClock;
use tandem_model::device::SyncState;
use tandem_model::error::ItemError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId, Uid};
use tandem_model::manifest::{Entry, ManifestStore};
use tandem_model::partnership::PartnershipStore;
use tandem_model::presence::Presence;
use tandem_model::snapshot::Snapshot;
use tandem_mtp::responder::SimulatedPlayer;
use tandem_players::mtp::Families;
use tandem_players::{Players, Simulated};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const OWNER: Uid = 1000;
/// Of the runtime's clock, which jumps: whatever takes longer doesn't end.
const LIMIT: Duration = Duration::from_secs(3600);
/// Silence after which nothing is on its way any more: more than the engine's own delay.
const SILENCE: Duration = Duration::from_millis(200);

/// A running engine with everything around it.
pub struct Stage {
    _dir: tempfile::TempDir,
    state: PathBuf,
    /// The library.
    pub shelf: Arc<Shelf>,
    /// The player.
    pub simulated: Arc<Simulated>,
    engine: Engine,
    events: mpsc::Receiver<EngineEvent>,
    presence: mpsc::Sender<Presence>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    device: DeviceId,
    /// Whole runs and requests that failed, in words, since [`Stage::forget_failures`].
    pub failures: Vec<String>,
}

impl Stage {
    /// Starts an engine that knows a player of this profile, one of the program's own by name or a file with one, and a
    /// library that holds so many tracks of the pool.
    ///
    /// # Errors
    /// When there is no such profile.
    pub async fn start(profile: &str, pool: &Arc<Pool>, tracks: usize) -> Result<Self, String> {
        let simulated = Simulated::new(profile, None).map_err(|error| error.to_string())?;
        Ok(Self::with_player(Arc::new(simulated), Arc::new(Shelf::new(Arc::clone(pool), 0..tracks))).await)
    }

    /// The same with a player and a library that are there already.
    pub async fn with_player(simulated: Arc<Simulated>, shelf: Arc<Shelf>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let dir = tempfile::Builder::new().prefix("tandem-players-").tempdir();
        let dir = dir.expect("the temporary directory can be written");
        let state = dir.path().join("state");
        let (presence, arrivals) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let families = Families::load(&[]).expect("the families that come with the program are sound");
        let players = Players::new(None, Vec::new());
        let players = players.with_families(families).with_simulated(vec![Arc::clone(&simulated)]);
        let parts = Parts {
            store: Arc::new(tandem_store::PartnershipFile::new(state.clone())),
            manifests: Arc::new(tandem_store::SqliteManifests::new(state.clone())),
            opener: Arc::new(players),
            libraries: Arc::new(OneShelf(Arc::clone(&shelf))),
            clock: Arc::new(SystemClock),
            new_guid: Arc::new(|| Guid(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) | 1 << 100)),
            options: EngineOptions { settle: Duration::from_millis(20), ..EngineOptions::default() },
        };
        let started = Engine::start(parts, Inputs { presence: arrivals, stop: stop.clone() }).await;
        let started = started.expect("an empty record can be read");
        let device = simulated.arrival().description.id;
        let (engine, events, task) = (started.engine, started.events, started.task);
        Self {
            _dir: dir,
            state,
            shelf,
            simulated,
            engine,
            events,
            presence,
            stop,
            task,
            device,
            failures: Vec::new(),
        }
    }

    /// The simulated player's own side.
    #[must_use]
    pub fn player(&self) -> &SimulatedPlayer {
        self.simulated.player()
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The device's id.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// What the engine tells of the device now; `None` before it came.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.engine.snapshot(&self.device)
    }

    /// Whether there is a partnership.
    #[must_use]
    pub fn is_partnered(&self) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.partnership.is_some())
    }

    /// Forgets what failed.
    pub fn forget_failures(&mut self) {
        self.failures.clear();
    }

    /// The next event, within a time limit; `None` when there was none.
    async fn event(&mut self, limit: Duration) -> Option<EngineEvent> {
        let event = timeout(limit, self.events.recv()).await.ok()??;
        if let EngineEvent::SyncError { media, error, message, .. } = &event
            && media.is_empty()
            && *error != ItemError::Cancelled
        {
            self.failures.push(format!("{}: {message}", error.as_str()));
        }
        Some(event)
    }

    /// Waits until such an event comes.
    async fn wait_for<T>(
        &mut self,
        what: &str,
        fits: impl Fn(&EngineEvent) -> Option<T>,
    ) -> Result<T, String> {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self.event(left).await.ok_or_else(|| format!("{what} did not come to an end"))?;
            if let Some(found) = fits(&event) {
                return Ok(found);
            }
        }
    }

    /// Waits until the engine does nothing on its own any more.
    ///
    /// # Errors
    /// When that doesn't come to pass.
    pub async fn rest(&mut self) -> Result<(), String> {
        let end = Instant::now() + LIMIT;
        loop {
            let heard = self.event(SILENCE).await.is_some();
            let idle = self.snapshot().is_some_and(|snapshot| snapshot.sync_state == SyncState::Stopped);
            if !heard && idle {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("the engine comes to no rest: {:?}", self.snapshot()));
            }
        }
    }

    /// Plugs the player in; whether it was initialised within the limit, by itself.
    pub async fn plug(&mut self, limit: Duration) -> bool {
        let arrived = Presence::Arrived(self.simulated.arrival());
        self.presence.send(arrived).await.expect("the engine takes arrivals");
        self.plugged(limit).await
    }

    /// Whether a player that was plugged in is initialised within the limit.
    pub async fn plugged(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let connected = self.snapshot().is_some_and(|snapshot| snapshot.connected);
            if connected {
                return true;
            }
            self.event(SILENCE).await;
        }
        false
    }

    /// Unplugs the player.
    ///
    /// # Errors
    /// When the engine doesn't notice.
    pub async fn unplug(&mut self) -> Result<(), String> {
        self.player().unplug();
        let departed = Presence::Departed(self.simulated.arrival().key);
        self.presence.send(departed).await.expect("the engine takes departures");
        let end = Instant::now() + LIMIT;
        while self.snapshot().is_some_and(|snapshot| snapshot.connected) {
            if Instant::now() > end {
                return Err("the engine doesn't notice that the player is gone".to_owned());
            }
            self.event(SILENCE).await;
        }
        Ok(())
    }

    /// Unplugs and plugs in, and waits until all that follows is done.
    ///
    /// # Errors
    /// When it isn't initialised, or comes to no rest.
    pub async fn replug(&mut self) -> Result<(), String> {
        self.unplug().await?;
        if !self.plug(LIMIT).await {
            return Err("plugged in again, it isn't initialised".to_owned());
        }
        self.rest().await
    }

    /// Partners with these playlists and waits for the run that follows.
    ///
    /// # Errors
    /// Why there is no partnership.
    pub async fn partner(&mut self, playlists: &[&str]) -> Result<(), String> {
        let playlists = playlists.iter().map(|name| PlaylistId((*name).to_owned())).collect();
        let accepted = self.engine.create_partnership(&self.device, OWNER, Some(playlists)).await;
        accepted.map_err(|error| error.to_string())?;
        let complete = |event: &EngineEvent| match event {
            EngineEvent::CreatePartnershipComplete { result, .. } => Some(result.clone()),
            _ => None,
        };
        let made = self.wait_for("making the partnership", complete).await?;
        made.map_err(|error| error.to_string())?;
        self.rest().await
    }

    /// Starts a run and waits for its end.
    ///
    /// # Errors
    /// When it can't be started, or doesn't end.
    pub async fn sync(&mut self) -> Result<(), String> {
        self.engine.start_sync(&self.device).await.map_err(|error| error.to_string())?;
        self.rest().await
    }

    /// Starts a run, and tells how long it took by the system's clock until the engine told its end.
    ///
    /// # Errors
    /// When it can't be started, or doesn't end.
    pub async fn timed_sync(&mut self) -> Result<Duration, String> {
        let begun = std::time::Instant::now();
        self.engine.start_sync(&self.device).await.map_err(|error| error.to_string())?;
        let stopped = |event: &EngineEvent| {
            let state = matches!(event, EngineEvent::SyncStateChanged(_, SyncState::Stopped));
            state.then(|| begun.elapsed())
        };
        let taken = self.wait_for("a run", stopped).await?;
        self.rest().await?;
        Ok(taken)
    }

    /// Assigns a playlist, or with priority 0 ends its assignment, and waits for the run that follows.
    ///
    /// # Errors
    /// When there is no partnership, or the run doesn't end.
    pub async fn assign(&mut self, playlist: &str, priority: u32) -> Result<(), String> {
        let partnership = self.snapshot().and_then(|snapshot| snapshot.partnership);
        let (index, owner) = partnership.ok_or("there is no partnership")?;
        let assigned = self.engine.assign(owner, index, PlaylistId(playlist.to_owned()), priority).await;
        assigned.map_err(|error| error.to_string())?;
        self.rest().await
    }

    /// Lets the next run delete what it will.
    ///
    /// # Errors
    /// When there is no partnership.
    pub async fn allow_mass_deletion(&mut self) -> Result<(), String> {
        let set = self.engine.set(&self.device, Setting::AllowMassDeletion(true)).await;
        set.map_err(|error| error.to_string())
    }

    /// Ends the partnership with all that was put on the player.
    ///
    /// # Errors
    /// Why it couldn't be ended.
    pub async fn part(&mut self) -> Result<(), String> {
        let accepted = self.engine.delete_partnership(&self.device, true).await;
        accepted.map_err(|error| error.to_string())?;
        self.parted(LIMIT).await
    }

    /// Waits for the end of a partnership that is being ended.
    ///
    /// # Errors
    /// Why it couldn't be ended.
    pub async fn parted(&mut self, limit: Duration) -> Result<(), String> {
        let end = Instant::now() + limit;
        loop {
            let event = self.event(end.saturating_duration_since(Instant::now())).await;
            match event {
                Some(EngineEvent::DeletePartnershipComplete { result, .. }) => {
                    result.map_err(|error| error.to_string())?;
                    return self.rest().await;
                }
                Some(_) => {}
                None => return Err("the end of the partnership is not told".to_owned()),
            }
        }
    }

    /// Items of the last run that did not come out.
    ///
    /// # Errors
    /// When the record can't be read.
    pub async fn left_out(&self) -> Result<Vec<(String, Option<ItemError>, String)>, String> {
        let results = self.engine.results(&self.device).await.map_err(|error| error.to_string())?;
        let failed = results.into_iter().filter(|result| result.error.is_some());
        Ok(failed.map(|result| (result.media, result.error, result.message)).collect())
    }

    /// The manifest's entries; empty without a partnership.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let record = tandem_store::PartnershipFile::new(self.state.clone()).load();
        let record = record.expect("the engine has written it");
        let Some(partnership) = record.partnerships.first() else { return Vec::new() };
        let manifest = tandem_store::SqliteManifests::new(self.state.clone()).open(partnership.relationship);
        manifest.and_then(|manifest| manifest.entries()).expect("the engine has written it")
    }

    /// Loses the manifest, as when somebody deletes its file.
    ///
    /// # Errors
    /// When there is no partnership, or the file stays.
    pub fn lose_record(&self) -> Result<(), String> {
        let record = tandem_store::PartnershipFile::new(self.state.clone()).load();
        let record = record.map_err(|error| error.to_string())?;
        let relationship = record.partnerships.first().ok_or("there is no partnership")?.relationship;
        let manifests = tandem_store::SqliteManifests::new(self.state.clone());
        manifests.remove(relationship).map_err(|error| error.to_string())
    }

    /// Ends the engine.
    ///
    /// # Errors
    /// When it doesn't end, or has failed.
    pub async fn end(self) -> Result<(), String> {
        self.stop.cancel();
        match timeout(LIMIT, self.task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the engine failed: {error}")),
            Err(_) => Err("the engine does not end".to_owned()),
        }
    }
}
