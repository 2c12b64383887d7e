//! The storage of a provider's device and the files on it, as the engine sees them.
//!
//! It must not go to the provider but through the session, one thing at a time.

use super::answers;
use super::fault::{Fault, Word};
use super::finish;
use super::link::{QUICK, SLOW};
use super::send::{is_temporary, tag_metadata};
use super::session::{Session, Shared, with_session};
use super::tree::{Known, parent};
use dbus_interfaces::provider::{OBJECT, SCOPE_GLOBAL, STORAGE};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tandem_model::BoxFuture;
use tandem_model::error::PlayerError;
use tandem_model::library::OpenedTrack;
use tandem_model::pace;
use tandem_model::path::DevicePath;
use tandem_model::player::ahead::Ahead;
use tandem_model::player::{
    Object, ObjectFacts, Sent, Space, Storage, Tags, Transfer, WriteRequest, Written,
};
use zbus::OwnedObjectPath;

/// How often a name is numbered before that is given up.
const NAME_TRIES: u32 = 100;

/// Folders between a file and the root, at most: more is a circle.
const MOST_FOLDERS: usize = 64;

/// Folders that a file is looked for in, at most: players hold fewer.
const MOST_SEARCHED: usize = if cfg!(test) { 200 } else { 50_000 };

/// The storage of an open device that is synchronised to.
pub(super) struct RemoteStorage {
    shared: Shared,
    id: String,
    updates_metadata: bool,
    /// Bytes that may be sent before they are finished; it follows the device's speed.
    window: AtomicU64,
    ahead: Arc<Ahead>,
}

impl RemoteStorage {
    /// The storage of this session; `updates_metadata` when the device goes by what it is told of a file.
    pub(super) fn new(shared: Shared, id: String, updates_metadata: bool, ahead: Arc<Ahead>) -> Self {
        let window = AtomicU64::new(pace::FIRST_WINDOW);
        Self { shared, id, updates_metadata, window, ahead }
    }
}

impl Storage for RemoteStorage {
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
        Box::pin(async move { with_session!(self.shared, session => session.update_metadata(&path, &tags)) })
    }

    fn find(&self, ids: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<DevicePath>>, PlayerError>> {
        Box::pin(async move {
            with_session!(self.shared, session => async {
                let mut found = Vec::with_capacity(ids.len());
                for id in &ids {
                    found.push(session.find_by_id(id).await?);
                }
                Ok(found)
            })
        })
    }

    fn refers_to(
        &self,
        path: DevicePath,
        files: Vec<DevicePath>,
    ) -> BoxFuture<'_, Result<bool, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.refers_to(&path, &files)) })
    }

    fn space(&self) -> BoxFuture<'_, Result<Space, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.space()) })
    }

    fn facts(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<Option<ObjectFacts>>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.facts_of(&paths)) })
    }

    fn object(&self, path: &DevicePath) -> Box<dyn Object> {
        Box::new(RemoteObject { shared: self.shared.clone(), path: path.clone() })
    }

    fn missing_folders(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<DevicePath>, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.missing(&paths)) })
    }

    fn write<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Written, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.write(&request, transfer)) })
    }

    fn most_unfinished(&self) -> u64 {
        self.window.load(Ordering::Relaxed)
    }

    fn read_ahead(&self, source: &OpenedTrack) -> BoxFuture<'static, ()> {
        self.ahead.beside(source)
    }

    fn send<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Sent, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.send(request, transfer)) })
    }

    fn finish(
        &self,
        sent: Vec<Sent>,
    ) -> BoxFuture<'_, Result<Vec<Result<Written, PlayerError>>, PlayerError>> {
        Box::pin(async move {
            let finished = self.shared.named(finish::finish(&self.shared, sent, &self.window).await)?;
            Ok(finished.into_iter().map(|file| self.shared.named(file)).collect())
        })
    }

    fn settle(&self, _: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        // others are sent meanwhile
        Box::pin(async move {
            let peer = with_session!(self.shared, session => async { Ok(Arc::clone(&session.peer)) })?;
            self.shared.named(peer.flush().await)
        })
    }

    fn remove_empty_folders(&self, folders: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.remove_empty(folders)) })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), PlayerError>> {
        // where the device has what was answered for, whether it is still there is what can be found out
        Box::pin(async move {
            with_session!(self.shared, session => async {
                session.peer.flush().await?;
                session.space().await.map(drop)
            })
        })
    }
}

/// A file at a path, whether it is there or not.
struct RemoteObject {
    shared: Shared,
    path: DevicePath,
}

