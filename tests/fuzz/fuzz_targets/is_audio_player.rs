//! `.is_audio_player`: any bytes give capabilities.
//!
//! It must not touch a file system.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_players::file_system::hints;

fuzz_target!(|bytes: &[u8]| {
    let _ = hints::parse(bytes).capabilities();
});
