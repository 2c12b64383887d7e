//! A provider in memory that can do everything wrong that a provider can, at any of its calls.

use super::answers::{ENTRY, Properties};
use super::link::{Limits, ProviderBus};
use super::offer::Offer;
use super::opener::Opener;
use super::parameters::Parameters;
use super::registry::Registry;
use dbus_interfaces::provider::{DEVICE, ERROR_PREFIX, OBJECT, PROVIDER, STORAGE};
use futures_util::StreamExt;
use kit::PrivateBus;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::error::PlayerError;
use tandem_model::id::DeviceId;
use tandem_model::player::Player;
use tandem_model::presence::{ProviderDevice, Providers};
use tokio_util::task::AbortOnDropHandle;
use zbus::message::Type;
use zbus::names::OwnedBusName;
use zbus::{Connection, Message, MessageStream, ObjectPath, OwnedFd, OwnedObjectPath, OwnedVariant, Variant};

pub(super) const ROOT: &str = "/org/example/Fake";

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// No answer ever.
    Hang,
    /// An answer when nobody waits for it any more.
    Late,
    /// The provider leaves the bus before it does anything.
    DieBefore,
    /// The provider leaves the bus when it has done it.
    DieAfter,
    /// It refuses.
    Refuse(&'static str),
    /// The answer is of another type.
    Nonsense,
    /// The answer is of the right type, and can't be.
    Lie,
}

/// A file or folder.
#[derive(Debug, Clone)]
struct Node {
    parent: u64,
    name: String,
    folder: bool,
    bytes: Vec<u8>,
    modified: u64,
    references: Vec<u64>,
}

/// What the device holds, and what is planned.
#[derive(Debug)]
pub(super) struct Device {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(super) properties: BTreeMap<String, String>,
    /// Number of the call that goes wrong, and how.
    pub(super) plan: Option<(usize, Harm)>,
    /// What was called, in order.
    pub(super) calls: Vec<String>,
    pub(super) renames: bool,
    pub(super) lists_at_once: bool,
    pub(super) can_synchronize: Vec<u8>,
    /// Interfaces that no object has.
    pub(super) lacks: Option<&'static str>,
    pub(super) formats: Vec<u32>,
    /// Whether it has no room for any file's bytes.
    pub(super) is_full: bool,
    /// While a file whose name begins like this is written it takes no other.
    pub(super) alone: Option<&'static str>,
}

const STORAGE_NODE: u64 = 1;

impl Default for Device {
    fn default() -> Self {
        let root = Node {
            parent: 0,
            name: String::new(),
            folder: true,
            bytes: Vec::new(),
            modified: 0,
            references: Vec::new(),
        };
        Self {
            nodes: BTreeMap::from([(STORAGE_NODE, root)]),
            next: 2,
            properties: BTreeMap::from([
                ("WMDM/SyncRelationshipID".to_owned(), String::new()),
                ("WMDM/DeviceFriendlyName".to_owned(), "Fake".to_owned()),
            ]),
            plan: None,
            calls: Vec::new(),
            renames: true,
            lists_at_once: true,
            can_synchronize: vec![1, 0, 0, 0],
            lacks: None,
            formats: vec![0x3009, 0xB906, 0xBA05],
            is_full: false,
            alone: None,
        }
    }
}

/// An answer, before it is spoilt.
enum Answer {
    Nothing,
    Object(u64),
    Path(String),
    Objects(Vec<u64>),
    Entries(Vec<(u64, Properties)>),
    Properties(Properties),
    Text(String),
    Texts(Vec<String>),
    Number(u64),
    Bytes(Vec<u8>),
    Value(OwnedVariant),
}

fn path(node: u64) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("{ROOT}/1/{node}")).unwrap()
}

fn owned(value: Variant<'_>) -> OwnedVariant {
    OwnedVariant::try_from(value).unwrap()
}

type Done = Result<Answer, &'static str>;

