//! `tandemctl probe`: what USB devices advertise, and what the daemon takes them for and why.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::table::{self, Rows};
use crate::properties::Properties;
use serde::Serialize;

/// Tell what USB devices are to the daemon, and why
///
/// Without a device, all are listed with a line each. A device that only its own descriptors can tell of is asked for them
/// once, when the first of its model comes; what it answered is remembered.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: an array of {kind: `mtp`, `provider`, `mass-storage`, `unknown` or `none`; reason, device_id: \
                             empty when it is no player; descriptors: what is known of its Microsoft OS descriptors, \
                             compatible_ids and device_interfaces: arrays of {interface: the first of the function, \
                             null for the whole device; id}, interfaces: an array of {number, class, subclass, \
                             protocol, endpoints, name, driver}, vendor_id, product_id, release: hexadecimal digits; \
                             manufacturer, product, serial, port, node, syspath}."
)]
pub(crate) struct Args {
    /// A path in sysfs, a device node, BUS:DEVICE, VENDOR:PRODUCT, or a port such as 1-2.4; else all USB devices
    #[arg(value_name = "DEVICE")]
    device: Option<String>,
    /// Ask the device anew what it is, if it may be asked
    #[arg(long, requires = "device")]
    again: bool,
}

#[derive(Debug, Serialize)]
struct Usb {
    kind: String,
    reason: String,
    device_id: String,
    descriptors: String,
    compatible_ids: Vec<Advertised>,
    device_interfaces: Vec<Advertised>,
    interfaces: Vec<Interface>,
    vendor_id: String,
    product_id: String,
    release: String,
    manufacturer: String,
    product: String,
    serial: String,
    port: String,
    node: String,
    syspath: String,
}

#[derive(Debug, Serialize)]
struct Advertised {
    interface: Option<u8>,
    id: String,
}

#[derive(Debug, Serialize)]
struct Interface {
    number: u8,
    class: u8,
    subclass: u8,
    protocol: u8,
    endpoints: u8,
    name: String,
    driver: String,
}

impl Usb {
    fn read(p: &Properties) -> Result<Self, Error> {
        let advertised = |name: &str| {
            let list: Vec<(i16, String)> = p.list(name)?;
            let own = |(interface, id)| Advertised { interface: u8::try_from(interface).ok(), id };
            Ok::<_, Error>(list.into_iter().map(own).collect())
        };
        let interfaces: Vec<(u8, u8, u8, u8, u8, String, String)> = p.list("interfaces")?;
        Ok(Self {
            kind: p.text("kind")?,
            reason: p.text("reason")?,
            device_id: p.text("device-id")?,
            descriptors: p.text("descriptors")?,
            compatible_ids: advertised("compatible-ids")?,
            device_interfaces: advertised("device-interfaces")?,
            interfaces: interfaces
                .into_iter()
                .map(|(number, class, subclass, protocol, endpoints, name, driver)| Interface {
                    number,
                    class,
                    subclass,
                    protocol,
                    endpoints,
                    name,
                    driver,
                })
                .collect(),
            vendor_id: p.text("vendor-id")?,
            product_id: p.text("product-id")?,
            release: p.text("release")?,
            manufacturer: p.text("manufacturer")?,
            product: p.text("product")?,
            serial: p.text("serial")?,
            port: p.text("port")?,
            node: p.text("node")?,
            syspath: p.text("syspath")?,
        })
    }

    fn ids(&self) -> String {
        format!("{}:{}", self.vendor_id, self.product_id)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Product", self.product.clone()),
            ("Manufacturer", self.manufacturer.clone()),
            ("Serial number", self.serial.clone()),
            ("Ids", format!("{}, release {}", self.ids(), self.release)),
            ("Port", self.port.clone()),
            ("Node", self.node.clone()),
            ("Path", self.syspath.clone()),
            ("Taken for", self.kind.clone()),
            ("Because", self.reason.clone()),
            ("Device", self.device_id.clone()),
            ("Descriptors", self.descriptors.clone()),
        ];
        let told = |own: &Advertised| match own.interface {
            Some(number) => format!("{}, from interface {number} on", own.id),
            None => own.id.clone(),
        };
        facts.extend(self.compatible_ids.iter().map(|own| ("Compatible with", told(own))));
        facts.extend(self.device_interfaces.iter().map(|own| ("Device interface", told(own))));
        facts.extend(self.interfaces.iter().map(|own| ("Interface", own.line())));
        facts
    }
}

impl Interface {
    fn line(&self) -> String {
        let Self { number, class, subclass, protocol, endpoints, name, driver } = self;
        let mut line =
            format!("{number}: class {class:02x}/{subclass:02x}/{protocol:02x}, {endpoints} endpoints");
        for (what, text) in [("name", name), ("driver", driver)] {
            if !text.is_empty() {
                line += &format!(", {what} {text}");
            }
        }
        line
    }
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let answer = context.client.probe(args.device.as_deref().unwrap_or_default(), args.again).await?;
    let devices =
        answer.into_iter().map(|own| Usb::read(&Properties::new(own))).collect::<Result<Vec<_>, _>>()?;
    if context.output.json {
        context.output.document(&devices)?;
        return Ok(Exit::Ok);
    }
    if args.device.is_some() {
        for (index, device) in devices.iter().enumerate() {
            if index > 0 {
                context.output.lines([String::new()])?;
            }
            table::facts(&context.output, &device.facts())?;
        }
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["PORT", "IDS", "NAME", "KIND", "BECAUSE"]);
    for device in &devices {
        rows.row([&device.port, &device.ids(), &device.product, &device.kind, &device.reason]);
    }
    rows.print(&context.output)?;
    if devices.is_empty() {
        context.output.say("There is no USB device.")?;
    }
    Ok(Exit::Ok)
}
