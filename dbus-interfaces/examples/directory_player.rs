//! A service provider whose player is a directory: its files are the player's files. It shows all that an author writes
//! on the crate `tandem-provider`; `PROVIDERS.md` explains how to run it.
//!
//! What the player itself has to remember lies in `.player` in that directory, which it never shows.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::HashMap;
use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind::NotFound, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tandem_provider::{
    Bus, Device, Driver, Entry, Error, Handle, Identity, Kind, New, Provider, Sink, Source, Space,
};

const ROOT: Handle = 0;
const MEMORY: &str = ".player";

/// The format of a playlist of references.
const PLAYLIST: u32 = 0xBA05;

struct Directories;

impl Driver for Directories {
    fn open(&self, identity: &Identity, _usb: Option<OwnedFd>) -> Result<Arc<dyn Device>, Error> {
        let missing = || Error::NotFound(format!("there is no directory `{}`", identity.canonical_name));
        let path = identity.canonical_name.strip_prefix("directory:").ok_or_else(missing)?;
        let root = PathBuf::from(path).canonicalize().map_err(|_| missing())?;
        fs::create_dir_all(root.join(MEMORY).join("references"))?;
        Ok(Arc::new(Directory { root, nodes: Mutex::default() }))
    }
}

/// Handles that were given out: where each is, and by which lasting id it is known again.
#[derive(Default)]
struct Nodes {
    last: Handle,
    by_handle: HashMap<Handle, (Handle, String)>,
    by_id: HashMap<String, Handle>,
}

struct Directory {
    root: PathBuf,
    nodes: Mutex<Nodes>,
}

/// The inode, and when it was made: an inode alone is used again.
fn lasting_id(facts: &fs::Metadata) -> String {
    let made = facts.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{:x}-{:x}", facts.ino(), made.unwrap_or_default().as_nanos())
}

fn entry(handle: Handle, parent: Option<Handle>, kind: Kind, name: &str, facts: &fs::Metadata) -> Entry {
    Entry {
        handle,
        parent,
        kind,
        name: name.to_owned(),
        size: facts.len(),
        modified: u64::try_from(facts.mtime()).ok(),
        attributes: Vec::new(),
        persistent_id: lasting_id(facts),
    }
}

fn gone(handle: Handle) -> Error {
    Error::InterfaceDead(format!("there is no storage {handle} any more"))
}

impl Directory {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, mut handle: Handle) -> Result<PathBuf, Error> {
        let nodes = self.nodes();
        let mut names = Vec::new();
        while handle != ROOT {
            let (parent, name) = nodes.by_handle.get(&handle).ok_or_else(|| gone(handle))?;
            names.push(name.clone());
            handle = *parent;
        }
        Ok(names.iter().rev().fold(self.root.clone(), |path, name| path.join(name)))
    }

    /// Remembers what was found under a name; `None` for what is neither file nor folder.
    fn found(&self, parent: Handle, name: &str, facts: &fs::Metadata) -> Option<Entry> {
        let kind = match facts.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            _ => return None,
        };
        let mut nodes = self.nodes();
        let id = lasting_id(facts);
        let handle = nodes.by_id.get(&id).copied().unwrap_or(nodes.last + 1);
        nodes.last = nodes.last.max(handle);
        nodes.by_handle.insert(handle, (parent, name.to_owned()));
        nodes.by_id.insert(id, handle);
        Some(entry(handle, Some(parent), kind, name, facts))
    }

    fn references_file(&self, handle: Handle) -> Result<PathBuf, Error> {
        Ok(self.root.join(MEMORY).join("references").join(self.entry(handle)?.persistent_id))
    }

    /// Writes what the player remembers, whole or not at all.
    fn remember(&self, file: &Path, text: &str) -> Result<(), Error> {
        let new = file.with_extension("new");
        let mut written = File::create(&new)?;
        written.write_all(text.as_bytes()).and_then(|()| written.sync_all())?;
        Ok(fs::rename(&new, file)?)
    }

    /// Where a name in a folder is.
    fn place(&self, folder: Handle, name: &str) -> Result<PathBuf, Error> {
        match (folder, name) {
            (ROOT, MEMORY) => Err(Error::InvalidArgument(format!("the name `{MEMORY}` is the player's own"))),
            _ => Ok(self.path(folder)?.join(name)),
        }
    }

    fn give_name(&self, handle: Handle, folder: Handle, name: &str) -> Result<(), Error> {
        let (from, to) = (self.path(handle)?, self.place(folder, name)?);
        renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE).map_err(io::Error::from)?;
        self.nodes().by_handle.insert(handle, (folder, name.to_owned()));
        Ok(())
    }

    /// Gives handles to everything below a folder.
    fn learn(&self, folder: Handle) -> Result<(), Error> {
        let mut within = self.children(folder)?.into_iter();
        within
            .try_for_each(|entry| if entry.kind == Kind::Folder { self.learn(entry.handle) } else { Ok(()) })
    }
}

