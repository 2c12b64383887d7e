//! Proxy of `org.tandemd.Provider1.Storage`, made from `org.tandemd.Provider1.Storage.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// A root storage of an open device, or a folder or file on one. WMDM's counterpart is IMDSPStorage4. A playlist is a file whose `WMDM/FormatCode` is that of a playlist, with references in place of bytes where the device keeps it so.
///
/// An object's path means the same storage until that is deleted or its device released, also when it is renamed or moved. Nothing is said of paths after that, and a path isn't used again for something else. What was deleted, by whomever, fails with `InterfaceDead`.
///
/// A name is 1 to 255 bytes of UTF-8 without `/` and NUL, and neither `.` nor `..`. The device keeps it exactly as it was given, or the call that gives it fails with `InvalidArgument`. No two storages of one folder have the same name; whether names that differ in case alone are the same is the device's business.
///
/// Changes of properties are not announced: the daemon asks, each time.
///
/// Metadata has WMDM's names. Text (`s`): `WMDM/Title`, `WMDM/Author`, `WMDM/AlbumTitle`, `WMDM/AlbumArtist`, `WMDM/Genre`, `WMDM/Composer`, `WMDM/Year`. Numbers: `WMDM/Track` (`u`), `WMDM/Duration` (`t`, units of 100 nanoseconds), `WMDM/Bitrate` (`u`, bits a second), `WMDM/UserRating` (`u`, 0 to 99), `WMDM/PlayCount` (`u`), `WMDM/FormatCode` (`u`, as in MTP). Times in whole seconds since 1970-01-01 UTC: `WMDM/UserLastPlayTime` (`t`), `WMDM/LastModifiedDate` (`t`: the file's modification time; it is kept by renaming and moving). Set by the device alone: `WMDM/FileName` (`s`), `WMDM/FileSize` (`t`), `WMDM/FileAttributes` (`as`) and `WMDM/PersistentUniqueID` (`s`), which are the properties by other names and which every provider answers. A device has of the others what it has.
#[proxy(interface = "org.tandemd.Provider1.Storage", assume_defaults = true)]
pub trait Storage {
    /// Name property
    ///
    /// Its name in its folder; of a root storage, its label. IMDSPStorage::GetName.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;

    /// Attributes property
    ///
    /// Words: `folder` or `file`, exactly one of them, and a root storage is a `folder`; `read-only` where nothing can be written, `removable` (a card), `hidden`, `system`, `can-edit-metadata` where `SetMetadata` works. Unknown words are ignored. IMDSPStorage2::GetAttributes2.
    #[zbus(property)]
    fn attributes(&self) -> zbus::Result<Vec<String>>;

    /// Size property
    ///
    /// Bytes of a file, as the device holds them now; 0 for a folder. IMDSPStorage::GetSize.
    #[zbus(property)]
    fn size(&self) -> zbus::Result<u64>;

    /// TotalSize property
    ///
    /// Bytes of a root storage; 0 for what is no root. IMDSPStorageGlobals::GetTotalSize.
    #[zbus(property)]
    fn total_size(&self) -> zbus::Result<u64>;

    /// TotalFree property
    ///
    /// Bytes of a root storage that can be written now, never more than `TotalSize`; 0 for what is no root. IMDSPStorageGlobals::GetTotalFree.
    #[zbus(property)]
    fn total_free(&self) -> zbus::Result<u64>;

    /// PersistentUniqueId property
    ///
    /// Unique on the device, at most 255 bytes, and lasting: the same after `ReleaseDevice`, unplugging and a restart of the provider, and never another storage's. Renaming and moving keep it, or give a new one that is then as lasting. Empty where the device has none. WMDM/PersistentUniqueID.
    #[zbus(property)]
    fn persistent_unique_id(&self) -> zbus::Result<String>;

    /// EnumStorage method
    ///
    /// What is in a folder. The order stays the same while nothing changes in it. A file answers with none. IMDSPStorage::EnumStorage.
    ///
    /// # Arguments
    ///
    /// * `first` - From this position, counted from 0; at or after the end: none.
    /// * `count` - At most so many; 0: to the end. Fewer are answered only at the end.
    /// * `storages` - Objects with this interface.
    fn enum_storage(&self, first: u32, count: u32) -> zbus::Result<Vec<zbus::OwnedObjectPath>>;

    /// EnumStorageWithMetadata method
    ///
    /// `EnumStorage` and `GetSpecifiedMetadata` of each answer in one: how a folder of thousands is read in one call. Optional: without it the daemon asks one by one. IMDSPStorage4::GetSpecifiedMetadata over a whole folder.
    ///
    /// # Arguments
    ///
    /// * `first` - As in `EnumStorage`.
    /// * `count` - As in `EnumStorage`.
    /// * `names` - As in `GetSpecifiedMetadata`.
    /// * `storages` - Each storage with its metadata.
    #[allow(clippy::type_complexity)]
    fn enum_storage_with_metadata(
        &self,
        first: u32,
        count: u32,
        names: &[&str],
    ) -> zbus::Result<Vec<(zbus::OwnedObjectPath, std::collections::HashMap<String, zbus::OwnedVariant>)>>;

