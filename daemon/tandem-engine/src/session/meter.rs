//! Rate and expected end of a run, from what was done over the last seconds. Pure: the caller says what time it is.

use std::collections::VecDeque;
use std::time::Duration;

/// Over how long the rate is taken.
const WINDOW: Duration = Duration::from_secs(5);

/// Measures one run.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Notes that `done` bytes were done, `elapsed` after the run began.
    pub(crate) fn note(&mut self, elapsed: Duration, done: u64) {
        while self.samples.len() > 1 && elapsed.saturating_sub(self.samples[1].0) >= WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back((elapsed, done));
    }

    /// Bytes a second; 0 while too little is known.
    pub(crate) fn rate(&self) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else { return 0 };
        let elapsed = last.0.saturating_sub(first.0).as_millis();
        if elapsed == 0 {
            return 0;
        }
        u64::try_from(u128::from(last.1.saturating_sub(first.1)) * 1000 / elapsed).unwrap_or(u64::MAX)
    }

    /// Seconds until `left` bytes are done at this rate.
    pub(crate) fn seconds_left(&self, left: u64) -> Option<u64> {
        let rate = self.rate();
        (rate > 0).then(|| left.div_ceil(rate))
    }
}

/// Percent of a run, at most 99 until it has ended.
pub(crate) fn percent(done: u64, total: u64) -> u8 {
    if total == 0 {
        return 0;
    }
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    u8::try_from(percent.min(99)).unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        for second in 0..20u64 {
            let done = if second < 10 { second * 1000 } else { 9000 + (second - 9) * 50 };
            meter.note(Duration::from_secs(second), done);
        }
        assert_eq!(meter.rate(), 50);
        assert_eq!(meter.seconds_left(100), Some(2));
        assert_eq!(Meter::default().seconds_left(100), None);
    }

    #[test]
    fn percent_is_bounded() {
        assert_eq!([percent(0, 0), percent(5, 10), percent(10, 10), percent(u64::MAX, 7)], [0, 50, 99, 99]);
    }
}
