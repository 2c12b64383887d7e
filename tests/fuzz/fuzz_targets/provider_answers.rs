//! Answers of service providers, as they come off the bus: any bytes are refused, or are what can be.
//!
//! It must not call a provider.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tandem_dbus::read_any_answer(bytes));
