//! Descriptors of real devices, of both versions, and any bytes.

use super::encode::{
    Property, bos, platform, v1_compatible_ids, v1_properties, v2, v2_property, v2_set, v2_subset,
};
use super::*;
use proptest::prelude::*;

const PAP: Guid = Guid(0xf33f_dc04_d1ac_4e8e_9a30_19bb_d4b1_08ae);
const PAP_TEXT: &str = "{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}";
const OTHER: Guid = Guid(0x25db_ce51_6c8f_4a72_8a6d_b54c_2b4f_c835);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn guids(advertised: &Advertised) -> Vec<Guid> {
    advertised.device_interfaces.iter().map(|interface| interface.guid).collect()
}

/// A SanDisk Sansa Clip's string descriptor and compatible ids; QEMU's MTP device has the same ids.
const SANSA_STRING: &str = "12 03 4d00 5300 4600 5400 3100 3000 3000 fe 00";
const SANSA_IDS: &str =
    "28000000 0001 0400 01 00000000000000 00 01 4d54500000000000 0000000000000000 000000000000";

#[test]
fn a_real_player_is_read() {
    assert_eq!(v1::vendor_code(&bytes(SANSA_STRING)), Some(0xfe));
    let ids = v1::compatible_ids(&bytes(SANSA_IDS)).unwrap();
    let mtp = CompatibleId { first_interface: Some(0), id: "MTP".to_owned(), sub_id: String::new() };
    assert_eq!(ids, [mtp]);
    assert_eq!(v1::length(&bytes(SANSA_IDS)[..16], v1::COMPATIBLE_IDS), Some(40));
}

#[test]
fn other_strings_are_no_signature() {
    // Rockbox answers with its manufacturer, hubs with nothing, others with less than they were asked for
    let manufacturer = bytes("1e 03 5200 6f00 6300 6b00 6200 6f00 7800 2e00");
    for string in [&manufacturer[..], &[], &bytes(SANSA_STRING)[..17], &bytes(SANSA_IDS)] {
        assert_eq!(v1::vendor_code(string), None, "{string:02x?}");
    }
}

#[test]
fn players_that_answer_with_their_compatible_ids_have_no_properties() {
    assert_eq!(v1::properties(&bytes(SANSA_IDS), 0), Err(Malformed::Another));
    // two real ones have an empty set, two bytes longer than its header
    let empty = v1::properties(&bytes("0c000000 0001 0500 0000 0000"), 0);
    assert_eq!(empty, Ok(Advertised::default()));
    assert_eq!(v1::properties(&bytes("0c000000 0001 0500 00"), 0), Err(Malformed::Short(9)));
}

#[test]
fn ids_with_nuls_between_and_empty_ones_are_read_as_meant() {
    // two Samsung phones have four bytes for each letter
    let spread = [&b"M\0\0\0T\0\0\0P"[..], &[0; 7]].concat();
    assert_eq!(compatible_id(None, spread.first_chunk().unwrap()).unwrap().to_string(), "MTP");
    let with_sub_id = compatible_id(None, b"MTP\0\0\0\0\0\x33\0\0\0\0\0\0\0");
    assert_eq!(with_sub_id.unwrap().to_string(), "MTP/3");
    let ids = v1_compatible_ids(&[(0, *b"M\0T\0P\0\0\0"), (1, [0; 8]), (2, *b"WINUSB\0\0"), (3, [0xff; 8])]);
    let ids = v1::compatible_ids(&ids).unwrap();
    let short: Vec<_> = ids.iter().map(|id| (id.first_interface, id.id.as_str())).collect();
    assert_eq!(short, [(Some(0), "MTP"), (Some(2), "WINUSB")]);
}

#[test]
fn a_padded_property_is_stepped_over_by_its_own_size() {
    // as QEMU builds them: six bytes longer than what it holds
    let padded = Property { padding: 6, ..Property::new(1, "Label", "Some keyboard\0") };
    let guid = Property::new(1, "DeviceInterfaceGUID", &format!("{PAP_TEXT}\0"));
    let set = v1_properties(&[padded, guid]);
    assert_eq!(guids(&v1::properties(&set, 3).unwrap()), [PAP]);
    let alone = v1_properties(&[Property::new(1, "DeviceInterfaceGUID", &format!("{PAP_TEXT}\0"))]);
    assert_eq!(alone.len(), 0x8e, "as Microsoft's example has it");
}

