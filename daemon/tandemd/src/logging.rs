//! Where log messages go and which: to the journal with their fields when stderr is the journal, else to stderr as
//! text. Set up once, before anything logs.

use crate::Mistake;
use std::io::IsTerminal;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The environment variable that overrules the configuration's level.
const VARIABLE: &str = "TANDEM_LOG";

/// Starts logging.
///
/// # Errors
/// A [`Mistake`] when `TANDEM_LOG` isn't a filter; else when logging was started before.
pub(crate) fn start(level: tracing::Level) -> anyhow::Result<()> {
    let chosen = std::env::var_os(VARIABLE).map(|text| text.to_string_lossy().into_owned());
    let filter = filter(chosen.as_deref(), level)?;
    if stderr_is_journal() {
        // The journal's socket may be out of reach although stderr is its stream: then text will do.
        if let Ok(journal) = tracing_journald::layer() {
            let journal = journal.with_syslog_identifier("tandemd".to_owned());
            return Ok(tracing_subscriber::registry().with(journal.with_filter(filter)).try_init()?);
        }
    }
    Ok(to_stderr(filter)?)
}

fn to_stderr(filter: Targets) -> Result<(), TryInitError> {
    let stderr = std::io::stderr;
    let text = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    tracing_subscriber::registry().with(text.with_filter(filter)).try_init()
}

/// The filter that the user chose, else everything from the configured level up; the bus library's own chatter only
/// from `info` up.
fn filter(chosen: Option<&str>, level: tracing::Level) -> Result<Targets, Mistake> {
    match chosen {
        Some(text) if !text.trim().is_empty() => text.parse().map_err(|error| {
            let remedy =
                "use a level, such as `debug`, or levels by part, such as `info,tandem_engine=debug`";
            Mistake(format!("{VARIABLE}: `{}` is not a filter ({error}); {remedy}", text.escape_debug()))
        }),
        _ => {
            let bus = level.min(tracing::Level::INFO);
            Ok(Targets::new().with_default(level).with_target("zbus", bus).with_target("zbus_polkit", bus))
        }
    }
}

/// Whether stderr is the stream that systemd connected to the journal: `JOURNAL_STREAM` names its device and inode.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Some((device, inode)) = stream.split_once(':') else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|facts| device.parse() == Ok(facts.st_dev) && inode.parse() == Ok(facts.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_variable_overrules_the_level() {
        let by_level = filter(None, Level::DEBUG).unwrap();
        assert!(by_level.would_enable("tandem_engine::run", &Level::DEBUG));
        assert!(!by_level.would_enable("zbus::connection", &Level::DEBUG));
        let quiet = filter(Some(""), Level::ERROR).unwrap();
        assert!(!quiet.would_enable("zbus", &Level::INFO));
        let chosen = filter(Some("warn,tandem_engine=trace"), Level::ERROR).unwrap();
        assert!(chosen.would_enable("tandem_engine::plan", &Level::TRACE));
        assert!(!chosen.would_enable("tandem_dbus", &Level::INFO));
    }

    #[test]
    fn a_filter_that_is_none_is_named() {
        let text = filter(Some("tandem=loud"), Level::INFO).unwrap_err().to_string();
        assert!(text.starts_with("TANDEM_LOG: `tandem=loud` is not a filter"), "{text}");
    }
}
