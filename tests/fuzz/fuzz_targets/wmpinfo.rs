//! `WMPInfo.xml`: any bytes are read or refused, and what is taken can hold a mark and gives it back.
//!
//! It must not touch a file system.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_model::id::Guid;
use tandem_model::player::Mark;
use tandem_model::wmp_info as mark;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = mark::decode(bytes) else { return };
    let ours = Mark { device: Guid(1), relationship: Guid(2) };
    if mark::parse(&text).is_ok() {
        match mark::merge(Some(&text), ours) {
            Ok(merged) => assert_eq!(mark::parse(&merged), Ok(Some(ours))),
            Err(error) => assert_eq!(error, mark::MarkError::TooLarge),
        }
    }
});