impl Object for RemoteObject {
    fn facts(&self) -> BoxFuture<'_, Result<Option<ObjectFacts>, PlayerError>> {
        Box::pin(async move {
            let found = with_session!(self.shared, session => session.seek(&self.path))?;
            Ok(found.and_then(|(_, known)| file_facts(&known)))
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
        Box::pin(async move { with_session!(self.shared, session => session.discard(&self.path)) })
    }

    fn restore(&self, to: DevicePath) -> BoxFuture<'_, Result<DevicePath, PlayerError>> {
        Box::pin(async move { with_session!(self.shared, session => session.restore(&self.path, &to)) })
    }
}

fn file_facts(known: &Known) -> Option<ObjectFacts> {
    (!known.is_folder).then_some(known.facts)
}

fn not_found(path: &DevicePath) -> PlayerError {
    PlayerError::NotFound(path.as_str().to_owned())
}

impl Session {
    /// Space on the storage now.
    pub(super) async fn space(&self) -> Result<Space, PlayerError> {
        let told = |fault: Fault| fault.told("asking for the storage's space", "the storage");
        let properties = self.peer.properties(&self.storage, STORAGE).await.map_err(told)?;
        answers::space(&properties).map_err(told)
    }

    async fn facts_of(&mut self, paths: &[DevicePath]) -> Result<Vec<Option<ObjectFacts>>, PlayerError> {
        let mut told = Vec::with_capacity(paths.len());
        for path in paths {
            if let Some(facts) = self.recalled(path.as_str()) {
                told.push(facts);
                continue;
            }
            let found =
                self.find(path.as_str()).await.map_err(|fault| fault.told("listing", path.as_str()))?;
            told.push(found.as_ref().and_then(file_facts));
        }
        Ok(told)
    }

    /// What is at a path, with where it is. A temporary name is also looked for where files are written.
    async fn seek(&mut self, path: &DevicePath) -> Result<Option<(DevicePath, Known)>, PlayerError> {
        let told = |fault: Fault| fault.told("listing", path.as_str());
        if let Some(found) = self.find(path.as_str()).await.map_err(told)? {
            return Ok(Some((path.clone(), found)));
        }
        if !is_temporary(path.name()) {
            return Ok(None);
        }
        let mut folders = self.ours.clone();
        // a folder that a provider tells to be in itself is looked through once
        let mut seen = HashSet::new();
        while let Some(folder) = folders.pop() {
            if seen.len() > MOST_SEARCHED || folder.matches('/').count() > MOST_FOLDERS {
                return Err(told(Fault::Lie("folders without an end".to_owned())));
            }
            for (name, known) in self.children(&folder).await.map_err(told)? {
                let at = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if known.is_folder {
                    if seen.insert(known.object.clone()) {
                        folders.push(at);
                    }
                } else if name == path.name() {
                    return Ok(DevicePath::parse(&at).map(|at| (at, known)));
                }
            }
        }
        Ok(None)
    }

    /// A file at this path.
    pub(super) async fn file(&mut self, path: &DevicePath) -> Result<Known, PlayerError> {
        let found = self.find(path.as_str()).await.map_err(|fault| fault.told("listing", path.as_str()))?;
        found.filter(|known| !known.is_folder).ok_or_else(|| not_found(path))
    }

    async fn delete(
        &mut self,
        path: &DevicePath,
        expected: ObjectFacts,
        aside: &DevicePath,
    ) -> Result<(), PlayerError> {
        self.check_temporary(aside).await?;
        let found = self.find(path.as_str()).await.map_err(|fault| fault.told("listing", path.as_str()))?;
        let there = found.ok_or_else(|| not_found(path))?;
        let now = self.check_unchanged(path, &there, expected).await?;
        self.delete_object(path.as_str(), &now).await
    }

    async fn discard(&mut self, path: &DevicePath) -> Result<(), PlayerError> {
        match self.seek(path).await? {
            None => Err(not_found(path)),
            Some((_, known)) if known.is_folder => {
                Err(PlayerError::Other(format!("`{path}` on the device is a folder")))
            }
            Some((at, known)) => self.delete_listed(at.as_str(), &known).await,
        }
    }

