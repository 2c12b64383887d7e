//! `org.tandemd.Sync1.Device`: a snapshot's values as properties, and requests handed to the engine.
//!
//! No method waits for the device, and none decides what a request does.

use crate::arguments::{self, Options};
use crate::authorization::About;
use crate::context::Context;
use crate::errors::contract;
use crate::guard::Guarded;
use crate::message::presentable;
use crate::{changes, item_info, paths};
use dbus_interfaces::Error;
use std::collections::HashMap;
use std::sync::Arc;
use tandem_engine::{PreviewItem, Setting};
use tandem_model::error::{ItemError, LibraryError, RequestError};
use tandem_model::id::{DeviceId, PlaylistId, Uid};
use tandem_model::partnership::PastRun;
use tandem_model::snapshot::Snapshot;
use zbus::message::Header;
use zbus::{ObjectPath, Variant, interface};

/// An item of `Preview`, or a run of `GetSyncHistory`.
type Row = HashMap<&'static str, Variant<'static>>;

/// A device's object.
pub(crate) struct Device {
    id: DeviceId,
    /// What it was when it was announced; it may be gone by the time somebody asks.
    first: Arc<Snapshot>,
    context: Arc<Context>,
}

impl Device {
    pub(crate) fn new(first: Arc<Snapshot>, context: Arc<Context>) -> Self {
        Self { id: first.description.id.clone(), first, context }
    }

    fn now(&self) -> Result<Arc<Snapshot>, Error> {
        Ok(self.context.snapshot(&self.id).unwrap_or_else(|_| Arc::clone(&self.first)))
    }

    /// Whether what would tell of media may be told to this caller.
    async fn tells_names(&self, snapshot: &Snapshot, header: &Header<'_>) -> Result<bool, Error> {
        let caller = self.context.callers().uid(header).await?;
        Ok(caller == 0 || snapshot.partnership.is_some_and(|(_, owner)| owner == caller))
    }

    async fn set(&self, setting: Setting) -> Result<(), Error> {
        self.context.engine.set(&self.id, setting).await.map_err(contract)
    }

    /// Refuses playlists that aren't there. Why a library can't be asked is told by what needs it.
    async fn check_playlists(&self, owner: Uid, playlists: &[PlaylistId]) -> Result<(), Error> {
        if playlists.is_empty() {
            return Ok(());
        }
        let Ok(library) = self.context.engine.library(owner).await else { return Ok(()) };
        for id in playlists {
            if let Err(LibraryError::NotFound(_)) = library.playlist(id.clone()).await {
                let path = paths::playlist(owner, id);
                return Err(contract(RequestError::NotFound(format!(
                    "{path} is no playlist of the library of user {owner}, or was deleted; see GetPlaylists"
                ))));
            }
        }
        Ok(())
    }

    /// Whose library a call of this caller is about.
    async fn owner_or_caller(&self, header: &Header<'_>) -> Result<Uid, Error> {
        match self.now()?.partnership {
            Some((_, owner)) => Ok(owner),
            None => self.context.callers().uid(header).await,
        }
    }
}

impl Guarded for Device {
    const PRIVATE: bool = false;

    fn about(&self) -> About {
        self.context.about_device(&self.id)
    }
}

fn preview_row(item: PreviewItem) -> Row {
    HashMap::from([
        ("action", Variant::from(item.action.as_str())),
        ("media", Variant::from(item.media)),
        ("destination", Variant::from(item.destination)),
        ("size", Variant::from(item.size)),
        ("reason", Variant::from(presentable(&item.reason))),
    ])
}

fn history_row(run: PastRun) -> Row {
    let errors: HashMap<&str, u32> =
        run.errors.iter().map(|(error, count)| (error.as_str(), *count)).collect();
    HashMap::from([
        ("began", Variant::from(run.began)),
        ("ended", Variant::from(run.ended)),
        ("result", Variant::from(word(run.failure))),
        ("message", Variant::from(presentable(&run.message))),
        ("items", Variant::from(run.item_count)),
        ("changes", Variant::from(run.change_count)),
        ("bytes", Variant::from(run.written_bytes)),
        ("errors", Variant::from(errors)),
    ])
}

/// The contract's word for what became of an item or a run.
fn word(error: Option<ItemError>) -> &'static str {
    error.map_or("synchronized", ItemError::as_str)
}

#[interface(name = "org.tandemd.Sync1.Device", introspection_docs = false)]
impl Device {
    #[zbus(property(emits_changed_signal = "const"))]
    fn device_id(&self) -> String {
        self.id.to_string()
    }

    #[zbus(property)]
    fn device_name(&self) -> Result<String, Error> {
        Ok(self.now()?.description.name.clone())
    }

    #[zbus(property)]
    fn friendly_name(&self) -> Result<String, Error> {
        Ok(self.now()?.friendly_name.clone())
    }

