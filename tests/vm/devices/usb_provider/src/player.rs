//! The player as `tandem-provider` wants it: each method is a request or two. It keeps nothing of what the player told.

use crate::wire::{Operation, PIECE, Wire};
use std::io::{Read, Write};
use tandem_provider::{Device, Entry, Error, Handle, Kind, New, Sink, Source, Space};

const ROOT: u32 = 0;
const MARK: &str = "mark";

pub(crate) struct Player {
    wire: Wire,
    serial: String,
}

/// What the player says can't be read.
fn nonsense() -> Error {
    Error::Failed("the player's answer makes no sense; its firmware doesn't fit this provider".to_owned())
}

/// Takes numbers and texts off an answer.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or_else(nonsense)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn object(&mut self) -> Result<u32, Error> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let length = usize::from(self.bytes().map(u16::from_le_bytes)?);
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(nonsense)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| nonsense())
    }

    fn entry(&mut self) -> Result<Entry, Error> {
        let (object, parent, [kind]) = (self.object()?, self.object()?, self.bytes()?);
        let (size, modified, name) = (self.number()?, self.number()?, self.text()?);
        let kind = match kind {
            0 => Kind::Root,
            1 => Kind::Folder,
            2 => Kind::File,
            _ => return Err(nonsense()),
        };
        Ok(Entry {
            handle: object.into(),
            parent: (kind != Kind::Root).then_some(parent.into()),
            kind,
            name: name.to_owned(),
            size,
            modified: Some(modified),
            attributes: Vec::new(),
            // the player's numbers last, and none is used twice
            persistent_id: format!("object-{object}"),
        })
    }
}

/// The player's number of an object.
fn object(handle: Handle) -> Result<u32, Error> {
    u32::try_from(handle).map_err(|_| Error::InterfaceDead(format!("there is no object {handle}")))
}

impl Player {
    pub(crate) fn new(wire: Wire, serial: String) -> Self {
        Self { wire, serial }
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        let answer = self.wire.ask((Operation::GetText, ROOT, 0, 0), name.as_bytes())?;
        String::from_utf8(answer).map_err(|_| nonsense())
    }
}

impl Device for Player {
    fn name(&self) -> String {
        "USB player".to_owned()
    }

    fn serial_number(&self) -> String {
        self.serial.clone()
    }

    fn mark(&self) -> Result<String, Error> {
        self.text(MARK)
    }

    fn set_mark(&self, mark: &str) -> Result<(), Error> {
        self.wire.ask((Operation::SetText, ROOT, 0, 0), format!("{MARK}\0{mark}").as_bytes()).map(drop)
    }

    fn formats(&self) -> Vec<u32> {
        vec![0x3009, 0xBA11] // MP3, M3U
    }

    fn roots(&self) -> Result<Vec<Handle>, Error> {
        Ok(vec![ROOT.into()])
    }

    fn entry(&self, handle: Handle) -> Result<Entry, Error> {
        Reader(&self.wire.ask((Operation::Stat, object(handle)?, 0, 0), &[])?).entry()
    }

    fn children(&self, folder: Handle) -> Result<Vec<Entry>, Error> {
        let folder = object(folder)?;
        let mut found = Vec::new();
        loop {
            let page = self.wire.ask((Operation::List, folder, found.len() as u64, 0), &[])?;
            if page.is_empty() {
                return Ok(found);
            }
            let mut reader = Reader(&page);
            while !reader.0.is_empty() {
                found.push(reader.entry()?);
            }
        }
    }

    fn find(&self, persistent_id: &str) -> Result<Option<Handle>, Error> {
        let Some(handle) = persistent_id.strip_prefix("object-").and_then(|number| number.parse().ok())
        else {
            return Ok(None);
        };
        match self.entry(handle) {
            Ok(entry) => Ok(Some(entry.handle)),
            // the root answers as long as the player is there
            Err(Error::InterfaceDead(_)) => self.entry(ROOT.into()).map(|_| None),
            Err(error) => Err(error),
        }
    }

    fn space(&self, _root: Handle) -> Result<Space, Error> {
        let answer = self.wire.ask((Operation::Space, ROOT, 0, 0), &[])?;
        let mut reader = Reader(&answer);
        Ok(Space { total: reader.number()?, free: reader.number()? })
    }

    fn create(&self, folder: Handle, new: &New<'_>) -> Result<Handle, Error> {
        let kind = if new.kind == Kind::Folder { 1 } else { 2 };
        let request = (Operation::Make, object(folder)?, new.modified.unwrap_or_default(), kind);
        Ok(Reader(&self.wire.ask(request, new.name.as_bytes())?).object()?.into())
    }

    fn write(&self, file: Handle, source: &mut Source) -> Result<(), Error> {
        let file = object(file)?;
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        loop {
            let read = source.read(&mut piece)?;
            if read == 0 {
                break;
            }
            self.wire.ask((Operation::Write, file, at, 0), &piece[..read])?;
            at += read as u64;
        }
        self.wire.ask((Operation::End, file, at, 0), &[]).map(drop)
    }

    fn read(&self, file: Handle, offset: u64, size: u64, sink: &mut Sink) -> Result<(), Error> {
        let mut done = 0;
        while done < size {
            let most = u32::try_from((size - done).min(PIECE as u64)).unwrap_or(u32::MAX);
            let piece = self.wire.ask((Operation::Read, object(file)?, offset + done, most), &[])?;
            if piece.is_empty() {
                return Err(nonsense());
            }
            sink.write_all(&piece)?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    fn delete(&self, handle: Handle, recursive: bool) -> Result<(), Error> {
        for child in if recursive { self.children(handle)? } else { Vec::new() } {
            self.delete(child.handle, true)?;
        }
        self.wire.ask((Operation::Delete, object(handle)?, 0, 0), &[]).map(drop)
    }

    fn rename(&self, handle: Handle, name: &str) -> Result<(), Error> {
        self.wire.ask((Operation::Rename, object(handle)?, 0, 0), name.as_bytes()).map(drop)
    }

    fn relocate(&self, handle: Handle, folder: Handle) -> Result<(), Error> {
        self.wire.ask((Operation::Move, object(handle)?, 0, object(folder)?), &[]).map(drop)
    }
}
