//! Proxy of `org.tandemd.Provider1.Device`, made from `org.tandemd.Provider1.Device.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// An open device. WMDM's counterpart is IMDSPDevice3. The object is there from `CreateDevice` to `ReleaseDevice`, or until the device is gone; calls then fail with `InterfaceDead`.
///
/// The first five properties don't change while the device is open. Text is at most 255 bytes, and empty where the device doesn't tell. Changes of the other two are not announced: the daemon asks.
#[proxy(interface = "org.tandemd.Provider1.Device", assume_defaults = true)]
pub trait Device {
    /// Name property
    ///
    /// What the device calls itself. IMDSPDevice::GetName.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;

    /// Manufacturer property
    ///
    /// Who made it. IMDSPDevice::GetManufacturer.
    #[zbus(property)]
    fn manufacturer(&self) -> zbus::Result<String>;

    /// Model property
    ///
    /// Which model it is. WMDM/DeviceModelName.
    #[zbus(property)]
    fn model(&self) -> zbus::Result<String>;

    /// SerialNumber property
    ///
    /// Unique among devices of its model, and lasting. IMDSPDevice::GetSerialNumber.
    #[zbus(property)]
    fn serial_number(&self) -> zbus::Result<String>;

    /// Version property
    ///
    /// Its firmware's version. WMDM/DeviceFirmwareVersion, IMDSPDevice::GetVersion.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;

    /// PowerSource property
    ///
    /// `battery`, `external` or `unknown`: what it runs on now. IMDSPDevice::GetPowerSource.
    #[zbus(property)]
    fn power_source(&self) -> zbus::Result<String>;

    /// BatteryPercent property
    ///
    /// How full its battery is, 0 to 100. It means nothing when `PowerSource` is `unknown`. IMDSPDevice::GetPowerSource.
    #[zbus(property)]
    fn battery_percent(&self) -> zbus::Result<u32>;

    /// EnumStorage method
    ///
    /// The device's root storages, in an order that stays the same while the device is open. The daemon synchronises to the first one that isn't `read-only` and holds folders and files. IMDSPDevice::EnumStorage.
    ///
    /// # Arguments
    ///
    /// * `storages` - Objects with `org.tandemd.Provider1.Storage`.
    fn enum_storage(&self) -> zbus::Result<Vec<zbus::OwnedObjectPath>>;

    /// GetProperty method
    ///
    /// A property of the device. `NotSupported` for a name that `GetSupportedProperties` doesn't list. IMDSPDevice3::GetProperty.
    ///
    /// # Arguments
    ///
    /// * `name` - Those that the daemon asks for, all optional but the first. `WMDM/SyncRelationshipID` (`s`, settable, empty until it is set): the partnership's mark, at most 255 bytes, which the provider keeps on the device as it is and reads nothing from. `WMDM/DeviceFriendlyName` (`s`, settable): the user's name for the device. `WMDM/FormatsSupported` (`au`): codes of the formats that it takes, as in MTP, such as 0x3009 for MP3; without it nothing is refused. `WMDM/FormatsSupportedAreOrdered` (`b`): whether that list begins with what the device likes best.
    /// * `value` - Its value.
    fn get_property(&self, name: &str) -> zbus::Result<zbus::OwnedVariant>;

