//! A running `tandemd` with everything that it reads and writes in a temporary directory: started, killed, ended and
//! started again by tests. What it says on stderr is shown when something fails.

use crate::{BUS_NAME, Events, LIMIT, PrivateBus, program};
use futures_util::StreamExt;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use zbus::fdo::DBusProxy;

/// What a daemon is started with.
#[derive(Debug, Default)]
pub struct DaemonBuilder {
    bus: Option<Arc<PrivateBus>>,
    system: bool,
    powerless: bool,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    music: Option<PathBuf>,
    config: Option<String>,
}

/// A daemon that ended before its name was on the bus.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub stderr: String,
}

impl DaemonBuilder {
    /// Uses this bus in place of one of its own.
    #[must_use]
    pub fn bus(mut self, bus: &Arc<PrivateBus>) -> Self {
        self.bus = Some(Arc::clone(bus));
        self
    }

    /// Runs it as on the system bus, with the private bus in that place. Its configuration is [`Self::config`] alone.
    #[must_use]
    pub fn system(mut self) -> Self {
        self.system = true;
        self
    }

    /// Where the tests run as root, runs it without root's way past the modes of files, as a user's daemon runs.
    #[must_use]
    pub fn powerless(mut self) -> Self {
        self.powerless = true;
        self
    }

    /// Adds a player that is a directory.
    #[must_use]
    pub fn folder(self, path: impl AsRef<Path>) -> Self {
        self.argument("--folder").argument(path.as_ref())
    }

    /// The user's XDG music directory; without this an empty one.
    #[must_use]
    pub fn music(mut self, path: impl AsRef<Path>) -> Self {
        self.music = Some(path.as_ref().to_owned());
        self
    }

    /// The text of the configuration file. For one user, a drop-in of the kit's turns udev off and the wait for a library
    /// to settle to nothing.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it, and returns when its name is on the bus.
    ///
    /// # Panics
    /// When it ends before that, with what it said.
    pub async fn start(self) -> Daemon {
        match self.try_start().await {
            Ok(daemon) => daemon,
            Err(refused) => panic!("tandemd did not start: {}\n{}", refused.status, refused.stderr),
        }
    }

    /// Starts it, and returns when its name is on the bus or it has ended.
    ///
    /// # Errors
    /// How it ended, and what it said.
    ///
    /// # Panics
    /// When neither comes to pass within [`LIMIT`].
    pub async fn try_start(self) -> Result<Daemon, Refused> {
        let home = TempDir::with_prefix("tandem-home-").expect("the temporary directory can be written");
        let music = self.music.unwrap_or_else(|| home.path().join("Music"));
        std::fs::create_dir_all(&music).unwrap_or_else(|error| panic!("{}: {error}", music.display()));
        let dirs = format!("XDG_MUSIC_DIR=\"{}\"\n", music.display());
        crate::music::write_file(&home.path().join("config/user-dirs.dirs"), dirs.as_bytes());
        // Whatever is plugged into the machine is nobody's business here; a test that wants it puts a later drop-in.
        let quiet = "[hardware]\nudev = false\n[engine]\nsettle-seconds = 0\n";
        let drop_in = home.path().join("config/tandem/tandemd.toml.d/00-kit.toml");
        crate::music::write_file(&drop_in, quiet.as_bytes());
        if self.config.is_some() || self.system {
            let config = self.config.as_deref().unwrap_or(quiet);
            crate::music::write_file(&home.path().join("config/tandem/tandemd.toml"), config.as_bytes());
        }
        let bus = self.bus.unwrap_or_else(|| Arc::new(PrivateBus::start()));
        let mut daemon = Daemon {
            process: None,
            killed: None,
            start_time: Duration::ZERO,
            bus,
            home,
            system: self.system,
            powerless: self.powerless,
            arguments: self.arguments,
            environment: self.environment,
        };
        daemon.launch().await?;
        Ok(daemon)
    }
}

/// A daemon, running or ended. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    process: Option<Child>,
    /// The process that was killed last.
    killed: Option<u32>,
    start_time: Duration,
    bus: Arc<PrivateBus>,
    home: TempDir,
    system: bool,
    powerless: bool,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
}

impl Daemon {
    /// A daemon for one user, on a bus of its own, with no players.
    #[must_use]
    pub fn builder() -> DaemonBuilder {
        DaemonBuilder::default()
    }

    /// The bus that it is on.
    #[must_use]
    pub fn bus(&self) -> &Arc<PrivateBus> {
        &self.bus
    }

    /// A new connection to its bus.
    pub async fn connect(&self) -> zbus::Connection {
        self.bus.connect().await
    }

    /// Its signals, from now on.
    pub async fn events(&self) -> Events {
        Events::subscribe(self.bus.connect().await).await
    }

