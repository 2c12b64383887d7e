//! The storage of an MTP player and the files on it, as the engine sees them.
//!
//! It must not go to the device but through the session, one call at a time.

use super::error::{Fail, failed};
use super::send::beside;
use super::session::{Session, Shared, ask, may_ask_again, with_session};
use super::source::Incoming;
use super::tree::{Known, parent};
use std::collections::HashSet;
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Object, ObjectFacts, Space, Storage, Tags, Transfer, WriteRequest, Written};
use tandem_mtp::codes::OperationCode;
use tandem_mtp::initiator::Parent;

/// What a file's size is rounded up to: MTP doesn't tell, and this is what large FAT file systems use.
const CLUSTER: u64 = 32 * 1024;

/// How often a name is numbered before that is given up.
const NAME_TRIES: u32 = 100;

/// The storage of an open player that is synchronised to.
pub(crate) struct MtpStorage {
    shared: Shared,
    id: String,
    /// Whether the player keeps what tags say, and takes changes of it.
    updates_metadata: bool,
    /// Folders below which temporary names are looked for after a cut.
    ours: Vec<String>,
}

impl MtpStorage {
    /// The storage of this session.
    pub(crate) fn new(shared: Shared, id: String, ours: Vec<String>, updates_metadata: bool) -> Self {
        Self { shared, id, updates_metadata, ours }
    }
}

impl Storage for MtpStorage {
    fn id(&self) -> &str {
        &self.id
    }

    fn is_atomic(&self) -> bool {
        false
    }

    fn updates_metadata(&self) -> bool {
        self.updates_metadata
    }

    fn update_metadata(
        &self,
        path: DevicePath,
        tags: Tags,
    ) -> BoxFuture<'_, Result<ObjectFacts, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.change_tags(&path, &tags)) })
    }

    fn find(&self, ids: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<DevicePath>>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.find_ids(&ids, &self.ours)) })
    }

    fn refers_to(
        &self,
        path: DevicePath,
        files: Vec<DevicePath>,
    ) -> BoxFuture<'_, Result<bool, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.refers_to(&path, &files)) })
    }

    fn space(&self) -> BoxFuture<'_, Result<Space, PlayerError>> {
        Box::pin(async move {
            let info = with_session!(self.shared, session => session.storage_info())?;
            let free = info.free_bytes.min(info.capacity);
            Ok(Space { total: info.capacity, free, cluster: CLUSTER, cluster_is_known: false, folder: None })
        })
    }

    fn facts(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<Option<ObjectFacts>>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.facts_of(&paths)) })
    }

    fn object(&self, path: &DevicePath) -> Box<dyn Object> {
        Box::new(MtpObject { shared: self.shared.clone(), path: path.clone(), ours: self.ours.clone() })
    }

    fn missing_folders(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<DevicePath>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.missing(&paths)) })
    }

    fn write<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Written, PlayerError>> {
        Box::pin(async move {
            let before = transfer.bytes();
            let mut made_folders = Vec::new();
            with_session!(self.shared, session => Box::pin(async {
                transfer.set(before);
                session.write(&request, transfer, &mut made_folders).await
            }))
        })
    }

    fn settle(&self, _: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        // what the device has answered for lasts: there is no weaker answer in the protocol
        Box::pin(async { Ok(()) })
    }

    fn remove_empty_folders(&self, folders: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.remove_empty(folders.clone())) })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            with_session!(self.shared, session => std::future::ready(if session.initiator.is_gone() { Err(PlayerError::Removed.into()) } else { Ok(()) }))
        })
    }
}

/// A file at a path, whether it is there or not.
struct MtpObject {
    shared: Shared,
    path: DevicePath,
    ours: Vec<String>,
}

