//! Tests of who is asked and how often, with devices that note it.

use super::*;
use crate::microsoft::{Advertised, DeviceInterface};
use crate::probe::inquiries;
use crate::tracker::Tracker;
use crate::usb::PLAYER_INTERFACE;
use crate::usb::tests::{device, interface, unknown};
use std::sync::Mutex;
use tandem_model::BoxFuture;
use tandem_model::presence::Presence;
use tandem_model::usb::{UsbDevices, UsbKind};

/// Answers at once, and notes who was asked.
#[derive(Default)]
struct Noting {
    asked: Mutex<Vec<String>>,
    failure: Mutex<Option<String>>,
}

impl Asker for Noting {
    fn ask(&self, facts: UsbDeviceFacts) -> BoxFuture<'static, Result<Answer, String>> {
        self.asked.lock().unwrap().push(facts.syspath);
        let failure = self.failure.lock().unwrap().clone();
        Box::pin(async move { failure.map_or_else(|| Ok(player()), Err) })
    }
}

fn player() -> Answer {
    let device_interfaces = vec![DeviceInterface { first_interface: Some(1), guid: PLAYER_INTERFACE }];
    Answer::Advertised(Advertised { device_interfaces, ..Advertised::default() })
}

struct Stage {
    asker: Arc<Noting>,
    asking: Asking,
    tracker: Tracker,
}

impl Stage {
    fn new(directory: Option<PathBuf>) -> Self {
        let asker = Arc::new(Noting::default());
        Self {
            asking: Asking::new(Arc::<Noting>::clone(&asker), directory),
            asker,
            tracker: Tracker::default(),
        }
    }

    fn see(&mut self, facts: UsbDeviceFacts) -> Vec<Presence> {
        let sighting = self.asking.see(Sighting::One(Box::new(Facts::Usb(facts, None))));
        self.tracker.see(sighting)
    }

    /// Lets everything end that is under way, and tells what came of it.
    async fn settle(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        while !self.asking.tasks.is_empty() {
            let done = self.asking.next().await;
            for sighting in self.asking.ended(done) {
                ids.extend(self.tracker.see(sighting).into_iter().map(|change| match change {
                    Presence::Arrived(arrival) => arrival.description.id.0,
                    other => format!("{other:?}"),
                }));
            }
        }
        ids
    }

    fn asked(&self) -> Vec<String> {
        self.asker.asked.lock().unwrap().clone()
    }
}

fn at(port: &str) -> UsbDeviceFacts {
    let mut facts = UsbDeviceFacts { syspath: format!("/sys/devices/{port}"), ..unknown() };
    facts.usb.port = port.to_owned();
    facts.usb.serial = format!("S{port}");
    facts
}

#[tokio::test]
async fn a_model_is_asked_once_for_all_its_devices_and_ever() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(Some(directory.path().to_owned()));
    assert!(stage.see(at("1-1")).is_empty());
    assert!(stage.see(at("1-2")).is_empty(), "it waits for the answer of the first");
    // events of udev come more than once
    assert!(stage.see(at("1-1")).is_empty());
    assert_eq!(stage.settle().await, ["pap-1209-4ee1-S1-1", "pap-1209-4ee1-S1-2"]);
    assert_eq!(stage.asked(), ["/sys/devices/1-1"]);
    assert!(matches!(stage.see(at("1-3"))[..], [Presence::Arrived(_)]));
    let other = UsbDeviceFacts { release: "0101".to_owned(), ..at("1-4") };
    assert!(stage.see(other).is_empty());
    stage.settle().await;
    assert_eq!(stage.asked(), ["/sys/devices/1-1", "/sys/devices/1-4"]);

    let mut restarted = Stage::new(Some(directory.path().to_owned()));
    assert!(matches!(restarted.see(at("1-1"))[..], [Presence::Arrived(_)]));
    assert!(restarted.asked().is_empty());
}