impl Device for Directory {
    fn name(&self) -> String {
        self.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn mark(&self) -> Result<String, Error> {
        let text = fs::read_to_string(self.root.join(MEMORY).join("mark"));
        Ok(text.or_else(|error| if error.kind() == NotFound { Ok(String::new()) } else { Err(error) })?)
    }

    fn set_mark(&self, mark: &str) -> Result<(), Error> {
        self.remember(&self.root.join(MEMORY).join("mark"), mark)
    }

    fn formats(&self) -> Vec<u32> {
        vec![0x3009, 0xB902, 0xB906, 0xB982, PLAYLIST] // MP3, Ogg, FLAC, MP4
    }

    fn roots(&self) -> Result<Vec<Handle>, Error> {
        Ok(vec![ROOT])
    }

    fn entry(&self, handle: Handle) -> Result<Entry, Error> {
        let facts = fs::symlink_metadata(self.path(handle)?)?;
        if handle == ROOT {
            return Ok(entry(ROOT, None, Kind::Root, &self.name(), &facts));
        }
        let (parent, name) = self.nodes().by_handle.get(&handle).cloned().ok_or_else(|| gone(handle))?;
        self.found(parent, &name, &facts).filter(|entry| entry.handle == handle).ok_or_else(|| gone(handle))
    }

    fn children(&self, folder: Handle) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        if self.entry(folder)?.kind == Kind::File {
            return Ok(found);
        }
        for child in fs::read_dir(self.path(folder)?)? {
            let child = child?;
            let Ok(name) = child.file_name().into_string() else { continue };
            // what is gone since it was listed isn't there
            if let Ok(facts) = child.metadata()
                && (folder != ROOT || name != MEMORY)
            {
                found.extend(self.found(folder, &name, &facts));
            }
        }
        Ok(found)
    }

    fn find(&self, persistent_id: &str) -> Result<Option<Handle>, Error> {
        let known = || {
            let handle = self.nodes().by_id.get(persistent_id).copied()?;
            self.entry(handle).is_ok().then_some(handle)
        };
        if self.entry(ROOT)?.persistent_id == persistent_id {
            return Ok(Some(ROOT));
        }
        known().map_or_else(|| self.learn(ROOT).map(|()| known()), |handle| Ok(Some(handle)))
    }

    fn space(&self, _root: Handle) -> Result<Space, Error> {
        let space = rustix::fs::statvfs(&self.root).map_err(io::Error::from)?;
        Ok(Space { total: space.f_blocks * space.f_frsize, free: space.f_bavail * space.f_frsize })
    }

