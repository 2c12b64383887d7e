//! Questions about USB devices, from whoever has an [`UsbInquirer`] to the task that knows them, and what is told of one.

use crate::facts::{InterfaceFacts, UsbDeviceFacts};
use crate::text::shown;
use crate::usb::{Answer, Classified, Verdict};
use tandem_model::BoxFuture;
use tandem_model::error::RequestError;
use tandem_model::usb::{UsbDevices, UsbInterface, UsbKind, UsbReport};
use tokio::sync::{mpsc, oneshot};

/// Questions that wait, at most; who asks more waits too.
const QUEUED: usize = 16;

/// A question about USB devices.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) about: Selector,
    /// Those that may be asked are asked anew.
    pub(crate) again: bool,
    pub(crate) reply: oneshot::Sender<Vec<UsbReport>>,
}

/// The questions, for [`watch`](crate::watch).
#[derive(Debug)]
pub struct Inquiries(pub(crate) mpsc::Receiver<Inquiry>);

/// Asks questions about USB devices.
#[derive(Debug, Clone)]
pub struct UsbInquirer(mpsc::Sender<Inquiry>);

/// A way to ask, and what the questions come out of.
#[must_use]
pub fn inquiries() -> (UsbInquirer, Inquiries) {
    let (sender, receiver) = mpsc::channel(QUEUED);
    (UsbInquirer(sender), Inquiries(receiver))
}

impl UsbDevices for UsbInquirer {
    fn probe(&self, device: String, again: bool) -> BoxFuture<'_, Result<Vec<UsbReport>, RequestError>> {
        Box::pin(async move {
            let about = Selector::parse(&device).ok_or_else(|| {
                RequestError::InvalidArgument(format!(
                    "`{device}` names no USB device; give its path in sysfs, its device node, BUS:DEVICE, \
                     VENDOR:PRODUCT in four hexadecimal digits each, or its port, such as 1-2.4"
                ))
            })?;
            let not_looking = || {
                RequestError::Failed(
                    "this daemon does not look for USB devices; set `udev = true` in its configuration"
                        .to_owned(),
                )
            };
            let is_all = about == Selector::All;
            let (reply, answer) = oneshot::channel();
            let inquiry = Inquiry { about, again, reply };
            self.0.send(inquiry).await.map_err(|_| not_looking())?;
            let reports = answer.await.map_err(|_| not_looking())?;
            if reports.is_empty() && !is_all {
                return Err(RequestError::NotFound(format!(
                    "no USB device `{device}` is plugged in; `tandemctl probe` lists those that are"
                )));
            }
            Ok(reports)
        })
    }
}

/// Which devices are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    All,
    Syspath(String),
    Node(String),
    Address(u16, u16),
    Ids(String, String),
    Port(String),
}

impl Selector {
    /// What the text means; `None` for what can't name a device.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::All);
        }
        if text.starts_with("/dev/") {
            return Some(Self::Node(text.to_owned()));
        }
        if let Some(path) = text.strip_prefix("/sys/devices/").or_else(|| text.strip_prefix("/devices/")) {
            return Some(Self::Syspath(format!("/sys/devices/{}", path.trim_end_matches('/'))));
        }
        if let Some(port) = text.strip_prefix("/sys/bus/usb/devices/") {
            return Some(Self::Port(port.trim_end_matches('/').to_owned()));
        }
        if let Some((first, second)) = text.split_once(':') {
            let is_id = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id(first) && is_id(second) {
                return Some(Self::Ids(first.to_ascii_lowercase(), second.to_ascii_lowercase()));
            }
            let number = |part: &str| part.parse().ok().filter(|_| part.len() <= 3);
            return Some(Self::Address(number(first)?, number(second)?));
        }
        let is_port = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-')
            || text.strip_prefix("usb").is_some_and(|bus| bus.parse::<u16>().is_ok());
        is_port.then(|| Self::Port(text.to_owned()))
    }

    /// Whether the device is meant.
    pub(crate) fn names(&self, facts: &UsbDeviceFacts) -> bool {
        match self {
            Self::All => true,
            Self::Syspath(path) => facts.syspath == *path,
            Self::Node(node) => facts.node.as_ref().is_some_and(|own| own.as_os_str() == node.as_str()),
            Self::Address(bus, device) => facts.address == (*bus, *device),
            Self::Ids(vendor, product) => {
                facts.usb.vendor_id.eq_ignore_ascii_case(vendor)
                    && facts.usb.product_id.eq_ignore_ascii_case(product)
            }
            Self::Port(port) => facts.usb.port == *port,
        }
    }
}

