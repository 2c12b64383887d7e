//! `tandemctl results`: what became of each item in the last run.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::units;
use crate::uri;
use serde::Serialize;

/// Show what became of each item in the last run
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, last_sync_time, items: an array of {media: URI, empty for the whole run; \
                             result: `synchronized`, or what failed; message}}; always of all items."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Also list what was synchronised
    #[arg(long, short)]
    all: bool,
}

#[derive(Serialize)]
struct Results {
    device: String,
    last_sync_time: u64,
    items: Vec<Item>,
}

/// What became of one item.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Item {
    /// A URI; empty for the whole run.
    pub(crate) media: String,
    /// `synchronized`, or an item error.
    pub(crate) result: String,
    pub(crate) message: String,
}

impl Item {
    /// From the contract's triple.
    pub(crate) fn new((media, result, message): (String, String, String)) -> Self {
        Self { media, result, message }
    }

    pub(crate) fn is_synchronized(&self) -> bool {
        self.result == "synchronized"
    }

    /// What it is about, for people.
    pub(crate) fn subject(&self) -> String {
        if self.media.is_empty() {
            "(the whole run)".to_owned()
        } else {
            uri::display(&self.media).into_owned()
        }
    }
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let answer = context.client.device_proxy(&device).await?.get_sync_results().await?;
    let items: Vec<Item> = answer.into_iter().map(Item::new).collect();
    if context.output.json {
        let last_sync_time = device.last_sync_time;
        context.output.document(&Results { device: device.id, last_sync_time, items })?;
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["RESULT", "MEDIA", "MESSAGE"]);
    for item in items.iter().filter(|item| args.all || !item.is_synchronized()) {
        rows.row([&item.result, &item.subject(), &item.message]);
    }
    rows.print(&context.output)?;
    if !context.output.quiet {
        let good = items.iter().filter(|item| item.is_synchronized()).count();
        let line = if device.last_sync_time == 0 && items.is_empty() {
            "Not synchronised yet.".to_owned()
        } else {
            let all = items.iter().filter(|item| !item.media.is_empty()).count();
            format!("{}: {} of {} synchronised.", device.last_sync(), good, units::count(all, "item"))
        };
        context.output.lines([line])?;
    }
    Ok(Exit::Ok)
}
