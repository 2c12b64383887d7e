//! D-Bus's own interfaces on a provider's objects: properties, introspection (which is the checked-in XML), peer.

use crate::answers::{Answer, Call, Failure, arguments};
use crate::check;
use crate::device::{Device, Handle, Kind, Power, Space};
use crate::dispatch::{Shared, unknown};
use crate::sessions::Place;
use dbus_interfaces::provider as names;
use dbus_interfaces::provider::Error;
use dbus_interfaces::xml;
use std::collections::HashMap;
use std::fmt::Write as _;
use zbus::message::Message;
use zbus::{OwnedVariant, Variant, fdo};

pub(crate) const PEER: &str = "org.freedesktop.DBus.Peer";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(crate) const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

const STANDARD: &str = r#"  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect"><arg name="xml" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId"><arg name="id" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface" type="s" direction="in"/><arg name="name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface" type="s" direction="in"/><arg name="values" type="a{sv}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface" type="s" direction="in"/><arg name="name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
  </interface>
"#;

pub(crate) fn peer(call: &Call) -> Answer {
    match call.member.as_str() {
        "Ping" => call.answer(&()),
        "GetMachineId" => {
            let id = std::fs::read_to_string("/etc/machine-id")
                .map_err(|error| fdo::Error::Failed(format!("/etc/machine-id: {error}")))?;
            call.answer(&id.trim())
        }
        _ => Err(unknown(call)),
    }
}

/// The part of a checked-in file that is the interface, without its documentation: not every reader takes that.
fn interface(text: &str) -> String {
    let from = text.find("<interface").unwrap_or_default();
    let to = text.rfind("</node>").unwrap_or(text.len());
    let mut rest = &text[from..to];
    let mut bare = String::new();
    while let Some(at) = rest.find("<tp:") {
        bare += &rest[..at];
        let end = if rest[at..].starts_with("<tp:docstring>") { "</tp:docstring>" } else { "/>" };
        rest = rest[at..].split_once(end).map_or("", |(_, after)| after);
    }
    bare + rest
}

/// An interface without one of its methods. Where a device does one thing at a time, whoever inserts files ahead of the
/// answers would have everything else wait behind them.
fn without(interface: &str, method: &str) -> String {
    let begin = format!("<method name=\"{method}\">");
    let (before, rest) = interface.split_once(&begin).unwrap_or((interface, ""));
    before.to_owned() + rest.split_once("</method>").map_or("", |(_, after)| after)
}

const DOCTYPE: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
     \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

/// The way from above to the root object, for those who look for objects from `/`.
pub(crate) fn introspect_above(root: &str, call: &Call) -> Option<Answer> {
    let above = call.path.as_str().trim_end_matches('/');
    let below = root.strip_prefix(above)?.strip_prefix('/')?;
    let child = below.split('/').next()?;
    Some(call.answer(&format!("{DOCTYPE}<node>\n  <node name=\"{child}\"/>\n</node>\n")))
}

pub(crate) async fn introspect(shared: &Shared, place: &Place, call: &Call) -> Answer {
    if call.member != "Introspect" {
        return Err(unknown(call));
    }
    let mut node = format!("{DOCTYPE}<node>\n");
    node += STANDARD;
    match place {
        Place::Root => {
            node += &interface(xml::PROVIDER);
            for child in shared.sessions.children() {
                // writing to a String can't fail
                let _ = writeln!(node, "  <node name=\"{child}\"/>");
            }
        }
        Place::Device(_) => node += &interface(xml::PROVIDER_DEVICE),
        Place::Storage(open, handle) => {
            let handle = *handle;
            let entry = open.run(move |device| device.entry(handle)).await?;
            let storage = interface(xml::PROVIDER_STORAGE);
            node += &if open.is_one_at_a_time() { without(&storage, "Insert") } else { storage };
            if entry.kind != Kind::Root {
                node += &interface(xml::PROVIDER_OBJECT);
            }
        }
    }
    node += "</node>\n";
    call.answer(&node)
}

/// An object's properties of one interface, in a form that can be sent.
type Values = HashMap<&'static str, OwnedVariant>;

