//! `tandemctl transfer`: manual transfer of files of the library, and the wait until they are on the device.

use super::Context;
use super::results::Item;
use super::sync;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::media::of_library;
use crate::output::{complain, units};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;

/// Transfer files to a device by hand, and wait until they are there
///
/// The files join a playlist of the device's own, `Transferred to …`, which stays assigned to it, and a run starts. A
/// file that you deleted on the device is copied again; beside one that you changed there comes the library's version.
/// The playlist is assigned with priority 1. Another playlist may have that priority too; which of the two goes first
/// when not everything fits is then not said, so give one of them another with `assign --priority`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, media: array of URIs}, and where the end is awaited besides {outcome: \
                             as with sync, error: null or what ended the whole run, message, results: an array of \
                             {media, result, message} as with results, one for each of the files}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Media of your library: paths or file:// URIs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Do not wait for the end of the run
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let media = of_library(&context.client, &args.files).await?;
    if args.no_wait || !device.connected {
        context.client.ask(&device, "Transfer", &(&media,)).await?;
        let files = units::count(media.len(), "file");
        let when = if device.connected { "" } else { " when it is plugged in" };
        let line = format!("{files} will be transferred to {}{when}.", device.label());
        context.output.done(&json!({"device": device.id, "media": media}), &line)?;
        return Ok(Exit::Ok);
    }
    let ended = sync::transfer(context, device, &media).await?;
    let items = of_media(&media, &ended.items);
    let failed: Vec<&Item> = items.iter().filter(|item| !item.is_synchronized()).collect();
    let exit = match (ended.summary.failure(), failed.is_empty()) {
        (_, true) => Exit::Ok,
        (Some(_), false) => ended.summary.exit(),
        (None, false) => Exit::Partial,
    };
    if context.output.json {
        context.output.document(&json!({
            "device": ended.device.id,
            "media": media,
            "outcome": ended.summary.outcome(),
            "error": ended.summary.failure().map(|(word, _)| word),
            "message": ended.summary.failure().map(|(_, message)| message).unwrap_or_default(),
            "results": items,
        }))?;
        return Ok(exit);
    }
    ended.summary.complain(&ended.device);
    for item in &failed {
        complain(&format!("{}: {}: {}", item.subject(), item.result, item.advice()));
    }
    context.output.say(&line(&ended.device, items.len(), failed.len()))?;
    Ok(exit)
}

/// What became of each of these, in their order. What the results don't name was not come to.
fn of_media(media: &[String], results: &[Item]) -> Vec<Item> {
    let by_media: HashMap<&str, &Item> = results.iter().map(|item| (item.media.as_str(), item)).collect();
    let of = |media: &String| match by_media.get(media.as_str()) {
        Some(item) => (*item).clone(),
        None => Item::new((
            media.clone(),
            "cancelled".to_owned(),
            "the run ended before it was copied".to_owned(),
        )),
    };
    media.iter().map(of).collect()
}

fn line(device: &Device, all: usize, failed: usize) -> String {
    let label = device.label();
    match (all, failed) {
        (1, 0) => format!("1 file is on {label}."),
        (all, 0) => format!("{all} files are on {label}."),
        (all, failed) => format!("{} of {} on {label}.", all - failed, units::count(all, "file")),
    }
}
