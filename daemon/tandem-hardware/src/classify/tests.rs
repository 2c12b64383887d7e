//! Tests of what is taken for a player, with facts as real devices give them.

use super::*;
use crate::facts::{CardFacts, UsbFacts};
use proptest::prelude::*;

/// A partitioned USB stick's first partition.
fn stick() -> BlockFacts {
    BlockFacts {
        syspath: "/sys/devices/pci0000:00/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1"
            .to_owned(),
        kernel_name: "sdb1".to_owned(),
        node: Some("/dev/sdb1".into()),
        number: (8, 17),
        is_partition: true,
        removable: true,
        file_system_usage: "filesystem".to_owned(),
        file_system_type: "vfat".to_owned(),
        file_system_uuid: "1A2B-3C4D".to_owned(),
        file_system_label: r"MY\x20MUSIC".to_owned(),
        partition_number: "1".to_owned(),
        partition_type: "0xc".to_owned(),
        bus: "usb".to_owned(),
        instance: "0:0".to_owned(),
        vendor: r"SanDisk\x20".to_owned(),
        vendor_id: "0781".to_owned(),
        model: r"Sansa\x20Clip\x2b\x20\x20\x20".to_owned(),
        model_id: "74d0".to_owned(),
        revision: "v01.02".to_owned(),
        serial: "4C53000123".to_owned(),
        media_player: "sandisk_sansa-clip-plus".to_owned(),
        bus_path: "pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0".to_owned(),
        usb: Some(UsbFacts {
            vendor_id: "0781".to_owned(),
            product_id: "74d0".to_owned(),
            manufacturer: "SanDisk".to_owned(),
            product: "Sansa Clip+".to_owned(),
            serial: "4C53000123".to_owned(),
            port: "1-2".to_owned(),
        }),
        ..BlockFacts::default()
    }
}

/// An SD card's first partition, in a reader that isn't on USB.
fn sd_card() -> BlockFacts {
    BlockFacts {
        syspath: "/sys/devices/platform/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p1".to_owned(),
        kernel_name: "mmcblk0p1".to_owned(),
        node: Some("/dev/mmcblk0p1".into()),
        number: (179, 1),
        is_partition: true,
        file_system_usage: "filesystem".to_owned(),
        file_system_type: "exfat".to_owned(),
        file_system_uuid: "64A5-F009".to_owned(),
        partition_number: "1".to_owned(),
        partition_type: "0x7".to_owned(),
        bus_path: "platform-mmc0".to_owned(),
        card: Some(CardFacts {
            kind: "SD".to_owned(),
            name: "SL64G".to_owned(),
            serial: "0x1f2e3d4c".to_owned(),
            slot: "mmc0:aaaa".to_owned(),
        }),
        ..BlockFacts::default()
    }
}

fn disk(mut facts: BlockFacts) -> BlockFacts {
    facts.is_partition = false;
    facts.partition_number.clear();
    facts.partition_type.clear();
    facts.kernel_name = facts.kernel_name.trim_end_matches('1').trim_end_matches('p').to_owned();
    facts
}

fn without_usb(mut facts: BlockFacts) -> BlockFacts {
    facts.usb = None;
    facts.bus.clear();
    facts
}

fn id(facts: &BlockFacts) -> String {
    classify(facts).unwrap().description.id.0
}

#[test]
fn a_stick_with_a_partition_is_described_in_full() {
    let arrival = classify(&stick()).unwrap();
    let description = DeviceDescription {
        id: tandem_model::id::DeviceId("usb-0781-74d0-4C53000123-p1-1A2B-3C4D".to_owned()),
        kind: Kind::MassStorage,
        name: "MY MUSIC".to_owned(),
        manufacturer: "SanDisk".to_owned(),
        model: "Sansa Clip+".to_owned(),
        serial_number: "4C53000123".to_owned(),
        firmware: "v01.02".to_owned(),
    };
    let locator = Locator::BlockDevice {
        node: "/dev/sdb1".into(),
        number: (8, 17),
        file_system_uuid: "1A2B-3C4D".to_owned(),
        media_player: Some("sandisk_sansa-clip-plus".to_owned()),
    };
    let port = "pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0".to_owned();
    assert_eq!(arrival, Arrival { key: stick().syspath, description, port, locator });
}

#[test]
fn a_stick_without_partitions_is_taken_as_a_whole_and_one_with_them_is_not() {
    assert_eq!(id(&disk(stick())), "usb-0781-74d0-4C53000123-1A2B-3C4D");
    let with_partitions = BlockFacts { has_partitions: true, ..disk(stick()) };
    assert_eq!(classify(&with_partitions), Err(Ignored::HasPartitions));
}