    /// CreateStorageWithMetadata method
    ///
    /// Makes a folder, or an empty file, in this folder; a file's bytes come by `WriteOnClearChannel`. Until then the file is there with size 0, and need not outlast a power cut. `Exists` when the name is taken, `NoSpace` when so many bytes aren't free or no file can be so large, `InvalidArgument` for a name that the device doesn't take or when this is a file. IMDSPStorage4::CreateStorageWithMetadata.
    ///
    /// # Arguments
    ///
    /// * `attributes` - `folder` or `file`, exactly one; words besides that are wishes.
    /// * `name` - Its name.
    /// * `metadata` - As in `SetMetadata`. `WMDM/FormatCode` and `WMDM/LastModifiedDate` are always told for a file.
    /// * `size` - Bytes that the file will have; 0 for a folder, and for a playlist of references. It is checked, not kept free.
    /// * `storage` - The new object.
    fn create_storage_with_metadata(
        &self,
        attributes: &[&str],
        name: &str,
        metadata: std::collections::HashMap<&str, &zbus::Variant<'_>>,
        size: u64,
    ) -> zbus::Result<zbus::OwnedObjectPath>;

    /// Insert method
    ///
    /// Makes a file with its bytes: `CreateStorageWithMetadata`, `WriteOnClearChannel` and `GetSpecifiedMetadata` in one, with the errors of all three and their rules for the descriptor. After an error there is no file. How small files are sent without waiting for each other's answers: several may be under way in one folder. Optional: the daemon calls it where the introspection of the root storage has it, and otherwise, or where it fails with `NotSupported`, the three. A device that takes one file at a time does better without: all that is sent ahead would wait in line, and other calls behind it. IWMDMStorageControl3::Insert3.
    ///
    /// # Arguments
    ///
    /// * `name` - As in `CreateStorageWithMetadata`.
    /// * `metadata` - As in `CreateStorageWithMetadata`.
    /// * `size` - How many bytes the descriptor gives.
    /// * `source` - As in `WriteOnClearChannel`.
    /// * `names` - As in `GetSpecifiedMetadata`.
    /// * `storage` - The new object.
    /// * `told` - Its metadata, now that the device has its bytes.
    #[allow(clippy::too_many_arguments)]
    fn insert(
        &self,
        name: &str,
        metadata: std::collections::HashMap<&str, &zbus::Variant<'_>>,
        size: u64,
        source: zbus::Fd<'_>,
        names: &[&str],
    ) -> zbus::Result<(zbus::OwnedObjectPath, std::collections::HashMap<String, zbus::OwnedVariant>)>;

    /// GetSpecifiedMetadata method
    ///
    /// Metadata by its names. Names without a value are left out, without error. IMDSPStorage4::GetSpecifiedMetadata.
    ///
    /// # Arguments
    ///
    /// * `names` - Which; empty: all that there is.
    /// * `metadata` - The values.
    fn get_specified_metadata(
        &self,
        names: &[&str],
    ) -> zbus::Result<std::collections::HashMap<String, zbus::OwnedVariant>>;

    /// SetMetadata method
    ///
    /// Sets metadata without touching the bytes; the names that aren't given keep their values. What the device has no place for is left out, without error: `GetSpecifiedMetadata` shows what it has. `InvalidArgument` for a value of another type than the name has. `NotSupported` where the device takes none at all. IMDSPStorage3::SetMetadata.
    ///
    /// # Arguments
    ///
    /// * `metadata` - The values by their names.
    fn set_metadata(&self, metadata: std::collections::HashMap<&str, &zbus::Variant<'_>>)
    -> zbus::Result<()>;

    /// SetReferences method
    ///
    /// Sets what a playlist refers to: replaces the whole ordered list. `NotSupported` for what is no playlist, `InterfaceDead` when one of the storages is gone. IMDSPStorage4::SetReferences.
    ///
    /// # Arguments
    ///
    /// * `references` - Files of the same device, in order; one may occur several times. None empties the list, and the playlist stays.
    fn set_references(&self, references: &[&zbus::ObjectPath<'_>]) -> zbus::Result<()>;

    /// GetReferences method
    ///
    /// What a playlist refers to. `NotSupported` for what is no playlist. IMDSPStorage4::GetReferences.
    ///
    /// # Arguments
    ///
    /// * `references` - In order; what was deleted is left out.
    /// * `partial` - Whether something was left out.
    fn get_references(&self) -> zbus::Result<(Vec<zbus::OwnedObjectPath>, bool)>;

    /// FindStorage method
    ///
    /// The storage with a lasting id. `NotFound` when there is none in that scope. IMDSPStorage4::FindStorage.
    ///
    /// # Arguments
    ///
    /// * `scope` - `global`: anywhere below this folder. `immediate-children`: right in it.
    /// * `persistent_unique_id` - Its `PersistentUniqueId`.
    /// * `storage` - The same object that `EnumStorage` answers with.
    fn find_storage(&self, scope: &str, persistent_unique_id: &str) -> zbus::Result<zbus::OwnedObjectPath>;

    /// GetParent method
    ///
    /// The folder that it is in. IMDSPStorage4::GetParent.
    ///
    /// # Arguments
    ///
    /// * `storage` - Its folder's object; `/` for a root storage.
    fn get_parent(&self) -> zbus::Result<zbus::OwnedObjectPath>;
}
