//! What the daemon tells systemd: that it is ready, that it is alive, what it is doing, that it is ending. Outside of
//! systemd all of it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The bus name is owned: units that wait for the daemon may go on.
pub(crate) fn ready() {
    send(&[NotifyState::Ready, NotifyState::Status("serving org.tandemd.Sync1")]);
}

/// The daemon was asked to end.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping at a safe point")]);
}

/// The daemon can't go on, and why.
pub(crate) fn failed(cause: &str) {
    send(&[NotifyState::Status(cause)]);
}

/// Within which time systemd wants to hear from the daemon; `None` when it doesn't, so that no timer wakes an idle daemon
/// in vain.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Tells systemd four times in each interval that the runtime still runs tasks, until `stop`.
pub(crate) async fn watchdog(interval: Duration, stop: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(interval / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        send(&[NotifyState::Watchdog]);
    }
    Ok(())
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd can't be notified");
    }
}
