//! `tandemctl results`: what became of each item in the last run; the last runs are `history`'s.

mod history;

use super::Context;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::{units, with_advice, with_commands};
use crate::uri;
use serde::Serialize;

/// Show what became of each item in the last run
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {device: id, last_sync_time, items: an array of {media: URI, empty for the whole run; \
                             result: `synchronized`, or what failed; message}}; always of all items. With --history: \
                             {device: id, runs: an array of {began, ended: 0 where that isn't known, result: \
                             `synchronized`, or what ended the run early, `interrupted` if the daemon was killed or \
                             the power failed; message, items: on the device at its end, changes: files written and \
                             deleted, bytes: of those written, errors: an object, what failed or did not fit to how \
                             many items}}, the newest first."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
    /// Also list what was synchronised
    #[arg(long, short)]
    all: bool,
    /// List the last ten runs instead
    #[arg(long, conflicts_with = "all")]
    history: bool,
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

    /// Whether the user deleted or changed it on the device, so that no run touches it there.
    pub(crate) fn is_left_out(&self) -> bool {
        self.result == "cancelled" && !self.media.is_empty()
    }

    /// The message, with commands in the place of the daemon's advice.
    pub(crate) fn advice(&self) -> String {
        with_advice(&self.message)
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
    if args.history {
        return history::run(context, &device).await;
    }
    let answer = context.client.device_proxy(&device).await?.get_sync_results().await?;
    let items: Vec<Item> = answer.into_iter().map(Item::new).collect();
    if context.output.json {
        let last_sync_time = device.last_sync_time;
        context.output.document(&Results { device: device.id, last_sync_time, items })?;
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["RESULT", "MEDIA", "MESSAGE"]);
    for item in items.iter().filter(|item| args.all || !item.is_synchronized()) {
        let result = if item.is_left_out() { "left out" } else { &item.result };
        let message = item.advice();
        rows.row([result, &item.subject(), &with_commands(&message)]);
    }
    rows.print(&context.output)?;
    if !context.output.quiet {
        let early = early_end(context, &device).await?;
        context.output.lines([line(&device, &items, early)])?;
    }
    Ok(Exit::Ok)
}

/// The last run in a line. One that did not come to its end has not tried everything, so nothing is counted but what
/// is there.
fn line(device: &Device, items: &[Item], early: Option<EarlyEnd>) -> String {
    let good = items.iter().filter(|item| item.is_synchronized()).count();
    if device.last_sync_time == 0 && items.is_empty() {
        return "Not synchronised yet.".to_owned();
    }
    if let Some(EarlyEnd { how, is_dated }) = early {
        let there = format!("{} on the device.", units::count(good, "item"));
        if is_dated {
            return format!("{}: {how}; {there}", units::time(device.last_sync_time));
        }
        return format!("The last run was {how}; {there}");
    }
    let all = items.iter().filter(|item| !item.media.is_empty()).count();
    format!("{}: {} of {} synchronised.", device.last_sync(), good, units::count(all, "item"))
}

/// How a run ended that did not come to its end.
pub(super) struct EarlyEnd {
    pub(super) how: String,
    /// `LastSyncTime` is when; of a run that was cut with the daemon that isn't known, and it is another one's.
    pub(super) is_dated: bool,
}

/// How the last run ended, if it did not come to its end.
pub(super) async fn early_end(context: &Context, device: &Device) -> Result<Option<EarlyEnd>, Error> {
    let last = history::runs(context, device).await?.into_iter().next();
    let early = last.filter(|run| run.result != "synchronized");
    Ok(early.map(|run| EarlyEnd { how: ending(&run.result), is_dated: run.ended != 0 }))
}

/// What an item error that ended a whole run came to.
pub(super) fn ending(word: &str) -> String {
    match word {
        "cancelled" => "stopped before it was in step".to_owned(),
        "device-removed" => "gone before it was in step".to_owned(),
        "interrupted" => "interrupted before it was in step".to_owned(),
        "would-delete-too-much" => "refused, because it would delete too much".to_owned(),
        other => format!("not synchronised ({other})"),
    }
}
