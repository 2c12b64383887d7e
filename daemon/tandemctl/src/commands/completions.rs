//! `tandemctl completions`: a script that has the shell complete this program's command lines.

use crate::cli::Cli;
use crate::error::{Error, Exit};
use crate::output::Output;
use clap::{CommandFactory, ValueEnum};

/// Print a script that completes command lines in a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(output: Output, args: &Args) -> Result<Exit, Error> {
    output.text(&script(args.shell)?)?;
    Ok(Exit::Ok)
}

fn script(shell: Shell) -> Result<String, Error> {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "tandemctl", &mut script);
    String::from_utf8(script).map_err(|cause| Error::Failed(format!("the script is not UTF-8: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
                assert!(script.contains(command.get_name()), "{shell:?} lacks {}", command.get_name());
            }
        }
    }
}
