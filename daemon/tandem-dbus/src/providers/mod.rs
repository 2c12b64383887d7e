//! Service providers: players that Tandem doesn't speak to itself, served by programs of third parties over
//! the bus.
//!
//! What a provider answers is checked like what a device answers (`answers`), and a provider that hangs, dies
//! or lies costs its own devices a run and nobody anything else.

mod ahead;
mod announcement;
mod answers;
mod control;
mod directories;
mod fault;
mod finish;
mod folders;
mod introspection;
mod link;
mod mark;
mod mark_file;
mod memory;
mod offer;
mod opener;
mod opening;
mod parameters;
mod peer;
mod pipe;
mod player;
mod playlists;
mod pour;
mod provider_file;
mod read_back;
mod recall;
mod registry;
mod relay;
mod send;
mod session;
mod storage;
mod tree;
mod watcher;

// of the fuzz target `provider_answers`, which can't see what it reads
#[cfg(fuzzing)]
#[path = "../../../../tests/fuzz/any_answer.rs"]
pub(crate) mod any_answer;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod harm_tests;
#[cfg(test)]
mod recall_tests;
#[cfg(test)]
mod service_tests;

use crate::arguments::Options;
use crate::bus::BusKind;
use link::{Limits, ProviderBus};
use opener::Opener;
use parameters::Parameters;
use registry::Registry;
use relay::Relay;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::RequestError;
use tandem_model::presence::{Presence, Providers};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zbus::ObjectPath;

/// All service providers. Clones share what they know.
#[derive(Debug, Clone)]
pub struct ServiceProviders {
    bus: ProviderBus,
    registry: Arc<Registry>,
    limits: Limits,
}

impl ServiceProviders {
    /// Providers on this bus: those whose files are in these directories, of which later ones win, and those
    /// that register.
    #[must_use]
    pub fn new(kind: BusKind, directories: Vec<PathBuf>) -> Self {
        Self::on(ProviderBus::Kind(kind), directories)
    }

    /// The same, on the bus at this address.
    #[must_use]
    pub fn at(address: &str, directories: Vec<PathBuf>) -> Self {
        Self::on(ProviderBus::At(address.to_owned()), directories)
    }

    fn on(bus: ProviderBus, directories: Vec<PathBuf>) -> Self {
        Self { bus, registry: Arc::new(Registry::new(directories)), limits: Limits::default() }
    }

    /// The same, with this limit on each call but a transfer: whoever doesn't answer in time is given up.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limits = Limits { quick: limit, slow: limit };
        self
    }

    /// Opens devices through them.
    #[must_use]
    pub fn opener(&self) -> Arc<dyn Providers> {
        Arc::new(Opener { bus: self.bus.clone(), registry: Arc::clone(&self.registry), limits: self.limits })
    }

    /// Passes on what the hardware tells, adds what providers announce, and has devices looked at again whose
    /// provider came or went. Until `stop`, or until nobody takes it.
    pub async fn relay(
        &self,
        from: mpsc::Receiver<Presence>,
        to: mpsc::Sender<Presence>,
        stop: CancellationToken,
    ) {
        Relay::new(self.bus.clone(), Arc::clone(&self.registry), to).run(from, stop).await;
    }

    /// Takes a provider of a connection.
    ///
    /// # Errors
    /// `InvalidArgument` names what is wrong.
    pub(crate) fn register(
        &self,
        connection: &str,
        name: &str,
        root: ObjectPath<'_>,
        parameters: &Options,
    ) -> Result<(), RequestError> {
        let parameters = Parameters::from_options(parameters).map_err(RequestError::InvalidArgument)?;
        self.registry.register(connection, name, root.into(), parameters)
    }

    /// Forgets a provider of a connection.
    ///
    /// # Errors
    /// `NotFound` when it has registered none of that name.
    pub(crate) fn unregister(&self, connection: &str, name: &str) -> Result<(), RequestError> {
        if self.registry.unregister(connection, name) {
            return Ok(());
        }
        Err(RequestError::NotFound(format!(
            "this connection has registered no provider `{}`",
            fault::told(name)
        )))
    }

    /// How many are registered.
    #[cfg(test)]
    pub(crate) fn registered(&self) -> usize {
        self.registry.all().len()
    }

    /// A connection has left the bus.
    pub(crate) fn left(&self, connection: &str) {
        self.registry.left(connection);
    }
}
