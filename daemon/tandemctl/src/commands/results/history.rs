//! `tandemctl results --history`: the last runs of a device.

use super::{Context, ending};
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::output::table::Rows;
use crate::output::{units, with_advice, with_commands};
use crate::properties::Properties;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the daemon says of a run whose device went by itself.
const UNPLUGGED: &str = "the device is gone";

#[derive(Serialize)]
struct History {
    device: String,
    runs: Vec<Run>,
}

/// One run.
#[derive(Serialize)]
pub(super) struct Run {
    began: u64,
    pub(super) ended: u64,
    pub(super) result: String,
    message: String,
    items: u32,
    changes: u32,
    bytes: u64,
    errors: BTreeMap<String, u32>,
}

impl Run {
    fn read(p: &Properties) -> Result<Self, Error> {
        Ok(Self {
            began: p.large("began")?,
            ended: p.large("ended")?,
            result: p.text("result")?,
            message: p.text("message")?,
            items: p.small("items")?,
            changes: p.small("changes")?,
            bytes: p.large("bytes")?,
            errors: p.counts("errors")?,
        })
    }

    /// How long it took; a dash where its end isn't known.
    fn took(&self) -> String {
        if self.ended == 0 { "-".to_owned() } else { units::duration(self.ended.saturating_sub(self.began)) }
    }

    /// How it went, for people.
    fn outcome(&self) -> String {
        let whole = if self.result == "synchronized" { "in step".to_owned() } else { ending(&self.result) };
        let errors = self.errors.iter().map(|(error, count)| format!("{count} {error}"));
        let mut parts: Vec<String> = [whole].into_iter().chain(errors).collect();
        let is_told = match self.result.as_str() {
            "cancelled" | "interrupted" => false,
            // of a device that was unplugged there is nothing to add
            "device-removed" => self.message != UNPLUGGED,
            _ => true,
        };
        if is_told && !self.message.is_empty() {
            parts.push(with_commands(&with_advice(&self.message)).into_owned());
        }
        parts.join("; ")
    }
}

/// The last runs, the newest first.
pub(super) async fn runs(context: &Context, device: &Device) -> Result<Vec<Run>, Error> {
    let answer = context.client.device_proxy(device).await?.get_sync_history().await?;
    answer.into_iter().map(|run| Run::read(&Properties::new(run))).collect()
}

pub(super) async fn run(context: &Context, device: &Device) -> Result<Exit, Error> {
    let runs = runs(context, device).await?;
    if context.output.json {
        context.output.document(&History { device: device.id.clone(), runs })?;
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["BEGAN", "TOOK", "ITEMS", "CHANGES", "WRITTEN", "OUTCOME"]).right(&[2, 3, 4]);
    for run in &runs {
        rows.row([
            &units::time(run.began),
            &run.took(),
            &run.items.to_string(),
            &run.changes.to_string(),
            &units::size(run.bytes),
            &run.outcome(),
        ]);
    }
    rows.print(&context.output)?;
    if runs.is_empty() && !context.output.quiet {
        context.output.lines(["Not synchronised yet.".to_owned()])?;
    }
    Ok(Exit::Ok)
}
