//! The one place where the system's error numbers become the errors that the engine understands.
//!
//! It asks whether the device is still there only where the number leaves that open.

use rustix::io::Errno;
use tandem_model::error::PlayerError;

/// What was being done when the error came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum During<'a> {
    /// This name was being created.
    Create(&'a str),
    /// This name was being used.
    Use(&'a str),
    /// Something with the storage as a whole, such as `flushing it`.
    Storage(&'static str),
}

impl During<'_> {
    fn subject(self) -> String {
        match self {
            Self::Create(name) | Self::Use(name) => format!("`{name}`"),
            Self::Storage(what) => what.to_owned(),
        }
    }
}

/// What the engine is told. `gone` answers whether the device or its root directory is no longer there.
pub(crate) fn player_error(errno: Errno, during: During<'_>, gone: impl Fn() -> bool) -> PlayerError {
    match (errno, during) {
        (
            Errno::NODEV
            | Errno::NXIO
            | Errno::NOMEDIUM
            | Errno::SHUTDOWN
            | Errno::NOTCONN
            | Errno::STALE
            | Errno::HOSTDOWN,
            _,
        ) => PlayerError::Removed,
        // a file system whose device went away answers any of these
        (Errno::IO | Errno::NOENT | Errno::ROFS | Errno::UCLEAN, _) if gone() => PlayerError::Removed,
        (Errno::NOSPC | Errno::DQUOT, _) => PlayerError::Full,
        (Errno::ROFS, _) => PlayerError::ReadOnly(
            "its file system can't be written; look for a write-protect switch, or check it for errors"
                .into(),
        ),
        (Errno::INVAL | Errno::NAMETOOLONG | Errno::ILSEQ, During::Create(name)) => {
            PlayerError::NameRejected(name.into())
        }
        (Errno::ACCESS | Errno::PERM, _) => {
            PlayerError::NotPermitted(format!("{}: the file system refuses access", during.subject()))
        }
        (Errno::LOOP | Errno::XDEV, _) => {
            PlayerError::NotPermitted(format!("{} leads out of the player through a link", during.subject()))
        }
        (Errno::NOENT, During::Create(name) | During::Use(name)) => PlayerError::NotFound(name.into()),
        (Errno::EXIST, During::Create(name) | During::Use(name)) => PlayerError::Exists(name.into()),
        (Errno::TIMEDOUT, _) => PlayerError::TimedOut(format!("accessing {}", during.subject())),
        (Errno::FBIG, _) => PlayerError::Other(format!(
            "{} is larger than the device's file system can hold in one file (4 GiB on FAT); leave it out, or format \
             the device with exFAT",
            during.subject()
        )),
        (Errno::NOTDIR | Errno::ISDIR, _) => PlayerError::Other(format!(
            "{}: on the device there is a file in place of a folder, or a folder in place of a file; rename it there",
            during.subject()
        )),
        (Errno::NOSYS, _) => PlayerError::Other(format!(
            "{}: the system call that keeps paths within the player is missing; Linux 5.6 or newer is needed",
            during.subject()
        )),
        (other, _) => PlayerError::Other(format!("{}: {other}", during.subject())),
    }
}

/// The error number within an I/O error of the standard library.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: Errno, during: During<'_>) -> PlayerError {
        player_error(errno, during, || false)
    }

    #[test]
    fn a_device_that_is_gone_is_told_from_one_that_fails() {
        for errno in
            [Errno::NODEV, Errno::NXIO, Errno::NOMEDIUM, Errno::SHUTDOWN, Errno::NOTCONN, Errno::STALE]
        {
            assert_eq!(told(errno, During::Use("a")), PlayerError::Removed);
        }
        for errno in [Errno::IO, Errno::NOENT, Errno::ROFS] {
            assert_eq!(player_error(errno, During::Use("a"), || true), PlayerError::Removed);
            assert_ne!(told(errno, During::Use("a")), PlayerError::Removed);
        }
    }

    #[test]
    fn a_name_is_rejected_only_where_one_is_made() {
        for errno in [Errno::INVAL, Errno::NAMETOOLONG, Errno::ILSEQ] {
            assert_eq!(told(errno, During::Create("a:b")), PlayerError::NameRejected("a:b".into()));
            assert!(matches!(told(errno, During::Use("a")), PlayerError::Other(_)));
        }
    }

    #[test]
    fn what_ends_a_run_and_what_does_not() {
        assert_eq!(told(Errno::NOSPC, During::Use("a")), PlayerError::Full);
        assert!(matches!(told(Errno::ROFS, During::Use("a")), PlayerError::ReadOnly(_)));
        assert!(
            matches!(told(Errno::XDEV, During::Use("a")), PlayerError::NotPermitted(text) if text.contains("link"))
        );
        assert!(
            matches!(told(Errno::FBIG, During::Use("a")), PlayerError::Other(text) if text.contains("4 GiB"))
        );
        assert_eq!(told(Errno::NOENT, During::Use("a")), PlayerError::NotFound("a".into()));
    }
}
