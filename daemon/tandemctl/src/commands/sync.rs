//! `tandemctl sync`: starts runs and waits for their ends; `transfer` waits with it too. The daemon does the work: if
//! this program ends, the runs go on.

use super::Context;
use super::results::Item;
use super::summary::Summary;
use crate::device::Device;
use crate::error::{Error, Exit};
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::{Output, complain, say_device};
use crate::progress::Progress;
use crate::run::{Phase, Run};
use crate::select::select;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

/// Bring devices in step with your playlists, and wait until they are
///
/// Other content of a device is left alone. A run that would delete more than half, and more than 20, of the tracks that
/// Tandem put on a device, or anything while the library looks wrong, does nothing until `set` AllowMassDeletion. An
/// interrupt ends the wait; the runs go on.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "tandemctl sync [OPTIONS] <DEVICE>...\n       tandemctl sync [OPTIONS] --all",
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
pub(super) struct Followed {
    pub(super) device: Device,
    pub(super) run: Run,
    /// What ended the whole run, as announced: the word and the message.
    pub(super) failure: Option<(String, String)>,
    reported: bool,
}

/// How a run that was followed came out.
pub(super) struct Ended {
    pub(super) device: Device,
    pub(super) items: Vec<Item>,
    pub(super) summary: Summary,
}

/// The call that begins a run.
#[derive(Clone, Copy)]
enum Call<'a> {
    Start,
    Transfer(&'a [String]),
}

/// The wait for all runs.
struct Wait<'a> {
    context: &'a Context,
    /// What is told on the way.
    output: Output,
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
    let mut wait = Wait::new(context, context.output).await?;
    for device in devices {
        wait.start(device, args.no_wait).await?;
    }
    if args.no_wait {
        return Ok(Exit::of_all(wait.codes));
    }
    wait.wait(&mut interrupt, args.stop_on_interrupt).await
}

/// Transfers media by hand and waits for the end of the run, telling nothing but how far it is.
///
/// # Errors
/// Why it was refused; [`Error::Interrupted`]; as any call.
pub(super) async fn transfer(context: &Context, device: Device, media: &[String]) -> Result<Ended, Error> {
    let mut interrupt = Interrupt::listen()?;
    let output = Output { quiet: context.output.quiet || context.output.json, json: false, ..context.output };
    let mut wait = Wait::new(context, output).await?;
    wait.begin(&device, Call::Transfer(media)).await?;
    let deadline = Instant::now() + context.client.limit();
    while !wait.followed[0].run.phase().is_over() {
        wait.step(&mut interrupt, deadline).await?.map_or(Ok(()), |Interrupted| Err(wait.detached()))?;
    }
    wait.ended(0).await
}

/// The user interrupted the wait.
struct Interrupted;

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
        if args.devices.len() == 1 {
            say_device(wanted);
        }
        if chosen.iter().all(|other| other.path != device.path) {
            chosen.push(device);
        }
    }
    Ok(chosen)
}

impl<'a> Wait<'a> {
    async fn new(context: &'a Context, output: Output) -> Result<Self, Error> {
        Ok(Self {
            context,
            output,
            events: Events::subscribe(&context.client).await?,
            progress: Progress::new(output),
            followed: Vec::new(),
            codes: Vec::new(),
        })
    }

    /// Starts one device's run. A refusal is reported and doesn't keep the others from running.
    async fn start(&mut self, device: Device, no_wait: bool) -> Result<(), Error> {
        match self.begin(&device, Call::Start).await {
            Ok(()) => {}
            Err(error @ (Error::Unreachable(_) | Error::TimedOut)) => return Err(error),
            Err(error) => return self.refused(&device, &error),
        }
        if self.context.output.json {
            self.context.output.json_line(&json!({"event": "started", "device": device.id}))?;
        } else if no_wait && !self.context.output.quiet {
            self.context.output.say(&format!("{} is being synchronised.", device.label()))?;
        }
        if no_wait { Ok(()) } else { self.show(self.followed.len() - 1) }
    }

    /// Calls what begins a run; once it is accepted, the run is the last one that is followed.
    async fn begin(&mut self, device: &Device, call: Call<'_>) -> Result<(), Error> {
        let before = self.read_settled(device).await?;
        let run = Run::new(before.is_synchronizing());
        self.followed.push(Followed { device: before, run, failure: None, reported: false });
        let client = &self.context.client;
        let accepted = match call {
            Call::Start => self.events.during(client.ask(device, "Start", &())).await,
            Call::Transfer(media) => self.events.during(client.ask(device, "Transfer", &(media,))).await,
        };
        if let Err(error) = accepted {
            self.followed.pop();
            return Err(error);
        }
        let now = self.read_settled(device).await?;
        if let Some(followed) = self.followed.last_mut() {
            followed.run.accepted(&now.sync_state);
            followed.device = now;
        }
        Ok(())
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
                if self.output.json {
                    self.output.json_line(&json!({
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
        let deadline = Instant::now() + self.context.client.limit();
        let mut interrupted = false;
        loop {
            self.report_ended().await?;
            if self.followed.iter().all(|followed| followed.reported) {
                break;
            }
            if let Some(Interrupted) = self.step(interrupt, deadline).await? {
                if !stop || interrupted {
                    return Err(self.detached());
                }
                interrupted = true;
                self.stop_all().await?;
            }
        }
        Ok(if interrupted { Exit::Interrupted } else { Exit::of_all(self.codes) })
    }

    /// Waits for what happens next. At the deadline, a run of which nothing was seen has not begun.
    async fn step(
        &mut self,
        interrupt: &mut Interrupt,
        deadline: Instant,
    ) -> Result<Option<Interrupted>, Error> {
        let unclear = self.followed.iter().any(|followed| followed.run.phase() == Phase::Unclear);
        tokio::select! {
            notice = self.events.next() => {
                if let Some(index) = self.take(notice?)? {
                    self.refresh(index).await?;
                }
            }
            () = interrupt.next() => return Ok(Some(Interrupted)),
            () = sleep_until(deadline), if unclear => {
                self.followed.iter_mut().for_each(|followed| followed.run.waited());
            }
        }
        Ok(None)
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
            let followed = &self.followed[index];
            if followed.reported || !followed.run.phase().is_over() {
                continue;
            }
            if self.followed.len() > 1 {
                say_device(&followed.device.id);
            }
            let ended = self.ended(index).await?;
            self.codes.push(ended.summary.exit());
            let output = self.output;
            self.progress.suspend(|| ended.summary.print(output, &ended.device, &ended.items))?;
        }
        Ok(())
    }

    /// How a run that is over came out.
    async fn ended(&mut self, index: usize) -> Result<Ended, Error> {
        let followed = &mut self.followed[index];
        followed.reported = true;
        let client = &self.context.client;
        followed.device = self.events.during(client.device(followed.device.path.clone())).await?;
        let proxy = client.device_proxy(&followed.device).await?;
        let results = self.events.during(proxy.get_sync_results()).await?;
        let items: Vec<Item> = results.into_iter().map(Item::new).collect();
        let summary = Summary::new(followed, &items);
        self.progress.finish(&followed.device);
        Ok(Ended { device: followed.device.clone(), items, summary })
    }
}
