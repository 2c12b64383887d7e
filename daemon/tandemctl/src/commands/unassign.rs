//! `tandemctl unassign`: ends the assignment of a playlist to a device.

use super::Context;
use super::assign::{attribute, own_index};
use crate::error::{Error, Exit};
use serde_json::json;

/// End the assignment of a playlist to a device
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {playlist: path, device: id, ended: false if it was not assigned}.")]
pub(crate) struct Args {
    /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
    playlist: String,
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let index = own_index(context, &device).await?;
    let playlist = context.client.find_playlist(&args.playlist).await?;
    let assigned = playlist.sync_priorities.contains_key(&index);
    if assigned {
        context.client.playlist_proxy(&playlist.path).await?.set_item_info(&attribute(index), "0").await?;
    }
    let line = if assigned {
        format!("`{}` is not assigned to {} any more.", playlist.name, device.label())
    } else {
        format!("`{}` was not assigned to {}; nothing to end.", playlist.name, device.label())
    };
    let value = json!({"playlist": playlist.path, "device": device.id, "ended": assigned});
    context.output.done(&value, &line)?;
    Ok(Exit::Ok)
}
