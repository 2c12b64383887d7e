//! Where configuration, state and run-time files are, for the system's daemon and for one user's. Pure: the environment
//! comes in as a function.

use crate::Mistake;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directories that the daemon uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where configuration is; later ones win.
    pub(crate) config: Vec<PathBuf>,
    /// Where partnerships, manifests and the lock are kept.
    pub(crate) state: PathBuf,
    /// Where the socket for library agents is; the system's daemon alone has one.
    pub(crate) runtime: PathBuf,
    /// Directories with the files of service providers, later ones winning.
    pub(crate) providers: Vec<PathBuf>,
}

/// Where the files of service providers are, below each directory.
const PROVIDERS: &str = "tandem/providers.d";

impl Places {
    /// The places of the system's daemon: those that systemd made for the unit, else the usual ones.
    pub(crate) fn system(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let given =
            |name: &str, usual: &str| first_path(variable(name)).unwrap_or_else(|| PathBuf::from(usual));
        Self {
            config: vec![PathBuf::from("/usr/lib/tandem"), PathBuf::from("/etc/tandem")],
            state: given("STATE_DIRECTORY", "/var/lib/tandem"),
            runtime: given("RUNTIME_DIRECTORY", "/run/tandem"),
            providers: ["/usr/share", "/etc"].map(|below| Path::new(below).join(PROVIDERS)).to_vec(),
        }
    }

    /// The places of one user's daemon, by the XDG base directories: a variable that isn't an absolute path is ignored.
    ///
    /// # Errors
    /// When there is neither a variable nor a home directory to find them by.
    pub(crate) fn session(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Mistake> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let base = |name: &str, below_home: &str| {
            let missing = || Mistake(format!("neither {name} nor HOME is an absolute path; set one of them"));
            absolute(name).or_else(|| home.as_ref().map(|home| home.join(below_home))).ok_or_else(missing)
        };
        let state = base("XDG_STATE_HOME", ".local/state")?.join("tandem");
        Ok(Self {
            config: vec![base("XDG_CONFIG_HOME", ".config")?.join("tandem")],
            providers: vec![
                base("XDG_DATA_HOME", ".local/share")?.join(PROVIDERS),
                base("XDG_CONFIG_HOME", ".config")?.join(PROVIDERS),
            ],
            runtime: absolute("XDG_RUNTIME_DIR").map_or_else(|| state.clone(), |path| path.join("tandem")),
            state,
        })
    }
}

/// systemd lists several directories with colons between them; the first one is the unit's main one.
fn first_path(list: Option<OsString>) -> Option<PathBuf> {
    let list = list?.into_string().ok()?;
    let first = list.split(':').next().filter(|path| path.starts_with('/'))?;
    Some(PathBuf::from(first))
}

/// The library agent's program: the one that was named, else `tandem-library-agent` beside the daemon's program, else in
/// `../libexec` from there.
///
/// # Errors
/// When none of them is a file; names them all.
pub(crate) fn agent_program(named: Option<&Path>, daemon: &Path) -> Result<PathBuf, Mistake> {
    const NAME: &str = "tandem-library-agent";
    let places = match named {
        Some(named) => vec![named.to_owned()],
        None => {
            let libexec = |folder: &Path| folder.parent().map(|prefix| prefix.join("libexec"));
            let folders = daemon.parent().into_iter().flat_map(|bin| [Some(bin.to_owned()), libexec(bin)]);
            folders.flatten().map(|folder| folder.join(NAME)).collect()
        }
    };
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let list: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Mistake(format!(
            "the library agent isn't at {}; name its program with --agent",
            list.join(" nor at ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn the_system_uses_what_systemd_made() {
        let places = Places::system(environment(&[("STATE_DIRECTORY", "/var/lib/private/t:/other")]));
        assert_eq!(places.state, Path::new("/var/lib/private/t"));
        assert_eq!(places.runtime, Path::new("/run/tandem"));
        assert_eq!(places.config, [Path::new("/usr/lib/tandem"), Path::new("/etc/tandem")]);
        let providers = ["/usr/share/tandem/providers.d", "/etc/tandem/providers.d"];
        assert_eq!(places.providers, providers.map(Path::new));
    }

    #[test]
    fn a_session_uses_the_base_directories() {
        let set = [("HOME", "/home/ann"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "relative")];
        let places = Places::session(environment(&set)).unwrap();
        assert_eq!(places.state, Path::new("/s/tandem"));
        assert_eq!(places.config, [Path::new("/home/ann/.config/tandem")]);
        assert_eq!(places.runtime, Path::new("/s/tandem"));
        let providers = ["/home/ann/.local/share/tandem/providers.d", "/home/ann/.config/tandem/providers.d"];
        assert_eq!(places.providers, providers.map(Path::new));
        let text = Places::session(environment(&[("XDG_STATE_HOME", "/s")])).unwrap_err().to_string();
        assert!(text.contains("XDG_CONFIG_HOME"), "{text}");
    }

    #[test]
    fn the_agent_is_found_beside_the_daemon_or_in_libexec() {
        let dir = tempfile::TempDir::new().unwrap();
        let daemon = dir.path().join("bin/tandemd");
        let text = agent_program(None, &daemon).unwrap_err().to_string();
        assert!(text.contains(" nor at ") && text.contains("--agent"), "{text}");
        for place in ["libexec", "bin"] {
            std::fs::create_dir(dir.path().join(place)).unwrap();
            std::fs::File::create(dir.path().join(place).join("tandem-library-agent")).unwrap();
            let found = agent_program(None, &daemon).unwrap();
            assert!(found.ends_with(format!("{place}/tandem-library-agent")), "{}", found.display());
        }
        let text = agent_program(Some(Path::new("/no/agent")), &daemon).unwrap_err().to_string();
        assert!(text.starts_with("the library agent isn't at /no/agent;"), "{text}");
    }
}
