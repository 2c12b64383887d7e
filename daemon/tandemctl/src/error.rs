//! What can go wrong, in words for the user, and the exit code that each kind of failure has.
//! The codes are documented in [`crate::help::EXIT_STATUS`]; nothing else in the program chooses one.

use crate::output::with_advice;
use dbus_interfaces::names::ERROR_PREFIX;
use std::io;
use thiserror::Error;
use zbus::fdo;

/// The program's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done.
    Ok = 0,
    /// Anything that has no code of its own.
    Failed = 1,
    /// The command line, or a value on it, can't be, or what it names can't be changed.
    Usage = 2,
    /// No such device, playlist or media, or more than one.
    NotFound = 3,
    /// The daemon says that the caller may not.
    NotAuthorized = 4,
    /// Done but for some items.
    Partial = 5,
    /// The device is absent, being set up, synchronising, or held by another program.
    Unavailable = 6,
    /// The daemon can't be reached, or does not answer.
    Unreachable = 7,
    /// Interrupted while waiting, or the run was stopped.
    Interrupted = 8,
}

impl Exit {
    /// One code for several devices: the first failure that is more than a few items decides.
    pub(crate) fn of_all(codes: impl IntoIterator<Item = Self>) -> Self {
        let mut overall = Self::Ok;
        for code in codes {
            match code {
                Self::Ok => {}
                Self::Partial if overall == Self::Ok => overall = Self::Partial,
                Self::Partial => {}
                other => return other,
            }
        }
        overall
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A value on the command line can't be; says what would do.
    #[error("{0}")]
    Usage(String),
    /// Nothing, or more than one thing, has that name; lists what there is.
    #[error("{0}")]
    NotFound(String),
    /// The daemon refused: the contract's word and its message.
    #[error("{message}")]
    Refused {
        /// The part of the error's name behind the contract's prefix.
        word: String,
        /// What the daemon said.
        message: String,
    },
    /// The bus or the daemon isn't there.
    #[error("{0}")]
    Unreachable(String),
    /// The daemon did not answer within the limit.
    #[error(
        "the daemon did not answer in time; it may be busy or hung, see its log, or allow it longer with --timeout"
    )]
    TimedOut,
    /// The daemon's answer isn't what the contract says.
    #[error("the daemon's answer can't be understood ({0}); are tandemd and tandemctl of the same version?")]
    Mismatch(String),
    /// The user interrupted the wait; says what goes on.
    #[error("{0}")]
    Interrupted(String),
    /// Anything else, with its cause and what to do.
    #[error("{0}")]
    Failed(String),
    /// Standard output can't be written.
    #[error("can't write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// The exit code of this failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            Self::Refused { word, .. } => exit_of_word(word),
            Self::Unreachable(_) | Self::TimedOut => Exit::Unreachable,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Mismatch(_) | Self::Failed(_) => Exit::Failed,
            // the reader has had enough: that is no failure
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// Whether there is nobody left to tell.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What the user can do about it with this program, where the message doesn't say so itself.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        let Self::Refused { word, message } = self else { return None };
        match word.as_str() {
            "InvalidArgument" if message.starts_with("rule, column") => {
                Some("`tandemctl help rules` explains rules")
            }
            "PartnershipNotExist" => Some("`tandemctl partner DEVICE` makes a partnership with your library"),
            "PartnershipLimit" => Some("`tandemctl unpartner OTHER` ends one that is no longer needed"),
            "SyncInProgress" => Some("`tandemctl stop DEVICE` ends the run"),
            "NotAuthorized" => Some("try again from a local session, or as an administrator"),
            _ => None,
        }
    }

    /// A refusal as an event reports it: `name` is the contract's word, with or without its prefix.
    pub(crate) fn refused(name: &str, message: &str) -> Self {
        let word = name.strip_prefix(ERROR_PREFIX).unwrap_or(name);
        let message =
            if message.is_empty() { format!("the daemon refused: {word}") } else { message.to_owned() };
        Self::Refused { word: word.to_owned(), message }
    }
}

/// The exit code of one of the contract's error words.
fn exit_of_word(word: &str) -> Exit {
    match word {
        "NotConnected" | "Initializing" | "SyncInProgress" | "Busy" => Exit::Unavailable,
        "InvalidArgument" | "ReadOnly" => Exit::Usage,
        "NotAuthorized" => Exit::NotAuthorized,
        "NotFound" => Exit::NotFound,
        _ => Exit::Failed,
    }
}