impl Device {
    fn node(&self, at: &str) -> Result<u64, &'static str> {
        let number = at.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        if self.nodes.contains_key(&number) { Ok(number) } else { Err("InterfaceDead") }
    }

    /// Whether the call is for a file that nothing else goes beside.
    fn is_alone(&self, call: &Message) -> bool {
        let header = call.header();
        let number = header.path().and_then(|path| self.node(path.as_str()).ok());
        let name = number.map_or("", |number| &self.nodes[&number].name);
        self.alone.is_some_and(|alone| name.starts_with(alone))
    }

    fn children(&self, folder: u64) -> Vec<u64> {
        self.nodes.iter().filter(|(_, node)| node.parent == folder).map(|(number, _)| *number).collect()
    }

    fn metadata(&self, number: u64) -> Properties {
        let node = &self.nodes[&number];
        let kind = if node.folder { "folder" } else { "file" };
        let values = [
            owned(Variant::from(node.name.as_str())),
            owned(Variant::from(vec![kind])),
            owned(Variant::from(node.bytes.len() as u64)),
            owned(Variant::from(format!("id{number}"))),
            owned(Variant::from(node.modified)),
        ];
        ENTRY.into_iter().map(str::to_owned).zip(values).collect()
    }

    fn make(&mut self, parent: u64, name: &str, folder: bool, modified: u64) -> Result<u64, &'static str> {
        if self.nodes.values().any(|node| node.parent == parent && node.name == name) {
            return Err("Exists");
        }
        let number = self.next;
        self.next += 1;
        let (name, bytes, references) = (name.to_owned(), Vec::new(), Vec::new());
        self.nodes.insert(number, Node { parent, name, folder, bytes, modified, references });
        Ok(number)
    }

    /// Puts a file there as its user would.
    pub(super) fn put(&mut self, at: &str, bytes: &[u8]) {
        let mut parent = STORAGE_NODE;
        let parts: Vec<&str> = at.split('/').collect();
        for (position, part) in parts.iter().enumerate() {
            let known = self.children(parent).into_iter().find(|number| self.nodes[number].name == *part);
            let is_file = position + 1 == parts.len();
            parent = known.unwrap_or_else(|| self.make(parent, part, !is_file, 1_600_000_000).unwrap());
        }
        self.nodes.get_mut(&parent).unwrap().bytes = bytes.to_vec();
    }

    /// All files by their paths.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let path_of = |mut number: u64| {
            let mut parts = Vec::new();
            while number != STORAGE_NODE {
                parts.push(self.nodes[&number].name.as_str());
                number = self.nodes[&number].parent;
            }
            parts.reverse();
            parts.join("/")
        };
        let files = self.nodes.iter().filter(|(_, node)| !node.folder);
        files.map(|(number, node)| (path_of(*number), node.bytes.clone())).collect()
    }

    /// What the playlist of this name refers to.
    pub(super) fn references(&self, name: &str) -> Vec<String> {
        let list = self.nodes.values().find(|node| node.name == name).unwrap();
        list.references.iter().map(|number| self.nodes[number].name.clone()).collect()
    }

    fn answer(&mut self, call: &Message) -> Done {
        let header = call.header();
        let at = header.path().map_or("", |path| path.as_str()).to_owned();
        let interface = header.interface().map_or("", |name| name.as_str()).to_owned();
        let member = header.member().map_or("", |name| name.as_str()).to_owned();
        let body = call.body();
        match (interface.as_str(), member.as_str()) {
            ("org.freedesktop.DBus.Introspectable", _) => {
                let names = match at.as_str() {
                    ROOT => vec![PROVIDER],
                    at if at == format!("{ROOT}/1") => vec![DEVICE],
                    _ => vec![STORAGE, OBJECT],
                };
                let names = names.into_iter().filter(|name| Some(*name) != self.lacks);
                let interfaces: String = names.map(|name| format!("<interface name=\"{name}\"/>")).collect();
                Ok(Answer::Text(format!("<node>{interfaces}</node>")))
            }
            ("org.freedesktop.DBus.Properties", _) => Ok(Answer::Properties(self.told(&at))),
            (PROVIDER, "CreateDevice") => {
                let (identity, _): (Properties, Vec<OwnedFd>) = body.deserialize().unwrap();
                assert!(identity.contains_key("canonical-name"));
                Ok(Answer::Path(format!("{ROOT}/1")))
            }
            (PROVIDER, "ReleaseDevice") => Ok(Answer::Nothing),
            (DEVICE, member) => self.answer_of_device(member, call),
            (STORAGE, member) => self.answer_of_storage(&at, member, call),
            (OBJECT, member) => self.answer_of_file(&at, member, call),
            _ => Err("NotSupported"),
        }
    }

    fn told(&self, at: &str) -> Properties {
        let texts: Vec<(&str, OwnedVariant)> = if at == format!("{ROOT}/1") {
            vec![("Name", owned(Variant::from("Fake player"))), ("Model", owned(Variant::from("F1")))]
        } else {
            vec![
                ("Attributes", owned(Variant::from(vec!["folder"]))),
                ("TotalSize", owned(Variant::from(1_000_000_000u64))),
                ("TotalFree", owned(Variant::from(500_000_000u64))),
                ("PersistentUniqueId", owned(Variant::from("storage"))),
            ]
        };
        texts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn answer_of_device(&mut self, member: &str, call: &Message) -> Done {
        let body = call.body();
        match member {
            "EnumStorage" => Ok(Answer::Objects(vec![STORAGE_NODE])),
            "DeviceIoControl" => Ok(Answer::Bytes(self.can_synchronize.clone())),
            "GetSupportedProperties" => {
                let names = self.properties.keys().cloned();
                Ok(Answer::Texts(names.chain(["WMDM/FormatsSupported".to_owned()]).collect()))
            }
            "GetProperty" => match body.deserialize::<&str>().unwrap() {
                "WMDM/FormatsSupported" => Ok(Answer::Value(owned(Variant::from(self.formats.clone())))),
                name => match self.properties.get(name) {
                    Some(text) => Ok(Answer::Value(owned(Variant::from(text.as_str())))),
                    None => Err("NotSupported"),
                },
            },
            "SetProperty" => {
                let (name, value): (String, Variant<'_>) = body.deserialize().unwrap();
                self.properties.insert(name, String::try_from(value).unwrap());
                Ok(Answer::Nothing)
            }
            _ => Err("NotSupported"),
        }
    }

    fn answer_of_storage(&mut self, at: &str, member: &str, call: &Message) -> Done {
        let number = self.node(at)?;
        let body = call.body();
        let page = |all: Vec<u64>, (first, count): (u32, u32)| {
            all.into_iter().skip(first as usize).take(count as usize).collect::<Vec<_>>()
        };
        match member {
            "EnumStorage" => Ok(Answer::Objects(page(self.children(number), body.deserialize().unwrap()))),
            "EnumStorageWithMetadata" if self.lists_at_once => {
                let (first, count, _): (u32, u32, Vec<String>) = body.deserialize().unwrap();
                let children = page(self.children(number), (first, count));
                Ok(Answer::Entries(children.into_iter().map(|child| (child, self.metadata(child))).collect()))
            }
            "GetSpecifiedMetadata" => Ok(Answer::Properties(self.metadata(number))),
            "CreateStorageWithMetadata" => {
                let (attributes, name, metadata, _): (Vec<String>, String, Properties, u64) =
                    body.deserialize().unwrap();
                let modified =
                    metadata.get(ENTRY[4]).and_then(|time| u64::try_from(&**time).ok()).unwrap_or(0);
                self.make(number, &name, attributes == ["folder"], modified).map(Answer::Object)
            }
            "SetReferences" => {
                let objects: Vec<OwnedObjectPath> = body.deserialize().unwrap();
                let numbers = objects.iter().map(|object| self.node(object)).collect::<Result<_, _>>()?;
                self.nodes.get_mut(&number).unwrap().references = numbers;
                Ok(Answer::Nothing)
            }
            "SetMetadata" => Ok(Answer::Nothing),
            "FindStorage" => {
                let (_, id): (String, String) = body.deserialize().unwrap();
                let found = id.strip_prefix("id").and_then(|number| number.parse().ok());
                found.filter(|number| self.nodes.contains_key(number)).map(Answer::Object).ok_or("NotFound")
            }
            "GetParent" => Ok(Answer::Object(self.nodes[&number].parent)),
            _ => Err("NotSupported"),
        }
    }

    fn answer_of_file(&mut self, at: &str, member: &str, call: &Message) -> Done {
        let number = self.node(at)?;
        let body = call.body();
        match member {
            "Delete" if !self.children(number).is_empty() => Err("InvalidArgument"),
            "Delete" => {
                self.nodes.remove(&number);
                Ok(Answer::Nothing)
            }
            "Rename" if !self.renames => Err("NotSupported"),
            "Rename" => {
                let name: String = body.deserialize().unwrap();
                let parent = self.nodes[&number].parent;
                if self.nodes.values().any(|node| node.parent == parent && node.name == name) {
                    return Err("Exists");
                }
                self.nodes.get_mut(&number).unwrap().name = name;
                Ok(Answer::Nothing)
            }
            "Move" => {
                let folder: OwnedObjectPath = body.deserialize().unwrap();
                let folder = self.node(&folder)?;
                self.nodes.get_mut(&number).unwrap().parent = folder;
                Ok(Answer::Nothing)
            }
            _ => Err("NotSupported"),
        }
    }
}

/// A provider on a bus.
pub(super) struct Fake {
    pub(super) device: Arc<Mutex<Device>>,
    pub(super) name: OwnedBusName,
    pub(super) connection: Connection,
    _task: AbortOnDropHandle<()>,
}

impl Fake {
    /// Enters the bus, serving this device.
    pub(super) async fn enter(bus: &PrivateBus, device: &Arc<Mutex<Device>>) -> Self {
        let connection = bus.connect().await;
        let stream = MessageStream::from(&connection);
        let name = OwnedBusName::try_from(connection.unique_name().unwrap().as_str()).unwrap();
        let task = tokio::spawn(serve(connection.clone(), stream, Arc::clone(device)));
        Self { device: Arc::clone(device), name, connection, _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn offer(&self) -> Offer {
        let parameters = HashMap::from([("UseExtendedWmdm".to_owned(), owned(Variant::from(1u32)))]);
        Offer {
            name: "Fake players".to_owned(),
            bus_name: self.name.clone(),
            root: OwnedObjectPath::try_from(ROOT).unwrap(),
            parameters: Parameters::from_options(&parameters).unwrap(),
        }
    }

    /// Opens the device through a registry that knows this provider.
    pub(super) async fn open(&self, bus: &PrivateBus) -> Result<Arc<dyn Player>, PlayerError> {
        let registry = Arc::new(Registry::new(Vec::new()));
        let Offer { name, bus_name, root, parameters } = self.offer();
        registry.register(&bus_name, &name, root, parameters).unwrap();
        let opener =
            Opener { bus: ProviderBus::At(bus.address().to_owned()), registry, limits: Limits::default() };
        opener.open(&device(), description()).await
    }
}

/// A device that any provider may serve.
pub(super) fn device() -> ProviderDevice {
    ProviderDevice {
        canonical_name: "fake".to_owned(),
        ids: Some((1, 2)),
        serial: "1".to_owned(),
        interfaces: Vec::new(),
        syspath: "/sys/fake".to_owned(),
        node: None,
        provider: None,
    }
}

pub(super) fn description() -> DeviceDescription {
    DeviceDescription {
        id: DeviceId("fake".to_owned()),
        kind: Kind::Provider,
        name: String::new(),
        manufacturer: String::new(),
        model: String::new(),
        serial_number: String::new(),
        firmware: String::new(),
    }
}

async fn serve(connection: Connection, mut calls: MessageStream, device: Arc<Mutex<Device>>) {
    let mut held: Option<(Message, Done)> = None;
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() != Type::MethodCall {
            continue;
        }
        let harm = {
            let mut device = device.lock().unwrap();
            let number = device.calls.len();
            let member = call.header().member().map(ToString::to_string).unwrap_or_default();
            device.calls.push(member);
            device.plan.filter(|(planned, _)| *planned == number).map(|(_, harm)| harm)
        };
        if harm == Some(Harm::DieBefore) {
            connection.clone().close().await.ok();
            return;
        }
        let member = call.header().member().map(ToString::to_string).unwrap_or_default();
        if member == "CreateStorageWithMetadata"
            && let Some((earlier, done)) = held.take()
        {
            reply(&connection, &call, Err("Busy"), None).await.ok();
            reply(&connection, &earlier, done, None).await.ok();
            continue;
        }
        let answer = perform(&call, &device).await;
        if member == "WriteOnClearChannel" && device.lock().unwrap().is_alone(&call) {
            held = Some((call, answer));
            continue;
        }
        if harm == Some(Harm::DieAfter) {
            connection.clone().close().await.ok();
            return;
        }
        // an error means that nobody waits any more
        reply(&connection, &call, answer, harm).await.ok();
    }
}

/// Does what is called; transfers on threads of their own.
async fn perform(call: &Message, device: &Arc<Mutex<Device>>) -> Done {
    let header = call.header();
    let member = header.member().map(|name| name.as_str().to_owned()).unwrap_or_default();
    if !matches!(member.as_str(), "WriteOnClearChannel" | "ReadOnClearChannel") {
        return device.lock().unwrap().answer(call);
    }
    let number = device.lock().unwrap().node(header.path().unwrap().as_str())?;
    if member == "WriteOnClearChannel" {
        let (source, size): (OwnedFd, u64) = call.body().deserialize().unwrap();
        if device.lock().unwrap().is_full {
            return Err("NoSpace");
        }
        let mut source = std::fs::File::from(std::os::fd::OwnedFd::from(source));
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await.unwrap().unwrap();
        let count = bytes.len() as u64;
        if let Some(node) = device.lock().unwrap().nodes.get_mut(&number) {
            node.bytes = bytes;
        }
        return if count == size { Ok(Answer::Number(count)) } else { Err("InvalidArgument") };
    }
    let (offset, size, sink): (u64, u64, OwnedFd) = call.body().deserialize().unwrap();
    let bytes = device.lock().unwrap().nodes[&number].bytes.clone();
    let from = usize::try_from(offset).unwrap().min(bytes.len());
    let until = usize::try_from(offset + size).unwrap().min(bytes.len());
    let mut sink = std::fs::File::from(std::os::fd::OwnedFd::from(sink));
    let written = tokio::task::spawn_blocking(move || sink.write_all(&bytes[from..until]));
    written.await.unwrap().map_err(|_| "Failed")?;
    Ok(Answer::Number((until - from) as u64))
}

async fn reply(
    connection: &Connection,
    call: &Message,
    answer: Done,
    harm: Option<Harm>,
) -> Result<(), zbus::Error> {
    let header = call.header();
    let refuse = async |word: &str| {
        connection.reply_error(&header, format!("{ERROR_PREFIX}{word}"), &"as planned").await
    };
    match harm {
        Some(Harm::Hang) => return Ok(()),
        Some(Harm::Late) => {
            let (connection, call) = (connection.clone(), call.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                connection.reply(&call.header(), &()).await.ok();
            });
            return Ok(());
        }
        Some(Harm::Refuse(word)) => return refuse(word).await,
        Some(Harm::Nonsense) => return connection.reply(&header, &("nonsense", -1i32)).await,
        _ => {}
    }
    let lie = harm == Some(Harm::Lie);
    let outside = || OwnedObjectPath::try_from("/elsewhere/1").unwrap();
    let object = |number: u64| if lie { outside() } else { path(number) };
    let spoilt = |mut properties: Properties| {
        if lie {
            let wrong = [(ENTRY[2], Variant::from(u64::MAX)), ("TotalFree", Variant::from(u64::MAX))];
            properties.extend(wrong.map(|(name, value)| (name.to_owned(), owned(value))));
        }
        properties
    };
    match answer {
        Err(word) => refuse(word).await,
        Ok(Answer::Nothing) => connection.reply(&header, &()).await,
        Ok(Answer::Object(number)) => connection.reply(&header, &object(number)).await,
        Ok(Answer::Path(text)) => {
            let text = if lie { "/elsewhere/1" } else { &text };
            connection.reply(&header, &ObjectPath::try_from(text)?).await
        }
        Ok(Answer::Objects(numbers)) => {
            let mut objects: Vec<_> = numbers.into_iter().map(object).collect();
            objects.extend(lie.then(outside));
            connection.reply(&header, &objects).await
        }
        Ok(Answer::Entries(entries)) => {
            let mut all: Vec<_> =
                entries.into_iter().map(|(number, told)| (object(number), spoilt(told))).collect();
            all.extend(lie.then(|| (outside(), Properties::new())));
            connection.reply(&header, &all).await
        }
        Ok(Answer::Properties(properties)) => connection.reply(&header, &spoilt(properties)).await,
        Ok(Answer::Text(text)) => {
            connection.reply(&header, &if lie { "x".repeat(300_000) } else { text }).await
        }
        Ok(Answer::Texts(mut texts)) => {
            texts.extend(lie.then(|| "x".repeat(5000)));
            connection.reply(&header, &texts).await
        }
        Ok(Answer::Number(number)) => connection.reply(&header, &(number + u64::from(lie))).await,
        Ok(Answer::Bytes(bytes)) => connection.reply(&header, &if lie { vec![7; 7] } else { bytes }).await,
        Ok(Answer::Value(value)) => {
            let value = if lie { owned(Variant::from(7.5f64)) } else { value };
            connection.reply(&header, &value).await
        }
    }
}
