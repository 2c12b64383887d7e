//! An engine on the real store with one player, a directory that a provider's process serves, and one library. It knows what
//! a synchronisation should come to.

use crate::meddler::{Harm, MEDDLED, Meddler, Process};
use kit::PrivateBus;
use players::shelf::{OneShelf, Pool, Shelf};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tandem_dbus::ServiceProviders;
use tandem_engine::{Engine, EngineOptions, Inputs, Parts};
use tandem_model::clock::SystemClock;
use tandem_model::device::{DeviceDescription, Kind, SyncState};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, PlaylistId, Uid};
use tandem_model::manifest::{Entry, EntryState, ManifestStore, Origin};
use tandem_model::partnership::PartnershipStore;
use tandem_model::presence::{Arrival, Locator, Presence, ProviderDevice};
use tandem_players::Players;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const OWNER: Uid = 1000;
/// The playlist.
pub const PLAYLIST: &str = "Mix";
/// Limit of a provider's calls.
const PATIENCE: Duration = Duration::from_secs(2);
/// Silence after which nothing is on its way any more.
const SILENCE: Duration = Duration::from_millis(120);
/// So many of them are enough when no run is under way.
const ENOUGH: u32 = 20;
const LIMIT: Duration = Duration::from_secs(60);
/// How a provider that is late is told of.
const LATE: &str = "did not answer in time";
/// What is somebody else's, and where.
const FOREIGN: [(&str, &[u8]); 3] = [
    ("Own song.mp3", b"somebody's own"),
    ("Music/Own/own.mp3", b"somebody's own as well"),
    ("Music/Own/0123456789abcdef0123456789abcdef.part", b"named like ours"),
];

/// A provider's example: its bus name, its root, and how it is started for a directory.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Its bus name.
    pub bus_name: &'static str,
    /// Its root object.
    pub root: &'static str,
    /// The command for a player in this directory.
    pub command: fn(&Path) -> tokio::process::Command,
}

impl Example {
    /// The one in Rust.
    pub const DIRECTORY_PLAYER: Self = Self {
        bus_name: "org.example.DirectoryPlayer",
        root: "/org/example/DirectoryPlayer",
        command: |player: &Path| {
            let mut command = tokio::process::Command::new(kit::program("examples/directory_player"));
            command.arg(player);
            command
        },
    };
}

/// Everything around an engine.
pub struct Stage {
    dir: TempDir,
    bus: Arc<PrivateBus>,
    process: Arc<Process>,
    meddler: Option<Meddler>,
    calls: Arc<AtomicU64>,
    /// The library.
    pub shelf: Arc<Shelf>,
    engine: Engine,
    events: mpsc::Receiver<EngineEvent>,
    presence: mpsc::Sender<Presence>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    device: DeviceId,
    /// What failed since the player was plugged in.
    failures: Vec<String>,
    /// It was not looked at when it was plugged in last.
    unseen: bool,
}

impl Stage {
    /// Starts an engine, a provider, and a library that holds these tracks of the pool.
    ///
    /// # Panics
    /// When the temporary directory can't be written.
    pub async fn start(
        example: Example,
        pool: &Arc<Pool>,
        tracks: &[usize],
        plan: Option<(u64, Harm)>,
    ) -> Self {
        Self::patient(example, pool, tracks, plan, PATIENCE).await
    }

