//! Which crate may know which, and where each outside library is confined.

use std::collections::BTreeSet;
use tidy::workspace::{Crate, crates, linked_into};

/// Every crate that isn't a suite, and what it may depend on.
const ARROWS: [(&str, &[&str]); 13] = [
    ("tandem-model", &[]),
    ("tandem-store", &["tandem-model"]),
    ("tandem-hardware", &["tandem-model"]),
    ("tandem-mtp", &["tandem-model"]),
    ("tandem-players", &["tandem-model", "tandem-mtp"]),
    ("tandem-library", &["tandem-model"]),
    ("tandem-library-agent", &["tandem-model", "tandem-library"]),
    ("tandem-engine", &["tandem-model"]),
    ("dbus-interfaces", &[]),
    ("tandem-provider", &["dbus-interfaces"]),
    ("tandem-dbus", &["tandem-model", "tandem-engine", "dbus-interfaces"]),
    ("tandemctl", &["dbus-interfaces"]),
    (
        "tandemd",
        &[
            "tandem-model",
            "tandem-store",
            "tandem-hardware",
            "tandem-players",
            "tandem-library",
            "tandem-engine",
            "tandem-dbus",
        ],
    ),
];

/// Outside libraries, and the only crates that may use each, besides the suites.
const CONFINED: [(&str, &[&str]); 16] = [
    ("zbus", &["dbus-interfaces", "tandem-dbus", "tandemctl", "tandem-provider"]),
    ("zbus_polkit", &["tandem-dbus"]),
    ("zbus_xml", &["dbus-interfaces", "tandem-dbus"]),
    ("zbus_xmlgen", &["dbus-interfaces"]),
    ("udev", &["tandem-hardware"]),
    ("tokio-udev", &["tandem-hardware"]),
    ("nusb", &["tandem-mtp", "tandem-hardware"]),
    ("lofty", &["tandem-library-agent"]),
    ("image", &["tandem-library-agent"]),
    ("inotify", &["tandem-library-agent", "tandem-hardware", "tandem-dbus"]),
    ("rusqlite", &["tandem-store", "tandem-library-agent"]),
    (
        "toml",
        &[
            "tandem-store",
            "tandem-hardware",
            "tandem-players",
            "tandemd",
            "tandem-library-agent",
            "tandem-dbus",
        ],
    ),
    ("clap", &["tandemd", "tandemctl", "tandem-library-agent"]),
    ("anyhow", &["tandemd", "tandemctl", "tandem-library-agent"]),
    ("sd-notify", &["tandemd"]),
    ("tracing-subscriber", &["tandemd", "tandem-library-agent"]),
];

/// Parsers of media files: whatever reads hostile tags is not part of the daemon.
const TAG_PARSERS: [&str; 8] =
    ["lofty", "symphonia", "id3", "metaflac", "mp4ameta", "claxon", "lewton", "image"];

#[test]
fn arrows_point_the_right_way() {
    let crates = crates();
    let ours: BTreeSet<&str> = crates.iter().map(|known| known.name.as_str()).collect();
    let wrong: Vec<String> = crates
        .iter()
        .filter(|known| !known.is_suite())
        .flat_map(|known| wrong_arrows(known, &ours))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong_arrows(known: &Crate, ours: &BTreeSet<&str>) -> Vec<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == known.name) else {
        return vec![format!("{}: a crate that ARCHITECTURE.md doesn't know", known.name)];
    };
    let inside = |name: &&String| ours.contains(name.as_str());
    let wrong = known.dependencies.iter().filter(inside).filter(|name| !allowed.contains(&name.as_str()));
    wrong.map(|name| format!("{} → {name}: this arrow is not in ARCHITECTURE.md", known.name)).collect()
}

#[test]
fn the_outside_is_confined() {
    let mut wrong = Vec::new();
    for known in crates().iter().filter(|known| !known.is_suite()) {
        for name in known.dependencies.iter().chain(&known.dev_dependencies) {
            let rule = CONFINED.iter().find(|(confined, _)| confined == name);
            if rule.is_some_and(|(_, allowed)| !allowed.contains(&known.name.as_str())) {
                wrong.push(format!(
                    "{} uses {name}, which is confined to {:?}",
                    known.name,
                    rule.map(|rule| rule.1)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_daemon_holds_no_tag_parser_and_the_agent_no_bus() {
    let daemon = linked_into("tandemd");
    let parsers: Vec<_> = TAG_PARSERS.iter().filter(|name| daemon.contains(**name)).collect();
    assert!(parsers.is_empty(), "tandemd is linked with {parsers:?}");
    let agent = linked_into("tandem-library-agent");
    let reach: Vec<_> = ["zbus", "udev", "nusb"].into_iter().filter(|name| agent.contains(*name)).collect();
    assert!(reach.is_empty(), "tandem-library-agent is linked with {reach:?}");
    println!("crates linked: tandemd {}, tandem-library-agent {}", daemon.len(), agent.len());
}

#[test]
fn folders_are_named_as_their_crates() {
    for known in crates() {
        let folder = known.manifest.parent().and_then(|folder| folder.file_name());
        assert_eq!(folder.and_then(|name| name.to_str()), Some(known.name.as_str()));
    }
}

#[test]
fn versions_and_lints_come_from_the_workspace() {
    let read = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let root = read(&tidy::root().join("Cargo.toml"));
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for known in crates() {
        let manifest = read(&known.manifest);
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{}: `lints.workspace = true`",
            known.name
        );
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "{}: {name} has no version from the workspace's table",
                    known.name
                );
            }
        }
    }
}
