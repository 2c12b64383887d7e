//! Tests of what USB devices are taken for, with facts as real ones give them.

use super::*;
use crate::facts::UsbFacts;
use crate::microsoft::{CompatibleId, DeviceInterface};
use proptest::prelude::*;

pub(crate) fn interface(class: u8, subclass: u8, protocol: u8, name: &str) -> InterfaceFacts {
    InterfaceFacts {
        number: 1,
        class,
        subclass,
        protocol,
        endpoints: 3,
        name: name.to_owned(),
        driver: String::new(),
    }
}

pub(crate) fn device(vendor: &str, interfaces: Vec<InterfaceFacts>) -> UsbDeviceFacts {
    UsbDeviceFacts {
        syspath: "/sys/devices/usb1/1-2".into(),
        node: Some("/dev/bus/usb/001/004".into()),
        address: (1, 4),
        usb: UsbFacts {
            vendor_id: vendor.into(),
            product_id: "4EE1".into(),
            product: "Phone".into(),
            serial: "ABC1".into(),
            port: "1-2".into(),
            ..UsbFacts::default()
        },
        usb_version: "2.00".into(),
        release: "0100".into(),
        interfaces,
        ..UsbDeviceFacts::default()
    }
}

/// A device that nobody but its descriptors can tell of.
pub(crate) fn unknown() -> UsbDeviceFacts {
    device("1209", vec![interface(0xff, 0, 0, "Player")])
}

fn with_driver(driver: &str, interface: InterfaceFacts) -> InterfaceFacts {
    InterfaceFacts { driver: driver.to_owned(), ..interface }
}

fn advertising(guids: &[Guid], first_interface: Option<u8>) -> Answer {
    let device_interfaces =
        guids.iter().map(|guid| DeviceInterface { first_interface, guid: *guid }).collect();
    Answer::Advertised(Advertised { device_interfaces, ..Advertised::default() })
}

fn compatible(id: &str, first_interface: Option<u8>) -> Answer {
    let id = CompatibleId { first_interface, id: id.to_owned(), sub_id: String::new() };
    Answer::Advertised(Advertised { compatible_ids: vec![id], ..Advertised::default() })
}

fn mtp_id(facts: &UsbDeviceFacts) -> String {
    let classified = classify_usb(facts, None);
    assert!(matches!(classified.verdict, Verdict::Mtp(_)), "{classified:?}");
    classified.arrival().unwrap().description.id.0.clone()
}

fn left_alone(facts: &UsbDeviceFacts) -> Reason {
    let classified = classify_usb(facts, None);
    assert_eq!(classified.verdict, Verdict::LeftAlone, "{classified:?}");
    classified.because
}

#[test]
fn a_phone_is_found_by_its_interface_and_keeps_its_identifier() {
    let phone = device("18d1", vec![interface(0xff, 0x42, 1, "ADB"), interface(6, 1, 1, "MTP")]);
    let classified = classify_usb(&phone, None);
    let arrival = classified.arrival().unwrap();
    assert_eq!(arrival.description.id.0, "mtp-18d1-4ee1-ABC1");
    assert_eq!(arrival.description.kind, Kind::Mtp);
    let node = "/dev/bus/usb/001/004".into();
    assert_eq!(arrival.locator, Locator::Usb { node, ids: (0x18d1, 0x4ee1), interface: 1 });
    assert_eq!(classified.because, Reason::NamedMtp(1));
    let other_socket = UsbDeviceFacts { usb: UsbFacts { port: "3-1".into(), ..phone.usb.clone() }, ..phone };
    assert_eq!(mtp_id(&other_socket), arrival.description.id.0);
}

#[test]
fn vendor_specific_interfaces_count_by_name_by_udev_or_by_descriptors() {
    assert_eq!(mtp_id(&device("091e", vec![interface(0xff, 0xff, 0, "MTP")])), "mtp-091e-4ee1-ABC1");
    let unnamed = device("1949", vec![interface(0xff, 0xff, 0, "")]);
    assert_eq!(classify_usb(&unnamed, None).verdict, Verdict::Ask);
    for first_interface in [Some(1), Some(7), None] {
        let answered = classify_usb(&unnamed, Some(&compatible("MTP", first_interface)));
        assert_eq!(answered.because, Reason::CompatibleMtp(1));
        assert!(matches!(answered.verdict, Verdict::Mtp(_)));
    }
    assert_eq!(classify_usb(&unnamed, Some(&compatible("WINUSB", None))).because, Reason::NothingAdvertised);
    assert_eq!(mtp_id(&UsbDeviceFacts { is_known_mtp: true, ..unnamed }), "mtp-1949-4ee1-ABC1");
    let bulk_alone = InterfaceFacts { endpoints: 2, ..interface(0xff, 0, 0, "") };
    let answered = classify_usb(&device("1949", vec![bulk_alone]), Some(&compatible("MTP", None)));
    assert_eq!(answered, Classified::left_alone(Reason::NoMtpInterface));
}

