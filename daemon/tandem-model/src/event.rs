//! What the engine announces, in the order in which it happened. A snapshot tells what is; an event tells that
//! something came to pass.

use crate::device::{Status, SyncState};
use crate::error::{ItemError, RequestError};
use crate::id::{DeviceId, Uid};
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// One announcement. By the time it is received, the device's snapshot is at least as new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// The device is known from now on, connected or not; as it was then. It may be gone again by now.
    Added(Arc<Snapshot>),
    /// It isn't known any more: absent, and without a partnership.
    Removed(DeviceId),
    /// It is there and initialised.
    Connected(DeviceId),
    /// It is gone.
    Disconnected(DeviceId),
    /// Its status is another.
    StatusChanged(DeviceId, Status),
    /// Its engine does something else.
    SyncStateChanged(DeviceId, SyncState),
    /// Something else of its snapshot is another.
    SnapshotChanged(DeviceId),
    /// One item failed; with empty media, the whole run.
    SyncError {
        /// The device.
        device: DeviceId,
        /// Who is told: the user whose device it is. `None`: it is nobody's, everybody is told, and no media is named.
        owner: Option<Uid>,
        /// The item's URI, or empty.
        media: String,
        /// What kind of failure.
        error: ItemError,
        /// For the user.
        message: String,
    },
    /// Ends every accepted `CreatePartnership`, once.
    CreatePartnershipComplete {
        /// The device.
        device: DeviceId,
        /// How it ended.
        result: Result<(), RequestError>,
    },
    /// Ends every accepted `DeletePartnership`, once.
    DeletePartnershipComplete {
        /// The device.
        device: DeviceId,
        /// How it ended. It may name what lies on the device.
        result: Result<(), RequestError>,
    },
    /// Ends every accepted estimation, once.
    EstimationComplete {
        /// The device.
        device: DeviceId,
        /// `None` when it was cancelled or failed: bytes the items would take, and bytes left for others.
        result: Option<(u64, u64)>,
    },
    /// `ShowSettings` was called.
    SettingsRequested(DeviceId),
    /// The assignments of this user's playlists are others.
    AssignmentsChanged(Uid),
}
