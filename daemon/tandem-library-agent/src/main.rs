//! Reads one user's library for the daemon: scans and watches the folders, keeps the index, answers questions, and
//! passes open files. It runs with its owner's rights, and reaches no device, no bus and no network.

mod agent;
mod answers;
mod audio;
mod covers;
mod failure;
mod files;
mod folders;
mod formats;
mod index;
mod media;
mod mount_table;
mod playlists;
mod rules;
#[cfg(test)]
mod samples;
mod scan;
mod server;
mod text;
mod watch;

use agent::Agent;
use anyhow::Context;
use clap::Parser;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// How long what still runs may take at the end.
const ENDING: Duration = Duration::from_secs(2);
/// Blocking threads: one scan, and requests beside it; more than may wait for files that don't come.
const THREADS: usize = 24;

/// The process of tandemd that reads one user's music library. The daemon starts it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Talk to the daemon over the socket that is standard input
    #[arg(long, conflicts_with = "connect", required_unless_present = "connect")]
    stdin: bool,
    /// Connect to the daemon's socket at this path
    #[arg(long, value_name = "PATH")]
    connect: Option<PathBuf>,
    /// Where the index is kept [default: $STATE_DIRECTORY]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
    /// A folder of music, for as long as the user has set none; may be repeated [default: the user's music directory]
    #[arg(long, value_name = "DIRECTORY")]
    music: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = std::env::var("TANDEM_LOG").unwrap_or_else(|_| "info,lofty=off".into());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::builder().parse(&filter).context("TANDEM_LOG")?)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .context("the runtime can't be started")?;
    let outcome = runtime.block_on(run(&arguments));
    runtime.shutdown_timeout(ENDING);
    outcome
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stream = match &arguments.connect {
        Some(path) => UnixStream::connect(path).await.with_context(|| format!("{}", path.display()))?,
        None => standard_input().context("standard input is not a socket; the daemon starts this program")?,
    };
    let (watcher, events) = watch::Watcher::new();
    let watcher = Arc::new(watcher);
    let agent = match open(arguments, watcher.clone()) {
        Ok(agent) => Arc::new(agent),
        Err(error) => {
            server::refuse(stream, format!("{error:#}")).await;
            return Err(error);
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(agent.scanner.clone().run());
    if let Some(events) = events {
        let scanner = agent.scanner.clone();
        tasks.spawn(async move {
            if let Err(error) = watch::run(&watcher, events, |wanted| scanner.request(wanted)).await {
                tracing::error!(%error, "changes in the library's folders are no longer noticed");
            }
        });
    }
    let (folders, scanner) = (agent.clone(), agent.scanner.clone());
    tasks.spawn(async move {
        let folders = move || folders.folders();
        if let Err(error) = watch::mounts::run(folders, |wanted| scanner.request(wanted)).await {
            tracing::warn!(%error, "what is mounted in the library's folders is noticed by scans alone");
        }
    });
    tasks.spawn(publish(agent.clone()));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let outcome = tokio::select! {
        outcome = server::serve(stream, agent.clone()) => outcome,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    agent.scanner.end();
    outcome
}

fn open(arguments: &Arguments, watcher: Arc<watch::Watcher>) -> anyhow::Result<Agent> {
    let state = state_directory(arguments.state.as_deref())?;
    let music = if arguments.music.is_empty() { default_music()? } else { absolute(&arguments.music)? };
    Ok(Agent::open(&state, music, watcher)?)
}

/// Tells the state after each scan.
async fn publish(agent: Arc<Agent>) {
    let (mut scanning, mut completed) = (agent.scanner.scanning(), agent.scanner.completed());
    // a scan may have ended before this task began
    completed.mark_changed();
    loop {
        // both senders live as long as the scanner
        tokio::select! {
            _ = scanning.changed() => {}
            _ = completed.changed() => {}
        }
        let publisher = agent.clone();
        match tokio::task::spawn_blocking(move || publisher.publish()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the library's state can't be read"),
            Err(error) => tracing::error!(%error, "the library's state can't be told"),
        }
    }
}

fn standard_input() -> std::io::Result<UnixStream> {
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned()?;
    rustix::net::sockopt::socket_type(&descriptor)?;
    let stream = std::os::unix::net::UnixStream::from(descriptor);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn state_directory(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let set = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    given.map(Path::to_owned).or_else(set).context("no state directory: give --state or set STATE_DIRECTORY")
}

fn absolute(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let absolute = |folder: &PathBuf| std::path::absolute(folder).map(|path| path.components().collect());
    folders.iter().map(absolute).collect::<std::io::Result<_>>().context("--music")
}

fn default_music() -> anyhow::Result<Vec<PathBuf>> {
    let home = std::env::home_dir()
        .filter(|home| home.is_absolute())
        .context("the home directory is not known: set HOME")?;
    let config = std::env::var_os("XDG_CONFIG_HOME");
    Ok(vec![folders::music_directory(&home, config.as_deref())])
}
