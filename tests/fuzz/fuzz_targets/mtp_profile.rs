//! Players' profiles: any text is read or refused, and a player can be made from what is read.
//!
//! It must not write files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::responder::{Place, Profile, SimulatedPlayer};

fuzz_target!(|text: &str| {
    if let Ok(profile) = Profile::from_json(text) {
        assert!(SimulatedPlayer::new(profile, Place::Memory).is_ok());
    }
});