impl Object for MtpObject {
    fn facts(&self) -> BoxFuture<'_, Result<Option<ObjectFacts>, PlayerError>> {
        Box::pin(async move {
            let found = with_session!(self.shared, session => session.seek(&self.path, &self.ours))?;
            Ok(found.filter(|(_, known)| !known.is_folder).map(|(_, known)| known.facts))
        })
    }

    fn read(&self, limit: u64) -> BoxFuture<'_, Result<Vec<u8>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.read(&self.path, limit)) })
    }

    fn hash<'a>(&'a self, transfer: &'a Arc<Transfer>) -> BoxFuture<'a, Result<u128, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.hash(&self.path, transfer)) })
    }

    fn delete(&self, expected: ObjectFacts, aside: DevicePath) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            with_session!(self.shared, session => session.delete(&self.path, expected, &aside))
        })
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(
            async move { with_session!(self.shared, session => session.discard(&self.path, &self.ours)) },
        )
    }

    fn restore(&self, to: DevicePath) -> BoxFuture<'_, Result<DevicePath, PlayerError>> {
        Box::pin(async move {
            with_session!(self.shared, session => session.restore(&self.path, &to, &self.ours))
        })
    }
}

impl Session {
    async fn facts_of(&mut self, paths: &[DevicePath]) -> Result<Vec<Option<ObjectFacts>>, Fail> {
        let surveyed = self.survey(paths).await?;
        let mut told = Vec::with_capacity(paths.len());
        for path in paths {
            if let Some(facts) = surveyed.get(path.as_str()) {
                told.push(Some(*facts));
                continue;
            }
            let found = self.find(path.as_str()).await?;
            told.push(found.filter(|known| !known.is_folder).map(|known| known.facts));
        }
        Ok(told)
    }

    async fn missing(&mut self, paths: &[DevicePath]) -> Result<Vec<DevicePath>, Fail> {
        let mut missing: Vec<DevicePath> = Vec::new();
        for folder in paths.iter().flat_map(DevicePath::ancestors).filter_map(DevicePath::parse) {
            if !missing.contains(&folder) && self.find(folder.as_str()).await?.is_none() {
                missing.push(folder);
            }
        }
        missing.sort_by_key(|folder| folder.ancestors().count());
        Ok(missing)
    }

    /// The object at a path, with where it is. A temporary name is also looked for where files are written.
    async fn seek(
        &mut self,
        path: &DevicePath,
        ours: &[String],
    ) -> Result<Option<(DevicePath, Known)>, Fail> {
        if let Some(found) = self.find(path.as_str()).await? {
            return Ok(Some((path.clone(), found)));
        }
        if !is_temporary(path.name()) {
            return Ok(None);
        }
        let mut folders: Vec<String> = ours.to_vec();
        // a folder that a device tells to be in itself is looked through once
        let mut seen = HashSet::new();
        while let Some(folder) = folders.pop() {
            for (name, known) in self.children(&folder).await? {
                let Some(at) = DevicePath::parse(&format!("{folder}/{name}")) else { continue };
                if known.is_folder {
                    if seen.insert(known.handle) {
                        folders.push(at.as_str().to_owned());
                    }
                } else if name == path.name() {
                    return Ok(Some((at, known)));
                }
            }
        }
        Ok(None)
    }

    /// A file at this path.
    pub(super) async fn file(&mut self, path: &DevicePath) -> Result<Known, Fail> {
        let found = self.find(path.as_str()).await?.filter(|known| !known.is_folder);
        found.ok_or_else(|| PlayerError::NotFound(path.as_str().to_owned()).into())
    }

    pub(crate) async fn read(&mut self, path: &DevicePath, limit: u64) -> Result<Vec<u8>, Fail> {
        let known = self.file(path).await?;
        let size = known.facts.size;
        let part = u32::try_from(limit).ok().filter(|_| limit < size);
        let part = part.filter(|_| self.initiator.supports(OperationCode::GET_PARTIAL_OBJECT));
        let mut attempt = 0;
        loop {
            let mut bytes = Incoming::keep(limit);
            let got = match part {
                Some(part) => self.initiator.get_partial_object(known.handle, 0, part, &mut bytes).await,
                None => self.initiator.get_object(known.handle, Some(size), &mut bytes).await,
            };
            match got {
                Ok(_) => return Ok(bytes.kept),
                Err(error) if may_ask_again(&error, &mut attempt).await => {}
                Err(error) => return Err(failed("reading a file", &error)),
            }
        }
    }

