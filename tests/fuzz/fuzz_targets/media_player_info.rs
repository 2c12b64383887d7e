//! media-player-info: any bytes give capabilities, and any name stays within its directory.
//!
//! It must not touch a file system.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_players::file_system::media_player_info;

fuzz_target!(|bytes: &[u8]| {
    let _ = media_player_info::parse(bytes).capabilities();
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(media_player_info::file_name) {
        assert!(!name.contains('/') && !name.starts_with('.'));
    }
});
