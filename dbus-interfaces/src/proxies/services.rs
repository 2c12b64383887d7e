//! Proxy of `org.tandemd.Sync1.Services`, made from `org.tandemd.Sync1.Services.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// All devices, the caller's library, and the events of all devices. WMP's counterparts are IWMPSyncServices and the device events of IWMPEvents2 to IWMPEvents4.
///
/// This object, `/org/tandemd/Sync1`, is also an `org.freedesktop.DBus.ObjectManager`: `GetManagedObjects` lists all devices, libraries and playlists that the caller may see, and `InterfacesAdded` and `InterfacesRemoved` tell of what comes and goes.
///
/// Errors of every method are `org.tandemd.Sync1.Error.` and a word; their messages name the value that was wrong and say what to do. Which word which method can give:
///
/// `NotConnected`, the device is absent, and `Initializing`, it is being set up, try again: CreatePartnership, Start, EstimateSyncSize, Preview, ShowSettings, Eject; `Initializing` also the setting of FriendlyName before the device was ever looked at.
///
/// `ManualDevice`, it supports manual transfer only: all methods of a device but GetStatus, IsIdentical, GetSyncResults, GetSyncHistory and Eject, and the setting of its properties.
///
/// `PartnershipNotExist`, the partnership is another's, or the call needs one: Start, EstimateSyncSize, Preview, ShowSettings, Transfer, DeletePartnership of a device that another computer has, GetItemInfo and SetItemInfo of the attributes that need one, the setting of PercentSpaceReserved and SyncOnConnect, and SetItemInfo of a playlist.
///
/// `PartnershipLimit`, the caller's library has 16 partnerships: CreatePartnership. The message lists those that have been away longest, if any is away.
///
/// `SyncInProgress`, not while the device is synchronising: CreatePartnership, EstimateSyncSize, Preview.
///
/// `InvalidArgument`, an unknown attribute or option, a value out of range, a bad rule, path or URI: every method that takes such an argument.
///
/// `ReadOnly`, it can't be changed: SetItemInfo, SetMediaInfo, and all that changes a playlist of a kind that doesn't allow it.
///
/// `NotAuthorized`, polkit or ownership says no: every method that changes something or tells of media, and all of a library and of its playlists.
///
/// `NotFound`, no such object, media or playlist: any method of an object that has gone meanwhile, and those that name media, playlists or devices.
///
/// `Busy`, another program holds the device, whose name and process id the message tells: Preview, DeletePartnership, and the event of CreatePartnership.
///
/// `Failed`, anything else, with its cause: any method.
#[proxy(
    interface = "org.tandemd.Sync1.Services",
    default_service = "org.tandemd.Sync1",
    default_path = "/org/tandemd/Sync1"
)]
pub trait Services {
    /// Version property
    ///
    /// The daemon's version.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;

    /// DeviceCount property
    ///
    /// How many devices are known: connected ones, and absent ones that have a partnership. WMP's deviceCount.
    #[zbus(property)]
    fn device_count(&self) -> zbus::Result<u32>;

    /// MaxPartnerships property
    ///
    /// How many partnerships each user's library can have: 16.
    #[zbus(property)]
    fn max_partnerships(&self) -> zbus::Result<u32>;

    /// GetDevice method
    ///
    /// The device at a place in the list of `GetDevices`. WMP's getDevice. Fails with `InvalidArgument` past the end.
    ///
    /// # Arguments
    ///
    /// * `index` - Counted from 0.
    /// * `device` - The device's object.
    fn get_device(&self, index: u32) -> zbus::Result<zbus::OwnedObjectPath>;

    /// GetDevices method
    ///
    /// All known devices.
    ///
    /// # Arguments
    ///
    /// * `devices` - Their objects, in the order of `GetDevice`.
    fn get_devices(&self) -> zbus::Result<Vec<zbus::OwnedObjectPath>>;

