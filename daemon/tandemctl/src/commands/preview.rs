//! `tandemctl preview`: what a run would do now.

use super::{Context, results};
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::text::safe;
use crate::output::{complain, units, with_advice, with_commands};
use crate::properties::Properties;
use crate::uri;
use serde::Serialize;

/// How many missing items are listed.
const TOLD: usize = 20;

/// Show what `sync` would do now, without doing it
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: an array of {action: copy, replace, delete, update-metadata or skip; media: URI, empty \
                             for a playlist; destination; size; reason}. Where the run would stop before it changes \
                             anything, the first item is a skip without media and destination, and the others are \
                             what it would do once that is allowed."
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: crate::cli::DeviceArg,
}

#[derive(Serialize)]
struct Item {
    action: String,
    media: String,
    destination: String,
    size: u64,
    reason: String,
}

impl Item {
    /// It stands for the whole run, which would stop before it changes anything.
    fn is_whole_run(&self) -> bool {
        self.action == "skip" && self.media.is_empty() && self.destination.is_empty()
    }
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let proxy = context.client.device_proxy(&device).await?;
    let answer = context.client.once_set_up(async || Ok(proxy.preview().await?)).await?;
    let items = answer.into_iter().map(|item| read(&Properties::new(item))).collect::<Result<Vec<_>, _>>()?;
    if context.output.json {
        context.output.document(&items)?;
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["ACTION", "SIZE", "ON THE DEVICE", "REASON"]).right(&[1]);
    for item in items.iter().filter(|item| !item.is_whole_run()) {
        let destination = if item.destination.is_empty() {
            uri::display(&item.media).into_owned()
        } else {
            item.destination.clone()
        };
        let reason = with_advice(&item.reason);
        rows.row([&item.action, &units::size(item.size), &destination, &with_commands(&reason).into_owned()]);
    }
    rows.print(&context.output)?;
    if let Some(objection) = items.iter().find(|item| item.is_whole_run()) {
        let label = device.label();
        complain(&format!("{label}: `sync` would stop and do nothing: {}", with_advice(&objection.reason)));
    }
    let missing = missing(context, &device, &items).await?;
    let lines = missing.iter().take(TOLD).map(|item| {
        safe(&format!("missing: {}: {}: {}", item.subject(), item.result, item.message)).into_owned()
    });
    context.output.lines(lines)?;
    context.output.say(&summary(&items, missing.len()))?;
    Ok(Exit::Ok)
}

/// What the last run could not bring to the device, and the next one is not told to skip.
async fn missing(context: &Context, device: &Device, planned: &[Item]) -> Result<Vec<results::Item>, Error> {
    if device.last_sync_error_count == 0 && device.last_sync_no_fit_count == 0 {
        return Ok(Vec::new());
    }
    let results = context.client.device_proxy(device).await?.get_sync_results().await?;
    let results = results.into_iter().map(results::Item::new);
    let is_planned = |media: &str| planned.iter().any(|item| item.media == media);
    Ok(results
        .filter(|item| !item.is_synchronized() && !item.media.is_empty() && !is_planned(&item.media))
        .collect())
}

fn read(item: &Properties) -> Result<Item, Error> {
    Ok(Item {
        action: item.text("action")?,
        media: item.text("media")?,
        destination: item.text("destination")?,
        size: item.large("size")?,
        reason: item.text("reason")?,
    })
}

/// `missing`: how many items the last run could not bring, besides `items`.
fn summary(items: &[Item], missing: usize) -> String {
    if missing > 0 {
        let rest = match missing {
            1 => "1 item was missing in the last run".to_owned(),
            several => format!("{several} items were missing in the last run"),
        };
        let before = if items.is_empty() { "Nothing to do".to_owned() } else { summary(items, 0) };
        let before = before.trim_end_matches('.');
        return format!("{before}; {rest}, and `tandemctl results DEVICE` lists all.");
    }
    if items.is_empty() {
        return "In step, nothing to do.".to_owned();
    }
    let stops = if items.iter().any(Item::is_whole_run) { "Once that is allowed: " } else { "" };
    let counted = || items.iter().filter(|item| !item.is_whole_run());
    let of = |action: &str| counted().filter(|item| item.action == action).count();
    let bytes =
        items.iter().filter(|item| matches!(item.action.as_str(), "copy" | "replace")).map(|item| item.size);
    let bytes = bytes.fold(0u64, u64::saturating_add);
    format!(
        "{stops}{} to copy, {} to replace, {} to delete, {} to update, {} left out; {} to write.",
        of("copy"),
        of("replace"),
        of("delete"),
        of("update-metadata"),
        of("skip"),
        units::size(bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_is_written() {
        let item = |action: &str, size| Item {
            action: action.to_owned(),
            media: String::new(),
            destination: if action == "stop" { String::new() } else { "Music".to_owned() },
            size,
            reason: String::new(),
        };
        let items = [item("copy", 1500), item("delete", u64::MAX), item("replace", 500), item("copy", 0)];
        assert_eq!(
            summary(&items, 0),
            "2 to copy, 1 to replace, 1 to delete, 0 to update, 0 left out; 2.00 kB to write."
        );
        assert_eq!(summary(&[], 0), "In step, nothing to do.");
        let missing =
            "Nothing to do; 1 item was missing in the last run, and `tandemctl results DEVICE` lists all.";
        assert_eq!(summary(&[], 1), missing);
    }
}