#[tokio::test]
async fn what_may_not_be_asked_or_is_known_is_not_asked() {
    let mut stage = Stage::new(None);
    let mut instrument = device("03eb", vec![interface(0xff, 0, 0, "")]);
    instrument.syspath = "/sys/devices/1-5".to_owned();
    assert!(stage.see(instrument).is_empty());
    let mtp = device("18d1", vec![interface(6, 1, 1, "MTP")]);
    assert!(matches!(stage.see(mtp)[..], [Presence::Arrived(_)]));
    let ruled = UsbDeviceFacts { device_interfaces: PLAYER_INTERFACE.to_string(), ..at("1-6") };
    assert!(matches!(stage.see(ruled)[..], [Presence::Arrived(_)]));
    assert!(stage.settle().await.is_empty());
    assert!(stage.asked().is_empty());
}

#[tokio::test]
async fn one_that_can_not_be_asked_is_tried_when_it_comes_again_and_others_of_its_model_meanwhile() {
    let mut stage = Stage::new(None);
    *stage.asker.failure.lock().unwrap() = Some("not permitted".to_owned());
    stage.see(at("1-1"));
    stage.settle().await;
    stage.see(at("1-1"));
    assert!(stage.settle().await.is_empty());
    assert_eq!(stage.asked().len(), 1, "not again while it stays");
    stage.see(at("1-2"));
    stage.settle().await;
    *stage.asker.failure.lock().unwrap() = None;
    let gone = stage.asking.see(Sighting::Gone("/sys/devices/1-1".to_owned()));
    assert!(stage.tracker.see(gone).is_empty());
    stage.see(at("1-1"));
    // the answer serves the one that could not be asked too
    assert_eq!(stage.settle().await, ["pap-1209-4ee1-S1-1", "pap-1209-4ee1-S1-2"]);
    assert_eq!(stage.asked().len(), 3);
}

#[tokio::test]
async fn a_device_that_goes_while_it_is_asked_does_not_arrive() {
    let mut stage = Stage::new(None);
    stage.see(at("1-1"));
    stage.asking.see(Sighting::All(Vec::new()));
    assert!(stage.settle().await.is_empty());
}

#[tokio::test]
async fn questions_wait_for_the_devices_that_they_are_about() {
    let (inquirer, mut questions) = inquiries();
    let mut stage = Stage::new(None);
    *stage.asker.failure.lock().unwrap() = Some("not permitted".to_owned());
    stage.see(at("1-1"));
    stage.see(device("18d1", vec![interface(6, 1, 1, "MTP")]));
    let all = tokio::spawn({
        let inquirer = inquirer.clone();
        async move { inquirer.probe(String::new(), false).await.unwrap() }
    });
    stage.asking.inquire(questions.0.recv().await.unwrap());
    stage.asking.reply();
    assert!(!all.is_finished() && stage.asking.inquiries.len() == 1, "the first one is being asked");
    stage.settle().await;
    stage.asking.reply();
    let all = all.await.unwrap();
    assert_eq!(all.iter().map(|report| report.kind).collect::<Vec<_>>(), [UsbKind::Unknown, UsbKind::Mtp]);
    assert!(all[0].descriptors.contains("not permitted"), "{}", all[0].descriptors);
    assert_eq!(all[1].device.as_ref().unwrap().0, "mtp-18d1-4ee1-ABC1");

    *stage.asker.failure.lock().unwrap() = None;
    let again = tokio::spawn(async move { inquirer.probe("1-1".to_owned(), true).await.unwrap() });
    stage.asking.inquire(questions.0.recv().await.unwrap());
    assert_eq!(stage.settle().await, ["pap-1209-4ee1-S1-1"]);
    stage.asking.reply();
    let again = again.await.unwrap();
    assert_eq!((again.len(), again[0].kind), (1, UsbKind::Provider));
    assert_eq!(again[0].device_interfaces, [(Some(1), PLAYER_INTERFACE)]);
    assert_eq!(stage.asked().len(), 2);
}
