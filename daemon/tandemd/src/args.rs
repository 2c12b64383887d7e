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

    /// Plug in a simulated MTP player of this kind, or of a profile in a file; may be given more than once
    ///
    /// The kinds are classic, classic-no-lists, list-reader, playlist-files, spl-playlists, art-and-albums, phone,
    /// phone-locked, phone-with-lists, split-header, sloppy-packets, minimal and tiny-store. What it holds is lost when the daemon
    /// ends, unless --simulate-in is given.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) simulate: Vec<String>,

    /// Keep the files of simulated players below this directory, in a folder for each
    ///
    /// DIR/PROFILE/storage-XXXXXXXX has the files of a storage as they are on the player, XXXXXXXX being the storage's id
    /// in eight hexadecimal digits, mostly 00010001. What is put there while the daemon does not run is on the player
    /// from its next start on. DIR/PROFILE/player.json has what files do not tell, such as playlists of references; it may
    /// be removed. PROFILE is the kind's name, or the name of the profile's file without its ending.
    #[arg(long, value_name = "DIR", requires = "simulate")]
    pub(crate) simulate_in: Option<PathBuf>,

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

/// The synopsis, with what the options take.
const SYNOPSIS: &str = ".SH SYNOPSIS\n\\fBtandemd\\fR [\\fB\\-\\-session\\fR] [\\fB\\-\\-folder\\fR \\fIPATH\\fR]... \
[\\fB\\-\\-simulate\\fR \\fIPROFILE\\fR]... [\\fB\\-\\-simulate\\-in\\fR \\fIDIR\\fR] \
[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-agent\\fR \\fIPATH\\fR] [\\fB\\-\\-state\\fR \\fIDIR\\fR]\n.br\n\
\\fBtandemd\\fR \\fB\\-\\-check\\-config\\fR [\\fB\\-\\-session\\fR] [\\fB\\-\\-config\\fR \\fIFILE\\fR]\n";

/// The end of the man page.
const EXAMPLES: &str = "\
.SH EXAMPLES
.TP
.B tandemd \\-\\-session \\-\\-folder \\(ti/Player
Serve one user, with a directory that stands for a player.
.TP
.B tandemd \\-\\-session \\-\\-simulate phone
Serve one user, with a phone that speaks MTP and isn't there.
.TP
.B tandemd \\-\\-check\\-config
Tell what is wrong with the configuration.
.SH \"SEE ALSO\"
.BR tandemctl (1),
.BR tandemd.toml (5),
.BR tandem\\-rules (7)
";

/// The man page's sections behind the options, from the help's end: `Heading:`, then entries with their texts behind
/// two spaces or on deeper lines.
fn sections() -> String {
    let escaped = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace('`', "\\(ga");
    let mut page = String::new();
    for line in AFTER.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let Some(entry) = line.strip_prefix("  ") else {
            page += &format!(".SH \"{}\"\n", line.trim_end_matches(':').to_uppercase());
            continue;
        };
        if entry.starts_with(' ') {
            page += &format!("{}\n", escaped(entry.trim_start()));
        } else {
            let (name, text) = entry.split_once("  ").unwrap_or((entry, ""));
            page += &format!(".TP\n\\fB{}\\fR\n", escaped(name));
            page += &if text.is_empty() { String::new() } else { escaped(text.trim_start()) + "\n" };
        }
    }
    page + EXAMPLES
}

/// Writes `tandemd.8` into a directory.
///
/// # Errors
/// When the file can't be written.
pub(crate) fn write_man_page(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join("tandemd.8");
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(Args::command()).section("8").manual("Tandem");
    let rendered = manual
        .render_title(&mut page)
        .and_then(|()| manual.render_name_section(&mut page))
        .and_then(|()| page.write_all(SYNOPSIS.as_bytes()))
        .and_then(|()| manual.render_description_section(&mut page))
        .and_then(|()| manual.render_options_section(&mut page));
    rendered.context("the man page can't be made")?;
    page.extend(sections().into_bytes());
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
        for option in [
            "--session",
            "--folder",
            "--simulate",
            "--simulate-in",
            "--config",
            "--agent",
            "--state",
            "--check-config",
            "--version",
        ] {
            assert!(page.contains(option), "{option}");
        }
        assert!(!page.contains("--generate-man") && !page.contains("EXTRA"));
        for heading in ["SYNOPSIS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            assert!(
                page.contains(&format!(".SH {heading}")) || page.contains(&format!(".SH \"{heading}\"")),
                "{heading}"
            );
        }
    }
}
