//! Block devices and USB devices: runs the udev monitor on a thread of its own and announces what the tracker makes of its sightings.
//!
//! Nothing of libudev is touched on a runtime thread, for it reads sysfs.

use crate::probe::{Asking, Inquiries};
use crate::tracker::{Sighting, Tracker};
use crate::{HardwareError, announce, monitor};
use tandem_model::presence::Presence;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

/// Sightings that wait to be worked on; a hub full of sticks. Beyond it the monitor waits, and the kernel queues.
const QUEUED: usize = 32;

/// Announces devices until it is told to stop or nobody listens any more.
pub(crate) async fn watch(
    asking: Asking,
    inquiries: Inquiries,
    presence: &Sender<Presence>,
    stop: &CancellationToken,
) -> Result<(), HardwareError> {
    let in_udev = |cause| HardwareError::Udev { doing: "starting", cause };
    // the monitor ends when the writing side is closed, whatever way this function is left
    let (wake, awake) = std::io::pipe().map_err(in_udev)?;
    let (sender, mut sightings) = channel(QUEUED);
    let monitor = tokio::task::spawn_blocking(move || monitor::run(&wake, &sender));
    relay(&mut sightings, asking, inquiries, presence, stop).await;
    drop((awake, sightings));
    match monitor.await {
        Ok(result) => result,
        Err(error) => Err(in_udev(std::io::Error::other(error))),
    }
}

async fn relay(
    sightings: &mut Receiver<Sighting>,
    mut asking: Asking,
    Inquiries(mut inquiries): Inquiries,
    presence: &Sender<Presence>,
    stop: &CancellationToken,
) {
    let mut tracker = Tracker::default();
    // what is there is known when it was listed
    let mut is_listed = false;
    loop {
        let seen = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = presence.closed() => return,
            sighting = sightings.recv() => match sighting {
                Some(sighting) => {
                    is_listed = true;
                    vec![asking.see(sighting)]
                }
                None => return,
            },
            done = asking.next() => asking.ended(done),
            Some(inquiry) = inquiries.recv(), if is_listed => {
                asking.inquire(inquiry);
                Vec::new()
            }
        };
        asking.reply();
        let changes: Vec<Presence> = seen.into_iter().flat_map(|sighting| tracker.see(sighting)).collect();
        if !announce(changes, presence, stop).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    /// Watches until `end` has its effect. A machine that has no udev to ask is told apart from one that hangs.
    async fn watch_until(end: impl FnOnce(&CancellationToken, Receiver<Presence>)) {
        let (sender, changes) = channel(1);
        let stop = CancellationToken::new();
        let token = stop.clone();
        let watching = tokio::spawn(async move {
            let asking = Asking::new(Arc::new(crate::probe::Usb), None);
            watch(asking, crate::inquiries().1, &sender, &token).await
        });
        end(&stop, changes);
        let result =
            tokio::time::timeout(Duration::from_secs(10), watching).await.expect("it did not end").unwrap();
        assert!(matches!(result, Ok(()) | Err(HardwareError::Udev { .. })), "{result:?}");
    }

    #[tokio::test]
    async fn it_ends_when_it_is_stopped() {
        let mut kept = None;
        watch_until(|stop, changes| {
            kept = Some(changes);
            stop.cancel();
        })
        .await;
    }

    #[tokio::test]
    async fn it_ends_when_nobody_listens() {
        watch_until(|_, changes| drop(changes)).await;
    }
}
