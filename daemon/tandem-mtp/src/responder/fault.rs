//! What real players get wrong, each with a name: habits that last, and faults that strike once.
//!
//! It must not act: the engine and the machine do.

use crate::codes::OperationCode;
use serde::Deserialize;
use std::time::Duration;

/// Something that a player always does. A profile's `habits` names them in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Habit {
    /// Headers of data phases travel in packets of their own, and must.
    SplitHeader,
    /// No zero-length packet ends a data phase that fills its last packet.
    NoZeroLengthPacket,
    /// One more byte ends such a data phase instead.
    ExtraByte,
    /// A zero-length packet before each container.
    SpuriousEmptyPacket,
    /// The response is in the same packet as the end of the data.
    GluedResponse,
    /// Code and transaction of data containers are junk.
    JunkDataHeaders,
    /// A cancelled transaction ends with both bulk pipes stalled, as on Android.
    CancelStalls,
    /// A cancelled transaction ends without a word.
    CancelSilent,
    /// Class requests are stalled, and a transaction can't be cancelled.
    NoClassRequests,
    /// Handles are other ones in each connection.
    HandlesChange,
    /// What was sent of an object stays when the rest doesn't come.
    PartialKept,
    /// A second object of a name in a folder is refused with General_Error.
    NameTaken,
    /// A listing with parent 0 lists the root's level and not the whole store.
    ZeroListsRoot,
    /// A property list with object 0 lists the whole store and not the root's level.
    ZeroListsWholeStore,
    /// A listing with parent 0 is refused with Invalid_ObjectHandle.
    ZeroRefused,
    /// Objects at the root say that the storage is their parent.
    RootParentIsStorage,
    /// Property lists leave out every other object.
    PropertyListLoses,
    /// Property lists of more than one level are refused.
    NoDeepLists,
    /// Listings by format are refused.
    NoFormatFilter,
    /// The partner's and the user's name are taken with OK, and forgotten.
    ForgetsDeviceProperties,
    /// Dates in an object's announcement are left out of account.
    IgnoresDates,
    /// No storage until the user allows it; then the device leaves the bus and comes back.
    LockedUntilAllowed,
    /// No storage until the user allows it; then an event tells.
    LockedUntilAllowedInPlace,
    /// Descriptor 0xEE is answered with something else.
    GarbageOsString,
    /// What is sent is answered with the handle of the object that was there first.
    ForeignHandle,
    /// A store that is full is told in the middle of the data, not before it.
    StoreFullLate,
    /// What it is, it says in a session alone.
    SessionFirst,
    /// An object that was just sent is empty when it is first asked about.
    SizeLate,
    /// The last byte of what is sent is kept as another one, though all is said to be well.
    KeepsOtherBytes,
}

/// Something that goes wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both bulk pipes stall; no response follows.
    Stall,
    /// Both bulk pipes stall; when that is lifted, General_Error follows.
    StallThenReason,
    /// Half of the data, then the response OK.
    ShortData,
    /// The data's and the response's transaction is one that never was.
    WrongTransaction,
    /// A response of the transaction before comes first.
    StaleResponse,
    /// No answer until the transaction is cancelled.
    Hang,
    /// No answer ever, until a reset; class requests are stalled.
    HangForever,
    /// An answer that comes so much later.
    Slow(Duration),
    /// The data announces a gigabyte more than there is.
    Oversize,
    /// Bytes that are no container.
    Garbage,
    /// The session is forgotten.
    LostSession,
    /// Device_Busy.
    Busy,
    /// In the middle of the data: Store_Full, and the rest isn't taken.
    StoreFull,
    /// In the middle of an object: the event StoreFull, and no answer until the transaction is cancelled.
    StoreFullEvent,
    /// The device is unplugged before it did what was asked.
    UnplugBefore,
    /// The device is unplugged in the middle of the data.
    UnplugWithin,
    /// The device did what was asked, and is unplugged before it says so.
    UnplugAfter,
}

impl Fault {
    /// Every fault, for sweeps; slowness with a second.
    pub const ALL: [Self; 17] = [
        Self::Stall,
        Self::StallThenReason,
        Self::ShortData,
        Self::WrongTransaction,
        Self::StaleResponse,
        Self::Hang,
        Self::HangForever,
        Self::Slow(Duration::from_secs(1)),
        Self::Oversize,
        Self::Garbage,
        Self::LostSession,
        Self::Busy,
        Self::StoreFull,
        Self::StoreFullEvent,
        Self::UnplugBefore,
        Self::UnplugWithin,
        Self::UnplugAfter,
    ];
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub fault: Fault,
    /// At this operation alone; `None` for any.
    pub operation: Option<OperationCode>,
    /// So many matching transactions go well before.
    pub after: u32,
}

impl Planned {
    /// At the next transaction with this operation.
    #[must_use]
    pub const fn at(fault: Fault, operation: OperationCode) -> Self {
        Self { fault, operation: Some(operation), after: 0 }
    }

    /// At the transaction that comes after so many from now.
    #[must_use]
    pub const fn after(fault: Fault, after: u32) -> Self {
        Self { fault, operation: None, after }
    }
}
