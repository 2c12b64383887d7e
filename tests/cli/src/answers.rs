//! What the stand-in answers to each method, in the contract's types. Calls that change something are written down.

use crate::fake::object;
use crate::objects::{LIBRARY, Playlist, Properties, World};
use dbus_interfaces::names::ERROR_PREFIX;
use serde::Serialize;
use std::collections::HashMap;
use zbus::message::Message;
use zbus::{DynamicType, OwnedObjectPath, OwnedVariant, Variant};

/// An answer with this body.
pub(crate) fn answer<B: Serialize + DynamicType>(call: &Message, body: &B) -> zbus::Result<Message> {
    Message::method_return(&call.header()).build(body)
}

/// A refusal with one of the contract's words.
pub(crate) fn refusal(call: &Message, word: &str, text: &str) -> zbus::Result<Message> {
    Message::error(&call.header(), format!("{ERROR_PREFIX}{word}")).build(&text)
}

/// What `GetAll` answers for an object.
pub(crate) fn properties(world: &World, path: &str) -> Option<Properties> {
    if path == LIBRARY {
        return Some(Properties::from([
            ("Folders".to_owned(), world.folders.clone().into()),
            ("TrackCount".to_owned(), 12u32.into()),
            ("PlaylistCount".to_owned(), u32::try_from(world.playlists.len()).unwrap_or(u32::MAX).into()),
            ("Scanning".to_owned(), false.into()),
            ("LastScanTime".to_owned(), (1_700_000_000 + world.scans).into()),
            ("Trouble".to_owned(), world.trouble.clone().into()),
        ]));
    }
    let copy = |properties: &Properties| {
        properties.iter().filter_map(|(name, value)| Some((name.clone(), value.try_clone().ok()?))).collect()
    };
    let device =
        world.devices.iter().find(|device| device.path() == path).map(|device| copy(&device.properties));
    device.or_else(|| world.playlists.iter().find(|list| list.path() == path).map(Playlist::properties))
}

/// What `Probe` tells of the two USB devices that there are.
pub(crate) fn probe_answer(world: &World, call: &Message) -> zbus::Result<Message> {
    let (wanted, again): (String, bool) = call.body().deserialize()?;
    let device = |port: &'static str, product: &'static str, kind: &'static str, reason: &'static str| {
        let guids = if kind == "provider" {
            vec![(1i16, "{F33F}".to_owned()), (-1, "{0001}".to_owned())]
        } else {
            Vec::new()
        };
        let descriptors = if again { "asked again" } else { "asked, and read" };
        let interface = (1u8, 0xffu8, 0u8, 0u8, 3u8, "Player".to_owned(), "usbfs".to_owned());
        HashMap::from([
            ("kind", Variant::from(kind)),
            ("reason", reason.into()),
            ("device-id", if kind == "provider" { "pap-1209-7a01-S1" } else { "" }.into()),
            ("descriptors", descriptors.into()),
            ("compatible-ids", vec![(1i16, "WINUSB".to_owned())].into()),
            ("device-interfaces", guids.into()),
            ("interfaces", vec![interface].into()),
            ("vendor-id", "1209".into()),
            ("product-id", "7a01".into()),
            ("release", "0100".into()),
            ("manufacturer", "".into()),
            ("product", product.into()),
            ("serial", "S1".into()),
            ("port", port.into()),
            ("node", "/dev/bus/usb/001/004".into()),
            ("syspath", "/sys/devices/usb1/1-2".into()),
        ])
    };
    let all = [
        device("1-2", "Walker", "provider", "its Microsoft OS descriptors say so"),
        device("1-3", "Keyboard", "none", "it has no interface"),
    ];
    match wanted.as_str() {
        "" if world.no_usb => answer(call, &&all[..0]),
        "" => answer(call, &&all[..]),
        "1-2" => answer(call, &&all[..1]),
        _ => refusal(call, "NotFound", &format!("no USB device `{wanted}` is plugged in")),
    }
}