    /// The same, with this limit on the provider's calls.
    ///
    /// # Panics
    /// As `start`.
    pub async fn patient(
        example: Example,
        pool: &Arc<Pool>,
        tracks: &[usize],
        plan: Option<(u64, Harm)>,
        patience: Duration,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let dir = TempDir::with_prefix("tandem-provided-").expect("the temporary directory can be written");
        let player = dir.path().join("player");
        for (path, bytes) in FOREIGN {
            kit::write_file(&player.join(path), bytes);
        }
        let file = format!(
            "name = 'Meddled'\nbus_name = '{MEDDLED}'\nobject = '{}'\n[parameters]\nUseExtendedWmdm = 1\n",
            example.root
        );
        kit::write_file(&dir.path().join("providers.d/meddled.toml"), file.as_bytes());
        let bus = Arc::new(PrivateBus::start());
        let place = player.clone();
        let process = Arc::new(Process::new(example.bus_name, move || (example.command)(&place)));
        let providers =
            ServiceProviders::at(bus.address(), vec![dir.path().join("providers.d")]).within(patience);
        let (presence, arrivals) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let shelf = Arc::new(Shelf::new(Arc::clone(pool), tracks.iter().copied()));
        shelf.set_playlist(PLAYLIST, tracks.to_vec());
        let state = dir.path().join("state");
        let parts = Parts {
            store: Arc::new(tandem_store::PartnershipFile::new(state.clone())),
            manifests: Arc::new(tandem_store::SqliteManifests::new(state)),
            opener: Arc::new(Players::new(None, Vec::new()).with_providers(providers.opener())),
            libraries: Arc::new(OneShelf(Arc::clone(&shelf))),
            clock: Arc::new(SystemClock),
            new_guid: Arc::new(|| Guid(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) | 1 << 100)),
            options: EngineOptions { settle: Duration::from_millis(20), ..EngineOptions::default() },
        };
        let started = Engine::start(parts, Inputs { presence: arrivals, stop: stop.clone() }).await;
        let started = started.expect("an empty record can be read");
        let (engine, events, task) = (started.engine, started.events, started.task);
        let (calls, device) = (Arc::new(AtomicU64::new(0)), DeviceId("provided".to_owned()));
        let mut stage = Self {
            dir,
            bus,
            process,
            meddler: None,
            calls,
            shelf,
            engine,
            events,
            presence,
            stop,
            task,
            device,
            failures: Vec::new(),
            unseen: false,
        };
        stage.serve(plan).await;
        stage
    }

    /// Has the provider serve, with this harm from now on.
    async fn serve(&mut self, plan: Option<(u64, Harm)>) {
        if let Some(earlier) = self.meddler.take() {
            earlier.leave().await;
        }
        self.process.start(&self.bus).await;
        self.meddler = Some(Meddler::enter(&self.bus, &self.process, &self.calls, plan, 2 * PATIENCE).await);
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn player(&self) -> PathBuf {
        self.dir.path().join("player")
    }

    fn arrival(&self) -> Arrival {
        let description = DeviceDescription::named(self.device.clone(), Kind::Provider, "Player");
        let device = ProviderDevice {
            canonical_name: format!("directory:{}", self.player().display()),
            ids: None,
            serial: String::new(),
            interfaces: Vec::new(),
            syspath: String::new(),
            node: None,
            provider: Some(MEDDLED.to_owned()),
        };
        let locator = Locator::Provider(Box::new(device));
        Arrival { key: "provided".to_owned(), description, port: String::new(), locator }
    }

    fn connected(&self) -> bool {
        self.engine.snapshot(&self.device).is_some_and(|snapshot| snapshot.connected)
    }

    fn partnered(&self) -> bool {
        self.engine.snapshot(&self.device).is_some_and(|snapshot| snapshot.partnership.is_some())
    }

    /// Plugs the player in; whether it was looked at.
    ///
    /// # Panics
    /// When the engine takes no arrivals.
    pub async fn plug(&mut self) -> bool {
        self.presence.send(Presence::Arrived(self.arrival())).await.expect("the engine takes arrivals");
        let end = Instant::now() + 5 * PATIENCE;
        while !self.connected() && Instant::now() < end {
            self.hear().await;
        }
        self.unseen = !self.connected();
        !self.unseen
    }

    /// Whether the provider was late when the player was plugged in last, or in a run since.
    #[must_use]
    pub fn was_late(&self) -> bool {
        self.unseen || self.failures.iter().any(|failure| failure.contains(LATE))
    }

    /// Takes the next event; whether one came before it was silent.
    async fn hear(&mut self) -> bool {
        let event = timeout(SILENCE, self.events.recv()).await.ok().flatten();
        if let Some(EngineEvent::SyncError { media, message, .. }) = &event {
            self.failures.push(format!("{media}: {message}"));
        }
        if let Some(EngineEvent::CreatePartnershipComplete { result: Err(error), .. }) = &event {
            self.failures.push(error.to_string());
        }
        event.is_some()
    }

    /// Partners with the playlist where that isn't done, else synchronises; it doesn't wait for what follows.
    ///
    /// # Errors
    /// Why that could not be begun.
    pub async fn begin(&mut self) -> Result<(), String> {
        let begun = if self.partnered() {
            self.engine.start_sync(&self.device).await
        } else {
            let playlists = Some(vec![PlaylistId(PLAYLIST.to_owned())]);
            self.engine.create_partnership(&self.device, OWNER, playlists).await
        };
        begun.map_err(|error| error.to_string())
    }

    /// Waits until all is in step. After so many calls something has gone wrong: then it is enough that nothing is on its way
    /// any more.
    ///
    /// # Errors
    /// All that is wrong then.
    pub async fn settled(&mut self, calls: u64) -> Result<(), String> {
        let (end, mut silences) = (Instant::now() + LIMIT, 0);
        loop {
            if self.hear().await {
                continue;
            }
            let runs = self.runs();
            match self.check(!runs) {
                Ok(()) if !runs => return Ok(()),
                Err(wrong) if Instant::now() > end || silences >= ENOUGH && self.calls() > calls => {
                    return Err(wrong);
                }
                _ => silences = if runs { 0 } else { silences + 1 },
            }
        }
    }

    /// Waits until the provider was called so often; whether it was before nothing was on its way any more.
    pub async fn reaches(&mut self, calls: u64) -> bool {
        let mut silences = 0;
        while self.calls() < calls && silences < ENOUGH {
            silences = if self.hear().await || self.runs() { 0 } else { silences + 1 };
        }
        self.calls() >= calls
    }

    /// Whether a run is under way, or ends.
    fn runs(&self) -> bool {
        let snapshot = self.engine.snapshot(&self.device);
        snapshot.is_some_and(|snapshot| snapshot.sync_state == SyncState::Synchronizing)
    }

    /// Stops the run, and waits until it has ended.
    ///
    /// # Panics
    /// When the engine takes no such wish.
    pub async fn stop(&mut self) {
        self.engine.stop_sync(&self.device).await.expect("a run can be stopped");
        while self.runs() {
            self.hear().await;
        }
    }

    /// What failed since the player was plugged in, or since it last came to be in step.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Has the provider serve without harm, plugs the player in again, and synchronises.
    ///
    /// # Errors
    /// When it isn't looked at, or that can't be begun.
    ///
    /// # Panics
    /// When the engine takes no departures.
    pub async fn recover(&mut self) -> Result<(), String> {
        let departed = Presence::Departed("provided".to_owned());
        self.presence.send(departed).await.expect("the engine takes departures");
        let end = Instant::now() + LIMIT;
        while self.connected() {
            self.hear().await;
            if Instant::now() > end {
                return Err("the engine doesn't notice that the player is gone".to_owned());
            }
        }
        self.failures.clear();
        self.serve(None).await;
        if !self.plug().await {
            return Err("plugged in again, it isn't looked at".to_owned());
        }
        self.begin().await?;
        self.settled(u64::MAX).await
    }

    /// What is wrong with what is somebody else's.
    #[must_use]
    pub fn damage(&self) -> Vec<String> {
        let is_there = |(path, bytes): &(&str, &[u8])| {
            std::fs::read(self.player().join(path)).is_ok_and(|found| found == *bytes)
        };
        let gone = FOREIGN.iter().filter(|foreign| !is_there(foreign));
        gone.map(|(path, _)| format!("somebody else's `{path}` is not as it was")).collect()
    }

    /// Holds the player against the library, and at rest the manifest against the player.
    ///
    /// # Errors
    /// All that is wrong.
    fn check(&self, is_at_rest: bool) -> Result<(), String> {
        let mut wrong = self.damage();
        let files = self.files();
        let mut ours: BTreeMap<u128, Vec<&str>> = BTreeMap::new();
        for (path, hash) in &files {
            ours.entry(*hash).or_default().push(path);
        }
        for (_, items) in self.shelf.wanted(&[PLAYLIST]) {
            for (number, copy) in items {
                let there = ours.remove(&copy.hash).unwrap_or_default();
                if there.len() != 1 {
                    wrong.push(format!("track {number} is there {} times: {there:?}", there.len()));
                }
            }
        }
        let rest: Vec<&str> = ours.into_values().flatten().collect();
        if !matches!(rest[..], [list] if list.starts_with("Playlists/Mix.")) {
            wrong.push(format!("besides tracks there are {rest:?}"));
        }
        // a record that is written meanwhile can't be read
        if !is_at_rest || !wrong.is_empty() {
            wrong.extend((!wrong.is_empty()).then(|| format!("what failed was told as {:?}", self.failures)));
            return if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) };
        }
        let entries = self.entries()?;
        let named = |path: &str| entries.iter().filter(|entry| entry.path.as_str() == path).count();
        wrong.extend(
            files.keys().filter(|path| named(path) != 1).map(|path| format!("the manifest has no `{path}`")),
        );
        for entry in &entries {
            let is_track = matches!(entry.origin, Origin::Track(_));
            let hash = files.get(entry.path.as_str());
            if entry.state != EntryState::Present || hash.is_none_or(|hash| is_track && *hash != entry.hash) {
                wrong.push(format!("the manifest has `{}` as {:?}", entry.path, entry.state));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong.join("\n"))
    }

    /// The hashes of all files but other people's and the player's own memory, by path. What goes meanwhile isn't there.
    fn files(&self) -> BTreeMap<String, u128> {
        let (root, mut waiting, mut found) = (self.player(), vec![self.player()], BTreeMap::new());
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let below = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
                if path.is_dir() {
                    waiting.push(path);
                } else if !below.starts_with(".player/")
                    && !FOREIGN.iter().any(|(own, _)| *own == below)
                    && let Ok(bytes) = std::fs::read(&path)
                {
                    found.insert(below, xxhash_rust::xxh3::xxh3_128(&bytes));
                }
            }
        }
        found
    }

    /// How many unfinished files are on the player.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.files().keys().filter(|path| path.ends_with(".part")).count()
    }

    fn entries(&self) -> Result<Vec<Entry>, String> {
        let state = self.dir.path().join("state");
        let record = tandem_store::PartnershipFile::new(state.clone()).load();
        let record = record.map_err(|error| error.to_string())?;
        let Some(partnership) = record.partnerships.first() else { return Ok(Vec::new()) };
        let manifest = tandem_store::SqliteManifests::new(state).open(partnership.relationship);
        manifest.and_then(|manifest| manifest.entries()).map_err(|error| error.to_string())
    }

    /// Ends the engine and the provider.
    ///
    /// # Errors
    /// When the engine doesn't end.
    pub async fn end(self) -> Result<(), String> {
        self.stop.cancel();
        let ended = timeout(LIMIT, self.task).await.map_err(|_| "the engine does not end".to_owned());
        self.process.kill().await;
        ended?.map_err(|error| format!("the engine failed: {error}"))
    }
}
