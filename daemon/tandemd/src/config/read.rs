//! Finds and reads the configuration's files, in the order in which later ones win, and says exactly where one is
//! wrong.

use super::{Config, ConfigFile};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Far more than a configuration needs; a file that is larger isn't one.
const LIMIT: u64 = 1024 * 1024;

/// What is wrong with the configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The text isn't what it should be.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong { path: PathBuf, line: usize, column: usize, message: String },
    /// A file or directory can't be read.
    #[error("{} can't be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// A file is too large to be a configuration.
    #[error("{} is larger than {LIMIT} bytes; it can't be a configuration file", path.display())]
    TooLarge { path: PathBuf },
}

/// Reads `tandemd.toml` of each directory, then the drop-ins. A drop-in of a later directory takes the place of one with
/// the same name; all are read in the order of their names. With `only`, that file and nothing else.
///
/// # Errors
/// When a file is wrong or can't be read; that one isn't there is no error, but for `only`.
pub(crate) fn load(directories: &[PathBuf], only: Option<&Path>) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    if let Some(path) = only {
        config.merge(parse(path, &read(path)?)?);
        return Ok(config);
    }
    let main = directories.iter().map(|directory| directory.join("tandemd.toml"));
    for path in main.chain(drop_ins(directories)?) {
        match read(&path) {
            Ok(text) => config.merge(parse(&path, &text)?),
            Err(ConfigError::Unreadable { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(config)
}

fn drop_ins(directories: &[PathBuf]) -> Result<Vec<PathBuf>, ConfigError> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        let directory = directory.join("tandemd.toml.d");
        let unreadable = |cause| ConfigError::Unreadable { path: directory.clone(), cause };
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(unreadable(cause)),
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let hidden = |name: &OsString| name.as_encoded_bytes().starts_with(b".");
            let name = path.file_name().map(ToOwned::to_owned).filter(|name| !hidden(name));
            if let (Some(name), Some("toml")) =
                (name, path.extension().and_then(|extension| extension.to_str()))
            {
                found.insert(name, path);
            }
        }
    }
    Ok(found.into_values().collect())
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<ConfigFile, ConfigError> {
    let wrong = |at: usize, message: String| {
        let (line, column) = position(bytes, at);
        ConfigError::Wrong { path: path.to_owned(), line, column, message }
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        wrong(at, format!("byte 0x{byte:02X} is not UTF-8; save the file as UTF-8"))
    })?;
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(at, error.message().replace('\n', "; "))
    })
}

