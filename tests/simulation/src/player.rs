//! The player as the engine sees it: each call is one operation on the wire, and what the wire says happens to it.

use crate::device::{Device, device_path, hash};
use crate::event::{Flavour, Harm, When};
use crate::stage::Stage;
use crate::steps::Way;
use crate::wire::{Fate, Trip};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{
    Capabilities, Close, Mark, Object, ObjectFacts, Player, PlayerOpener, PlaylistForm, PlaylistStyle, Space,
    Storage, Tags, Transfer, WriteRequest, Written,
};
use tandem_model::presence::Arrival;

/// How long a player takes to give up on a device that doesn't answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How long to wait so that everybody has noticed what happened: the clock moves when nobody has anything else to do.
pub(crate) const NOTICED: Duration = Duration::from_millis(1);

type Answer<'a, T> = BoxFuture<'a, Result<T, PlayerError>>;

/// Opens the one player that there is.
pub(crate) struct Opener {
    /// Everything around the engine.
    pub(crate) stage: Arc<Stage>,
    /// Number of the daemon.
    pub(crate) daemon: u64,
}

/// A connection to the player.
#[derive(Clone)]
struct Gate {
    stage: Arc<Stage>,
    daemon: u64,
    connection: u64,
    /// The file system turned read-only while this was open.
    is_read_only: Arc<AtomicBool>,
}

impl Gate {
    /// One operation.
    async fn operate<T>(
        &self,
        name: &'static str,
        act: impl Fn(&mut Device, Way) -> Result<T, PlayerError> + Send,
    ) -> Result<T, PlayerError> {
        tokio::task::yield_now().await;
        let fate = self.stage.wire.on_device(name, self.connection, self.daemon);
        match fate {
            Fate::Done => act(&mut self.stage.device(), Way::Whole),
            Fate::Gone => Err(PlayerError::Removed),
            Fate::Dead => std::future::pending().await,
            Fate::Harmed(Harm::Lie) => {
                let mut device = self.stage.device();
                device.lies = device.is_read_back && name == "write";
                act(&mut device, Way::Whole)
            }
            Fate::Harmed(harm) => self.harmed(harm, act).await,
        }
    }

    async fn harmed<T>(
        &self,
        harm: Harm,
        act: impl Fn(&mut Device, Way) -> Result<T, PlayerError> + Send,
    ) -> Result<T, PlayerError> {
        let act = |way| act(&mut self.stage.device(), way);
        match harm {
            Harm::Error => Err(PlayerError::Other("input/output error".to_owned())),
            Harm::Full => Err(PlayerError::Full),
            Harm::ReadOnly => {
                self.is_read_only.store(true, Ordering::Relaxed);
                Err(PlayerError::ReadOnly("it turned read-only".to_owned()))
            }
            Harm::Lie => act(Way::Whole),
            Harm::Short => {
                drop(act(Way::Failed));
                Err(PlayerError::Other("it came out short".to_owned()))
            }
            Harm::Hang => {
                tokio::time::sleep(TIME_LIMIT).await;
                drop(act(Way::Torn));
                Err(PlayerError::TimedOut("doing something".to_owned()))
            }
            Harm::Unplug(when) => {
                let done = match when {
                    When::Before => None,
                    When::Within => act(Way::Torn).err().map(Err),
                    When::After => Some(act(Way::Whole)),
                };
                let late = {
                    let mut device = self.stage.device();
                    device.cut();
                    device.random.once_in(2)
                };
                self.stage.wire.trip(Trip::Unplugged { late });
                if !late {
                    tokio::time::sleep(NOTICED).await;
                }
                done.filter(|_| when == When::After).unwrap_or(Err(PlayerError::Removed))
            }
            Harm::Kill(when) => {
                let way = if when == When::After { Way::Whole } else { Way::Torn };
                if when != When::Before {
                    drop(act(way));
                }
                self.stage.wire.trip(Trip::Killed);
                std::future::pending().await
            }
            Harm::PowerCut(left) => {
                drop(act(Way::Whole));
                self.stage.device().lose_unkept(left);
                self.stage.wire.trip(Trip::Killed);
                std::future::pending().await
            }
            Harm::Stop => {
                self.stage.wire.trip(Trip::Stopped);
                tokio::time::sleep(NOTICED).await;
                act(Way::Whole)
            }
            Harm::Library(edit) => {
                self.stage.edit_library(&edit);
                tokio::time::sleep(NOTICED).await;
                act(Way::Whole)
            }
            Harm::User(edit) => {
                self.stage.disturb(&edit);
                act(Way::Whole)
            }
        }
    }
}

