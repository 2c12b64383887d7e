//! The commands of `PROVIDERS.md`, run as they stand there in one shell on a bus of their own, answer what stands there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{LIMIT, MusicLibrary, program};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The commands, and the lines that each answers.
fn transcript(guide: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for block in guide.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command.to_owned(), Vec::new())),
                None => steps.last_mut().unwrap().1.push(line.to_owned()),
            }
        }
    }
    steps
}

#[tokio::test]
async fn the_guide_is_true() {
    let library = Command::new("/usr/bin/python3").args(["-c", "import dbus_next"]).output().await;
    if !library.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3-dbus-next isn't installed");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let steps = transcript(&std::fs::read_to_string(root.join("dbus-interfaces/PROVIDERS.md")).unwrap());
    assert!(steps.len() > 8, "the guide has no transcript any more");
    let (home, music) = (tempfile::tempdir().unwrap(), MusicLibrary::new());
    let at = |path: &str| home.path().join(path);
    for name in ["one.mp3", "two.mp3"] {
        std::fs::create_dir_all(at("Music")).unwrap();
        std::fs::copy(music.add(name, "Ann", "Live", name, 0), at("Music").join(name)).unwrap();
    }
    kit::write_file(&at(".config/user-dirs.dirs"), b"XDG_MUSIC_DIR=\"$HOME/Music\"\n");
    // Whatever is plugged into the machine is nobody's business here.
    kit::write_file(&at(".config/tandem/tandemd.toml.d/00.toml"), b"[hardware]\nudev = false\n");
    let script: String =
        steps.iter().map(|(command, _)| format!("echo '@@@'\n{command}\n")).collect::<String>() + "wait\n";
    let programs = program("tandemd").parent().unwrap().to_owned();
    // which ends all of them, should one not end
    let mut shell = Command::new("timeout");
    shell.args(["50", "dbus-run-session", "--", "bash", "-c", &script]).current_dir(root).env_clear();
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
    // the bus takes the user's home from the user database, not from HOME
    shell.env("XDG_DATA_HOME", at(".local/share"));
    shell.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    shell.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/tandem-test-bus");
    shell.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(LIMIT, shell.output()).await.expect("the guide's commands end").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let log = std::fs::read_to_string(at("tandemd.log")).unwrap_or_default();
    let told = format!("{said}\n{}\n{log}", String::from_utf8_lossy(&output.stderr));
    let mut answers = said.split("@@@\n").skip(1);
    for (command, answer) in &steps {
        let lines: Vec<&str> = answers.next().unwrap_or_default().lines().map(str::trim_end).collect();
        assert_eq!(&lines, answer, "{command}\n{told}");
    }
}
