//! Random numbers that a failed test can be repeated with: the seed is printed, and taken from `TANDEM_CRASH_SEED`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A sequence of random numbers (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A new sequence: that of `TANDEM_CRASH_SEED` if it is set, else one of the clock's choosing. It says which.
    ///
    /// # Panics
    /// When the variable isn't a number.
    #[must_use]
    pub fn new(test: &str) -> Self {
        let seed = match std::env::var("TANDEM_CRASH_SEED") {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|error| panic!("TANDEM_CRASH_SEED `{text}`: {error}; give a number")),
            Err(_) => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::from(now.subsec_nanos()))
            }
        };
        println!("{test}: repeat with TANDEM_CRASH_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below `end`, which is more than 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Less than `end`, in microseconds.
    pub fn time_below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.below(end))
    }

    /// `count` numbers below `end` in rising order; some may be equal.
    pub fn sorted_below(&mut self, count: usize, end: u64) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..count).map(|_| self.below(end)).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_the_range() {
        let mut random = Random(1);
        let numbers = random.sorted_below(1000, 10);
        for number in 0..10 {
            let count = numbers.iter().filter(|found| **found == number).count();
            assert!((50..200).contains(&count), "{number}: {count}");
        }
    }
}
