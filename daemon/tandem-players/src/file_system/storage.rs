//! The storage of a file-system player: the trait's methods, each as blocking work on the tree.
//!
//! It decides nothing: what is expected where comes with each call.

use crate::file_system::errno::During;
use crate::file_system::finish;
use crate::file_system::object::FileObject;
use crate::file_system::root::{Root, Tree, facts_of, means_nothing, parent_of, status_in};
use crate::file_system::write::{self, Stop};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::library::OpenedTrack;
use tandem_model::pace;
use tandem_model::path::DevicePath;
use tandem_model::player::{Object, ObjectFacts, Sent, Space, Storage, Transfer, WriteRequest, Written};

/// Magic numbers (`linux/magic.h`) of ext4, btrfs, XFS, F2FS, bcachefs and tmpfs.
const EXACT_TIMES: [rustix::fs::FsWord; 6] =
    [0xef53, 0x9123_683e, 0x5846_5342, 0xf2f5_2010, 0xca45_1a4e, 0x0102_1994];

/// The one storage of a file-system player.
pub(crate) struct FileSystemStorage {
    root: Arc<Root>,
    id: String,
    window: Arc<AtomicU64>,
    exact_times: bool,
}

impl FileSystemStorage {
    /// The storage below this root, on a file system that keeps exact times or doesn't.
    pub(crate) fn new(root: Arc<Root>, id: String, exact_times: bool) -> Self {
        Self { root, id, window: Arc::new(AtomicU64::new(pace::FIRST_WINDOW)), exact_times }
    }
}

/// Set when whoever waited for long work has gone: work on a blocking thread can't be dropped, but it can stop.
pub(crate) struct Abandon(Arc<AtomicBool>);

impl Abandon {
    /// A guard, and the flag that it sets when it is dropped.
    pub(crate) fn new() -> (Self, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&flag)), flag)
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Storage for FileSystemStorage {
    fn id(&self) -> &str {
        &self.id
    }

    fn keeps_exact_times(&self) -> bool {
        self.exact_times
    }

    fn space(&self) -> BoxFuture<'_, Result<Space, PlayerError>> {
        Box::pin(self.root.run(space))
    }

    fn facts(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<Option<ObjectFacts>>, PlayerError>> {
        Box::pin(self.root.run(move |tree| facts(tree, &paths)))
    }

    fn object(&self, path: &DevicePath) -> Box<dyn Object> {
        Box::new(FileObject::new(Arc::clone(&self.root), path.clone()))
    }

    fn missing_folders(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<DevicePath>, PlayerError>> {
        Box::pin(self.root.run(move |tree| missing_folders(tree, &paths)))
    }

    fn write<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Written, PlayerError>> {
        let (transfer, window) = (Arc::clone(transfer), Arc::clone(&self.window));
        Box::pin(async move {
            let (guard, abandoned) = Abandon::new();
            let written = self
                .root
                .run(move |tree| {
                    let stop = Stop { transfer: &transfer, abandoned: &abandoned };
                    write::write(tree, &request, &stop, &window)
                })
                .await;
            drop(guard);
            written
        })
    }

    fn most_unfinished(&self) -> u64 {
        self.window.load(Ordering::Relaxed)
    }

    fn read_ahead(&self, source: &OpenedTrack) -> BoxFuture<'static, ()> {
        self.root.ahead().beside(source)
    }

    fn send<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Sent, PlayerError>> {
        let (transfer, window) = (Arc::clone(transfer), Arc::clone(&self.window));
        Box::pin(async move {
            let (guard, abandoned) = Abandon::new();
            let sent = self
                .root
                .run(move |tree| {
                    let stop = Stop { transfer: &transfer, abandoned: &abandoned };
                    write::send(tree, &request, &stop, &window)
                })
                .await;
            drop(guard);
            sent
        })
    }

    fn finish(
        &self,
        sent: Vec<Sent>,
    ) -> BoxFuture<'_, Result<Vec<Result<Written, PlayerError>>, PlayerError>> {
        let window = Arc::clone(&self.window);
        Box::pin(self.root.run(move |tree| Ok(finish::finish(tree, sent, &window))))
    }

    fn settle(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(self.root.run(move |tree| tree.settle(paths.iter().map(parent_of))))
    }

    fn remove_empty_folders(&self, folders: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(self.root.run(move |tree| remove_empty_folders(tree, folders)))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(self.root.run(|tree| tree.flush(false)))
    }
}

