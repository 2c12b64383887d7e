//! How much may be written before the device must have caught up, so that stopping never waits long for a slow one.
//!
//! A pure function of how long the last catching up took.

use std::time::Duration;

/// Where a device of unknown speed begins, in bytes: one second at 4 MB/s.
pub const FIRST_WINDOW: u64 = 4 << 20;
const SMALLEST: u64 = 1 << 20;
/// The most that may be underway, in bytes, however fast a device is.
pub const LARGEST: u64 = 64 << 20;
/// How long catching up should take.
const AIM: Duration = Duration::from_millis(500);

/// The next window in bytes, after one of `window` bytes took `elapsed` to catch up.
#[must_use]
pub fn next_window(window: u64, elapsed: Duration) -> u64 {
    let factor = AIM.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
    let next = if factor >= 8.0 {
        window.saturating_mul(4)
    } else if factor >= 2.0 {
        window.saturating_mul(2)
    } else if factor < 0.75 {
        window / 2
    } else {
        window
    };
    next.clamp(SMALLEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settled(bytes_a_second: u64) -> u64 {
        (0..20).fold(FIRST_WINDOW, |window, _| {
            next_window(window, Duration::from_millis(window * 1000 / bytes_a_second))
        })
    }

    #[test]
    fn a_slow_stick_is_waited_for_less_than_a_second() {
        assert!(settled(1_500_000) <= 1_500_000);
        assert!(settled(4_000_000) <= 4_000_000);
        assert_eq!(settled(2_000_000_000), LARGEST);
    }

    #[test]
    fn a_fast_device_gets_all_after_two_quick_answers() {
        let quick = |window| next_window(window, Duration::from_millis(20));
        assert_eq!(quick(quick(FIRST_WINDOW)), LARGEST);
    }

    proptest! {
        #[test]
        fn the_window_stays_within_its_bounds(window: u64, milliseconds: u64) {
            let next = next_window(window, Duration::from_millis(milliseconds));
            prop_assert!((SMALLEST..=LARGEST).contains(&next));
        }
    }
}
