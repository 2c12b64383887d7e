//! `tandemctl unpartner`: ends a partnership.

use super::Context;
use crate::error::{Error, Exit};
use serde_json::json;
use std::collections::HashMap;
use zbus::Variant;

/// End a device's partnership
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {device: id, status: the device's status now}.")]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Also delete from the device what was put there; nothing else is ever deleted
    #[arg(long)]
    remove_content: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let remove = Variant::from(args.remove_content);
    let proxy = context.client.device_proxy(&device).await?;
    proxy.delete_partnership(HashMap::from([("remove-content", &remove)])).await?;
    let device = context.client.device(device.path).await?;
    let line = format!("{} has no partnership any more.", device.label());
    context.output.done(&json!({"device": device.id, "status": device.status}), &line)?;
    Ok(Exit::Ok)
}
