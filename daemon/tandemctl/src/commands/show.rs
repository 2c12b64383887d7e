//! `tandemctl show`: all about one device.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::{table, units, with_commands};
use crate::playlist::assigned;
use crate::uri;
use serde::Serialize;

/// Show all about a device
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: a device, as `tandemctl --help` describes it, with `playlists` besides: what is assigned \
                             to it from your library, as an array of {path, name, priority}, in priority order; empty \
                             without a partnership with your library."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    device: &'a Device,
    playlists: Vec<Assigned>,
}

#[derive(Serialize)]
struct Assigned {
    path: String,
    name: String,
    priority: u32,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let playlists = playlists_of(context, &device).await?;
    if context.output.json {
        context.output.document(&Shown { device: &device, playlists })?;
    } else {
        table::facts(&context.output, &facts(&device, &playlists))?;
    }
    Ok(Exit::Ok)
}

async fn playlists_of(context: &Context, device: &Device) -> Result<Vec<Assigned>, Error> {
    let Some(index) = device.partnership_index else { return Ok(Vec::new()) };
    let own = context.client.device_proxy(device).await?.get_status().await? == "partnership-exists";
    if !own {
        return Ok(Vec::new());
    }
    let playlists = context.client.playlists().await?;
    Ok(assigned(&playlists, index)
        .into_iter()
        .map(|(priority, playlist)| Assigned {
            path: playlist.path.to_string(),
            name: playlist.name.clone(),
            priority,
        })
        .collect())
}

fn facts(device: &Device, playlists: &[Assigned]) -> Vec<(&'static str, String)> {
    let yes_no = |flag| if flag { "yes" } else { "no" }.to_owned();
    let mut facts = vec![
        ("Name", device.label().to_owned()),
        ("Device name", device.name.clone()),
        ("Id", device.id.clone()),
        ("Kind", device.kind.clone()),
        ("Manufacturer", device.manufacturer.clone()),
        ("Model", device.model.clone()),
        ("Serial number", device.serial_number.clone()),
        ("Firmware", device.firmware.clone()),
        ("Connected", yes_no(device.connected)),
        ("Status", device.status.clone()),
    ];
    if let (Some(index), Some(owner)) = (device.partnership_index, device.partnership_owner) {
        facts.push(("Partnership", format!("{index}, of user {owner}")));
    }
    facts.push(("State", device.activity()));
    facts.push(("Copying", uri::display(&device.current_item).into_owned()));
    if device.total_space > 0 {
        let free = units::size(device.free_space);
        facts.push(("Space", format!("{free} free of {}", units::size(device.total_space))));
    }
    facts.push(("Reserved", format!("{} %", device.percent_space_reserved)));
    facts.push(("Sync on connect", yes_no(device.sync_on_connect)));
    facts.push(("Last sync", device.last_sync()));
    facts.push(("Items", device.sync_item_count.to_string()));
    if device.has_skipped_files {
        facts.push((
            "Skipped files",
            with_commands("yes; `tandemctl set DEVICE IncludeSkippedFiles \"\"` copies them again")
                .into_owned(),
        ));
    }
    let plays = [
        (device.supports_audio, "audio"),
        (device.supports_video, "video"),
        (device.supports_photo, "photos"),
    ];
    let plays: Vec<_> = plays.iter().filter(|(can, _)| *can).map(|(_, what)| *what).collect();
    facts.push(("Plays", plays.join(", ")));
    facts.push(("Formats", device.formats.join(", ")));
    let names: Vec<_> =
        playlists.iter().map(|playlist| format!("{} ({})", playlist.name, playlist.priority)).collect();
    facts.push(("Playlists", names.join(", ")));
    facts
}
