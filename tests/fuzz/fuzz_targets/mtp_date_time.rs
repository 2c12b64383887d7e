//! Dates: any text is read or refused, and what is read is written so that it reads the same.
//!
//! It must not know a clock.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::codec::date_time::DateTime;

fuzz_target!(|text: &str| {
    if let Some(date) = DateTime::parse(text) {
        assert_eq!(DateTime::parse(&date.to_string()), Some(date));
    }
});
