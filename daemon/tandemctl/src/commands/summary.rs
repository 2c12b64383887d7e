//! How a run came out, in words for people and for programs. It asks nobody and waits for nothing.

use super::results::{Item, ending};
use super::sync::Followed;
use crate::device::Device;
use crate::error::{Error, Exit, exit_of_run_error, explain_run_error};
use crate::output::{Output, complain, units};
use crate::run::Phase;
use serde_json::json;

/// So many items that are left as they are on the device are told of one by one.
const TOLD: usize = 5;

/// Why a run that was accepted is not waited for any longer.
const NOT_BEGUN: &str = "no run has begun: the device is still busy with something else, or the run was stopped; `tandemctl \
                         status` tells, and --timeout allows it longer";

/// How a run came out.
pub(super) struct Summary {
    phase: Phase,
    /// What ended the whole run: the word and the message.
    failure: Option<(String, String)>,
    errors: u32,
    /// How many of those are of no single item: a playlist that could not be written, or trouble with the library.
    errors_of_whole: u32,
    no_fit: u32,
    /// The run had nothing to do.
    unchanged: bool,
}

impl Summary {
    /// From what was seen of a run, and the results that were read after it.
    pub(super) fn new(followed: &Followed, items: &[Item]) -> Self {
        let phase = followed.run.phase();
        // a run that came to its end may have something to tell of the whole, but nothing ended it
        let early = followed.device.progress < 100;
        let recorded = of_whole(items).last().map(|item| (item.result.clone(), item.message.clone()));
        let told = followed.failure.clone().or(recorded).filter(|_| early);
        let failure = match phase {
            Phase::NotBegun => Some(("timed-out".to_owned(), NOT_BEGUN.to_owned())),
            Phase::Gone => Some(followed.failure.clone().unwrap_or_else(|| {
                let how = followed.device.how_it_went();
                ("device-removed".to_owned(), format!("before the run had ended, the device {how}"))
            })),
            _ => told,
        };
        let device = &followed.device;
        let errors_of_whole = if failure.is_some() { 0 } else { of_whole(items).count() };
        let errors_of_whole = u32::try_from(errors_of_whole).unwrap_or(u32::MAX);
        let unchanged = device.last_sync_change_count == 0;
        Self {
            phase,
            failure,
            errors: device.last_sync_error_count,
            errors_of_whole: errors_of_whole.min(device.last_sync_error_count),
            no_fit: device.last_sync_no_fit_count,
            unchanged,
        }
    }

    /// What ended the whole run: the word and the message.
    pub(super) fn failure(&self) -> Option<(&str, &str)> {
        self.failure.as_ref().map(|(word, message)| (word.as_str(), message.as_str()))
    }

    /// The exit code for it.
    pub(super) fn exit(&self) -> Exit {
        match &self.failure {
            Some((word, _)) => exit_of_run_error(word),
            None if self.errors > 0 || self.no_fit > 0 => Exit::Partial,
            None => Exit::Ok,
        }
    }

    /// The word for it in JSON.
    pub(super) fn outcome(&self) -> &'static str {
        match (&self.failure, self.phase) {
            (_, Phase::Gone) => "removed",
            (Some((word, _)), _) if word == "cancelled" => "stopped",
            (Some((word, _)), _) if word == "device-removed" => "removed",
            (Some(_), _) => "failed",
            (None, _) if self.errors > 0 || self.no_fit > 0 => "partial",
            (None, _) if self.unchanged => "idle",
            (None, _) => "complete",
        }
    }

    /// Tells it.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(super) fn print(&self, output: Output, device: &Device, items: &[Item]) -> Result<(), Error> {
        if output.json {
            let (error, message) = self.failure.clone().unzip();
            return output.json_line(&json!({
                "event": "finished",
                "device": device.id,
                "outcome": self.outcome(),
                "error": error,
                "message": message.unwrap_or_default(),
                "items": device.sync_item_count,
                "errors": self.errors,
                "no_fit": self.no_fit,
                "last_sync_time": device.last_sync_time,
            }));
        }
        complain_of_items(device, items);
        for item in of_whole(items).filter(|_| self.failure.is_none()) {
            complain(&format!("{}: {}", device.label(), explain_run_error(&item.result, &item.message)));
        }
        self.complain(device);
        output.say(&self.line(device))
    }

    /// Tells what ended the whole run, if something did.
    pub(super) fn complain(&self, device: &Device) {
        if let Some((word, message)) = &self.failure {
            complain(&format!("{}: {}", device.label(), explain_run_error(word, message)));
        }
    }

    fn line(&self, device: &Device) -> String {
        let failed = self.errors - self.errors_of_whole;
        let head = match (&self.failure, self.outcome()) {
            (Some((word, _)), _) => ending(word),
            (None, "partial") if failed + self.no_fit == 0 => {
                format!("synchronised, with {}", units::count(as_count(self.errors), "error"))
            }
            (None, "partial") => "synchronised but for some items".to_owned(),
            (None, "idle") => "in step, nothing to do".to_owned(),
            _ => "in step".to_owned(),
        };
        let items = units::count(as_count(device.sync_item_count), "item");
        let mut text = format!("{}: {head}; {items} on it", device.label());
        if failed > 0 {
            text += &format!(", {failed} failed");
        }
        if self.no_fit > 0 {
            text += &format!(", {} did not fit", self.no_fit);
        }
        if self.errors > 0 || self.no_fit > 0 {
            text += "; `tandemctl results DEVICE` tells more";
        }
        text + "."
    }
}

fn as_count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What is told of the run as a whole.
fn of_whole(items: &[Item]) -> impl Iterator<Item = &Item> {
    items.iter().filter(|item| item.media.is_empty() && !item.is_synchronized())
}

/// Tells which items did not come out. What doesn't fit is often most of a library: it is counted, and `results` lists
/// it. So is what the user deleted or changed on the device, where it is much.
fn complain_of_items(device: &Device, items: &[Item]) {
    let left: usize = items.iter().filter(|item| item.is_left_out()).count();
    for item in items.iter().filter(|item| !item.media.is_empty() && !item.is_synchronized()) {
        if item.is_left_out() && left <= TOLD {
            complain(&format!("{}: {}: {}", device.label(), item.subject(), item.advice()));
        } else if item.result != "no-fit" && !item.is_left_out() {
            complain(&format!("{}: {}: {}: {}", device.label(), item.subject(), item.result, item.message));
        }
    }
    if left > TOLD {
        complain(&format!(
            "{}: {left} items are left as they are on it, because you deleted or changed them there; `tandemctl \
             results DEVICE` lists them",
            device.label()
        ));
    }
}