/// The exit code of an item error that ended a whole run.
pub(crate) fn exit_of_run_error(word: &str) -> Exit {
    match word {
        "cancelled" => Exit::Interrupted,
        "device-removed" | "device-busy" => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

/// What ended a whole run, with what to do about it: the daemon's advice where it gives one, else ours.
pub(crate) fn explain_run_error(word: &str, message: &str) -> String {
    let advised = with_advice(message);
    // what a service provider has done comes with what helps
    let has_advice = advised != message || message.contains("service provider");
    match remedy_of_run_error(word).filter(|_| !has_advice) {
        Some(remedy) => format!("{word}: {message}; {remedy}"),
        None => format!("{word}: {advised}"),
    }
}

/// What to do about an item error that ended a whole run.
fn remedy_of_run_error(word: &str) -> Option<&'static str> {
    match word {
        "would-delete-too-much" => Some(
            "if that is what you want, `tandemctl set DEVICE AllowMassDeletion True` allows it for the next run",
        ),
        "library-unavailable" => {
            Some("`tandemctl folders` shows the library's folders; nothing was deleted from the device")
        }
        "device-busy" => Some("close the program that uses the device and try again"),
        "device-removed" => Some("plug it in again and the run goes on where it was"),
        _ => None,
    }
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => {
                let message = message.unwrap_or_default();
                match name.as_str().strip_prefix(ERROR_PREFIX) {
                    Some(word) => Self::refused(word, &message),
                    None => Self::Failed(format!("{message} ({})", name.as_str())),
                }
            }
            zbus::Error::FDO(error) => Self::from(*error),
            zbus::Error::InputOutput(cause) if cause.kind() == io::ErrorKind::TimedOut => Self::TimedOut,
            zbus::Error::InputOutput(cause) => {
                Self::Unreachable(format!("the connection to the bus broke: {cause}"))
            }
            other => Self::Mismatch(other.to_string()),
        }
    }
}

impl From<fdo::Error> for Error {
    fn from(error: fdo::Error) -> Self {
        use fdo::Error as E;
        match error {
            E::ZBus(error) => Self::from(error),
            E::Timeout(_) | E::TimedOut(_) => Self::TimedOut,
            E::NoReply(_) => Self::Unreachable("tandemd ended before it answered; see its log, and try again".to_owned()),
            E::ServiceUnknown(_) | E::NameHasNoOwner(_) | E::SpawnServiceNotFound(_) => Self::Unreachable(
                "tandemd does not run on this bus; start it with `systemctl start tandemd`, or for the session bus with \
                 `tandemd --session`"
                    .to_owned(),
            ),
            E::SpawnExecFailed(text)
            | E::SpawnForkFailed(text)
            | E::SpawnChildExited(text)
            | E::SpawnChildSignaled(text)
            | E::SpawnFailed(text)
            | E::SpawnFailedToSetup(text)
            | E::SpawnConfigInvalid(text)
            | E::SpawnServiceNotValid(text)
            | E::SpawnPermissionsInvalid(text)
            | E::SpawnFileInvalid(text) => Self::Unreachable(format!(
                "tandemd could not be started: {text}; see `journalctl -u tandemd`"
            )),
            E::Disconnected(text) | E::NoServer(text) | E::NoNetwork(text) => {
                Self::Unreachable(format!("the connection to the bus broke: {text}"))
            }
            E::AccessDenied(message)
            | E::AuthFailed(message)
            | E::InteractiveAuthorizationRequired(message) => Self::refused("NotAuthorized", &message),
            E::UnknownObject(message) => Self::refused("NotFound", &message),
            E::PropertyReadOnly(message) => Self::refused("ReadOnly", &message),
            E::UnknownMethod(text)
            | E::UnknownInterface(text)
            | E::UnknownProperty(text)
            | E::InvalidArgs(text) => Self::Mismatch(text),
            other => Self::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_stands_for_several_devices() {
        use Exit::{Failed, Ok, Partial, Unavailable};
        assert_eq!(Exit::of_all([]), Ok);
        assert_eq!(Exit::of_all([Ok, Partial, Ok]), Partial);
        assert_eq!(Exit::of_all([Partial, Unavailable, Failed]), Unavailable);
    }

    #[test]
    fn a_device_whose_provider_has_ended_need_not_be_plugged_in() {
        let taken = "it was partnered with another user; make the partnership anew to have it back";
        let taken = explain_run_error("device-busy", taken);
        assert!(taken.contains("`tandemctl partner DEVICE`") && !taken.contains("program"), "{taken}");
        let unplugged = explain_run_error("device-removed", "the device is gone");
        assert!(unplugged.contains("plug it in again"), "{unplugged}");
        let ended = "the program that serves the device has ended while writing a file: its service provider `P` \
                     (`org.example.P`) crashed or was ended; start it again";
        assert_eq!(explain_run_error("device-removed", ended), format!("device-removed: {ended}"));
    }

    #[test]
    fn the_contract_s_words_have_their_codes() {
        let code = |word| Error::refused(word, "m").exit();
        assert_eq!(code("org.tandemd.Sync1.Error.NotConnected"), Exit::Unavailable);
        assert_eq!(code("NotAuthorized"), Exit::NotAuthorized);
        assert_eq!(code("PartnershipLimit"), Exit::Failed);
        assert_eq!(code("InvalidArgument"), Exit::Usage);
        assert_eq!(code("ReadOnly"), Exit::Usage);
        assert_eq!(code("NotFound"), Exit::NotFound);
    }

    #[test]
    fn a_daemon_that_is_absent_or_silent_is_told_apart_from_a_refusal() {
        let absent = Error::from(fdo::Error::ServiceUnknown("x".to_owned()));
        assert_eq!(absent.exit(), Exit::Unreachable);
        assert!(absent.to_string().contains("systemctl start tandemd"));
        let silent = zbus::Error::InputOutput(std::sync::Arc::new(io::ErrorKind::TimedOut.into()));
        assert!(matches!(Error::from(silent), Error::TimedOut));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(error.is_broken_pipe());
        assert_eq!(error.exit(), Exit::Ok);
        assert_eq!(Error::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Exit::Failed);
    }
}
