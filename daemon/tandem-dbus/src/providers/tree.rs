//! What is known of the folders of a provider's storage, by path. Pure: it asks nobody.
//!
//! It must not outlive the opening that it was listed in.

use std::collections::{HashMap, HashSet};
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
        for gone in self.folders.remove(folder).into_iter().flatten() {
            self.objects.remove(&gone.1.object);
        }
    }

    /// An object was made or found.
    pub(super) fn put(&mut self, path: &str, known: Known) {
        self.objects.insert(known.object.clone());
        if known.is_folder {
            self.folders.entry(path.to_owned()).or_default();
        }
        if let Some(folder) = self.folders.get_mut(parent(path)) {
            folder.insert(name(path).to_owned(), known);
        }
    }

    /// An object went.
    pub(super) fn take(&mut self, path: &str) {
        if let Some(gone) = self.folders.get_mut(parent(path)).and_then(|folder| folder.remove(name(path))) {
            self.objects.remove(&gone.object);
        }
        let below = format!("{path}/");
        self.folders.retain(|folder, _| folder != path && !folder.starts_with(&below));
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
