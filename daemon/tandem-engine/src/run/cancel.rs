//! Waiting that ends when the run is stopped: a library that doesn't answer must not keep anybody from stopping.

use super::error::RunError;
use tandem_model::error::ItemError;
use tandem_model::player::Transfer;

/// What the work comes to, unless the run is stopped before that.
pub(crate) async fn unless_cancelled<T>(
    transfer: &Transfer,
    work: impl Future<Output = T>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = transfer.cancelled() => Err(RunError::cancelled()),
        done = work => Ok(done),
    }
}

/// What ended a run: one that was stopped doesn't wait any more, so that nothing of it was late.
pub(crate) fn unless_stopped(transfer: &Transfer, error: RunError) -> RunError {
    if transfer.is_cancelled() && error.error == ItemError::TimedOut { RunError::cancelled() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::error::PlayerError;

    #[test]
    fn what_is_not_waited_for_after_a_stop_was_not_late() {
        let transfer = Transfer::default();
        let late = || RunError::from(PlayerError::TimedOut("writing".to_owned()));
        assert_eq!(unless_stopped(&transfer, late()), late());
        transfer.cancel();
        assert_eq!(unless_stopped(&transfer, late()), RunError::cancelled());
        assert_eq!(unless_stopped(&transfer, PlayerError::Full.into()), PlayerError::Full.into());
    }

    #[tokio::test]
    async fn work_that_never_ends_is_left_when_the_run_is_stopped() {
        let transfer = Transfer::default();
        assert_eq!(unless_cancelled(&transfer, async { 5 }).await, Ok(5));
        let (outcome, ()) = tokio::join!(unless_cancelled(&transfer, std::future::pending::<()>()), async {
            tokio::task::yield_now().await;
            transfer.cancel();
        });
        assert_eq!(outcome, Err(RunError::cancelled()));
        assert_eq!(unless_cancelled(&transfer, async { 5 }).await, Err(RunError::cancelled()));
    }
}
