//! Microsoft OS descriptors 2.0, and the object store that tells of them: any bytes give no more than they have room for.
//!
//! It must not ask a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_hardware::microsoft::v2;

fuzz_target!(|bytes: &[u8]| {
    let _ = v2::descriptor_set(bytes);
    let advertised = v2::advertised(bytes).unwrap_or_default();
    assert!(advertised.compatible_ids.len() * 20 <= bytes.len());
    assert!(advertised.device_interfaces.len() * 72 <= bytes.len());
});
