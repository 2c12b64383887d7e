//! `ObjectInfo`: any bytes are read or refused. A size of 64 bits, which some players send, isn't written again.
//!
//! It must not reach a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::Dataset;
use tandem_mtp::codec::object_info::ObjectInfo;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = ObjectInfo::decode(bytes) else { return };
    if let Ok(written) = read.encode() {
        let again = ObjectInfo::decode(&written);
        assert_eq!(
            again.map(|again| (again.wire_size(), again.file_name)),
            Ok((read.wire_size(), read.file_name))
        );
    }
});
