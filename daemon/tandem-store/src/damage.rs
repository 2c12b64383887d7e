//! What is wrong with a manifest: SQLite's errors sorted into damage and trouble, and the look at a file's header.
//!
//! Damage is what stays when the disk is well again; only damage may lead to a file being set aside.

use rusqlite::ErrorCode;
use std::path::Path;
use tandem_model::error::StoreError;

/// Bytes of SQLite's file header.
pub(crate) const HEADER_LENGTH: usize = 100;

/// Bytes that a commit may need for its log and the log's index.
const LEAST_SPACE: u64 = 128 << 10;

/// The store's error for SQLite's.
pub(crate) fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let code = error.sqlite_error_code();
    let damage = match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        // our statements are fixed, so only the file's tables can be at fault
        | rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)),
    };
    if damage {
        return damaged(path, error.to_string());
    }
    let remedy = code.map_or("", |code| remedy(code, || is_full(path)));
    StoreError::Io { path: path.display().to_string(), cause: format!("{error}{remedy}") }
}

/// What the administrator can do about it.
fn remedy(code: ErrorCode, is_full: impl FnOnce() -> bool) -> &'static str {
    match code {
        ErrorCode::DiskFull => "; free some space there",
        // that is also the answer to a log's index that can't grow
        ErrorCode::SystemIoFailure if is_full() => "; the disk is full: free some space there",
        ErrorCode::SystemIoFailure => "; look whether the disk is sound",
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            "; make the file and its directory writable for the user tandemd runs as"
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "; end the other program that holds it open",
        _ => "",
    }
}

/// Whether hardly anything can be written any more beside this file.
fn is_full(path: &Path) -> bool {
    let directory = path.parent().unwrap_or(Path::new("."));
    rustix::fs::statvfs(directory).is_ok_and(|told| {
        told.f_bavail.saturating_mul(told.f_frsize) < LEAST_SPACE || told.f_favail == 0 && told.f_files > 0
    })
}

/// The error for a file whose content isn't what it should be.
pub(crate) fn damaged(path: &Path, cause: String) -> StoreError {
    StoreError::Damaged { path: path.display().to_string(), cause }
}

/// What is odd about the first bytes of a manifest of this length; `None` for nothing. A file that was cut off
/// while its log still holds the rest looks odd too, so what is odd needs a closer look before it is called damaged.
pub(crate) fn odd_header(header: &[u8], length: u64) -> Option<&'static str> {
    let Some(header) = header.first_chunk::<HEADER_LENGTH>() else {
        return Some("it is shorter than a database's header");
    };
    if !header.starts_with(b"SQLite format 3\0") {
        return Some("it is not an SQLite database");
    }
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        size if size >= 512 && size.is_power_of_two() => u64::from(size),
        _ => return Some("its header has no valid page size"),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    // a later SQLite's count is only valid beside the change it was made with
    let pages_valid = header[24..28] == header[92..96];
    if !length.is_multiple_of(page_size) || (pages_valid && u64::from(pages) * page_size != length) {
        return Some("its length is not what its header tells");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_on_a_full_disk_names_the_remedy() {
        assert!(remedy(ErrorCode::DiskFull, || false).contains("free some space"));
        assert!(remedy(ErrorCode::SystemIoFailure, || true).contains("free some space"));
        assert!(!remedy(ErrorCode::SystemIoFailure, || false).contains("space"));
    }

    proptest! {
        #[test]
        fn any_header_is_taken(header: Vec<u8>, length: u64) {
            prop_assert!(odd_header(&header, length).is_some());
        }

        #[test]
        fn any_rest_of_a_header_is_taken(rest in prop::collection::vec(any::<u8>(), 84), length: u64) {
            let mut header = b"SQLite format 3\0".to_vec();
            header.extend(rest);
            let _ = odd_header(&header, length);
        }
    }
}
