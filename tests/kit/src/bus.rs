//! A message bus of a test's own: a `dbus-daemon` with nothing on it, gone when the value is dropped. It never touches
//! the machine's buses, and starts no services by itself.

use futures_util::StreamExt;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running `dbus-daemon` and its address.
#[derive(Debug)]
pub struct PrivateBus {
    process: Child,
    address: String,
    dir: TempDir,
}

impl PrivateBus {
    /// Starts a bus on which everyone may do everything, as on a session bus.
    ///
    /// # Panics
    /// When `dbus-daemon` isn't installed or doesn't start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with_rules(
            "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>",
        )
    }

    /// Starts a bus with the rules of a system bus (deny what isn't allowed), and these policy files.
    ///
    /// # Panics
    /// When `dbus-daemon` isn't installed, or refuses one of the files.
    #[must_use]
    pub fn start_with_policy(files: &[&Path]) -> Self {
        let mut rules = String::from(
            "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/><deny send_type=\"method_call\"/>\
             <allow send_type=\"signal\"/><allow send_requested_reply=\"true\" send_type=\"method_return\"/>\
             <allow send_requested_reply=\"true\" send_type=\"error\"/><allow receive_type=\"method_call\"/>\
             <allow receive_type=\"method_return\"/><allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\
             <allow send_destination=\"org.freedesktop.DBus\"/></policy>",
        );
        for file in files {
            write!(rules, "<include>{}</include>", file.display()).expect("writing to a String can't fail");
        }
        Self::start_with_rules(&rules)
    }

    fn start_with_rules(rules: &str) -> Self {
        let dir = TempDir::with_prefix("tandem-bus-").expect("the temporary directory can be written");
        let config = dir.path().join("bus.conf");
        let text = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\
             <busconfig><type>tandem-test</type><keep_umask/><listen>unix:path={}</listen>\
             <auth>EXTERNAL</auth>{rules}</busconfig>",
            dir.path().join("bus").display()
        );
        crate::music::write_file(&config, text.as_bytes());
        let log =
            std::fs::File::create(dir.path().join("stderr")).expect("the temporary directory can be written");
        let mut process = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("dbus-daemon is installed (Debian package `dbus`)");
        let mut address = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut address).expect("dbus-daemon prints its address as text");
        }
        let bus = Self { process, address: address.trim().to_owned(), dir };
        assert!(!bus.address.is_empty(), "dbus-daemon did not start:\n{}", bus.stderr());
        bus
    }

    /// Its address, for `DBUS_SESSION_BUS_ADDRESS` or `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// What the bus has complained about so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// A new connection to it, with the test's own uid.
    ///
    /// # Panics
    /// When the bus doesn't answer.
    pub async fn connect(&self) -> zbus::Connection {
        zbus::connection::Builder::address(self.address())
            .method_timeout(crate::LIMIT)
            .build()
            .await
            .expect("a private bus takes connections of the user who started it")
    }

    /// Ends the bus under its clients, as when a system's bus is stopped.
    ///
    /// # Panics
    /// When the process can't be waited for.
    pub fn stop(&mut self) {
        // An error means that it has ended already.
        self.process.kill().ok();
        self.process.wait().expect("a child that wasn't waited for can be waited for");
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Starts the process of a service, and returns when its name is on the bus.
///
/// # Panics
/// When it ends before that, or takes longer than [`crate::LIMIT`].
pub async fn started(
    bus: &PrivateBus,
    bus_name: &str,
    command: &mut tokio::process::Command,
) -> tokio::process::Child {
    let connection = bus.connect().await;
    let proxy = zbus::fdo::DBusProxy::new(&connection).await.unwrap_or_else(|error| panic!("{error}"));
    let owners = proxy.receive_name_owner_changed_with_args(&[(0, bus_name)]).await;
    let mut owners = owners.unwrap_or_else(|error| panic!("{error}"));
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).stdin(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    tokio::select! {
        change = owners.next() => assert!(change.is_some(), "the bus ended"),
        status = process.wait() => panic!("{command:?} ended: {status:?}"),
        () = tokio::time::sleep(crate::LIMIT) => panic!("{command:?} did not take its name"),
    }
    process
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn buses_are_apart_and_end_with_their_value() {
        let (one, mut two) = (PrivateBus::start(), PrivateBus::start());
        let (on_one, on_two) = (one.connect().await, two.connect().await);
        on_one.request_name("org.example.Kit").await.unwrap();
        on_two.request_name("org.example.Kit").await.unwrap();
        two.stop();
        assert!(on_two.release_name("org.example.Kit").await.is_err());
        assert!(on_one.release_name("org.example.Kit").await.unwrap());
    }

    #[tokio::test]
    async fn a_policy_decides_who_may_own_a_name() {
        let dir = TempDir::new().unwrap();
        let policy = dir.path().join("policy.conf");
        let text = "<busconfig><policy user=\"0\"><allow own=\"org.example.Kit\"/></policy></busconfig>";
        crate::music::write_file(&policy, text.as_bytes());
        let bus = PrivateBus::start_with_policy(&[&policy]);
        let connection = bus.connect().await;
        let allowed = connection.request_name("org.example.Kit").await;
        assert_eq!(allowed.is_ok(), rustix::process::getuid().is_root(), "{allowed:?}");
        assert!(connection.request_name("org.example.Other").await.is_err());
    }
}
