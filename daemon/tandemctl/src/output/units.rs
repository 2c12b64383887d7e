//! Sizes, rates, durations and times as people read them. `--json` never comes through here.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes in decimal units with three digits: `999 B`, `1.23 GB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // 999.5 and more would be printed as 1000
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

/// Bytes a second.
pub(crate) fn rate(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}

/// Seconds in at most two units: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A length of music: `3:05`, `1:02:03`; from 100 ns units or milliseconds the caller makes seconds.
pub(crate) fn length(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// A time, seconds since 1970, in the system's time zone; `never` for 0.
pub(crate) fn time(seconds: u64) -> String {
    time_in(seconds, &TimeZone::system())
}

fn time_in(seconds: u64, zone: &TimeZone) -> String {
    if seconds == 0 {
        return "never".to_owned();
    }
    match i64::try_from(seconds).map(Timestamp::from_second) {
        Ok(Ok(timestamp)) => timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => format!("{seconds} s since 1970"),
    }
}

/// How many seconds from now to `end`; `None` when `end` isn't known or has passed.
pub(crate) fn remaining(end: u64) -> Option<u64> {
    let now = u64::try_from(Timestamp::now().as_second()).ok()?;
    end.checked_sub(now).filter(|left| *left > 0)
}

/// `1 item`, `2 items`.
pub(crate) fn count(number: usize, word: &str) -> String {
    plural(number, word, &format!("{word}s"))
}

/// `1 entry`, `2 entries`.
pub(crate) fn plural(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_996, "10.0 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_234_567_890, "1.23 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(rate(5_100_000), "5.10 MB/s");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in
            [(0, "0 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        assert_eq!(length(185), "3:05");
        assert_eq!(length(3723), "1:02:03");
    }

    #[test]
    fn times_are_local_and_never_fail() {
        assert_eq!(time_in(0, &TimeZone::UTC), "never");
        assert_eq!(time_in(951_786_245, &TimeZone::UTC), "2000-02-29 01:04:05");
        assert_eq!(time_in(u64::MAX, &TimeZone::UTC), "18446744073709551615 s since 1970");
    }

    proptest! {
        #[test]
        fn any_number_has_a_text(number: u64) {
            prop_assert!(size(number).len() <= 7);
            prop_assert!(!duration(number).is_empty());
            prop_assert!(!time(number).is_empty());
        }
    }
}
