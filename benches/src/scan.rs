//! The library agent's first scan against the tag reader alone, and its rescan against a plain walk. The agent is asked
//! over its own protocol, because a change of the state is told on the bus four times a second at most.

use crate::figures::{Memory, Table, median};
use crate::others;
use kit::MusicLibrary;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem_library::{AgentLibraries, ChildLauncher};
use tandem_model::library::{Libraries, Library};
use tempfile::TempDir;

const ROUNDS: usize = 5;

/// Scans a library anew in each round, then again without changes.
pub(crate) async fn measure(table: &mut Table, music: &MusicLibrary) {
    let files = others::files(music.dir());
    let user = std::fs::metadata("/proc/self").expect("/proc is mounted").uid();
    let (mut alone, mut walks, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut memory = None;
    for _ in 0..ROUNDS {
        alone.push(others::lofty_alone(&files));
        walks.push(others::walk(music.dir()));
        let state = TempDir::with_prefix("tandem-index-").expect("the temporary directory can be written");
        let launcher = ChildLauncher {
            program: kit::program("tandem-library-agent"),
            state_dir: state.path().to_owned(),
            default_folders: vec![music.dir().to_owned()],
        };
        let libraries = AgentLibraries::new(Arc::new(launcher), Duration::from_secs(60));
        let begun = Instant::now();
        let library = libraries.open(user).await.expect("the agent starts");
        settled(&*library).await;
        first.push(begun.elapsed());
        let count = usize::try_from(library.state().borrow().track_count);
        assert_eq!(count, Ok(files.len()), "every file was found");
        let begun = Instant::now();
        library.scan().await.expect("a library can be scanned");
        settled(&*library).await;
        again.push(begun.elapsed());
        memory = others::child_of(std::process::id()).map(Memory::of);
        drop(library);
        libraries.shut_down().await;
    }
    let count = files.len();
    let what = format!("first scan of {count} files, the agent's start included");
    table.against(&what, median(first), ("lofty alone", median(alone)), 1.5);
    let what = format!("scan of {count} files without changes");
    table.against(&what, median(again), ("plain walk with stat", median(walks)), 1.1);
    if let Some(memory) = memory {
        let what = format!("resident memory of the agent after scans, {count} tracks");
        table.alone(&what, &memory.to_string(), "≤ 40 MB");
    }
}

/// Waits until the scans that were asked for are done: an answer about playlists, even about none, waits for them.
async fn settled(library: &dyn Library) {
    library.resolve(Vec::new()).await.expect("the agent answers");
    let mut state = library.state();
    state.wait_for(|state| state.last_scan_time > 0).await.expect("the agent lives");
}
