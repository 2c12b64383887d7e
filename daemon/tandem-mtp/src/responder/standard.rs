//! What the standard says of properties that a profile names without saying more.
//!
//! It must not be used by the initiator: a device's own description is the truth there.

use super::profile::Profile;
use crate::codec::property::{DevicePropertyDescription, Form};
use crate::codec::value::Value;
use crate::codes::{DataType, DevicePropertyCode as D, ObjectPropertyCode as P};

/// The type of an object property, for dumps that don't tell.
pub(super) const fn object_property_type(property: P) -> DataType {
    match property {
        P::STORAGE_ID
        | P::PARENT_OBJECT
        | P::DURATION
        | P::USE_COUNT
        | P::SKIP_COUNT
        | P::SAMPLE_RATE
        | P::AUDIO_WAVE_CODEC
        | P::AUDIO_BIT_RATE
        | P::TOTAL_BIT_RATE
        | P::REPRESENTATIVE_SAMPLE_SIZE
        | P::REPRESENTATIVE_SAMPLE_HEIGHT
        | P::REPRESENTATIVE_SAMPLE_WIDTH
        | P::REPRESENTATIVE_SAMPLE_DURATION => DataType::UINT32,
        P::OBJECT_FORMAT
        | P::PROTECTION_STATUS
        | P::HIDDEN
        | P::RATING
        | P::EFFECTIVE_RATING
        | P::TRACK
        | P::BIT_RATE_TYPE
        | P::NUMBER_OF_CHANNELS
        | P::DRM_STATUS
        | P::REPRESENTATIVE_SAMPLE_FORMAT => DataType::UINT16,
        P::OBJECT_SIZE => DataType::UINT64,
        P::PERSISTENT_UNIQUE_OBJECT_IDENTIFIER => DataType::UINT128,
        P::NON_CONSUMABLE => DataType::UINT8,
        P::DESCRIPTION => DataType::AUINT16,
        P::REPRESENTATIVE_SAMPLE_DATA => DataType::AUINT8,
        _ => DataType::STRING,
    }
}

/// A device property as a player has it when it is plugged in.
pub(super) fn device_property(property: D, profile: &Profile) -> DevicePropertyDescription {
    let text = |text: &str| Value::String(text.to_owned());
    let battery = profile.battery.max.unwrap_or(100);
    let (writable, value, form) = match property {
        D::BATTERY_LEVEL => {
            let form = Form::Range { minimum: Value::U8(0), maximum: Value::U8(battery), step: Value::U8(1) };
            (false, Value::U8(profile.battery.current.unwrap_or(battery)), form)
        }
        D::SYNCHRONIZATION_PARTNER => (true, text(&profile.sync_partner), Form::None),
        D::DEVICE_FRIENDLY_NAME => (true, text(&profile.friendly_name), Form::None),
        D::SESSION_INITIATOR_VERSION_INFO => (true, text(""), Form::None),
        D::DATE_TIME => (true, text("20260101T000000"), Form::DateTime),
        D::VOLUME => (true, Value::U32(10), Form::None),
        D::SUPPORTED_FORMATS_ORDERED => (false, Value::U8(1), Form::None),
        D::FUNCTIONAL_MODE => (false, Value::U16(0), Form::None),
        D::DEVICE_ICON => (false, Value::U8Array(Vec::new()), Form::None),
        D::SECURE_TIME | D::DEVICE_CERTIFICATE => (false, Value::U16Array(Vec::new()), Form::None),
        D::PERCEIVED_DEVICE_TYPE => (false, Value::U32(2), Form::None),
        _ => (false, Value::U32(0), Form::None),
    };
    DevicePropertyDescription {
        property,
        data_type: value.data_type(),
        writable,
        default: Value::empty(value.data_type()).unwrap_or(Value::U32(0)),
        current: value,
        form,
    }
}
