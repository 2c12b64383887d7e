//! `WMPInfo.xml` at the root of a player: finds, reads and replaces it.
//!
//! What can't be read is set aside under another name before a new file takes its place; it is never lost.

use crate::file_system::errno::{During, errno_of};
use crate::file_system::mark::{self, LIMIT, MarkError};
use crate::file_system::root::{Small, Tree};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use tandem_model::error::PlayerError;
use tandem_model::player::Mark;

const NAME: &str = "WMPInfo.xml";
const TEMPORARY: &str = "WMPInfo.xml.new";
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
    if bytes == before { Ok(()) } else { replace(tree, &name, &bytes) }
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
        match rustix::fs::renameat_with(&root, name, &root, &aside, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if tree.status(&aside)?.is_none() => {
                return rustix::fs::renameat(&root, name, &root, &aside);
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            result => return result,
        }
    }
    Err(Errno::EXIST)
}

fn replace(tree: &Tree, name: &str, bytes: &[u8]) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Use(NAME));
    let root = tree.folder("").map_err(failed)?;
    let remove = || match rustix::fs::unlinkat(&root, TEMPORARY, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    };
    tree.note_write();
    remove().map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::openat(&root, TEMPORARY, flags, Mode::from_raw_mode(0o666)).and_then(|file| {
        let mut file = File::from(file);
        file.write_all(bytes).map_err(|error| errno_of(&error))?;
        rustix::fs::fsync(&file)?;
        rustix::fs::renameat(&root, TEMPORARY, &root, name)
    });
    match written {
        Ok(()) => tree.settle(std::iter::once("")),
        Err(errno) => {
            if let Err(leftover) = remove() {
                tracing::warn!("{TEMPORARY} could not be deleted: {leftover}");
            }
            Err(failed(errno))
        }
    }
}
