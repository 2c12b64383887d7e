//! The one table from the engine's errors to the contract's error names.
//!
//! Nothing else makes a `Failed`, and nothing else decides what an error is called on the bus.

use crate::message::presentable;
use dbus_interfaces::Error;
use tandem_model::error::{LibraryError, RequestError};
use zbus::DBusError;

/// The contract's error for a refused request.
pub(crate) fn contract(error: RequestError) -> Error {
    let text = presentable(&error.to_string());
    match error {
        RequestError::NotConnected(_) => Error::NotConnected(text),
        RequestError::Initializing(_) => Error::Initializing(text),
        RequestError::ManualDevice(..) => Error::ManualDevice(text),
        RequestError::PartnershipNotExist(_) => Error::PartnershipNotExist(text),
        RequestError::PartnershipLimit(_) => Error::PartnershipLimit(text),
        RequestError::SyncInProgress(_) => Error::SyncInProgress(text),
        RequestError::InvalidArgument(_) => Error::InvalidArgument(text),
        RequestError::ReadOnly(_) => Error::ReadOnly(text),
        RequestError::NotAuthorized(_) => Error::NotAuthorized(text),
        RequestError::NotFound(_) => Error::NotFound(text),
        RequestError::Busy(_) => Error::Busy(text),
        RequestError::Failed(_) => Error::Failed(text),
    }
}

/// The contract's error for what a library refuses.
pub(crate) fn from_library(error: LibraryError) -> Error {
    contract(error.into())
}

/// The contract's error for what the bus itself failed at, with what was being done.
pub(crate) fn from_bus(doing: &str, error: &zbus::Error) -> Error {
    Error::Failed(presentable(&format!("{doing} failed: {error}")))
}

/// The contract's error for a property that could not be set while its caller waited.
pub(crate) fn set_timed_out(property: &str) -> Error {
    Error::Failed(format!("setting {property} takes too long; look at its value in a moment and try again"))
}

/// An error's full name on the bus.
pub(crate) fn name(error: RequestError) -> String {
    contract(error).name().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbus_interfaces::names;

    #[test]
    fn what_a_caller_has_sent_is_repeated_on_one_line_and_shortened() {
        let sent = format!("`/a\n\u{1b}[2J{}` is not a directory; give one", "x".repeat(100_000));
        let told = contract(RequestError::InvalidArgument(sent));
        let told = told.description().unwrap();
        assert!(
            told.starts_with(r"`/a\n\u{1b}[2Jx")
                && told.ends_with("(100007 characters)` is not a directory; give one"),
            "{told}"
        );
        assert!(told.len() < 300, "{told}");
    }

    #[test]
    fn every_request_error_has_a_name_of_its_own_and_keeps_its_text() {
        let all: [fn(String) -> RequestError; 12] = [
            RequestError::NotConnected,
            RequestError::Initializing,
            |device| RequestError::ManualDevice(device, String::new()),
            RequestError::PartnershipNotExist,
            RequestError::PartnershipLimit,
            RequestError::SyncInProgress,
            RequestError::InvalidArgument,
            RequestError::ReadOnly,
            RequestError::NotAuthorized,
            RequestError::NotFound,
            RequestError::Busy,
            RequestError::Failed,
        ];
        for (make, word) in all.into_iter().zip(names::ERRORS) {
            let error = make("Walkman".to_owned());
            let text = error.to_string();
            assert_eq!(name(error.clone()), format!("{}{word}", names::ERROR_PREFIX));
            assert_eq!(contract(error).description(), Some(text.as_str()));
        }
    }
}