#[test]
fn a_camera_is_no_player_and_a_phone_in_its_mode_is_told_apart() {
    let ptp = device("18d1", vec![interface(6, 1, 1, "PTP")]);
    assert_eq!(left_alone(&ptp), Reason::PictureTransfer);
    let camera = UsbDeviceFacts { is_camera: true, ..device("04b0", vec![interface(6, 1, 1, "")]) };
    assert_eq!(left_alone(&camera), Reason::PictureTransfer);
    assert_eq!(mtp_id(&UsbDeviceFacts { is_known_mtp: true, ..camera }), "mtp-04b0-4ee1-ABC1");
}

#[test]
fn what_belongs_to_others_is_never_touched_nor_asked() {
    let named = || vec![interface(0xff, 0xff, 0, "MTP")];
    for vendor in ["0670", "0765", "03EB"] {
        let left = left_alone(&device(vendor, named()));
        assert!(matches!(left, Reason::DoNotTouch(..)), "{vendor}: {left:?}");
    }
    // root hubs are the kernel's, and players on Linux have ids of the same vendor
    let of_linux = |product: &str| {
        let mut device = device("1d6b", named());
        device.usb.product_id = product.into();
        device
    };
    assert!(matches!(left_alone(&of_linux("0003")), Reason::DoNotTouch(..)));
    assert_eq!(mtp_id(&of_linux("0100")), "mtp-1d6b-0100-ABC1");
    let printer = device("04b8", vec![interface(7, 1, 2, ""), interface(6, 1, 1, "MTP")]);
    assert!(matches!(left_alone(&printer), Reason::DoNotTouch(..)));
    let ruled = UsbDeviceFacts { forbidden_by: Some("TANDEM_IGNORE=1"), ..device("18d1", named()) };
    assert_eq!(left_alone(&ruled), Reason::ByRule("TANDEM_IGNORE=1"));
    let held = device("18d1", vec![with_driver("cdc_acm", interface(0xff, 0xff, 0, "MTP"))]);
    assert_eq!(left_alone(&held), Reason::Driver(1, "cdc_acm".into()));
}

/// Devices that may not be asked, with the reason for it.
fn not_to_be_asked() -> Vec<(UsbDeviceFacts, Reason)> {
    let own = || interface(0xff, 0, 0, "");
    let of = |interfaces: Vec<InterfaceFacts>| device("1209", interfaces);
    let mut list = vec![
        (UsbDeviceFacts { class: 9, ..of(vec![own()]) }, Reason::Hub),
        (of(vec![interface(9, 0, 0, "")]), Reason::Hub),
        (of(vec![with_driver("usbhid", interface(3, 1, 1, ""))]), Reason::NoInterface),
        (of(vec![interface(3, 1, 1, "")]), Reason::NoInterface),
        (of(Vec::new()), Reason::NoInterface),
        (of(vec![with_driver("option", own())]), Reason::Driver(1, "option".into())),
        (of(vec![own(), with_driver("usbfs", interface(3, 0, 0, ""))]), Reason::InUse(1)),
        (of(vec![InterfaceFacts { endpoints: 1, ..own() }]), Reason::NoInterface),
        (UsbDeviceFacts { is_camera: true, ..of(vec![own()]) }, Reason::PictureTransfer),
        (UsbDeviceFacts { node: None, ..of(vec![own()]) }, Reason::NoNode),
        (of(vec![with_driver("snd-usb-audio", interface(1, 1, 0, ""))]), Reason::NoInterface),
    ];
    list.extend(
        [0x0b, 0x0d, 0x0e, 0x0f, 0x11, 0xdc, 0xe0, 0xfe]
            .map(|class| (of(vec![own(), interface(class, 0, 0, "")]), Reason::OtherPurpose(1, class))),
    );
    list.extend(
        [0x01, 0x03, 0x07, 0x0b, 0x0e, 0xdc, 0xe0, 0xfe]
            .map(|class| (UsbDeviceFacts { class, ..of(vec![own()]) }, Reason::DeviceClass(class))),
    );
    list.extend(
        [
            "0670:0001",
            "0765:5020",
            "085c:0300",
            "0971:2000",
            "04a9:2206",
            "04a9:22ff",
            "04a9:3113",
            "03f0:c511",
            "0cf3:9271",
            "03eb:2104",
            "0471:083f",
            "1db2:0600",
            "1395:0280",
            "1d6b:0002",
        ]
        .map(|ids| {
            let (vendor, product) = ids.split_once(':').unwrap();
            let mut device = device(vendor, vec![own()]);
            device.usb.product_id = product.to_owned();
            (device, Reason::DoNotTouch(vendor.to_owned(), product.to_owned()))
        }),
    );
    list.extend(
        ["TANDEM_IGNORE=1", "MTP_NO_PROBE=1", "COLOR_MEASUREMENT_DEVICE=1", "libsane_matched=yes"].map(
            |rule| (UsbDeviceFacts { forbidden_by: Some(rule), ..of(vec![own()]) }, Reason::ByRule(rule)),
        ),
    );
    list
}

