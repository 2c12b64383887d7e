//! What stands between zbus' object server and each of our interfaces: no code of an interface runs before the gate
//! has let the call through, and nothing is announced but by the publisher.
//!
//! What it keeps from leaking:
//! - Properties of libraries and playlists are read by their owner and root. Where there is no caller (zbus reads all
//!   properties for `InterfacesAdded` and `GetManagedObjects`, which go to everybody), they are left out.
//! - After a successful `Set`, zbus sends a `PropertiesChanged` of its own to everybody. Its emitter is pointed at our
//!   own connection, where nobody listens; the publisher announces the change, to those it concerns.
//!
//! `Set` and all that follows from it run while zbus holds the lock of its object tree, and a new device needs that
//! lock for writing. So a setter neither lets polkit ask the user nor waits long for the engine.

use crate::authorization::{About, Access, access};
use crate::context::Context;
use crate::errors;
use dbus_interfaces::Error;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use zbus::export::async_trait::async_trait;
use zbus::message::Header;
use zbus::names::{InterfaceName, MemberName};
use zbus::object_server::{DispatchResult, Interface, SignalEmitter};
use zbus::{BoxDBusError, Connection, DBusError, Message, ObjectServer, OwnedVariant, Variant, fdo};

/// How long a property's getter or setter may take.
const LIMIT: Duration = Duration::from_secs(1);

/// An interface behind the gate.
pub(crate) trait Guarded: Interface {
    /// What a call of it is about.
    fn about(&self) -> About;

    /// Whether its properties are for its owner and root alone.
    const PRIVATE: bool;

    /// Brings what the properties tell up to date for a reader who may see them. A library whose agent has ended in
    /// the meantime is started again for it.
    fn freshen(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Puts an interface behind the gate.
pub(crate) struct Guard<I> {
    inner: I,
    context: Arc<Context>,
}

impl<I: Guarded> Guard<I> {
    pub(crate) fn new(inner: I, context: Arc<Context>) -> Self {
        Self { inner, context }
    }

    /// Lets this reader see the properties, or says why not.
    async fn admit_reader(&self, header: Option<&Header<'_>>) -> Result<(), Error> {
        if !I::PRIVATE {
            if let Some(header) = header {
                // who reads has called the service: from now on he is told what concerns him alone
                let caller = self.context.callers().uid(header).await;
                caller.inspect_err(|error| tracing::debug!(%error, "a reader is unknown")).ok();
            }
            return Ok(());
        }
        match header {
            Some(header) => {
                self.context.gate.admit(header, Access::OwnerOnly, &self.inner.about(), false).await?;
                if tokio::time::timeout(LIMIT, self.inner.freshen()).await.is_err() {
                    tracing::debug!(
                        "the library did not answer in time; its properties are as they were seen last"
                    );
                }
                Ok(())
            }
            None if self.context.callers().only_user().is_some() => Ok(()),
            None => Err(Error::NotAuthorized("properties of a library are its owner's alone".to_owned())),
        }
    }

    /// What a refused `Set` is answered with when the property has no setter.
    async fn no_setter(
        &self,
        property: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> BoxDBusError {
        let text = format!("property `{property}` of {}", I::name());
        match self.inner.get(property, server, connection, header, emitter).await {
            Some(_) => fdo::Error::PropertyReadOnly(format!("{text} can only be read")).into(),
            None => fdo::Error::UnknownProperty(format!("{text} does not exist")).into(),
        }
    }
}

fn boxed(error: Error) -> BoxDBusError {
    Box::new(error)
}

pub(crate) fn unknown_method(interface: &str, name: &str) -> BoxDBusError {
    fdo::Error::UnknownMethod(format!("{interface} has no method `{name}`")).into()
}

#[async_trait]
impl<I: Guarded> Interface for Guard<I> {
    fn name() -> InterfaceName<'static> {
        I::name()
    }

    async fn get(
        &self,
        property_name: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        if let Err(error) = self.admit_reader(header).await {
            return Some(Err(Box::new(error)));
        }
        self.inner.get(property_name, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        match self.admit_reader(header).await {
            Ok(()) => self.inner.get_all(server, connection, header, emitter).await,
            Err(_) if header.is_none() => Ok(HashMap::new()),
            Err(error) => Err(fdo::Error::AccessDenied(error.description().unwrap_or_default().to_owned())),
        }
    }

    fn set<'call>(
        &'call self,
        property_name: &'call str,
        value: &'call Variant<'_>,
        server: &'call ObjectServer,
        connection: &'call Connection,
        header: Option<&'call Header<'_>>,
        emitter: &'call SignalEmitter<'_>,
    ) -> DispatchResult<'call> {
        DispatchResult::Async(Box::pin(async move {
            let (Some(access), Some(header)) = (access(&I::name(), property_name), header) else {
                return Err(self.no_setter(property_name, server, connection, header, emitter).await);
            };
            let set = async {
                self.context.gate.admit(header, access, &self.inner.about(), false).await.map_err(boxed)?;
                let own = connection.unique_name().ok_or(zbus::Error::InvalidReply)?.as_ref().to_owned();
                let unheard = emitter.clone().set_destination(own.into());
                match self.inner.set(property_name, value, server, connection, Some(header), &unheard) {
                    DispatchResult::Async(set) => set.await,
                    DispatchResult::NotFound | DispatchResult::RequiresMut => {
                        Err(self.no_setter(property_name, server, connection, Some(header), emitter).await)
                    }
                }
            };
            match tokio::time::timeout(LIMIT, set).await {
                Ok(answer) => answer,
                Err(_) => Err(Box::new(errors::set_timed_out(property_name))),
            }
        }))
    }

    async fn set_mut(
        &mut self,
        _property_name: &str,
        _value: &Variant<'_>,
        _object_server: &ObjectServer,
        _connection: &Connection,
        _header: Option<&Header<'_>>,
        _emitter: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        // `set` answers every property
        None
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::Async(Box::pin(async move {
            let interface = I::name();
            let Some(access) = access(&interface, &name) else {
                return Err(unknown_method(&interface, &name));
            };
            let Some(_turn) = self.context.turns.take(&message.header()).await else { return Ok(()) };
            self.context
                .gate
                .admit(&message.header(), access, &self.inner.about(), true)
                .await
                .map_err(boxed)?;
            match self.inner.call(server, connection, message, name.as_ref()) {
                DispatchResult::Async(call) => call.await,
                DispatchResult::NotFound | DispatchResult::RequiresMut => {
                    Err(unknown_method(&interface, &name))
                }
            }
        }))
    }

    fn call_mut<'call>(
        &'call mut self,
        _server: &'call ObjectServer,
        _connection: &'call Connection,
        _message: &'call Message,
        _name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        // `call` answers every method
        DispatchResult::NotFound
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.inner.introspect_to_writer(writer, level);
    }
}
