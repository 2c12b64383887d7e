//! `tandemctl get`: one of WMP's attributes of a device.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::text::safe;
use serde_json::json;

/// Get an attribute of a device
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Attributes: AutoSyncDefaultRules, BackgroundSyncState, Connected, FreeSpace, FriendlyName, \
                             LastSyncErrorCount, LastSyncNoFitCount, LastSyncTime, Name, PercentSpaceReserved, \
                             PreferredAudio, PreferredPhoto, PreferredVideo, SerialNumber, SkippedFiles, \
                             SupportsAudio, SupportsPhoto, SupportsVideo, SyncFilter, SyncIndex, SyncItemCount, \
                             SyncOnConnect, SyncPercentComplete, SyncRelationship, TotalSpace.\n\n\
                             JSON: {device: id, name, value: text}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// One of the attributes that `--help` lists
    name: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let value = context.client.device_proxy(&device).await?.get_item_info(&args.name).await?;
    if context.output.json {
        context.output.document(&json!({"device": device.id, "name": args.name, "value": value}))?;
    } else {
        context.output.lines([safe(&value)])?;
    }
    Ok(Exit::Ok)
}
