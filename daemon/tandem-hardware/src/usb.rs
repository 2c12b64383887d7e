//! Says of a USB device what it is to us, and why: one function of its facts. Pure.
//!
//! It asks the device nothing: what the kernel and udev have read is there, and what the device has answered when it was
//! asked comes in. Whether it may be asked at all is decided here too.

mod reason;
mod untouchable;

#[cfg(test)]
pub(crate) mod tests;

use crate::facts::{InterfaceFacts, UsbDeviceFacts};
use crate::microsoft::Advertised;
use crate::text::{part, shown};
pub use reason::Reason;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::{DeviceId, Guid};
use tandem_model::presence::{Arrival, Locator, ProviderDevice};

/// The device interface of portable audio players (PAP), by which Windows Media Player finds them.
pub const PLAYER_INTERFACE: Guid = Guid(0xf33f_dc04_d1ac_4e8e_9a30_19bb_d4b1_08ae);

/// What a device has answered when it was asked for its Microsoft OS descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// That it has none, in one of the ways in which devices say that.
    None,
    /// What they tell.
    Advertised(Advertised),
    /// Nothing, in the time that it had.
    Silent,
}

/// What a USB device is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A player that speaks MTP.
    Mtp(Box<Arrival>),
    /// A player for a service provider.
    Provider(Box<Arrival>),
    /// A drive: its file systems are classified as block devices.
    MassStorage,
    /// Its descriptors would tell, and it may be asked for them.
    Ask,
    /// Not ours.
    LeftAlone,
}

/// A verdict and the reason that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What it is.
    pub verdict: Verdict,
    /// Why.
    pub because: Reason,
}

impl Classified {
    fn left_alone(because: Reason) -> Self {
        Self { verdict: Verdict::LeftAlone, because }
    }

    /// The player that it is.
    #[must_use]
    pub fn arrival(&self) -> Option<&Arrival> {
        match &self.verdict {
            Verdict::Mtp(arrival) | Verdict::Provider(arrival) => Some(arrival),
            _ => None,
        }
    }
}

/// Drivers that give an interface up to whoever claims it.
const YIELDING: [&str; 4] = ["", "usbfs", "usb-storage", "uas"];

/// What a USB device is, by its facts and by what it has answered, if it was asked.
#[must_use]
pub fn classify_usb(facts: &UsbDeviceFacts, answer: Option<&Answer>) -> Classified {
    decide(facts, answer).unwrap_or_else(Classified::left_alone)
}

/// The same, with the reason alone where the device is left alone.
fn decide(facts: &UsbDeviceFacts, answer: Option<&Answer>) -> Result<Classified, Reason> {
    untouchable::may_be_touched(facts)?;
    let advertised = match answer {
        Some(Answer::Advertised(advertised)) => Some(advertised),
        _ => None,
    };
    if let Some((interface, because)) = mtp(facts, advertised)? {
        not_driven(interface)?;
        let verdict = Verdict::Mtp(Box::new(mtp_arrival(facts, interface.number)?));
        return Ok(Classified { verdict, because });
    }
    if let Some(storage) = facts.interfaces.iter().find(|interface| interface.class == 0x08) {
        return Ok(Classified { verdict: Verdict::MassStorage, because: Reason::Storage(storage.number) });
    }
    if !facts.device_interfaces.trim().is_empty() {
        let by_rule = listed(&facts.device_interfaces);
        if !by_rule.contains(&PLAYER_INTERFACE) {
            return Err(Reason::OthersByRule(shown(&facts.device_interfaces)));
        }
        let verdict = Verdict::Provider(Box::new(provider_arrival(facts, by_rule)?));
        return Ok(Classified { verdict, because: Reason::PlayerByRule });
    }
    match answer {
        None => {
            untouchable::may_be_asked(facts)?;
            Ok(Classified { verdict: Verdict::Ask, because: Reason::Unasked })
        }
        Some(Answer::None) => Err(Reason::NoDescriptors),
        Some(Answer::Silent) => Err(Reason::Silent),
        Some(Answer::Advertised(advertised)) => by_descriptors(facts, advertised),
    }
}

/// Whether it may be asked for its descriptors, whatever is known of it already.
///
/// # Errors
/// Why not.
pub fn may_be_asked(facts: &UsbDeviceFacts) -> Result<(), Reason> {
    untouchable::may_be_touched(facts)?;
    untouchable::may_be_asked(facts)
}

/// The numbers of the interfaces that a player could be served over.
pub(crate) fn served_interfaces(facts: &UsbDeviceFacts) -> Vec<u8> {
    untouchable::served(facts).map(|interface| interface.number).collect()
}

fn by_descriptors(facts: &UsbDeviceFacts, advertised: &Advertised) -> Result<Classified, Reason> {
    let mut guids: Vec<Guid> = Vec::new();
    for found in &advertised.device_interfaces {
        if !guids.contains(&found.guid) {
            guids.push(found.guid);
        }
    }
    let player = advertised.device_interfaces.iter().find(|found| found.guid == PLAYER_INTERFACE);
    let Some(player) = player else {
        return Err(if guids.is_empty() { Reason::NothingAdvertised } else { Reason::Others(guids) });
    };
    let its_own = |interface: &&InterfaceFacts| Some(interface.number) == player.first_interface;
    match facts.interfaces.iter().find(its_own) {
        Some(interface) => not_driven(interface)?,
        // the device as a whole: the provider chooses the interface
        None => untouchable::may_be_served(facts)?,
    }
    let verdict = Verdict::Provider(Box::new(provider_arrival(facts, guids)?));
    Ok(Classified { verdict, because: Reason::Player })
}

