//! `tandemctl status`: what the devices are doing, one line for each.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::select::select;

/// Tell what the devices are doing
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
    let mut rows = Rows::new(&[]);
    for device in &devices {
        rows.row([device.label(), &device.activity()]);
    }
    rows.print(&context.output)?;
    Ok(Exit::Ok)
}
