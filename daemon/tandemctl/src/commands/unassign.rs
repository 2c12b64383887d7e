//! `tandemctl unassign`: ends the assignment of a playlist to a device.

use super::Context;
use super::assign::{attribute, own_index};
use crate::error::{Error, Exit};
use serde_json::json;

/// End the assignment of a playlist to a device
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {playlist: path, device: id}.")]
pub(crate) struct Args {
    /// A playlist: its name, an unambiguous beginning of it, or its object path
    playlist: String,
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let index = own_index(context, &device).await?;
    let playlist = context.client.find_playlist(&args.playlist).await?;
    context.client.playlist_proxy(&playlist.path).await?.set_item_info(&attribute(index), "0").await?;
    context.output.done(
        &json!({"playlist": playlist.path, "device": device.id}),
        &format!("`{}` is not assigned to {} any more.", playlist.name, device.label()),
    )?;
    Ok(Exit::Ok)
}
