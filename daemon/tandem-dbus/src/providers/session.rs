//! A device that a provider has made for us: what it is asked, what is known of its folders.
//!
//! It must not go on by what a provider said once: before anything is replaced or deleted, the object is
//! asked for again.

use super::ahead::Ahead;
use super::answers::{self, ENTRY, Entry, MOST_IN_FOLDER, PAGE, Properties};
use super::fault::{Blamed, Fault, Word};
use super::link::{Link, QUICK};
use super::parameters::Parameters;
use super::peer::{Peer, known};
use super::recall::Recall;
use super::tree::{Known, Tree, name, parent};
use dbus_interfaces::provider::{OBJECT, STORAGE};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::HashSet;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::formats;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tokio::sync::{Mutex, MutexGuard};
use zbus::OwnedObjectPath;

/// Objects that are asked for at the same time.
const AT_ONCE: usize = 32;

/// An open device.
pub(super) struct Session {
    pub(super) peer: Arc<Peer>,
    /// The storage that is synchronised to.
    pub(super) storage: OwnedObjectPath,
    pub(super) parameters: Parameters,
    /// What the device plays or keeps.
    pub(super) formats: Vec<formats::Code>,
    /// Folders below which temporary names are looked for after a cut.
    pub(super) ours: Vec<String>,
    pub(super) tree: Tree,
    /// Whether names can be changed; no answer has said otherwise.
    pub(super) renames: bool,
    /// Files that were sent before the provider has answered for them.
    pub(super) ahead: Ahead,
    /// Whether a file is made with its bytes by one call.
    pub(super) inserts: bool,
    /// Whether a file was seen to have the interface of files.
    pub(super) files_are_objects: bool,
    /// What is known of its folders from before.
    pub(super) recall: Option<Recall>,
    /// Whether folders are listed with what is in them; no answer has said otherwise.
    lists_at_once: bool,
    /// How full the battery was when it was opened.
    pub(super) battery_level: Option<u8>,
}

impl Session {
    /// A device that was made.
    pub(super) fn new(
        link: Link,
        root: OwnedObjectPath,
        device: OwnedObjectPath,
        parameters: Parameters,
    ) -> Self {
        Self {
            storage: device.clone(),
            peer: Arc::new(Peer::new(link, root, device)),
            parameters,
            formats: Vec::new(),
            ours: Vec::new(),
            tree: Tree::default(),
            renames: true,
            ahead: Ahead::default(),
            inserts: false,
            files_are_objects: false,
            recall: None,
            lists_at_once: true,
            battery_level: None,
        }
    }

