//! Headers of ASF files: any bytes give no more text and no larger picture than they have room for.
//!
//! It must not touch a file system.
#![no_main]

use libfuzzer_sys::fuzz_target;

// a program has no library to take them from
#[path = "../../../daemon/tandem-library-agent/src/scan/tags/asf.rs"]
mod asf;
#[path = "../../../daemon/tandem-library-agent/src/scan/tags/values.rs"]
mod values;

fuzz_target!(|bytes: &[u8]| {
    if let Some(start) = bytes.first_chunk() {
        let _ = asf::size(*start);
    }
    let header = asf::header(bytes);
    assert!(header.values.iter().map(|(_, text)| text.len()).sum::<usize>() <= bytes.len() * 3);
    assert!(asf::picture(bytes).is_none_or(|picture| picture.len() <= bytes.len()));
});
