//! Plugs the crates together: the only place that knows them all. It makes the parts, starts the services in the order in
//! which they need each other, and hands them to the supervision.

use crate::Mistake;
use crate::args::Args;
use crate::config::Config;
use crate::lock::StateLock;
use crate::notify;
use crate::places::{Places, agent_program};
use crate::supervise::{Services, Signals, joined};
use anyhow::Context;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tandem_dbus::{Bus, BusKind, ServeOptions, ServiceProviders, SystemServices};
use tandem_engine::{Engine, EngineOptions, Inputs, Parts, Started};
use tandem_hardware::{FolderPlayer, HardwareError, HardwareOptions, Inquiries};
use tandem_library::{AgentLibraries, ChildLauncher, Launcher, UnitLauncher};
use tandem_model::clock::SystemClock;
use tandem_model::id::Guid;
use tandem_model::presence::Presence;
use tandem_players::mtp::Families;
use tandem_players::{Players, Simulated};
use tandem_store::{PartnershipFile, SqliteManifests};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// More arrivals than anyone plugs in at once; when it is full, the hardware side waits.
const PRESENCE_QUEUE: usize = 64;

/// Where media-player-info keeps what it knows of players; the first that knows a player counts.
const MEDIA_PLAYER_INFO: [&str; 2] = ["/usr/local/share/media-player-info", "/usr/share/media-player-info"];

/// Where an administrator tells of families of MTP players that do otherwise than they say.
const FAMILIES: &str = "/etc/tandem/players.d";

/// Starts everything and runs until the daemon is asked to end.
///
/// # Errors
/// When something can't be started, or ended by itself.
pub(crate) async fn serve(args: &Args, config: Config, places: Places) -> anyhow::Result<()> {
    let signals = Signals::take()?;
    let _lock = StateLock::take(&places.state)?;
    let kind = if args.session { BusKind::Session } else { BusKind::System };
    let simulated = simulated(args)?;
    let families = Families::load(&[PathBuf::from(FAMILIES)]).map_err(|error| Mistake(error.to_string()))?;
    let (bus, system) = tokio::join!(Bus::connect(kind), SystemServices::connect());
    let bus = bus?;
    let libraries = Arc::new(AgentLibraries::new(launcher(args, &places, system.as_ref())?, config.linger));
    let stop = CancellationToken::new();
    let (presence, found) = mpsc::channel(PRESENCE_QUEUE);
    let (relayed, arrivals) = mpsc::channel(PRESENCE_QUEUE);
    let providers = ServiceProviders::new(kind, places.providers.clone());
    let arrived: Vec<Presence> = simulated.iter().map(|player| Presence::Arrived(player.arrival())).collect();
    let players = players(system.as_ref()).with_families(families).with_simulated(simulated);
    let players = players.with_providers(providers.opener());
    let parts = parts(&config, &places, Arc::clone(&libraries), players);
    let inputs = Inputs { presence: arrivals, stop: stop.clone() };
    let Started { engine, events, task } =
        Engine::start(parts, inputs).await.context("the state can't be used")?;
    let mut services = Services::default();
    // The bus goes on until the engine has ended, so that clients learn how their runs ended.
    let engine_ended = CancellationToken::new();
    let ended = engine_ended.clone().drop_guard();
    services.start("the engine", async move {
        let result = joined(task).await;
        drop(ended);
        libraries.shut_down().await;
        result
    });
    if let Some(system) = &system {
        let (inhibiting, stopped) = (system.inhibit_sleep(engine.busy()), stop.clone());
        services.start("the guard against sleep", async move {
            let () = stopped.run_until_cancelled_owned(inhibiting).await.unwrap_or_default();
            Ok(())
        });
    }
    let (usb, inquiries) = tandem_hardware::inquiries();
    let options = ServeOptions {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        owner_is_everything: args.session,
        providers: providers.clone(),
        usb: Arc::new(usb),
        stop: engine_ended,
    };
    match bus.serve(engine, events, options).await {
        Ok(served) => services.start("the bus", async { served.ended().await.map_err(Into::into) }),
        Err(error) => {
            services.abandon(&stop).await;
            return Err(error.into());
        }
    }
    // No device is touched before the name is ours: another daemon may be at work on it.
    services.start(
        "the search for players",
        search(hardware_options(config, places.state.clone()), inquiries, arrived, presence, stop.clone()),
    );
    let stopped = stop.clone();
    services.start("the relay between players and their providers", async move {
        providers.relay(found, relayed, stopped.clone()).await;
        // when nobody takes what it tells, the daemon is about to end
        stopped.cancelled().await;
        Ok(())
    });
    if let Some(interval) = notify::watchdog_interval() {
        services.start("the watchdog", notify::watchdog(interval, stop.clone()));
    }
    notify::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), state = %places.state.display(), "serving");
    services.run(signals, stop, notify::stopping).await
}

