//! `tandemctl sync`: starts runs and waits for their ends. The daemon does the work: if this program ends, the runs
//! go on.

use super::Context;
use super::results::Item;
use crate::device::Device;
use crate::error::{Error, Exit, exit_of_run_error, remedy_of_run_error};
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::{complain, units};
use crate::progress::Progress;
use crate::run::{Phase, Run};
use crate::select::select;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long after `Start` was accepted a run may take to be announced; after that there was nothing to do.
const BEGINNING: Duration = Duration::from_secs(3);

/// Bring devices in step with your playlists, and wait until they are
///
/// Other content of a device is left alone. An interrupt ends the wait; the runs go on.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: one object on each line: {event: started, device: id}; {event: progress, device, progress, \
                             bytes_done, bytes_total, rate, expected_end_time, current_item}; {event: item-error, \
                             device, media, error, message}, with empty media for the whole run; {event: refused, \
                             device, error, message}; and at the end of each run {event: finished, device, outcome: \
                             complete, partial, failed, stopped, removed or idle, error: null or what ended the whole \
                             run, message, items, errors, no_fit, last_sync_time}. With --no-wait there are only \
                             started and refused."
)]
pub(crate) struct Args {
    /// Devices: their ids, names, or unambiguous beginnings of either
    #[arg(value_name = "DEVICE", required_unless_present = "all")]
    devices: Vec<String>,
    /// All connected devices that are partnered with your library
    #[arg(long, short, conflicts_with = "devices")]
    all: bool,
    /// Do not wait for the ends of the runs
    #[arg(long, conflicts_with = "stop_on_interrupt")]
    no_wait: bool,
    /// Stop the runs when interrupted
    #[arg(long)]
    stop_on_interrupt: bool,
}

/// One device's run as it is followed.
struct Followed {
    device: Device,
    run: Run,
    /// What ended the whole run, as announced: the word and the message.
    failure: Option<(String, String)>,
    reported: bool,
}

/// The wait for all runs.
struct Wait<'a> {
    context: &'a Context,
    events: Events,
    progress: Progress,
    followed: Vec<Followed>,
    codes: Vec<Exit>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let devices = chosen(context, args).await?;
    if devices.is_empty() && !context.output.quiet {
        complain("no connected device is partnered with your library; nothing to do");
    }
    if devices.is_empty() {
        return Ok(Exit::Ok);
    }
    let mut interrupt = Interrupt::listen()?;
    let mut wait = Wait {
        context,
        events: Events::subscribe(&context.client).await?,
        progress: Progress::new(context.output),
        followed: Vec::new(),
        codes: Vec::new(),
    };
    for device in devices {
        wait.start(device, args.no_wait).await?;
    }
    if args.no_wait {
        return Ok(Exit::of_all(wait.codes));
    }
    wait.wait(&mut interrupt, args.stop_on_interrupt).await
}

async fn chosen(context: &Context, args: &Args) -> Result<Vec<Device>, Error> {
    let all = context.client.devices().await?;
    let mut chosen: Vec<Device> = Vec::new();
    if args.all {
        for device in all.into_iter().filter(|device| device.connected) {
            if context.client.device_proxy(&device).await?.get_status().await? == "partnership-exists" {
                chosen.push(device);
            }
        }
        return Ok(chosen);
    }
    for wanted in &args.devices {
        let device = select(&all, wanted)?;
        if chosen.iter().all(|other| other.path != device.path) {
            chosen.push(device);
        }
    }
    Ok(chosen)
}

