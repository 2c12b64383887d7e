//! Whole runs of the real daemon on real files, as prose. Here: the stage (library, players, daemon), and the checker
//! that says file by file whether a player is in step. It knows the contract and no more of the daemon.

mod checker;
mod player;
mod stage;

pub use checker::{WantedPlaylist, out_of_step};
pub use player::Player;
pub use stage::{Ended, Stage};

use dbus_interfaces::{Error, names};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use zbus::DBusError;

/// The contract's word for an error, and its text.
#[must_use]
pub fn refusal(error: zbus::Error) -> (String, String) {
    let error = Error::from(error);
    let word = error.name().trim_start_matches(names::ERROR_PREFIX).to_owned();
    (word, error.description().unwrap_or_default().to_owned())
}

/// The path that a media URI stands for; any bytes survive.
///
/// # Panics
/// When it isn't a percent-encoded `file://` URI.
#[must_use]
pub fn path_of(uri: &str) -> PathBuf {
    let encoded = uri.strip_prefix("file://").unwrap_or_else(|| panic!("`{uri}` is not a file URI"));
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let code = rest.split_at_checked(2).and_then(|(code, after)| {
                rest = after;
                u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()
            });
            bytes.push(code.unwrap_or_else(|| panic!("`{uri}` is not percent-encoded")));
        } else {
            bytes.push(byte);
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}