#[test]
fn two_partitions_and_two_units_are_devices_of_their_own() {
    let second = BlockFacts {
        kernel_name: "sdb2".to_owned(),
        partition_number: "2".to_owned(),
        file_system_uuid: "1A2B-0000".to_owned(),
        ..stick()
    };
    assert_eq!(id(&second), "usb-0781-74d0-4C53000123-p2-1A2B-0000");
    let card_slot = BlockFacts { instance: "0:1".to_owned(), ..disk(stick()) };
    assert_eq!(id(&card_slot), "usb-0781-74d0-4C53000123-lun1-1A2B-3C4D");
    let unnumbered =
        BlockFacts { partition_number: String::new(), kernel_name: "sdb3".to_owned(), ..stick() };
    assert_eq!(id(&unnumbered), "usb-0781-74d0-4C53000123-p3-1A2B-3C4D");
}

#[test]
fn what_a_device_does_not_tell_is_made_up_for_in_the_documented_order() {
    let mut no_serial = BlockFacts { serial: String::new(), ..stick() };
    no_serial.usb.as_mut().unwrap().serial.clear();
    assert_eq!(id(&no_serial), "usb-0781-74d0-p1-1A2B-3C4D");
    let no_uuid = BlockFacts { file_system_uuid: String::new(), ..stick() };
    assert_eq!(id(&no_uuid), "usb-0781-74d0-4C53000123-p1");
    let neither = BlockFacts { file_system_uuid: String::new(), ..no_serial.clone() };
    assert!(id(&neither).starts_with("usb-0781-74d0-p1-at-pci-0000_00_14.0-usb-0_2_1.0"), "{}", id(&neither));
    let elsewhere =
        BlockFacts { bus_path: "pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0".to_owned(), ..neither.clone() };
    assert_ne!(id(&neither), id(&elsewhere));
    let moved = BlockFacts { bus_path: elsewhere.bus_path, ..no_serial.clone() };
    assert_eq!(id(&moved), id(&no_serial), "with anything better, the port is not part of it");
    let by_descriptor = BlockFacts { serial: String::new(), ..stick() };
    assert_eq!(id(&by_descriptor), id(&stick()));
}

#[test]
fn names_fall_back_from_label_to_model_to_kind() {
    let name = |facts: &BlockFacts| classify(facts).unwrap().description.name;
    let no_label = BlockFacts { file_system_label: String::new(), ..stick() };
    assert_eq!(name(&no_label), "Sansa Clip+");
    let no_model = BlockFacts { model: String::new(), ..no_label };
    assert_eq!(name(&no_model), "Sansa Clip+", "the USB device's product name");
    assert_eq!(name(&BlockFacts { usb: None, ..no_model }), "USB storage");
    assert_eq!(name(&sd_card()), "SL64G");
    assert_eq!(
        name(&BlockFacts {
            card: Some(CardFacts { kind: "SD".to_owned(), ..CardFacts::default() }),
            ..sd_card()
        }),
        "Memory card"
    );
}

#[test]
fn cards_that_can_be_taken_out_are_taken_and_soldered_ones_are_not() {
    assert_eq!(id(&sd_card()), "sd-SL64G-1f2e3d4c-p1-64A5-F009");
    assert_eq!(id(&disk(sd_card())), "sd-SL64G-1f2e3d4c-64A5-F009");
    let mut soldered = sd_card();
    soldered.card.as_mut().unwrap().kind = "MMC".to_owned();
    assert_eq!(classify(&soldered), Err(Ignored::NotPortable));
    soldered.removable = true;
    assert!(classify(&soldered).is_ok());
    let boot_area = BlockFacts { kernel_name: "mmcblk0boot0".to_owned(), ..disk(sd_card()) };
    assert_eq!(classify(&boot_area), Err(Ignored::SpecialArea("mmcblk0boot0".to_owned())));
    let own = BlockFacts { holds_system: true, ..sd_card() };
    assert_eq!(classify(&own), Err(Ignored::System));
}

#[test]
fn a_card_without_registers_is_known_by_its_file_system_or_its_slot() {
    let unnamed = CardFacts { kind: "SD".to_owned(), slot: "mmc0:aaaa".to_owned(), ..CardFacts::default() };
    let facts = BlockFacts { card: Some(unnamed), ..sd_card() };
    assert_eq!(id(&facts), "sd-p1-64A5-F009");
    let facts = BlockFacts { file_system_uuid: String::new(), ..facts };
    assert_eq!(id(&facts), "sd-p1-at-platform-mmc0");
}

