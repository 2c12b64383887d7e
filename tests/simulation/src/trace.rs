//! What a process did to the files below a directory, read from what strace wrote of its system calls. Nothing else of the
//! trace is looked at.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The system calls that change files, and those that say where.
pub const CALLS: &str = "openat,lseek,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,\
                         unlinkat,mkdir,mkdirat";

/// One change, or one promise that a change lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file is made where there was none.
    Create(PathBuf),
    /// Bytes are written from this place on.
    Write(PathBuf, usize, Vec<u8>),
    /// A file gets this length.
    Truncate(PathBuf, usize),
    /// A file's bytes, or a directory's names, last.
    Sync(PathBuf),
    /// A file changes its name.
    Rename(PathBuf, PathBuf),
    /// A file loses its name.
    Unlink(PathBuf),
    /// A directory is made.
    MakeDirectory(PathBuf),
    /// An operation has returned.
    Returned,
}

/// The changes below `directory`, and where an operation returned: at each write to the file `marks`.
#[must_use]
pub fn changes(trace: &str, directory: &Path, marks: &Path) -> Vec<Change> {
    let mut offsets = BTreeMap::new();
    let changes = trace.lines().filter_map(|line| change(line, marks, &mut offsets));
    changes.filter(|change| change.place().is_none_or(|path| path.starts_with(directory))).collect()
}

impl Change {
    fn place(&self) -> Option<&Path> {
        match self {
            Self::Create(path)
            | Self::Write(path, ..)
            | Self::Truncate(path, _)
            | Self::Sync(path)
            | Self::Rename(path, _)
            | Self::Unlink(path)
            | Self::MakeDirectory(path) => Some(path),
            Self::Returned => None,
        }
    }
}

/// The change that a line of the trace tells of. `offsets` are where the next write of each descriptor goes.
fn change(line: &str, marks: &Path, offsets: &mut BTreeMap<String, usize>) -> Option<Change> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let number = |text: &str| text.split([' ', '<']).next().and_then(|text| text.parse::<usize>().ok());
    let texts: Vec<Vec<u8>> = quoted(arguments);
    let named = |at: usize| texts.get(at).map(|bytes| PathBuf::from(OsString::from_vec(bytes.clone())));
    let last = || arguments.rsplit(", ").next().and_then(number);
    let descriptor = || arguments.split('<').next().unwrap_or_default().to_owned();
    match name {
        "openat" => {
            offsets.remove(result.split('<').next()?);
            arguments.contains("O_CREAT").then(|| named(0).map(Change::Create))?
        }
        "lseek" => {
            offsets.insert(descriptor(), number(result)?);
            None
        }
        "write" => {
            let path = described(arguments)?;
            if path == marks {
                return Some(Change::Returned);
            }
            let at = offsets.entry(descriptor()).or_default();
            let from = *at;
            *at += number(result)?;
            Some(Change::Write(path, from, texts.first()?.clone()))
        }
        "pwrite64" => Some(Change::Write(described(arguments)?, last()?, texts.first()?.clone())),
        "ftruncate" => Some(Change::Truncate(described(arguments)?, last()?)),
        "fsync" | "fdatasync" => described(arguments).map(Change::Sync),
        "rename" | "renameat" | "renameat2" => Some(Change::Rename(named(0)?, named(1)?)),
        "unlink" | "unlinkat" => named(0).map(Change::Unlink),
        "mkdir" | "mkdirat" => named(0).map(Change::MakeDirectory),
        _ => None,
    }
}

/// The path of the descriptor that a call begins with. One whose file has lost its name has none.
fn described(arguments: &str) -> Option<PathBuf> {
    let (_, rest) = arguments.split_once('<')?;
    let (path, rest) = rest.split_once('>')?;
    if rest.starts_with("(deleted)") {
        return None;
    }
    Some(PathBuf::from(OsString::from_vec(unescaped(path))))
}

/// The texts in quotes.
fn quoted(arguments: &str) -> Vec<Vec<u8>> {
    arguments.split('"').skip(1).step_by(2).map(unescaped).collect()
}

/// `\x61\x62` as bytes.
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|two| u8::from_str_radix(two.get(..2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_changes() {
        let trace = "12 openat(AT_FDCWD<\\x2f>, \"\\x2f\\x73\\x2f\\x61\", O_RDWR|O_CREAT, 0600) = 3<\\x2f\\x73\\x2f\\x61>\n\
                     12 lseek(3<\\x2f\\x73\\x2f\\x61>, 7, SEEK_SET) = 7\n\
                     12 write(3<\\x2f\\x73\\x2f\\x61>, \"\\x22\\x00\", 2) = 2\n\
                     12 write(3<\\x2f\\x73\\x2f\\x61>, \"\\x05\", 1) = 1\n\
                     12 fsync(3<\\x2f\\x73\\x2f\\x61>) = 0\n\
                     12 write(4<\\x2f\\x6d>, \"\\x05\", 1) = 1\n\
                     12 unlink(\"\\x2f\\x73\\x2f\\x62\") = -1 ENOENT (No such file or directory)\n\
                     12 fsync(3<\\x2f\\x65>) = 0\n";
        let a = || PathBuf::from("/s/a");
        assert_eq!(
            changes(trace, Path::new("/s"), Path::new("/m")),
            [
                Change::Create(a()),
                Change::Write(a(), 7, vec![0x22, 0]),
                Change::Write(a(), 9, vec![5]),
                Change::Sync(a()),
                Change::Returned,
            ]
        );
    }
}
