//! A library in a temporary directory, with the agent as a child process.
//!
//! Waiting is always for the state that the agent tells, with a limit.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_library::{AgentLibraries, ChildLauncher, Launched, Launcher};
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::{MediaUri, PlaylistId, Uid};
use tandem_model::library::{Libraries, Library, LibraryState, Resolved};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Remembers the process ids of the agents that it starts.
pub(crate) struct Recorder {
    launcher: ChildLauncher,
    pub(crate) pids: Mutex<Vec<u32>>,
}

impl Launcher for Recorder {
    fn launch(&self, owner: Uid) -> BoxFuture<'_, Result<Launched, LibraryError>> {
        Box::pin(async move {
            let launched = self.launcher.launch(owner).await?;
            self.pids.lock().unwrap().extend(launched.process.as_ref().and_then(tokio::process::Child::id));
            Ok(launched)
        })
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) libraries: AgentLibraries,
}

pub(crate) fn own() -> Uid {
    rustix::process::geteuid().as_raw()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_program(|_| env!("CARGO_BIN_EXE_tandem-library-agent").into())
    }

    /// The agent can write nothing while a file of this name lies beside the state directory.
    pub(crate) fn that_is_full_while(name: &str) -> Self {
        Self::with_program(|folder| {
            let (program, agent) = (folder.join("agent"), env!("CARGO_BIN_EXE_tandem-library-agent"));
            let flag = folder.join(name);
            let script = format!(
                "#!/bin/sh\nif [ -e '{}' ]; then trap '' XFSZ; ulimit -f 0; fi\nexec '{agent}' \"$@\"\n",
                flag.display()
            );
            // a child writes it: the file must not be open here while another test starts a process
            let mut write = std::process::Command::new("sh");
            write.args(["-c", "printf %s \"$1\" > \"$2\" && chmod 700 \"$2\"", "sh", &script]).arg(&program);
            assert!(write.status().unwrap().success());
            program
        })
    }

    fn with_program(program: impl FnOnce(&Path) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("music")).unwrap();
        let launcher = ChildLauncher {
            program: program(folder.path()),
            state_dir: folder.path().join("state"),
            default_folders: vec![folder.path().join("music")],
        };
        let recorder = Arc::new(Recorder { launcher, pids: Mutex::default() });
        let libraries = AgentLibraries::new(recorder.clone(), Duration::from_millis(10));
        Self { folder, recorder, libraries }
    }

    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("music").join(name)
    }

    pub(crate) fn put(&self, name: impl AsRef<Path>, content: &[u8]) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content).unwrap();
    }

    pub(crate) fn uri(&self, name: impl AsRef<Path>) -> MediaUri {
        tandem_library::uri::encode(&self.at(name))
    }

    /// The library, once its first scan has ended.
    pub(crate) async fn open(&self) -> Arc<dyn Library> {
        let library = self.libraries.open(own()).await.unwrap();
        until(&*library, |state| !state.scanning && state.last_scan_time > 0).await;
        library
    }
}

pub(crate) async fn until(library: &dyn Library, condition: impl Fn(&LibraryState) -> bool) {
    let mut state = library.state();
    let reached = tokio::time::timeout(LIMIT, state.wait_for(|state| condition(state)))
        .await
        .map(|found| found.is_ok());
    assert_eq!(reached, Ok(true), "not reached: {:?}", library.state().borrow());
}

/// Waits until a search finds just these files.
pub(crate) async fn until_found(library: &dyn Library, rule: &str, expected: &[MediaUri]) {
    let mut state = library.state();
    let mut expected = expected.to_vec();
    expected.sort();
    let search = async {
        loop {
            let mut found = library.search(rule.into()).await.unwrap();
            found.sort();
            if found == expected {
                return;
            }
            state.changed().await.unwrap();
        }
    };
    let found = tokio::time::timeout(LIMIT, search).await;
    assert!(found.is_ok(), "{rule}: {:?}, expected {expected:?}", library.search(rule.into()).await);
}

/// The URIs of a resolved playlist's items.
pub(crate) fn items(resolved: &Resolved, index: usize) -> Vec<MediaUri> {
    let track = |position: &u32| resolved.tracks[usize::try_from(*position).unwrap()].uri.clone();
    resolved.playlists[index].tracks.iter().map(track).collect()
}

pub(crate) async fn resolve(library: &dyn Library, id: &PlaylistId) -> Resolved {
    library.resolve(vec![id.clone()]).await.unwrap()
}
