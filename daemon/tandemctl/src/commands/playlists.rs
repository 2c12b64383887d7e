//! `tandemctl playlists`: the library's playlists and where they are assigned.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::playlist::Playlist;

/// List your playlists, and the devices that they are assigned to
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: an array of playlists, as `tandemctl --help` describes them.")]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _args: &Args) -> Result<Exit, Error> {
    let playlists = context.client.playlists().await?;
    if context.output.json {
        context.output.document(&playlists)?;
        return Ok(Exit::Ok);
    }
    if playlists.is_empty() {
        context.output.say("No playlists. `tandemctl playlist create NAME FILE…` makes one.")?;
    }
    let devices = partners(context).await?;
    let mut rows = Rows::new(&["NAME", "KIND", "ITEMS", "ASSIGNED TO", "ID"]).right(&[2]);
    for playlist in &playlists {
        let kind =
            if playlist.sync_only { format!("{}, sync only", playlist.kind) } else { playlist.kind.clone() };
        let count = playlist.count.to_string();
        rows.row([&playlist.name, &kind, &count, &assignments(playlist, &devices), &playlist.id]);
    }
    rows.print(&context.output)?;
    Ok(Exit::Ok)
}

/// The devices that are partnered with the caller's library.
pub(super) async fn partners(context: &Context) -> Result<Vec<Device>, Error> {
    let owner = context.client.library().await?.owner();
    let mut devices = context.client.devices().await?;
    devices.retain(|device| device.partnership_index.is_some() && device.partnership_owner == owner);
    Ok(devices)
}

/// `Sansa (2), Zen (1)`: devices with the playlist's priority there.
pub(super) fn assignments(playlist: &Playlist, partners: &[Device]) -> String {
    let texts: Vec<String> = playlist
        .sync_priorities
        .iter()
        .map(|(index, priority)| {
            let device = partners.iter().find(|device| device.partnership_index == Some(*index));
            let name =
                device.map_or_else(|| format!("partnership {index}"), |device| device.label().to_owned());
            format!("{name} ({priority})")
        })
        .collect();
    texts.join(", ")
}