impl PlayerOpener for Opener {
    fn open<'a>(&'a self, arrival: &'a Arrival) -> Answer<'a, Arc<dyn Player>> {
        Box::pin(async move {
            let connection = self.stage.wire.connection();
            let gate = Gate {
                stage: Arc::clone(&self.stage),
                daemon: self.daemon,
                connection,
                is_read_only: Arc::default(),
            };
            gate.operate("open", |_, _| Ok(())).await?;
            let flavour = self.stage.device().flavour;
            let capabilities = capabilities(flavour);
            let player =
                SimulatedPlayer { gate, description: arrival.description.clone(), capabilities, flavour };
            Ok(Arc::new(player) as Arc<dyn Player>)
        })
    }
}

fn capabilities(flavour: Flavour) -> Capabilities {
    Capabilities {
        formats: if flavour.is_atomic() { Vec::new() } else { vec!["audio/mpeg".to_owned()] },
        audio: true,
        video: false,
        photo: false,
        audio_folder: Some(device_path("Music")),
        folder_depth: None,
        playlists: Some(PlaylistStyle {
            folder: Some(device_path("Playlists")),
            extension: "m3u8",
            form: PlaylistForm::M3U,
        }),
        albums: None,
        holds_friendly_name: false,
        unique_file_names: false,
    }
}

struct SimulatedPlayer {
    gate: Gate,
    description: DeviceDescription,
    capabilities: Capabilities,
    flavour: Flavour,
}

impl Player for SimulatedPlayer {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(SimulatedStorage { gate: self.gate.clone(), flavour: self.flavour })
    }
    fn mark(&self) -> Answer<'_, Option<Mark>> {
        Box::pin(self.gate.operate("mark", |device, _| Ok(device.tree.mark)))
    }
    fn set_mark(&self, mark: Mark) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("set-mark", move |device, way| {
            if way == Way::Whole {
                device.set_mark(mark);
            }
            Ok(())
        }))
    }
    fn remove_mark(&self, mark: Mark) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("remove-mark", move |device, way| {
            if way == Way::Whole && device.tree.mark == Some(mark) {
                device.tree.mark = None;
                device.settle();
            }
            Ok(())
        }))
    }
    fn friendly_name(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }
    fn set_friendly_name(&self, _: String) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    fn turned_read_only(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.gate.is_read_only.load(Ordering::Relaxed) })
    }
    fn close(&self, _: Close) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("close", |device, way| {
            if way == Way::Whole {
                device.settle();
            }
            Ok(())
        }))
    }
}

struct SimulatedStorage {
    gate: Gate,
    flavour: Flavour,
}