    /// GetLibrary method
    ///
    /// The caller's own library. Its object is made when it is first asked for. Fails with `Failed` when the library can't be started.
    ///
    /// # Arguments
    ///
    /// * `library` - The library's object.
    fn get_library(&self) -> zbus::Result<zbus::OwnedObjectPath>;

    /// RegisterProvider method
    ///
    /// Registers a service provider that isn't installed as a file, until the caller leaves the bus or unregisters it. Devices that wait for a provider are looked at again, and what its root object announces is listened to. It is asked before installed providers that take every device, and after those whose file names the device. A connection may register 16, and 128 may be registered in all. Fails with `InvalidArgument` for a name that is empty, too long or registered already, for a parameter that isn't known or can't be, and beyond these limits.
    ///
    /// # Arguments
    ///
    /// * `name` - The provider's name, for users: 1 to 128 characters, no control characters. What it announces is known by it, so it is to be the same each time.
    /// * `root` - The provider's root object on the caller's connection, with `org.tandemd.Provider1`.
    /// * `parameters` - Device parameters by WMDM's names, as whole numbers: `UseExtendedWmdm` (1: its devices can be synchronised; without it they are for manual transfer only), `OptimalTransferSize` (bytes of one write, 512 to 16777216), `UseMetadataViews` (1: the device arranges files by what their tags say, and has no folders of ours).
    fn register_provider(
        &self,
        name: &str,
        root: &zbus::ObjectPath<'_>,
        parameters: std::collections::HashMap<&str, &zbus::Variant<'_>>,
    ) -> zbus::Result<()>;

    /// UnregisterProvider method
    ///
    /// Ends what `RegisterProvider` began. Fails with `NotFound` when the caller has registered no provider of that name.
    ///
    /// # Arguments
    ///
    /// * `name` - The name that was registered.
    fn unregister_provider(&self, name: &str) -> zbus::Result<()>;

    /// Probe method
    ///
    /// Tells of USB devices, players or not: what they advertise, and what they were taken for and why. It fails with `NotFound` when no such device is plugged in, `InvalidArgument` for what can't name one, `Failed` when this daemon looks for no USB devices.
    ///
    /// # Arguments
    ///
    /// * `device` - A path in sysfs, a device node, `BUS:DEVICE`, `VENDOR:PRODUCT` (four hexadecimal digits each, and all devices that have them) or a port such as `1-2.4`; empty for all devices.
    /// * `again` - Ask anew, and not remember what the model has answered. Devices that may not be asked, or of which it is known without, are not.
    /// * `devices` - `kind` (`s`: `mtp`; `provider`, for a service provider; `mass-storage`, whose file systems are devices of their own; `unknown`, its descriptors would tell and it could not be asked; `none`), `reason` (`s`: why, for the user), `device-id` (`s`: of the player that it is, else empty), `descriptors` (`s`: whether it was asked for its Microsoft OS descriptors and what came of it, for the user), `compatible-ids` and `device-interfaces` (`a(ns)`: what they hold, with the first interface of the function, or -1 for the whole device; GUIDs in braces and capital letters), `interfaces` (`a(yyyyyss)`: number, class, subclass, protocol, count of endpoints, its name, its kernel driver), `vendor-id`, `product-id`, `release` (`s`: four hexadecimal digits each), `manufacturer`, `product`, `serial` (`s`), `port`, `node`, `syspath` (`s`).
    fn probe(
        &self,
        device: &str,
        again: bool,
    ) -> zbus::Result<Vec<std::collections::HashMap<String, zbus::OwnedVariant>>>;

