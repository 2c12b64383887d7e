//! The connection to the daemon and the objects behind it. Every call has a time limit; nothing is cached, so what
//! is read is what is so.

use crate::cli::Bus;
use crate::device::Device;
use crate::error::Error;
use crate::playlist::Playlist;
use crate::properties::Properties;
use crate::select::select;
use dbus_interfaces::names::{BUS_NAME, DEVICE, PLAYLIST};
use dbus_interfaces::proxies::{DeviceProxy, LibraryProxy, PlaylistProxy, ServicesProxy};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, connection, fdo};

/// How many calls wait for their answers at once. A bus takes 128 of a connection.
pub(crate) const AT_ONCE: usize = 32;

/// How much longer a call may take where polkit may have to ask somebody for a password.
const PASSWORD: Duration = Duration::from_secs(120);

/// How long a device that is being set up is waited for at most, and how long until it is asked again.
const SETTING_UP: Duration = Duration::from_secs(10);
const ASKED_AGAIN: Duration = Duration::from_millis(200);

/// The daemon as this program sees it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) services: ServicesProxy<'static>,
    bus: Bus,
    limit: Duration,
}

impl Client {
    /// Connects to the bus. The daemon is first spoken to, and started by the bus, with the first call.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when there is no such bus.
    pub(crate) async fn connect(bus: Bus, limit: Duration) -> Result<Self, Error> {
        let builder = match bus {
            Bus::Session => connection::Builder::session(),
            Bus::System => connection::Builder::system(),
        };
        let no_bus = |cause: String| {
            let remedy = match bus {
                Bus::Session => "is DBUS_SESSION_BUS_ADDRESS right, or should it be the system bus?",
                Bus::System => "does it run, or should it be the session bus, with --session?",
            };
            Error::Unreachable(format!("can't connect to the {bus} bus: {cause}; {remedy}"))
        };
        let connection = tokio::time::timeout(limit, builder.method_timeout(limit).build())
            .await
            .map_err(|_| no_bus(format!("no answer within {} s", limit.as_secs())))?
            .map_err(|cause| no_bus(cause.to_string()))?;
        let services =
            ServicesProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
        Ok(Self { connection, services, bus, limit })
    }

    /// Another connection to the same bus, with another limit.
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub(crate) async fn with_limit(&self, limit: Duration) -> Result<Self, Error> {
        Self::connect(self.bus, limit).await
    }

    /// Whether this is the session bus.
    pub(crate) fn is_session(&self) -> bool {
        self.bus == Bus::Session
    }

