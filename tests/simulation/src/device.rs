//! The player's content: files, folders, mark and space, with who owns each file. It knows nothing of faults; it can do
//! an operation whole, or up to a step in it. Whatever the engine removes here that isn't ours is a violation.

use crate::event::{Flavour, Unkept, unkept};
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tandem_model::id::Guid;
use tandem_model::manifest::Entry;
use tandem_model::path::DevicePath;
use tandem_model::player::{Mark, ObjectFacts, Space};

/// Bytes of a cluster.
pub(crate) const CLUSTER: u64 = 512;
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 3600 * SECOND;

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user's: nothing may happen to it.
    User,
    /// Written by a run of this partnership.
    Tandem(Guid),
    /// May be taken for either, and nobody could tell.
    Either,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its path as it is spelled.
    pub(crate) path: String,
    /// Its content.
    pub(crate) bytes: Arc<[u8]>,
    /// As it is kept, before what the device makes of it.
    pub(crate) modified_ns: i64,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// Where the user put it; empty for ours.
    pub(crate) home: String,
    /// Its lasting id.
    pub(crate) id: u64,
    /// The title that the device was told, where that is known.
    pub(crate) title: Option<String>,
}

/// All names on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Files by key.
    pub(crate) files: BTreeMap<String, Node>,
    /// Folders by key, with their spelling and the partnership that made them; `None`: the user, or nobody knows.
    pub(crate) folders: BTreeMap<String, (String, Option<Guid>)>,
    /// The partnership's mark.
    pub(crate) mark: Option<Mark>,
}

/// A player's content.
#[derive(Debug)]
pub(crate) struct Device {
    /// What kind it is.
    pub(crate) flavour: Flavour,
    /// What is there.
    pub(crate) tree: Tree,
    /// What was kept elsewhere.
    pub(crate) backup: Option<Tree>,
    /// States that a cut of the power may fall back to, the oldest first.
    pub(crate) unsettled: Vec<Tree>,
    /// Lasting ids of the files whose bytes it may lose.
    unkept: BTreeSet<u64>,
    /// Hashes of files of ours that the user deleted or changed.
    pub(crate) excused: BTreeSet<u128>,
    /// A record of what is ours was lost.
    pub(crate) lost: bool,
    /// The user changed something while a run went on.
    pub(crate) disturbed: bool,
    /// He changes something in the middle of a run: anything may be in flight.
    pub(crate) amid_run: bool,
    /// Keys of all files that a record names as in flight, and the number of the computer that has the record.
    pub(crate) in_flight: BTreeSet<(u64, String)>,
    /// Folders that a computer has made, or of which nobody knows who has: its number and their keys.
    made_folders: BTreeSet<(u64, String)>,
    /// Keys of those files.
    pub(crate) excused_names: BTreeSet<String>,
    /// What must not have happened.
    pub(crate) violations: Vec<String>,
    /// Number of the computer that has the player now.
    pub(crate) host: u64,
    /// The partnership that marked it last.
    pub(crate) writer: Guid,
    /// Its size.
    pub(crate) clusters: u64,
    /// Local time, ahead of the world's.
    pub(crate) zone_ns: i64,
    /// Its clock.
    pub(crate) clock_ns: i64,
    /// Decides what a cut leaves.
    pub(crate) random: Random,
    /// The number of the last lasting id.
    pub(crate) last_id: u64,
    /// What is copied here is read back.
    pub(crate) is_read_back: bool,
    /// The next write keeps something else than was sent.
    pub(crate) lies: bool,
    /// A write has kept something else than was sent.
    pub(crate) has_lied: bool,
}

