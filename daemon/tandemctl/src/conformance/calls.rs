//! Calls to a provider, with the limits that the contract sets, and what can come of them. Also the other ends of its
//! transfers: pipes that are filled and emptied on threads of their own.

use dbus_interfaces::provider::ERROR_PREFIX;
use dbus_interfaces::proxies::provider::{DeviceProxy, ObjectProxy, Provider1Proxy, StorageProxy};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Fd, OwnedObjectPath, OwnedVariant, Variant, fdo};

/// How long a provider may take to answer a call that isn't a transfer.
const PROMPT: Duration = Duration::from_secs(10);

/// How long `Flush` may take, which waits for the device.
const KEPT: Duration = Duration::from_secs(60);

/// A call that failed: the contract's word, or a name or text of its own.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The word behind the contract's prefix; D-Bus's own errors as the contract reads them.
    pub(crate) word: String,
    /// What the provider said.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.word, self.message)
    }
}

impl Fault {
    fn silent(limit: Duration) -> Self {
        let message = format!("the provider did not answer within {} seconds", limit.as_secs());
        Self { word: "nothing".to_owned(), message }
    }
}

impl From<zbus::Error> for Fault {
    fn from(error: zbus::Error) -> Self {
        let (name, message) = match &error {
            zbus::Error::MethodError(name, message, _) => {
                (name.to_string(), message.clone().unwrap_or_default())
            }
            zbus::Error::FDO(error) => {
                use zbus::DBusError;
                (error.name().to_string(), error.description().unwrap_or_default().to_owned())
            }
            other => return Self { word: "no answer".to_owned(), message: other.to_string() },
        };
        let bus = name.strip_prefix("org.freedesktop.DBus.Error.");
        let word = match (name.strip_prefix(ERROR_PREFIX), bus) {
            (Some(word), _) => word.to_owned(),
            (None, Some("UnknownObject")) => "InterfaceDead".to_owned(),
            (None, Some("UnknownMethod" | "UnknownInterface" | "UnknownProperty")) => {
                "NotSupported".to_owned()
            }
            (None, _) => name,
        };
        Self { word, message }
    }
}

impl From<fdo::Error> for Fault {
    fn from(error: fdo::Error) -> Self {
        zbus::Error::FDO(Box::new(error)).into()
    }
}

/// A provider on the bus, as one caller sees it.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) connection: Connection,
    pub(crate) bus_name: String,
    pub(crate) root: OwnedObjectPath,
    /// Whether that is the session bus.
    pub(crate) session: bool,
}

/// A proxy of one of the provider's objects.
macro_rules! proxy {
    ($name:ident, $proxy:ty) => {
        pub(crate) async fn $name(&self, path: &OwnedObjectPath) -> Result<$proxy, Fault> {
            let builder = <$proxy>::builder(&self.connection).destination(self.bus_name.clone());
            Ok(builder.path(path.clone()).cache_properties(CacheProperties::No).build().await?)
        }
    };
}

impl Provider {
    /// How long a transfer of the suite may take: its largest file has a few MiB.
    pub(crate) const TRANSFER: Duration = Duration::from_secs(90);

    proxy!(provider, Provider1Proxy<'static>);
    proxy!(device, DeviceProxy<'static>);
    proxy!(storage, StorageProxy<'static>);
    proxy!(object, ObjectProxy<'static>);

    /// What an object tells of itself.
    pub(crate) async fn introspect(&self, path: &OwnedObjectPath) -> Result<String, Fault> {
        let builder = fdo::IntrospectableProxy::builder(&self.connection).destination(self.bus_name.clone());
        let proxy = builder.path(path.clone()).build().await?;
        self.ask(async { proxy.introspect().await.map_err(zbus::Error::from) }).await
    }

    /// A call that is no transfer.
    pub(crate) async fn ask<T>(&self, call: impl Future<Output = zbus::Result<T>>) -> Result<T, Fault> {
        match tokio::time::timeout(PROMPT, call).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Fault::silent(PROMPT)),
        }
    }

    /// Has the device keep what was done.
    pub(crate) async fn flush(&self, device: &OwnedObjectPath) -> Result<(), Fault> {
        let device = self.device(device).await?;
        match tokio::time::timeout(KEPT, device.flush()).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Fault::silent(KEPT)),
        }
    }

