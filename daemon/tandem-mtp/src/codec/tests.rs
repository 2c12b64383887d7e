//! What is written is read again as it was, and no bytes make a decoder panic or eat memory.

use super::container::{Command, Event, Header, Parameters, Response};
use super::date_time::{DateTime, Zone};
use super::device_info::DeviceInfo;
use super::object_info::ObjectInfo;
use super::property::{
    DevicePropertyDescription, Form, InterdependentDescriptions, ObjectPropertyDescription,
};
use super::property_list::{PropertyElement, PropertyList};
use super::storage_info::StorageInfo;
use super::value::Value;
use super::{Dataset, DecodeError, EncodeError, MAX_STRING_UNITS};
use crate::codes::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..20).prop_map(String::from_iter)
}

fn value_of(data_type: DataType) -> BoxedStrategy<Value> {
    let number = any::<i64>();
    match data_type {
        DataType::STRING => text().prop_map(Value::String).boxed(),
        DataType::AUINT8 => vec(any::<u8>(), 0..40).prop_map(Value::U8Array).boxed(),
        DataType::AUINT16 => vec(any::<u16>(), 0..40).prop_map(Value::U16Array).boxed(),
        DataType::UINT128 => any::<u128>().prop_map(Value::U128).boxed(),
        other => number.prop_map(move |number| small(other, number)).boxed(),
    }
}

/// A number brought into a type's range.
fn small(data_type: DataType, number: i64) -> Value {
    let bytes = number.to_le_bytes();
    Value::from_number(data_type, i128::from(number))
        .unwrap_or_else(|| Value::from_number(data_type, i128::from(bytes[0] & 0x7F)).unwrap())
}

fn any_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        (1u16..=10).prop_map(DataType),
        Just(DataType::STRING),
        Just(DataType::AUINT8),
        Just(DataType::AUINT16)
    ]
}

fn form_of(data_type: DataType) -> BoxedStrategy<Form> {
    let value = || value_of(data_type);
    prop_oneof![
        Just(Form::None),
        (value(), value(), value()).prop_map(|(minimum, maximum, step)| Form::Range {
            minimum,
            maximum,
            step
        }),
        vec(value(), 0..5).prop_map(Form::Enumeration),
        Just(Form::DateTime),
        any::<u16>().prop_map(Form::FixedLengthArray),
        text().prop_map(Form::RegularExpression),
        any::<u32>().prop_map(Form::ByteArray),
        any::<u32>().prop_map(Form::LongString),
    ]
    .boxed()
}

fn description() -> impl Strategy<Value = ObjectPropertyDescription> {
    any_type().prop_flat_map(|data_type| {
        (any::<u16>(), any::<bool>(), value_of(data_type), any::<u32>(), form_of(data_type)).prop_map(
            move |(property, writable, default, group, form)| ObjectPropertyDescription {
                property: ObjectPropertyCode(property),
                data_type,
                writable,
                default,
                group,
                form,
            },
        )
    })
}

fn same<T: Dataset + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = value.encode().unwrap();
    assert_eq!(T::decode(&bytes).as_ref(), Ok(value));
    // what a device pads with changes nothing
    assert_eq!(T::decode(&[&bytes[..], &[0xAA; 3]].concat()).as_ref(), Ok(value));
}

