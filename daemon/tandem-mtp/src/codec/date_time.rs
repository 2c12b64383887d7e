//! The protocol's dates: `YYYYMMDDThhmmss`, perhaps with tenths of a second and a zone.
//!
//! Pure: it knows no time zone and no clock, and it must not guess the zone of a date that has none.

use std::fmt;

/// Which clock a date was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The device's own, wherever it is.
    Local,
    /// UTC.
    Utc,
    /// Minutes east of UTC.
    Offset(i16),
}

/// A date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Year, 0 to 9999.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60.
    pub second: u8,
    /// Tenths of a second.
    pub tenths: u8,
    /// The clock.
    pub zone: Zone,
}

impl DateTime {
    /// Reads a date; `None` for anything else, as devices send all sorts of things for a date that they don't know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(15)?;
        if date.as_bytes().get(8) != Some(&b'T') {
            return None;
        }
        let (tenths, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                (number(rest.get(..1)?, 9)?, &rest[end..])
            }
            None => (0, rest),
        };
        let part = |from: usize, limit| number(date.get(from..from + 2)?, limit);
        let parsed = Self {
            year: u16::from(part(0, 99)?) * 100 + u16::from(part(2, 99)?),
            month: part(4, 12)?,
            day: part(6, 31)?,
            hour: part(9, 23)?,
            minute: part(11, 59)?,
            second: part(13, 60)?,
            tenths,
            zone: zone(rest)?,
        };
        (parsed.month > 0 && parsed.day > 0).then_some(parsed)
    }
}

fn number(text: &str, limit: u8) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= limit)
}

fn zone(text: &str) -> Option<Zone> {
    let (sign, minutes) = match text.split_at_checked(1) {
        None => return Some(Zone::Local),
        Some(("Z", "")) => return Some(Zone::Utc),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    // some devices write the offset with a colon, as ISO 8601 allows
    let digits = minutes.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let total = i16::from(number(hours, 15)?) * 60 + i16::from(number(minutes, 59)?);
    (digits.len() == 4).then_some(Zone::Offset(sign * total))
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, tenths, zone } = *self;
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")?;
        if tenths > 0 {
            write!(f, ".{tenths}")?;
        }
        match zone {
            Zone::Local => Ok(()),
            Zone::Utc => f.write_str("Z"),
            Zone::Offset(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}
