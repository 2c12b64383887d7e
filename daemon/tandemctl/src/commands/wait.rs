//! Waits until a device has come to what a command asked for, showing how far it is. It starts nothing.

use super::Context;
use crate::device::Device;
use crate::error::Error;
use crate::events::{Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How long to wait for the next notice before the device is looked at all the same.
const LOOK: Duration = Duration::from_secs(5);

/// What a command waits with: from before its calls, so that nothing is missed.
pub(super) struct Wait<'a> {
    context: &'a Context,
    pub(super) events: Events,
    interrupt: Interrupt,
    /// Where somebody looks: these commands print one document, and nothing on the way.
    progress: Option<Progress>,
}

impl<'a> Wait<'a> {
    /// Subscribes to what is announced, and listens for an interrupt.
    ///
    /// # Errors
    /// As any call.
    pub(super) async fn new(context: &'a Context) -> Result<Self, Error> {
        Ok(Self {
            context,
            interrupt: Interrupt::listen()?,
            events: Events::subscribe(&context.client).await?,
            progress: (!context.output.json && io::stderr().is_terminal())
                .then(|| Progress::new(context.output)),
        })
    }

    /// The device, once it is as wanted, or gone from the daemon's list.
    ///
    /// # Errors
    /// What `failed` makes of an event of the device; [`Error::Interrupted`] with what goes on; as any call.
    pub(super) async fn until(
        &mut self,
        mut device: Device,
        goes_on: &str,
        done: impl Fn(&Device) -> bool,
        failed: impl Fn(&Event) -> Option<Error>,
    ) -> Result<Device, Error> {
        loop {
            device = match self.events.during(self.context.client.device(device.path.clone())).await {
                Ok(device) => device,
                Err(Error::Refused { word, .. }) if word == "NotFound" => {
                    return Ok(forgotten(device));
                }
                Err(error) => return Err(error),
            };
            if done(&device) {
                self.finish(&device);
                return Ok(device);
            }
            if let Some(progress) = self.progress.as_mut().filter(|_| device.is_synchronizing()) {
                progress.update(&device)?;
            }
            loop {
                tokio::select! {
                    notice = self.events.next() => match notice? {
                        Notice::Event(path, event) if path == device.path => {
                            if let Some(failure) = failed(&event) {
                                self.finish(&device);
                                return Err(failure);
                            }
                            break;
                        }
                        Notice::Changed(change) if change.path == device.path => break,
                        _ => {}
                    },
                    () = self.interrupt.next() => {
                        let text = format!("interrupted; `{}` {goes_on}", device.label());
                        return Err(Error::Interrupted(text));
                    }
                    () = tokio::time::sleep(LOOK) => break,
                }
            }
        }
    }
}

impl Wait<'_> {
    /// Takes away what shows a device.
    fn finish(&mut self, device: &Device) {
        if let Some(progress) = &mut self.progress {
            progress.finish(device);
        }
    }
}

/// A device that the daemon knows no more: it is away, and has no partnership.
pub(super) fn forgotten(device: Device) -> Device {
    Device {
        connected: false,
        safe_to_remove: true,
        status: "partnership-declined".to_owned(),
        partnership_index: None,
        partnership_owner: None,
        ..device
    }
}
