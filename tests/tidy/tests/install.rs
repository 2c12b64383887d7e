//! What `make install` puts where, that `make uninstall` leaves nothing of it, and that what is installed is what the
//! programs are.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const LIST: &str = include_str!("installed.txt");

/// Runs a target of the Makefile with the programs of this very build.
fn make(target: &str, destination: &Path) {
    let programs = kit::program("tandemd");
    let profile_dir = programs.parent().expect("a program lies in its profile's folder");
    let target_dir = profile_dir.parent().expect("a profile's folder lies in the target directory");
    let profile = profile_dir.file_name().expect("a profile's folder has a name").to_string_lossy();
    let output = Command::new("make")
        .current_dir(tidy::root())
        .env_remove("MAKEFLAGS")
        .arg("--no-print-directory")
        .arg(target)
        .arg(format!("DESTDIR={}", destination.display()))
        .arg("PREFIX=/usr")
        .arg(format!("PROFILE={profile}"))
        .arg(format!("CARGO_TARGET_DIR={}", target_dir.display()))
        .arg(format!("generated={}", destination.with_extension("generated").display()))
        .output()
        .expect("make is installed");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "make {target}:\n{}", String::from_utf8_lossy(&text));
}

#[test]
fn what_is_installed_is_what_the_list_says_and_uninstalling_leaves_nothing() {
    for program in ["tandemctl", "tandem-library-agent"] {
        assert!(kit::program(program).is_file());
    }
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("root");
    make("install", &root);
    let installed = kit::tree(&root);
    let names: Vec<_> = installed.keys().map(|path| format!("/{}", path.display())).collect();
    assert_eq!(
        names.join("\n"),
        LIST.trim_end(),
        "tests/tidy/tests/installed.txt lists every installed file"
    );
    for path in installed.keys() {
        let text = std::fs::read(root.join(path)).unwrap();
        assert!(!text.windows(8).any(|window| window == b"@bindir@"), "{}", path.display());
        assert!(!text.is_empty(), "{}", path.display());
    }
    let unit = std::fs::read_to_string(root.join("usr/lib/systemd/system/tandem-library@.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/libexec/tandem-library-agent --connect"), "{unit}");
    let foreign = root.join("usr/share/man/man1/other.1");
    std::fs::File::create(&foreign).unwrap();
    make("uninstall", &root);
    let left = kit::tree(&root);
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [Path::new("usr/share/man/man1/other.1")]);
    for ours in ["usr/lib/tandem", "usr/share/doc/tandem"] {
        assert!(!root.join(ours).exists(), "{ours}");
    }
}

#[test]
fn the_manual_explains_every_key() {
    let shipped = std::fs::read_to_string(tidy::root().join("config/tandemd.toml")).unwrap();
    let manual = std::fs::read_to_string(tidy::root().join("config/man/tandemd.toml.5")).unwrap();
    let defaults = shipped.lines().filter_map(|line| line.strip_prefix('#')?.split_once(" = "));
    let keys: Vec<_> = defaults.filter(|(key, _)| !key.starts_with(' ')).collect();
    assert!(keys.len() >= 5, "{keys:?}");
    for (key, value) in keys {
        let written = key.replace('-', "\\-");
        assert!(
            manual.contains(&format!("{written}=")) || manual.contains(&format!("[[{written}]]")),
            "{key}"
        );
        let shown = value.trim_matches('"');
        assert!(manual.contains(shown) || value == "[]", "{key}: the default {value}");
    }
}

#[test]
fn manual_pages_are_sound() {
    let mut groff = Command::new("groff");
    groff.args(["-man", "-ww", "-z", "config/man/tandemd.toml.5"]).current_dir(tidy::root());
    let Ok(output) = groff.output() else {
        eprintln!("skipped: groff isn't installed");
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}