    /// What is at this path.
    pub(super) async fn find(&mut self, path: &str) -> Result<Option<Known>, Fault> {
        let mut folder = (String::new(), self.storage.clone());
        let parts: Vec<&str> = path.split('/').collect();
        for (at, part) in parts.iter().enumerate() {
            self.list(&folder.0, &folder.1).await?;
            let found = self.tree.folder(&folder.0).and_then(|children| children.get(*part)).cloned();
            match found {
                Some(found) if at + 1 == parts.len() => return Ok(Some(found)),
                Some(found) if found.is_folder => {
                    let path = if at == 0 { (*part).to_owned() } else { format!("{}/{part}", folder.0) };
                    folder = (path, found.object);
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Names and objects right below a folder; none where there is no such folder.
    pub(super) async fn children(&mut self, path: &str) -> Result<Vec<(String, Known)>, Fault> {
        let folder = match path {
            "" => self.storage.clone(),
            path => match self.find(path).await? {
                Some(found) if found.is_folder => found.object,
                _ => return Ok(Vec::new()),
            },
        };
        self.list(path, &folder).await?;
        let children = self.tree.folder(path);
        Ok(children.into_iter().flatten().map(|(name, known)| (name.clone(), known.clone())).collect())
    }

    /// Lists a folder unless that was done.
    async fn list(&mut self, path: &str, folder: &OwnedObjectPath) -> Result<(), Fault> {
        if self.tree.folder(path).is_some() {
            return Ok(());
        }
        let told = match self.lists_at_once {
            true => self.enumerate_at_once(folder).await?,
            false => None,
        };
        let told = match told {
            Some(told) => told,
            None => {
                self.lists_at_once = false;
                self.enumerate_one_by_one(folder).await?
            }
        };
        // a name that no path can have is nothing of ours
        let named = told.into_iter().filter(|(_, entry)| answers::is_name(&entry.name));
        let children = named.map(|(object, entry)| (entry.name.clone(), known(object, entry))).collect();
        self.tree.listed(path, children);
        self.check_recalled(path);
        Ok(())
    }

    /// What is in a folder, told together with the listing; `None` where the provider doesn't do so.
    async fn enumerate_at_once(
        &self,
        folder: &OwnedObjectPath,
    ) -> Result<Option<Vec<(OwnedObjectPath, Entry)>>, Fault> {
        let mut listing = Listing::default();
        let mut told = Vec::new();
        while let Some(first) = listing.next() {
            let member = (STORAGE, "EnumStorageWithMetadata");
            let page: Result<Vec<(OwnedObjectPath, Properties)>, _> =
                self.peer.call(folder, member, &(first, PAGE, &ENTRY[..]), QUICK).await;
            let page = match page {
                Err(Fault::Missing(_) | Fault::Refused(Word::NotSupported, _)) if first == 0 => {
                    return Ok(None);
                }
                page => page?,
            };
            let (objects, metadata): (Vec<_>, Vec<_>) = page.into_iter().unzip();
            let objects = listing.add(objects, &self.peer.root)?;
            for (object, metadata) in objects.into_iter().zip(metadata) {
                told.push((object, answers::entry(&metadata)?));
            }
        }
        Ok(Some(told))
    }

    /// What is in a folder, each object asked for itself.
    async fn enumerate_one_by_one(
        &self,
        folder: &OwnedObjectPath,
    ) -> Result<Vec<(OwnedObjectPath, Entry)>, Fault> {
        let mut listing = Listing::default();
        let mut told = Vec::new();
        while let Some(first) = listing.next() {
            let page = self.peer.call(folder, (STORAGE, "EnumStorage"), &(first, PAGE), QUICK).await?;
            let asked = listing.add(page, &self.peer.root)?.into_iter().map(|object| async move {
                Ok::<_, Fault>(self.peer.entry(&object).await?.map(|entry| (object, entry)))
            });
            // what is gone since it was listed is not there
            let page: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
            told.extend(page.into_iter().flatten());
        }
        Ok(told)
    }

    /// The object as the provider tells of it now, if it is what is expected at this path.
    pub(super) async fn check_unchanged(
        &self,
        path: &DevicePath,
        there: &Known,
        expected: ObjectFacts,
    ) -> Result<Known, PlayerError> {
        match self
            .peer
            .look(&there.object, path.name())
            .await
            .map_err(|fault| fault.told("looking", path.as_str()))?
        {
            Some(now) if !now.is_folder && expected.matches(&now.facts) => Ok(now),
            _ => Err(PlayerError::Changed(path.as_str().to_owned())),
        }
    }

    /// What a listing said to be at a path, as the provider tells of the object itself: a listing may have given it another
    /// one's name. `None` when it has no such object any more.
    pub(super) async fn as_listed(
        &mut self,
        path: &str,
        listed: &Known,
    ) -> Result<Option<Known>, PlayerError> {
        let told = |fault: Fault| fault.told("looking", path);
        let Some(now) = self.peer.entry(&listed.object).await.map_err(told)? else {
            self.tree.forget(parent(path));
            return Ok(None);
        };
        if now.name == name(path) && now.is_folder == listed.is_folder {
            return Ok(Some(known(listed.object.clone(), now)));
        }
        self.tree.forget(parent(path));
        Err(told(Fault::Lie(format!("`{path}` as `{}`, which is another object", listed.object.as_str()))))
    }

    /// Deletes what a listing said to be at a path, if it is that.
    pub(super) async fn delete_listed(&mut self, path: &str, listed: &Known) -> Result<(), PlayerError> {
        match self.as_listed(path, listed).await? {
            Some(now) => self.delete_object(path, &now).await,
            None => Ok(()),
        }
    }

    /// Deletes an object that was looked at, and sees that it is gone: whatever the provider answered.
    pub(super) async fn delete_object(&mut self, path: &str, there: &Known) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("deleting", path);
        let member = (OBJECT, "Delete");
        let deleted = self.peer.call::<_, ()>(&there.object, member, &false, super::link::SLOW).await;
        if self.peer.link.is_lost() {
            return deleted.map_err(told);
        }
        let there = match self.peer.look(&there.object, name(path)).await {
            // what can't be looked at may still be listed, or not
            Err(Fault::Refused(..) | Fault::Lie(_) | Fault::Other(_)) => {
                self.tree.forget(parent(path));
                self.find(path).await
            }
            there => there,
        };
        if there.map_err(told)?.is_none() {
            self.tree.take(path);
            return Ok(());
        }
        self.tree.forget(parent(path));
        match deleted {
            Ok(()) => Err(PlayerError::Other(format!(
                "the provider said that `{path}` was deleted, and it is still there"
            ))),
            Err(fault) => Err(told(fault)),
        }
    }

    /// Deletes an object if it is still as it was looked at.
    pub(super) async fn delete_known(&mut self, path: &DevicePath, there: &Known) -> Result<(), PlayerError> {
        let now = self.check_unchanged(path, there, there.facts).await?;
        self.delete_object(path.as_str(), &now).await
    }
}

/// A folder that is listed page by page, within bounds.
#[derive(Default)]
struct Listing {
    seen: HashSet<OwnedObjectPath>,
    is_done: bool,
}

impl Listing {
    /// The position of the next page; `None` at the end.
    fn next(&self) -> Option<u32> {
        u32::try_from(self.seen.len()).ok().filter(|_| !self.is_done)
    }

    /// Takes a page; one that isn't full is the last.
    fn add(&mut self, page: Vec<OwnedObjectPath>, root: &str) -> Result<Vec<OwnedObjectPath>, Fault> {
        let page = answers::paths(page, root, PAGE as usize)?;
        self.is_done = page.len() < PAGE as usize;
        if page.iter().any(|object| !self.seen.insert(object.clone())) {
            return Err(Fault::Lie("the same object twice in one folder".to_owned()));
        }
        if self.seen.len() > MOST_IN_FOLDER {
            return Err(Fault::Lie(format!("more than {MOST_IN_FOLDER} objects in one folder")));
        }
        Ok(page)
    }
}

/// The session as player, storage and files share it; one of them at a time has it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Option<Session>>>, Blamed);

impl Shared {
    /// Shares a session with this provider.
    pub(super) fn new(session: Session, provider: Blamed) -> Self {
        Self(Arc::new(Mutex::new(Some(session))), provider)
    }

    /// What came of something, with the provider named where that is to blame. Whoever leaves here is named once.
    pub(super) fn named<T>(&self, done: Result<T, PlayerError>) -> Result<T, PlayerError> {
        done.map_err(|error| self.1.named(error))
    }

    /// The session, until the guard is dropped; `None` after closing.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        self.0.lock().await
    }
}

/// What is told of a player that was closed.
pub(super) fn closed() -> PlayerError {
    PlayerError::Other("the player is closed; open it again".to_owned())
}

/// Does something with the session.
macro_rules! with_session {
    ($shared:expr, $session:ident => $work:expr) => {{
        let mut guard = $shared.lock().await;
        let $session = guard.as_mut().ok_or_else($crate::providers::session::closed)?;
        let done = $work.await;
        $shared.named(done)
    }};
}
pub(super) use with_session;
