//! Runs that ended with the daemon: killed, or without power. The manifest knows what such a run had done; here the
//! partnership's history comes to know of it. How a run ends that ends by itself is the session's business.

use super::RunInput;
use super::journal::Journal;
use tandem_model::error::{ItemError, RequestError};
use tandem_model::id::Guid;
use tandem_model::manifest::{ItemResult, OpenRun};
use tandem_model::partnership::PastRun;
use tracing::{error, warn};

const MESSAGE: &str = "the daemon was killed, the computer lost its power, or the end of this run could not be recorded; \
                       what the player has of it counts, and the next run goes on from there";

/// A run as its records name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) id: Guid,
    /// Seconds since 1970.
    pub(crate) at: u64,
}

/// The run that was left open, if the history doesn't have its end: it was recorded there before it was closed.
pub(crate) fn interrupted(open: Option<OpenRun>, history: &[PastRun]) -> Option<PastRun> {
    let open = open.filter(|open| !history.iter().any(|past| past.id == Some(open.id)))?;
    Some(PastRun {
        id: Some(open.id),
        began: open.began,
        ended: open.last,
        failure: Some(ItemError::Interrupted),
        message: MESSAGE.to_owned(),
        item_count: open.item_count,
        change_count: open.change_count,
        written_bytes: open.written_bytes,
        ..PastRun::default()
    })
}

/// The only result that is known of such a run as a whole.
pub(crate) fn result_of(run: &PastRun) -> ItemResult {
    ItemResult { media: String::new(), error: run.failure, message: run.message.clone() }
}

/// Has all that is committed from now on count for the run of this input. One before it that was cut goes into the
/// history first.
pub(super) async fn begin(journal: &Journal, input: &RunInput, begun: Begun) {
    let open = journal
        .with(move |manifest| {
            manifest.begin_run(begun.id, begun.at);
            manifest.open_run()
        })
        .await;
    let open = match open {
        Ok(Some(open)) if open.id != begun.id => open,
        Ok(_) => return,
        Err(error) => return warn!("whether the run before was cut can't be told: {}", error.message),
    };
    if let Some(run) = interrupted(Some(open), &input.partnership.history) {
        let relationship = input.partnership.relationship;
        let kept = input.ledger.change(move |record| {
            let own = record.partnerships.iter_mut().filter(|own| own.relationship == relationship);
            own.for_each(|own| own.remember(run.clone()));
            Ok::<_, RequestError>(())
        });
        if let Err(error) = kept.await {
            return error!("that the run before was cut could not be recorded: {error}");
        }
    }
    close(journal, open.id).await;
}

/// Forgets a run whose end is in the history.
pub(crate) async fn close(journal: &Journal, id: Guid) {
    if let Err(error) = journal.with(move |manifest| manifest.close_run(id)).await {
        warn!("a run could not be closed; the next one does that: {}", error.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_cut_is_told_of_unless_the_history_has_that_very_run() {
        let open =
            OpenRun { id: Guid(2), began: 70, last: 75, change_count: 1, written_bytes: 9, item_count: 1 };
        let with_id = |id| PastRun { id, began: 70, change_count: 1, written_bytes: 9, ..PastRun::default() };
        // another one that began in the same second and did as much
        for other in [None, Some(Guid(1))] {
            let told = interrupted(Some(open), &[with_id(other)]).map(|past| (past.id, past.ended));
            assert_eq!(told, Some((Some(Guid(2)), 75)));
        }
        // one that went on after its end was in the history
        assert_eq!(interrupted(Some(OpenRun { change_count: 2, ..open }), &[with_id(Some(Guid(2)))]), None);
        assert_eq!(interrupted(None, &[]), None);
    }
}