    /// How long the daemon may take to answer a call.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// All properties of one of the daemon's objects.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn properties(
        &self,
        path: &ObjectPath<'_>,
        interface: &'static str,
    ) -> Result<Properties, Error> {
        let proxy = fdo::PropertiesProxy::builder(&self.connection)
            .destination(BUS_NAME)
            .path(path.to_owned())
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let interface = zbus::names::InterfaceName::from_static_str(interface)?;
        Ok(Properties::new(proxy.get_all(interface).await?))
    }

    /// All devices, in the daemon's order.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn devices(&self) -> Result<Vec<Device>, Error> {
        let paths = self.services.get_devices().await?;
        stream::iter(paths).map(|path| self.device(path)).buffered(AT_ONCE).try_collect().await
    }

    /// One device as it is now.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn device(&self, path: OwnedObjectPath) -> Result<Device, Error> {
        let properties = self.properties(&path, DEVICE).await?;
        Device::read(path, &properties)
    }

    /// What is told of USB devices.
    ///
    /// # Errors
    /// As any call; `NotFound` and `InvalidArgument` say what can be named.
    pub(crate) async fn probe(
        &self,
        device: &str,
        again: bool,
    ) -> Result<Vec<HashMap<String, OwnedVariant>>, Error> {
        Ok(self.services.probe(device, again).await?)
    }

    /// The device that the user means.
    ///
    /// # Errors
    /// [`Error::NotFound`] with what there is; as any call.
    pub(crate) async fn find_device(&self, wanted: &str) -> Result<Device, Error> {
        let device = select(&self.devices().await?, wanted)?;
        crate::output::say_device(wanted);
        Ok(device)
    }

    /// The methods of a device.
    ///
    /// # Errors
    /// None in practice: no call is made.
    pub(crate) async fn device_proxy(&self, device: &Device) -> Result<DeviceProxy<'static>, Error> {
        Ok(DeviceProxy::builder(&self.connection)
            .path(device.path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await?)
    }

    /// Calls a method of a device that answers nothing and that polkit may have to allow. On the system bus polkit may
    /// ask the user, and the call has two minutes more: the bus library gives such a call no limit of its own.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn ask<B>(&self, device: &Device, method: &'static str, body: &B) -> Result<(), Error>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.once_set_up(|| self.ask_now(device, method, body)).await
    }

    /// Makes a call that a device can't take while it is being set up, as all are when the daemon has just been started,
    /// again until it can; no longer than a call may take.
    ///
    /// # Errors
    /// As the call.
    pub(crate) async fn once_set_up<T, F>(&self, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let end = Instant::now() + self.limit.min(SETTING_UP);
        loop {
            match call().await {
                Err(Error::Refused { word, .. }) if word == "Initializing" && Instant::now() < end => {
                    tokio::time::sleep(ASKED_AGAIN).await;
                }
                answered => return answered,
            }
        }
    }

    async fn ask_now<B>(&self, device: &Device, method: &'static str, body: &B) -> Result<(), Error>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let proxy = self.device_proxy(device).await?;
        let proxy = proxy.inner();
        if self.bus == Bus::Session {
            return Ok(proxy.call::<_, _, ()>(method, body).await?);
        }
        let call = proxy.call_with_flags::<_, _, ()>(method, MethodFlags::ALLOW_INTERACTIVE_AUTH, body);
        match tokio::time::timeout(self.limit + PASSWORD, call).await {
            Ok(answer) => Ok(answer.map(|_| ())?),
            Err(_) => Err(Error::TimedOut),
        }
    }

    /// The caller's library.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn library(&self) -> Result<Library, Error> {
        let path = self.services.get_library().await?;
        let proxy = LibraryProxy::builder(&self.connection)
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(Library { path, proxy })
    }

    /// All playlists of the caller's library, by name.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn playlists(&self) -> Result<Vec<Playlist>, Error> {
        let paths = self.library().await?.proxy.get_playlists().await?;
        let playlists = stream::iter(paths).map(|path| self.playlist(path)).buffered(AT_ONCE);
        let mut playlists: Vec<Playlist> = playlists.try_collect().await?;
        playlists.sort_by_cached_key(|playlist| (playlist.name.to_lowercase(), playlist.path.to_string()));
        Ok(playlists)
    }

    /// One playlist as it is now.
    ///
    /// # Errors
    /// As any call.
    pub(crate) async fn playlist(&self, path: OwnedObjectPath) -> Result<Playlist, Error> {
        let properties = self.properties(&path, PLAYLIST).await?;
        Playlist::read(path, &properties)
    }

    /// The playlist that the user means.
    ///
    /// # Errors
    /// [`Error::NotFound`] with what there is; as any call.
    pub(crate) async fn find_playlist(&self, wanted: &str) -> Result<Playlist, Error> {
        select(&self.playlists().await?, wanted)
    }

    /// The methods of a playlist.
    ///
    /// # Errors
    /// None in practice: no call is made.
    pub(crate) async fn playlist_proxy(
        &self,
        path: &OwnedObjectPath,
    ) -> Result<PlaylistProxy<'static>, Error> {
        Ok(PlaylistProxy::builder(&self.connection)
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await?)
    }
}

/// The caller's library.
pub(crate) struct Library {
    pub(crate) path: OwnedObjectPath,
    pub(crate) proxy: LibraryProxy<'static>,
}

impl Library {
    /// Whose it is, as its path tells; `None` where it doesn't.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.path.as_str().rsplit_once("/u").and_then(|(_, uid)| uid.parse().ok())
    }
}
