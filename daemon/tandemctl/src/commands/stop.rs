//! `tandemctl stop`: ends runs at a safe point, and waits until they have ended.

use super::Context;
use super::wait::Wait;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::{say_device, units};
use crate::select::select;
use serde_json::json;

/// Stop synchronising; `sync` goes on from there
///
/// A run ends at a safe point, within two seconds or so, and the command ends after it.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {devices: array of the ids of those that were told to stop, running: array of the \
                             ids of those of them that had a run}."
)]
pub(crate) struct Args {
    /// Devices: their ids, names, or unambiguous beginnings of either
    #[arg(value_name = "DEVICE", required_unless_present = "all")]
    devices: Vec<String>,
    /// All devices that are synchronising
    #[arg(long, short, conflicts_with = "devices")]
    all: bool,
    /// Do not wait for the ends of the runs
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let all = context.client.devices().await?;
    let devices: Vec<Device> = if args.all {
        all.into_iter().filter(Device::is_synchronizing).collect()
    } else {
        args.devices.iter().map(|wanted| select(&all, wanted)).collect::<Result<_, _>>()?
    };
    if let [wanted] = args.devices.as_slice() {
        say_device(wanted);
    }
    let mut wait = Wait::new(context).await?;
    for device in &devices {
        wait.events.during(context.client.ask(device, "Stop", &())).await?;
    }
    if !args.no_wait {
        for device in devices.iter().filter(|device| device.is_synchronizing()) {
            let done = |device: &Device| !device.is_synchronizing();
            wait.until(device.clone(), "will stop at a safe point", done, |_| None).await?;
        }
    }
    let running: Vec<&Device> = devices.iter().filter(|device| device.is_synchronizing()).collect();
    let ids = |devices: &mut dyn Iterator<Item = &Device>| devices.map(|d| d.id.clone()).collect::<Vec<_>>();
    let value = json!({"devices": ids(&mut devices.iter()), "running": ids(&mut running.iter().copied())});
    context.output.done(&value, &line(&devices, &running, args.no_wait))?;
    Ok(Exit::Ok)
}

fn line(devices: &[Device], running: &[&Device], no_wait: bool) -> String {
    match (devices, running) {
        ([], _) => "No device is synchronising.".to_owned(),
        ([device], []) => format!("{} was not synchronising.", device.label()),
        (_, []) => "None of them was synchronising.".to_owned(),
        (_, [device]) if no_wait => format!("{} stops at a safe point.", device.label()),
        (_, [device]) => format!("{} has stopped; `tandemctl sync DEVICE` goes on.", device.label()),
        (_, several) if no_wait => {
            format!("{} stop at a safe point.", units::count(several.len(), "device"))
        }
        (_, several) => {
            format!(
                "{} have stopped; `tandemctl sync DEVICE` goes on.",
                units::count(several.len(), "device")
            )
        }
    }
}
