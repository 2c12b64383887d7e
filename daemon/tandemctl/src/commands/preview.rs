//! `tandemctl preview`: what a run would do now.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::units;
use crate::properties::Properties;
use crate::uri;
use serde::Serialize;

/// Show what `sync` would do now, without doing it
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: an array of {action: copy, replace, delete, update-metadata or skip; media: URI, empty \
                             for a playlist; destination; size; reason}."
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

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let device = context.client.find_device(&args.device.device).await?;
    let answer = context.client.device_proxy(&device).await?.preview().await?;
    let items = answer.into_iter().map(|item| read(&Properties::new(item))).collect::<Result<Vec<_>, _>>()?;
    if context.output.json {
        context.output.document(&items)?;
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["ACTION", "SIZE", "ON THE DEVICE", "REASON"]).right(&[1]);
    for item in &items {
        let destination = if item.destination.is_empty() {
            uri::display(&item.media).into_owned()
        } else {
            item.destination.clone()
        };
        rows.row([&item.action, &units::size(item.size), &destination, &item.reason]);
    }
    rows.print(&context.output)?;
    if !context.output.quiet {
        context.output.lines([summary(&items)])?;
    }
    Ok(Exit::Ok)
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

fn summary(items: &[Item]) -> String {
    if items.is_empty() {
        return "In step, nothing to do.".to_owned();
    }
    let of = |action: &str| items.iter().filter(|item| item.action == action).count();
    let bytes =
        items.iter().filter(|item| matches!(item.action.as_str(), "copy" | "replace")).map(|item| item.size);
    let bytes = bytes.fold(0u64, u64::saturating_add);
    format!(
        "{} to copy, {} to replace, {} to delete, {} to update, {} left out; {} to write.",
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
            destination: String::new(),
            size,
            reason: String::new(),
        };
        let items = [item("copy", 1500), item("delete", u64::MAX), item("replace", 500), item("copy", 0)];
        assert_eq!(
            summary(&items),
            "2 to copy, 1 to replace, 1 to delete, 0 to update, 0 left out; 2.00 kB to write."
        );
        assert_eq!(summary(&[]), "In step, nothing to do.");
    }
}
