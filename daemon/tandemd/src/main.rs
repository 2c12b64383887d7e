//! The daemon: command line, configuration, and the life of the process. What is plugged together is in `wiring`, and no
//! work is done here.

mod allocator;
mod args;
mod config;
mod descriptors;
mod lock;
mod logging;
mod notify;
mod places;
mod supervise;
mod wiring;

use anyhow::Context;
use args::Args;
use clap::Parser;
use config::Config;
use places::Places;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// How long a blocking thread waits for more work before it ends. Each thread that lives keeps memory of its own, and work
/// goes round among those that wait, so a run is best served by the one thread that it needs.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_millis(50);

/// As many devices as anyone plugs in write at the same time, with room for the stores.
const BLOCKING_THREADS: usize = 64;

/// How long threads that can't be interrupted (a write to a slow device) hold up the end of the process.
const THREAD_GRACE: Duration = Duration::from_millis(100);

/// The user wrote something that can't be: on the command line, in the environment, or in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mistake(pub(crate) String);

fn main() -> ExitCode {
    allocator::give_back();
    let args = Args::parse();
    let Err(error) = run(&args) else { return ExitCode::SUCCESS };
    // Where nobody has logged it yet: errors before logging starts, and those that end the daemon. A closed stderr
    // leaves nobody to tell.
    writeln!(std::io::stderr(), "tandemd: {error:#}").ok();
    ExitCode::from(if error.is::<Mistake>() { 2 } else { 1 })
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(dir) = &args.generate_man {
        return args::write_man_page(dir);
    }
    let variable = |name: &str| std::env::var_os(name);
    let mut places = if args.session { Places::session(variable)? } else { Places::system(variable) };
    if let Some(state) = &args.state {
        places.state = std::path::absolute(state).with_context(|| format!("--state {}", state.display()))?;
    }
    let mut config =
        config::load(&places.config, args.config.as_deref()).map_err(|error| Mistake(error.to_string()))?;
    add_folders(&mut config, args)?;
    if args.check_config {
        return Ok(());
    }
    logging::start(config.level)?;
    if args.session {
        descriptors::allow_enough();
    }
    // what blocks has threads of its own, so this one is enough for the rest; each more would keep memory of its own
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    let outcome = runtime.block_on(wiring::serve(args, config, places));
    runtime.shutdown_timeout(THREAD_GRACE);
    if let Err(error) = &outcome {
        notify::failed(&format!("{error:#}"));
    }
    outcome
}

/// Adds the command line's players to the configured ones.
fn add_folders(config: &mut Config, args: &Args) -> anyhow::Result<()> {
    for folder in &args.folder {
        let path = std::path::absolute(folder).map_err(|error| {
            Mistake(format!("--folder `{}` can't be a path: {error}; name a directory", folder.display()))
        })?;
        config.folders.push(config::Folder { path, name: None });
    }
    Ok(())
}
