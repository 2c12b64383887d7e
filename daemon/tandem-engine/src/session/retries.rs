//! When a run is tried again by itself after an error, while the device stays: after pauses that grow, and not for ever. It
//! knows no clock and no device.

use std::time::Duration;
use tandem_model::error::ItemError;
use tandem_model::manifest::ItemResult;

/// The first pause; each one after it is twice as long.
const FIRST: Duration = Duration::from_secs(30);
/// How often a run is tried again before that waits for a change, a `Start` or the next connection: the last pause is a
/// quarter of an hour.
const MOST: u32 = 6;

/// Runs in a row that did not come out.
#[derive(Debug, Default)]
pub(crate) struct Retries(u32);

impl Retries {
    /// A run has ended so: how long to wait before the next; `None` where another one would come to the same, or has been
    /// tried often enough.
    pub(crate) fn after(&mut self, failure: Option<ItemError>, rows: &[ItemResult]) -> Option<Duration> {
        let may_pass = failure
            .map_or_else(|| rows.iter().filter_map(|row| row.error).any(item_may_come_out), run_may_come_out);
        if !may_pass {
            *self = Self::default();
            return None;
        }
        let pause = (self.0 < MOST).then(|| FIRST * 2u32.pow(self.0));
        self.0 = self.0.saturating_add(1);
        pause
    }
}

/// Whether a run that ended with this may come to its end the next time, though nobody does anything.
fn run_may_come_out(error: ItemError) -> bool {
    !matches!(error, ItemError::Cancelled | ItemError::WouldDeleteTooMuch | ItemError::DeviceRemoved)
}

/// The same for one item.
fn item_may_come_out(error: ItemError) -> bool {
    matches!(
        error,
        ItemError::DeviceWriteFailed
            | ItemError::DeviceBusy
            | ItemError::TimedOut
            | ItemError::VerifyFailed
            | ItemError::SourceUnreadable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(error: ItemError) -> ItemResult {
        ItemResult { media: "file:///a".to_owned(), error: Some(error), message: String::new() }
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut retries = Retries::default();
        let seconds = |pause: Option<Duration>| pause.map(|pause| pause.as_secs());
        let busy = || Some(ItemError::DeviceBusy);
        for expected in [30, 60, 120, 240, 480, 960] {
            assert_eq!(seconds(retries.after(busy(), &[])), Some(expected));
        }
        assert_eq!(retries.after(busy(), &[]), None);
        assert_eq!(retries.after(None, &[]), None);
        assert_eq!(
            seconds(retries.after(busy(), &[])),
            Some(30),
            "a run that came out makes them short again"
        );
    }

    #[test]
    fn what_needs_the_user_is_not_tried_again() {
        let mut retries = Retries::default();
        for error in [ItemError::Cancelled, ItemError::WouldDeleteTooMuch, ItemError::DeviceRemoved] {
            assert_eq!(retries.after(Some(error), &[]), None);
        }
        assert_eq!(retries.after(None, &[row(ItemError::NoFit), row(ItemError::UnsupportedFormat)]), None);
        assert!(retries.after(None, &[row(ItemError::NoFit), row(ItemError::DeviceWriteFailed)]).is_some());
    }
}