    /// The directory that holds its `config`, `state`, `data`, `cache` and `run`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("state/tandem")
    }

    /// The daemon's process id; `None` when it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// How long the last start took, from the making of its process to its name on the bus.
    #[must_use]
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// What it and its agents have said so far, over all starts.
    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.home.path().join("stderr")).unwrap_or_default()
    }

    /// A program with the daemon's environment, and no input.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = if self.powerless && rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let lost = "-dac_override,-dac_read_search";
            command.args(["--inh-caps", lost, "--bounding-set", lost, "--"]).arg(program(name));
            command
        } else {
            Command::new(program(name))
        };
        let home = self.home.path();
        let nowhere = OsString::from("unix:path=/nonexistent/tandem-test-bus");
        let bus = OsString::from(self.bus.address());
        let (session, system) = if self.system { (nowhere, bus) } else { (bus, nowhere) };
        command
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .env("DBUS_SESSION_BUS_ADDRESS", session)
            .env("DBUS_SYSTEM_BUS_ADDRESS", system)
            .env("TANDEM_BUS", if self.system { "system" } else { "session" })
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("RUNTIME_DIRECTORY", home.join("run"))
            .env_remove("XDG_MUSIC_DIR")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs `tandemctl` with these arguments on the daemon's bus, to its end.
    ///
    /// # Panics
    /// When it doesn't end within [`LIMIT`].
    pub async fn ctl(&self, arguments: &[&str]) -> Output {
        let run = self.command("tandemctl").args(arguments).output();
        match tokio::time::timeout(LIMIT, run).await {
            Ok(output) => output.unwrap_or_else(|error| panic!("tandemctl can't be run: {error}")),
            Err(_) => panic!("tandemctl {arguments:?} did not end; the daemon said:\n{}", self.stderr()),
        }
    }

    /// Kills it with SIGKILL, as a crash or a power cut would. It may have ended already.
    ///
    /// # Panics
    /// When it can't be waited for.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            self.killed = process.id();
            process.kill().await.unwrap_or_else(|error| panic!("tandemd can't be killed: {error}"));
        }
    }

    /// Asks it to end with SIGTERM, and waits until it has.
    ///
    /// # Panics
    /// When it isn't running, or doesn't end within [`LIMIT`].
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait().await
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it isn't running.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        let pid = pid.unwrap_or_else(|| panic!("tandemd isn't running; it said:\n{}", self.stderr()));
        rustix::process::kill_process(pid, signal).unwrap_or_else(|error| panic!("{pid:?}: {error}"));
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it isn't running, or doesn't end within [`LIMIT`].
    pub async fn wait(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("a test waits only for a daemon that it started");
        match tokio::time::timeout(LIMIT, process.wait()).await {
            Ok(status) => status.unwrap_or_else(|error| panic!("tandemd can't be waited for: {error}")),
            Err(_) => panic!("tandemd did not end; it said:\n{}", self.stderr()),
        }
    }

    /// Starts it again over the same state, killing it first if it runs.
    ///
    /// # Panics
    /// When it ends before its name is on the bus.
    pub async fn restart(&mut self) {
        if let Err(refused) = self.try_restart().await {
            panic!("tandemd did not start again: {}\n{}", refused.status, refused.stderr);
        }
    }

    /// Starts it again over the same state, killing it first if it runs; it may refuse to.
    ///
    /// # Errors
    /// How it ended, and what it said.
    pub async fn try_restart(&mut self) -> Result<(), Refused> {
        self.kill().await;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), Refused> {
        std::fs::create_dir_all(self.home.path().join("run"))
            .expect("the temporary directory can be written");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.path().join("stderr"))
            .expect("the temporary directory can be written");
        let mut command = self.command("tandemd");
        if self.system {
            let config = self.home.path().join("config/tandem/tandemd.toml");
            command.arg("--state").arg(self.state_dir()).arg("--config").arg(config);
        } else {
            command.arg("--session");
        }
        command.args(&self.arguments).stdout(Stdio::null()).stderr(log);
        let before = self.stderr().len();
        let bus = self.bus.connect().await;
        let proxy = DBusProxy::new(&bus).await.expect("the bus itself has a proxy");
        let mut owners = proxy
            .receive_name_owner_changed_with_args(&[(0, BUS_NAME)])
            .await
            .expect("a private bus lets its clients watch names");
        // the bus learns of a killed process a little later than its parent
        let released = async {
            while self.killed.is_some()
                && owner_pid(&proxy).await == self.killed
                && owners.next().await.is_some()
            {}
        };
        assert!(
            tokio::time::timeout(LIMIT, released).await.is_ok(),
            "the bus still holds the name of a killed process"
        );
        let begun = Instant::now();
        let mut process = command.spawn().unwrap_or_else(|error| panic!("tandemd can't be run: {error}"));
        let pid = process.id();
        let ready = async {
            loop {
                if owner_pid(&proxy).await == pid {
                    return;
                }
                if owners.next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = ready => {
                self.start_time = begun.elapsed();
                self.process = Some(process);
                Ok(())
            }
            status = process.wait() => {
                let status = status.unwrap_or_else(|error| panic!("tandemd can't be waited for: {error}"));
                Err(Refused { status, stderr: self.stderr().split_off(before) })
            }
            () = tokio::time::sleep(LIMIT) => {
                panic!("tandemd neither took its name nor ended; it said:\n{}", self.stderr())
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what tandemd said ---\n{}--- end ---", self.stderr());
        }
    }
}

/// The process that owns the daemon's name, if anyone does.
async fn owner_pid(proxy: &DBusProxy<'_>) -> Option<u32> {
    let name = BUS_NAME.try_into().expect("the contract's name is a legal name");
    proxy.get_connection_unix_process_id(name).await.ok()
}