proptest! {
    #[test]
    fn descriptions_of_object_properties_are_read_as_written(description in description()) {
        same(&description);
    }

    #[test]
    fn interdependent_descriptions_are_read_as_written(groups in vec(vec(description(), 0..4), 0..4)) {
        same(&InterdependentDescriptions(groups));
    }

    #[test]
    fn descriptions_of_device_properties_are_read_as_written(
        description in description(), current in any::<i64>()
    ) {
        let current = match &description.default {
            number if number.as_number().is_some() => small(description.data_type, current),
            other => other.clone(),
        };
        let ObjectPropertyDescription { property, data_type, writable, default, form, .. } = description;
        let property = DevicePropertyCode(property.0);
        same(&DevicePropertyDescription { property, data_type, writable, default, current, form });
    }

    #[test]
    fn property_lists_are_read_as_written(
        elements in vec((any::<u32>(), any::<u16>(), any_type().prop_flat_map(value_of)), 0..20)
    ) {
        let element = |(object, property, value)| PropertyElement {
            object: ObjectHandle(object),
            property: ObjectPropertyCode(property),
            value,
        };
        same(&PropertyList(elements.into_iter().map(element).collect()));
    }

    #[test]
    fn device_info_is_read_as_written(
        numbers in any::<(u16, u32, u16, u16)>(),
        codes in vec(vec(any::<u16>(), 0..30), 5),
        texts in vec(text(), 5),
    ) {
        same(&DeviceInfo {
            standard_version: numbers.0,
            vendor_extension_id: numbers.1,
            vendor_extension_version: numbers.2,
            vendor_extension_desc: texts[0].clone(),
            functional_mode: numbers.3,
            operations: codes[0].iter().map(|code| OperationCode(*code)).collect(),
            events: codes[1].iter().map(|code| EventCode(*code)).collect(),
            device_properties: codes[2].iter().map(|code| DevicePropertyCode(*code)).collect(),
            capture_formats: codes[3].iter().map(|code| FormatCode(*code)).collect(),
            playback_formats: codes[4].iter().map(|code| FormatCode(*code)).collect(),
            manufacturer: texts[1].clone(),
            model: texts[2].clone(),
            version: texts[3].clone(),
            serial: texts[4].clone(),
        });
    }

    #[test]
    fn storage_info_is_read_as_written(
        kinds in any::<(u16, u16, u16)>(), space in any::<(u64, u64, u32)>(), texts in (text(), text())
    ) {
        same(&StorageInfo {
            storage_type: kinds.0,
            filesystem_type: kinds.1,
            access: kinds.2,
            capacity: space.0,
            free_bytes: space.1,
            free_objects: space.2,
            description: texts.0,
            volume: texts.1,
        });
    }

    #[test]
    fn object_info_is_read_as_written(
        numbers in any::<[u32; 12]>(), codes in any::<[u16; 4]>(), texts in vec(text(), 4)
    ) {
        let mut info = ObjectInfo::new(FormatCode(codes[0]), u64::from(numbers[0]), &texts[0]);
        info.storage = StorageId(numbers[1]);
        info.protection = codes[1];
        info.thumbnail = (FormatCode(codes[2]), numbers[2], numbers[3], numbers[4]);
        info.image = (numbers[5], numbers[6], numbers[7]);
        info.parent = ObjectHandle(numbers[8]);
        (info.association_type, info.association_desc, info.sequence) = (codes[3], numbers[9], numbers[10]);
        info.created.clone_from(&texts[1]);
        info.modified.clone_from(&texts[2]);
        info.keywords.clone_from(&texts[3]);
        let bytes = info.encode().unwrap();
        prop_assert_eq!(ObjectInfo::decode(&bytes), Ok(info));
    }

    #[test]
    fn numbers_and_codes_are_read_as_written(handles in vec(any::<u32>(), 0..50), codes in vec(any::<u16>(), 0..50)) {
        same(&handles);
        same(&codes);
    }

    #[test]
    fn containers_are_read_as_written(
        code in any::<u16>(), transaction in any::<u32>(), values in vec(any::<u32>(), 0..6)
    ) {
        let parameters = Parameters::new(&values);
        let command = Command { code: OperationCode(code), transaction, parameters };
        prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        let response = Response { code: ResponseCode(code), transaction, parameters };
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
        let event = Event { code: EventCode(code), transaction, parameters };
        prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
        prop_assert!(Command::decode(&event.encode()).is_err());
    }

    #[test]
    fn dates_are_read_as_written(
        year in 0u16..=9999, month in 1u8..=12, day in 1u8..=31, hour in 0u8..=23, minute in 0u8..=59,
        second in 0u8..=60, tenths in 0u8..=9, offset in -959i16..=959, kind in 0u8..3
    ) {
        let zone = [Zone::Local, Zone::Utc, Zone::Offset(offset)][usize::from(kind)];
        let date = DateTime { year, month, day, hour, minute, second, tenths, zone };
        prop_assert_eq!(DateTime::parse(&date.to_string()), Some(date));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..300), text in ".{0,30}") {
        let _ = (DeviceInfo::decode(&bytes), StorageInfo::decode(&bytes), ObjectInfo::decode(&bytes));
        let _ = (ObjectPropertyDescription::decode(&bytes), DevicePropertyDescription::decode(&bytes));
        let _ = (InterdependentDescriptions::decode(&bytes), PropertyList::decode(&bytes));
        let _ = (Vec::<u32>::decode(&bytes), Vec::<u16>::decode(&bytes), String::decode(&bytes));
        let _ = (Header::decode(&bytes), Response::decode(&bytes), Event::decode(&bytes));
        let _ = DateTime::parse(&text);
    }

    /// Every cut of a good dataset is an error or a shorter dataset, never a panic.
    #[test]
    fn a_cut_property_list_is_refused(cut in 0usize..100) {
        let element = |name: &str| PropertyElement::of_new(ObjectPropertyCode::NAME, name.into());
        let whole = PropertyList(vec![element("one"), element("another")]).encode().unwrap();
        if cut < whole.len() {
            let truncated = matches!(PropertyList::decode(&whole[..cut]), Err(DecodeError::Truncated { .. }));
            prop_assert!(truncated);
        }
    }
}

