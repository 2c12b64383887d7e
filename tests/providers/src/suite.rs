//! The conformance suite as a function, and providers as processes.

use crate::meddler::{Harm, MEDDLED, Meddler, Process};
use crate::stage::Example;
use kit::{LIMIT, PrivateBus, program};
use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tandem_provider::{Driver, Identity, Provider, Serving};
use tokio::process::Command;

/// What became of one check.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// The check.
    pub name: String,
    /// `pass`, `fail` or `not-offered`.
    pub result: String,
    /// Why it did not pass.
    pub why: Option<String>,
    /// What to do when it failed.
    pub remedy: Option<String>,
}

/// What the suite says of a provider.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Each check, in order.
    pub checks: Vec<Line>,
    /// Whether the device is as it was.
    pub cleaned_up: bool,
    /// The exit code.
    #[serde(skip)]
    pub code: Option<i32>,
}

impl Report {
    /// The names of the checks with this result, with the reasons.
    #[must_use]
    pub fn with(&self, result: &str) -> Vec<(&str, &str)> {
        let lines = self.checks.iter().filter(|line| line.result == result);
        lines.map(|line| (line.name.as_str(), line.why.as_deref().unwrap_or_default())).collect()
    }
}

/// Runs `tandemctl provider test` on this bus.
///
/// # Panics
/// When it doesn't end within [`LIMIT`], or says something else than a report.
pub async fn conformance(bus: &PrivateBus, bus_name: &str) -> Report {
    suite(bus, &[bus_name]).await
}

/// Runs it on an example that lacks these calls.
///
/// # Panics
/// As `conformance`.
pub async fn conformance_without(
    example: Example,
    player: &Path,
    members: &'static [&'static str],
) -> Report {
    let (bus, place) = (Arc::new(PrivateBus::start()), player.to_owned());
    let process = Arc::new(Process::new(example.bus_name, move || (example.command)(&place)));
    process.start(&bus).await;
    let plan = Some((0, Harm::Without(members)));
    let meddler = Meddler::enter(&bus, &process, &Arc::default(), plan, Duration::ZERO).await;
    let report = suite(&bus, &[MEDDLED, "--object", example.root]).await;
    meddler.leave().await;
    process.kill().await;
    report
}

async fn suite(bus: &PrivateBus, provider: &[&str]) -> Report {
    let mut command = Command::new(program("tandemctl"));
    command.args(["--session", "--json", "provider", "test", "--yes"]).args(provider);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("the conformance suite does not end"));
    let output = output.unwrap_or_else(|error| panic!("tandemctl can't be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let mut report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{said}", String::from_utf8_lossy(&output.stdout)));
    report.code = output.status.code();
    report
}

/// Serves a provider with one announced device from this process.
///
/// # Panics
/// When the bus refuses it.
pub async fn on_bus(bus: &PrivateBus, driver: impl Driver) -> Serving {
    let connection = bus.connect().await;
    let provider = Provider::new("org.example.Memory", "/org/example/Memory", driver);
    let serving = provider.announce(Identity::named("memory")).serve(&connection).await;
    serving.unwrap_or_else(|error| panic!("{error}"))
}
