//! `org.freedesktop.DBus.ObjectManager` on the root object, with a limit: an answer holds all properties of all objects,
//! so a connection gets one at a time.
//!
//! What is in the answer is the D-Bus library's business.

use crate::guard::unknown_method;
use crate::turns::Turns;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use zbus::export::async_trait::async_trait;
use zbus::fdo::{self, ObjectManager};
use zbus::message::Header;
use zbus::names::{InterfaceName, MemberName};
use zbus::object_server::{DispatchResult, Interface, SignalEmitter};
use zbus::{BoxDBusError, Connection, Message, ObjectServer, OwnedVariant, Variant};

/// The object manager.
pub(crate) struct Objects {
    inner: ObjectManager,
    turns: Arc<Turns>,
}

impl Objects {
    pub(crate) fn new(turns: Arc<Turns>) -> Self {
        Self { inner: ObjectManager, turns }
    }
}

#[async_trait]
impl Interface for Objects {
    fn name() -> InterfaceName<'static> {
        ObjectManager::name()
    }

    async fn get(
        &self,
        property_name: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        self.inner.get(property_name, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        self.inner.get_all(server, connection, header, emitter).await
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
        self.inner.set(property_name, value, server, connection, header, emitter)
    }

    async fn set_mut(
        &mut self,
        property_name: &str,
        value: &Variant<'_>,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        self.inner.set_mut(property_name, value, server, connection, header, emitter).await
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::Async(Box::pin(async move {
            // held until the answer has been sent
            let Some(_turn) = self.turns.take(&message.header()).await else { return Ok(()) };
            match self.inner.call(server, connection, message, name.as_ref()) {
                DispatchResult::Async(answer) => answer.await,
                DispatchResult::NotFound | DispatchResult::RequiresMut => {
                    Err(unknown_method(&Self::name(), &name))
                }
            }
        }))
    }

    fn call_mut<'call>(
        &'call mut self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        self.inner.call_mut(server, connection, message, name)
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.inner.introspect_to_writer(writer, level);
    }
}
