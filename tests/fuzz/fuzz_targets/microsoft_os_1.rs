//! Microsoft OS descriptors 1.0: any bytes give no more ids and interfaces than they have room for.
//!
//! It must not ask a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_hardware::microsoft::v1;

fuzz_target!(|bytes: &[u8]| {
    let _ = v1::vendor_code(bytes);
    let ids = v1::compatible_ids(bytes).unwrap_or_default();
    assert!(ids.len() * 24 <= bytes.len());
    let properties = v1::properties(bytes, 0).unwrap_or_default();
    assert!(properties.device_interfaces.len() * 72 <= bytes.len());
});
