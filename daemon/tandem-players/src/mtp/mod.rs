//! Players that speak MTP: opened over any transport, used by what the device says it can do.
//!
//! It must not take a model's word for it: a table of families says only what can't be asked (`families`).

mod albums;
mod announce;
mod battery;
mod connect;
mod dates;
mod error;
mod families;
mod folders;
mod formats;
mod identity;
mod listing;
mod mark;
mod references;
mod send;
mod session;
mod source;
mod storage;
mod survey;
mod tags;
mod times;
mod tree;

pub use families::{Families, FamilyError, Traits};

use battery::Gauge;
pub(crate) use connect::connect;
use error::{Fail, failed};
use session::{Session, Shared, ask, with_session};
use std::sync::Arc;
use std::time::Duration;
use storage::MtpStorage;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Close, Mark, Player, Storage};
use tandem_mtp::codec::device_info::DeviceInfo;
use tandem_mtp::codec::storage_info::StorageInfo;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DevicePropertyCode, EventCode, FormatCode, OperationCode, StorageId};
use tandem_mtp::initiator::{Error, ErrorKind, Initiator, Options};
use tandem_mtp::transport::Transport;

const FRIENDLY_NAME: DevicePropertyCode = DevicePropertyCode::DEVICE_FRIENDLY_NAME;

/// An open player.
pub(crate) struct MtpPlayer {
    shared: Shared,
    description: DeviceDescription,
    capabilities: Capabilities,
    storage: Arc<MtpStorage>,
    battery: Gauge,
}

impl MtpPlayer {
    /// Starts a session and finds out what the player is. A phone that is locked is waited for. `ids` are USB's, vendor
    /// and product.
    pub(crate) async fn open(
        transport: Box<dyn Transport>,
        ids: (u16, u16),
        mut description: DeviceDescription,
        families: &Families,
    ) -> Result<Self, PlayerError> {
        let mut initiator = Initiator::new(transport, Options::default());
        let device = introduce(&mut initiator).await.map_err(Fail::told)?;
        takes_music(&device)?;
        let traits = families.traits_of(ids, &device);
        let junk = initiator.options().ignore_data_headers;
        let options = options(traits);
        initiator
            .set_options(Options { ignore_data_headers: options.ignore_data_headers || junk, ..options });
        if !initiator.has_session() {
            ask!((), "opening a session", initiator.open_session()).map_err(Fail::told)?;
        }
        let storages = storages(&mut initiator).await.map_err(Fail::told)?;
        describe(&mut description, &device);
        let mut session = Session::new(initiator, traits, storages[0].0);
        let info = choose(&mut session, storages).await.map_err(Fail::told)?;
        let (capabilities, ours) = capabilities(&mut session, &device).await.map_err(Fail::told)?;
        let updates_metadata = session.takes_tags().await.map_err(Fail::told)?;
        session.look_at_battery().await;
        let battery = session.battery.gauge.clone();
        let volume = info.volume.trim();
        let id = if volume.is_empty() { format!("{:08x}", session.storage.0) } else { volume.to_owned() };
        let shared = Shared::new(session);
        let storage = Arc::new(MtpStorage::new(shared.clone(), id, ours, updates_metadata));
        Ok(Self { shared, description, capabilities, storage, battery })
    }
}

/// Operations that nothing can be done without, and what for.
const NEEDED: [(OperationCode, &str); 6] = [
    (OperationCode::GET_STORAGE_IDS, "finds storages"),
    (OperationCode::GET_STORAGE_INFO, "tells of storages"),
    (OperationCode::GET_OBJECT_HANDLES, "lists files"),
    (OperationCode::GET_OBJECT_INFO, "tells of files"),
    (OperationCode::GET_OBJECT, "reads a file"),
    (OperationCode::DELETE_OBJECT, "deletes a file"),
];

/// Refuses what can't be synchronised however long it is waited for.
fn takes_music(device: &DeviceInfo) -> Result<(), PlayerError> {
    let announces = [OperationCode::SEND_OBJECT_INFO, OperationCode::SEND_OBJECT_PROP_LIST];
    if !announces.into_iter().any(|operation| device.supports(operation))
        || !device.supports(OperationCode::SEND_OBJECT)
    {
        return Err(PlayerError::ReadOnly(
            "it takes no files: it knows no operation that sends one".to_owned(),
        ));
    }
    if let Some((operation, what)) = NEEDED.iter().find(|(operation, _)| !device.supports(*operation)) {
        return Err(PlayerError::Other(format!(
            "the device can't be kept in step: it doesn't know {operation}, which {what}"
        )));
    }
    if !formats::takes_music(&device.playback_formats) {
        let text = "the device takes no music: it lists no format that music comes in, nor files of any kind";
        return Err(PlayerError::Other(text.to_owned()));
    }
    Ok(())
}