#[test]
fn a_count_without_its_elements_takes_no_memory() {
    let announced = u32::MAX.to_le_bytes();
    assert!(matches!(Vec::<u32>::decode(&announced), Err(DecodeError::Truncated { .. })));
    assert!(matches!(PropertyList::decode(&announced), Err(DecodeError::Truncated { .. })));
    assert!(matches!(InterdependentDescriptions::decode(&announced), Err(DecodeError::Truncated { .. })));
}

#[test]
fn strings_that_the_protocol_cannot_say_are_refused() {
    let longest = "a".repeat(MAX_STRING_UNITS);
    assert_eq!(String::decode(&longest.encode().unwrap()), Ok(longest.clone()));
    assert_eq!((longest + "a").encode(), Err(EncodeError::StringTooLong { units: 255 }));
    assert_eq!("a\0b".to_owned().encode(), Err(EncodeError::NulInString));
}

#[test]
fn a_string_ends_at_its_first_nul_and_half_a_surrogate_is_replaced() {
    assert_eq!(String::decode(&[4, b'a', 0, 0, 0, b'x', 0, 0, 0]), Ok("a".to_owned()));
    assert_eq!(String::decode(&[2, 0, 0xD8, 0, 0]), Ok("\u{FFFD}".to_owned()));
}

#[test]
fn object_info_with_a_size_of_64_bits_is_recognised() {
    let mut info = ObjectInfo::new(FormatCode::MP3, 5, "track.mp3");
    info.parent = ObjectHandle(7);
    let narrow = info.encode().unwrap();
    let mut wide = narrow.clone();
    wide.splice(12..12, [0; 4]);
    wide[8..16].copy_from_slice(&(5u64 << 32).to_le_bytes());
    let read = ObjectInfo::decode(&wide).unwrap();
    assert_eq!((read.size, read.parent, read.file_name.as_str()), (5 << 32, ObjectHandle(7), "track.mp3"));
    let nameless = ObjectInfo::new(FormatCode::MP3, 5, "").encode().unwrap();
    assert_eq!(ObjectInfo::decode(&nameless).unwrap().size, 5);
}

#[test]
fn object_info_without_its_last_strings_is_read() {
    let whole = ObjectInfo::new(FormatCode::MP3, 5, "track.mp3").encode().unwrap();
    assert_eq!(ObjectInfo::decode(&whole[..whole.len() - 3]).unwrap().file_name, "track.mp3");
}

#[test]
fn an_enumeration_with_a_swapped_count_is_read() {
    let description = ObjectPropertyDescription {
        property: ObjectPropertyCode::NUMBER_OF_CHANNELS,
        data_type: DataType::UINT16,
        writable: true,
        default: Value::U16(1),
        group: 0,
        form: Form::Enumeration(vec![Value::U16(1), Value::U16(2)]),
    };
    let mut bytes = description.encode().unwrap();
    let count = bytes.len() - 6;
    bytes.swap(count, count + 1);
    assert_eq!(ObjectPropertyDescription::decode(&bytes), Ok(description));
}

#[test]
fn an_unknown_code_keeps_its_number_and_an_unknown_type_is_named() {
    assert_eq!(OperationCode(0x9F01).to_string(), "0x9f01");
    assert_eq!(OperationCode::SEND_OBJECT.to_string(), "SendObject (0x100d)");
    assert_eq!(Value::decode(&[0; 8], DataType(0x0042)), Err(DecodeError::UnknownType(DataType(0x0042))));
}

#[test]
fn dates_of_real_devices_are_read_or_refused() {
    let zone = |text| DateTime::parse(text).map(|date| date.zone);
    assert_eq!(zone("20060102T030405"), Some(Zone::Local));
    assert_eq!(zone("20060102T030405.7Z"), Some(Zone::Utc));
    assert_eq!(zone("20060102T030405+01:30"), Some(Zone::Offset(90)));
    for bogus in
        ["", "19700000T000000", "20061301T000000", "2006-01-02T03:04", "20060102T0304x5", "é0060102T030405"]
    {
        assert_eq!(DateTime::parse(bogus), None, "{bogus}");
    }
}

#[test]
fn forms_allow_what_they_say_and_broken_ones_allow_everything() {
    let range = |minimum, maximum| Form::Range {
        minimum: Value::U16(minimum),
        maximum: Value::U16(maximum),
        step: Value::U16(0),
    };
    assert!(range(0, 100).allows(&Value::U16(100)) && !range(0, 100).allows(&Value::U16(101)));
    assert!(range(9, 3).allows(&Value::U16(5)));
    assert!(Form::Enumeration(Vec::new()).allows(&Value::U16(5)));
    assert!(!Form::Enumeration(vec![Value::U16(1)]).allows(&Value::U16(5)));
    assert!(!Form::ByteArray(2).allows(&Value::U8Array(vec![0; 3])));
    assert!(!Form::DateTime.allows(&"yesterday".into()) && Form::DateTime.allows(&"20060102T030405".into()));
}
