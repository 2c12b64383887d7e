//! `tandemctl man`: writes the man pages, for packages.

use crate::cli::Cli;
use crate::error::{Error, Exit};
use crate::output::Output;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Write a man page for the program and for each command into a directory
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// The directory, which must be there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(output: Output, args: &Args) -> Result<Exit, Error> {
    write(&args.directory)?;
    let text = args.directory.display().to_string();
    output.done(&json!({"directory": text}), &format!("The man pages are in {text}."))?;
    Ok(Exit::Ok)
}

fn write(directory: &Path) -> Result<(), Error> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write_pages(&program, directory).map_err(|cause| {
        Error::Failed(format!(
            "can't write man pages into `{}`: {cause}; is it a directory?",
            directory.display()
        ))
    })
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, directory)?;
    }
    let man = Man::new(command.clone()).manual("User Commands");
    let mut page = Vec::new();
    man.render(&mut page)?;
    // the section that man pages have for what belongs to no other
    let page = String::from_utf8_lossy(&page).replace(".SH EXTRA", ".SH NOTES");
    File::create(directory.join(man.get_filename()))?.write_all(page.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_the_program_and_each_command() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        assert!(page("tandemctl.1").contains("Exit codes") && page("tandemctl.1").contains(".SH NOTES"));
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("tandemctl-{}.1", command.get_name());
            assert!(page(&name).contains(".TH"), "{name}");
        }
        assert!(page("tandemctl-playlist-create.1").contains("rule"));
        assert!(page("tandemctl-man.1").is_empty());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = write(Path::new("/nonexistent/x")).unwrap_err().to_string();
        assert!(error.contains("`/nonexistent/x`"), "{error}");
    }
}
