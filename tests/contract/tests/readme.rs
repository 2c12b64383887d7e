//! The commands of the README's busctl transcript, run as they stand there, answer what stands there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kit::{Daemon, LIMIT, MusicLibrary};
use std::process::Stdio;
use tokio::process::Command;

/// A command of the transcript, and the lines that it answers.
struct Step {
    command: String,
    answer: Vec<String>,
}

fn transcript() -> Vec<Step> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let block = readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { command: command.to_owned(), answer: Vec::new() }),
            None => steps.last_mut().unwrap().answer.push(line.to_owned()),
        }
    }
    steps
}

#[tokio::test]
async fn the_transcript_with_busctl_is_true() {
    if std::process::Command::new("busctl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: busctl isn't installed");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let music = MusicLibrary::new();
    let player = home.path().join("Player");
    std::fs::create_dir_all(home.path().join("Music")).unwrap();
    std::fs::create_dir_all(&player).unwrap();
    for name in ["one.mp3", "two.mp3"] {
        let made = music.add(name, "Ann", "Live", name, 0);
        std::fs::copy(made, home.path().join("Music").join(name)).unwrap();
    }
    let daemon = Daemon::builder().folder(&player).start().await;
    let steps = transcript();
    assert!(steps.len() > 8, "the README has no transcript any more");
    let mut variables = String::new();
    for step in &steps {
        let variable =
            step.command.split_once("=$(").map(|(name, _)| name).filter(|name| !name.contains(' '));
        let shown = variable.map_or_else(String::new, |name| format!("; printf %s \"${name}\""));
        let script = format!("set -u; {variables} {}{shown}", step.command);
        // questions are asked until the answer is there; the rest is said once
        let is_question = variable == Some("device")
            || step.command.contains("get-property")
            || step.command.contains("GetSync");
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let mut shell = Command::new("bash");
            shell
                .args(["-c", &script])
                .env("HOME", home.path())
                .env("SYSTEMD_PAGER", "")
                .stdin(Stdio::null());
            shell.env("DBUS_SESSION_BUS_ADDRESS", daemon.bus().address()).kill_on_drop(true);
            let output =
                tokio::time::timeout(LIMIT, shell.output()).await.expect("the command ends").unwrap();
            let said = String::from_utf8_lossy(&output.stdout)
                .replace(&home.path().display().to_string(), "/home/ann");
            let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
            let as_written = match variable {
                Some(_) => said.starts_with('/'),
                None => lines == step.answer,
            };
            if as_written && output.status.success() {
                variables += &variable.map_or_else(String::new, |name| format!("{name}='{said}';"));
                break;
            }
            assert!(
                is_question && tokio::time::Instant::now() < deadline,
                "{}\nsaid {lines:?} {}\ninstead of {:?}",
                step.command,
                String::from_utf8_lossy(&output.stderr),
                step.answer
            );
        }
    }
}