/// The line and column, both counted from 1, of a byte; columns are characters.
fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::time::Duration;
    use tempfile::TempDir;

    fn put(dir: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    fn error(text: &str) -> String {
        parse(Path::new("/etc/t.toml"), text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn later_files_win_key_by_key() {
        let (vendor, admin) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        put(&vendor, "tandemd.toml", "[engine]\nsettle-seconds = 1\n[library]\nlinger-seconds = 1\n");
        put(
            &admin,
            "tandemd.toml",
            "[engine]\nsettle-seconds = 2\nverify = true\n[hardware]\nudev = false\n",
        );
        put(&vendor, "tandemd.toml.d/50-x.toml", "[engine]\nsettle-seconds = 3\n");
        put(&vendor, "tandemd.toml.d/60-y.toml", "[[folder]]\npath = \"/y\"\nname = \"Y\"\n");
        put(&admin, "tandemd.toml.d/60-y.toml", "[[folder]]\npath = \"/z\"\n");
        put(&admin, "tandemd.toml.d/40-w.toml", "[engine]\nsettle-seconds = 4\n[log]\nlevel = \"warn\"\n");
        put(&admin, "tandemd.toml.d/.99-hidden.toml", "nonsense");
        put(&admin, "tandemd.toml.d/99-old.toml.bak", "nonsense");
        let config = load(&[vendor.path().to_owned(), admin.path().to_owned()], None).unwrap();
        let expected = Config {
            folders: vec![super::super::Folder { path: "/z".into(), name: None }],
            udev: false,
            settle: Duration::from_secs(3),
            verify: true,
            linger: Duration::from_secs(1),
            level: tracing::Level::WARN,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn no_files_are_the_defaults_but_a_named_one_must_be_there() {
        let dir = TempDir::new().unwrap();
        assert_eq!(load(&[dir.path().to_owned()], None).unwrap(), Config::default());
        let missing = dir.path().join("missing.toml");
        let text = load(&[], Some(&missing)).unwrap_err().to_string();
        assert!(text.starts_with(missing.to_str().unwrap()), "{text}");
        let only = put(&dir, "only.toml", "[library]\nlinger-seconds = 7\n");
        put(&dir, "tandemd.toml", "nonsense");
        let config = load(&[dir.path().to_owned()], Some(&only)).unwrap();
        assert_eq!(config.linger, Duration::from_secs(7));
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_what_would_do() {
        let text = error("[engine]\n\nsettel-seconds = 3\n");
        assert_eq!(
            text,
            "/etc/t.toml:3:1: unknown field `settel-seconds`, expected `settle-seconds` or `verify`"
        );
        for (mistake, place, remedy) in [
            ("folders = []", "1:1", "`folder`"),
            ("[log]\nlevel = \"loud\"", "2:9", "`loud` is not a level; use `error`"),
            ("[library]\nlinger-seconds = -1", "2:18", "from 0 to 86400"),
            ("[library]\nlinger-seconds = 1.5", "2:18", "a whole number of seconds"),
            ("[library]\nlinger-seconds = \"9\"", "2:18", "a whole number of seconds"),
            ("[engine]\nsettle-seconds = 3601", "2:18", "from 0 to 3600"),
            ("[hardware]\nudev = 1", "2:8", "expected a boolean"),
            ("[engine]\nverify = \"yes\"", "2:10", "expected a boolean"),
            ("[[folder]]\nname = \"x\"", "1:1", "missing field `path`"),
            ("[[folder]]\npath = \"music\"", "2:8", "`music` is not an absolute path"),
            ("[[folder]]\npath = \"/m\"\nname = \"\\n\"", "3:8", "can't be a name"),
            ("[log\n", "1:5", ""),
            ("a = 1\na = 2", "", ""),
        ] {
            let text = error(mistake);
            assert!(text.starts_with(&format!("/etc/t.toml:{place}")), "{mistake}: {text}");
            assert!(text.contains(remedy), "{mistake}: {text}");
            assert!(!text.contains('\n'), "{mistake}: {text}");
        }
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let text = parse(Path::new("/t"), b"# \xc3\xa4\n\xff").unwrap_err().to_string();
        assert_eq!(text, "/t:2:1: byte 0xFF is not UTF-8; save the file as UTF-8");
        let dir = TempDir::new().unwrap();
        let directory = dir.path().join("tandemd.toml");
        std::fs::create_dir(&directory).unwrap();
        assert!(matches!(load(&[dir.path().to_owned()], None), Err(ConfigError::Unreadable { .. })));
        let large = put(&dir, "large.toml", &"#".repeat(1024 * 1024 + 1));
        assert!(matches!(load(&[], Some(&large)), Err(ConfigError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes: Vec<u8>) {
            let _ = parse(Path::new("/t"), &bytes);
        }

        #[test]
        fn any_value_is_taken_or_refused_in_its_place(value in "[ -~]{0,20}", key in 0usize..5) {
            let keys = ["[engine]\nsettle-seconds", "[library]\nlinger-seconds", "[log]\nlevel", "[hardware]\nudev",
                "[[folder]]\npath"];
            if let Err(error) = parse(Path::new("/t"), format!("{} = {value}\n", keys[key]).as_bytes()) {
                prop_assert!(error.to_string().starts_with("/t:"), "{}", error);
            }
        }
    }
}
