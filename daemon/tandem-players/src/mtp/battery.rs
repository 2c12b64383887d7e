//! How full a player's battery is: asked for when the player is opened, and again when it says that it has changed.
//!
//! It must not cost anything else: no call fails for it, and a device that fails over the question isn't asked again.

use super::error::Fail;
use super::session::{Session, ask};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tandem_mtp::codec::property::{DevicePropertyDescription, Form};
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DevicePropertyCode, OperationCode};
use tokio::time::Instant;

/// Which property tells.
pub(super) const LEVEL: DevicePropertyCode = DevicePropertyCode::BATTERY_LEVEL;
/// Between two questions, however often the device says that its battery has changed.
const PACE: Duration = Duration::from_secs(60);
/// What no percentage is.
const UNKNOWN: u8 = u8::MAX;

/// What was told last, for those who don't ask the device.
#[derive(Clone)]
pub(crate) struct Gauge(Arc<AtomicU8>);

impl Gauge {
    /// Percent; `None` while it isn't known.
    pub(crate) fn level(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|level| *level != UNKNOWN)
    }

    fn set(&self, level: Option<u8>) {
        self.0.store(level.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

/// A session's part of it.
pub(crate) struct Battery {
    pub(crate) gauge: Gauge,
    /// The device says that it has changed.
    pub(super) changed: bool,
    asked: Option<Instant>,
    given_up: bool,
}

impl Battery {
    /// Of a device that was not asked yet.
    pub(crate) fn new() -> Self {
        let gauge = Gauge(Arc::new(AtomicU8::new(UNKNOWN)));
        Self { gauge, changed: true, asked: None, given_up: false }
    }

    fn is_due(&self) -> bool {
        self.changed && !self.given_up && self.asked.is_none_or(|asked| asked.elapsed() >= PACE)
    }
}

impl Session {
    /// Asks how full the battery is where that may have changed. Whether the device was asked.
    pub(super) async fn look_at_battery(&mut self) -> bool {
        if !self.battery.is_due() {
            return false;
        }
        self.battery.changed = false;
        self.battery.asked = Some(Instant::now());
        let tells = self.has_property(LEVEL) && self.initiator.supports(OperationCode::GET_DEVICE_PROP_DESC);
        if !tells || self.traits.no_battery_level {
            self.battery.given_up = true;
            return false;
        }
        let told = ask!(self, "asking for the battery", self.initiator.device_property_description(LEVEL));
        self.battery.given_up = told.is_err();
        match &told {
            Ok(_) => {}
            Err(Fail::Player(error)) => tracing::debug!("the device doesn't tell of its battery: {error}"),
            Err(Fail::Stale(_)) => tracing::debug!("the device lost the session when asked for its battery"),
        }
        self.battery.gauge.set(told.ok().as_ref().and_then(percent));
        true
    }
}

/// Percent, from what a device tells; `None` where that makes no sense. A device at its lowest level would not answer: it
/// runs on power from outside, and says so by that.
fn percent(told: &DevicePropertyDescription) -> Option<u8> {
    let level = told.current.as_number()?;
    let (lowest, highest) = match &told.form {
        Form::Range { minimum, maximum, .. } => (minimum.as_number()?, maximum.as_number()?),
        Form::Enumeration(values) => (0, values.iter().filter_map(Value::as_number).max()?),
        _ => (0, 100),
    };
    if lowest < 0 || level <= lowest || level > highest {
        return None;
    }
    let (part, whole) = (level - lowest, highest - lowest);
    u8::try_from(part.checked_mul(100)?.checked_add(whole / 2)? / whole).ok().map(|percent| percent.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(current: Value, form: Form) -> DevicePropertyDescription {
        let (data_type, default) = (current.data_type(), current.clone());
        DevicePropertyDescription { property: LEVEL, data_type, writable: false, default, current, form }
    }

    fn range(minimum: Value, maximum: Value) -> Form {
        Form::Range { minimum, maximum, step: Value::U8(1) }
    }

    #[test]
    fn a_level_is_told_in_percent_whatever_its_scale() {
        let level = |level, minimum, maximum| {
            percent(&told(Value::U8(level), range(Value::U8(minimum), Value::U8(maximum))))
        };
        assert_eq!(level(80, 0, 100), Some(80));
        assert_eq!((level(3, 0, 4), level(4, 0, 4), level(127, 0, 255)), (Some(75), Some(100), Some(50)));
        assert_eq!((level(1, 0, 255), level(60, 20, 100)), (Some(1), Some(50)));
        let bars = |level| {
            let values = [1, 2, 3, 4].map(Value::I8).to_vec();
            percent(&told(Value::I8(level), Form::Enumeration(values)))
        };
        assert_eq!((bars(1), bars(4)), (Some(25), Some(100)));
        assert_eq!(percent(&told(Value::U16(42), Form::None)), Some(42));
    }

    #[test]
    fn what_makes_no_sense_is_not_known() {
        let level = |level, minimum, maximum| percent(&told(level, range(minimum, maximum)));
        assert_eq!(level(Value::U8(0), Value::U8(0), Value::U8(100)), None, "on power from outside");
        assert_eq!(level(Value::U8(0), Value::U8(0), Value::U8(0)), None);
        assert_eq!(level(Value::U8(1), Value::U8(0), Value::U8(0)), None);
        assert_eq!(level(Value::U8(101), Value::U8(0), Value::U8(100)), None);
        assert_eq!(level(Value::U8(255), Value::U8(0), Value::U8(100)), None);
        assert_eq!(level(Value::U8(50), Value::U8(100), Value::U8(0)), None);
        assert_eq!(level(Value::I8(-1), Value::I8(-1), Value::I8(100)), None);
        assert_eq!(level(Value::I8(50), Value::I8(-100), Value::I8(100)), None);
        assert_eq!(level(Value::String("full".to_owned()), Value::U8(0), Value::U8(100)), None);
        assert_eq!(level(Value::U8(5), Value::String(String::new()), Value::U8(100)), None);
        assert_eq!(percent(&told(Value::U8(255), Form::None)), None);
        assert_eq!(percent(&told(Value::U8(5), Form::Enumeration(Vec::new()))), None);
        let huge = Value::I128(i128::MAX);
        assert_eq!(level(huge.clone(), Value::I128(0), huge), None);
    }

    proptest! {
        #[test]
        fn nothing_that_a_device_tells_is_more_than_a_percentage(level: i128, minimum: i128, maximum: i128, wide: bool) {
            let number = |number: i128| if wide { Value::I128(number) } else { Value::I8(number as i8) };
            for form in [range(number(minimum), number(maximum)), Form::Enumeration(vec![number(maximum)]), Form::None] {
                let percent = percent(&told(number(level), form));
                prop_assert!(percent.is_none_or(|percent| (1..=100).contains(&percent)));
            }
        }
    }
}
