//! The device that is tested: opened, given a folder of the suite's own to write in, and put back as it was.

use super::calls::{Fault, Provider};
use dbus_interfaces::provider::SYNC_RELATIONSHIP_ID;
use dbus_interfaces::proxies::provider::{DeviceProxy, StorageProxy};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use zbus::{Fd, OwnedObjectPath, OwnedVariant, Variant};

/// `WMDM/FormatCode` of what has no format of its own.
pub(super) const UNDEFINED: u32 = 0x3000;

/// When all files of the suite were modified, seconds since 1970; even, because FAT knows no odd ones.
pub(super) const MODIFIED: u64 = 1_700_000_000;

/// Which device is tested.
pub(crate) struct Target {
    /// As `CreateDevice` gets it.
    pub(crate) identity: HashMap<String, OwnedVariant>,
    /// The USB device's node.
    pub(crate) usb: Option<File>,
}

/// A device under test.
pub(crate) struct Session {
    pub(crate) provider: Provider,
    pub(crate) target: Target,
    pub(crate) device: OwnedObjectPath,
    /// The root storage that is written to.
    pub(crate) storage: OwnedObjectPath,
    /// The suite's own folder.
    pub(crate) folder: OwnedObjectPath,
    /// Its name.
    pub(crate) folder_name: String,
    /// The mark that was there.
    mark: String,
    made: u32,
}

impl Session {
    /// Opens the device and makes the suite's folder.
    pub(crate) async fn start(provider: Provider, target: Target) -> Result<Self, Fault> {
        let none: OwnedObjectPath = provider.root.clone();
        let folder_name = format!("tandem-provider-test-{}", std::process::id());
        let (device, storage, folder) = (none.clone(), none.clone(), none);
        let mark = String::new();
        let mut session = Self { provider, target, device, storage, folder, folder_name, mark, made: 0 };
        session.open().await?;
        // a mark that can't be read is told of by its check
        session.mark = session.read_mark().await.unwrap_or_default();
        session.folder =
            session.create(&session.root_storage().await?, "folder", &session.folder_name, 0).await?;
        Ok(session)
    }

    /// Opens the device, and chooses the storage.
    pub(crate) async fn open(&mut self) -> Result<(), Fault> {
        self.device = create_device(&self.provider, &self.target).await?;
        let roots = self.provider.ask(self.device().await?.enum_storage()).await?;
        let mut chosen = None;
        for root in roots {
            let storage = self.provider.storage(&root).await?;
            let attributes = self.provider.ask(storage.attributes()).await?;
            if !attributes.iter().any(|word| word == "read-only") && chosen.is_none() {
                chosen = Some(root);
            }
        }
        self.storage = chosen.ok_or_else(|| Fault {
            word: "nothing".to_owned(),
            message: "the device has no root storage that can be written".to_owned(),
        })?;
        Ok(())
    }

    /// Opens the device again, released or not, and finds the suite's folder by its name.
    pub(crate) async fn reopen(&mut self) -> Result<(), Fault> {
        self.open().await?;
        let root = self.root_storage().await?;
        for path in self.provider.ask(root.enum_storage(0, 0)).await? {
            let storage = self.provider.storage(&path).await?;
            if self.provider.ask(storage.name()).await? == self.folder_name {
                self.folder = path;
                return Ok(());
            }
        }
        let message = format!("the folder `{}` is gone after the device was opened again", self.folder_name);
        Err(Fault { word: "NotFound".to_owned(), message })
    }

    /// Deletes what the suite made, puts the mark back, and releases the device.
    pub(crate) async fn end(&self) -> Result<(), Fault> {
        let folder = self.provider.object(&self.folder).await?;
        let deleted = self.provider.ask(folder.delete(true)).await;
        let mark = self.write_mark(&self.mark).await;
        let root = self.provider.provider(&self.provider.root).await?;
        let released = self.provider.ask(root.release_device(&self.device)).await;
        deleted.and(mark).and(released)
    }

    pub(crate) async fn device(&self) -> Result<DeviceProxy<'static>, Fault> {
        self.provider.device(&self.device).await
    }

    pub(crate) async fn root_storage(&self) -> Result<StorageProxy<'static>, Fault> {
        self.provider.storage(&self.storage).await
    }

    pub(crate) async fn folder(&self) -> Result<StorageProxy<'static>, Fault> {
        self.provider.storage(&self.folder).await
    }

    pub(crate) async fn read_mark(&self) -> Result<String, Fault> {
        let value = self.provider.ask(self.device().await?.get_property(SYNC_RELATIONSHIP_ID)).await?;
        String::try_from(value).map_err(|error| Fault {
            word: "a value of another type than `s`".to_owned(),
            message: error.to_string(),
        })
    }

    pub(crate) async fn write_mark(&self, mark: &str) -> Result<(), Fault> {
        let device = self.device().await?;
        self.provider.ask(device.set_property(SYNC_RELATIONSHIP_ID, &Variant::from(mark))).await
    }

    /// A name that was not used before.
    pub(crate) fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what} {}", self.made)
    }

    /// Makes a folder or a file that will have so many bytes.
    pub(crate) async fn create(
        &self,
        folder: &StorageProxy<'static>,
        kind: &str,
        name: &str,
        size: u64,
    ) -> Result<OwnedObjectPath, Fault> {
        let (format, modified) = (Variant::from(UNDEFINED), Variant::from(MODIFIED));
        let mut metadata = HashMap::new();
        if kind == "file" {
            metadata.insert("WMDM/FormatCode", &format);
            metadata.insert("WMDM/LastModifiedDate", &modified);
        }
        self.provider.ask(folder.create_storage_with_metadata(&[kind], name, metadata, size)).await
    }

    /// A new folder in the suite's folder.
    pub(crate) async fn new_folder(&mut self, what: &str) -> Result<OwnedObjectPath, Fault> {
        let name = self.name(what);
        self.create(&self.folder().await?, "folder", &name, 0).await
    }

    /// A new file with these bytes, in a folder.
    pub(crate) async fn new_file(
        &self,
        folder: &OwnedObjectPath,
        name: &str,
        bytes: &[u8],
    ) -> Result<OwnedObjectPath, Fault> {
        let folder = self.provider.storage(folder).await?;
        let path = self.create(&folder, "file", name, bytes.len() as u64).await?;
        self.provider.write(&path, bytes, bytes.len() as u64).await?;
        Ok(path)
    }

    /// All bytes of a file.
    pub(crate) async fn bytes(&self, path: &OwnedObjectPath) -> Result<Vec<u8>, Fault> {
        Ok(self.provider.read(path, 0, u64::MAX).await?.0)
    }

    pub(crate) async fn size(&self, path: &OwnedObjectPath) -> Result<u64, Fault> {
        self.provider.ask(self.provider.storage(path).await?.size()).await
    }
}

/// Opens the device for this caller.
pub(crate) async fn create_device(provider: &Provider, target: &Target) -> Result<OwnedObjectPath, Fault> {
    let root = provider.provider(&provider.root).await?;
    let identity = target.identity.iter().map(|(key, value)| (key.as_str(), &**value)).collect();
    let usb: Vec<Fd<'_>> = target.usb.iter().map(|node| Fd::from(node.as_fd())).collect();
    provider.ask(root.create_device(identity, &usb)).await
}

/// Bytes that tell where they stand.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect()
}
