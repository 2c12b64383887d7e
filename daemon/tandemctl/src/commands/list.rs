//! `tandemctl list`: what devices there are. What they are doing is `status`.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::units;

/// List the devices: connected ones, and absent ones that have a partnership
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: an array of devices, as `tandemctl --help` describes them.")]
pub(crate) struct Args {
    /// Only devices that are connected
    #[arg(long, short)]
    connected: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let mut devices = context.client.devices().await?;
    devices.retain(|device| device.connected || !args.connected);
    if context.output.json {
        context.output.document(&devices)?;
        return Ok(Exit::Ok);
    }
    if devices.is_empty() {
        context.output.say("No devices. Plug a player in.")?;
    }
    let mut rows =
        Rows::new(&["NAME", "KIND", "STATUS", "STATE", "FREE", "SIZE", "LAST SYNC", "ID"]).right(&[4, 5]);
    for device in &devices {
        let space = |bytes| if device.connected { units::size(bytes) } else { "-".to_owned() };
        rows.row([
            device.label(),
            &device.kind,
            &device.status,
            device.state(),
            &space(device.free_space),
            &space(device.total_space),
            &device.last_sync(),
            &device.id,
        ]);
    }
    rows.print(&context.output)?;
    Ok(Exit::Ok)
}