    /// DeviceConnect signal
    ///
    /// The device is there and initialised: its properties can be read. WMP's DeviceConnect.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    #[zbus(signal)]
    fn device_connect(&self, device: zbus::ObjectPath<'_>) -> zbus::Result<()>;

    /// DeviceDisconnect signal
    ///
    /// The device is gone. WMP's DeviceDisconnect.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    #[zbus(signal)]
    fn device_disconnect(&self, device: zbus::ObjectPath<'_>) -> zbus::Result<()>;

    /// DeviceStatusChange signal
    ///
    /// The device's status is another. Its property `Status` was announced before. WMP's DeviceStatusChange.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    /// * `status` - A word of the property `Status` of the device.
    #[zbus(signal)]
    fn device_status_change(&self, device: zbus::ObjectPath<'_>, status: &str) -> zbus::Result<()>;

    /// DeviceSyncStateChange signal
    ///
    /// The device's engine does something else. Its property `SyncState` was announced before. WMP's DeviceSyncStateChange.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    /// * `state` - A word of the property `SyncState` of the device.
    #[zbus(signal)]
    fn device_sync_state_change(&self, device: zbus::ObjectPath<'_>, state: &str) -> zbus::Result<()>;

    /// DeviceSyncError signal
    ///
    /// One item failed, or the whole run. On the system bus it is sent to the connections of the device's owner that have called the service, to no others, because it names media; of a device without a partnership, whose ejection failed, it names none and goes to everybody. WMP's DeviceSyncError.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    /// * `media` - The item's URI; empty for the whole run.
    /// * `error` - `no-fit`, `source-missing`, `source-unreadable`, `unsupported-format`, `name-rejected`, `device-write-failed`, `device-full`, `device-removed`, `device-busy`, `timed-out`, `verify-failed` or `cancelled`; for a whole run also `would-delete-too-much` and `library-unavailable`.
    /// * `message` - For the user.
    #[zbus(signal)]
    fn device_sync_error(
        &self,
        device: zbus::ObjectPath<'_>,
        media: &str,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    /// CreatePartnershipComplete signal
    ///
    /// Ends every `CreatePartnership` that was accepted, once. WMP's CreatePartnershipComplete.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    /// * `success` - Whether there is a partnership now.
    /// * `error` - The error's name as a method would give it; empty on success.
    /// * `message` - For the user; empty on success.
    #[zbus(signal)]
    fn create_partnership_complete(
        &self,
        device: zbus::ObjectPath<'_>,
        success: bool,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    /// DeletePartnershipComplete signal
    ///
    /// Ends every `DeletePartnership` that was accepted, once: with `remove-content` when the content is gone from the device, else when the partnership has ended. It comes after the device's properties have changed. Nothing to end is a success.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object; it may be gone, if the device is absent and has no partnership any more.
    /// * `success` - Whether there is no partnership any more, and no content if that was to be removed.
    /// * `error` - The error's name as a method would give it; empty on success.
    /// * `message` - For the user; empty on success. It names nothing that lies on the device: `DeviceSyncError` tells the owner what failed.
    #[zbus(signal)]
    fn delete_partnership_complete(
        &self,
        device: zbus::ObjectPath<'_>,
        success: bool,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    /// SyncEstimationComplete signal
    ///
    /// Ends every `EstimateSyncSize` that was accepted, once. WMP's DeviceEstimation.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    /// * `success` - False when it was cancelled or failed; the sizes are 0 then.
    /// * `estimated_used_space` - Bytes that all of Tandem's files would take on the device after such a run, those that are there already among them; in whole clusters.
    /// * `estimated_space` - The rest of the storage: `TotalSpace` less `estimated_used_space`. The user's own files, what is reserved, and free space share it, so it isn't the free space after the run.
    #[zbus(signal)]
    fn sync_estimation_complete(
        &self,
        device: zbus::ObjectPath<'_>,
        success: bool,
        estimated_used_space: u64,
        estimated_space: u64,
    ) -> zbus::Result<()>;

    /// SettingsRequested signal
    ///
    /// `ShowSettings` was called: a desktop front end may open its settings for the device.
    ///
    /// # Arguments
    ///
    /// * `device` - The device's object.
    #[zbus(signal)]
    fn settings_requested(&self, device: zbus::ObjectPath<'_>) -> zbus::Result<()>;
}
