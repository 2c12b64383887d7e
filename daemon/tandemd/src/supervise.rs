//! Runs the daemon's services until it is asked to end or one of them ends by itself, then sees to it that all have
//! ended. It knows nothing of what they do.

use anyhow::{Context, anyhow, bail};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long services have to end once they were asked to: systemd and users expect two seconds in all.
const GRACE: Duration = Duration::from_millis(1800);

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default, which would end the process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("signals can't be handled");
        Ok(Self { term: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    /// Waits for the next one, and tells its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The daemon's services, each by its name.
#[derive(Default)]
pub(crate) struct Services {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Services {
    /// Starts a service. It runs until the daemon stops; that it returns earlier, even without an error, is a failure.
    pub(crate) fn start(
        &mut self,
        name: &'static str,
        service: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, service.await) });
    }

    /// Runs until a signal or the end of a service; then cancels `stop` and waits for the services. `stopping` is called
    /// before that. A second signal ends the wait at once.
    ///
    /// # Errors
    /// The error of the service that ended first; or that services did not end in time.
    pub(crate) async fn run(
        mut self,
        mut signals: Signals,
        stop: CancellationToken,
        stopping: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let first = tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, "asked to end");
                Ok(())
            }
            Some(ended) = self.running.join_next() => Err(unexpected(ended)),
        };
        stopping();
        stop.cancel();
        let rest = tokio::select! {
            rest = timeout(GRACE, self.join()) => rest.unwrap_or_else(|_| {
                Err(anyhow!("services did not end within {} ms; whatever was in flight is sent again", GRACE.as_millis()))
            }),
            name = signals.next() => Err(anyhow!("{name} came a second time; whatever was in flight is sent again")),
        };
        // What went wrong first is the cause; what came of stopping is at most a consequence.
        first.and(rest)
    }

    /// Waits for all services; tells the first error.
    async fn join(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let result = match ended {
                Ok((name, result)) => result.with_context(|| format!("{name} did not end well")),
                Err(error) => Err(anyhow!("a service broke down: {error}")),
            };
            if let Err(error) = &result {
                tracing::error!("{error:#}");
            }
            outcome = outcome.and(result);
        }
        outcome
    }

    /// Ends what was started when the daemon can't be started whole.
    pub(crate) async fn abandon(mut self, stop: &CancellationToken) {
        stop.cancel();
        if timeout(GRACE, self.join()).await.is_err() {
            tracing::warn!("services did not end in time");
        }
    }
}

fn unexpected(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow!("{name} ended unexpectedly"),
        Ok((name, Err(error))) => error.context(format!("{name} failed")),
        Err(error) => anyhow!("a service broke down: {error}"),
    }
}

/// Turns the end of a task into the result of a service.
///
/// # Errors
/// When the task panicked.
pub(crate) async fn joined(task: tokio::task::JoinHandle<()>) -> anyhow::Result<()> {
    match task.await {
        Ok(()) => Ok(()),
        Err(error) => bail!("it broke down: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_service_that_ends_ends_the_daemon_with_its_cause() {
        for (result, expected) in
            [(Err(anyhow!("no bus")), "bus failed: no bus"), (Ok(()), "bus ended unexpectedly")]
        {
            let stop = CancellationToken::new();
            let mut services = Services::default();
            services.start("engine", until(stop.clone()));
            services.start("bus", async { result });
            let error = services.run(Signals::take().unwrap(), stop.clone(), || ()).await.unwrap_err();
            assert_eq!(format!("{error:#}"), expected);
            assert!(stop.is_cancelled());
        }
    }

    #[tokio::test]
    async fn a_panic_ends_the_daemon() {
        let stop = CancellationToken::new();
        let mut services = Services::default();
        services.start("bus", async { panic!("a test's panic") });
        let error = services.run(Signals::take().unwrap(), stop, || ()).await.unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error:#}");
    }

    #[tokio::test(start_paused = true)]
    async fn services_that_do_not_end_are_left() {
        let stop = CancellationToken::new();
        let mut services = Services::default();
        services.start("engine", std::future::pending());
        services.start("bus", async { bail!("lost") });
        let error = services.run(Signals::take().unwrap(), stop, || ()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "bus failed: lost");
    }
}
