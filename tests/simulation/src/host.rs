//! A computer: its state, and the daemon that runs on it until it is ended or killed. The engine in it is the
//! real one, on a clock that stands still while anything can be done.

use crate::library::OneLibrary;
use crate::player::{NOTICED, Opener};
use crate::stage::Stage;
use crate::store::{GatedManifests, GatedPartnerships, State, StoreGate};
use crate::wire::Trip;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tandem_engine::{Engine, EngineOptions, Inputs, Parts};
use tandem_model::clock::Clock;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, Uid};
use tandem_model::manifest::{Entry, Intent};
use tandem_model::partnership::{KnownDevice, Partnership};
use tandem_model::presence::{Arrival, Locator, Presence};
use tandem_model::snapshot::Snapshot;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Whose library it is.
pub(crate) const OWNER: Uid = 1000;
/// How long nothing may happen before nothing will.
const QUIET: Duration = Duration::from_secs(3600);
const KEY: &str = "player";

/// The only device.
#[must_use]
pub(crate) fn device_id() -> DeviceId {
    DeviceId(KEY.to_owned())
}

/// A clock that a counter is. It goes on when the daemon ends, and tells no time twice, nor within what FAT takes for one.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> u64 {
        1_750_000_000 + self.0.fetch_add(67, Ordering::Relaxed)
    }
}

/// A daemon that runs.
struct Life {
    runtime: Runtime,
    engine: Engine,
    events: mpsc::Receiver<EngineEvent>,
    presence: mpsc::Sender<Presence>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A computer.
pub(crate) struct Host {
    /// Its number, which all its identifiers carry.
    pub(crate) number: u64,
    /// Where it keeps its state.
    pub(crate) state: State,
    /// What the engine announced since it was started.
    pub(crate) seen: Vec<EngineEvent>,
    stage: Arc<Stage>,
    identifiers: Arc<AtomicU64>,
    clock: Arc<Ticks>,
    life: Option<Life>,
}

/// How a time of waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing happens any more.
    Quiet,
    /// The cable was pulled, and nothing happens any more.
    Unplugged,
    /// The daemon was killed.
    Killed,
}

impl Host {
    /// A computer with an empty state.
    #[must_use]
    pub(crate) fn new(number: u64, state: State, stage: Arc<Stage>) -> Self {
        let identifiers = Arc::new(AtomicU64::new(1));
        Self { number, state, seen: Vec::new(), stage, identifiers, clock: Arc::default(), life: None }
    }

