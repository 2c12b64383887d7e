//! `tandemctl stop`: ends runs at a safe point.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::units;
use crate::select::select;
use serde_json::json;

/// Stop synchronising; `sync` goes on from there
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {devices: array of the ids of those that were told to stop}.")]
pub(crate) struct Args {
    /// Devices: their ids, names, or unambiguous beginnings of either
    #[arg(value_name = "DEVICE", required_unless_present = "all")]
    devices: Vec<String>,
    /// All devices that are synchronising
    #[arg(long, short, conflicts_with = "devices")]
    all: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let all = context.client.devices().await?;
    let devices = if args.all {
        all.into_iter().filter(crate::device::Device::is_synchronizing).collect()
    } else {
        args.devices.iter().map(|wanted| select(&all, wanted)).collect::<Result<Vec<_>, _>>()?
    };
    for device in &devices {
        context.client.device_proxy(device).await?.stop().await?;
    }
    let ids: Vec<_> = devices.iter().map(|device| &device.id).collect();
    let line = match devices.as_slice() {
        [device] => format!("{} stops.", device.label()),
        devices => format!("{} told to stop.", units::count(devices.len(), "device")),
    };
    context.output.done(&json!({"devices": ids}), &line)?;
    Ok(Exit::Ok)
}
