//! `tandemctl get`: WMP's attributes of a device, one or all.

use super::Context;
use crate::attributes::{READABLE, canonical};
use crate::bus::AT_ONCE;
use crate::error::{Error, Exit};
use crate::output::table;
use crate::output::text::safe;
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};

/// Get an attribute of a device, or all of them
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Attributes: AutoSyncDefaultRules, BackgroundSyncState, Connected, FreeSpace, FriendlyName, \
                             LastSyncErrorCount, LastSyncNoFitCount, LastSyncTime, Name, PercentSpaceReserved, \
                             PreferredAudio, PreferredPhoto, PreferredVideo, SerialNumber, SkippedFiles, \
                             SupportsAudio, SupportsPhoto, SupportsVideo, SyncFilter, SyncIndex, SyncItemCount, \
                             SyncOnConnect, SyncPercentComplete, SyncRelationship, TotalSpace, Verify. Some need a \
                             partnership with your library; without one, they are left out when all are asked for.\n\n\
                             JSON: {device: id, name, value: text}; without a name {device: id, attributes: an object \
                             with a text for each name}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// One of the attributes that `--help` lists, in any case; without it, all are shown
    name: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let proxy = context.client.device_proxy(&device).await?;
    if let Some(name) = &args.name {
        let name = canonical(name);
        let value = proxy.get_item_info(name).await?;
        if context.output.json {
            context.output.document(&json!({"device": device.id, "name": name, "value": value}))?;
        } else {
            context.output.lines([safe(&value)])?;
        }
        return Ok(Exit::Ok);
    }
    let answers: Vec<_> =
        stream::iter(READABLE).map(|name| proxy.get_item_info(name)).buffered(AT_ONCE).collect().await;
    let mut values = Vec::new();
    for (name, answer) in READABLE.into_iter().zip(answers) {
        match answer.map_err(Error::from) {
            Ok(value) => values.push((name, value)),
            Err(Error::Refused { word, .. }) if word == "PartnershipNotExist" => {}
            Err(error) => return Err(error),
        }
    }
    if context.output.json {
        let attributes: Map<String, Value> =
            values.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        context.output.document(&json!({"device": device.id, "attributes": attributes}))?;
    } else {
        let shown = |value: String| if value.is_empty() { "-".to_owned() } else { value };
        let values: Vec<_> = values.into_iter().map(|(name, value)| (name, shown(value))).collect();
        table::facts(&context.output, &values)?;
    }
    Ok(Exit::Ok)
}