    /// Starts the daemon if it doesn't run.
    ///
    /// # Panics
    /// When the engine can't be started.
    pub(crate) fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without drivers can be made");
        let daemon = self.stage.wire.start_daemon();
        let gate = StoreGate { stage: Arc::clone(&self.stage), daemon };
        let (presence, arrivals) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let (number, identifiers) = (u128::from(self.number), Arc::clone(&self.identifiers));
        let new_guid = move || Guid(number << 64 | u128::from(identifiers.fetch_add(1, Ordering::Relaxed)));
        let parts = Parts {
            store: Arc::new(GatedPartnerships { gate: gate.clone(), inner: self.state.partnerships() }),
            manifests: Arc::new(GatedManifests { gate, inner: self.state.manifests() }),
            opener: Arc::new(Opener { stage: Arc::clone(&self.stage), daemon }),
            libraries: Arc::new(OneLibrary(Arc::clone(&self.stage.library))),
            clock: Arc::<Ticks>::clone(&self.clock),
            new_guid: Arc::new(new_guid),
            options: EngineOptions::default(),
        };
        let inputs = Inputs { presence: arrivals, stop: stop.clone() };
        let started = runtime.block_on(Engine::start(parts, inputs)).expect("what was kept can be read");
        let (engine, events, task) = (started.engine, started.events, started.task);
        self.life = Some(Life { runtime, engine, events, presence, stop, task });
    }

    /// The daemon ends as a power cut would end it.
    pub(crate) fn kill(&mut self) {
        self.life = None;
    }

    /// The daemon ends in order.
    pub(crate) fn end(&mut self) {
        if let Some(Life { runtime, events, stop, task, .. }) = self.life.take() {
            stop.cancel();
            // whoever announces something now must not wait for us
            drop(events);
            drop(runtime.block_on(task));
        }
    }

    /// Tells the daemon that the player came.
    pub(crate) fn arrive(&mut self) {
        self.tell(Presence::Arrived(arrival()));
    }

    /// Tells the daemon that the player went.
    pub(crate) fn depart(&mut self) {
        self.tell(Presence::Departed(KEY.to_owned()));
    }

    fn tell(&mut self, presence: Presence) {
        if let Some(life) = &self.life {
            drop(life.runtime.block_on(life.presence.send(presence)));
        }
    }

    /// Asks the engine something.
    pub(crate) fn ask<T>(&mut self, question: impl AsyncFnOnce(Engine) -> T) -> Option<T> {
        let wire = &self.stage.wire;
        let Life { runtime, engine, events, .. } = self.life.as_mut()?;
        let seen = &mut self.seen;
        let engine = engine.clone();
        runtime.block_on(async {
            let answer = question(engine);
            let mut answer = std::pin::pin!(answer);
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => return Some(answer),
                    Some(event) = events.recv() => seen.push(event),
                    () = tokio::time::sleep(QUIET) => return None,
                }
                if wire.is_endless() {
                    return None;
                }
            }
        })
    }

    /// Waits until nothing happens any more.
    pub(crate) fn quiet(&mut self) -> End {
        let wire = &self.stage.wire;
        let Some(Life { runtime, engine, events, presence, .. }) = self.life.as_mut() else {
            return End::Quiet;
        };
        let seen = &mut self.seen;
        let end = runtime.block_on(async {
            let mut end = End::Quiet;
            loop {
                match wire.tripped() {
                    Some(Trip::Killed) => return End::Killed,
                    Some(Trip::Unplugged { late }) => {
                        end = End::Unplugged;
                        if late {
                            tokio::time::sleep(NOTICED).await;
                        }
                        drop(presence.send(Presence::Departed(KEY.to_owned())).await);
                    }
                    Some(Trip::Stopped) => drop(engine.stop_sync(&device_id()).await),
                    None => {}
                }
                tokio::select! {
                    biased;
                    event = events.recv() => match event {
                        Some(event) => seen.push(event),
                        None => return end,
                    },
                    () = wire.wait() => {}
                    () = tokio::time::sleep(QUIET) => return end,
                }
            }
        });
        if end == End::Killed {
            self.kill();
        }
        end
    }

    /// What is known of the player.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.life.as_ref().and_then(|life| life.engine.snapshot(&device_id()))
    }

    /// The partnership with the player, as it is kept.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub(crate) fn partnership(&self) -> Option<Partnership> {
        let record = self.state.partnerships().load().expect("what was kept can be read");
        record.partnerships.into_iter().find(|partnership| partnership.device == device_id())
    }

    /// What is kept of the player.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub(crate) fn known(&self) -> Option<KnownDevice> {
        let record = self.state.partnerships().load().expect("what was kept can be read");
        record.devices.into_iter().find(|known| known.description.id == device_id())
    }

    /// Paths of all that the records of this computer name as in flight.
    ///
    /// # Panics
    /// When they can't be read.
    #[must_use]
    pub(crate) fn in_flight(&self) -> Vec<String> {
        let record = self.state.partnerships().load().expect("what was kept can be read");
        let unsettled = record.devices.iter().flat_map(|known| known.unsettled.clone());
        let own = record.partnerships.iter().map(|partnership| partnership.relationship);
        let mut paths = Vec::new();
        for relationship in own.chain(unsettled) {
            let (entries, pending) = self.manifest(relationship);
            for (_, intent) in pending {
                let (named, entry) = match intent {
                    Intent::Write { path, temporary, replaces, .. } => (vec![path, temporary], replaces),
                    Intent::Delete { entry, aside } => (vec![aside], Some(entry)),
                    Intent::UpdateMetadata { entry, .. } => (Vec::new(), Some(entry)),
                };
                let old = entries.iter().filter(|old| Some(old.id) == entry).map(|old| old.path.clone());
                paths.extend(named.into_iter().chain(old).map(String::from));
            }
        }
        paths
    }

    /// What the manifest of this partnership says, and what is in flight.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub(crate) fn manifest(&self, relationship: Guid) -> (Vec<Entry>, Vec<(i64, Intent)>) {
        let manifest = self.state.manifests().open(relationship).expect("the manifest can be read");
        let entries = manifest.entries().expect("the manifest can be read");
        (entries, manifest.pending().expect("the journal can be read"))
    }
}

fn arrival() -> Arrival {
    Arrival {
        key: KEY.to_owned(),
        description: DeviceDescription::named(device_id(), Kind::Mtp, KEY),
        port: String::new(),
        locator: Locator::Simulated { profile: "none".to_owned() },
    }
}
