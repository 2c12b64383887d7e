//! What the tidy suite measures with: the workspace as cargo tells of it, the source tree, and a reader of Rust source
//! that knows no more than comments, literals and braces.

pub mod measure;
pub mod scan;
pub mod workspace;

use std::path::{Path, PathBuf};

/// The workspace's directory.
///
/// # Panics
/// When this crate is no longer two folders below it.
#[must_use]
pub fn root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).expect("the suite lies in tests/tidy").to_owned()
}

/// A file of the project.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the workspace's directory.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// Every text file of the project, in the order of their paths: what lies below hidden directories and build directories
/// is not the project's.
///
/// # Panics
/// When the tree can't be read.
#[must_use]
pub fn text_files() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(folder) = waiting.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let ours = !name.starts_with('.') || name == ".ci";
            if path.is_dir() && !path.is_symlink() {
                if ours && !["target", "cache", "corpus", "artifacts"].contains(&name.as_str()) {
                    waiting.push(path);
                }
            } else if let (true, Ok(text)) = (ours, std::fs::read_to_string(&path)) {
                let path = path.strip_prefix(&root).map_or(path.clone(), Path::to_owned);
                files.push(Source { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file of the project.
#[must_use]
pub fn rust_files() -> Vec<Source> {
    let mut files = text_files();
    files.retain(|file| file.path.extension().is_some_and(|extension| extension == "rs"));
    files
}
