//! `tandemctl partner`: makes a partnership and waits until it is there.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::text::shell_word;
use crate::select::select;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use zbus::{ObjectPath, Variant};

/// The status of a device that is partnered with the caller's library, as `GetStatus` has it: the property `Status` counts
/// every user's.
const PARTNERED: &str = "partnership-exists";

/// How long a device may take to be found by a daemon that was just started, and how often it is asked.
const FINDING: Duration = Duration::from_secs(2);
const ASKED_AGAIN: Duration = Duration::from_millis(200);

/// How long after its acceptance the outcome is asked for, if none was announced. Another program may have made the
/// same partnership in the meantime, and then none will be.
const PATIENCE: Duration = Duration::from_secs(5);

/// Partner a device with your library
///
/// The device forgets any other partner. What other computers put on it stays there. Without --playlist it takes the
/// default set: the whole library, where not all fits the best and newest of it first. On a device that is partnered
/// with your library already nothing is changed; a playlist that is named then must be assigned to it.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, partnership_index, created: false where the partnership was already there}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Assign this playlist in place of the default set; may be repeated, in priority order
    #[arg(long = "playlist", short, value_name = "NAME")]
    playlists: Vec<String>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let client = &context.client;
    let device = client.find_device(&args.device.device).await?;
    let proxy = client.device_proxy(&device).await?;
    // until a device was looked at, only the record says whose it is, and another computer may have taken it since
    let is_recorded = proxy.get_status().await? == PARTNERED;
    if is_recorded && device.connected {
        check_assigned(context, &device, &args.playlists).await?;
        return report(context, &device, false).await;
    }
    let playlists = chosen_playlists(context, &args.playlists).await?;
    let options: HashMap<&str, Variant<'_>> =
        playlists.into_iter().map(|paths| ("playlists", Variant::from(paths))).collect();

    let mut interrupt = Interrupt::listen()?;
    let mut events = Events::subscribe(client).await?;
    let found_until = Instant::now() + FINDING;
    loop {
        let asked = events.during(client.ask(&device, "CreatePartnership", &(&options,))).await;
        let is_away =
            is_recorded && matches!(&asked, Err(Error::Refused { word, .. }) if word == "NotConnected");
        if !is_away {
            asked?;
            break;
        }
        if Instant::now() >= found_until {
            check_assigned(context, &device, &args.playlists).await?;
            return report(context, &device, false).await;
        }
        tokio::time::sleep(ASKED_AGAIN).await;
    }
    if is_recorded && proxy.get_status().await? == PARTNERED {
        // it was looked at meanwhile, and nothing was to be made
        check_assigned(context, &device, &args.playlists).await?;
        return report(context, &device, false).await;
    }
    loop {
        tokio::select! {
            notice = events.next() => {
                if let Some(result) = outcome(&device, notice?) {
                    result?;
                    break;
                }
            }
            () = interrupt.next() => {
                return Err(Error::Interrupted(format!("interrupted; `{}` is still being partnered", device.label())));
            }
            () = tokio::time::sleep(PATIENCE) => {
                if events.during(proxy.get_status()).await? == PARTNERED {
                    break;
                }
            }
        }
    }
    report(context, &device, true).await
}

/// A device that is partnered already keeps its playlists: those that are named must be among them.
async fn check_assigned(context: &Context, device: &Device, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let all = context.client.playlists().await?;
    let mut missing = Vec::new();
    for name in names {
        let playlist = select(&all, name)?;
        let index = device.partnership_index.unwrap_or_default();
        if playlist.sync_priorities.get(&index).is_none_or(|priority| *priority == 0) {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let word = |name: &&String| shell_word(name).unwrap_or_else(|| "PLAYLIST".to_owned());
    let commands: Vec<String> =
        missing.iter().map(|name| format!("`tandemctl assign {} DEVICE`", word(name))).collect();
    Err(Error::Usage(format!(
        "`{}` is partnered with your library already, and its playlists stayed as they were; {} has it take what you \
         named",
        device.label(),
        commands.join(" and ")
    )))
}

/// The objects of the playlists that the user named; `None` for the default set.
async fn chosen_playlists(
    context: &Context,
    names: &[String],
) -> Result<Option<Vec<ObjectPath<'static>>>, Error> {
    if names.is_empty() {
        return Ok(None);
    }
    let all = context.client.playlists().await?;
    let paths = names.iter().map(|name| select(&all, name).map(|playlist| playlist.path.into_inner()));
    paths.collect::<Result<Vec<_>, Error>>().map(Some)
}

/// How the partnership came out, if that is what was announced.
fn outcome(device: &Device, notice: Notice) -> Option<Result<(), Error>> {
    match notice {
        Notice::Event(path, Event::CreatePartnershipComplete { success, error, message })
            if path == device.path =>
        {
            Some(if success { Ok(()) } else { Err(Error::refused(&error, &message)) })
        }
        Notice::Event(path, Event::DeviceDisconnect) if path == device.path => {
            let text = format!("`{}` {}; plug it in and try again", device.label(), device.how_it_went());
            Some(Err(Error::refused("NotConnected", &text)))
        }
        _ => None,
    }
}

async fn report(context: &Context, device: &Device, created: bool) -> Result<Exit, Error> {
    let device = context.client.device(device.path.clone()).await?;
    let index = device.partnership_index;
    let by_record = if device.connected { "" } else { ", as far as is known while it is not connected" };
    let line = match (created, index) {
        (true, Some(index)) => {
            format!("{} is partnered with your library, as number {index}.", device.label())
        }
        (true, None) => format!("{} is partnered with your library.", device.label()),
        (false, _) => format!("{} is partnered with your library already{by_record}.", device.label()),
    };
    context
        .output
        .done(&json!({"device": device.id, "partnership_index": index, "created": created}), &line)?;
    Ok(Exit::Ok)
}
