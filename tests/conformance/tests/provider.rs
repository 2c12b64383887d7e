//! The suite over a device that a service provider serves from another process: the example whose player is a directory.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use conformance::Subject;
use kit::{PrivateBus, program, started, write_file};
use std::sync::Arc;
use tandem_dbus::ServiceProviders;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::DeviceId;
use tandem_model::player::Player;
use tandem_model::presence::ProviderDevice;
use tempfile::TempDir;
use tokio::process::Command;

const BUS_NAME: &str = "org.example.DirectoryPlayer";
const FILE: &str = "name = 'Directory player'\nbus_name = 'org.example.DirectoryPlayer'\n\
                    object = '/org/example/DirectoryPlayer'\n[parameters]\nUseExtendedWmdm = 1\n";

fn description() -> DeviceDescription {
    DeviceDescription::named(DeviceId("provider-directory".to_owned()), Kind::Provider, "")
}

async fn provided() -> Option<Subject> {
    let (bus, directory) = (PrivateBus::start(), TempDir::with_prefix("tandem-provided-").unwrap());
    let files = directory.path().join("providers.d");
    write_file(&files.join("directory.toml"), FILE.as_bytes());
    let player = directory.path().join("player");
    std::fs::create_dir(&player).unwrap();
    let mut command = Command::new(program("examples/directory_player"));
    let process = started(&bus, BUS_NAME, command.arg(&player)).await;
    let device = ProviderDevice {
        canonical_name: format!("directory:{}", player.canonicalize().unwrap().display()),
        ids: None,
        serial: String::new(),
        interfaces: Vec::new(),
        syspath: String::new(),
        node: None,
        provider: Some(BUS_NAME.to_owned()),
    };
    let providers = ServiceProviders::at(bus.address(), vec![files]);
    let player: Arc<dyn Player> = providers.opener().open(&device, description()).await.unwrap();
    Some(Subject { player, keep: Box::new((process, bus, directory)) })
}

conformance::conformance!(provided());
