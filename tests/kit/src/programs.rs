//! Where the programs under test are: beside the tests, in the workspace's target directory. It builds nothing;
//! `make test` builds the programs before it runs the suites.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// The path of a program of the workspace, such as `tandemd`.
///
/// # Panics
/// When it hasn't been built. One that is older than its sources is used, with a warning on stderr.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = target_dir().join(name);
    assert!(
        path.is_file(),
        "{} isn't there: build the programs first, with `make build` or `cargo build -p {name}`",
        path.display()
    );
    warn_once_if_stale(&path);
    path
}

/// The directory of this build's programs: a test lies in its `deps`.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the running test's path is in /proc/self/exe");
    let folder = test.parent().expect("an absolute path of a file has a parent");
    if folder.ends_with("deps") {
        folder.parent().expect("`deps` lies within the profile's folder").to_owned()
    } else {
        folder.to_owned()
    }
}

fn warn_once_if_stale(program: &Path) {
    static WARNED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let Some(source) = newer_source(program) else { return };
    let mut warned = WARNED.lock().expect("nothing panics while this lock is held");
    if !warned.iter().any(|known| known == program) {
        eprintln!("kit: {} is older than {}; build it again", program.display(), source.display());
        warned.push(program.to_owned());
    }
}

/// A source of the program that was changed after it was built, as far as cargo's list of its sources tells.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let built = modified(program)?;
    let list = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.lines().next()?.split_once(": ")?;
    sources.split(' ').map(PathBuf::from).find(|source| modified(source).is_some_and(|time| time > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
