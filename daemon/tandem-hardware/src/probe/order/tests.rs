//! Tests of what is asked, with devices that answer as real ones do.

use super::*;
use crate::microsoft::encode::{
    Property, bos, platform, v1_compatible_ids, v1_properties, v2_property, v2_set,
};
use crate::microsoft::{CompatibleId, DeviceInterface};
use crate::usb::PLAYER_INTERFACE;
use std::sync::Mutex;

/// A device that answers some requests, and notes all.
struct Device {
    answers: Vec<(&'static str, Result<Vec<u8>, Failure>)>,
    asked: Mutex<Vec<String>>,
}

impl Device {
    /// Answers by the first 12 digits of a request; what isn't there is refused.
    fn new(answers: Vec<(&'static str, Result<Vec<u8>, Failure>)>) -> Self {
        Self { answers, asked: Mutex::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Pipe for Device {
    async fn read(&self, request: Request) -> Result<Vec<u8>, Failure> {
        let Request { recipient, code, value, index, length } = request;
        let kind = match recipient {
            Recipient::Standard => 0x80,
            Recipient::Device => 0xc0,
            Recipient::Interface => 0xc1,
        };
        let setup = format!("{kind:02X}{code:02X} {value:04X} {index:04X}");
        self.asked.lock().unwrap().push(format!("{setup} {length:04X}"));
        let found = self.answers.iter().find(|(asked, _)| *asked == setup);
        let mut answer = found.map_or(Err(Failure::Refused), |(_, answer)| answer.clone())?;
        answer.truncate(length.into());
        Ok(answer)
    }
}

const STRING: [u8; 18] = *b"\x12\x03M\0S\0F\0T\x001\x000\x000\0\x21\0";

fn guid() -> Property {
    Property::new(1, "DeviceInterfaceGUID", "{f33fdc04-d1ac-4e8e-9a30-19bbd4b108ae}\0")
}

fn subject(interfaces: &[u8]) -> Subject {
    Subject { bos: None, may_have_bos: false, interfaces: interfaces.to_vec() }
}

fn player(first_interface: Option<u8>) -> DeviceInterface {
    DeviceInterface { first_interface, guid: PLAYER_INTERFACE }
}

#[tokio::test]
async fn a_device_of_version_1_is_asked_as_windows_asks() {
    let device = Device::new(vec![
        ("8006 03EE 0000", Ok(STRING.to_vec())),
        ("C021 0000 0004", Ok(v1_compatible_ids(&[(0, *b"WINUSB\0\0")]))),
        ("C121 0002 0005", Ok(v1_properties(&[guid()]))),
    ]);
    let answer = ask(&device, &subject(&[2])).await.unwrap();
    let id = CompatibleId { first_interface: Some(0), id: "WINUSB".to_owned(), sub_id: String::new() };
    let expected = Advertised { compatible_ids: vec![id], device_interfaces: vec![player(Some(2))] };
    assert_eq!(answer, Answer::Advertised(expected));
    assert_eq!(
        device.asked(),
        [
            "8006 03EE 0000 0012",
            "C021 0000 0004 0010",
            "C021 0000 0004 0028",
            "C121 0002 0005 000A",
            "C121 0002 0005 008E"
        ]
    );
}

#[tokio::test]
async fn small_firmware_answers_other_forms_and_players_answer_with_their_ids() {
    let ids = v1_compatible_ids(&[(0, [0; 8])]);
    let device = Device::new(vec![
        ("8006 03EE 0000", Ok(STRING.to_vec())),
        ("C021 0000 0004", Ok(ids.clone())),
        ("C021 0001 0005", Ok(ids)),
        ("C021 0000 0005", Ok(v1_properties(&[guid()]))),
    ]);
    let answer = ask(&device, &subject(&[1])).await.unwrap();
    let expected = Advertised { device_interfaces: vec![player(Some(1))], ..Advertised::default() };
    assert_eq!(answer, Answer::Advertised(expected));
    assert_eq!(
        device.asked()[3..],
        ["C121 0001 0005 000A", "C021 0001 0005 000A", "C021 0000 0005 000A", "C021 0000 0005 008E"]
    );
}

#[tokio::test]
async fn a_device_that_speaks_mtp_is_not_asked_more() {
    let device = Device::new(vec![
        ("8006 03EE 0000", Ok(STRING.to_vec())),
        ("C021 0000 0004", Ok(v1_compatible_ids(&[(0, *b"MTP\0\0\0\0\0")]))),
    ]);
    let Answer::Advertised(advertised) = ask(&device, &subject(&[0])).await.unwrap() else { panic!() };
    assert!(advertised.mtp().is_some());
    assert_eq!(device.asked().len(), 3);
}

#[tokio::test]
async fn a_device_without_the_signature_gets_one_request() {
    for answer in [Err(Failure::Refused), Ok(Vec::new()), Ok(b"\x0e\x03R\0o\0c\0k\0b\0o\0".to_vec())] {
        let device = Device::new(vec![("8006 03EE 0000", answer)]);
        assert_eq!(ask(&device, &subject(&[0])).await, Ok(Answer::None));
        assert_eq!(device.asked(), ["8006 03EE 0000 0012"]);
    }
}

#[tokio::test]
async fn a_device_of_version_2_is_asked_for_its_set_alone() {
    let set =
        v2_set(&v2_property(&Property::new(7, "DeviceInterfaceGUIDs", &format!("{PLAYER_INTERFACE}\0\0"))));
    let store = bos(&[platform(0x42, set.len())]);
    let length = set.len();
    let answers = || vec![("8006 0F00 0000", Ok(store.clone())), ("C042 0000 0007", Ok(set.clone()))];
    let device = Device::new(answers());
    let unseen = Subject { may_have_bos: true, ..subject(&[0]) };
    let expected =
        Answer::Advertised(Advertised { device_interfaces: vec![player(None)], ..Advertised::default() });
    assert_eq!(ask(&device, &unseen).await, Ok(expected.clone()));
    let fetch = format!("C042 0000 0007 {length:04X}");
    assert_eq!(device.asked(), ["8006 0F00 0000 0005", "8006 0F00 0000 0021", &fetch]);

    // the kernel shows the store
    let device = Device::new(answers());
    let seen = Subject { bos: Some(store.clone()), ..unseen };
    assert_eq!(ask(&device, &seen).await, Ok(expected));
    assert_eq!(device.asked(), [fetch]);
}

#[tokio::test]
async fn a_set_that_can_not_be_read_leaves_version_1() {
    for set in [Err(Failure::Refused), Ok(vec![0; 30])] {
        let store = bos(&[platform(0x42, 30)]);
        let device = Device::new(vec![("C042 0000 0007", set), ("8006 03EE 0000", Ok(STRING.to_vec()))]);
        let seen = Subject { bos: Some(store), ..subject(&[]) };
        assert_eq!(ask(&device, &seen).await, Ok(Answer::Advertised(Advertised::default())));
        assert_eq!(device.asked(), ["C042 0000 0007 001E", "8006 03EE 0000 0012", "C021 0000 0004 0010"]);
    }
}

#[tokio::test]
async fn the_first_silence_is_the_last_request() {
    let silent = Err(Failure::Silent);
    let device = Device::new(vec![("8006 0F00 0000", silent.clone())]);
    let unseen = Subject { may_have_bos: true, ..subject(&[0]) };
    assert_eq!(ask(&device, &unseen).await, Ok(Answer::Silent));
    assert_eq!(device.asked().len(), 1);
    let device = Device::new(vec![("8006 03EE 0000", Ok(STRING.to_vec())), ("C021 0000 0004", silent)]);
    assert_eq!(ask(&device, &subject(&[0])).await, Ok(Answer::Silent));
    assert_eq!(device.asked().len(), 2);
    let gone = Failure::Broken("it is gone".to_owned());
    let device = Device::new(vec![("8006 03EE 0000", Err(gone.clone()))]);
    assert_eq!(ask(&device, &subject(&[0])).await, Err(gone));
}
