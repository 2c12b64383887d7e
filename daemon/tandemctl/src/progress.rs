//! Shows how runs go on: bars on a terminal, a line now and then elsewhere, JSON lines for programs. It never fails
//! because nobody looks, except that JSON lines are the program's output.

use crate::device::Device;
use crate::error::Error;
use crate::output::Output;
use crate::output::text::safe;
use crate::output::units;
use crate::uri;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use zbus::OwnedObjectPath;

/// How much a run goes on before another line tells of it, in percent.
const STEP: u32 = 10;

/// Shows the progress of some devices.
pub(crate) struct Progress {
    shown: Shown,
    output: Output,
}

enum Shown {
    Nothing,
    Json(HashMap<OwnedObjectPath, (u32, u64, String)>),
    Lines(HashMap<OwnedObjectPath, u32>),
    Bars(MultiProgress, HashMap<OwnedObjectPath, ProgressBar>),
}

impl Progress {
    /// In the way that suits the output.
    pub(crate) fn new(output: Output) -> Self {
        let shown = if output.json {
            Shown::Json(HashMap::new())
        } else if output.quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            Shown::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), HashMap::new())
        } else {
            Shown::Lines(HashMap::new())
        };
        Self { shown, output }
    }

    /// Shows where a run is.
    ///
    /// # Errors
    /// [`Error::Output`] with JSON.
    pub(crate) fn update(&mut self, device: &Device) -> Result<(), Error> {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Json(last) => {
                let now = (device.progress, device.bytes_done, device.current_item.clone());
                if last.get(&device.path) != Some(&now) {
                    last.insert(device.path.clone(), now);
                    self.output.json_line(&json!({
                        "event": "progress",
                        "device": device.id,
                        "progress": device.progress,
                        "bytes_done": device.bytes_done,
                        "bytes_total": device.bytes_total,
                        "rate": device.rate,
                        "expected_end_time": device.expected_end_time,
                        "current_item": device.current_item,
                    }))?;
                }
            }
            Shown::Lines(last) => {
                let step = device.progress / STEP;
                if last.insert(device.path.clone(), step) != Some(step) {
                    let line = format!("{}: {}\n", safe(device.label()), safe(&device.activity()));
                    // progress is a courtesy: without a reader the run goes on
                    io::stderr().write_all(line.as_bytes()).ok();
                }
            }
            Shown::Bars(all, bars) => {
                let bar = bars.entry(device.path.clone()).or_insert_with(|| all.add(new_bar(device)));
                bar.set_length(device.bytes_total.max(1));
                bar.set_position(device.bytes_done.min(device.bytes_total));
                bar.set_message(message(device));
            }
        }
        Ok(())
    }

    /// Takes away what shows a device, before its result is printed.
    pub(crate) fn finish(&mut self, device: &Device) {
        if let Shown::Bars(all, bars) = &mut self.shown
            && let Some(bar) = bars.remove(&device.path)
        {
            bar.finish_and_clear();
            all.remove(&bar);
        }
    }

    /// Runs something that prints, with the bars out of its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Bars(all, _) => all.suspend(print),
            _ => print(),
        }
    }
}

fn new_bar(device: &Device) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:24}] {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::hidden().with_style(style);
    bar.set_prefix(safe(device.label()).into_owned());
    bar
}

/// `43 %  5.10 MB/s  3 min 20 s left  So What.flac`
fn message(device: &Device) -> String {
    let mut text = format!("{:3} %", device.progress);
    if device.rate > 0 {
        text += &format!("  {}", units::rate(device.rate));
    }
    if let Some(left) = units::remaining(device.expected_end_time) {
        text += &format!("  {} left", units::duration(left));
    }
    let path = uri::display(&device.current_item).into_owned();
    if let Some(name) = path.rsplit('/').next().filter(|name| !name.is_empty()) {
        text += &format!("  {name}");
    }
    text
}