#[test]
fn guids_are_read_in_every_way_that_firmware_writes_them() {
    let lower = PAP_TEXT.to_lowercase();
    let bare = lower.trim_matches(['{', '}']);
    for (kind, name, value) in [
        (1, "DeviceInterfaceGUID", format!("{PAP_TEXT}\0")),
        (1, "DeviceInterfaceGUID", PAP_TEXT.to_owned()),
        (7, "DeviceInterfaceGUIDs", format!("{PAP_TEXT}\0\0")),
        (7, "DeviceInterfaceGUIDs", format!("{lower}\0")),
        (1, "DeviceInterfaceGUIDs", format!("{bare}\0")),
        (7, "deviceinterfaceguids", bare.to_owned()),
    ] {
        let property = Property::new(kind, name, &value);
        let expected = DeviceInterface { first_interface: Some(2), guid: PAP };
        let v1 = v1::properties(&v1_properties(std::slice::from_ref(&property)), 2).unwrap();
        assert_eq!(v1.device_interfaces, [expected], "{property:?}");
        let set = v2_set(&v2_subset(1, 0, &v2_subset(2, 2, &v2_property(&property))));
        assert_eq!(v2::advertised(&set).unwrap().device_interfaces, [expected], "{property:?}");
    }
    let two = Property::new(7, "DeviceInterfaceGUIDs", &format!("{OTHER}\0{lower}\0\0"));
    assert_eq!(guids(&v1::properties(&v1_properties(&[two]), 0).unwrap()), [OTHER, PAP]);
    let others = [
        Property::new(1, "Label", &format!("{PAP_TEXT}\0")),
        Property::new(3, "DeviceInterfaceGUID", &format!("{PAP_TEXT}\0")),
        Property::new(1, "DeviceInterfaceGUID", "no guid\0"),
    ];
    assert_eq!(guids(&v1::properties(&v1_properties(&others), 0).unwrap()), []);
}

#[test]
fn a_property_longer_than_its_section_is_refused_and_one_that_was_cut_off_is_left_out() {
    let guid = Property::new(1, "DeviceInterfaceGUID", &format!("{PAP_TEXT}\0"));
    let mut set = v1_properties(&[guid.clone(), guid]);
    assert_eq!(guids(&v1::properties(&set[..set.len() - 1], 0).unwrap()), [PAP]);
    // the length of its value
    set[10 + 10 + 40] = 0xff;
    assert_eq!(v1::properties(&set, 0), Err(Malformed::Lengths(10)));
}

#[test]
fn a_set_has_properties_of_the_device_and_of_its_functions() {
    let property =
        |guid: Guid| v2_property(&Property::new(7, "DeviceInterfaceGUIDs", &format!("{guid}\0\0")));
    let id = |id: &[u8; 8]| v2(3, &[&id[..], &[0; 8]].concat());
    let first = v2_subset(2, 0, &[id(b"WINUSB\0\0"), property(OTHER)].concat());
    let second = v2_subset(2, 4, &[v2(5, &[0, 1]), property(PAP), v2(0x77, b"unknown")].concat());
    let whole = [property(Guid(1)), v2_subset(1, 0, &[first, second].concat()), property(Guid(2))].concat();
    let advertised = v2::advertised(&v2_set(&whole)).unwrap();
    assert_eq!(advertised.compatible_ids.len(), 1);
    assert_eq!(advertised.compatible_ids[0].first_interface, Some(0));
    let found: Vec<_> =
        advertised.device_interfaces.iter().map(|found| (found.first_interface, found.guid)).collect();
    assert_eq!(found, [(None, Guid(1)), (Some(0), OTHER), (Some(4), PAP), (None, Guid(2))]);
}