/// What the device is. What was left over in the pipes may spoil the first answer.
async fn introduce(initiator: &mut Initiator) -> Result<DeviceInfo, Fail> {
    if let Ok(device) = told_of_itself(initiator).await {
        return Ok(device);
    }
    ask!((), "opening the device", told_of_itself(initiator))
}

/// What the device tells of itself. Some fill code and transaction of their data's headers with junk. So may what was left
/// over in the pipes look, which is gone when it was read once: headers are left out of account only where they are bad again.
async fn told_of_itself(initiator: &mut Initiator) -> Result<DeviceInfo, Error> {
    let strict = initiator.options();
    let lenient = Options { ignore_data_headers: true, ..strict };
    let disordered =
        |error: &Error| matches!(error, Error::OutOfOrder { .. } | Error::WrongTransaction { .. });
    match device_info(initiator).await {
        Err(error) if disordered(&error) && strict != lenient => {}
        answer => return answer,
    }
    initiator.set_options(lenient);
    let drained = device_info(initiator).await;
    initiator.set_options(strict);
    drained?;
    match device_info(initiator).await {
        Err(error) if disordered(&error) => {}
        answer => return answer,
    }
    tracing::info!("headers of the device's data hold junk: their length and kind alone are believed");
    initiator.set_options(lenient);
    device_info(initiator).await
}

/// DeviceInfo, from a device that may tell it in a session alone, though the standard has it told without one.
async fn device_info(initiator: &mut Initiator) -> Result<DeviceInfo, Error> {
    match initiator.get_device_info().await {
        Err(error) if error.kind() == ErrorKind::SessionLost => {
            initiator.open_session().await?;
            initiator.get_device_info().await
        }
        answer => answer,
    }
}

fn options(traits: Traits) -> Options {
    let mut options = Options { ignore_data_headers: traits.ignore_data_headers, ..Options::default() };
    if let Some(seconds) = traits.answer_seconds {
        let patience = Duration::from_secs(u64::from(seconds));
        options.timeouts.answer = options.timeouts.answer.max(patience);
        options.timeouts.slow_answer = options.timeouts.slow_answer.max(patience);
    }
    options
}

/// The storages with a medium in them. While there is none the device is locked, and its event is waited for.
async fn storages(initiator: &mut Initiator) -> Result<Vec<(StorageId, StorageInfo)>, Fail> {
    let mut told = false;
    loop {
        let ids = asked_while_locked(ask!((), "asking for storages", initiator.storage_ids()))?;
        let mut storages = Vec::new();
        for id in ids.unwrap_or_default().into_iter().filter(|id| id.has_medium()) {
            let info = asked_while_locked(ask!((), "asking for a storage", initiator.storage_info(id)))?;
            storages.extend(info.map(|info| (id, info)));
        }
        if !storages.is_empty() {
            return Ok(storages);
        }
        if !told {
            tracing::info!(
                "the device shows no storage; it is waited for until it is unlocked and allows file transfer"
            );
            told = true;
        }
        loop {
            let event = initiator.next_event().await.map_err(|error: Error| failed("waiting", &error))?;
            if event.code == EventCode::STORE_ADDED || event.code == EventCode::DEVICE_INFO_CHANGED {
                break;
            }
        }
    }
}

