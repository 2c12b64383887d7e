//! Tests of folder players, with real directories.

use crate::{FolderPlayer, HardwareError, HardwareOptions, watch};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tandem_model::presence::Presence;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; a test that waits for it has failed.
const LIMIT: Duration = Duration::from_secs(10);

struct Fixture {
    root: tempfile::TempDir,
    changes: Receiver<Presence>,
    stop: CancellationToken,
    watching: JoinHandle<Result<(), HardwareError>>,
}

impl Fixture {
    /// Watches these folders of a directory, after `prepare` has had its turn with it.
    fn new(folders: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let folders =
            folders.iter().map(|path| FolderPlayer { path: root.path().join(path), name: None }).collect();
        let (sender, changes) = channel(4);
        let stop = CancellationToken::new();
        let options = HardwareOptions { folders, ..HardwareOptions::default() };
        let watching = tokio::spawn(watch(options, crate::inquiries().1, sender, stop.clone()));
        Self { root, changes, stop, watching }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn make(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// The next change: `+` or `-`, and which folder.
    async fn next(&mut self) -> String {
        let change =
            tokio::time::timeout(LIMIT, self.changes.recv()).await.expect("nothing was announced").unwrap();
        let (sign, key) = match change {
            Presence::Arrived(arrival) => ('+', arrival.key),
            Presence::Departed(key) => ('-', key),
            Presence::ProvidersChanged => unreachable!("folders know no providers"),
        };
        format!("{sign}{}", Path::new(&key).strip_prefix(self.root.path()).unwrap().display())
    }

    /// Ends the watching; whatever is left unread is an error.
    async fn end(mut self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.watching).await.expect("it did not stop").unwrap().unwrap();
        assert_eq!(self.changes.recv().await, None);
    }
}

#[tokio::test]
async fn a_folder_that_is_there_arrives_and_another_when_it_is_made() {
    let mut fixture = Fixture::new(&["a", "b"], |root| fs::create_dir(root.join("a")).unwrap());
    assert_eq!(fixture.next().await, "+a");
    fixture.make("b");
    assert_eq!(fixture.next().await, "+b");
    fixture.end().await;
}

#[tokio::test]
async fn it_departs_when_it_is_removed_or_renamed_and_comes_back() {
    let mut fixture = Fixture::new(&["a"], |root| fs::create_dir(root.join("a")).unwrap());
    assert_eq!(fixture.next().await, "+a");
    fs::remove_dir(fixture.path("a")).unwrap();
    assert_eq!(fixture.next().await, "-a");
    fixture.make("a");
    assert_eq!(fixture.next().await, "+a");
    fixture.rename("a", "elsewhere");
    assert_eq!(fixture.next().await, "-a");
    fixture.rename("elsewhere", "a");
    assert_eq!(fixture.next().await, "+a");
    fixture.end().await;
}

#[tokio::test]
async fn directories_above_it_may_come_and_go_too() {
    let mut fixture = Fixture::new(&["x/y/a"], |_| ());
    fixture.make("x/y/a");
    assert_eq!(fixture.next().await, "+x/y/a");
    fixture.rename("x", "z");
    assert_eq!(fixture.next().await, "-x/y/a");
    fixture.make("x");
    fixture.rename("z/y", "x/y");
    assert_eq!(fixture.next().await, "+x/y/a");
    fs::remove_dir_all(fixture.path("x")).unwrap();
    assert_eq!(fixture.next().await, "-x/y/a");
    fixture.end().await;
}

#[tokio::test]
async fn another_directory_of_the_same_name_is_another_arrival() {
    let mut fixture = Fixture::new(&["a"], |root| {
        fs::create_dir(root.join("a")).unwrap();
        fs::create_dir(root.join("new")).unwrap();
    });
    assert_eq!(fixture.next().await, "+a");
    // replaces the empty one in a single step
    fixture.rename("new", "a");
    assert_eq!(fixture.next().await, "-a");
    assert_eq!(fixture.next().await, "+a");
    fixture.end().await;
}

#[tokio::test]
async fn a_file_is_no_folder_and_what_happens_inside_one_is_not_our_business() {
    let mut fixture = Fixture::new(&["a", "b"], |root| {
        fs::create_dir(root.join("a")).unwrap();
        fs::File::create(root.join("b")).unwrap();
    });
    assert_eq!(fixture.next().await, "+a");
    fixture.make("a/Music/Artist");
    fs::remove_file(fixture.path("b")).unwrap();
    fixture.make("b");
    assert_eq!(fixture.next().await, "+b");
    fixture.end().await;
}

#[tokio::test]
async fn it_ends_when_nobody_listens() {
    let Fixture { root, changes, stop, watching } =
        Fixture::new(&["a"], |root| fs::create_dir(root.join("a")).unwrap());
    drop(changes);
    tokio::time::timeout(LIMIT, watching).await.expect("it did not end").unwrap().unwrap();
    drop((root, stop));
}

#[tokio::test]
async fn it_stops_although_nobody_reads() {
    let folders: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let names: Vec<&str> = folders.iter().map(String::as_str).collect();
    let Fixture { root, changes, stop, watching } =
        Fixture::new(&names, |root| names.iter().for_each(|name| fs::create_dir(root.join(name)).unwrap()));
    stop.cancel();
    tokio::time::timeout(LIMIT, watching).await.expect("it did not stop").unwrap().unwrap();
    drop((root, changes));
}

#[tokio::test]
async fn folders_that_overlap_are_an_error() {
    let fixture = Fixture::new(&["a", "a/b"], |_| ());
    let result = tokio::time::timeout(LIMIT, fixture.watching).await.expect("it did not end").unwrap();
    assert!(matches!(result, Err(HardwareError::Overlap { .. })), "{result:?}");
}