    /// Writes bytes, saying that they are `size`.
    pub(crate) async fn write(&self, path: &OwnedObjectPath, bytes: &[u8], size: u64) -> Result<u64, Fault> {
        let (reader, mut writer) = io::pipe().map_err(local)?;
        let bytes = bytes.to_vec();
        // an error means that the provider has closed its end, which its answer tells of
        let filling = tokio::task::spawn_blocking(move || writer.write_all(&bytes).is_ok());
        let answer = self.write_from(path, reader.as_fd(), size).await;
        drop(reader);
        filling.await.map_err(local)?;
        answer
    }

    /// Has a folder make a file with these bytes, saying that they are `size`.
    pub(crate) async fn insert(
        &self,
        folder: &OwnedObjectPath,
        (name, metadata): (&str, HashMap<&str, &Variant<'_>>),
        bytes: &[u8],
        size: u64,
        names: &[&str],
    ) -> Result<(OwnedObjectPath, HashMap<String, OwnedVariant>), Fault> {
        let (reader, mut writer) = io::pipe().map_err(local)?;
        let bytes = bytes.to_vec();
        // an error means that the provider has closed its end, which its answer tells of
        let filling = tokio::task::spawn_blocking(move || writer.write_all(&bytes).is_ok());
        let folder = self.storage(folder).await?;
        let call = folder.insert(name, metadata, size, Fd::from(reader.as_fd()), names);
        let answer = tokio::time::timeout(Self::TRANSFER, call).await;
        drop(reader);
        filling.await.map_err(local)?;
        answer.map_err(|_| Fault::silent(Self::TRANSFER))?.map_err(Into::into)
    }

    /// Lets the provider read from a descriptor.
    pub(crate) async fn write_from(
        &self,
        path: &OwnedObjectPath,
        source: impl AsFd,
        size: u64,
    ) -> Result<u64, Fault> {
        let object = self.object(path).await?;
        let call = object.write_on_clear_channel(Fd::from(source.as_fd()), size);
        match tokio::time::timeout(Self::TRANSFER, call).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Fault::silent(Self::TRANSFER)),
        }
    }

    /// Reads bytes, as many as come before the provider closes its end, and how many it says it gave.
    pub(crate) async fn read(
        &self,
        path: &OwnedObjectPath,
        offset: u64,
        size: u64,
    ) -> Result<(Vec<u8>, u64), Fault> {
        let (mut reader, writer) = io::pipe().map_err(local)?;
        let object = self.object(path).await?;
        let emptying = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let call = object.read_on_clear_channel(offset, size, Fd::from(writer.as_fd()));
        let answer = tokio::time::timeout(Self::TRANSFER, call).await;
        drop(writer);
        let told = answer.map_err(|_| Fault::silent(Self::TRANSFER))??;
        match tokio::time::timeout(PROMPT, emptying).await {
            Ok(bytes) => Ok((bytes.map_err(local)?.map_err(local)?, told)),
            Err(_) => Err(Fault {
                word: "nothing".to_owned(),
                message: "the provider has not closed the descriptor that it wrote to".to_owned(),
            }),
        }
    }

    /// Has the provider write to a pipe whose other end is closed.
    pub(crate) async fn read_into_closed(&self, path: &OwnedObjectPath) -> Result<u64, Fault> {
        let (reader, writer) = io::pipe().map_err(local)?;
        drop::<PipeReader>(reader);
        let object = self.object(path).await?;
        self.ask(object.read_on_clear_channel(0, u64::MAX, Fd::from(writer.as_fd()))).await
    }
}

fn local(error: impl fmt::Display) -> Fault {
    Fault { word: "a failure of the suite's own".to_owned(), message: error.to_string() }
}
