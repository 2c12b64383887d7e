//! `tandemctl transfer`: manual transfer of files of the library.

use super::Context;
use crate::error::{Error, Exit};
use crate::media::of_library;
use crate::output::units;
use serde_json::json;
use std::path::PathBuf;

/// Transfer files to a device by hand
///
/// The files join a playlist of the device's own, `Transferred to …`, which stays assigned to it, and a run starts;
/// `status` and `sync` show how it goes on. The playlist is assigned with priority 1. Another playlist may have that
/// priority too; which of the two goes first when not everything fits is then not said, so give one of them another
/// with `assign --priority`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: {device: id, media: array of URIs}.")]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Media of your library: paths or file:// URIs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let media = of_library(&context.client, &args.files).await?;
    context.client.ask(&device, "Transfer", &(&media,)).await?;
    let line = format!("{} will be transferred to {}.", units::count(media.len(), "file"), device.label());
    context.output.done(&json!({"device": device.id, "media": media}), &line)?;
    Ok(Exit::Ok)
}
