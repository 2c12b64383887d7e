//! What went wrong between the initiator and a player, as the engine understands it, and what to do about it here.
//!
//! It must not hide a refusal: what has no word of its own is told with the device's.

use tandem_model::error::PlayerError;
use tandem_mtp::codes::ResponseCode;
use tandem_mtp::initiator::{Error, ErrorKind};

/// Why something couldn't be done.
#[derive(Debug)]
pub(crate) enum Fail {
    /// To be told.
    Player(PlayerError),
    /// What was known of the device holds no longer: its session or a handle is gone. List again, then once more.
    Stale(PlayerError),
}

impl Fail {
    /// What is told when it isn't tried again.
    pub(crate) fn told(self) -> PlayerError {
        match self {
            Self::Player(error) | Self::Stale(error) => error,
        }
    }
}

impl From<PlayerError> for Fail {
    fn from(error: PlayerError) -> Self {
        Self::Player(error)
    }
}

/// An initiator's error while `doing` something.
pub(crate) fn failed(doing: &str, error: &Error) -> Fail {
    let other = || PlayerError::Other(format!("{doing} failed: {error}"));
    match error.kind() {
        ErrorKind::Gone => Fail::Player(PlayerError::Removed),
        ErrorKind::SessionLost => Fail::Stale(other()),
        ErrorKind::Busy => {
            Fail::Player(PlayerError::Busy("itself; wait until it has finished what it is doing".to_owned()))
        }
        ErrorKind::Retryable if matches!(error, Error::TimedOut { .. }) => {
            Fail::Player(PlayerError::TimedOut(doing.to_owned()))
        }
        ErrorKind::Retryable | ErrorKind::Local => Fail::Player(other()),
        ErrorKind::Refused => refused(doing, error),
    }
}

fn refused(doing: &str, error: &Error) -> Fail {
    let told = || format!("{doing} failed: {error}");
    Fail::Player(match error.code() {
        Some(ResponseCode::STORE_FULL) => PlayerError::Full,
        Some(ResponseCode::STORE_READ_ONLY | ResponseCode::OBJECT_WRITE_PROTECTED) => {
            PlayerError::ReadOnly(told())
        }
        Some(ResponseCode::ACCESS_DENIED) => PlayerError::NotPermitted(told()),
        Some(ResponseCode::INVALID_OBJECT_HANDLE | ResponseCode::INVALID_PARENT_OBJECT) => {
            return Fail::Stale(PlayerError::Other(told()));
        }
        Some(ResponseCode::STORE_NOT_AVAILABLE | ResponseCode::INVALID_STORAGE_ID) => {
            PlayerError::NotPermitted(
                "the device doesn't show its files; unlock it and allow file transfer".to_owned(),
            )
        }
        _ => PlayerError::Other(told()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_mtp::codec::container::Parameters;
    use tandem_mtp::codes::OperationCode;

    fn refusal(code: ResponseCode) -> Fail {
        let operation = OperationCode::SEND_OBJECT_INFO;
        failed("sending", &Error::Refused { operation, code, parameters: Parameters::new(&[]) })
    }

    #[test]
    fn refusals_have_the_engines_words() {
        assert_eq!(refusal(ResponseCode::STORE_FULL).told(), PlayerError::Full);
        assert!(matches!(refusal(ResponseCode::STORE_READ_ONLY).told(), PlayerError::ReadOnly(_)));
        assert!(matches!(refusal(ResponseCode::INVALID_OBJECT_HANDLE), Fail::Stale(_)));
        let told = refusal(ResponseCode(0x2FFF)).told().to_string();
        assert!(told.contains("0x2fff") && told.contains("sending"), "{told}");
        assert_eq!(failed("x", &Error::Gone).told(), PlayerError::Removed);
    }
}