    fn create(&self, folder: Handle, new: &New<'_>) -> Result<Handle, Error> {
        let path = self.place(folder, new.name)?;
        if new.kind == Kind::Folder {
            fs::create_dir(&path)?;
        } else {
            let file = File::create_new(&path)?;
            if let Some(modified) = new.modified {
                file.set_modified(UNIX_EPOCH + Duration::from_secs(modified))?;
            }
        }
        let made = self.found(folder, new.name, &fs::symlink_metadata(&path)?).ok_or_else(|| gone(folder))?;
        let format = new.metadata.get("WMDM/FormatCode").and_then(|code| u32::try_from(&**code).ok());
        if format == Some(PLAYLIST) {
            self.remember(&self.references_file(made.handle)?, "")?;
        }
        Ok(made.handle)
    }

    fn write(&self, file: Handle, source: &mut Source) -> Result<(), Error> {
        let path = self.path(file)?;
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        let modified = file.metadata()?.modified()?;
        file.set_len(0)?;
        source.copy_to(&mut file)?;
        Ok(file.set_times(FileTimes::new().set_modified(modified))?)
    }

    fn flush(&self) -> Result<(), Error> {
        // files and folders alike; where a device has a cheaper way, it is its own
        Ok(rustix::fs::syncfs(File::open(&self.root)?).map_err(io::Error::from)?)
    }

    fn read(&self, file: Handle, offset: u64, size: u64, sink: &mut Sink) -> Result<(), Error> {
        let mut file = File::open(self.path(file)?)?;
        file.seek(SeekFrom::Start(offset))?;
        io::copy(&mut io::BufReader::with_capacity(1 << 18, file.take(size)), sink)?;
        Ok(())
    }

    fn delete(&self, handle: Handle, recursive: bool) -> Result<(), Error> {
        let (path, entry) = (self.path(handle)?, self.entry(handle)?);
        if entry.kind == Kind::File {
            // that of a playlist; other files have none
            let _ = fs::remove_file(self.references_file(handle)?);
            fs::remove_file(&path)?;
        } else {
            for child in if recursive { self.children(handle)? } else { Vec::new() } {
                self.delete(child.handle, true)?;
            }
            fs::remove_dir(&path)?;
        }
        self.nodes().by_handle.remove(&handle);
        self.nodes().by_id.remove(&entry.persistent_id);
        Ok(())
    }

    fn rename(&self, handle: Handle, name: &str) -> Result<(), Error> {
        let folder = self.entry(handle)?.parent.unwrap_or(ROOT);
        self.give_name(handle, folder, name)
    }

    fn relocate(&self, handle: Handle, folder: Handle) -> Result<(), Error> {
        let name = self.entry(handle)?.name;
        self.give_name(handle, folder, &name)
    }

    fn references(&self, playlist: Handle) -> Result<(Vec<Handle>, bool), Error> {
        let text = fs::read_to_string(self.references_file(playlist)?);
        let text = text.map_err(|_| Error::NotSupported("that is no playlist".to_owned()))?;
        let found = text.lines().map(|id| self.find(id)).collect::<Result<Vec<_>, Error>>()?;
        let partial = found.contains(&None);
        Ok((found.into_iter().flatten().collect(), partial))
    }

    fn set_references(&self, playlist: Handle, references: &[Handle]) -> Result<(), Error> {
        let file = self.references_file(playlist)?;
        file.metadata().map_err(|_| Error::NotSupported("that is no playlist".to_owned()))?;
        let id = |&handle| Ok(self.entry(handle)?.persistent_id + "\n");
        self.remember(&file, &references.iter().map(id).collect::<Result<String, Error>>()?)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("say which directory is the player")?;
    let path = PathBuf::from(path).canonicalize()?;
    let player = Identity::named(format!("directory:{}", path.to_str().ok_or("its path is no UTF-8")?));
    let provider = Provider::new("org.example.DirectoryPlayer", "/org/example/DirectoryPlayer", Directories);
    let provider = provider.announce(player);
    let register = std::env::args().any(|argument| argument == "--register");
    Ok(if register { provider.register("Directory player") } else { provider }.run(Bus::Session)?)
}
