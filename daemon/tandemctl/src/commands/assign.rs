//! `tandemctl assign`: has a playlist synchronised to a device.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::playlist::next_priority;
use crate::select::select;
use serde_json::json;

/// Assign a playlist to a device
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {playlist: path, device: id, priority}.")]
pub(crate) struct Args {
    /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
    playlist: String,
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Lower goes first, when not everything fits; without it the playlist goes last, or stays where it is
    #[arg(long, short, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    priority: Option<u32>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let index = own_index(context, &device).await?;
    let playlists = context.client.playlists().await?;
    let playlist = select(&playlists, &args.playlist)?;
    let priority = match (args.priority, playlist.sync_priorities.get(&index)) {
        (Some(priority), _) => priority,
        (None, Some(priority)) => *priority,
        (None, None) => next_priority(&playlists, index)?,
    };
    let before = playlist.sync_priorities.get(&index) == Some(&priority);
    let proxy = context.client.playlist_proxy(&playlist.path).await?;
    proxy.set_item_info(&attribute(index), &priority.to_string()).await?;
    context.output.done(
        &json!({"playlist": playlist.path, "device": device.id, "priority": priority}),
        &format!(
            "`{}` is assigned to {} with priority {priority}{}.",
            playlist.name,
            device.label(),
            if before { " already" } else { "" }
        ),
    )?;
    Ok(Exit::Ok)
}

/// WMP's attribute for the priority of a playlist on the partnership with this index.
pub(super) fn attribute(index: u32) -> String {
    format!("Sync{index:02}")
}

/// The index of the device's partnership with the caller's library.
///
/// # Errors
/// `PartnershipNotExist` without one; as any call.
pub(super) async fn own_index(context: &Context, device: &Device) -> Result<u32, Error> {
    let own = context.client.device_proxy(device).await?.get_status().await? == "partnership-exists";
    device.partnership_index.filter(|_| own).ok_or_else(|| {
        let text = format!("`{}` has no partnership with your library", device.label());
        Error::refused("PartnershipNotExist", &text)
    })
}