impl Wait<'_> {
    /// Starts one device's run. A refusal is reported and doesn't keep the others from running.
    async fn start(&mut self, device: Device, no_wait: bool) -> Result<(), Error> {
        let before = self.read_settled(&device).await?;
        let index = self.followed.len();
        let run = Run::new(before.is_synchronizing());
        self.followed.push(Followed { device: before, run, failure: None, reported: false });
        match self.events.during(self.context.client.ask(&device, "Start", &())).await {
            Ok(()) => {}
            Err(error @ (Error::Unreachable(_) | Error::TimedOut)) => return Err(error),
            Err(error) => {
                self.followed.pop();
                return self.refused(&device, &error);
            }
        }
        if self.context.output.json {
            self.context.output.json_line(&json!({"event": "started", "device": device.id}))?;
        } else if no_wait && !self.context.output.quiet {
            self.context.output.say(&format!("{} is being synchronised.", device.label()))?;
        }
        let now = self.read_settled(&device).await?;
        let followed = &mut self.followed[index];
        followed.run.accepted(&now.sync_state);
        followed.device = now;
        if no_wait { Ok(()) } else { self.show(index) }
    }

    /// Reads a device, having taken into account all that was announced: until nothing of its state was announced
    /// while it was read, so that neither is older than the other.
    async fn read_settled(&mut self, device: &Device) -> Result<Device, Error> {
        loop {
            let now = self.events.during(self.context.client.device(device.path.clone())).await?;
            let mut settled = true;
            while let Some(notice) = self.events.collected() {
                let notice = notice?;
                settled &= !matches!(&notice, Notice::Event(path, Event::DeviceSyncStateChange { .. }) if *path == device.path);
                self.take(notice)?;
            }
            if settled {
                return Ok(now);
            }
        }
    }

    fn refused(&mut self, device: &Device, error: &Error) -> Result<(), Error> {
        self.codes.push(error.exit());
        if self.context.output.json {
            let word = if let Error::Refused { word, .. } = error { word } else { "Failed" };
            let message = error.to_string();
            let line = json!({"event": "refused", "device": device.id, "error": word, "message": message});
            self.context.output.json_line(&line)?;
        }
        self.progress.suspend(|| crate::complain_of(error));
        Ok(())
    }

    /// Takes a notice into account; tells which device is to be read anew.
    fn take(&mut self, notice: Notice) -> Result<Option<usize>, Error> {
        let path = match &notice {
            Notice::Event(path, _) => path,
            Notice::Changed(change) => &change.path,
        };
        let Some(index) = self.followed.iter().position(|followed| followed.device.path == *path) else {
            return Ok(None);
        };
        let followed = &mut self.followed[index];
        match notice {
            Notice::Changed(_) => return Ok(Some(index)),
            Notice::Event(_, Event::DeviceSyncStateChange { state }) => followed.run.state(&state),
            Notice::Event(_, Event::DeviceDisconnect) => followed.run.gone(),
            Notice::Event(_, Event::DeviceSyncError { media, error, message }) => {
                if self.context.output.json {
                    self.context.output.json_line(&json!({
                        "event": "item-error",
                        "device": followed.device.id,
                        "media": media,
                        "error": error,
                        "message": message,
                    }))?;
                }
                if media.is_empty() {
                    followed.failure = Some((error, message));
                }
            }
            Notice::Event(..) => {}
        }
        Ok(None)
    }

    async fn wait(mut self, interrupt: &mut Interrupt, stop: bool) -> Result<Exit, Error> {
        let deadline = Instant::now() + BEGINNING;
        let mut interrupted = false;
        loop {
            self.report_ended().await?;
            if self.followed.iter().all(|followed| followed.reported) {
                break;
            }
            let unclear = self.followed.iter().any(|followed| followed.run.phase() == Phase::Unclear);
            tokio::select! {
                notice = self.events.next() => {
                    if let Some(index) = self.take(notice?)? {
                        self.refresh(index).await?;
                    }
                }
                () = interrupt.next() => {
                    if !stop || interrupted {
                        return Err(self.detached());
                    }
                    interrupted = true;
                    self.stop_all().await?;
                }
                () = sleep_until(deadline), if unclear => {
                    self.followed.iter_mut().for_each(|followed| followed.run.waited());
                }
            }
        }
        Ok(if interrupted { Exit::Interrupted } else { Exit::of_all(self.codes) })
    }

    /// Reads a device's progress anew and shows it.
    async fn refresh(&mut self, index: usize) -> Result<(), Error> {
        let followed = &mut self.followed[index];
        if followed.reported {
            return Ok(());
        }
        followed.device =
            self.events.during(self.context.client.device(followed.device.path.clone())).await?;
        self.show(index)
    }

    /// Shows where a run is, if it runs.
    fn show(&mut self, index: usize) -> Result<(), Error> {
        let device = &self.followed[index].device;
        if device.is_synchronizing() { self.progress.update(device) } else { Ok(()) }
    }

    async fn stop_all(&mut self) -> Result<(), Error> {
        for followed in self.followed.iter().filter(|followed| !followed.reported) {
            self.events.during(self.context.client.ask(&followed.device, "Stop", &())).await?;
        }
        Ok(())
    }

    fn detached(&self) -> Error {
        let running = self.followed.iter().filter(|followed| !followed.reported);
        let labels: Vec<_> = running.map(|followed| format!("`{}`", followed.device.label())).collect();
        Error::Interrupted(format!(
            "interrupted; {} is still being synchronised, and `tandemctl stop DEVICE` stops it",
            labels.join(", ")
        ))
    }

    /// Reports those whose runs have ended since the last call.
    async fn report_ended(&mut self) -> Result<(), Error> {
        for index in 0..self.followed.len() {
            let followed = &mut self.followed[index];
            if followed.reported || !followed.run.phase().is_over() {
                continue;
            }
            followed.reported = true;
            let client = &self.context.client;
            followed.device = self.events.during(client.device(followed.device.path.clone())).await?;
            let proxy = client.device_proxy(&followed.device).await?;
            let results = self.events.during(proxy.get_sync_results()).await?;
            let items: Vec<Item> = results.into_iter().map(Item::new).collect();
            let summary = Summary::new(followed, &items);
            self.progress.finish(&followed.device);
            self.codes.push(summary.exit());
            let context = self.context;
            self.progress.suspend(|| summary.print(context, &followed.device, &items))?;
        }
        Ok(())
    }
}

