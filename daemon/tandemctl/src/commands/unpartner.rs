//! `tandemctl unpartner`: ends a partnership, and waits until it has ended.

use super::Context;
use super::wait::{Wait, forgotten};
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::events::Event;
use crate::output::complain;
use crate::output::text::safe;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use zbus::Variant;

/// End a device's partnership
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, status: the device's status now, ended: false if there was no \
                             partnership to end}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Also delete from the device what was put there; nothing else is ever deleted
    #[arg(long)]
    remove_content: bool,
    /// Do not wait until the partnership has ended
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let client = &context.client;
    let device = client.find_device(&args.device.device).await?;
    let had_one = has_partnership(&device);
    let mut wait = Wait::new(context).await?;
    let options = HashMap::from([("remove-content", Variant::from(args.remove_content))]);
    let asked = wait.events.during(client.ask(&device, "DeletePartnership", &(options,))).await;
    asked.map_err(|error| if args.remove_content { not_removed(&device, error) } else { error })?;
    let why = RefCell::new(String::new());
    let device = if args.no_wait || !had_one {
        let path = device.path.clone();
        wait.events.during(client.device(path)).await.or_else(|error| gone(device, error))?
    } else {
        if args.remove_content && device.connected {
            announce(context, &device);
        }
        let complete = Cell::new(false);
        let failed = |event: &Event| match event {
            // the owner alone is told why, and before everybody hears that it ended
            Event::DeviceSyncError { media, message, .. } if media.is_empty() => {
                why.replace(message.clone());
                None
            }
            Event::DeletePartnershipComplete { success: false, error, message } => {
                let why = why.take();
                Some(Error::refused(error, if why.is_empty() { message } else { &why }))
            }
            Event::DeletePartnershipComplete { .. } => {
                complete.set(true);
                None
            }
            _ => None,
        };
        // the event comes last, behind what could not be deleted; a device that was absent may be forgotten before it
        let done = |device: &Device| {
            complete.get() || !args.remove_content && !has_partnership(device) && device.safe_to_remove
        };
        wait.until(device, "is still being cleared; its partnership ends after that", done, failed).await?
    };
    let label = device.label();
    let line = match (had_one, has_partnership(&device)) {
        (false, _) => format!("{label} had no partnership; nothing to end."),
        (true, true) => format!("The partnership of {label} is being ended."),
        (true, false) => format!("{label} has no partnership any more."),
    };
    let value = json!({"device": device.id, "status": device.status, "ended": had_one});
    context.output.done(&value, &line)?;
    let stays = why.take();
    if stays.is_empty() {
        return Ok(Exit::Ok);
    }
    complain(&stays);
    Ok(Exit::Partial)
}

fn has_partnership(device: &Device) -> bool {
    device.partnership_index.is_some()
}

/// A refusal because the device is absent, with what to do here.
fn not_removed(device: &Device, error: Error) -> Error {
    match error {
        Error::Refused { word, .. } if word == "NotConnected" => {
            let text = format!(
                "{} is not connected, so nothing was removed and its partnership stays; plug it in and try again, or \
                 leave out --remove-content to end the partnership alone",
                device.label()
            );
            Error::refused(&word, &text)
        }
        error => error,
    }
}

/// A device that was absent is forgotten with its partnership.
fn gone(device: Device, error: Error) -> Result<Device, Error> {
    match error {
        Error::Refused { word, .. } if word == "NotFound" => Ok(forgotten(device)),
        error => Err(error),
    }
}

/// Tells somebody at a terminal why it takes a while.
fn announce(context: &Context, device: &Device) {
    if !context.output.quiet && !context.output.json && io::stderr().is_terminal() {
        let line = format!("{}: deleting what was put there…\n", safe(device.label()));
        // a courtesy: without a reader the work goes on
        io::stderr().write_all(line.as_bytes()).ok();
    }
}
