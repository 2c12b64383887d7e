//! `tandemctl show`: all about one device.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::{complain, table, units, with_commands};
use crate::playlist::assigned;
use crate::uri;
use serde::Serialize;
use std::pin::pin;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long everything waits for the playlists before it is shown without them.
const PATIENCE: Duration = Duration::from_millis(500);

/// Show all about a device
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: a device, as `tandemctl --help` describes it, with `playlists` besides: what is assigned \
                             to it from your library, as an array of {path, name, priority}, in priority order; empty \
                             without a partnership with your library, null when the library could not be asked."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    device: &'a Device,
    playlists: Option<Vec<Assigned>>,
}

#[derive(Serialize)]
struct Assigned {
    path: String,
    name: String,
    priority: u32,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let own = context.client.device_proxy(&device).await?.get_status().await? == "partnership-exists";
    let mut asked = pin!(playlists_of(context, &device, own));
    let at_once = timeout(PATIENCE, &mut asked).await;
    if context.output.json {
        let (playlists, failure) = match settle(at_once, asked).await {
            Ok(playlists) => (Some(playlists), None),
            Err(error) => (None, Some(error)),
        };
        context.output.document(&Shown { device: &device, playlists })?;
        return failure.map_or(Ok(Exit::Ok), |error| Ok(not_asked(&error)));
    }
    let mut facts = facts(&device, own);
    if let Ok(Ok(playlists)) = &at_once {
        facts.push(("Playlists", names(playlists)));
        table::facts(&context.output, &facts)?;
        return Ok(Exit::Ok);
    }
    // what the library's agent has nothing to do with isn't kept from the user until it answers
    table::facts(&context.output, &facts)?;
    match settle(at_once, asked).await {
        Ok(playlists) => table::facts(&context.output, &[("Playlists", names(&playlists))])?,
        Err(error) => return Ok(not_asked(&error)),
    }
    Ok(Exit::Ok)
}

/// The answer that came at once, or else the one that comes later.
async fn settle<T>(
    at_once: Result<Result<T, Error>, Elapsed>,
    later: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match at_once {
        Ok(answer) => answer,
        Err(_) => later.await,
    }
}

/// Says what could not be asked.
fn not_asked(error: &Error) -> Exit {
    complain(&format!("which playlists are assigned could not be asked of your library: {error}"));
    error.exit()
}

async fn playlists_of(context: &Context, device: &Device, own: bool) -> Result<Vec<Assigned>, Error> {
    let Some(index) = device.partnership_index.filter(|_| own) else { return Ok(Vec::new()) };
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

fn names(playlists: &[Assigned]) -> String {
    let names = playlists.iter().map(|playlist| format!("{} ({})", playlist.name, playlist.priority));
    names.collect::<Vec<_>>().join(", ")
}

fn facts(device: &Device, own: bool) -> Vec<(&'static str, String)> {
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
        ("Missing", device.manual_reason.clone()),
    ];
    match (device.partnership_index, device.partnership_owner) {
        (Some(index), _) if own => facts.push(("Partnership", format!("{index}, with you"))),
        (Some(index), Some(owner)) => facts.push(("Partnership", format!("{index}, with user {owner}"))),
        _ => {}
    }
    facts.push(("State", device.activity()));
    facts.push(("Copying", uri::display(&device.current_item).into_owned()));
    if device.total_space > 0 {
        let free = units::size(device.free_space);
        facts.push(("Space", format!("{free} free of {}", units::size(device.total_space))));
    }
    if let Some(level) = device.battery_level {
        facts.push(("Battery", format!("{level} %")));
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
    facts
}
