//! Dates as MTP writes them, and nanoseconds since 1970: pure arithmetic on the Gregorian calendar.
//!
//! It must not ask which zone the computer or the device is in: a date without a zone is read as UTC and written as UTC,
//! so that what a device keeps comes back as it went.

use tandem_mtp::codec::date_time::{DateTime, Zone};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// The date for this time, to the second.
pub(crate) fn to_text(ns: i64) -> String {
    let seconds = ns.div_euclid(SECOND);
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The time that this date means; 0 for what isn't a date.
pub(crate) fn from_text(text: &str) -> i64 {
    let Some(date) = DateTime::parse(text) else { return 0 };
    let days = days(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let of_day = i64::from(date.hour) * 3600 + i64::from(date.minute) * 60 + i64::from(date.second);
    let east = match date.zone {
        Zone::Local | Zone::Utc => 0,
        Zone::Offset(minutes) => i64::from(minutes) * 60,
    };
    (days * DAY + of_day - east).saturating_mul(SECOND)
}

/// Days since 1970-01-01 of a date; years begin in March here, so that a leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates_are_right() {
        assert_eq!(to_text(1_700_000_000 * SECOND), "20231114T221320");
        assert_eq!(to_text(-1), "19691231T235959");
        assert_eq!(to_text(951_782_400 * SECOND), "20000229T000000");
        assert_eq!(from_text("20231114T221320"), 1_700_000_000 * SECOND);
        assert_eq!(from_text("20231114T231320.0+0100"), 1_700_000_000 * SECOND);
        assert_eq!(from_text("yesterday"), 0);
    }

    proptest! {
        #[test]
        fn a_time_survives_to_the_second(ns: i64) {
            prop_assert_eq!(from_text(&to_text(ns)), ns.div_euclid(SECOND).saturating_mul(SECOND));
        }
    }
}
