//! The workspace as `cargo metadata` and `cargo tree` tell of it, without network.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// A crate of the workspace.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// What it needs to be built.
    pub dependencies: BTreeSet<String>,
    /// What its tests need besides.
    pub dev_dependencies: BTreeSet<String>,
}

impl Crate {
    /// Whether it is one of the suites, or the measurements.
    #[must_use]
    pub fn is_suite(&self) -> bool {
        ["tests", "benches"].iter().any(|folder| self.manifest.starts_with(crate::root().join(folder)))
    }
}

/// All crates of the workspace.
///
/// # Panics
/// When cargo can't tell.
#[must_use]
pub fn crates() -> Vec<Crate> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut result = Crate {
        name: text(&package["name"]),
        manifest: PathBuf::from(text(&package["manifest_path"])),
        dependencies: BTreeSet::new(),
        dev_dependencies: BTreeSet::new(),
    };
    for dependency in package["dependencies"].as_array().expect("cargo metadata lists dependencies") {
        let name = text(&dependency["name"]);
        if dependency["kind"].as_str() == Some("dev") {
            result.dev_dependencies.insert(name);
        } else {
            result.dependencies.insert(name);
        }
    }
    result
}

/// Everything that is linked into a crate's program, itself included.
///
/// # Panics
/// When cargo can't tell.
#[must_use]
pub fn linked_into(name: &str) -> BTreeSet<String> {
    let text = cargo(&["tree", "-p", name, "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    text.lines().filter_map(|line| line.split(' ').next()).map(ToOwned::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).arg("--offline").current_dir(crate::root()).output();
    let output = output.unwrap_or_else(|error| panic!("cargo can't be run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
