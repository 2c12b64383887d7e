//! What the device in memory answers when nothing goes wrong.

use super::super::ROOT;
use super::{Answer, Device, Done, STORAGE_NODE, owned};
use crate::providers::answers::{ENTRY, Properties};
use dbus_interfaces::provider::{CONTROL_CHANGED_ITEMS, DEVICE, OBJECT, PROVIDER, STORAGE};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use zbus::{Message, OwnedFd, OwnedObjectPath, OwnedVariant, Variant};

/// Calls that change something besides a file's bytes.
const CHANGES: [&str; 7] =
    ["CreateStorageWithMetadata", "SetProperty", "SetReferences", "Delete", "Rename", "RenameAll", "Move"];

impl Device {
    fn answer(&mut self, call: &Message) -> Done {
        let header = call.header();
        let at = header.path().map_or("", |path| path.as_str()).to_owned();
        let interface = header.interface().map_or("", |name| name.as_str()).to_owned();
        let member = header.member().map_or("", |name| name.as_str()).to_owned();
        let body = call.body();
        if self.keeps_later && CHANGES.contains(&member.as_str()) {
            self.unkept += 1;
        }
        match (interface.as_str(), member.as_str()) {
            ("org.freedesktop.DBus.Introspectable", _) => {
                let names = match at.as_str() {
                    ROOT => vec![PROVIDER],
                    at if at == format!("{ROOT}/1") => vec![DEVICE],
                    _ => vec![STORAGE, OBJECT],
                };
                let names = names.into_iter().filter(|name| Some(*name) != self.lacks);
                let method = |name: &str| match name {
                    STORAGE if self.takes_together => "<method name=\"Insert\"/>",
                    DEVICE if self.takes_together => "<method name=\"RenameAll\"/>",
                    _ => "",
                };
                let interface = |name| format!("<interface name=\"{name}\">{}</interface>", method(name));
                Ok(Answer::Text(format!("<node>{}</node>", names.map(interface).collect::<String>())))
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
                ("TotalFree", owned(Variant::from(500_000_000 - self.used_otherwise))),
                ("PersistentUniqueId", owned(Variant::from("storage"))),
            ]
        };
        texts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn answer_of_device(&mut self, member: &str, call: &Message) -> Done {
        let body = call.body();
        match member {
            "EnumStorage" => Ok(Answer::Objects(vec![STORAGE_NODE])),
            "Flush" if self.keeps_later => {
                self.flushes += 1;
                self.unkept = 0;
                self.unkept_bytes.clear();
                Ok(Answer::Nothing)
            }
            "RenameAll" if self.refuses != Some("RenameAll") => {
                let (files, _): (Vec<(OwnedObjectPath, String)>, Vec<String>) = body.deserialize().unwrap();
                Ok(Answer::Renamed(self.rename_all(files)))
            }
            "DeviceIoControl" => match body.deserialize().unwrap() {
                (CONTROL_CHANGED_ITEMS, _) if !self.changes.are_told => Err("NotSupported"),
                (CONTROL_CHANGED_ITEMS, input) => {
                    let now = self.items();
                    let input: Vec<u8> = input;
                    Ok(Answer::Bytes(self.changes.answer(&input, now)))
                }
                _ => Ok(Answer::Bytes(self.can_synchronize.clone())),
            },
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
                for new in 0..self.bottomless {
                    // one that is there already is enough
                    self.make(number, &format!("deeper {new}"), true, 0).ok();
                }
                let children = page(self.children(number), (first, count));
                let mut told: Vec<_> = children.iter().map(|child| self.metadata(*child)).collect();
                if self.mixes_up && !told.is_empty() {
                    told.rotate_left(1);
                }
                Ok(Answer::Entries(children.into_iter().zip(told).collect()))
            }
            "GetSpecifiedMetadata" => Ok(Answer::Properties(self.metadata(number))),
            "CreateStorageWithMetadata" => {
                let (attributes, name, metadata, _): (Vec<String>, String, Properties, u64) =
                    body.deserialize().unwrap();
                let modified =
                    metadata.get(ENTRY[4]).and_then(|time| u64::try_from(&**time).ok()).unwrap_or(0);
                let is_folder = attributes == ["folder"];
                let made = self.make(number, &name, is_folder, modified)?;
                let other = self.answers_with.filter(|_| !is_folder).and_then(|path| self.at(path));
                Ok(Answer::Object(other.unwrap_or(made)))
            }
            "SetReferences" => {
                let objects: Vec<OwnedObjectPath> = body.deserialize().unwrap();
                let numbers = objects.iter().map(|object| self.node(object)).collect::<Result<_, _>>()?;
                self.nodes.get_mut(&number).unwrap().references = numbers;
                Ok(Answer::Nothing)
            }
            "GetReferences" if self.refuses != Some("GetReferences") => {
                let mut references = self.nodes[&number].references.clone();
                if self.loses_references.is_some() {
                    references.pop();
                }
                Ok(Answer::References(references, self.loses_references == Some(true)))
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
            "Rename" => self.rename(number, body.deserialize().unwrap()).map(|()| Answer::Nothing),
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

/// Does what is called; transfers on threads of their own.
pub(in crate::providers::fake) async fn perform(call: &Message, device: &Arc<Mutex<Device>>) -> Done {
    let header = call.header();
    let member = header.member().map(|name| name.as_str().to_owned()).unwrap_or_default();
    if !["WriteOnClearChannel", "ReadOnClearChannel", "Insert"].contains(&member.as_str()) {
        return device.lock().unwrap().answer(call);
    }
    if device.lock().unwrap().refuses == Some(member.as_str()) {
        return Err("NotSupported");
    }
    let number = device.lock().unwrap().node(header.path().unwrap().as_str())?;
    if member == "WriteOnClearChannel" {
        let (source, size): (OwnedFd, u64) = call.body().deserialize().unwrap();
        if device.lock().unwrap().is_full {
            return Err("NoSpace");
        }
        let bytes = read(source, size).await?;
        device.lock().unwrap().fill(number, bytes);
        return Ok(Answer::Number(size));
    }
    if member == "Insert" {
        let (name, metadata, size, source, _): (String, Properties, u64, OwnedFd, Vec<String>) =
            call.body().deserialize().unwrap();
        let modified = metadata.get(ENTRY[4]).and_then(|time| u64::try_from(&**time).ok()).unwrap_or(0);
        let file = device.lock().unwrap().make(number, &name, false, modified)?;
        let bytes = read(source, size).await;
        let mut device = device.lock().unwrap();
        match bytes {
            Ok(bytes) => device.fill(file, bytes),
            Err(word) => {
                device.nodes.remove(&file);
                return Err(word);
            }
        }
        return Ok(Answer::Inserted(file, device.metadata(file)));
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

/// All bytes that a descriptor gives, if they are so many.
async fn read(source: OwnedFd, size: u64) -> Result<Vec<u8>, &'static str> {
    let mut source = std::fs::File::from(std::os::fd::OwnedFd::from(source));
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.unwrap().unwrap();
    if bytes.len() as u64 == size { Ok(bytes) } else { Err("InvalidArgument") }
}