/// How a run came out.
struct Summary {
    phase: Phase,
    /// What ended the whole run: the word and the message.
    failure: Option<(String, String)>,
    errors: u32,
    no_fit: u32,
    /// The run had nothing to do.
    unchanged: bool,
}

impl Summary {
    fn new(followed: &Followed, items: &[Item]) -> Self {
        let phase = followed.run.phase();
        let recorded = items.iter().find(|item| item.media.is_empty() && !item.is_synchronized());
        let recorded = recorded.map(|item| (item.result.clone(), item.message.clone()));
        let failure = match phase {
            Phase::Idle => None,
            Phase::Gone => Some(followed.failure.clone().unwrap_or_else(|| {
                ("device-removed".to_owned(), "the device was unplugged before the run had ended".to_owned())
            })),
            _ => followed.failure.clone().or(recorded),
        };
        let device = &followed.device;
        let unchanged = device.last_sync_change_count == 0;
        Self {
            phase,
            failure,
            errors: device.last_sync_error_count,
            no_fit: device.last_sync_no_fit_count,
            unchanged,
        }
    }

    fn exit(&self) -> Exit {
        match &self.failure {
            Some((word, _)) => exit_of_run_error(word),
            None if self.errors > 0 || self.no_fit > 0 => Exit::Partial,
            None => Exit::Ok,
        }
    }

    /// The word for it in JSON.
    fn outcome(&self) -> &'static str {
        match (&self.failure, self.phase) {
            (_, Phase::Gone) => "removed",
            (Some((word, _)), _) if word == "cancelled" => "stopped",
            (Some((word, _)), _) if word == "device-removed" => "removed",
            (Some(_), _) => "failed",
            (None, _) if self.errors > 0 || self.no_fit > 0 => "partial",
            (None, Phase::Idle) => "idle",
            (None, _) if self.unchanged => "idle",
            (None, _) => "complete",
        }
    }

    fn print(&self, context: &Context, device: &Device, items: &[Item]) -> Result<(), Error> {
        if context.output.json {
            let (error, message) = self.failure.clone().unzip();
            return context.output.json_line(&json!({
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
        // what doesn't fit is often most of a library: it is counted, and `results` lists it
        for item in items.iter().filter(|item| !item.media.is_empty() && !item.is_synchronized()) {
            if item.result != "no-fit" {
                complain(&format!(
                    "{}: {}: {}: {}",
                    device.label(),
                    item.subject(),
                    item.result,
                    item.message
                ));
            }
        }
        if let Some((word, message)) = &self.failure {
            let remedy = remedy_of_run_error(word).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            complain(&format!("{}: {word}: {message}{remedy}", device.label()));
        }
        context.output.say(&self.line(device))
    }

    fn line(&self, device: &Device) -> String {
        let head = match self.outcome() {
            "removed" => "unplugged before it was in step",
            "stopped" => "stopped before it was in step",
            "failed" => "not synchronised",
            "partial" => "synchronised but for some items",
            "idle" => "in step, nothing to do",
            _ => "in step",
        };
        let count = usize::try_from(device.sync_item_count).unwrap_or(usize::MAX);
        let mut text = format!("{}: {head}; {} on it", device.label(), units::count(count, "item"));
        if self.errors > 0 {
            text += &format!(", {} failed", self.errors);
        }
        if self.no_fit > 0 {
            text += &format!(", {} did not fit", self.no_fit);
        }
        if self.errors > 0 || self.no_fit > 0 {
            text += "; `tandemctl results DEVICE` lists them";
        }
        text + "."
    }
}