/// The answer of a device's method that has no script.
pub(crate) fn device_answer(
    world: &mut World,
    calls: &mut Vec<String>,
    call: &Message,
    key: &str,
    member: &str,
) -> zbus::Result<Message> {
    let Some(device) = world.devices.iter_mut().find(|device| device.key == key) else {
        return refusal(call, "NotFound", &format!("there is no device `{key}`"));
    };
    let body = call.body();
    match member {
        "GetStatus" => answer(call, &device.status()),
        "GetItemInfo" => {
            let name: String = body.deserialize()?;
            match device.properties.get(&name).and_then(|value| String::try_from(value).ok()) {
                Some(value) => answer(call, &value),
                None => refusal(call, "InvalidArgument", &format!("`{name}` is no attribute")),
            }
        }
        "SetItemInfo" => {
            let (name, value): (String, String) = body.deserialize()?;
            calls.push(format!("{key} SetItemInfo {name}={value}"));
            device.properties.insert(name, value.into());
            answer(call, &())
        }
        "CreatePartnership" | "DeletePartnership" => {
            let options: HashMap<String, OwnedVariant> = body.deserialize()?;
            let mut texts: Vec<_> =
                options.iter().map(|(name, value)| format!("{name}={}", **value)).collect();
            texts.sort();
            calls.push(format!("{key} {member} {}", texts.join(" ")));
            if member == "DeletePartnership" {
                device.properties.insert("Status".to_owned(), "partnership-declined".into());
                device.properties.insert("PartnershipIndex".to_owned(), 0u32.into());
                device.properties.insert("PartnershipOwner".to_owned(), u32::MAX.into());
            }
            answer(call, &())
        }
        "Preview" => {
            let item = HashMap::from([
                ("action", Variant::from("copy")),
                ("media", "file:///m/a.mp3".into()),
                ("destination", "Music/a.mp3".into()),
                ("size", 5_000_000u64.into()),
                ("reason", "not on the device".into()),
            ]);
            let whole_run = HashMap::from([
                ("action", Variant::from("skip")),
                ("media", "".into()),
                ("destination", "".into()),
                ("size", 0u64.into()),
                ("reason", world.objection.clone().into()),
            ]);
            let stops = (!world.objection.is_empty()).then_some(whole_run);
            answer(call, &stops.into_iter().chain([item]).collect::<Vec<_>>())
        }
        "GetSyncResults" => answer(call, &device.results),
        "GetSyncHistory" => {
            let run =
                |began: u64, result: &'static str, message: &'static str, errors: &[(&'static str, u32)]| {
                    HashMap::from([
                        ("began", Variant::from(began)),
                        ("ended", (began + 200).into()),
                        ("result", result.into()),
                        ("message", message.into()),
                        ("items", 40u32.into()),
                        ("changes", 7u32.into()),
                        ("bytes", 5_000_000u64.into()),
                        ("errors", errors.iter().copied().collect::<HashMap<&str, u32>>().into()),
                    ])
                };
            let mut last = run(951_800_000, device.ended, "", &[]);
            if device.ended == "interrupted" {
                last.insert("ended", Variant::from(0u64));
            }
            let stopped = run(951_786_245, "cancelled", "stopped", &[]);
            let refused = run(951_700_000, "would-delete-too-much", "22 of 40 would go", &[]);
            let partly = run(951_600_000, "synchronized", "", &[("no-fit", 3), ("device-write-failed", 1)]);
            let mut cut = run(951_500_000, "interrupted", "the daemon was killed", &[]);
            cut.insert("ended", Variant::from(0u64));
            answer(call, &vec![last, stopped, refused, partly, cut])
        }
        "Transfer" => {
            let media: Vec<String> = body.deserialize()?;
            calls.push(format!("{key} Transfer {}", media.join(" ")));
            answer(call, &())
        }
        "Start" | "Stop" | "Eject" | "CancelEstimation" => {
            calls.push(format!("{key} {member}"));
            answer(call, &())
        }
        "EstimateSyncSize" => {
            let (with, instead): (OwnedObjectPath, OwnedObjectPath) = body.deserialize()?;
            calls.push(format!("{key} EstimateSyncSize {with} {instead}"));
            answer(call, &())
        }
        _ => refusal(call, "Failed", &format!("the stand-in has no {member}")),
    }
}

/// The answer of a method of the library.
pub(crate) fn library_answer(
    world: &mut World,
    calls: &mut Vec<String>,
    call: &Message,
    member: &str,
) -> zbus::Result<Message> {
    let body = call.body();
    match member {
        "SetFolders" => {
            world.folders = body.deserialize()?;
            answer(call, &())
        }
        "Scan" => {
            world.scans += 1;
            answer(call, &())
        }
        "GetPlaylists" => {
            answer(call, &world.playlists.iter().map(|list| object(list.path())).collect::<Vec<_>>())
        }
        "CreatePlaylist" => {
            let (name, items): (String, Vec<String>) = body.deserialize()?;
            add(world, call, Playlist { items, ..Playlist::new("made", &name, &[]) })
        }
        "CreateAutoPlaylist" => {
            let (name, rule): (String, String) = body.deserialize()?;
            if rule.starts_with('(') {
                add(world, call, Playlist { rule, ..Playlist::new("auto", &name, &[]) })
            } else {
                refusal(call, "InvalidArgument", "column 1: a rule begins with `(`")
            }
        }
        "ImportPlaylistWithReport" => {
            let path: String = body.deserialize()?;
            calls.push(format!("ImportPlaylistWithReport {path}"));
            let playlist = Playlist::new("imported", "Imported", &["file:///m/a.mp3"]);
            let made = object(playlist.path());
            world.playlists.push(playlist);
            answer(call, &(made, &world.unresolved))
        }
        "Search" => {
            answer(call, &vec!["file:///m/%C3%84.mp3", "file:///m/%FF.mp3", "file:///m/%1B%5B2J.mp3"])
        }
        "GetMediaInfo" => {
            let media: String = body.deserialize()?;
            if !media.ends_with(".mp3") {
                return refusal(call, "NotFound", &format!("`{media}` is not in the library"));
            }
            let info = HashMap::from([
                ("Title", Variant::from("\u{1b}]0;owned\u{7}Title")),
                ("Duration", 185_000u64.into()),
                ("SyncState", 0b10u32.into()),
            ]);
            answer(call, &info)
        }
        "SetMediaInfo" => {
            let (media, name, value): (String, String, OwnedVariant) = body.deserialize()?;
            calls.push(format!("SetMediaInfo {media} {name}={}", *value));
            answer(call, &())
        }
        _ => refusal(call, "Failed", &format!("the stand-in has no {member}")),
    }
}

fn add(world: &mut World, call: &Message, playlist: Playlist) -> zbus::Result<Message> {
    let path: OwnedObjectPath = object(playlist.path());
    world.playlists.push(playlist);
    answer(call, &path)
}

/// The answer of a method of a playlist.
pub(crate) fn playlist_answer(
    world: &mut World,
    calls: &mut Vec<String>,
    call: &Message,
    path: &str,
    member: &str,
) -> zbus::Result<Message> {
    let Some(index) = world.playlists.iter().position(|list| list.path() == path) else {
        return refusal(call, "NotFound", &format!("there is no `{path}`"));
    };
    let list = &mut world.playlists[index];
    let body = call.body();
    match member {
        "GetItems" => answer(call, &list.items),
        "GetUnresolved" => answer(call, &world.unresolved),
        "Append" => {
            list.items.extend(body.deserialize::<Vec<String>>()?);
            answer(call, &())
        }
        "Insert" => {
            let (at, items): (u32, Vec<String>) = body.deserialize()?;
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            if at > list.items.len() {
                return refusal(call, "InvalidArgument", &format!("there is no position {at}"));
            }
            list.items.splice(at..at, items);
            answer(call, &())
        }
        "Remove" => {
            let (first, count): (u32, u32) = body.deserialize()?;
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            list.items.drain(first..first.saturating_add(usize::try_from(count).unwrap_or(usize::MAX)));
            answer(call, &())
        }
        "SetItemInfo" => {
            let (name, value): (String, String) = body.deserialize()?;
            calls.push(format!("{} SetItemInfo {name}={value}", list.key));
            if name == "Name" {
                list.name = value;
            } else if let Some(Ok(index)) = name.strip_prefix("Sync").map(str::parse) {
                list.priorities.insert(index, value.parse().unwrap_or_default());
            }
            answer(call, &())
        }
        "Move" => {
            let (from, to): (u32, u32) = body.deserialize()?;
            let place = |position: u32| usize::try_from(position).unwrap_or(usize::MAX);
            let item = list.items.remove(place(from));
            list.items.insert(place(to), item);
            answer(call, &())
        }
        "Clear" => {
            list.items.clear();
            answer(call, &())
        }
        "Delete" => {
            world.playlists.remove(index);
            answer(call, &())
        }
        _ => refusal(call, "Failed", &format!("the stand-in has no {member}")),
    }
}
