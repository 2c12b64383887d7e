//! The configuration: its keys, their defaults, and how the files of several places become one. It reads files and
//! nothing else; what the values do is for the crates that get them.

mod read;
mod value;

pub(crate) use read::load;

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use value::{AbsolutePath, Label, Level, Seconds};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Directories that stand for players.
    pub(crate) folders: Vec<Folder>,
    /// Whether players are looked for with udev.
    pub(crate) udev: bool,
    /// How long a change of a library has to rest before players follow.
    pub(crate) settle: Duration,
    /// Whether what is copied is read back from every player.
    pub(crate) verify: bool,
    /// How long an unused library agent goes on running.
    pub(crate) linger: Duration,
    /// The least important messages that are logged.
    pub(crate) level: tracing::Level,
}

/// A directory that stands for a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Which directory.
    pub(crate) path: PathBuf,
    /// What the player is called; the directory's own name without one.
    pub(crate) name: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            udev: true,
            settle: Duration::from_secs(3),
            verify: false,
            linger: Duration::from_secs(30),
            level: tracing::Level::INFO,
        }
    }
}

impl Config {
    /// Takes over every key that a file sets.
    fn merge(&mut self, file: ConfigFile) {
        let ConfigFile { folder, hardware, engine, library, log } = file;
        let HardwareTable { udev } = hardware;
        let EngineTable { settle_seconds, verify } = engine;
        let LibraryTable { linger_seconds } = library;
        let LogTable { level } = log;
        if let Some(folders) = folder {
            let folder =
                |table: FolderTable| Folder { path: table.path.0, name: table.name.map(|name| name.0) };
            self.folders = folders.into_iter().map(folder).collect();
        }
        self.udev = udev.unwrap_or(self.udev);
        self.settle = settle_seconds.map_or(self.settle, |seconds| Duration::from_secs(seconds.0));
        self.verify = verify.unwrap_or(self.verify);
        self.linger = linger_seconds.map_or(self.linger, |seconds| Duration::from_secs(seconds.0));
        self.level = level.map_or(self.level, |level| level.0);
    }
}

/// One file, as TOML has it: each key may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    folder: Option<Vec<FolderTable>>,
    #[serde(default)]
    hardware: HardwareTable,
    #[serde(default)]
    engine: EngineTable,
    #[serde(default)]
    library: LibraryTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderTable {
    path: AbsolutePath,
    name: Option<Label>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HardwareTable {
    udev: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EngineTable {
    settle_seconds: Option<Seconds<3600>>,
    verify: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LibraryTable {
    linger_seconds: Option<Seconds<86_400>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogTable {
    level: Option<Level>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/tandemd.toml");

    /// The shipped file with every commented default in force: `#key = value`, without a space after the sign.
    fn uncommented() -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        };
        SHIPPED.lines().map(line).collect()
    }

    #[test]
    fn the_shipped_file_changes_nothing() {
        let mut config = Config::default();
        config.merge(toml::from_str(SHIPPED).unwrap());
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_shipped_file_lists_every_default() {
        let file: ConfigFile = toml::from_str(&uncommented()).unwrap();
        assert!(file.hardware.udev.is_some());
        assert!(file.engine.settle_seconds.is_some() && file.engine.verify.is_some());
        assert!(file.library.linger_seconds.is_some());
        assert!(file.log.level.is_some());
        assert_eq!(file.folder.as_ref().map(Vec::len), Some(0), "`folder` is shown with its empty default");
        let mut config = Config {
            folders: vec![Folder { path: "/nowhere".into(), name: None }],
            udev: false,
            settle: Duration::MAX,
            verify: true,
            linger: Duration::MAX,
            level: tracing::Level::TRACE,
        };
        config.merge(file);
        assert_eq!(config, Config::default());
    }
}