#[test]
fn what_could_not_be_a_player_or_is_in_use_is_not_asked() {
    for (facts, reason) in not_to_be_asked() {
        assert_eq!(may_be_asked(&facts), Err(reason.clone()), "{facts:?}");
        assert_eq!(left_alone(&facts), reason, "{facts:?}");
    }
    assert_eq!(may_be_asked(&unknown()), Ok(()));
    let composite = device(
        "1209",
        vec![
            with_driver("usbhid", interface(3, 0, 0, "")),
            InterfaceFacts { number: 2, ..interface(0xff, 0, 0, "") },
        ],
    );
    assert_eq!(classify_usb(&composite, None).verdict, Verdict::Ask);
}

#[test]
fn a_player_is_for_a_provider_by_its_descriptors_or_by_a_rule() {
    let other = Guid(1);
    let classified = classify_usb(&unknown(), Some(&advertising(&[other, PLAYER_INTERFACE], Some(1))));
    assert_eq!(classified.because, Reason::Player);
    let arrival = classified.arrival().unwrap();
    assert_eq!(
        (arrival.description.id.0.as_str(), arrival.description.kind),
        ("pap-1209-4ee1-ABC1", Kind::Provider)
    );
    let device = ProviderDevice {
        canonical_name: "pap-1209-4ee1-ABC1".to_owned(),
        ids: Some((0x1209, 0x4ee1)),
        serial: "ABC1".to_owned(),
        interfaces: vec![other, PLAYER_INTERFACE],
        syspath: "/sys/devices/usb1/1-2".to_owned(),
        node: Some("/dev/bus/usb/001/004".into()),
        provider: None,
    };
    assert_eq!(arrival.locator, Locator::Provider(Box::new(device)));

    let none = classify_usb(&unknown(), Some(&advertising(&[other], None)));
    assert_eq!(none, Classified::left_alone(Reason::Others(vec![other])));
    for (answer, reason) in [(Answer::None, Reason::NoDescriptors), (Answer::Silent, Reason::Silent)] {
        assert_eq!(classify_usb(&unknown(), Some(&answer)), Classified::left_alone(reason));
    }

    let ruled = UsbDeviceFacts {
        device_interfaces: format!("{other},f33fdc04-d1ac-4e8e-9a30-19bbd4b108ae nonsense"),
        provider: " org.example.Players ".to_owned(),
        ..unknown()
    };
    let classified = classify_usb(&ruled, None);
    assert_eq!(classified.because, Reason::PlayerByRule);
    let Locator::Provider(device) = &classified.arrival().unwrap().locator else { panic!("{classified:?}") };
    assert_eq!(device.interfaces, [other, PLAYER_INTERFACE]);
    assert_eq!(device.provider.as_deref(), Some("org.example.Players"));
    let others = UsbDeviceFacts { device_interfaces: other.to_string(), ..unknown() };
    assert_eq!(left_alone(&others), Reason::OthersByRule(other.to_string()));
}

