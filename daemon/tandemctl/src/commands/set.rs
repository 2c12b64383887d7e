//! `tandemctl set`: sets one of WMP's attributes of a device.

use super::Context;
use crate::attributes::canonical;
use crate::error::{Error, Exit};
use serde_json::json;

/// Set an attribute of a device
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Attributes: FriendlyName, PercentSpaceReserved (0 to 95), SyncOnConnect (True or False), \
                             AutoSyncDefaultRules (True assigns the default set anew), BackgroundSyncState, \
                             SyncFilter, Verify (True: what is copied is read back from the device and compared), \
                             IncludeSkippedFiles (an empty value: the next run copies again what you deleted on the \
                             device, and puts the library's version beside what you changed there), AllowMassDeletion \
                             (True: the next run may delete more than half, and more than 20, of the tracks that Tandem \
                             put on the device, and may delete while the library looks wrong).\n\n\
                             JSON: {device: id, name, value: text}."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// One of the attributes that `--help` lists, in any case
    name: String,
    /// Its new value
    #[arg(allow_hyphen_values = true)]
    value: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let name = canonical(&args.name);
    context.client.ask(&device, "SetItemInfo", &(name, &args.value)).await?;
    let line = match name {
        "IncludeSkippedFiles" => format!(
            "The next run copies again what was deleted on {}; beside what was changed there comes the library's \
             version, as a second copy.",
            device.label()
        ),
        _ => format!("{name} of {} is `{}`.", device.label(), args.value),
    };
    context.output.done(&json!({"device": device.id, "name": name, "value": args.value}), &line)?;
    Ok(Exit::Ok)
}