impl Storage for SimulatedStorage {
    fn id(&self) -> &str {
        "the only one"
    }
    fn is_atomic(&self) -> bool {
        self.flavour.is_atomic()
    }
    fn keeps_exact_times(&self) -> bool {
        self.flavour == Flavour::Exact
    }
    fn updates_metadata(&self) -> bool {
        self.flavour.takes_tags()
    }
    fn update_metadata(&self, path: DevicePath, tags: Tags) -> Answer<'_, ObjectFacts> {
        Box::pin(
            self.gate.operate("update-metadata", move |device, way| {
                device.update_metadata(path.as_str(), &tags, way)
            }),
        )
    }
    fn find(&self, ids: Vec<String>) -> Answer<'_, Vec<Option<DevicePath>>> {
        Box::pin(self.gate.operate("find", move |device, _| {
            let place = |id: &String| {
                let node = device.tree.files.values().find(|node| device.persistent_id(node) == *id)?;
                DevicePath::parse(&node.path)
            };
            Ok(ids.iter().map(place).collect())
        }))
    }
    fn space(&self) -> Answer<'_, Space> {
        Box::pin(self.gate.operate("space", |device, _| Ok(device.space())))
    }
    fn facts(&self, paths: Vec<DevicePath>) -> Answer<'_, Vec<Option<ObjectFacts>>> {
        Box::pin(self.gate.operate("facts-of-many", move |device, _| {
            Ok(paths.iter().map(|path| device.file(path.as_str()).map(|node| device.facts(node))).collect())
        }))
    }
    fn object(&self, path: &DevicePath) -> Box<dyn Object> {
        Box::new(SimulatedObject { gate: self.gate.clone(), path: path.clone() })
    }
    fn missing_folders(&self, paths: Vec<DevicePath>) -> Answer<'_, Vec<DevicePath>> {
        Box::pin(self.gate.operate("missing-folders", move |device, _| {
            let mut missing = Vec::new();
            for folder in
                paths.iter().flat_map(|path| device.missing_folders(path.as_str()).unwrap_or_default())
            {
                if !missing.contains(&folder) {
                    missing.push(folder);
                }
            }
            Ok(missing.iter().filter_map(|folder| DevicePath::parse(folder)).collect())
        }))
    }
    fn write<'a>(&'a self, request: WriteRequest, transfer: &'a Arc<Transfer>) -> Answer<'a, Written> {
        Box::pin(async move {
            if transfer.is_cancelled() {
                return Err(PlayerError::Cancelled);
            }
            let written = self.gate.operate("write", |device, way| device.write(&request, way)).await?;
            transfer.add(request.size);
            Ok(written)
        })
    }
    fn settle(&self, _: Vec<DevicePath>) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("settle", |device, way| {
            if way == Way::Whole {
                device.settle();
            }
            Ok(())
        }))
    }
    fn remove_empty_folders(&self, mut folders: Vec<DevicePath>) -> Answer<'_, ()> {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.ancestors().count()));
        Box::pin(self.gate.operate("remove-folders", move |device, way| {
            let count = if way == Way::Whole { folders.len() } else { folders.len() / 2 };
            folders.iter().take(count).for_each(|folder| device.remove_if_empty(folder.as_str()));
            Ok(())
        }))
    }
    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("flush", |device, way| {
            if way == Way::Whole {
                device.settle();
            }
            Ok(())
        }))
    }
}

struct SimulatedObject {
    gate: Gate,
    path: DevicePath,
}

impl SimulatedObject {
    fn not_found(&self) -> PlayerError {
        PlayerError::NotFound(self.path.as_str().to_owned())
    }
}

impl Object for SimulatedObject {
    fn facts(&self) -> Answer<'_, Option<ObjectFacts>> {
        Box::pin(
            self.gate.operate("facts", |device, _| {
                Ok(device.seek(self.path.as_str()).map(|node| device.facts(node)))
            }),
        )
    }
    fn read(&self, limit: u64) -> Answer<'_, Vec<u8>> {
        Box::pin(self.gate.operate("read", move |device, _| {
            let node = device.file(self.path.as_str()).ok_or_else(|| self.not_found())?;
            Ok(node.bytes.iter().copied().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
        }))
    }
    fn hash<'a>(&'a self, _: &'a Arc<Transfer>) -> Answer<'a, u128> {
        Box::pin(self.gate.operate("hash", |device, _| {
            device.file(self.path.as_str()).map(|node| hash(&node.bytes)).ok_or_else(|| self.not_found())
        }))
    }
    fn delete(&self, expected: ObjectFacts, aside: DevicePath) -> Answer<'_, ()> {
        Box::pin(
            self.gate.operate("delete", move |device, way| device.delete(&self.path, expected, &aside, way)),
        )
    }
    fn discard(&self) -> Answer<'_, ()> {
        Box::pin(self.gate.operate("discard", |device, way| match way {
            Way::Whole => device.discard(&self.path),
            Way::Torn | Way::Failed => Ok(()),
        }))
    }
    fn restore(&self, to: DevicePath) -> Answer<'_, DevicePath> {
        Box::pin(self.gate.operate("restore", move |device, way| device.restore(&self.path, &to, way)))
    }
}