/// Whether this is one of the file systems that are known to keep times as they were set. Others may round or shift
/// them, or hand them on to one that does.
pub(crate) fn keeps_exact_times(directory: impl AsFd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|told| EXACT_TIMES.contains(&told.f_type))
}

/// Whether the file system is one that can't be written, as it is mounted now.
pub(crate) fn is_read_only(directory: impl AsFd) -> bool {
    rustix::fs::fstatvfs(directory).is_ok_and(|told| told.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn space(tree: &Tree) -> Result<Space, PlayerError> {
    let told = rustix::fs::fstatvfs(tree.directory())
        .map_err(|errno| tree.error(errno, During::Storage("asking for its space")))?;
    let cluster = [told.f_frsize, told.f_bsize, 1].into_iter().find(|size| *size > 0).unwrap_or(1);
    let bytes = |blocks: u64| blocks.saturating_mul(cluster);
    let total = bytes(told.f_blocks);
    // where a folder is told to have no blocks, that may be true or not
    let has_blocks = rustix::fs::fstat(tree.directory()).is_ok_and(|stat| stat.st_blocks > 0);
    let folder = has_blocks.then_some(cluster);
    Ok(Space { total, free: bytes(told.f_bavail).min(total), cluster, cluster_is_known: true, folder })
}

/// What is at each path. Each folder is looked up once.
fn facts(tree: &Tree, paths: &[DevicePath]) -> Result<Vec<Option<ObjectFacts>>, PlayerError> {
    let mut order: Vec<usize> = (0..paths.len()).collect();
    order.sort_by_key(|at| parent_of(&paths[*at]));
    let mut found = vec![None; paths.len()];
    for group in order.chunk_by(|a, b| parent_of(&paths[*a]) == parent_of(&paths[*b])) {
        let parent = parent_of(&paths[group[0]]);
        let folder = match tree.folder(parent) {
            Ok(folder) => folder,
            Err(errno) if means_nothing(errno) => continue,
            // a link or a mount in its place: our files aren't there
            Err(Errno::LOOP | Errno::XDEV) => continue,
            Err(errno) => return Err(tree.error(errno, During::Use(parent))),
        };
        for at in group {
            let path = &paths[*at];
            let stat = status_in(&folder, path.name())
                .map_err(|errno| tree.error(errno, During::Use(path.as_str())))?;
            found[*at] = stat.as_ref().and_then(facts_of);
        }
    }
    // a device that went away meanwhile must not look like one that was emptied
    if tree.is_gone() { Err(PlayerError::Removed) } else { Ok(found) }
}

/// Folders above these files that aren't there. Each is looked for once, and those above it only if it is missing.
fn missing_folders(tree: &Tree, paths: &[DevicePath]) -> Result<Vec<DevicePath>, PlayerError> {
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for path in paths {
        let mut above = path.parent();
        let mut chain = Vec::new();
        while let Some(folder) = above.filter(|folder| seen.insert(folder.clone())) {
            match tree.folder(folder.as_str()) {
                Err(errno) if means_nothing(errno) => {}
                // what is there instead is told by the write
                Ok(_) | Err(Errno::LOOP | Errno::XDEV) => break,
                Err(errno) => return Err(tree.error(errno, During::Use(folder.as_str()))),
            }
            above = folder.parent();
            chain.push(folder);
        }
        missing.extend(chain.into_iter().rev());
    }
    Ok(missing)
}

fn remove_empty_folders(tree: &Tree, mut folders: Vec<DevicePath>) -> Result<(), PlayerError> {
    let depth = |folder: &DevicePath| std::cmp::Reverse(folder.as_str().matches('/').count());
    folders.sort_by_key(depth);
    for level in folders.chunk_by(|a, b| depth(a) == depth(b)) {
        if tree.breaks_folders() {
            let removed = tree.remove_lastingly(&level.iter().collect::<Vec<_>>());
            removed.map_err(|errno| tree.error(errno, During::Storage("removing empty folders")))?;
            continue;
        }
        for folder in level {
            tree.remove_if_empty(folder).map_err(|errno| tree.error(errno, During::Use(folder.as_str())))?;
        }
    }
    Ok(())
}