impl Device {
    /// An empty player.
    #[must_use]
    pub(crate) fn new(flavour: Flavour, clusters: u64, seed: u64) -> Self {
        Self {
            flavour,
            tree: Tree::default(),
            backup: None,
            unsettled: Vec::new(),
            unkept: BTreeSet::new(),
            excused: BTreeSet::new(),
            lost: false,
            disturbed: false,
            amid_run: false,
            in_flight: BTreeSet::new(),
            made_folders: BTreeSet::new(),
            excused_names: BTreeSet::new(),
            violations: Vec::new(),
            host: 1,
            writer: Guid::ZERO,
            clusters,
            zone_ns: 0,
            clock_ns: 1_700_000_000 * SECOND,
            random: Random::new(seed),
            last_id: 0,
            is_read_back: false,
            lies: false,
            has_lied: false,
        }
    }

    /// What a path is looked up by.
    #[must_use]
    pub(crate) fn key(&self, path: &str) -> String {
        if self.flavour == Flavour::Fat { path.to_lowercase() } else { path.to_owned() }
    }

    /// The file at this path.
    #[must_use]
    pub(crate) fn file(&self, path: &str) -> Option<&Node> {
        self.tree.files.get(&self.key(path))
    }

    /// The file at this path; a temporary name of an object store is looked for in every folder.
    #[must_use]
    pub(crate) fn seek(&self, path: &str) -> Option<&Node> {
        let found = self.file(path);
        if found.is_some() || self.flavour.is_atomic() || !is_temporary(path) {
            return found;
        }
        let name = name_of(path);
        self.tree.files.values().find(|node| name_of(&node.path) == name)
    }

    /// What the device tells of a file.
    #[must_use]
    pub(crate) fn facts(&self, node: &Node) -> ObjectFacts {
        let modified_ns = match self.flavour {
            Flavour::Exact => node.modified_ns,
            Flavour::Fat => (node.modified_ns + self.zone_ns).div_euclid(2 * SECOND) * 2 * SECOND,
            Flavour::Mtp | Flavour::MtpInPlace => node.modified_ns.div_euclid(SECOND) * SECOND,
        };
        ObjectFacts { size: node.bytes.len() as u64, modified_ns }
    }

    /// Space now.
    #[must_use]
    pub(crate) fn space(&self) -> Space {
        let used: u64 = self.tree.files.values().map(|node| clusters(node.bytes.len())).sum();
        let free = self.clusters.saturating_sub(used) * CLUSTER;
        Space { total: self.clusters * CLUSTER, free, cluster: CLUSTER, cluster_is_known: true, folder: None }
    }

    /// Whether so many more bytes have space.
    #[must_use]
    pub(crate) fn has_space(&self, bytes: usize) -> bool {
        clusters(bytes) * CLUSTER <= self.space().free
    }

    /// Folders above this path that aren't there, outermost first; `None` when a file is in the way.
    #[must_use]
    pub(crate) fn missing_folders(&self, path: &str) -> Option<Vec<String>> {
        let above: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        if above.iter().any(|folder| self.file(folder).is_some()) {
            return None;
        }
        let missing = above.iter().filter(|folder| !self.tree.folders.contains_key(&self.key(folder)));
        Some(missing.map(|folder| (*folder).to_owned()).collect())
    }

    /// Whether what has this key now may be what was in flight when a run was cut.
    #[must_use]
    pub(crate) fn may_be_in_flight(&self, key: &str) -> bool {
        self.amid_run || self.in_flight.iter().any(|(_, in_flight)| in_flight == key)
    }

    /// Makes these folders.
    pub(crate) fn make_folders(&mut self, folders: &[String], by: Option<Guid>) {
        for folder in folders {
            self.step();
            let key = self.key(folder);
            let inside = format!("{key}/");
            let intended = self.in_flight.iter().filter(|(_, in_flight)| in_flight.starts_with(&inside));
            self.made_folders.extend(intended.map(|(host, _)| (*host, key.clone())));
            if by.is_some() || self.amid_run {
                self.made_folders.insert((self.host, key.clone()));
            }
            self.tree.folders.entry(key).or_insert_with(|| (folder.clone(), by));
        }
    }

    /// Marks the player.
    pub(crate) fn set_mark(&mut self, mark: Mark) {
        self.tree.mark = Some(mark);
        if mark.relationship != Guid::ZERO {
            self.writer = mark.relationship;
        }
        self.settle();
    }