    #[zbus(property)]
    async fn set_friendly_name(&self, name: &str) -> Result<(), Error> {
        self.set(Setting::FriendlyName(item_info::friendly_name(name).map_err(contract)?)).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> Result<String, Error> {
        Ok(self.now()?.description.kind.as_str().to_owned())
    }

    #[zbus(property)]
    fn manufacturer(&self) -> Result<String, Error> {
        Ok(self.now()?.description.manufacturer.clone())
    }

    #[zbus(property)]
    fn model(&self) -> Result<String, Error> {
        Ok(self.now()?.description.model.clone())
    }

    #[zbus(property)]
    fn serial_number(&self) -> Result<String, Error> {
        Ok(self.now()?.description.serial_number.clone())
    }

    #[zbus(property)]
    fn firmware(&self) -> Result<String, Error> {
        Ok(self.now()?.description.firmware.clone())
    }

    #[zbus(property)]
    fn connected(&self) -> Result<bool, Error> {
        Ok(self.now()?.connected)
    }

    #[zbus(property)]
    fn status(&self) -> Result<String, Error> {
        Ok(self.now()?.status.as_str().to_owned())
    }

    #[zbus(property)]
    fn manual_reason(&self) -> Result<String, Error> {
        Ok(changes::manual_reason(&*self.now()?))
    }

    #[zbus(property)]
    fn partnership_index(&self) -> Result<u32, Error> {
        Ok(changes::partnership_index(&*self.now()?))
    }

    #[zbus(property)]
    fn partnership_owner(&self) -> Result<u32, Error> {
        Ok(changes::partnership_owner(&*self.now()?))
    }

    #[zbus(property)]
    fn sync_state(&self) -> Result<String, Error> {
        Ok(self.now()?.sync_state.as_str().to_owned())
    }

    #[zbus(property)]
    fn progress(&self) -> Result<u32, Error> {
        Ok(u32::from(self.now()?.progress))
    }

    #[zbus(property(emits_changed_signal = "invalidates"))]
    async fn current_item(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String, Error> {
        let snapshot = self.now()?;
        let told = match header {
            Some(header) => self.tells_names(&snapshot, &header).await?,
            // zbus asks for everybody
            None => self.context.callers().only_user().is_some(),
        };
        Ok(if told { changes::current_item(&snapshot).to_owned() } else { String::new() })
    }

    #[zbus(property)]
    fn bytes_done(&self) -> Result<u64, Error> {
        Ok(self.now()?.bytes_done)
    }

    #[zbus(property)]
    fn bytes_total(&self) -> Result<u64, Error> {
        Ok(self.now()?.bytes_total)
    }

    #[zbus(property)]
    fn rate(&self) -> Result<u64, Error> {
        Ok(self.now()?.rate)
    }

    #[zbus(property)]
    fn expected_end_time(&self) -> Result<u64, Error> {
        Ok(self.now()?.expected_end)
    }

    #[zbus(property)]
    fn safe_to_remove(&self) -> Result<bool, Error> {
        Ok(self.now()?.safe_to_remove)
    }

    #[zbus(property)]
    fn total_space(&self) -> Result<u64, Error> {
        Ok(self.now()?.total_space)
    }

    #[zbus(property)]
    fn free_space(&self) -> Result<u64, Error> {
        Ok(self.now()?.free_space)
    }

    #[zbus(property)]
    fn battery_level(&self) -> Result<u32, Error> {
        Ok(changes::battery_level(&*self.now()?))
    }

    #[zbus(property)]
    fn percent_space_reserved(&self) -> Result<u32, Error> {
        Ok(u32::from(self.now()?.percent_space_reserved))
    }

    #[zbus(property)]
    async fn set_percent_space_reserved(&self, percent: u32) -> Result<(), Error> {
        self.set(item_info::percent(percent).map_err(contract)?).await
    }

    #[zbus(property)]
    fn sync_on_connect(&self) -> Result<bool, Error> {
        Ok(self.now()?.sync_on_connect)
    }

    #[zbus(property)]
    async fn set_sync_on_connect(&self, on: bool) -> Result<(), Error> {
        self.set(Setting::SyncOnConnect(on)).await
    }

    #[zbus(property)]
    fn last_sync_time(&self) -> Result<u64, Error> {
        Ok(self.now()?.last_sync.time)
    }

    #[zbus(property)]
    fn last_sync_error_count(&self) -> Result<u32, Error> {
        Ok(self.now()?.last_sync.error_count)
    }

    #[zbus(property)]
    fn last_sync_no_fit_count(&self) -> Result<u32, Error> {
        Ok(self.now()?.last_sync.no_fit_count)
    }

    #[zbus(property)]
    fn last_sync_change_count(&self) -> Result<u32, Error> {
        Ok(self.now()?.last_sync.change_count)
    }

    #[zbus(property)]
    fn sync_item_count(&self) -> Result<u32, Error> {
        Ok(self.now()?.last_sync.item_count)
    }

    #[zbus(property)]
    fn has_skipped_files(&self) -> Result<bool, Error> {
        Ok(self.now()?.has_skipped_files)
    }

    #[zbus(property)]
    fn supports_audio(&self) -> Result<bool, Error> {
        Ok(self.now()?.supports_audio)
    }

    #[zbus(property)]
    fn supports_video(&self) -> Result<bool, Error> {
        Ok(self.now()?.supports_video)
    }

    #[zbus(property)]
    fn supports_photo(&self) -> Result<bool, Error> {
        Ok(self.now()?.supports_photo)
    }

    #[zbus(property)]
    fn formats(&self) -> Result<Vec<String>, Error> {
        Ok(self.now()?.formats.clone())
    }

    #[zbus(out_args("status"))]
    async fn get_status(&self, #[zbus(header)] header: Header<'_>) -> Result<String, Error> {
        let caller = self.context.callers().uid(&header).await?;
        Ok(self.now()?.status_for(caller).as_str().to_owned())
    }

    #[zbus(out_args("value"))]
    async fn get_item_info(&self, name: &str, #[zbus(header)] header: Header<'_>) -> Result<String, Error> {
        let caller = self.context.callers().uid(&header).await?;
        item_info::get(&*self.now()?, caller, name).map_err(contract)
    }

    async fn set_item_info(&self, name: &str, value: &str) -> Result<(), Error> {
        let setting = item_info::set(&*self.now()?, name, value).map_err(contract)?;
        self.set(setting).await
    }

    async fn create_partnership(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let owner = self.context.callers().uid(&header).await?;
        let playlists = arguments::create_options(options, owner).map_err(contract)?;
        self.check_playlists(owner, playlists.as_deref().unwrap_or_default()).await?;
        self.context.engine.create_partnership(&self.id, owner, playlists).await.map_err(contract)
    }

    async fn delete_partnership(&self, options: Options) -> Result<(), Error> {
        let remove_content = arguments::delete_options(options).map_err(contract)?;
        self.context.engine.delete_partnership(&self.id, remove_content).await.map_err(contract)
    }

    async fn start(&self) -> Result<(), Error> {
        self.context.engine.start_sync(&self.id).await.map_err(contract)
    }

    async fn stop(&self) -> Result<(), Error> {
        self.context.engine.stop_sync(&self.id).await.map_err(contract)
    }

    #[zbus(out_args("identical"))]
    fn is_identical(&self, device: ObjectPath<'_>) -> Result<bool, Error> {
        let other = paths::device_id(&device).filter(|id| self.context.engine.snapshot(id).is_some());
        let unknown = || contract(RequestError::NotFound(format!("`{device}` is no device")));
        let other = other.ok_or_else(unknown)?;
        Ok(other == self.id)
    }

    async fn estimate_sync_size(
        &self,
        non_rule_playlist: ObjectPath<'_>,
        rules_playlist: ObjectPath<'_>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let owner = self.owner_or_caller(&header).await?;
        let non_rule = arguments::playlist_or_none(&non_rule_playlist, owner).map_err(contract)?;
        let rules = arguments::playlist_or_none(&rules_playlist, owner).map_err(contract)?;
        if non_rule.is_none() && rules.is_none() {
            return Err(Error::InvalidArgument("both playlists are `/`; give at least one".to_owned()));
        }
        let named: Vec<PlaylistId> = non_rule.iter().chain(&rules).cloned().collect();
        self.check_playlists(owner, &named).await?;
        self.context.engine.estimate(&self.id, non_rule, rules).await.map_err(contract)
    }

    async fn cancel_estimation(&self) -> Result<(), Error> {
        self.context.engine.cancel_estimation(&self.id).await.map_err(contract)
    }

    #[zbus(out_args("items"))]
    async fn preview(&self) -> Result<Vec<Row>, Error> {
        let items = self.context.engine.preview(&self.id).await.map_err(contract)?;
        Ok(items.into_iter().map(preview_row).collect())
    }

    #[zbus(out_args("results"))]
    async fn get_sync_results(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<(String, String, String)>, Error> {
        if !self.tells_names(&*self.now()?, &header).await? {
            return Ok(Vec::new());
        }
        let results = self.context.engine.results(&self.id).await.map_err(contract)?;
        Ok(results
            .into_iter()
            .map(|item| (item.media, word(item.error).to_owned(), presentable(&item.message)))
            .collect())
    }

    #[zbus(out_args("runs"))]
    async fn get_sync_history(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<Row>, Error> {
        if !self.tells_names(&*self.now()?, &header).await? {
            return Ok(Vec::new());
        }
        Ok(self.context.engine.history(&self.id).await.into_iter().map(history_row).collect())
    }

    async fn transfer(&self, media: Vec<String>) -> Result<(), Error> {
        let media = arguments::media_list(&media).map_err(contract)?;
        self.context.engine.transfer(&self.id, media).await.map_err(contract)
    }

    async fn show_settings(&self) -> Result<(), Error> {
        self.context.engine.show_settings(&self.id).await.map_err(contract)
    }

    async fn eject(&self) -> Result<(), Error> {
        self.context.engine.eject(&self.id).await.map_err(contract)
    }
}