    /// Gives a file a name, or a numbered one like it, in whichever folder that is.
    async fn restore(&mut self, path: &DevicePath, to: &DevicePath) -> Result<DevicePath, PlayerError> {
        let told = |fault: Fault| fault.told("giving a file its name back", to.as_str());
        let found = self.seek(path).await?.filter(|(_, known)| !known.is_folder);
        let (at, known) = found.ok_or_else(|| not_found(path))?;
        let known = self.as_listed(at.as_str(), &known).await?.ok_or_else(|| not_found(path))?;
        let mut free = None;
        for number in 1..=NAME_TRIES {
            let name = if number == 1 { Some(to.clone()) } else { numbered(to, number) };
            let Some(name) = name else { continue };
            if self.find(name.as_str()).await.map_err(told)?.is_none() && !self.tree.is_taken(name.as_str()) {
                free = Some(name);
                break;
            }
        }
        let free = free.ok_or_else(|| PlayerError::Exists(to.as_str().to_owned()))?;
        self.peer.flush().await?;
        if parent(at.as_str()) != parent(free.as_str()) {
            let folder = match parent(free.as_str()) {
                "" => self.storage.clone(),
                folder => match self.find(folder).await.map_err(told)? {
                    Some(found) if found.is_folder => found.object,
                    _ => return Err(PlayerError::NotFound(folder.to_owned())),
                },
            };
            self.peer.call::<_, ()>(&known.object, (OBJECT, "Move"), &folder, SLOW).await.map_err(told)?;
        }
        if at.name() != free.name() {
            self.peer
                .call::<_, ()>(&known.object, (OBJECT, "Rename"), &free.name(), QUICK)
                .await
                .map_err(told)?;
        }
        self.tree.take(at.as_str());
        let now = self.peer.look(&known.object, free.name()).await.map_err(told)?;
        let now = now.ok_or_else(|| PlayerError::VerifyFailed(free.as_str().to_owned()))?;
        self.tree.put(free.as_str(), now);
        Ok(free)
    }

    /// Tells the device what the tags of a file say now.
    async fn update_metadata(&mut self, path: &DevicePath, tags: &Tags) -> Result<ObjectFacts, PlayerError> {
        let known = self.file(path).await?;
        let told = |fault: Fault| match fault {
            Fault::Refused(Word::NotSupported | Word::InvalidArgument, _) | Fault::Missing(_) => {
                PlayerError::Unsupported(path.as_str().to_owned())
            }
            fault => fault.told("telling tags", path.as_str()),
        };
        let metadata = tag_metadata(tags);
        self.peer
            .call::<_, ()>(&known.object, (STORAGE, "SetMetadata"), &metadata, QUICK)
            .await
            .map_err(told)?;
        // nothing that would be settled has changed
        self.peer.flush().await?;
        let now = self.peer.look(&known.object, path.name()).await.map_err(told)?;
        let now = now.filter(|now| !now.is_folder && now.facts.size == known.facts.size);
        let now = now.ok_or_else(|| PlayerError::Changed(path.as_str().to_owned()))?;
        self.tree.put(path.as_str(), now.clone());
        Ok(now.facts)
    }

    /// Where the file with a lasting id is now.
    async fn find_by_id(&mut self, id: &str) -> Result<Option<DevicePath>, PlayerError> {
        let told = |fault: Fault| fault.told("looking for a file by its id", id);
        let found = self.peer.call(&self.storage, (STORAGE, "FindStorage"), &(SCOPE_GLOBAL, id), QUICK).await;
        let mut object: OwnedObjectPath = match found {
            Ok(object) => answers::path(object, &self.peer.root).map_err(told)?,
            Err(Fault::Refused(Word::NotFound | Word::NotSupported | Word::InvalidArgument, _))
            | Err(Fault::Missing(_)) => return Ok(None),
            Err(fault) => return Err(told(fault)),
        };
        let Some(entry) = self.peer.entry(&object).await.map_err(told)? else { return Ok(None) };
        if entry.is_folder || entry.persistent_id != id {
            return Ok(None);
        }
        let mut parts = vec![entry.name];
        for _ in 0..MOST_FOLDERS {
            object = self.peer.call(&object, (STORAGE, "GetParent"), &(), QUICK).await.map_err(told)?;
            if object == self.storage {
                parts.reverse();
                return Ok(DevicePath::parse(&parts.join("/")));
            }
            object = answers::path(object, &self.peer.root).map_err(told)?;
            match self.peer.entry(&object).await.map_err(told)? {
                Some(folder) if folder.is_folder => parts.push(folder.name),
                _ => return Ok(None),
            }
        }
        Err(told(Fault::Lie("folders without an end".to_owned())))
    }
}

/// `a/b.mp3` as `a/b (2).mp3`.
fn numbered(path: &DevicePath, number: u32) -> Option<DevicePath> {
    let (stem, ending) =
        path.name().rsplit_once('.').map_or((path.name(), ""), |(stem, ending)| (stem, ending));
    let dot = if ending.is_empty() { "" } else { "." };
    let name = format!("{stem} ({number}){dot}{ending}");
    match path.parent() {
        Some(folder) => folder.join(&name),
        None => DevicePath::parse(&name),
    }
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
}