    /// The partnership that the player is marked with.
    #[must_use]
    pub(crate) fn relationship(&self) -> Guid {
        self.tree.mark.map_or(Guid::ZERO, |mark| mark.relationship)
    }

    /// Removes a folder if it is there and empty.
    pub(crate) fn remove_if_empty(&mut self, folder: &str) {
        let key = self.key(folder);
        let inside = format!("{key}/");
        let is_used =
            self.tree.files.keys().chain(self.tree.folders.keys()).any(|name| name.starts_with(&inside));
        if is_used {
            self.leave_to_user(&key);
        } else if self.tree.folders.contains_key(&key) {
            self.step();
            self.tree.folders.remove(&key);
            // the name of unfinished files' folder is ours, whoever made it
            if key != ".tandem" && !self.made_folders.contains(&(self.host, key)) {
                self.violations
                    .push(format!("the folder `{folder}`, which this computer never made, was removed"));
            }
        }
    }

    /// A folder that we need no more stays for what others have in it: it is the user's from then on, also when he empties it.
    fn leave_to_user(&mut self, key: &str) {
        let inside = format!("{key}/");
        let is_others = |(name, node): (&String, &Node)| {
            name.starts_with(&inside) && !matches!(node.owner, Owner::Tandem(by) if by == self.writer)
        };
        if self.tree.files.iter().any(is_others)
            && let Some((_, by)) = self.tree.folders.get_mut(key)
        {
            *by = None;
        }
    }

    /// Puts a file of ours there; whatever had its name is replaced, and had better be ours.
    pub(crate) fn put(&mut self, path: &str, bytes: Arc<[u8]>, modified_ns: i64) {
        self.step();
        let key = self.key(path);
        if self.tree.files.contains_key(&key) {
            self.check_ours(&key, "overwritten");
        }
        let owner = Owner::Tandem(self.writer);
        let (home, title, id) = (String::new(), Some(String::new()), self.next_id());
        if self.flavour.is_atomic() {
            self.unkept.insert(id);
        }
        let node = Node { path: path.to_owned(), bytes, modified_ns, owner, home, id, title };
        self.tree.files.insert(key, node);
    }

    /// A lasting id that no other file has.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The device tells of a file's lasting id so.
    #[must_use]
    pub(crate) fn persistent_id(&self, node: &Node) -> String {
        if self.flavour.has_ids() { format!("id {}", node.id) } else { node.path.clone() }
    }

    /// The file of this entry, where it was put or where its lasting id is now.
    #[must_use]
    pub(crate) fn place_of(&self, entry: &Entry) -> Option<&Node> {
        let by_id =
            || self.tree.files.values().find(|node| *self.persistent_id(node) == *entry.persistent_id);
        self.file(entry.path.as_str()).or_else(by_id)
    }

    /// What was written last as this file is something else all the same.
    pub(crate) fn spoil(&mut self, path: &str) {
        let key = self.key(path);
        if let Some(node) = self.tree.files.get_mut(&key).filter(|node| !node.bytes.is_empty()) {
            let mut bytes = node.bytes.to_vec();
            bytes[0] ^= 0xff;
            node.bytes = bytes.into();
            self.has_lied = true;
        }
    }

    /// Removes a file for the engine.
    pub(crate) fn remove(&mut self, path: &str) {
        self.step();
        let key = self.key(path);
        self.check_ours(&key, "deleted");
        self.tree.files.remove(&key);
    }

