//! Descriptions of the device's properties, with every form: any bytes are read or refused, and what is read is written so that it reads the same.
//!
//! It must not reach a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::Dataset;
use tandem_mtp::codec::property::DevicePropertyDescription;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = DevicePropertyDescription::decode(bytes) else { return };
    if let Ok(written) = read.encode() {
        assert_eq!(DevicePropertyDescription::decode(&written), Ok(read));
    }
});
