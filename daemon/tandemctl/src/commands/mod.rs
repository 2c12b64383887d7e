//! The commands, one file each, and what they share: how a command is chosen, and how one waits.

pub(crate) mod annotate;
pub(crate) mod assign;
pub(crate) mod completions;
pub(crate) mod eject;
pub(crate) mod estimate;
pub(crate) mod folders;
pub(crate) mod get;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod monitor;
pub(crate) mod partner;
pub(crate) mod playlist;
pub(crate) mod playlists;
pub(crate) mod preview;
pub(crate) mod probe;
pub(crate) mod provider;
pub(crate) mod results;
pub(crate) mod rules;
pub(crate) mod scan;
pub(crate) mod search;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod stop;
mod summary;
pub(crate) mod sync;
pub(crate) mod transfer;
pub(crate) mod unassign;
pub(crate) mod unpartner;
mod wait;

use crate::bus::Client;
use crate::cli::{Bus, Cli, Command};
use crate::error::{Error, Exit};
use crate::output::{Output, say_session};

/// What every command that talks to the daemon has.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps the command from being done.
pub(crate) async fn run(cli: &Cli) -> Result<Exit, Error> {
    let output = Output::new(cli.global.json, cli.global.quiet, cli.global.color);
    match &cli.command {
        Command::Completions(args) => return completions::run(output, args),
        Command::Man(args) => return man::run(output, args),
        Command::Rules(args) => return rules::run(output, args),
        _ => {}
    }
    let bus = cli.global.bus(std::env::var_os("TANDEM_BUS").as_deref())?;
    if bus == Bus::Session {
        say_session();
    }
    let client = Client::connect(bus, cli.global.limit()).await?;
    let context = Context { client, output };
    match &cli.command {
        Command::List(args) => list::run(&context, args).await,
        Command::Show(args) => show::run(&context, args).await,
        Command::Status(args) => status::run(&context, args).await,
        Command::Partner(args) => partner::run(&context, args).await,
        Command::Unpartner(args) => unpartner::run(&context, args).await,
        Command::Sync(args) => sync::run(&context, args).await,
        Command::Stop(args) => stop::run(&context, args).await,
        Command::Estimate(args) => estimate::run(&context, args).await,
        Command::Preview(args) => preview::run(&context, args).await,
        Command::Probe(args) => probe::run(&context, args).await,
        Command::Results(args) => results::run(&context, args).await,
        Command::Transfer(args) => transfer::run(&context, args).await,
        Command::Eject(args) => eject::run(&context, args).await,
        Command::Playlists(args) => playlists::run(&context, args).await,
        Command::Playlist(args) => playlist::run(&context, args).await,
        Command::Assign(args) => assign::run(&context, args).await,
        Command::Unassign(args) => unassign::run(&context, args).await,
        Command::Folders(args) => folders::run(&context, args).await,
        Command::Scan(args) => scan::run(&context, args).await,
        Command::Search(args) => search::run(&context, args).await,
        Command::Info(args) => info::run(&context, args).await,
        Command::Annotate(args) => annotate::run(&context, args).await,
        Command::Get(args) => get::run(&context, args).await,
        Command::Set(args) => set::run(&context, args).await,
        Command::Provider(args) => provider::run(&context, args).await,
        Command::Monitor(args) => monitor::run(&context, args).await,
        Command::Completions(_) | Command::Man(_) | Command::Rules(_) => Ok(Exit::Ok),
    }
}
