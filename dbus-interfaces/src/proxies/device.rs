//! Proxy of `org.tandemd.Sync1.Device`, made from `org.tandemd.Sync1.Device.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// One device, at a path below `/org/tandemd/Sync1/devices` that stays the same over replugging, reboots and restarts of the daemon. WMP's counterparts are IWMPSyncDevice, IWMPSyncDevice2 and IWMPSyncDevice3.
///
/// Sizes are in bytes; times are whole seconds since 1970-01-01 UTC, and 0 means never.
///
/// No method waits for the device: long work answers when it is accepted, and an event of `org.tandemd.Sync1.Services` tells the outcome.
#[proxy(
    interface = "org.tandemd.Sync1.Device",
    default_service = "org.tandemd.Sync1",
    assume_defaults = true
)]
pub trait Device {
    /// DeviceId property
    ///
    /// Stable and unique; never derived from the port when the device has anything better. WMP's deviceId.
    #[zbus(property)]
    fn device_id(&self) -> zbus::Result<String>;

    /// DeviceName property
    ///
    /// What the device calls itself. WMP's deviceName.
    #[zbus(property)]
    fn device_name(&self) -> zbus::Result<String>;

    /// FriendlyName property
    ///
    /// The user's name for it; kept on the device where it can hold one, else in the store. WMP's friendlyName.
    #[zbus(property)]
    fn friendly_name(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn set_friendly_name(&self, value: &str) -> zbus::Result<()>;

    /// Kind property
    ///
    /// How it is spoken to: `mtp`, `mass-storage`, `windows-ce`, `provider` or `folder`.
    #[zbus(property)]
    fn kind(&self) -> zbus::Result<String>;

    /// Manufacturer property
    ///
    /// Empty when the device doesn't tell.
    #[zbus(property)]
    fn manufacturer(&self) -> zbus::Result<String>;

    /// Model property
    ///
    /// Empty when the device doesn't tell.
    #[zbus(property)]
    fn model(&self) -> zbus::Result<String>;

    /// SerialNumber property
    ///
    /// Empty when the device doesn't tell. WMP's attribute SerialNumber.
    #[zbus(property)]
    fn serial_number(&self) -> zbus::Result<String>;

    /// Firmware property
    ///
    /// The firmware's version; empty when the device doesn't tell.
    #[zbus(property)]
    fn firmware(&self) -> zbus::Result<String>;

    /// Connected property
    ///
    /// Whether it is there. WMP's connected.
    #[zbus(property)]
    fn connected(&self) -> zbus::Result<bool>;

    /// Status property
    ///
    /// How it stands to this computer, WMP's status: `unknown` (wmpdsUnknown), `partnership-exists` (wmpdsPartnershipExists: with a user of this computer, `PartnershipOwner` says which), `partnership-declined` (wmpdsPartnershipDeclined), `partnership-another` (wmpdsPartnershipAnother: with another computer), `manual-device` (wmpdsManualDevice) or `new-device` (wmpdsNewDevice).
    #[zbus(property)]
    fn status(&self) -> zbus::Result<String>;

    /// ManualReason property
    ///
    /// What is missing for the device to be synchronised, and what to do about it, while `Status` is `manual-device`; else empty.
    #[zbus(property)]
    fn manual_reason(&self) -> zbus::Result<String>;

    /// PartnershipIndex property
    ///
    /// 1 to 16, in the owner's library; 0 without a partnership. WMP's partnershipIndex.
    #[zbus(property)]
    fn partnership_index(&self) -> zbus::Result<u32>;

    /// PartnershipOwner property
    ///
    /// The user id whose library it is partnered with; 4294967295 without a partnership.
    #[zbus(property)]
    fn partnership_owner(&self) -> zbus::Result<u32>;

    /// SyncState property
    ///
    /// What its engine does, WMP's syncState: `unknown` (wmpssUnknown), `synchronizing` (wmpssSynchronizing), `stopped` (wmpssStopped) or `estimating` (wmpssEstimating).
    #[zbus(property)]
    fn sync_state(&self) -> zbus::Result<String>;

    /// Progress property
    ///
    /// Percent of the whole run, weighted by bytes; never falls within a run. 100 after a run that did all it could. Announced at most four times a second. WMP's progress.
    #[zbus(property)]
    fn progress(&self) -> zbus::Result<u32>;

    /// CurrentItem property
    ///
    /// The URI of the media being copied, else empty; empty to all but the owner and root, so its change is announced without its value.
    #[zbus(property)]
    fn current_item(&self) -> zbus::Result<String>;

    /// BytesDone property
    ///
    /// Bytes of this run that are done.
    #[zbus(property)]
    fn bytes_done(&self) -> zbus::Result<u64>;

    /// BytesTotal property
    ///
    /// Bytes of this run in all.
    #[zbus(property)]
    fn bytes_total(&self) -> zbus::Result<u64>;

    /// Rate property
    ///
    /// Bytes a second over the last seconds.
    #[zbus(property)]
    fn rate(&self) -> zbus::Result<u64>;

    /// ExpectedEndTime property
    ///
    /// When this run is expected to end; 0 while unknown.
    #[zbus(property)]
    fn expected_end_time(&self) -> zbus::Result<u64>;

    /// SafeToRemove property
    ///
    /// Whether nothing is being written, and all that was written is on the device.
    #[zbus(property)]
    fn safe_to_remove(&self) -> zbus::Result<bool>;

    /// TotalSpace property
    ///
    /// Of the storage that is synchronised to. WMP's attribute TotalSpace.
    #[zbus(property)]
    fn total_space(&self) -> zbus::Result<u64>;

    /// FreeSpace property
    ///
    /// Of the storage that is synchronised to. WMP's attribute FreeSpace.
    #[zbus(property)]
    fn free_space(&self) -> zbus::Result<u64>;

    /// BatteryLevel property
    ///
    /// How full its battery is, 0 to 100 percent, as the device has told last: when it was opened, or in a run when it said that this has changed. 4294967295 where it doesn't tell, runs on power from outside and says no more than that, or isn't there.
    #[zbus(property)]
    fn battery_level(&self) -> zbus::Result<u32>;

    /// PercentSpaceReserved property
    ///
    /// 0 to 95: this share of `TotalSpace` is left to others. Setting it needs a partnership. WMP's attribute PercentSpaceReserved.
    #[zbus(property)]
    fn percent_space_reserved(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn set_percent_space_reserved(&self, value: u32) -> zbus::Result<()>;

    /// SyncOnConnect property
    ///
    /// Whether plugging in starts a run; true at first. Setting it needs a partnership. WMP's attribute SyncOnConnect.
    #[zbus(property)]
    fn sync_on_connect(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn set_sync_on_connect(&self, value: bool) -> zbus::Result<()>;

    /// LastSyncTime property
    ///
    /// When the last run ended. WMP's attribute LastSyncTime.
    #[zbus(property)]
    fn last_sync_time(&self) -> zbus::Result<u64>;

    /// LastSyncErrorCount property
    ///
    /// How many items failed in the last run, playlists and trouble with the library among them; what ended a whole run isn't counted. WMP's attribute LastSyncErrorCount.
    #[zbus(property)]
    fn last_sync_error_count(&self) -> zbus::Result<u32>;

    /// LastSyncNoFitCount property
    ///
    /// For how many items there was no space in the last run. WMP's attribute LastSyncNoFitCount.
    #[zbus(property)]
    fn last_sync_no_fit_count(&self) -> zbus::Result<u32>;

    /// LastSyncChangeCount property
    ///
    /// How many files the last run wrote to the device or deleted there; 0 when it was in step already.
    #[zbus(property)]
    fn last_sync_change_count(&self) -> zbus::Result<u32>;

    /// SyncItemCount property
    ///
    /// How many items the last run left on the device. WMP's attribute SyncItemCount.
    #[zbus(property)]
    fn sync_item_count(&self) -> zbus::Result<u32>;

    /// HasSkippedFiles property
    ///
    /// Whether there are files that the user deleted from the device and that are therefore not copied again. WMP's attribute SkippedFiles.
    #[zbus(property)]
    fn has_skipped_files(&self) -> zbus::Result<bool>;

    /// SupportsAudio property
    ///
    /// Whether it plays sound. WMP's attribute SupportsAudio.
    #[zbus(property)]
    fn supports_audio(&self) -> zbus::Result<bool>;

    /// SupportsVideo property
    ///
    /// Whether it shows video. WMP's attribute SupportsVideo.
    #[zbus(property)]
    fn supports_video(&self) -> zbus::Result<bool>;

    /// SupportsPhoto property
    ///
    /// Whether it shows photos. WMP's attribute SupportsPhoto.
    #[zbus(property)]
    fn supports_photo(&self) -> zbus::Result<bool>;

    /// Formats property
    ///
    /// MIME types that it plays, as it declares them.
    #[zbus(property)]
    fn formats(&self) -> zbus::Result<Vec<String>>;

    /// GetStatus method
    ///
    /// The status as the caller's own library sees it: a partnership with another user is `partnership-another`.
    ///
    /// # Arguments
    ///
    /// * `status` - A word of the property `Status`.
    fn get_status(&self) -> zbus::Result<String>;

    /// GetItemInfo method
    ///
    /// One of WMP's string-typed attributes, relative to the caller's library. WMP's getItemInfo.
    ///
    /// AutoSyncDefaultRules, BackgroundSyncState, PercentSpaceReserved, SkippedFiles, SyncFilter, SyncOnConnect and Verify need a partnership with the caller's library, else they fail with `PartnershipNotExist`. A device for manual transfer only fails with `ManualDevice` whatever the name.
    ///
    /// AutoSyncDefaultRules is `True` while the default set of playlists is assigned, which `CreatePartnership` describes; setting it to `True` assigns the set anew in place of what is assigned, and any other assignment, that of `Transfer` too, makes it `False`.
    ///
    /// BackgroundSyncState is a sum of 1 (synchronising in the background is allowed) and 2 (converting is); 0 allows nothing and 255, its value at first, everything. It is kept while the daemon runs. Without 1 no run begins by itself, neither when the device is plugged in nor because of a change nor after an error: only `Start`, `Transfer` and what is asked for then. Nothing is converted yet.
    ///
    /// SyncFilter is what the next run takes: a sum of 1 (music), 2 (video), 4 (pictures) and 8 (nothing is fetched from the device), or `0xFF` or `0x07`, which both stand for everything. It is `0xFF` at first and again after each run. A run whose filter has no music leaves the device as it is.
    ///
    /// Verify, which is not WMP's, is `True` where what is copied is read back from the device and compared: because it was set so, because the daemon is configured so, or because the device once held something else than was sent. What isn't there as it was sent is sent once more, and then reported as `verify-failed`. Setting it to `False` also forgets what the device once did.
    ///
    /// # Arguments
    ///
    /// * `name` - AutoSyncDefaultRules, BackgroundSyncState, Connected, FreeSpace, FriendlyName, LastSyncErrorCount, LastSyncNoFitCount, LastSyncTime, Name, PercentSpaceReserved, PreferredAudio, PreferredPhoto, PreferredVideo, SerialNumber, SkippedFiles, SupportsAudio, SupportsPhoto, SupportsVideo, SyncFilter, SyncIndex, SyncItemCount, SyncOnConnect, SyncPercentComplete, SyncRelationship, TotalSpace or Verify.
    /// * `value` - Numbers in decimal, booleans as `True` and `False`, LastSyncTime in RFC 3339 and empty for never; SkippedFiles `1` or `0`; PreferredAudio, PreferredPhoto and PreferredVideo the number of the storage that is synchronised to, counted from 0; SyncRelationship is 0 none, 1 manual, 2 with the caller's library, 3 with another.
    fn get_item_info(&self, name: &str) -> zbus::Result<String>;

    /// SetItemInfo method
    ///
    /// Sets one of WMP's attributes. All but FriendlyName need a partnership and fail with `PartnershipNotExist` without one. WMP's setItemInfo.
    ///
    /// # Arguments
    ///
    /// * `name` - AutoSyncDefaultRules, BackgroundSyncState (while the daemon runs), FriendlyName, IncludeSkippedFiles (the next run copies skipped files again), PercentSpaceReserved, SyncFilter (for the next run), SyncOnConnect, Verify, or AllowMassDeletion (`True`: the next run may delete what the guard against mass deletion stopped: more than half, and more than 20, of the tracks that were put on the device, or anything while the library looks wrong).
    /// * `value` - As `GetItemInfo` gives it; booleans are read without regard to case; IncludeSkippedFiles takes the empty value.
    fn set_item_info(&self, name: &str, value: &str) -> zbus::Result<()>;

    /// CreatePartnership method
    ///
    /// Makes a partnership with the caller's library; the device forgets any other partner. Returns once accepted, and `CreatePartnershipComplete` ends it. With a partnership to the same library already there it does nothing, and no event follows. WMP's createPartnership.
    ///
    /// # Arguments
    ///
    /// * `options` - `playlists` (`ao`): the caller's playlists to assign, in this order, in place of the default set. That is the library's own static playlists, and behind them music rated at 5 stars, added in the last month, rated at 4 or 5 stars, played in the last month, played the most (250 tracks), and all music: so the whole library where it fits, else the best and newest of it. It is looked up anew at each run until something else is assigned.
    fn create_partnership(
        &self,
        options: std::collections::HashMap<&str, &zbus::Variant<'_>>,
    ) -> zbus::Result<()>;

    /// DeletePartnership method
    ///
    /// Ends the device's partnership; its status becomes `partnership-declined`. Nothing to end is no error. With `remove-content` it returns at once; `DeletePartnershipComplete` tells in any case when it is done. A partnership that is just being made for this device is given up. Fails with `NotConnected` when content is to be removed from a device that isn't there: plug it in, or leave `remove-content` out. WMP's deletePartnership.
    ///
    /// # Arguments
    ///
    /// * `options` - `remove-content` (`b`, false): also delete from the device what the engine put there.
    fn delete_partnership(
        &self,
        options: std::collections::HashMap<&str, &zbus::Variant<'_>>,
    ) -> zbus::Result<()>;

    /// Start method
    ///
    /// Starts a run, or goes on with one that was stopped. A run that goes on already plans again before it ends, so that what was there at this call is on the device then. Nothing to do is no error. WMP's start.
    fn start(&self) -> zbus::Result<()>;

    /// Stop method
    ///
    /// Ends a run at a safe point within two seconds, and gives up a partnership that is just being made. No run is no error. WMP's stop.
    fn stop(&self) -> zbus::Result<()>;

    /// IsIdentical method
    ///
    /// Whether two objects are the same device. WMP's isIdentical.
    ///
    /// # Arguments
    ///
    /// * `device` - Another device's object; `NotFound` if it is none.
    /// * `identical` - Whether it is this one.
    fn is_identical(&self, device: &zbus::ObjectPath<'_>) -> zbus::Result<bool>;

    /// EstimateSyncSize method
    ///
    /// Estimates how much of the device a run with other playlists would take, without beginning it or changing what is assigned: to show in a dialog what a choice of playlists comes to. Returns once accepted, and `SyncEstimationComplete` ends it; a second call cancels the first. Fails with `SyncInProgress` while synchronising. WMP's estimateSyncSize.
    ///
    /// # Arguments
    ///
    /// * `non_rule_playlist` - Added to what is assigned; `/` for none.
    /// * `rules_playlist` - In place of what is assigned; `/` for none. Both `/` is `InvalidArgument`.
    fn estimate_sync_size(
        &self,
        non_rule_playlist: &zbus::ObjectPath<'_>,
        rules_playlist: &zbus::ObjectPath<'_>,
    ) -> zbus::Result<()>;

    /// CancelEstimation method
    ///
    /// Cancels a running estimation. None is no error. WMP's cancelEstimation.
    fn cancel_estimation(&self) -> zbus::Result<()>;

    /// Preview method
    ///
    /// What `Start` would do now, without doing it: with what was set for the next run, and under the names that it would write. For the owner and root.
    ///
    /// `reason` is a text for the user, in English: of a copy that it isn't there yet, and which name another file has; of a replacement what changed; of a deletion why the file isn't wanted; of a skip why it is left out: no space, a format that the device doesn't play, or that the user deleted or changed it on the device; of a playlist or an album its name.
    ///
    /// Where `Start` would stop before it changes anything (the guard against mass deletion), the first item is a `skip` with empty `media` and `destination`, and its `reason` is the message that the run would end with. The other items are what it would do after `AllowMassDeletion`.
    ///
    /// # Arguments
    ///
    /// * `items` - For each item: `action` (`s`: `copy`, `replace`, `delete`, `update-metadata` or `skip`), `media` (`s`, URI, empty for a playlist or an album; `playlist:` and its name, percent-encoded, for a playlist that is left as the user changed it on the device), `destination` (`s`, a path on the device; empty for a skip), `size` (`t`, bytes) and `reason` (`s`).
    fn preview(&self) -> zbus::Result<Vec<std::collections::HashMap<String, zbus::OwnedVariant>>>;

    /// GetSyncResults method
    ///
    /// What became of each item of the last run. Empty to all but the owner and root.
    ///
    /// # Arguments
    ///
    /// * `results` - For each item: media URI (empty for the whole run); `synchronized`, or an item error as in `DeviceSyncError` (`cancelled` with media: the user deleted or changed it on the device, so it is left as it is there; a playlist is named `playlist:` and its name, percent-encoded); message. A run that was stopped or refused has a row for the whole run: what is `synchronized` then is on the device, and other items were not tried. One that ended with the daemon, for it was killed or the power failed, has that row with `interrupted`.
    fn get_sync_results(&self) -> zbus::Result<Vec<(String, String, String)>>;

    /// GetSyncHistory method
    ///
    /// The last ten runs of the partnership, the newest first; they are kept over restarts, and forgotten with the partnership. A run that goes on isn't among them. Empty to all but the owner and root.
    ///
    /// # Arguments
    ///
    /// * `runs` - For each run: `began` and `ended` (`t`, seconds since 1970; of a run that was interrupted `ended` is when it last recorded something; 0 where that isn't known), `result` (`s`: `synchronized` when it came to its end, else the error of the whole run as in `DeviceSyncError`, or `interrupted`: it ended with the daemon, for that was killed or the power failed), `message` (`s`: of that error, else empty), `items` (`u`, on the device at its end), `changes` (`u`, files written and deleted, those of an interrupted run too that this one could finish), `bytes` (`t`, of the files written) and `errors` (`a{su}`: how many items did not come out, by item error; `no-fit` among them).
    fn get_sync_history(&self) -> zbus::Result<Vec<std::collections::HashMap<String, zbus::OwnedVariant>>>;

    /// Transfer method
    ///
    /// Manual transfer: adds media to a playlist for the device, as WMP does, unless they are in it already, and starts a run if the device is there. What the user deleted on the device is copied again; beside what he changed there comes the library's version.
    ///
    /// # Arguments
    ///
    /// * `media` - URIs of media in the owner's library.
    fn transfer(&self, media: &[&str]) -> zbus::Result<()>;

    /// ShowSettings method
    ///
    /// Emits `SettingsRequested`. WMP's showSettings.
    fn show_settings(&self) -> zbus::Result<()>;

    /// Eject method
    ///
    /// Stops, flushes, unmounts or closes the session, and powers off where possible; `SafeToRemove` turns true.
    fn eject(&self) -> zbus::Result<()>;
}
