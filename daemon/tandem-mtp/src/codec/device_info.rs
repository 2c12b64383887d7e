//! DeviceInfo: what a device is and what it can do.
//!
//! It must not judge: what a device claims and what it does are two things.

use super::{Dataset, DecodeError, EncodeError, Reader, Writer};
use crate::codes::{DevicePropertyCode, EventCode, FormatCode, OperationCode};

/// The answer to GetDeviceInfo; MTP 1.1 section 5.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// PTP version in hundredths; 100.
    pub standard_version: u16,
    /// 6 (Microsoft) on players, 0xFFFFFFFF in MTP 1.1.
    pub vendor_extension_id: u32,
    /// In hundredths.
    pub vendor_extension_version: u16,
    /// `name: version;` for each extension; see [`DeviceInfo::has_extension`].
    pub vendor_extension_desc: String,
    /// 0 is the standard mode.
    pub functional_mode: u16,
    /// Operations that it says it supports.
    pub operations: Vec<OperationCode>,
    /// Events that it may send.
    pub events: Vec<EventCode>,
    /// Device properties that it has.
    pub device_properties: Vec<DevicePropertyCode>,
    /// Formats that it records.
    pub capture_formats: Vec<FormatCode>,
    /// Formats that it plays or keeps.
    pub playback_formats: Vec<FormatCode>,
    /// Who made it.
    pub manufacturer: String,
    /// Which product it is.
    pub model: String,
    /// Firmware.
    pub version: String,
    /// Serial number; empty where there is none.
    pub serial: String,
}

impl DeviceInfo {
    /// Whether an operation is announced.
    #[must_use]
    pub fn supports(&self, operation: OperationCode) -> bool {
        self.operations.contains(&operation)
    }

    /// Whether the description of extensions names this one, such as `android.com`. A part of the text is enough: some
    /// devices leave out the separators.
    #[must_use]
    pub fn has_extension(&self, name: &str) -> bool {
        self.vendor_extension_desc.contains(name)
    }
}

impl Dataset for DeviceInfo {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let code = Reader::u16;
        Ok(Self {
            standard_version: reader.u16()?,
            vendor_extension_id: reader.u32()?,
            vendor_extension_version: reader.u16()?,
            vendor_extension_desc: reader.string()?,
            functional_mode: reader.u16()?,
            operations: reader.array(|reader| code(reader).map(OperationCode))?,
            events: reader.array(|reader| code(reader).map(EventCode))?,
            device_properties: reader.array(|reader| code(reader).map(DevicePropertyCode))?,
            capture_formats: reader.array(|reader| code(reader).map(FormatCode))?,
            playback_formats: reader.array(|reader| code(reader).map(FormatCode))?,
            manufacturer: reader.trailing_string()?,
            model: reader.trailing_string()?,
            version: reader.trailing_string()?,
            serial: reader.trailing_string()?,
        })
    }

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        writer.u16(self.standard_version);
        writer.u32(self.vendor_extension_id);
        writer.u16(self.vendor_extension_version);
        writer.string(&self.vendor_extension_desc)?;
        writer.u16(self.functional_mode);
        writer.array(&self.operations, |writer, code| writer.u16(code.0))?;
        writer.array(&self.events, |writer, code| writer.u16(code.0))?;
        writer.array(&self.device_properties, |writer, code| writer.u16(code.0))?;
        writer.array(&self.capture_formats, |writer, code| writer.u16(code.0))?;
        writer.array(&self.playback_formats, |writer, code| writer.u16(code.0))?;
        for text in [&self.manufacturer, &self.model, &self.version, &self.serial] {
            writer.string(text)?;
        }
        Ok(writer.finish())
    }
}
