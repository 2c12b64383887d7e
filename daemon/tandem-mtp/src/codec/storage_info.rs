//! StorageInfo: a storage's kind and space.
//!
//! It must not trust the numbers: free space above the capacity has been seen.

use super::{Dataset, DecodeError, EncodeError, Reader, Writer};

/// The answer to GetStorageInfo; MTP 1.1 section 5.2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageInfo {
    /// 1 fixed ROM, 2 removable ROM, 3 fixed RAM, 4 removable RAM.
    pub storage_type: u16,
    /// 1 flat, 2 hierarchical, 3 DCF.
    pub filesystem_type: u16,
    /// 0 read and write, 1 read only, 2 read only with deletion.
    pub access: u16,
    /// Bytes.
    pub capacity: u64,
    /// Bytes.
    pub free_bytes: u64,
    /// 0xFFFFFFFF where the device doesn't know.
    pub free_objects: u32,
    /// For people.
    pub description: String,
    /// Its serial number, where it has one.
    pub volume: String,
}

impl Dataset for StorageInfo {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            storage_type: reader.u16()?,
            filesystem_type: reader.u16()?,
            access: reader.u16()?,
            capacity: reader.u64()?,
            free_bytes: reader.u64()?,
            free_objects: reader.u32()?,
            description: reader.trailing_string()?,
            volume: reader.trailing_string()?,
        })
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.u16(self.storage_type);
        writer.u16(self.filesystem_type);
        writer.u16(self.access);
        writer.u64(self.capacity);
        writer.u64(self.free_bytes);
        writer.u32(self.free_objects);
        writer.string(&self.description)?;
        writer.string(&self.volume)?;
        Ok(writer.finish())
    }
}
