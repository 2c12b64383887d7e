//! `WMPInfo.xml` at the root of a player: finds, reads and replaces it.
//!
//! What can't be read is set aside under another name before a new file takes its place; it is never lost.

use crate::file_system::errno::{During, errno_of};
use crate::file_system::remove::rename_new;
use crate::file_system::root::{Small, Tree};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::player::Mark;
use tandem_model::wmp_info::{self as mark, LIMIT, MarkError};

const NAME: &str = "WMPInfo.xml";
/// How many entries of the root are looked through for the name in another case.
const MOST_ENTRIES: usize = 10_000;
/// How many damaged files are kept at most.
const MOST_DAMAGED: usize = 99;

/// The mark; `None` when there is none that can be read.
pub(crate) fn read(tree: &Tree) -> Result<Option<Mark>, PlayerError> {
    let content = find(tree).and_then(|name| name.map(|name| tree.read_small(&name, LIMIT)).transpose());
    match content.map(text_of) {
        Ok(None) if tree.is_gone() => Err(PlayerError::Removed),
        Ok(None) => Ok(None),
        Ok(Some(text)) => Ok(text.and_then(|text| mark::parse(&text)).unwrap_or_else(|error| {
            tracing::warn!("{NAME} on the device holds no partnership: {error}");
            None
        })),
        Err(errno) => match tree.error(errno, During::Use(NAME)) {
            PlayerError::Removed => Err(PlayerError::Removed),
            error => {
                tracing::warn!("{NAME} on the device can't be read: {error}");
                Ok(None)
            }
        },
    }
}

/// Puts the mark there, beside whatever else the file holds.
pub(crate) fn write(tree: &Tree, mark: Mark) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Use(NAME));
    let name = find(tree).map_err(failed)?.unwrap_or_else(|| NAME.to_owned());
    let content = tree.read_small(&name, LIMIT).map_err(failed)?;
    let before = if let Small::Bytes(bytes) = &content { bytes.clone() } else { Vec::new() };
    let merged = match text_of(Some(content)) {
        None => mark::merge(None, mark),
        Some(text) => text.and_then(|text| mark::merge(Some(&text), mark)).or_else(|error| {
            tracing::warn!("{NAME} on the device is set aside: {error}");
            set_aside(tree, &name).map_err(|errno| MarkError::Xml(errno.to_string()))?;
            mark::merge(None, mark)
        }),
    };
    let bytes = mark::encode(&merged.map_err(|error| PlayerError::Other(format!("{NAME}: {error}")))?);
    if bytes == before { Ok(()) } else { replace(tree, &name, &temporary(mark), &bytes) }
}

/// Takes the mark away: with its file where that holds nothing else, else only the partnership in it.
pub(crate) fn remove(tree: &Tree, mark: Mark) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Use(NAME));
    let ended = Mark { relationship: Guid::ZERO, ..mark };
    let (root, aside) = (tree.folder("").map_err(failed)?, temporary(mark));
    tree.note_change("");
    // what a cut has left
    unlink(&root, &aside).map_err(failed)?;
    let Some(name) = find(tree).map_err(failed)? else { return tree.settle(std::iter::once("")) };
    let is_ours = |content: &Small| match content {
        Small::Bytes(bytes) => [mark, ended].into_iter().any(|mark| alone(mark).as_ref() == Some(bytes)),
        Small::Missing | Small::NotAFile | Small::TooLarge => false,
    };
    if !is_ours(&tree.read_small(&name, LIMIT).map_err(failed)?) {
        return write(tree, ended);
    }
    rename_new(&root, &name, &root, &aside).map_err(failed)?;
    if is_ours(&tree.read_small(&aside, LIMIT).map_err(failed)?) {
        unlink(&root, &aside).map_err(failed)?;
        return tree.settle(std::iter::once(""));
    }
    // another program wrote it just now
    rename_new(&root, &aside, &root, &name).map_err(failed)?;
    write(tree, ended)
}

/// The file's bytes when it holds this mark and nothing else.
fn alone(mark: Mark) -> Option<Vec<u8>> {
    mark::merge(None, mark).ok().map(|text| mark::encode(&text))
}

/// The name of the file while it is written. Nobody else makes it, for its number was made at random; and it needs no
/// record of its own, because that number is recorded before the mark is written.
fn temporary(mark: Mark) -> String {
    let number = if mark.relationship == Guid::ZERO { mark.device } else { mark.relationship };
    format!("{NAME}.{:032x}.new", number.0)
}

/// What is read as text: `None` for nothing there.
fn text_of(content: Option<Small>) -> Option<Result<String, MarkError>> {
    match content? {
        Small::Missing => None,
        Small::NotAFile => Some(Err(MarkError::Xml("it is a folder, a link or a device".into()))),
        Small::TooLarge => Some(Err(MarkError::TooLarge)),
        Small::Bytes(bytes) => Some(mark::decode(&bytes)),
    }
}

/// The name of the file as it is on the device, in whatever case.
fn find(tree: &Tree) -> Result<Option<String>, Errno> {
    if tree.status(NAME)?.is_some() {
        return Ok(Some(NAME.to_owned()));
    }
    for entry in Dir::read_from(tree.directory())?.take(MOST_ENTRIES) {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name.eq_ignore_ascii_case(NAME)
        {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

fn set_aside(tree: &Tree, name: &str) -> Result<(), Errno> {
    let root = tree.folder("")?;
    for number in 1..=MOST_DAMAGED {
        let aside = if number == 1 { format!("{NAME}.damaged") } else { format!("{NAME}.damaged.{number}") };
        match rename_new(&root, name, &root, &aside) {
            Err(Errno::EXIST) => {}
            result => return result,
        }
    }
    Err(Errno::EXIST)
}

fn replace(tree: &Tree, name: &str, temporary: &str, bytes: &[u8]) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Use(NAME));
    let root = tree.folder("").map_err(failed)?;
    let remove = || unlink(&root, temporary);
    tree.note_write();
    remove().map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::openat(&root, temporary, flags, Mode::from_raw_mode(0o666)).and_then(|file| {
        let mut file = File::from(file);
        file.write_all(bytes).map_err(|error| errno_of(&error))?;
        rustix::fs::fsync(&file)?;
        rustix::fs::renameat(&root, temporary, &root, name)
    });
    match written {
        Ok(()) => tree.settle(std::iter::once("")),
        Err(errno) => {
            if let Err(leftover) = remove() {
                tracing::warn!("{temporary} could not be deleted: {leftover}");
            }
            Err(failed(errno))
        }
    }
}

/// Deletes a file of ours at the root; none is no error.
fn unlink(root: &OwnedFd, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(root, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}
