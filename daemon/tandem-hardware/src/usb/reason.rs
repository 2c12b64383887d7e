//! Why a USB device was classified as it was, in words for whoever asks.

use tandem_model::id::Guid;
use thiserror::Error;

/// The reason that decided.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// A udev rule keeps everybody off it.
    #[error("a udev rule sets {0}")]
    ByRule(&'static str),
    /// Other software owns it, and it may not be spoken to.
    #[error("devices {0}:{1} belong to other software and may not be spoken to")]
    DoNotTouch(String, String),
    /// It is a hub.
    #[error("it is a hub")]
    Hub,
    /// There is no device node to reach it by.
    #[error("it has no device node")]
    NoNode,
    /// Its ids aren't numbers.
    #[error("its ids `{0}:{1}` are not numbers")]
    NoIds(String, String),
    /// An interface that calls itself so.
    #[error("interface {0} calls itself MTP")]
    NamedMtp(u8),
    /// udev's rules know it or have asked it.
    #[error("udev says that it speaks MTP (ID_MTP_DEVICE or TANDEM_MTP), over interface {0}")]
    KnownMtp(u8),
    /// An interface of the still image class, of no camera.
    #[error("interface {0} is of the still image class, and it is no camera that udev knows")]
    StillImage(u8),
    /// Its descriptors have the compatible id.
    #[error("its Microsoft OS descriptors say that interface {0} speaks MTP")]
    CompatibleMtp(u8),
    /// udev or its descriptors say MTP, but it has nothing to speak it over.
    #[error("it is said to speak MTP, but has no interface with the three endpoints of that")]
    NoMtpInterface,
    /// It is a camera in picture transfer mode.
    #[error("it is in picture transfer mode; choose file transfer on the device")]
    PictureTransfer,
    /// A kernel driver that is no storage driver has the interface.
    #[error("the kernel's driver {1} has its interface {0}")]
    Driver(u8, String),
    /// It has an interface for mass storage.
    #[error("interface {0} is for mass storage: the file systems on it are looked at as block devices")]
    Storage(u8),
    /// A udev rule lists its device interfaces, the portable audio player's among them.
    #[error("the udev property TANDEM_DEVICE_INTERFACES says that it is a portable audio player")]
    PlayerByRule,
    /// Its descriptors list the portable audio player's device interface.
    #[error("its Microsoft OS descriptors say that it is a portable audio player")]
    Player,
    /// A udev rule lists its device interfaces, all others.
    #[error(
        "the udev property TANDEM_DEVICE_INTERFACES does not say that it is a portable audio player: {0}"
    )]
    OthersByRule(String),
    /// Its descriptors list other device interfaces.
    #[error("its Microsoft OS descriptors list other device interfaces: {}", guids(.0))]
    Others(Vec<Guid>),
    /// It was asked and has no descriptors that say what it is.
    #[error("its Microsoft OS descriptors say nothing of players")]
    NothingAdvertised,
    /// It has no Microsoft OS descriptors.
    #[error("it has no Microsoft OS descriptors")]
    NoDescriptors,
    /// It was asked, and did not answer in time.
    #[error("it did not answer in time when it was asked for its Microsoft OS descriptors")]
    Silent,
    /// Its descriptors tell what it is, and aren't known yet.
    #[error("what it is only its Microsoft OS descriptors can tell, and they are not known")]
    Unasked,
    /// No interface that a player could be served over.
    #[error("it has no interface of its vendor's own that a player could be served over")]
    NoInterface,
    /// Devices of that class are no players.
    #[error("devices of class 0x{0:02x} are no players")]
    DeviceClass(u8),
    /// It is for something else.
    #[error("interface {0} is of class 0x{1:02x}, which no player has")]
    OtherPurpose(u8, u8),
    /// Another program has it open.
    #[error("another program uses its interface {0}, and is not to be disturbed")]
    InUse(u8),
}

fn guids(guids: &[Guid]) -> String {
    guids.iter().map(Guid::to_string).collect::<Vec<_>>().join(" ")
}