/// An answer; `None` where the device refuses it as one does that is locked.
fn asked_while_locked<T>(answer: Result<T, Fail>) -> Result<Option<T>, Fail> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fail::Player(PlayerError::NotPermitted(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Chooses the storage to synchronise to: the one with a mark, else the largest that can be written.
async fn choose(
    session: &mut Session,
    mut storages: Vec<(StorageId, StorageInfo)>,
) -> Result<StorageInfo, Fail> {
    let count = storages.len();
    storages.retain(|(_, info)| info.access == 0);
    storages.sort_by_key(|(id, info)| (std::cmp::Reverse(info.capacity), *id));
    if storages.is_empty() {
        return Err(PlayerError::ReadOnly(format!("none of its {count} storages can be written")).into());
    }
    let mut chosen = 0;
    if storages.len() > 1 {
        for (at, (id, _)) in storages.iter().enumerate() {
            session.storage = *id;
            session.tree.forget();
            if session.has_mark_file().await? {
                chosen = at;
                break;
            }
        }
        session.tree.forget();
    }
    let (id, info) = storages.swap_remove(chosen);
    session.storage = id;
    Ok(info)
}

/// Fills what the announcement left open.
fn describe(description: &mut DeviceDescription, device: &DeviceInfo) {
    let fill = |text: &mut String, told: &str| {
        let told: String = told.chars().filter(|c| !c.is_control()).collect();
        if text.is_empty() {
            told.trim().clone_into(text);
        }
    };
    fill(&mut description.manufacturer, &device.manufacturer);
    fill(&mut description.model, &device.model);
    fill(&mut description.serial_number, &device.serial);
    fill(&mut description.firmware, &device.version);
    fill(&mut description.name, &device.model);
}

/// What the player can do, and the folders that are ours to look through.
async fn capabilities(
    session: &mut Session,
    device: &DeviceInfo,
) -> Result<(Capabilities, Vec<String>), Fail> {
    let root = session.children("").await?;
    let folder = |wanted: &str| {
        let there = root.iter().find(|(name, known)| known.is_folder && name.eq_ignore_ascii_case(wanted));
        DevicePath::parse(there.map_or(wanted, |(name, _)| name))
    };
    let (music, playlists, albums) = (folder("Music"), folder("Playlists"), folder("Albums"));
    let ours = [&music, &playlists].into_iter().flatten().map(|folder| folder.as_str().to_owned()).collect();
    let refers = session.keeps_references();
    let references =
        refers && formats::ABSTRACT_PLAYLISTS.iter().any(|format| device.playback_formats.contains(format));
    let albums = if refers { session.album_style(albums).await? } else { None };
    let spl = session.traits.playlists;
    let mut types = formats::mime_types(&device.playback_formats);
    let as_anything = device.playback_formats.contains(&FormatCode::UNDEFINED) && !types.is_empty();
    for (plays, kind) in [(session.traits.plays_ogg, "audio/ogg"), (session.traits.plays_flac, "audio/flac")]
    {
        if plays && as_anything && !types.iter().any(|known| known == kind) {
            types.push(kind.to_owned());
        }
    }
    let has = |kind: &str| types.iter().any(|name| name.starts_with(kind));
    let (video, photo) = (has("video/"), has("image/"));
    let plays_more =
        session.traits.plays_more_than_listed && device.playback_formats.contains(&FormatCode::UNDEFINED);
    let capabilities = Capabilities {
        formats: if plays_more { Vec::new() } else { types },
        audio: true,
        video,
        photo,
        audio_folder: music,
        folder_depth: None,
        playlists: formats::playlist_style(spl, references, &device.playback_formats, playlists),
        albums,
        holds_friendly_name: session.has_property(FRIENDLY_NAME)
            && session.initiator.supports(OperationCode::SET_DEVICE_PROP_VALUE),
        unique_file_names: session.traits.unique_file_names,
    };
    Ok((capabilities, ours))
}

impl Player for MtpPlayer {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::<MtpStorage>::clone(&self.storage)
    }

    fn battery_level(&self) -> Option<u8> {
        self.battery.level()
    }

    fn mark(&self) -> BoxFuture<'_, Result<Option<Mark>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.mark()) })
    }

    fn set_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => Box::pin(session.set_mark(mark))) })
    }

    fn remove_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => Box::pin(session.remove_mark(mark))) })
    }

    fn friendly_name(&self) -> BoxFuture<'_, Result<Option<String>, PlayerError>> {
        Box::pin(async move {
            if !self.capabilities.holds_friendly_name {
                return Ok(None);
            }
            let name = with_session!(self.shared, session => session.device_text(FRIENDLY_NAME))?;
            Ok(name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()))
        })
    }

    fn set_friendly_name(&self, name: String) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            let value = Value::from(name.as_str());
            with_session!(self.shared, session => async {
                let set = session.initiator.set_device_property(FRIENDLY_NAME, &value).await;
                set.map_err(|error| failed("telling the device its name", &error))
            })
        })
    }

    fn close(&self, _: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            let Some(mut session) = self.shared.lock().await.take() else { return Ok(()) };
            if session.initiator.is_gone() {
                return Err(PlayerError::Removed);
            }
            if session.traits.keep_session_open {
                return Ok(());
            }
            match session.initiator.close_session().await {
                // what a refusal to close leaves, the next opening takes over
                Err(error) if error.kind() == ErrorKind::Refused => Ok(()),
                result => result.map_err(|error| failed("closing the session", &error).told()),
            }
        })
    }
}
