//! `tandemctl monitor`: prints what the daemon announces, as it comes.

use super::Context;
use crate::error::{Error, Exit};
use crate::events::{Change, Event, Events, Notice};
use crate::interrupt::Interrupt;
use crate::output::text::safe;
use crate::output::units;
use crate::uri;
use dbus_interfaces::names::DEVICE;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use zbus::{OwnedObjectPath, Variant};

/// Print events as they come, until interrupted
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: one object on each line, {time, device: id, event, and what belongs to the event}: \
                             device-connect, device-disconnect, device-status-change {status}, \
                             device-sync-state-change {state}, device-sync-error {media, error, message}, \
                             create-partnership-complete {success, error, message}, \
                             delete-partnership-complete {success, error, message}, sync-estimation-complete \
                             {success, estimated_used_space, estimated_space}, settings-requested; with --properties \
                             also properties-changed {properties: an object with the names of the bus}. Of a device \
                             that is unknown to the daemon by then, `device` is the object path.\n\n\
                             An interrupt ends it with exit code 0."
)]
pub(crate) struct Args {
    /// Also print the changes of the devices' properties
    #[arg(long, short)]
    properties: bool,
}

/// What a device is called, in JSON and for people.
#[derive(Clone)]
struct Name {
    id: String,
    label: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let mut interrupt = Interrupt::listen()?;
    let mut events = Events::subscribe(&context.client).await?;
    let mut names = HashMap::new();
    for device in events.during(context.client.devices()).await? {
        let name = Name { id: device.id.clone(), label: device.label().to_owned() };
        names.insert(device.path, name);
    }
    loop {
        tokio::select! {
            notice = events.next() => match notice? {
                Notice::Event(path, event) => {
                    let name = name_of(context, &mut events, &mut names, &path).await;
                    print_event(context, &name, &event)?;
                }
                Notice::Changed(change) if args.properties && change.interface == DEVICE => {
                    let name = name_of(context, &mut events, &mut names, &change.path).await;
                    print_change(context, &name, &change)?;
                }
                Notice::Changed(_) => {}
            },
            () = interrupt.next() => return Ok(Exit::Ok),
        }
    }
}

/// What the device is called; by its path if the daemon doesn't know it any more.
async fn name_of(
    context: &Context,
    events: &mut Events,
    names: &mut HashMap<OwnedObjectPath, Name>,
    path: &OwnedObjectPath,
) -> Name {
    if let Some(name) = names.get(path) {
        return name.clone();
    }
    match events.during(context.client.device(path.clone())).await {
        Ok(device) => {
            let name = Name { id: device.id.clone(), label: device.label().to_owned() };
            names.insert(path.clone(), name.clone());
            name
        }
        Err(_) => Name { id: path.to_string(), label: path.to_string() },
    }
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

fn print_event(context: &Context, name: &Name, event: &Event) -> Result<(), Error> {
    if context.output.json {
        let mut object =
            Map::from_iter([("time".to_owned(), json!(now())), ("device".to_owned(), json!(name.id))]);
        if let Value::Object(fields) =
            serde_json::to_value(event).map_err(|cause| Error::Failed(cause.to_string()))?
        {
            object.extend(fields);
        }
        return context.output.json_line(&object);
    }
    context.output.lines([format!("{}  {}: {}", units::time(now()), safe(&name.label), describe(event))])
}

fn describe(event: &Event) -> String {
    match event {
        Event::DeviceConnect => "connected".to_owned(),
        Event::DeviceDisconnect => "disconnected".to_owned(),
        Event::DeviceStatusChange { status } => format!("status {}", safe(status)),
        Event::DeviceSyncStateChange { state } => safe(state).into_owned(),
        Event::DeviceSyncError { media, error, message } if media.is_empty() => {
            format!("the run failed: {}: {}", safe(error), safe(message))
        }
        Event::DeviceSyncError { media, error, message } => {
            format!("{}: {}: {}", uri::display(media), safe(error), safe(message))
        }
        Event::CreatePartnershipComplete { success: true, .. } => "partnership created".to_owned(),
        Event::CreatePartnershipComplete { error, message, .. } => {
            format!("no partnership: {}: {}", safe(error), safe(message))
        }
        Event::DeletePartnershipComplete { success: true, .. } => "partnership ended".to_owned(),
        Event::DeletePartnershipComplete { error, message, .. } => {
            format!("partnership not ended: {}: {}", safe(error), safe(message))
        }
        Event::SyncEstimationComplete { success: true, estimated_used_space, estimated_space } => format!(
            "estimated: {} to be taken, which leaves {} for own files and free space",
            units::size(*estimated_used_space),
            units::size(*estimated_space)
        ),
        Event::SyncEstimationComplete { .. } => "no estimate".to_owned(),
        Event::SettingsRequested => "settings requested".to_owned(),
    }
}

fn print_change(context: &Context, name: &Name, change: &Change) -> Result<(), Error> {
    let mut properties = Map::new();
    for (property, value) in &change.values {
        properties.insert(property.clone(), plain(value));
    }
    for property in &change.invalidated {
        properties.insert(property.clone(), Value::Null);
    }
    if context.output.json {
        let event = "properties-changed";
        let line = json!({"time": now(), "device": name.id, "event": event, "properties": properties});
        return context.output.json_line(&line);
    }
    let text: Vec<String> =
        properties.iter().map(|(property, value)| format!("{property} {value}")).collect();
    context.output.lines([format!(
        "{}  {}: {}",
        units::time(now()),
        safe(&name.label),
        safe(&text.join(", "))
    )])
}

/// A property's value as JSON; a device has texts, numbers, flags and lists of texts.
fn plain(value: &Variant<'_>) -> Value {
    match value {
        Variant::Str(text) => json!(text.as_str()),
        Variant::Bool(flag) => json!(flag),
        Variant::U32(number) => json!(number),
        Variant::U64(number) => json!(number),
        Variant::Array(array) => array.iter().map(plain).collect(),
        other => json!(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_described_safely() {
        let event = Event::DeviceSyncError {
            media: "file:///m/a%1B.mp3".to_owned(),
            error: "no-fit".to_owned(),
            message: "no\nspace".to_owned(),
        };
        assert_eq!(describe(&event), "file:///m/a%1B.mp3: no-fit: no\\nspace");
        let event = Event::DeviceSyncError {
            media: String::new(),
            error: "library-unavailable".to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(describe(&event), "the run failed: library-unavailable: m");
    }

    #[test]
    fn events_have_kebab_case_names_in_json() {
        let json =
            serde_json::to_value(Event::DeviceSyncStateChange { state: "stopped".to_owned() }).unwrap();
        assert_eq!(json, serde_json::json!({"event": "device-sync-state-change", "state": "stopped"}));
        let json = serde_json::to_value(Event::DeviceConnect).unwrap();
        assert_eq!(json, serde_json::json!({"event": "device-connect"}));
    }

    #[test]
    fn property_values_keep_their_kind() {
        assert_eq!(plain(&Variant::from(7u64)), json!(7));
        assert_eq!(plain(&Variant::from(vec!["a", "b"])), json!(["a", "b"]));
        assert_eq!(plain(&Variant::from(true)), json!(true));
    }
}
