//! What is known of the folders of a provider's storage, by path. Pure: it asks nobody.
//!
//! It must not outlive the opening that it was listed in.

use std::collections::{BTreeSet, HashMap, HashSet};
use tandem_model::player::ObjectFacts;
use unicode_normalization::UnicodeNormalization;
use zbus::OwnedObjectPath;

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) object: OwnedObjectPath,
    pub(super) is_folder: bool,
    pub(super) facts: ObjectFacts,
    /// Its lasting id; empty where it has none.
    pub(super) id: String,
}

/// Folders by path, `""` for the root, with what is in them by name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    folders: HashMap<String, HashMap<String, Known>>,
    objects: HashSet<OwnedObjectPath>,
    /// Folders in which something was done.
    touched: HashSet<String>,
    /// Folders that went, with all that was in them.
    gone: HashSet<String>,
    /// Files that came, or are others now.
    came: BTreeSet<String>,
}

impl Tree {
    /// What is in this folder; `None` before it was listed.
    pub(super) fn folder(&self, path: &str) -> Option<&HashMap<String, Known>> {
        self.folders.get(path)
    }

    /// What is at this path, where its folder was listed.
    pub(super) fn get(&self, path: &str) -> Option<&Known> {
        self.folders.get(parent(path))?.get(name(path))
    }

    /// A folder was listed. Of two of a name the first counts.
    pub(super) fn listed(&mut self, path: &str, children: Vec<(String, Known)>) {
        let mut named = HashMap::with_capacity(children.len());
        for (name, known) in children {
            self.objects.insert(known.object.clone());
            named.entry(name).or_insert(known);
        }
        self.folders.insert(path.to_owned(), named);
    }

    /// Whether the object was listed or made.
    pub(super) fn knows(&self, object: &OwnedObjectPath) -> bool {
        self.objects.contains(object)
    }

    /// Forgets what is in this folder.
    pub(super) fn forget(&mut self, folder: &str) {
        self.touch(folder);
        self.came.retain(|path| parent(path) != folder);
        for gone in self.folders.remove(folder).into_iter().flatten() {
            self.objects.remove(&gone.1.object);
        }
    }

    /// An object was made or found.
    pub(super) fn put(&mut self, path: &str, known: Known) {
        self.touch(parent(path));
        self.objects.insert(known.object.clone());
        if known.is_folder {
            self.touch(path);
            self.folders.entry(path.to_owned()).or_default();
        } else if self.get(path) != Some(&known) {
            self.came.insert(path.to_owned());
        }
        if let Some(folder) = self.folders.get_mut(parent(path)) {
            folder.insert(name(path).to_owned(), known);
        }
    }

    /// An object went.
    pub(super) fn take(&mut self, path: &str) {
        self.touch(parent(path));
        self.gone.insert(path.to_owned());
        if let Some(gone) = self.folders.get_mut(parent(path)).and_then(|folder| folder.remove(name(path))) {
            self.objects.remove(&gone.object);
        }
        let below = format!("{path}/");
        self.folders.retain(|folder, _| folder != path && !folder.starts_with(&below));
        self.came.retain(|file| file != path && !file.starts_with(&below));
    }

    /// Something is about to be done in this folder.
    pub(super) fn touch(&mut self, folder: &str) {
        self.touched.insert(folder.to_owned());
    }

    /// Whether something was done in this folder, or it went.
    pub(super) fn has_touched(&self, folder: &str) -> bool {
        let mut at = Some(folder).filter(|folder| !folder.is_empty());
        let is_gone = std::iter::from_fn(|| {
            let now = at?;
            at = now.rsplit_once('/').map(|(above, _)| above);
            Some(now)
        });
        self.touched.contains(folder) || is_gone.into_iter().any(|folder| self.gone.contains(folder))
    }

    /// Whether anything was done.
    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Folders that were listed, and in which nothing was done.
    pub(super) fn untouched(&self) -> impl Iterator<Item = (&String, &HashMap<String, Known>)> {
        self.folders.iter().filter(|(folder, _)| !self.has_touched(folder))
    }

    /// Files that came, or are others than were listed.
    pub(super) fn came(&self) -> impl Iterator<Item = &str> {
        self.came.iter().map(String::as_str)
    }

    /// Whether a name in a folder that was listed is taken, by itself or by one that the device may not tell
    /// from it.
    pub(super) fn is_taken(&self, path: &str) -> bool {
        let wanted = folded(name(path));
        let children = self.folders.get(parent(path));
        children.is_some_and(|children| children.keys().any(|name| folded(name) == wanted))
    }
}

/// The folder's path; empty for the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The last part.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What two names have in common that some file systems can't tell apart.
fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(object: &str, is_folder: bool) -> Known {
        let object = OwnedObjectPath::try_from(object).unwrap();
        Known { object, is_folder, facts: ObjectFacts { size: 0, modified_ns: 0 }, id: String::new() }
    }

    #[test]
    fn what_goes_takes_along_what_is_below_it() {
        let mut tree = Tree::default();
        tree.listed("", vec![]);
        for (at, path) in ["a", "a/b", "ab"].into_iter().enumerate() {
            tree.put(path, known(&format!("/o/{at}"), true));
        }
        let object = OwnedObjectPath::try_from("/o/0").unwrap();
        assert!(tree.knows(&object));
        tree.take("a");
        assert!(!tree.knows(&object));
        assert!(tree.folder("a/b").is_none() && tree.folder("ab").is_some());
    }

    #[test]
    fn names_that_some_devices_cannot_tell_apart_are_one() {
        let mut tree = Tree::default();
        tree.listed("", vec![("Song \u{c9}.mp3".to_owned(), known("/o/1", false))]);
        assert!(tree.is_taken("SONG e\u{301}.mp3") && !tree.is_taken("b.mp3"));
    }

    #[test]
    fn of_two_of_a_name_the_first_counts() {
        let mut tree = Tree::default();
        tree.listed("", vec![("a".to_owned(), known("/o/1", false)), ("a".to_owned(), known("/o/2", false))]);
        assert_eq!(tree.folder("").unwrap()["a"], known("/o/1", false));
        tree.forget("");
        assert!(tree.folder("").is_none());
    }
}
