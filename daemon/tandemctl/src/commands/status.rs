//! `tandemctl status`: what the devices are doing and how their last runs went, one line for each.

use super::Context;
use super::results::{EarlyEnd, early_end};
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::units;
use crate::select::select;

/// Tell what the devices are doing, and how their last runs went
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: an array of devices, as `tandemctl --help` describes them.")]
pub(crate) struct Args {
    /// Only these devices
    #[arg(value_name = "DEVICE")]
    devices: Vec<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let mut devices = context.client.devices().await?;
    if !args.devices.is_empty() {
        devices = args.devices.iter().map(|wanted| select(&devices, wanted)).collect::<Result<_, _>>()?;
    }
    if context.output.json {
        context.output.document(&devices)?;
        return Ok(Exit::Ok);
    }
    if devices.is_empty() {
        context.output.say("No devices. Plug a player in.")?;
    }
    let mut rows = Rows::new(&["NAME", "STATE", "LAST RUN", "ITEMS", "FREE", "PARTNER"]).right(&[3]);
    for device in &devices {
        let own = context.client.device_proxy(device).await?.get_status().await? == "partnership-exists";
        rows.row([
            device.label(),
            &device.activity(),
            &last_run(context, device, own).await?,
            &device.sync_item_count.to_string(),
            &space(device),
            &partner(device, own),
        ]);
    }
    rows.print(&context.output)?;
    Ok(Exit::Ok)
}

/// When it was and how it went. Of a run that did not come to its end the history says so, which the owner can read.
async fn last_run(context: &Context, device: &Device, own: bool) -> Result<String, Error> {
    let text = device.last_sync();
    if !own || device.is_synchronizing() {
        return Ok(text);
    }
    Ok(match early_end(context, device).await? {
        Some(EarlyEnd { how, is_dated: true }) => format!("{text}, {how}"),
        Some(EarlyEnd { how, .. }) => how,
        None => text,
    })
}

/// `1.50 GB of 8.00 GB`; nothing where that isn't known.
fn space(device: &Device) -> String {
    if !device.connected || device.total_space == 0 {
        return "-".to_owned();
    }
    format!("{} of {}", units::size(device.free_space), units::size(device.total_space))
}

/// With whose library it is partnered.
fn partner(device: &Device, own: bool) -> String {
    match (device.partnership_index, device.partnership_owner) {
        (Some(index), _) if own => format!("you, as number {index}"),
        (Some(_), Some(owner)) => format!("user {owner}"),
        _ if device.status == "partnership-another" => "another computer".to_owned(),
        _ => "none".to_owned(),
    }
}