/// How library agents are started: as the daemon's own children for one user, as systemd's units for all of them.
fn launcher(
    args: &Args,
    places: &Places,
    system: Option<&SystemServices>,
) -> anyhow::Result<Arc<dyn Launcher>> {
    if args.session {
        let daemon = std::env::current_exe().context("the daemon's own program can't be found")?;
        let program = agent_program(args.agent.as_deref(), &daemon)?;
        let state_dir = places.state.join("library");
        return Ok(Arc::new(ChildLauncher { program, state_dir, default_folders: Vec::new() }));
    }
    let system = system.context("the system bus is needed to have systemd start library agents")?;
    let socket = places.runtime.join("library.sock");
    let made = std::fs::create_dir_all(&places.runtime);
    made.with_context(|| format!("{} can't be made", places.runtime.display()))?;
    let launcher = UnitLauncher::bind(system.agent_starter(), &socket);
    Ok(Arc::new(
        launcher.with_context(|| format!("library agents can't be awaited at {}", socket.display()))?,
    ))
}

/// The players that the command line asks to simulate.
fn simulated(args: &Args) -> anyhow::Result<Vec<Arc<Simulated>>> {
    let mut players: Vec<Arc<Simulated>> = Vec::new();
    for profile in &args.simulate {
        if players.iter().any(|player| player.name() == profile) {
            return Err(Mistake(format!(
                "--simulate {profile} is given twice; one of a kind is all there can be"
            ))
            .into());
        }
        let directory = args.simulate_in.as_ref().map(|below| {
            let stem = Path::new(profile).file_stem();
            below.join(stem.unwrap_or_default())
        });
        let player = Simulated::new(profile, directory.as_deref());
        players.push(Arc::new(player.map_err(|error| Mistake(format!("--simulate {profile}: {error}")))?));
    }
    Ok(players)
}

fn players(system: Option<&SystemServices>) -> Players {
    let information = MEDIA_PLAYER_INFO.map(PathBuf::from).to_vec();
    Players::new(system.map(SystemServices::mounter), information)
}

fn parts(config: &Config, places: &Places, libraries: Arc<AgentLibraries>, players: Players) -> Parts {
    Parts {
        store: Arc::new(PartnershipFile::new(places.state.clone())),
        manifests: Arc::new(SqliteManifests::new(places.state.clone())),
        opener: Arc::new(players),
        libraries,
        clock: Arc::new(SystemClock),
        new_guid: Arc::new(new_guid),
        options: EngineOptions { settle: config.settle, verify: config.verify },
    }
}

/// A random GUID, version 4 of RFC 9562. The standard library seeds its hashers with the system's randomness.
fn new_guid() -> Guid {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0b11 << 62;
    let half = || u128::from(RandomState::new().build_hasher().finish());
    let random = half() << 64 | half();
    Guid(random & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62)
}

fn hardware_options(config: Config, state: PathBuf) -> HardwareOptions {
    let player = |folder: crate::config::Folder| FolderPlayer { path: folder.path, name: folder.name };
    let folders = config.folders.into_iter().map(player).collect();
    HardwareOptions { folders, udev: config.udev, state: Some(state) }
}

/// Tells of the players that are there from the start and of those that come and go, until `stop`; also where there is
/// nothing to look for.
async fn search(
    options: HardwareOptions,
    inquiries: Inquiries,
    arrived: Vec<Presence>,
    presence: mpsc::Sender<Presence>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for arrival in arrived {
        // nobody listens when the daemon is about to end
        if presence.send(arrival).await.is_err() {
            return Ok(());
        }
    }
    if options.udev || !options.folders.is_empty() {
        return tandem_hardware::watch(options, inquiries, presence, stop).await.map_err(hardware_error);
    }
    drop(inquiries);
    stop.cancelled().await;
    drop(presence);
    Ok(())
}

/// Players that can't be are the user's mistake; all else is trouble with the system.
fn hardware_error(error: HardwareError) -> anyhow::Error {
    match error {
        HardwareError::Overlap { .. } | HardwareError::Folder { .. } => Mistake(error.to_string()).into(),
        HardwareError::Watch { .. } | HardwareError::Udev { .. } => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn guids_are_of_version_4_and_never_the_same() {
        let guids: HashSet<Guid> = (0..1000).map(|_| new_guid()).collect();
        assert_eq!(guids.len(), 1000);
        for guid in guids {
            let text = guid.to_string();
            assert_eq!(text.as_bytes()[15], b'4', "{text}");
            assert!(b"89AB".contains(&text.as_bytes()[20]), "{text}");
        }
    }
}
