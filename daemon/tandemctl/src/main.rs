//! `tandemctl`, the command line: asks the daemon over D-Bus and prints what it answers. It knows the contract and
//! nothing of the daemon's inside, and never touches a device or a library itself.

mod attributes;
mod bus;
mod cli;
mod commands;
mod conformance;
mod device;
mod error;
mod events;
mod help;
mod interrupt;
mod media;
mod output;
mod playlist;
mod progress;
mod properties;
mod run;
mod select;
mod uri;

use clap::Parser;
use cli::Cli;
use error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(Box::pin(commands::run(&cli))),
        Err(cause) => Err(Error::Failed(format!("can't start: {cause}"))),
    };
    let exit = result.unwrap_or_else(|error| {
        complain_of(&error);
        error.exit()
    });
    ExitCode::from(exit as u8)
}

/// Tells the user of a failure, in one line with what to do about it.
fn complain_of(error: &Error) {
    if error.is_broken_pipe() {
        return;
    }
    match error.remedy() {
        Some(remedy) => output::complain(&format!("{error}; {remedy}")),
        None => output::complain(&error.to_string()),
    }
}