pub(crate) async fn properties(place: &Place, call: &Call, message: Message) -> Answer {
    match call.member.as_str() {
        "GetAll" => {
            let interface: String = arguments(message)?;
            call.answer(&values(place, &interface).await?)
        }
        "Get" => {
            let (interface, name): (String, String) = arguments(message)?;
            match values(place, &interface).await?.get(name.as_str()) {
                Some(value) => call.answer(value),
                None => Err(no_property(&interface, &name)),
            }
        }
        "Set" => {
            let (interface, name, _): (String, String, OwnedVariant) = arguments(message)?;
            if values(place, &interface).await?.contains_key(name.as_str()) {
                return Err(fdo::Error::PropertyReadOnly(format!("`{name}` can't be set")).into());
            }
            Err(no_property(&interface, &name))
        }
        _ => Err(unknown(call)),
    }
}

fn no_property(interface: &str, name: &str) -> Failure {
    fdo::Error::UnknownProperty(format!("`{interface}` has no property `{name}`")).into()
}

async fn values(place: &Place, interface: &str) -> Result<Values, Failure> {
    match (place, interface) {
        (Place::Root, names::PROVIDER) => Ok(Values::new()),
        (Place::Device(open), names::DEVICE) => Ok(open.run(of_device).await?),
        (Place::Storage(open, handle), names::STORAGE) => {
            let handle = *handle;
            Ok(open.run(move |device| of_storage(device, handle)).await?)
        }
        (Place::Storage(..), names::OBJECT) => Ok(Values::new()),
        _ => Err(fdo::Error::UnknownInterface(format!("there is no `{interface}` here")).into()),
    }
}

fn owned<'v>(values: impl IntoIterator<Item = (&'static str, Variant<'v>)>) -> Result<Values, Error> {
    let one = |(name, value)| OwnedVariant::try_from(value).map(|value| (name, value));
    values.into_iter().map(one).collect::<Result<_, _>>().map_err(|error| Error::Failed(error.to_string()))
}

fn of_device(device: &dyn Device) -> Result<Values, Error> {
    let (source, percent) = match device.power()? {
        Power::Unknown => ("unknown", 0),
        Power::Battery(percent) => ("battery", percent),
        Power::External(percent) => ("external", percent),
    };
    owned([
        ("Name", device.name().into()),
        ("Manufacturer", device.manufacturer().into()),
        ("Model", device.model().into()),
        ("SerialNumber", device.serial_number().into()),
        ("Version", device.version().into()),
        ("PowerSource", source.into()),
        ("BatteryPercent", u32::from(percent.min(100)).into()),
    ])
}

fn of_storage(device: &dyn Device, handle: Handle) -> Result<Values, Error> {
    let entry = device.entry(handle)?;
    let space = if entry.kind == Kind::Root { device.space(handle)? } else { Space::default() };
    let (attributes, size) = (check::attributes(&entry), check::size(&entry));
    owned([
        ("Name", entry.name.into()),
        ("Attributes", attributes.into()),
        ("Size", size.into()),
        ("TotalSize", space.total.into()),
        ("TotalFree", space.free.min(space.total).into()),
        ("PersistentUniqueId", entry.persistent_id.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_can_be_left_out() {
        let whole = interface(xml::PROVIDER_STORAGE);
        let rest = without(&whole, "Insert");
        assert_eq!(whole.matches("<method ").count(), rest.matches("<method ").count() + 1);
        assert!(!rest.contains("\"Insert\"") && rest.trim_end().ends_with("</interface>"));
        assert_eq!(without(&rest, "Insert"), rest);
    }

    #[test]
    fn introspection_is_the_xml_without_its_documentation() {
        for text in xml::OF_PROVIDERS {
            let bare = interface(text);
            assert!(!bare.contains("tp:") && bare.trim_end().ends_with("</interface>"), "{bare}");
            for tag in ["<method ", "<property ", "<signal ", "<arg "] {
                assert_eq!(bare.matches(tag).count(), text.matches(tag).count(), "{tag}");
            }
        }
    }
}
