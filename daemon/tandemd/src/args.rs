//! The command line, and the man page made from it. It decides nothing: what the options mean is for the modules that
//! use them.

use anyhow::Context;
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Keeps music players in step with their owners' libraries.
///
/// Without options it is the system's daemon: it serves org.tandemd.Sync1 on the system bus, for all users. It is
/// started by systemd when a player is plugged in or a program asks for it.
#[derive(Debug, Parser)]
#[command(name = "tandemd", version, after_long_help = AFTER)]
pub(crate) struct Args {
    /// Serve one user on the session bus, without privileges
    ///
    /// Configuration and state are then in the XDG directories, and the library agent is a child process.
    #[arg(long)]
    pub(crate) session: bool,

    /// Take this directory for a player; may be given more than once
    #[arg(long, value_name = "PATH")]
    pub(crate) folder: Vec<PathBuf>,

    /// Read this configuration file in place of all others
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The library agent's program, with --session
    ///
    /// Without this it is looked for beside tandemd, and in ../libexec from there.
    #[arg(long, value_name = "PATH")]
    pub(crate) agent: Option<PathBuf>,

    /// Keep partnerships and manifests in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Read the configuration, tell what is wrong with it, and end
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Write the man page into this directory, and end
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) generate_man: Option<PathBuf>,
}

const AFTER: &str = "\
Environment:
  TANDEM_LOG  What is logged, over the configuration's level: a level (error, warn, info, debug, trace, off), or
              levels by part, such as `info,tandem_engine=debug`. Names of media files occur only in debug and trace.

Files:
  /usr/lib/tandem/tandemd.toml, /etc/tandem/tandemd.toml, and tandemd.toml.d/*.toml beside each
              Configuration; see tandemd.toml(5). With --session: $XDG_CONFIG_HOME/tandem/tandemd.toml.
  /var/lib/tandem
              Partnerships and manifests. With --session: $XDG_STATE_HOME/tandem.

Exit status:
  0  It was asked to end, and has.
  1  It could not start, or could not go on; the log says why.
  2  The command line, TANDEM_LOG or the configuration is wrong; the message says where.";

/// Writes `tandemd.8` into a directory.
///
/// # Errors
/// When the file can't be written.
pub(crate) fn write_man_page(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join("tandemd.8");
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(Args::command()).section("8").manual("Tandem");
    manual.render(&mut page).context("the man page can't be made")?;
    page.extend(b".SH SEE ALSO\n\\fBtandemctl\\fR(1), \\fBtandemd.toml\\fR(5)\n");
    let mut file =
        std::fs::File::create(&path).with_context(|| format!("{} can't be made", path.display()))?;
    file.write_all(&page).with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_man_page_names_every_visible_option() {
        let dir = tempfile::TempDir::new().unwrap();
        write_man_page(dir.path()).unwrap();
        let page = std::fs::read_to_string(dir.path().join("tandemd.8")).unwrap().replace("\\-", "-");
        for option in
            ["--session", "--folder", "--config", "--agent", "--state", "--check-config", "--version"]
        {
            assert!(page.contains(option), "{option}");
        }
        assert!(!page.contains("--generate-man"));
    }
}