    /// Gives a file another name, which nobody has.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.step();
        let (from, key) = (self.key(from), self.key(to));
        if let Some(mut node) = self.tree.files.remove(&from) {
            to.clone_into(&mut node.path);
            if self.tree.files.contains_key(&key) {
                self.check_ours(&key, "overwritten");
            }
            self.tree.files.insert(key, node);
        }
    }

    /// Lets two files change names.
    pub(crate) fn exchange(&mut self, one: &str, two: &str) {
        self.step();
        let keys = (self.key(one), self.key(two));
        let nodes = (self.tree.files.remove(&keys.0), self.tree.files.remove(&keys.1));
        if let (Some(mut first), Some(mut second)) = nodes {
            std::mem::swap(&mut first.path, &mut second.path);
            self.tree.files.insert(keys.0, second);
            self.tree.files.insert(keys.1, first);
        }
    }

    fn check_ours(&mut self, key: &str, done: &str) {
        let Some(node) = self.tree.files.get(key) else { return };
        let is_ours = match node.owner {
            Owner::User => false,
            Owner::Tandem(relationship) => host_of(relationship) == self.host,
            Owner::Either => true,
        };
        if !is_ours {
            self.violations.push(format!("`{}`, which is {:?}'s, was {done}", node.path, node.owner));
        }
    }

    /// The user deletes or changes this file.
    pub(crate) fn excuse(&mut self, key: &str) {
        if let Some(node) = self.tree.files.get(key) {
            self.excused.insert(hash(&node.bytes));
            self.excused_names.insert(key.to_owned());
        }
    }

    /// Whether the user has deleted or changed a file with this name or these bytes.
    #[must_use]
    pub(crate) fn is_excused(&self, path: &str, hash: u128) -> bool {
        self.excused.contains(&hash) || self.excused_names.contains(&self.key(path))
    }

    /// What follows can be undone by a cut.
    fn step(&mut self) {
        if self.flavour.is_atomic() && self.unsettled.len() < 200 {
            self.unsettled.push(self.tree.clone());
        }
    }

    /// What was done so far lasts.
    pub(crate) fn settle(&mut self) {
        self.unsettled.clear();
        self.unkept.clear();
    }

    /// The power is cut: what wasn't settled may not have happened, and bytes may be lost whose names are there.
    pub(crate) fn cut(&mut self) {
        let back = self.random.below(self.unsettled.len() as u64 + 1);
        let kept = usize::try_from(back).unwrap_or(0);
        if let Some(tree) = std::mem::take(&mut self.unsettled).into_iter().nth(kept) {
            self.tree = tree;
        }
        for id in std::mem::take(&mut self.unkept) {
            let left = unkept(&mut self.random);
            self.lose_bytes(id, left);
        }
    }

    /// The power is cut: names are there, and of what wasn't settled the bytes are so.
    pub(crate) fn lose_unkept(&mut self, left: Unkept) {
        self.unsettled.clear();
        for id in std::mem::take(&mut self.unkept) {
            self.lose_bytes(id, left);
        }
    }

    fn lose_bytes(&mut self, id: u64, left: Unkept) {
        let Some(node) = self.tree.files.values_mut().find(|node| node.id == id) else { return };
        let length = node.bytes.len();
        node.bytes = match left {
            Unkept::Whole => return,
            Unkept::Zeros => vec![0; length].into(),
            Unkept::Part => node.bytes[..length / 2].into(),
            Unkept::Empty => Arc::default(),
        };
    }
}

/// The number of the computer that made this partnership.
#[must_use]
pub(crate) fn host_of(relationship: Guid) -> u64 {
    u64::try_from(relationship.0 >> 64).unwrap_or(0)
}

/// Clusters that so many bytes take.
#[must_use]
pub(crate) fn clusters(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(CLUSTER)
}

/// XXH3-128, as the record keeps it.
#[must_use]
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}

/// The last part of a path.
#[must_use]
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// All but the last part of a path.
#[must_use]
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path` as the model's type.
///
/// # Panics
/// When it can't be a path on a device.
#[must_use]
pub(crate) fn device_path(path: &str) -> DevicePath {
    DevicePath::parse(path).expect("the simulation makes legal paths alone")
}

/// Whether a name is of those that are made for unfinished files.
#[must_use]
pub(crate) fn is_temporary(path: &str) -> bool {
    let number = name_of(path).strip_suffix(".part").unwrap_or("");
    number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}
