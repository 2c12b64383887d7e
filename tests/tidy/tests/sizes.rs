//! Files and functions that stay small enough to be read, and the marks of unfinished work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tidy::measure::{Measured, measure, percentile_95};
use tidy::scan::line_of;
use tidy::{Source, rust_files, text_files};

fn measured() -> Vec<(Source, Measured)> {
    let measured = |file: Source| {
        let result = measure(&file.text);
        (file, result)
    };
    rust_files().into_iter().map(measured).collect()
}

/// Whether a file belongs to tests alone: a suite, a crate's `tests`, or unit tests in a file of their own.
fn is_test(path: &Path, unit_tests: &BTreeSet<PathBuf>) -> bool {
    let module = |part: &Path| unit_tests.contains(&part.with_extension("rs"));
    path.iter().any(|part| part == "tests") || path.ancestors().any(module)
}

/// The files of modules that are declared with `#[cfg(test)] mod name;`.
fn unit_tests(files: &[(Source, Measured)]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (file, _) in files {
        let folder = match file.path.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "main" | "mod") => file.path.with_file_name(""),
            _ => file.path.with_extension(""),
        };
        let code = tidy::scan::code_only(&file.text);
        for (at, mark) in code.match_indices("#[cfg(test)]") {
            let rest = code[at + mark.len()..].trim_start();
            let declared = rest.strip_prefix("mod ").and_then(|rest| rest.split([';', '{']).next());
            if let Some(name) = declared {
                found.insert(folder.join(name.trim()).with_extension("rs"));
            }
        }
    }
    found
}

#[test]
fn files_are_at_most_450_lines_and_never_over_700() {
    let files = measured();
    let sizes: Vec<usize> = files.iter().map(|(_, result)| result.lines).collect();
    let largest: Vec<_> = files.iter().filter(|(_, result)| result.lines > 450).collect();
    for (file, result) in &largest {
        println!("{} lines: {}", result.lines, file.path.display());
    }
    let (count, p95, max) =
        (sizes.len(), percentile_95(&sizes), sizes.iter().max().copied().unwrap_or_default());
    println!("{count} files, {} lines: 95th percentile {p95}, largest {max}", sizes.iter().sum::<usize>());
    assert!(
        p95 <= 450 && max <= 700,
        "95th percentile {p95} of at most 450, largest {max} of at most 700 lines"
    );
}

#[test]
fn functions_are_at_most_40_lines_and_never_over_100() {
    let mut sizes = Vec::new();
    let mut too_long = Vec::new();
    let files = measured();
    let tests = unit_tests(&files);
    for (file, result) in files.iter().filter(|(file, _)| !is_test(&file.path, &tests)) {
        for function in &result.functions {
            sizes.push(function.lines);
            if function.lines > 100 {
                let place = format!("{}:{}", file.path.display(), function.line);
                too_long.push(format!("{place}: `{}` has {} lines", function.name, function.lines));
            }
        }
    }
    let (count, p95, max) =
        (sizes.len(), percentile_95(&sizes), sizes.iter().max().copied().unwrap_or_default());
    println!("{count} functions: 95th percentile {p95}, longest {max} lines");
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
    assert!(p95 <= 40, "95th percentile {p95} of at most 40 lines");
}

#[test]
fn every_module_says_what_it_is_for() {
    let bare: Vec<String> = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path.display().to_string())
        .collect();
    assert!(bare.is_empty(), "no header comment in:\n{}", bare.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file doesn't hold them.
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let macros = ["todo!", "unimplemented!"];
    let mut found = Vec::new();
    for file in text_files() {
        for word in &words {
            let whole = |at: usize| {
                let before = file.text[..at].chars().next_back();
                let after = file.text[at + word.len()..].chars().next();
                ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
            };
            let places = file.text.match_indices(word.as_str()).filter(|(at, _)| whole(*at));
            found
                .extend(places.map(|(at, _)| format!("{}:{}", file.path.display(), line_of(&file.text, at))));
        }
    }
    for file in rust_files() {
        let code = tidy::scan::code_only(&file.text);
        for name in macros {
            let places = code.match_indices(name);
            found.extend(
                places.map(|(at, _)| format!("{}:{}: {name}", file.path.display(), line_of(&code, at))),
            );
        }
    }
    assert!(found.is_empty(), "unfinished:\n{}", found.join("\n"));
}

#[test]
fn expectations_say_why_they_hold() {
    let mut found = Vec::new();
    let files = measured();
    let tests = unit_tests(&files);
    let counts = |file: &Source| !is_test(&file.path, &tests) || file.path.starts_with("tests/kit/src");
    for (file, result) in files.iter().filter(|(file, _)| counts(file)) {
        for (at, call) in result.code.match_indices(".expect(") {
            let argument = file.text[at + call.len()..].trim_start();
            let Some(message) = argument.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            if message.len() < 15 || !message.contains(' ') {
                let line = line_of(&file.text, at);
                found.push(format!(
                    "{}:{line}: `{message}` doesn't say why it can't fail",
                    file.path.display()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_place_of_a_developer_and_no_tracker_is_named() {
    let names = [
        ["/wo", "rk/"].concat(),
        ["/ro", "ot/"].concat(),
        ["bash", "_jobs"].concat(),
        ["issue", " #"].concat(),
    ];
    let mut found = Vec::new();
    for file in text_files() {
        for name in &names {
            let places = file.text.match_indices(name.as_str());
            found.extend(
                places.map(|(at, _)| format!("{}:{}: {name}", file.path.display(), line_of(&file.text, at))),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_suite_says_what_it_proves() {
    let tests = tidy::root().join("tests");
    let text = std::fs::read_to_string(tests.join("README.md")).unwrap();
    let mut rows: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let mut folders: Vec<String> = std::fs::read_dir(&tests)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    rows.sort_unstable();
    folders.sort_unstable();
    assert_eq!(rows, folders, "tests/README.md has one row for each suite");
}
