//! The command line's definition: the one source of parsing, help, completions and man pages. It does nothing.

use crate::commands::{
    annotate, assign, completions, eject, estimate, folders, get, info, list, man, monitor, partner,
    playlist, playlists, preview, probe, provider, results, rules, scan, search, set, show, status, stop,
    sync, transfer, unassign, unpartner,
};
use crate::error::Error;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsStr;
use std::time::Duration;

/// The end of the help text.
fn after_help() -> String {
    use crate::help::{EXIT_STATUS, JSON, NAMES};
    let mut text = format!("{NAMES}\n\nExit codes:\n");
    for (code, meaning) in EXIT_STATUS {
        text += &format!("  {code}  {meaning}\n");
    }
    text + "\nJSON: " + JSON
}

/// Fill portable players from your music library
///
/// Talks to tandemd, which keeps players in step with your playlists. Without --session it talks to the system's
/// daemon.
#[derive(Debug, Parser)]
#[command(name = "tandemctl", version, after_long_help = after_help(), after_help = "See `tandemctl --help` for exit codes and JSON.", max_term_width = 110)]
pub(crate) struct Cli {
    /// Where to talk, and how to print.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Talk to `tandemd --session` on the session bus; same as --bus session
    #[arg(long, global = true)]
    pub(crate) session: bool,
    /// The bus on which the daemon is: system or session; else what TANDEM_BUS says, else system
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    pub(crate) bus: Option<Bus>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no confirmations and no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours: auto, always or never; auto respects NO_COLOR
    #[arg(long, global = true, value_enum, hide_possible_values = true, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
    /// How many seconds the daemon may take to answer a call; two minutes more where polkit may ask for a password
    #[arg(long, global = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

impl Global {
    /// The bus that is meant. `environment` is what `TANDEM_BUS` says: the command line's definition doesn't know it,
    /// or each usage line would show `--bus` as if it had to be there.
    ///
    /// # Errors
    /// [`Error::Usage`] when `TANDEM_BUS` matters and is no bus.
    pub(crate) fn bus(&self, environment: Option<&OsStr>) -> Result<Bus, Error> {
        if self.session {
            return Ok(Bus::Session);
        }
        if let Some(bus) = self.bus {
            return Ok(bus);
        }
        let Some(value) = environment else { return Ok(Bus::System) };
        let bus = value.to_str().and_then(|value| Bus::from_str(value, false).ok());
        bus.ok_or_else(|| {
            let value = value.to_string_lossy();
            Error::Usage(format!("TANDEM_BUS is `{value}`; it must be `system` or `session`"))
        })
    }

    /// How long a call may take.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// A message bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bus {
    /// The system's.
    System,
    /// The user session's.
    Session,
}

impl std::fmt::Display for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Session => "session",
        })
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Also into pipes and files.
    Always,
    /// Not at all.
    Never,
}

/// A device on the command line.
#[derive(Debug, Args)]
pub(crate) struct DeviceArg {
    /// A device: its id, its name, or an unambiguous beginning of either
    pub(crate) device: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Show(show::Args),
    Status(status::Args),
    Partner(partner::Args),
    Unpartner(unpartner::Args),
    Sync(sync::Args),
    Stop(stop::Args),
    Preview(preview::Args),
    Estimate(estimate::Args),
    Results(results::Args),
    Transfer(transfer::Args),
    Eject(eject::Args),
    Playlists(playlists::Args),
    Playlist(playlist::Args),
    Assign(assign::Args),
    Unassign(unassign::Args),
    Folders(folders::Args),
    Scan(scan::Args),
    Search(search::Args),
    Rules(rules::Args),
    Info(info::Args),
    Annotate(annotate::Args),
    Get(get::Args),
    Set(set::Args),
    Monitor(monitor::Args),
    Probe(probe::Args),
    Provider(provider::Args),
    Completions(completions::Args),
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    fn each(command: &clap::Command, path: &str, check: &mut impl FnMut(&clap::Command, &str)) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            check(sub, &path);
            each(sub, &path, check);
        }
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        let mut seen = 0;
        each(&Cli::command(), "tandemctl", &mut |command, path| {
            seen += 1;
            assert!(command.get_about().is_some(), "{path} is not documented");
            let json = path.ends_with("completions")
                || path.ends_with("man")
                || path.ends_with("rules")
                || path.ends_with(" playlist")
                || path.ends_with(" provider");
            let long = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(json || long.contains("JSON"), "{path} does not document its JSON form");
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{path}: {id} is not documented");
            }
        });
        assert!(seen > 28, "{seen}");
    }

    #[test]
    fn session_and_bus_choose_the_same_thing() {
        let bus =
            |arguments: &[&str]| Cli::try_parse_from(arguments).map(|cli| cli.global.bus(None).unwrap());
        assert_eq!(bus(&["tandemctl", "list", "--session"]).unwrap(), Bus::Session);
        assert_eq!(bus(&["tandemctl", "--bus", "session", "list"]).unwrap(), Bus::Session);
        assert_eq!(bus(&["tandemctl", "list", "--bus", "system"]).unwrap(), Bus::System);
    }

    #[test]
    fn the_environment_chooses_where_the_command_line_does_not() {
        let bus = |arguments: &[&str], value: &str| {
            Cli::try_parse_from(arguments).unwrap().global.bus(Some(OsStr::new(value)))
        };
        assert_eq!(bus(&["tandemctl", "list"], "session").unwrap(), Bus::Session);
        assert_eq!(bus(&["tandemctl", "--bus", "system", "list"], "session").unwrap(), Bus::System);
        assert_eq!(bus(&["tandemctl", "--session", "list"], "odd").unwrap(), Bus::Session);
        let refused = bus(&["tandemctl", "list"], "odd").unwrap_err();
        assert!(refused.to_string().contains("TANDEM_BUS is `odd`"), "{refused}");
    }
}