    /// SetProperty method
    ///
    /// Sets a property of the device. `NotSupported` for one that the device doesn't have or that can't be set, `InvalidArgument` for a value of another type or one that is too long. IMDSPDevice3::SetProperty.
    ///
    /// # Arguments
    ///
    /// * `name` - As in `GetProperty`.
    /// * `value` - Its new value. An empty text takes the mark away.
    fn set_property(&self, name: &str, value: &zbus::Variant<'_>) -> zbus::Result<()>;

    /// GetSupportedProperties method
    ///
    /// Names of all properties that `GetProperty` answers for, each once. WMDM/SupportedDeviceProperties.
    ///
    /// # Arguments
    ///
    /// * `names` - The names.
    fn get_supported_properties(&self) -> zbus::Result<Vec<String>>;

    /// GetFormatCapability method
    ///
    /// What the device plays of a format. `NotSupported` for a format that it doesn't take. IMDSPDevice3::GetFormatCapability.
    ///
    /// # Arguments
    ///
    /// * `format` - The format's code.
    /// * `configurations` - Every combination that it plays. `preference` (`u`): the lowest is the best. Each other key is a metadata name, such as `WMDM/Bitrate`; its value is `any` (`s`), a range (`(ttt)`: least, most, step), or a list of values (`at` or `as`).
    fn get_format_capability(
        &self,
        format: u32,
    ) -> zbus::Result<Vec<std::collections::HashMap<String, zbus::OwnedVariant>>>;

    /// DeviceIoControl method
    ///
    /// A control code. `NotSupported` for one that the device doesn't know. IMDSPDevice3::DeviceIoControl.
    ///
    /// # Arguments
    ///
    /// * `code` - 0x31504D57 (`WMP1`): which items were changed or deleted on the device; optional. The daemon asks when it opens the device, before it lists anything, and where the answer can be held against what it knows it doesn't list again the folders in which nothing has changed. 0x32504D57 (`WMP2`): whether the device can be synchronised. Others are the device's own.
    /// * `in_` - `WMP1`: two little-endian 32-bit numbers, the transaction that the caller knows, 0 for none, and the index of the first item to tell. `WMP2`: nothing.
    /// * `out` - `WMP1`: five little-endian 32-bit numbers (the transaction now, how many items follow, how many don't, how many characters stand before the first deleted one, flags), then the items' paths in UTF-16, each with a NUL, changed ones before deleted ones, and one more NUL; at most 327700 bytes. An item is a folder or file, its path the names from below its root storage with `/` between them. Changed are those that were made, written, renamed or moved since (under their new names) or that were told other metadata, deleted those that are gone (also under the names that they had), whoever did it, the caller too; what is below such a folder needn't be told. Each change makes the transaction larger, and the first is 1; 0 says that no record is kept. Flags: 1 when something was deleted since that the record doesn't hold, 2 when something was changed. The transaction stays the same from index to index; if it doesn't, the caller lists everything. `WMP2`: a little-endian 32-bit 1 or 0; not to know the code means 1.
    fn device_io_control(&self, code: u32, in_: &[u8]) -> zbus::Result<Vec<u8>>;

    /// Flush method
    ///
    /// Answers when the device keeps all that was answered for before: from then on a power cut doesn't undo it. Optional, as is making use of `flushes`: where every answer means that already, there is nothing to do, and a provider without the method is one of those. The daemon calls it for a group of files at once, so that the device can take them together; it gives a provider up that takes longer than 60 seconds, and sends less at a time to one that takes long. A provider that keeps things for it begins with them at once. WMDM has no counterpart.
    fn flush(&self) -> zbus::Result<()>;

    /// RenameAll method
    ///
    /// The `Rename` of several files and the `GetSpecifiedMetadata` of each after that, as if they were called one after another: what fails for one is told of that one, and the others go on. Optional: the daemon calls it where the device's introspection has it, and otherwise the two for each. WMDM has no counterpart.
    ///
    /// # Arguments
    ///
    /// * `names` - At most 128 files, each once, and the new name of each.
    /// * `metadata` - As in `GetSpecifiedMetadata`.
    /// * `renamed` - Of each, in the same order: an error's word, such as `Exists`, or empty text; and the metadata where it is empty.
    fn rename_all(
        &self,
        names: &[&(&zbus::ObjectPath<'_>, &str)],
        metadata: &[&str],
    ) -> zbus::Result<Vec<(String, std::collections::HashMap<String, zbus::OwnedVariant>)>>;

    /// FindStorage method
    ///
    /// The storage with a lasting id. `NotFound` when there is none. IMDSPDevice3::FindStorage.
    ///
    /// # Arguments
    ///
    /// * `scope` - `global` (WMDM_FIND_SCOPE_GLOBAL): anywhere on the device. `immediate-children` (WMDM_FIND_SCOPE_IMMEDIATE_CHILDREN): among the device's root storages.
    /// * `persistent_unique_id` - Its `PersistentUniqueId`.
    /// * `storage` - The same object that `EnumStorage` answers with.
    fn find_storage(&self, scope: &str, persistent_unique_id: &str) -> zbus::Result<zbus::OwnedObjectPath>;
}