#[test]
fn drives_and_mtp_players_are_for_no_provider() {
    let ruled = |interfaces| UsbDeviceFacts {
        device_interfaces: PLAYER_INTERFACE.to_string(),
        ..device("1209", interfaces)
    };
    let drive = ruled(vec![with_driver("usb-storage", interface(8, 6, 0x50, "")), interface(0xff, 0, 0, "")]);
    assert_eq!(
        classify_usb(&drive, None),
        Classified { verdict: Verdict::MassStorage, because: Reason::Storage(1) }
    );
    assert!(matches!(classify_usb(&ruled(vec![interface(6, 1, 1, "MTP")]), None).verdict, Verdict::Mtp(_)));
    let driven = device("1209", vec![with_driver("cdc_acm", interface(0xff, 0, 0, ""))]);
    // told of the interface itself, of the device as a whole, or of an interface that it hasn't
    for first_interface in [Some(1), None, Some(7)] {
        let answer = advertising(&[PLAYER_INTERFACE], first_interface);
        assert_eq!(classify_usb(&driven, Some(&answer)).because, Reason::Driver(1, "cdc_acm".to_owned()));
    }
    let mut beside = driven;
    beside.interfaces.push(InterfaceFacts { number: 2, ..interface(0xff, 0, 0, "") });
    let answer = advertising(&[PLAYER_INTERFACE], None);
    assert_eq!(classify_usb(&beside, Some(&answer)).because, Reason::Player, "another interface is free");
    let keyboard = device("1209", vec![with_driver("usbhid", interface(3, 1, 1, ""))]);
    assert_eq!(classify_usb(&keyboard, Some(&answer)).because, Reason::NoInterface);
}

#[test]
fn a_device_without_a_serial_number_is_known_by_its_socket() {
    for serial in ["", "000000000000"] {
        let mut player = device("18d1", vec![interface(6, 1, 1, "MTP")]);
        player.usb.serial = serial.into();
        assert_eq!(mtp_id(&player), "mtp-18d1-4ee1-at-1-2");
    }
}

/// A real player's facts from its profile: what libmtp saw of it, and by what it was recognised.
fn real(profile: &serde_json::Value) -> (UsbDeviceFacts, Option<Answer>) {
    let number = |value: &serde_json::Value| u8::try_from(value.as_u64().unwrap_or(0)).unwrap();
    let usb = &profile["usb"];
    let hex = |name: &str| format!("{:04x}", profile[name].as_u64().unwrap());
    let listed = usb["interfaces"].as_array().map(|interfaces| {
        interfaces.iter().filter(|interface| interface["altsetting"] == 0).map(|own| InterfaceFacts {
            number: number(&own["number"]),
            class: number(&own["class"]),
            subclass: number(&own["subclass"]),
            protocol: number(&own["protocol"]),
            endpoints: u8::try_from(own["endpoints"].as_array().map_or(0, Vec::len)).unwrap(),
            name: own["name"].as_str().unwrap_or_default().to_owned(),
            driver: String::new(),
        })
    });
    let recognised = usb["mtp_interface"]["recognised_by"].as_str();
    let own = match recognised {
        Some("mtp_string") => interface(0xff, 0xff, 0, "MTP"),
        Some("ptp_class") => interface(6, 1, 1, ""),
        _ => interface(0xff, 0, 0, ""),
    };
    let interfaces = listed.map_or_else(|| vec![own], Iterator::collect);
    let mut facts = device(&hex("vendor_id"), interfaces);
    facts.usb.product_id = hex("product_id");
    facts.class = number(&usb["class"]);
    let bytes = |name: &str| {
        let hex = profile["ms_os"][name].as_str()?;
        let digits = hex.as_bytes().chunks(2);
        Some(digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect())
    };
    let string: Option<Vec<u8>> = bytes("string_0xee_hex");
    let answer = string.filter(|string| crate::microsoft::v1::vendor_code(string).is_some()).map(|_| {
        let ids: Vec<u8> = bytes("compat_id_response_hex").unwrap_or_default();
        let properties: Vec<u8> = bytes("ext_props_response_hex").unwrap_or_default();
        let mut advertised = crate::microsoft::v1::properties(&properties, 0).unwrap_or_default();
        advertised.compatible_ids = crate::microsoft::v1::compatible_ids(&ids).unwrap_or_default();
        Answer::Advertised(advertised)
    });
    // libmtp has the others in its table, and so in udev's
    let tells =
        |answer: &Answer| matches!(answer, Answer::Advertised(advertised) if advertised.mtp().is_some());
    facts.is_known_mtp = recognised.is_none() && !answer.as_ref().is_some_and(tells);
    (facts, answer)
}

/// The profiles of real players, where they are.
fn profiles() -> Vec<(String, serde_json::Value)> {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/players");
    let directory = std::env::var_os("TANDEM_PROFILES").unwrap_or_else(|| usual.into());
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("skipped: {} is not there; TANDEM_PROFILES names another", directory.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
    })
    .collect()
}

