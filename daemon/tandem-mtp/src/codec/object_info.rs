//! ObjectInfo: what PTP tells of an object.
//!
//! It must not be taken for the whole truth: its size has 32 bits, and ObjectSize is the one to believe.

use super::{Dataset, DecodeError, EncodeError, Reader, Writer};
use crate::codes::{FormatCode, ObjectHandle, StorageId};

/// The 32-bit size of an object of 4 GiB and more.
pub const SIZE_TOO_LARGE: u32 = 0xFFFF_FFFF;

/// The answer to GetObjectInfo and what SendObjectInfo sends; MTP 1.1 section 5.3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Where it is; ignored when it is sent.
    pub storage: StorageId,
    /// What it is.
    pub format: FormatCode,
    /// 0 for none.
    pub protection: u16,
    /// Bytes; see [`ObjectInfo::wire_size`] for how it is sent.
    pub size: u64,
    /// Thumbnail: format, bytes, width, height.
    pub thumbnail: (FormatCode, u32, u32, u32),
    /// Picture: width, height, depth in bits.
    pub image: (u32, u32, u32),
    /// The folder that it lies in; see [`ObjectHandle::is_root_of`].
    pub parent: ObjectHandle,
    /// 1 for a folder.
    pub association_type: u16,
    /// 0 for a plain folder.
    pub association_desc: u32,
    /// Place in a sequence.
    pub sequence: u32,
    /// Its name.
    pub file_name: String,
    /// As the device writes it; see `DateTime::parse`.
    pub created: String,
    /// As the device writes it.
    pub modified: String,
    /// Free text.
    pub keywords: String,
}

impl ObjectInfo {
    /// Of an object that is about to be made.
    #[must_use]
    pub fn new(format: FormatCode, size: u64, file_name: &str) -> Self {
        let folder = format == FormatCode::ASSOCIATION;
        Self {
            storage: StorageId(0),
            format,
            protection: 0,
            size,
            thumbnail: (FormatCode(0), 0, 0, 0),
            image: (0, 0, 0),
            parent: ObjectHandle::ROOT,
            association_type: u16::from(folder),
            association_desc: 0,
            sequence: 0,
            file_name: file_name.to_owned(),
            created: String::new(),
            modified: String::new(),
            keywords: String::new(),
        }
    }

    /// The size as 32 bits hold it; [`SIZE_TOO_LARGE`] for one that doesn't fit.
    #[must_use]
    pub fn wire_size(&self) -> u32 {
        u32::try_from(self.size).unwrap_or(SIZE_TOO_LARGE)
    }
}

/// Bytes before the strings.
const FIXED_BYTES: usize = 52;

/// Some Samsung players write the size in 64 bits, which moves all that follows by four bytes. Four zero bytes where the
/// strings should be are four empty strings, and nothing can follow those; so what follows tells.
fn has_wide_size(bytes: &[u8]) -> bool {
    let strings = bytes.get(FIXED_BYTES..FIXED_BYTES + 4);
    strings == Some(&[0; 4]) && bytes.get(FIXED_BYTES + 4).is_some_and(|count| *count > 1)
}

impl Dataset for ObjectInfo {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wide = has_wide_size(bytes);
        let mut reader = Reader::new(bytes);
        let storage = StorageId(reader.u32()?);
        let format = FormatCode(reader.u16()?);
        let protection = reader.u16()?;
        let size = if wide { reader.u64()? } else { u64::from(reader.u32()?) };
        Ok(Self {
            storage,
            format,
            protection,
            size,
            thumbnail: (FormatCode(reader.u16()?), reader.u32()?, reader.u32()?, reader.u32()?),
            image: (reader.u32()?, reader.u32()?, reader.u32()?),
            parent: ObjectHandle(reader.u32()?),
            association_type: reader.u16()?,
            association_desc: reader.u32()?,
            sequence: reader.u32()?,
            file_name: reader.trailing_string()?,
            created: reader.trailing_string()?,
            modified: reader.trailing_string()?,
            keywords: reader.trailing_string()?,
        })
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.u32(self.storage.0);
        writer.u16(self.format.0);
        writer.u16(self.protection);
        writer.u32(self.wire_size());
        let (format, size, width, height) = self.thumbnail;
        writer.u16(format.0);
        [size, width, height].into_iter().for_each(|value| writer.u32(value));
        let (width, height, depth) = self.image;
        [width, height, depth, self.parent.0].into_iter().for_each(|value| writer.u32(value));
        writer.u16(self.association_type);
        writer.u32(self.association_desc);
        writer.u32(self.sequence);
        for text in [&self.file_name, &self.created, &self.modified, &self.keywords] {
            writer.string(text)?;
        }
        Ok(writer.finish())
    }
}