/// The GUIDs of a udev property; what isn't one is left out.
pub(crate) fn listed(property: &str) -> Vec<Guid> {
    let mut guids = Vec::new();
    for guid in property.split([' ', ',', ';', '\t']).filter_map(Guid::parse) {
        if !guids.contains(&guid) {
            guids.push(guid);
        }
    }
    guids
}

fn not_driven(interface: &InterfaceFacts) -> Result<(), Reason> {
    if YIELDING.contains(&interface.driver.as_str()) {
        Ok(())
    } else {
        Err(Reason::Driver(interface.number, interface.driver.clone()))
    }
}

/// The interface that MTP is spoken over, if it is. Its own name counts most, then what udev's rules have found out of the
/// device, then its descriptors, then the class.
fn mtp<'a>(
    facts: &'a UsbDeviceFacts,
    advertised: Option<&Advertised>,
) -> Result<Option<(&'a InterfaceFacts, Reason)>, Reason> {
    let pipes = |interface: &&InterfaceFacts| interface.endpoints == 3;
    let named = |name: &'static str| {
        move |interface: &&InterfaceFacts| interface.name.to_ascii_uppercase().contains(name)
    };
    let still_image =
        |interface: &&InterfaceFacts| (interface.class, interface.subclass, interface.protocol) == (6, 1, 1);
    let own = |interface: &&InterfaceFacts| interface.class == 0xff;
    let candidates = || facts.interfaces.iter().filter(pipes);
    let fits = |interface: &&InterfaceFacts| still_image(interface) || own(interface) || interface.class == 0;
    if let Some(interface) = candidates().find(|interface| named("MTP")(interface) && fits(interface)) {
        return Ok(Some((interface, Reason::NamedMtp(interface.number))));
    }
    if facts.is_known_mtp {
        let found = candidates().find(still_image).or_else(|| candidates().find(own));
        let interface = found.or_else(|| candidates().next()).ok_or(Reason::NoMtpInterface)?;
        return Ok(Some((interface, Reason::KnownMtp(interface.number))));
    }
    if let Some(function) = advertised.and_then(Advertised::mtp) {
        let its_own = |interface: &&InterfaceFacts| Some(interface.number) == function.first_interface;
        let found = candidates().find(its_own).or_else(|| candidates().find(fits));
        let interface = found.ok_or(Reason::NoMtpInterface)?;
        return Ok(Some((interface, Reason::CompatibleMtp(interface.number))));
    }
    match candidates().find(still_image) {
        // cameras have the same class, and only the name or udev tells them from players
        Some(interface) if named("PTP")(&interface) || facts.is_camera => Err(Reason::PictureTransfer),
        Some(interface) => Ok(Some((interface, Reason::StillImage(interface.number)))),
        None => Ok(None),
    }
}

fn mtp_arrival(facts: &UsbDeviceFacts, interface: u8) -> Result<Arrival, Reason> {
    let (node, ids) = (facts.node.clone().ok_or(Reason::NoNode)?, ids(facts)?);
    Ok(arrival(facts, Kind::Mtp, Locator::Usb { node, ids, interface }))
}

fn provider_arrival(facts: &UsbDeviceFacts, interfaces: Vec<Guid>) -> Result<Arrival, Reason> {
    let device = ProviderDevice {
        canonical_name: identifier(facts, Kind::Provider).0,
        ids: Some(ids(facts)?),
        serial: shown(&facts.usb.serial),
        interfaces,
        syspath: facts.syspath.clone(),
        node: Some(facts.node.clone().ok_or(Reason::NoNode)?),
        provider: Some(facts.provider.trim().to_owned()).filter(|provider| !provider.is_empty()),
    };
    Ok(arrival(facts, Kind::Provider, Locator::Provider(Box::new(device))))
}

fn ids(facts: &UsbDeviceFacts) -> Result<(u16, u16), Reason> {
    let (vendor, product) = (&facts.usb.vendor_id, &facts.usb.product_id);
    let number = |digits: &str| u16::from_str_radix(digits, 16).ok();
    number(vendor).zip(number(product)).ok_or_else(|| Reason::NoIds(vendor.clone(), product.clone()))
}

fn arrival(facts: &UsbDeviceFacts, kind: Kind, locator: Locator) -> Arrival {
    let model = shown(&facts.usb.product);
    let unnamed = if kind == Kind::Mtp { "MTP player" } else { "Player" };
    let description = DeviceDescription {
        id: identifier(facts, kind),
        kind,
        name: if model.is_empty() { unnamed.to_owned() } else { model.clone() },
        manufacturer: shown(&facts.usb.manufacturer),
        model,
        serial_number: shown(&facts.usb.serial),
        firmware: String::new(),
    };
    Arrival { key: facts.syspath.clone(), description, port: facts.usb.port.clone(), locator }
}

/// The lasting identifier: `mtp-VENDOR-PRODUCT[-SERIAL]` or `pap-…`, and where a device has no serial number its position on
/// the bus in its place. Partnerships are kept under it.
fn identifier(facts: &UsbDeviceFacts, kind: Kind) -> DeviceId {
    let serial = facts.usb.serial.trim();
    let (vendor, product) =
        (facts.usb.vendor_id.to_ascii_lowercase(), facts.usb.product_id.to_ascii_lowercase());
    let prefix = if kind == Kind::Mtp { "mtp" } else { "pap" };
    let mut parts = vec![prefix.to_owned(), part(&vendor), part(&product)];
    // some firmwares have the same filler for a serial number on each device
    if serial.is_empty() || serial.bytes().all(|byte| byte == b'0') {
        parts.extend(["at".to_owned(), part(&facts.usb.port)]);
    } else {
        parts.push(part(serial));
    }
    DeviceId(parts.join("-"))
}