#[test]
fn a_set_is_found_by_the_platform_capability_alone() {
    let super_speed = vec![10, 0x10, 3, 0, 0x0e, 0, 1, 0x0a, 0xff, 7];
    let other_platform = [&[20, 0x10, 5, 0][..], &[1; 16]].concat();
    let all = bos(&[super_speed.clone(), other_platform, platform(0x42, 0x9e)]);
    assert_eq!(v2::descriptor_set(&all), Some(v2::DescriptorSet { vendor_code: 0x42, length: 0x9e }));
    assert_eq!(v2::bos_length(&all[..5]).map(usize::from), Some(all.len()));
    assert_eq!(v2::descriptor_set(&bos(&[super_speed])), None);
    assert_eq!(v2::descriptor_set(&bos(&[vec![0, 0x10, 5]])), None, "a length of zero never ends");
    assert_eq!(v2::descriptor_set(&all[..all.len() - 1]), None);
}

#[test]
fn lengths_that_never_end_are_refused() {
    let set = v2_set(&[0, 0, 4, 0]);
    assert_eq!(v2::advertised(&set), Err(Malformed::Lengths(10)));
    assert_eq!(v2::advertised(&set[..9]), Err(Malformed::Short(9)));
    assert_eq!(v2::advertised(&bytes(SANSA_IDS)), Err(Malformed::Another));
}

fn properties() -> impl Strategy<Value = (Vec<Property>, Vec<Guid>)> {
    let one = (any::<u128>(), any::<bool>(), any::<bool>(), 0usize..9, "[A-Za-z]{0,12}");
    prop::collection::vec(one, 0..6).prop_map(|list| {
        let mut expected = Vec::new();
        let encode = |(guid, lists, lower, padding, name): (u128, bool, bool, usize, String)| {
            let text = Guid(guid).to_string();
            let text = if lower { text.to_lowercase() } else { text };
            let name = if lists { "DeviceInterfaceGUIDs".to_owned() } else { format!("X{name}") };
            expected.extend(lists.then_some(Guid(guid)));
            Property { padding, ..Property::new(7, &name, &format!("{text}\0\0")) }
        };
        (list.into_iter().map(encode).collect(), expected)
    })
}

proptest! {
    #[test]
    fn what_was_encoded_is_read_back((properties, expected) in properties(), interface: u8) {
        let v1 = v1::properties(&v1_properties(&properties), interface).unwrap();
        prop_assert_eq!(guids(&v1), expected.clone());
        let body: Vec<u8> = properties.iter().flat_map(v2_property).collect();
        let v2 = v2::advertised(&v2_set(&v2_subset(2, interface, &body))).unwrap();
        prop_assert_eq!(guids(&v2), expected);
        prop_assert!(v2.device_interfaces.iter().all(|found| found.first_interface == Some(interface)));
    }

    /// 76 bytes are the least that a GUID takes without braces and NUL in UTF-16 (36 characters and what surrounds them).
    #[test]
    fn any_bytes_are_read_without_more_than_they_hold(mut bytes in prop::collection::vec(any::<u8>(), 0..400), header in 0u8..4) {
        match header {
            1 if bytes.len() > 8 => bytes[4..8].copy_from_slice(&[0, 1, 4, 0]),
            2 if bytes.len() > 8 => bytes[4..8].copy_from_slice(&[0, 1, 5, 0]),
            3 if bytes.len() > 4 => bytes[..4].copy_from_slice(&[10, 0, 0, 0]),
            _ => {}
        }
        let _ = (v1::vendor_code(&bytes), v2::descriptor_set(&bytes));
        let ids = v1::compatible_ids(&bytes).unwrap_or_default();
        prop_assert!(ids.len() * 24 <= bytes.len());
        for advertised in [v1::properties(&bytes, 0), v2::advertised(&bytes)].into_iter().flatten() {
            prop_assert!(advertised.device_interfaces.len() * 72 <= bytes.len());
        }
    }

    #[test]
    fn a_reply_that_was_cut_off_gives_no_more_than_the_whole((properties, expected) in properties(), cut in 0usize..600) {
        let whole = v1_properties(&properties);
        let cut = v1::properties(&whole[..whole.len().min(cut)], 0).unwrap_or_default();
        prop_assert!(expected.starts_with(&guids(&cut)));
    }
}
