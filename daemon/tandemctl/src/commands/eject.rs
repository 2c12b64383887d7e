//! `tandemctl eject`: makes a device safe to remove and waits until it is.

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a device that is safe to remove may take to go: some stay connected when they are ejected.
const GOING: Duration = Duration::from_secs(2);

/// The error by which the daemon tells that a device was not ejected.
const NOT_EJECTED: &str = "device-busy";

/// Make a device safe to remove, and wait until it is
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {device: id, safe_to_remove: true, connected}.")]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let mut interrupt = Interrupt::listen()?;
    let mut events = Events::subscribe(&context.client).await?;
    events.during(context.client.ask(&device, "Eject", &())).await?;
    let device = wait(context, device, &mut events, &mut interrupt).await?;
    context.output.done(
        &json!({"device": device.id, "safe_to_remove": true, "connected": device.connected}),
        &format!("{} is safe to remove.", device.label()),
    )?;
    Ok(Exit::Ok)
}

async fn wait(
    context: &Context,
    mut device: Device,
    events: &mut Events,
    interrupt: &mut Interrupt,
) -> Result<Device, Error> {
    let mut safe_since = None;
    loop {
        device = match events.during(context.client.device(device.path.clone())).await {
            Ok(device) => device,
            // one without a partnership is forgotten as soon as it is gone
            Err(Error::Refused { word, .. }) if word == "NotFound" => {
                return Ok(Device { connected: false, safe_to_remove: true, ..device });
            }
            Err(error) => return Err(error),
        };
        let safe = device.safe_to_remove && !device.is_synchronizing();
        if safe && !device.connected {
            return Ok(device);
        }
        safe_since = if safe { safe_since.or_else(|| Some(Instant::now())) } else { None };
        loop {
            let deadline = safe_since.map(|since| since + GOING);
            tokio::select! {
                notice = events.next() => {
                    let notice = notice?;
                    if let Some(failure) = failure(&device, &notice) {
                        return Err(failure);
                    }
                    if concerns(&device, &notice) {
                        break;
                    }
                }
                () = interrupt.next() => {
                    let text = format!("interrupted; `{}` is still being ejected: do not remove it yet", device.label());
                    return Err(Error::Interrupted(text));
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return Ok(device),
            }
        }
    }
}

/// Why the device was not ejected, if that is what it is told.
fn failure(device: &Device, notice: &Notice) -> Option<Error> {
    match notice {
        Notice::Event(path, Event::DeviceSyncError { media, message, error })
            if *path == device.path && media.is_empty() && error == NOT_EJECTED =>
        {
            Some(Error::Refused {
                word: "Busy".to_owned(),
                message: format!("{}: {message}", device.label()),
            })
        }
        _ => None,
    }
}

/// Whether the device may be in another state now.
fn concerns(device: &Device, notice: &Notice) -> bool {
    match notice {
        Notice::Event(path, event) => {
            *path == device.path
                && matches!(event, Event::DeviceDisconnect | Event::DeviceSyncStateChange { .. })
        }
        Notice::Changed(change) => change.path == device.path,
    }
}