#[test]
fn what_belongs_to_the_computer_is_left_alone() {
    let nvme = BlockFacts { kernel_name: "nvme0n1p2".to_owned(), ..without_usb(stick()) };
    assert_eq!(classify(&nvme), Err(Ignored::NotPortable));
    let looped = BlockFacts { kernel_name: "loop0".to_owned(), ..disk(without_usb(stick())) };
    assert_eq!(classify(&looped), Err(Ignored::NotPortable));
    let booted = BlockFacts { holds_system: true, ..stick() };
    assert_eq!(classify(&booted), Err(Ignored::System));
    for kind in ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0xef", "de94bba4-06d1-4d40-a16a-bfd50179d6ac"] {
        let partition = BlockFacts { partition_type: kind.to_owned(), ..stick() };
        assert_eq!(classify(&partition), Err(Ignored::SystemPartition(kind.to_ascii_lowercase())));
    }
    let data = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7".to_owned();
    let required = BlockFacts { partition_type: data.clone(), partition_flags: "0x1".to_owned(), ..stick() };
    assert_eq!(classify(&required), Err(Ignored::SystemPartition(data.clone())));
    let ordinary =
        BlockFacts { partition_type: data, partition_flags: "0x8000000000000000".to_owned(), ..stick() };
    assert!(classify(&ordinary).is_ok());
    let active = BlockFacts { partition_flags: "0x80".to_owned(), ..stick() };
    assert!(classify(&active).is_ok());
}

#[test]
fn what_holds_no_files_of_the_user_is_left_alone() {
    for usage in ["", "crypto", "raid", "other"] {
        let facts = BlockFacts { file_system_usage: usage.to_owned(), ..stick() };
        assert_eq!(classify(&facts), Err(Ignored::NoFileSystem(usage.to_owned())));
    }
    for kind in ["iso9660", "udf"] {
        let facts = BlockFacts { file_system_type: kind.to_owned(), ..stick() };
        assert_eq!(classify(&facts), Err(Ignored::ReadOnlyFileSystem(kind.to_owned())));
    }
    let drive = BlockFacts { kernel_name: "sr0".to_owned(), ..disk(stick()) };
    assert_eq!(classify(&drive), Err(Ignored::Optical));
    assert_eq!(classify(&BlockFacts { optical: true, ..disk(stick()) }), Err(Ignored::Optical));
    assert_eq!(classify(&BlockFacts { node: None, ..stick() }), Err(Ignored::NoNode));
}

#[test]
fn udev_rules_have_the_last_word() {
    let tandem = BlockFacts { tandem_ignore: true, ..stick() };
    assert_eq!(classify(&tandem).unwrap_err().to_string(), "a udev rule sets TANDEM_IGNORE=1");
    let udisks = BlockFacts { udisks_ignore: true, ..stick() };
    assert_eq!(classify(&udisks), Err(Ignored::ByRule("UDISKS_IGNORE")));
}

#[test]
fn a_media_player_is_a_file_name_and_nothing_else() {
    for not_a_name in ["", "1", "../../etc/passwd", "a/b", ".hidden", "a\0b"] {
        let facts = BlockFacts { media_player: not_a_name.to_owned(), ..stick() };
        let Locator::BlockDevice { media_player, .. } = classify(&facts).unwrap().locator else { panic!() };
        assert_eq!(media_player, None, "{not_a_name:?}");
    }
}

proptest! {
    #[test]
    fn any_device_is_taken_and_its_identifier_is_legal(
        texts in prop::collection::vec(any::<String>(), 12),
        has_usb: bool,
        has_card: bool,
        is_partition: bool,
    ) {
        let [label, uuid, number, instance, vendor, id, model, revision, serial, player, path, name] =
            <[String; 12]>::try_from(texts).unwrap();
        let usb = UsbFacts { vendor_id: id.clone(), serial: serial.clone(), port: path.clone(), ..UsbFacts::default() };
        let card = CardFacts { kind: "SD".to_owned(), name, serial: serial.clone(), slot: path.clone() };
        let facts = BlockFacts {
            is_partition,
            file_system_label: label,
            file_system_uuid: uuid,
            partition_number: number,
            instance,
            vendor,
            vendor_id: id,
            model,
            revision,
            serial,
            media_player: player,
            bus_path: path,
            usb: has_usb.then_some(usb),
            card: has_card.then_some(card),
            ..stick()
        };
        let arrival = classify(&facts).unwrap();
        let description = arrival.description;
        prop_assert!(description.id.0.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
        prop_assert!(description.id.0.len() < 600);
        prop_assert!(!description.name.is_empty());
        for text in [description.name, description.manufacturer, description.model, description.serial_number, description.firmware] {
            prop_assert!(text.chars().count() <= 126 && !text.chars().any(char::is_control));
        }
    }

    #[test]
    fn any_facts_are_taken(texts in prop::collection::vec(any::<String>(), 8), flags: [bool; 5]) {
        let [kernel_name, usage, kind, partition_type, partition_flags, bus, syspath, card] =
            <[String; 8]>::try_from(texts).unwrap();
        let facts = BlockFacts {
            syspath,
            kernel_name,
            has_partitions: flags[0],
            holds_system: flags[1],
            removable: flags[2],
            is_partition: flags[3],
            file_system_usage: usage,
            file_system_type: kind,
            partition_type,
            partition_flags,
            bus,
            card: flags[4].then(|| CardFacts { kind: card, ..CardFacts::default() }),
            ..BlockFacts::default()
        };
        prop_assert!(classify(&facts).is_err());
    }
}
