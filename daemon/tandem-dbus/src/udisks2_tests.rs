//! Proves which objects of UDisks2 are chosen, and what its errors mean. The calls themselves are proved against a
//! mock of UDisks2 on a private bus.

use super::*;
use std::os::unix::ffi::OsStrExt;
use zbus::OwnedVariant;
use zbus::message::Message;
use zbus::names::OwnedErrorName;

fn object(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).unwrap()
}

fn block(name: &str, drive: &str, number: u64, mounts: &[&str]) -> Block {
    Block {
        object: object(&format!("/b/{name}")),
        drive: object(drive),
        nodes: vec![PathBuf::from(format!("/dev/{name}"))],
        number,
        mount_points: mounts.iter().map(PathBuf::from).collect(),
    }
}

fn drive(path: &str, sibling_id: &str) -> DriveFacts {
    DriveFacts {
        object: object(path),
        sibling_id: sibling_id.to_owned(),
        can_power_off: true,
        ejectable: false,
        arrived: Duration::ZERO,
    }
}

fn owned(value: Variant<'_>) -> OwnedVariant {
    OwnedVariant::try_from(value).unwrap()
}

#[test]
fn facts_are_copied_out_of_the_objects() {
    let interface = |name: &str| zbus::names::OwnedInterfaceName::try_from(name).unwrap();
    let mounts = vec![b"/media/ann/\xff\0".to_vec()];
    let block_properties = HashMap::from([
        ("Device".to_owned(), owned(Variant::from(b"/dev/sdb1\0".to_vec()))),
        ("DeviceNumber".to_owned(), owned(Variant::from(2065u64))),
        ("Drive".to_owned(), owned(Variant::from(object("/d/1").into_inner()))),
    ]);
    let filesystem = HashMap::from([("MountPoints".to_owned(), owned(Variant::from(mounts)))]);
    let drive_properties = HashMap::from([("CanPowerOff".to_owned(), owned(Variant::from(true)))]);
    let objects = HashMap::from([
        (
            object("/b/sdb1"),
            HashMap::from([(interface(BLOCK), block_properties), (interface(FILESYSTEM), filesystem)]),
        ),
        (object("/d/1"), HashMap::from([(interface(DRIVE), drive_properties)])),
        (
            object("/d/2"),
            HashMap::from([(
                interface(DRIVE),
                HashMap::from([("CanPowerOff".to_owned(), owned(Variant::from(1u32)))]),
            )]),
        ),
    ]);
    let mut found = facts(objects);
    found.drives.sort_by(|a, b| a.object.cmp(&b.object));
    assert_eq!(found.blocks.len(), 1);
    assert_eq!(found.blocks[0].nodes, [PathBuf::from("/dev/sdb1")]);
    assert_eq!(found.blocks[0].number, 2065);
    assert_eq!(found.blocks[0].drive, object("/d/1"));
    assert_eq!(found.blocks[0].mount_points[0].as_os_str().as_bytes(), b"/media/ann/\xff");
    assert!(found.drives[0].can_power_off);
    assert!(!found.drives[1].can_power_off, "a property of another type counts as missing");
}

#[test]
fn a_device_is_found_by_its_number_before_its_node() {
    let facts = Facts {
        blocks: vec![block("sdb1", "/d/1", 1, &[]), block("sdc1", "/d/2", 2, &[])],
        drives: Vec::new(),
    };
    assert_eq!(facts.block(Path::new("/dev/sdb1"), Some(2)).unwrap().object, object("/b/sdc1"));
    assert_eq!(facts.block(Path::new("/dev/sdb1"), None).unwrap().object, object("/b/sdb1"));
    assert_eq!(facts.block(Path::new("/dev/sdd1"), Some(9)), None);
}

#[test]
fn ejecting_takes_the_whole_device_and_nothing_else() {
    let facts = Facts {
        blocks: vec![
            block("sdb1", "/d/1", 1, &[]),
            block("sdb2", "/d/1", 2, &["/m"]),
            block("sdc1", "/d/2", 3, &[]),
            block("sdd1", "/d/3", 4, &[]),
            block("sde1", "/d/4", 5, &[]),
        ],
        drives: vec![drive("/d/1", "usb1"), drive("/d/2", "usb1"), drive("/d/3", ""), drive("/d/4", "")],
    };
    let names = |node: &str| {
        let (_, blocks) = facts.device_of(facts.block(Path::new(node), None).unwrap());
        blocks.iter().map(|block| block.object.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/dev/sdb1"), ["/b/sdb1", "/b/sdb2", "/b/sdc1"]);
    assert_eq!(names("/dev/sdd1"), ["/b/sdd1"], "drives without a sibling id are no siblings");
}

#[test]
fn a_writable_mount_is_preferred() {
    let mounts = [PathBuf::from("/ro"), PathBuf::from("/rw")];
    assert_eq!(choose(&mounts, |path| path == Path::new("/rw")), Some(&mounts[1]));
    assert_eq!(choose(&mounts, |_| false), Some(&mounts[0]));
    assert_eq!(choose(&[], |_| true), None);
}

#[test]
fn errors_of_udisks_say_what_to_do() {
    let message = Message::method_call("/", "Mount").build(&()).unwrap();
    let error = |name: &str| {
        let name = OwnedErrorName::try_from(name).unwrap();
        let error = zbus::Error::MethodError(name, Some("why".to_owned()), message.clone());
        player_error("mounting", Path::new("/dev/sdb1"), &error)
    };
    assert!(
        matches!(error("org.freedesktop.UDisks2.Error.DeviceBusy"), PlayerError::Busy(text) if text.contains("why"))
    );
    for refused in ["NotAuthorized", "NotAuthorizedCanObtain", "NotAuthorizedDismissed"] {
        let refused = error(&format!("org.freedesktop.UDisks2.Error.{refused}"));
        assert!(
            matches!(refused, PlayerError::NotPermitted(text) if text.contains("why") && text.contains("/dev/sdb1"))
        );
    }
    assert!(matches!(error("org.freedesktop.UDisks2.Error.Timedout"), PlayerError::TimedOut(_)));
    assert_eq!(error("org.freedesktop.DBus.Error.UnknownObject"), PlayerError::Removed);
    assert!(
        matches!(error("org.freedesktop.DBus.Error.ServiceUnknown"), PlayerError::Other(text) if text.contains("udisks2"))
    );
    assert!(
        matches!(error("org.freedesktop.UDisks2.Error.Failed"), PlayerError::Other(text) if text.contains("why"))
    );
}
