//! `tandemctl estimate`: how much space a run would take with other playlists. It changes nothing.

use super::Context;
use crate::error::{Error, Exit};
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::units;
use crate::select::select;
use serde_json::json;
use zbus::{ObjectPath, OwnedObjectPath};

/// Estimate how much space a run would take with other playlists
///
/// Nothing is assigned and nothing is copied. An interrupt cancels it.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, estimated_used_space: what the items would take, estimated_space: what \
                             would be left for others}.",
    group(clap::ArgGroup::new("playlists").args(["with", "instead"]).required(true).multiple(true))
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// With this playlist besides those that are assigned: its name, an unambiguous beginning of it, its id or path
    #[arg(long, short, value_name = "PLAYLIST")]
    with: Option<String>,
    /// With this playlist in place of those that are assigned
    #[arg(long, short, value_name = "PLAYLIST")]
    instead: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let client = &context.client;
    let device = client.find_device(&args.device.device).await?;
    let playlists = client.playlists().await?;
    let chosen = |wanted: &Option<String>| match wanted {
        Some(wanted) => select(&playlists, wanted).map(|playlist| playlist.path),
        None => Ok(OwnedObjectPath::from(ObjectPath::from_static_str_unchecked("/"))),
    };
    let (with, instead) = (chosen(&args.with)?, chosen(&args.instead)?);
    let mut interrupt = Interrupt::listen()?;
    let mut events = Events::subscribe(client).await?;
    events.during(client.ask(&device, "EstimateSyncSize", &(with, instead))).await?;
    loop {
        tokio::select! {
            notice = events.next() => match notice? {
                Notice::Event(path, Event::SyncEstimationComplete { success, estimated_used_space, estimated_space })
                    if path == device.path =>
                {
                    if !success {
                        let text = format!("{}: the estimate was cancelled or failed; try again", device.label());
                        return Err(Error::Failed(text));
                    }
                    let line = format!(
                        "{}: what is synchronised would take {}, which leaves {} for your own files and free space.",
                        device.label(), units::size(estimated_used_space), units::size(estimated_space)
                    );
                    let value = json!({
                        "device": device.id,
                        "estimated_used_space": estimated_used_space,
                        "estimated_space": estimated_space,
                    });
                    context.output.done(&value, &line)?;
                    return Ok(Exit::Ok);
                }
                Notice::Event(path, Event::DeviceDisconnect) if path == device.path => {
                    let text =
                        format!("`{}` {}; plug it in and try again", device.label(), device.how_it_went());
                    return Err(Error::refused("NotConnected", &text));
                }
                _ => {}
            },
            () = interrupt.next() => {
                events.during(client.ask(&device, "CancelEstimation", &())).await?;
                return Err(Error::Interrupted("interrupted; the estimate is cancelled".to_owned()));
            }
        }
    }
}
