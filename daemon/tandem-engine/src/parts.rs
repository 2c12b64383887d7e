//! What the engine is plugged together from. `tandemd` makes the parts; tests make others.

use std::sync::Arc;
use std::time::Duration;
use tandem_model::clock::Clock;
use tandem_model::id::Guid;
use tandem_model::library::Libraries;
use tandem_model::manifest::ManifestStore;
use tandem_model::partnership::PartnershipStore;
use tandem_model::player::PlayerOpener;
use tandem_model::presence::Presence;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How the engine behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// How long the library and the settings must have been quiet before a change of them starts a run.
    pub settle: Duration,
    /// What is copied is read back from every device and compared.
    pub verify: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { settle: Duration::from_secs(3), verify: false }
    }
}

/// The parts of an engine.
pub struct Parts {
    /// Keeps partnerships.
    pub store: Arc<dyn PartnershipStore>,
    /// Keeps manifests.
    pub manifests: Arc<dyn ManifestStore>,
    /// Opens devices.
    pub opener: Arc<dyn PlayerOpener>,
    /// Opens libraries.
    pub libraries: Arc<dyn Libraries>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes a GUID that nobody else has.
    pub new_guid: Arc<dyn Fn() -> Guid + Send + Sync>,
    /// How to behave.
    pub options: EngineOptions,
}

/// What an engine is started with besides its parts.
pub struct Inputs {
    /// Arrivals and departures.
    pub presence: mpsc::Receiver<Presence>,
    /// Ends the engine; runs in progress stop at the next safe point.
    pub stop: CancellationToken,
}