/// What is told of a device. `failed` is why it could not be asked.
pub(crate) fn reports(
    facts: &UsbDeviceFacts,
    answer: Option<&Answer>,
    failed: Option<&str>,
    classified: &Classified,
) -> UsbReport {
    let kind = match classified.verdict {
        Verdict::Mtp(_) => UsbKind::Mtp,
        Verdict::Provider(_) => UsbKind::Provider,
        Verdict::MassStorage => UsbKind::MassStorage,
        Verdict::Ask => UsbKind::Unknown,
        Verdict::LeftAlone => UsbKind::None,
    };
    let descriptors = match (answer, failed) {
        (Some(Answer::None), _) => "asked: it has none".to_owned(),
        (Some(Answer::Advertised(_)), _) => "asked, and read".to_owned(),
        (Some(Answer::Silent), _) => format!(
            "asked: it did not answer in time, and its model is not asked again but by `tandemctl probe --again {}`",
            facts.usb.port
        ),
        (None, Some(cause)) => format!("could not be asked: {cause}"),
        (None, None) => match crate::usb::may_be_asked(facts) {
            Ok(()) => "not asked: what it is was known without".to_owned(),
            Err(reason) => format!("not asked: {reason}"),
        },
    };
    let advertised = match answer {
        Some(Answer::Advertised(advertised)) => advertised.clone(),
        _ => crate::microsoft::Advertised::default(),
    };
    let ids = advertised.compatible_ids.iter().map(|id| (id.first_interface, shown(&id.to_string())));
    let by_rule = crate::usb::listed(&facts.device_interfaces).into_iter().map(|guid| (None, guid));
    let by_itself = advertised.device_interfaces.iter().map(|found| (found.first_interface, found.guid));
    UsbReport {
        syspath: facts.syspath.clone(),
        node: facts.node.as_ref().map(|node| node.display().to_string()).unwrap_or_default(),
        port: facts.usb.port.clone(),
        ids: (facts.usb.vendor_id.clone(), facts.usb.product_id.clone()),
        release: facts.release.trim().to_owned(),
        manufacturer: shown(&facts.usb.manufacturer),
        product: shown(&facts.usb.product),
        serial: shown(&facts.usb.serial),
        interfaces: facts.interfaces.iter().map(interface).collect(),
        kind,
        device: classified.arrival().map(|arrival| arrival.description.id.clone()),
        reason: classified.because.to_string(),
        descriptors,
        compatible_ids: ids.collect(),
        device_interfaces: by_rule.chain(by_itself).collect(),
    }
}

fn interface(facts: &InterfaceFacts) -> UsbInterface {
    UsbInterface {
        number: facts.number,
        class: (facts.class, facts.subclass, facts.protocol),
        endpoints: facts.endpoints,
        name: shown(&facts.name),
        driver: facts.driver.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::tests::unknown;

    #[test]
    fn a_device_is_named_in_six_ways_and_by_nothing_else() {
        for text in [
            "",
            "/sys/devices/usb1/1-2",
            "/sys/devices/usb1/1-2/",
            "/devices/usb1/1-2",
            "/dev/bus/usb/001/004",
            "1:4",
            "001:004",
            "1209:4ee1",
            "1209:4EE1",
            "1-2",
            "/sys/bus/usb/devices/1-2",
        ] {
            assert!(Selector::parse(text).unwrap().names(&unknown()), "{text}");
        }
        for text in ["/sys/devices/usb1", "/dev/bus/usb/001/005", "1:5", "1209:0004", "1-3", "usb1"] {
            assert!(!Selector::parse(text).unwrap().names(&unknown()), "{text}");
        }
        for text in ["Walkman", "1209", "1209:zzzz", "12:", ":", "/etc/passwd", "1209:4ee1:1"] {
            assert_eq!(Selector::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_did_not_answer_is_told_with_the_way_to_ask_it_again() {
        let classified = crate::usb::classify_usb(&unknown(), Some(&Answer::Silent));
        let told = reports(&unknown(), Some(&Answer::Silent), None, &classified);
        assert!(told.descriptors.ends_with("`tandemctl probe --again 1-2`"), "{}", told.descriptors);
    }

    #[tokio::test]
    async fn without_a_search_for_devices_there_is_nothing_to_tell() {
        let (inquirer, inquiries) = inquiries();
        drop(inquiries);
        let failed = inquirer.probe("1:4".to_owned(), false).await;
        assert!(
            matches!(&failed, Err(RequestError::Failed(text)) if text.contains("udev = true")),
            "{failed:?}"
        );
        let wrong = inquirer.probe("Walkman".to_owned(), false).await;
        assert!(
            matches!(&wrong, Err(RequestError::InvalidArgument(text)) if text.contains("Walkman")),
            "{wrong:?}"
        );
    }
}
