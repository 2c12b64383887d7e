//! The protocol's numbers as open newtypes: a code without a name here is kept as it came.
//!
//! Names and numbers are those of PTP (ISO 15740), MTP 1.1 and Android's published extension. It must not hold behaviour.

use std::fmt;

/// Makes a code's newtype with its named values.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl $name {
            $(#[doc = concat!("`", stringify!($value), "`: ", $text, ".")] $(#[$item])* pub const $constant: Self = Self($value);)*

            /// The standard's name of it; `None` for a code that has none here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name} ({:#06x})", self.0),
                    None => write!(f, "{:#06x}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

codes! {
    /// What the initiator asks for.
    OperationCode {
        GET_DEVICE_INFO = 0x1001, "GetDeviceInfo";
        OPEN_SESSION = 0x1002, "OpenSession";
        CLOSE_SESSION = 0x1003, "CloseSession";
        GET_STORAGE_IDS = 0x1004, "GetStorageIDs";
        GET_STORAGE_INFO = 0x1005, "GetStorageInfo";
        GET_NUM_OBJECTS = 0x1006, "GetNumObjects";
        GET_OBJECT_HANDLES = 0x1007, "GetObjectHandles";
        GET_OBJECT_INFO = 0x1008, "GetObjectInfo";
        GET_OBJECT = 0x1009, "GetObject";
        DELETE_OBJECT = 0x100B, "DeleteObject";
        SEND_OBJECT_INFO = 0x100C, "SendObjectInfo";
        SEND_OBJECT = 0x100D, "SendObject";
        GET_DEVICE_PROP_DESC = 0x1014, "GetDevicePropDesc";
        GET_DEVICE_PROP_VALUE = 0x1015, "GetDevicePropValue";
        SET_DEVICE_PROP_VALUE = 0x1016, "SetDevicePropValue";
        RESET_DEVICE_PROP_VALUE = 0x1017, "ResetDevicePropValue";
        MOVE_OBJECT = 0x1019, "MoveObject";
        COPY_OBJECT = 0x101A, "CopyObject";
        GET_PARTIAL_OBJECT = 0x101B, "GetPartialObject";
        GET_PARTIAL_OBJECT_64 = 0x95C1, "GetPartialObject64";
        SEND_PARTIAL_OBJECT = 0x95C2, "SendPartialObject";
        TRUNCATE_OBJECT = 0x95C3, "TruncateObject";
        BEGIN_EDIT_OBJECT = 0x95C4, "BeginEditObject";
        END_EDIT_OBJECT = 0x95C5, "EndEditObject";
        GET_OBJECT_PROPS_SUPPORTED = 0x9801, "GetObjectPropsSupported";
        GET_OBJECT_PROP_DESC = 0x9802, "GetObjectPropDesc";
        GET_OBJECT_PROP_VALUE = 0x9803, "GetObjectPropValue";
        SET_OBJECT_PROP_VALUE = 0x9804, "SetObjectPropValue";
        GET_OBJECT_PROP_LIST = 0x9805, "GetObjectPropList";
        SET_OBJECT_PROP_LIST = 0x9806, "SetObjectPropList";
        GET_INTERDEPENDENT_PROP_DESC = 0x9807, "GetInterdependentPropDesc";
        SEND_OBJECT_PROP_LIST = 0x9808, "SendObjectPropList";
        GET_OBJECT_REFERENCES = 0x9810, "GetObjectReferences";
        SET_OBJECT_REFERENCES = 0x9811, "SetObjectReferences";
    }
}

codes! {
    /// What the responder says of an operation.
    ResponseCode {
        OK = 0x2001, "OK";
        GENERAL_ERROR = 0x2002, "General_Error";
        SESSION_NOT_OPEN = 0x2003, "Session_Not_Open";
        INVALID_TRANSACTION_ID = 0x2004, "Invalid_TransactionID";
        OPERATION_NOT_SUPPORTED = 0x2005, "Operation_Not_Supported";
        PARAMETER_NOT_SUPPORTED = 0x2006, "Parameter_Not_Supported";
        INCOMPLETE_TRANSFER = 0x2007, "Incomplete_Transfer";
        INVALID_STORAGE_ID = 0x2008, "Invalid_StorageID";
        INVALID_OBJECT_HANDLE = 0x2009, "Invalid_ObjectHandle";
        DEVICE_PROP_NOT_SUPPORTED = 0x200A, "DeviceProp_Not_Supported";
        INVALID_OBJECT_FORMAT_CODE = 0x200B, "Invalid_ObjectFormatCode";
        STORE_FULL = 0x200C, "Store_Full";
        OBJECT_WRITE_PROTECTED = 0x200D, "Object_WriteProtected";
        STORE_READ_ONLY = 0x200E, "Store_Read_Only";
        ACCESS_DENIED = 0x200F, "Access_Denied";
        NO_THUMBNAIL = 0x2010, "No_Thumbnail_Present";
        PARTIAL_DELETION = 0x2012, "Partial_Deletion";
        STORE_NOT_AVAILABLE = 0x2013, "Store_Not_Available";
        SPEC_BY_FORMAT_UNSUPPORTED = 0x2014, "Specification_By_Format_Unsupported";
        NO_VALID_OBJECT_INFO = 0x2015, "No_Valid_ObjectInfo";
        DEVICE_BUSY = 0x2019, "Device_Busy";
        INVALID_PARENT_OBJECT = 0x201A, "Invalid_ParentObject";
        INVALID_DEVICE_PROP_FORMAT = 0x201B, "Invalid_DeviceProp_Format";
        INVALID_DEVICE_PROP_VALUE = 0x201C, "Invalid_DeviceProp_Value";
        INVALID_PARAMETER = 0x201D, "Invalid_Parameter";
        SESSION_ALREADY_OPEN = 0x201E, "Session_Already_Open";
        TRANSACTION_CANCELLED = 0x201F, "Transaction_Cancelled";
        SPEC_OF_DESTINATION_UNSUPPORTED = 0x2020, "Specification_of_Destination_Unsupported";
        INVALID_OBJECT_PROP_CODE = 0xA801, "Invalid_ObjectPropCode";
        INVALID_OBJECT_PROP_FORMAT = 0xA802, "Invalid_ObjectProp_Format";
        INVALID_OBJECT_PROP_VALUE = 0xA803, "Invalid_ObjectProp_Value";
        INVALID_OBJECT_REFERENCE = 0xA804, "Invalid_ObjectReference";
        GROUP_NOT_SUPPORTED = 0xA805, "Group_Not_Supported";
        INVALID_DATASET = 0xA806, "Invalid_Dataset";
        SPEC_BY_GROUP_UNSUPPORTED = 0xA807, "Specification_By_Group_Unsupported";
        SPEC_BY_DEPTH_UNSUPPORTED = 0xA808, "Specification_By_Depth_Unsupported";
        OBJECT_TOO_LARGE = 0xA809, "Object_Too_Large";
        OBJECT_PROP_NOT_SUPPORTED = 0xA80A, "ObjectProp_Not_Supported";
    }
}

codes! {
    /// What the responder tells unasked, on the interrupt pipe.
    EventCode {
        CANCEL_TRANSACTION = 0x4001, "CancelTransaction";
        OBJECT_ADDED = 0x4002, "ObjectAdded";
        OBJECT_REMOVED = 0x4003, "ObjectRemoved";
        STORE_ADDED = 0x4004, "StoreAdded";
        STORE_REMOVED = 0x4005, "StoreRemoved";
        DEVICE_PROP_CHANGED = 0x4006, "DevicePropChanged";
        OBJECT_INFO_CHANGED = 0x4007, "ObjectInfoChanged";
        DEVICE_INFO_CHANGED = 0x4008, "DeviceInfoChanged";
        STORE_FULL = 0x400A, "StoreFull";
        STORAGE_INFO_CHANGED = 0x400C, "StorageInfoChanged";
        OBJECT_PROP_CHANGED = 0xC801, "ObjectPropChanged";
        OBJECT_PROP_DESC_CHANGED = 0xC802, "ObjectPropDescChanged";
        OBJECT_REFERENCES_CHANGED = 0xC803, "ObjectReferencesChanged";
    }
}

codes! {
    /// What an object is.
    FormatCode {
        UNDEFINED = 0x3000, "Undefined";
        ASSOCIATION = 0x3001, "Association (folder)";
        TEXT = 0x3004, "Text";
        AIFF = 0x3007, "AIFF";
        WAV = 0x3008, "WAV";
        MP3 = 0x3009, "MP3";
        AVI = 0x300A, "AVI";
        ASF = 0x300C, "ASF";
        EXIF_JPEG = 0x3801, "EXIF/JPEG";
        PNG = 0x380B, "PNG";
        UNDEFINED_AUDIO = 0xB900, "Undefined Audio";
        WMA = 0xB901, "WMA";
        OGG = 0xB902, "OGG";
        AAC = 0xB903, "AAC";
        AUDIBLE = 0xB904, "Audible";
        FLAC = 0xB906, "FLAC";
        SAMSUNG_PLAYLIST = 0xB909, "Samsung Playlist";
        M4A = 0xB215, "M4A";
        WMV = 0xB981, "WMV";
        MP4 = 0xB982, "MP4";
        UNDEFINED_COLLECTION = 0xBA00, "Undefined Collection";
        ABSTRACT_AUDIO_ALBUM = 0xBA03, "Abstract Audio Album";
        ABSTRACT_AUDIO_VIDEO_PLAYLIST = 0xBA05, "Abstract Audio & Video Playlist";
        ABSTRACT_AUDIO_PLAYLIST = 0xBA09, "Abstract Audio Playlist";
        ABSTRACT_MEDIACAST = 0xBA0B, "Abstract Mediacast";
        WPL = 0xBA10, "WPL Playlist";
        M3U = 0xBA11, "M3U Playlist";
        MPL = 0xBA12, "MPL Playlist";
        ASX = 0xBA13, "ASX Playlist";
        PLS = 0xBA14, "PLS Playlist";
    }
}

codes! {
    /// A property of an object.
    ObjectPropertyCode {
        STORAGE_ID = 0xDC01, "StorageID";
        OBJECT_FORMAT = 0xDC02, "ObjectFormat";
        PROTECTION_STATUS = 0xDC03, "ProtectionStatus";
        OBJECT_SIZE = 0xDC04, "ObjectSize";
        OBJECT_FILE_NAME = 0xDC07, "ObjectFileName";
        DATE_CREATED = 0xDC08, "DateCreated";
        DATE_MODIFIED = 0xDC09, "DateModified";
        PARENT_OBJECT = 0xDC0B, "ParentObject";
        HIDDEN = 0xDC0D, "Hidden";
        PERSISTENT_UNIQUE_OBJECT_IDENTIFIER = 0xDC41, "PersistentUniqueObjectIdentifier";
        SYNC_ID = 0xDC42, "SyncID";
        NAME = 0xDC44, "Name";
        ARTIST = 0xDC46, "Artist";
        DATE_AUTHORED = 0xDC47, "DateAuthored";
        DESCRIPTION = 0xDC48, "Description";
        DATE_ADDED = 0xDC4E, "DateAdded";
        NON_CONSUMABLE = 0xDC4F, "NonConsumable";
        REPRESENTATIVE_SAMPLE_FORMAT = 0xDC81, "RepresentativeSampleFormat";
        REPRESENTATIVE_SAMPLE_SIZE = 0xDC82, "RepresentativeSampleSize";
        REPRESENTATIVE_SAMPLE_HEIGHT = 0xDC83, "RepresentativeSampleHeight";
        REPRESENTATIVE_SAMPLE_WIDTH = 0xDC84, "RepresentativeSampleWidth";
        REPRESENTATIVE_SAMPLE_DURATION = 0xDC85, "RepresentativeSampleDuration";
        REPRESENTATIVE_SAMPLE_DATA = 0xDC86, "RepresentativeSampleData";
        DURATION = 0xDC89, "Duration";
        RATING = 0xDC8A, "Rating";
        TRACK = 0xDC8B, "Track";
        GENRE = 0xDC8C, "Genre";
        USE_COUNT = 0xDC91, "UseCount";
        SKIP_COUNT = 0xDC92, "SkipCount";
        LAST_ACCESSED = 0xDC93, "LastAccessed";
        COMPOSER = 0xDC96, "Composer";
        EFFECTIVE_RATING = 0xDC97, "EffectiveRating";
        ORIGINAL_RELEASE_DATE = 0xDC99, "OriginalReleaseDate";
        ALBUM_NAME = 0xDC9A, "AlbumName";
        ALBUM_ARTIST = 0xDC9B, "AlbumArtist";
        DRM_STATUS = 0xDC9D, "DRMStatus";
        TOTAL_BIT_RATE = 0xDE91, "TotalBitRate";
        BIT_RATE_TYPE = 0xDE92, "BitRateType";
        SAMPLE_RATE = 0xDE93, "SampleRate";
        NUMBER_OF_CHANNELS = 0xDE94, "NumberOfChannels";
        AUDIO_WAVE_CODEC = 0xDE99, "AudioWAVECodec";
        AUDIO_BIT_RATE = 0xDE9A, "AudioBitRate";
    }
}

codes! {
    /// A property of the device.
    DevicePropertyCode {
        BATTERY_LEVEL = 0x5001, "BatteryLevel";
        FUNCTIONAL_MODE = 0x5002, "FunctionalMode";
        DATE_TIME = 0x5011, "DateTime";
        SECURE_TIME = 0xD101, "SecureTime";
        DEVICE_CERTIFICATE = 0xD102, "DeviceCertificate";
        SYNCHRONIZATION_PARTNER = 0xD401, "SynchronizationPartner";
        DEVICE_FRIENDLY_NAME = 0xD402, "DeviceFriendlyName";
        VOLUME = 0xD403, "Volume";
        SUPPORTED_FORMATS_ORDERED = 0xD404, "SupportedFormatsOrdered";
        DEVICE_ICON = 0xD405, "DeviceIcon";
        SESSION_INITIATOR_VERSION_INFO = 0xD406, "SessionInitiatorVersionInfo";
        PERCEIVED_DEVICE_TYPE = 0xD407, "PerceivedDeviceType";
    }
}

/// Makes the newtype of a 32-bit id.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#010x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// A storage: the physical store in the upper half, the logical one in the lower; a lower half of 0 has no medium.
    StorageId;
    /// An object, within one session: it may name another object in the next.
    ObjectHandle;
}

impl StorageId {
    /// In a listing: every storage.
    pub const ALL: Self = Self(0xFFFF_FFFF);
    /// In a creation: the device chooses.
    pub const DEVICE_CHOOSES: Self = Self(0);

    /// Whether a medium is in it.
    #[must_use]
    pub const fn has_medium(self) -> bool {
        self.0 & 0xFFFF != 0
    }
}

impl ObjectHandle {
    /// In an answer: no object; as a parent: the root. Some devices say `0xFFFFFFFF` or the storage's id instead, see
    /// [`ObjectHandle::is_root_of`].
    pub const ROOT: Self = Self(0);
    /// In a request: the root's level in listings and creations, every object elsewhere.
    pub const ALL_ONES: Self = Self(0xFFFF_FFFF);

    /// Whether a parent that a device reports means the root of that storage.
    #[must_use]
    pub const fn is_root_of(self, storage: StorageId) -> bool {
        self.0 == 0 || self.0 == 0xFFFF_FFFF || self.0 == storage.0
    }
}

codes! {
    /// How a value is laid out; arrays have bit 0x4000.
    DataType {
        INT8 = 0x0001, "INT8";
        UINT8 = 0x0002, "UINT8";
        INT16 = 0x0003, "INT16";
        UINT16 = 0x0004, "UINT16";
        INT32 = 0x0005, "INT32";
        UINT32 = 0x0006, "UINT32";
        INT64 = 0x0007, "INT64";
        UINT64 = 0x0008, "UINT64";
        INT128 = 0x0009, "INT128";
        UINT128 = 0x000A, "UINT128";
        AUINT8 = 0x4002, "AUINT8";
        AUINT16 = 0x4004, "AUINT16";
        AUINT32 = 0x4006, "AUINT32";
        AUINT64 = 0x4008, "AUINT64";
        STRING = 0xFFFF, "STRING";
    }
}