#[test]
fn every_real_player_is_found() {
    let mut counts = std::collections::BTreeMap::new();
    let mut missed = Vec::new();
    let profiles = profiles();
    for (name, profile) in &profiles {
        let (facts, answer) = real(profile);
        let mut classified = classify_usb(&facts, None);
        if classified.verdict == Verdict::Ask {
            classified = classify_usb(&facts, answer.as_ref());
        }
        match &classified.verdict {
            Verdict::Mtp(_) => {
                let word = format!("{:?}", classified.because);
                *counts.entry(word.split('(').next().unwrap().to_owned()).or_insert(0) += 1;
            }
            _ => missed.push(format!("{name}: {}", classified.because)),
        }
    }
    println!("{} real players: {counts:?}", profiles.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn any_interface() -> impl Strategy<Value = InterfaceFacts> {
    let class = prop_oneof![Just(0xffu8), Just(6), Just(8), Just(3), any::<u8>()];
    let name = prop_oneof![Just(String::new()), Just("MTP".to_owned()), any::<String>()];
    let driver = prop_oneof![Just(""), Just("usbhid"), Just("usb-storage"), Just("usbfs")];
    (0u8..4, class, 0u8..3, 0u8..3, 0u8..5, name, driver).prop_map(
        |(number, class, subclass, protocol, endpoints, name, driver)| InterfaceFacts {
            number,
            class,
            subclass,
            protocol,
            endpoints,
            name,
            driver: driver.to_owned(),
        },
    )
}

fn any_answer() -> impl Strategy<Value = Option<Answer>> {
    let guids = prop::collection::vec(prop_oneof![Just(PLAYER_INTERFACE), Just(Guid(1))], 0..3);
    prop_oneof![
        Just(None),
        Just(Some(Answer::None)),
        Just(Some(Answer::Silent)),
        (guids, prop::option::of(0u8..4)).prop_map(|(guids, first)| Some(advertising(&guids, first))),
        prop::option::of(0u8..4).prop_map(|first| Some(compatible("MTP", first))),
    ]
}

fn any_facts() -> impl Strategy<Value = UsbDeviceFacts> {
    let interfaces = prop::collection::vec(any_interface(), 0..4);
    let class = prop_oneof![Just(0u8), any::<u8>()];
    let vendor = prop_oneof![Just("1209".to_owned()), Just("0670".to_owned()), any::<String>()];
    let rule = prop_oneof![Just(None), Just(None), Just(Some("TANDEM_IGNORE=1"))];
    let ruled = prop_oneof![Just(String::new()), Just(PLAYER_INTERFACE.to_string()), any::<String>()];
    (interfaces, class, vendor, rule, ruled, any::<bool>(), any::<bool>()).prop_map(
        |(interfaces, class, vendor, forbidden_by, device_interfaces, is_known_mtp, is_camera)| {
            UsbDeviceFacts {
                class,
                forbidden_by,
                device_interfaces,
                is_known_mtp,
                is_camera,
                ..device(&vendor, interfaces)
            }
        },
    )
}

proptest! {
    #[test]
    fn any_facts_have_a_verdict_with_a_reason(facts in any_facts(), answer in any_answer()) {
        let classified = classify_usb(&facts, answer.as_ref());
        prop_assert!(!classified.because.to_string().is_empty());
        let touched = facts.forbidden_by.is_none() && facts.usb.vendor_id != "0670";
        prop_assert!(touched || classified.verdict == Verdict::LeftAlone);
        match &classified.verdict {
            // one that has answered isn't asked again, and none that may not be asked is
            Verdict::Ask => prop_assert!(answer.is_none() && may_be_asked(&facts).is_ok()),
            Verdict::Provider(arrival) => {
                prop_assert!(facts.interfaces.iter().all(|interface| interface.class != 8));
                let Locator::Provider(device) = &arrival.locator else { return Err(TestCaseError::fail("locator")) };
                prop_assert!(device.interfaces.contains(&PLAYER_INTERFACE));
            }
            Verdict::Mtp(arrival) => {
                let Locator::Usb { interface, .. } = arrival.locator else { return Err(TestCaseError::fail("locator")) };
                prop_assert!(facts.interfaces.iter().any(|own| own.number == interface && own.endpoints == 3));
            }
            Verdict::MassStorage | Verdict::LeftAlone => {}
        }
    }
}