    async fn hash(&mut self, path: &DevicePath, transfer: &Transfer) -> Result<u128, Fail> {
        let known = self.file(path).await?;
        let mut attempt = 0;
        loop {
            let mut bytes = Incoming::hash(transfer);
            match self.initiator.get_object(known.handle, Some(known.facts.size), &mut bytes).await {
                Ok(_) => return Ok(bytes.digest()),
                Err(_) if transfer.is_cancelled() => return Err(PlayerError::Cancelled.into()),
                Err(error) if may_ask_again(&error, &mut attempt).await => {}
                Err(error) => return Err(failed("reading a file back", &error)),
            }
        }
    }

    async fn delete(
        &mut self,
        path: &DevicePath,
        expected: ObjectFacts,
        aside: &DevicePath,
    ) -> Result<(), Fail> {
        self.check_temporary(aside).await?;
        let Some(there) = self.find(path.as_str()).await? else {
            return Err(PlayerError::NotFound(path.as_str().to_owned()).into());
        };
        let now = self.check_unchanged(path, there, expected).await?;
        self.delete_known(path, now).await
    }

    async fn discard(&mut self, path: &DevicePath, ours: &[String]) -> Result<(), Fail> {
        match self.seek(path, ours).await? {
            None => Err(PlayerError::NotFound(path.as_str().to_owned()).into()),
            Some((_, known)) if known.is_folder => {
                Err(PlayerError::Other(format!("`{path}` on the device is a folder")).into())
            }
            Some((at, known)) => {
                self.delete_object(known.handle).await?;
                self.tree.take(at.as_str());
                Ok(())
            }
        }
    }

    /// Gives a file a name, or a numbered one like it, in whichever folder that is.
    async fn restore(
        &mut self,
        path: &DevicePath,
        to: &DevicePath,
        ours: &[String],
    ) -> Result<DevicePath, Fail> {
        let Some((at, known)) = self.seek(path, ours).await?.filter(|(_, known)| !known.is_folder) else {
            return Err(PlayerError::NotFound(path.as_str().to_owned()).into());
        };
        let mut free = None;
        for number in 1..=NAME_TRIES {
            let name = if number == 1 { Some(to.clone()) } else { numbered(to, number) };
            let Some(name) = name else { continue };
            if self.find(name.as_str()).await?.is_none() && !self.is_taken(name.as_str()) {
                free = Some(name);
                break;
            }
        }
        let Some(free) = free else { return Err(PlayerError::Exists(to.as_str().to_owned()).into()) };
        if parent(at.as_str()) != parent(free.as_str()) {
            let folder = match parent(free.as_str()) {
                "" => Parent::Root,
                folder => match self.find(folder).await? {
                    Some(folder) if folder.is_folder => Parent::Folder(folder.handle),
                    _ => return Err(PlayerError::NotFound(folder.to_owned()).into()),
                },
            };
            ask!(self, "moving a file", self.initiator.move_object(known.handle, self.storage, folder))?;
        }
        if at.name() != free.name() {
            self.rename(known.handle, free.name()).await?;
        }
        self.tree.take(at.as_str());
        self.tree.put(free.as_str(), known);
        Ok(free)
    }
}

/// Whether a name is of those that nobody else makes.
fn is_temporary(name: &str) -> bool {
    let number = name.strip_suffix(".part").unwrap_or("");
    number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `a/b.mp3` as `a/b (2).mp3`.
fn numbered(path: &DevicePath, number: u32) -> Option<DevicePath> {
    let (stem, ending) =
        path.name().rsplit_once('.').map_or((path.name(), ""), |(stem, ending)| (stem, ending));
    let dot = if ending.is_empty() { "" } else { "." };
    DevicePath::parse(&format!("{stem} ({number}){dot}{ending}"))
        .and_then(|name| DevicePath::parse(&beside(path, &name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_ending() {
        let numbered = |path| numbered(&DevicePath::parse(path).unwrap(), 2).unwrap().as_str().to_owned();
        assert_eq!(numbered("a.b/c.mp3"), "a.b/c (2).mp3");
        assert_eq!(numbered("c"), "c (2)");
    }

    #[test]
    fn only_names_that_nobody_else_makes_are_looked_for_elsewhere() {
        assert!(is_temporary("0123456789abcdef0123456789abcdef.part"));
        assert!(!is_temporary("song.part") && !is_temporary("0123456789abcdef0123456789abcdef.mp3"));
    }
}
