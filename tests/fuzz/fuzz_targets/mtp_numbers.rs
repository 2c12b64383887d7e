//! Lists of handles and of codes, strings, and values of every type: any bytes are read or refused.
//!
//! It must not reach a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::Dataset;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::DataType;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(handles) = Vec::<u32>::decode(bytes) {
        assert_eq!(handles.encode().as_deref(), Ok(&bytes[..4 + 4 * handles.len()]));
    }
    if let Ok(codes) = Vec::<u16>::decode(bytes) {
        assert_eq!(codes.encode().as_deref(), Ok(&bytes[..4 + 2 * codes.len()]));
    }
    let Some((kind, rest)) = bytes.split_first_chunk() else { return };
    let data_type = DataType(u16::from_le_bytes(*kind));
    let Ok(value) = Value::decode(rest, data_type) else { return };
    if let Ok(written) = value.encode() {
        assert_eq!(Value::decode(&written, data_type), Ok(value));
    }
});
