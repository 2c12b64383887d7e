//! One file on a file-system player: its facts, its bytes and its hash.
//!
//! It never writes or deletes; that is [`super::write`]'s and [`super::remove`]'s.

use crate::file_system::errno::{During, errno_of};
use crate::file_system::fill::CHUNK;
use crate::file_system::remove;
use crate::file_system::root::{Root, Tree, facts_of};
use crate::file_system::storage::Abandon;
use crate::file_system::write::Stop;
use rustix::fs::Advice;
use rustix::io::Errno;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Object, ObjectFacts, Transfer};
use xxhash_rust::xxh3::Xxh3;

/// The file at a path, whether it is there or not.
pub(crate) struct FileObject {
    root: Arc<Root>,
    path: DevicePath,
}

impl FileObject {
    /// The file at this path.
    pub(crate) fn new(root: Arc<Root>, path: DevicePath) -> Self {
        Self { root, path }
    }
}

impl Object for FileObject {
    fn facts(&self) -> BoxFuture<'_, Result<Option<ObjectFacts>, PlayerError>> {
        let path = self.path.clone();
        Box::pin(self.root.run(move |tree| facts(tree, &path)))
    }

    fn read(&self, limit: u64) -> BoxFuture<'_, Result<Vec<u8>, PlayerError>> {
        let path = self.path.clone();
        Box::pin(self.root.run(move |tree| {
            let mut bytes = Vec::new();
            open(tree, &path)?
                .take(limit)
                .read_to_end(&mut bytes)
                .map_err(|error| tree.error(errno_of(&error), During::Use(path.as_str())))?;
            Ok(bytes)
        }))
    }

    fn hash<'a>(&'a self, transfer: &'a Arc<Transfer>) -> BoxFuture<'a, Result<u128, PlayerError>> {
        let (path, transfer) = (self.path.clone(), Arc::clone(transfer));
        Box::pin(async move {
            let (guard, abandoned) = Abandon::new();
            let hash = self
                .root
                .run(move |tree| hash(tree, &path, &Stop { transfer: &transfer, abandoned: &abandoned }))
                .await;
            drop(guard);
            hash
        })
    }

    fn delete(&self, expected: ObjectFacts, aside: DevicePath) -> BoxFuture<'_, Result<(), PlayerError>> {
        let path = self.path.clone();
        Box::pin(self.root.run(move |tree| remove::delete(tree, &path, expected, &aside)))
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), PlayerError>> {
        let path = self.path.clone();
        Box::pin(self.root.run(move |tree| remove::discard(tree, &path)))
    }

    fn restore(&self, to: DevicePath) -> BoxFuture<'_, Result<DevicePath, PlayerError>> {
        let path = self.path.clone();
        Box::pin(self.root.run(move |tree| remove::restore(tree, &path, &to)))
    }
}

fn facts(tree: &Tree, path: &DevicePath) -> Result<Option<ObjectFacts>, PlayerError> {
    let stat = match tree.status(path.as_str()) {
        Err(Errno::LOOP | Errno::XDEV) => None,
        result => result.map_err(|errno| tree.error(errno, During::Use(path.as_str())))?,
    };
    match stat.as_ref().and_then(facts_of) {
        None if tree.is_gone() => Err(PlayerError::Removed),
        facts => Ok(facts),
    }
}

fn open(tree: &Tree, path: &DevicePath) -> Result<std::fs::File, PlayerError> {
    tree.open_file(path.as_str())
        .and_then(|file| file.ok_or(Errno::NOENT))
        .map_err(|errno| tree.error(errno, During::Use(path.as_str())))
}

fn hash(tree: &Tree, path: &DevicePath, stop: &Stop<'_>) -> Result<u128, PlayerError> {
    let mut file = open(tree, path)?;
    // what the page cache holds would prove nothing; pages that are not yet written stay, and are as good as read
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        stop.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.digest128()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(tree.error(errno_of(&error), During::Use(path.as_str()))),
        }
    }
}
