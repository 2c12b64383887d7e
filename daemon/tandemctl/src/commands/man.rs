//! `tandemctl man`: writes the man pages, for packages.

use super::rules;
use crate::cli::Cli;
use crate::error::{Error, Exit};
use crate::help::{ENVIRONMENT, EXIT_STATUS, FILES, JSON, NAMES, examples};
use crate::output::Output;
use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Write a man page for the program and for each command into a directory
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// The directory, which must be there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(output: Output, args: &Args) -> Result<Exit, Error> {
    write(&args.directory)?;
    let text = args.directory.display().to_string();
    output.done(&json!({"directory": text}), &format!("The man pages are in {text}."))?;
    Ok(Exit::Ok)
}

fn write(directory: &Path) -> Result<(), Error> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let written = write_pages(&program, "", directory)
        .and_then(|()| put(&directory.join("tandem-rules.7"), &rules_page()));
    written.map_err(|cause| {
        Error::Failed(format!(
            "can't write man pages into `{}`: {cause}; is it a directory?",
            directory.display()
        ))
    })
}

/// Writes the page of a command and those of its subcommands; `name` is what stands behind `tandemctl`.
fn write_pages(command: &Command, name: &str, directory: &Path) -> io::Result<()> {
    let visible = || command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    for subcommand in visible() {
        write_pages(subcommand, format!("{name} {}", subcommand.get_name()).trim_start(), directory)?;
    }
    let man = Man::new(command.clone()).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis(command, name).into_bytes());
    // the text on rules is a page of its own
    if name == "rules" {
        page.extend(b".SH DESCRIPTION\nPrints what\n.BR tandem\\-rules (7)\nsays.\n");
    } else {
        man.render_description_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut after = String::new();
    if name.is_empty() {
        section(&mut after, "NAMES", NAMES);
        section(&mut after, "JSON", &capitalised(JSON));
    } else if let Some(text) = command.get_after_long_help() {
        notes(&mut after, &text.to_string());
    }
    let codes: Vec<_> =
        EXIT_STATUS.iter().map(|(code, text)| (code.to_string(), format!("{text}."))).collect();
    list(&mut after, "EXIT STATUS", codes.iter().map(|(code, text)| (code.as_str(), capitalised(text))));
    list(&mut after, "ENVIRONMENT", ENVIRONMENT.iter().map(|(name, text)| (*name, (*text).to_owned())));
    list(&mut after, "FILES", FILES.iter().map(|(name, text)| (*name, (*text).to_owned())));
    let examples = examples(name);
    if !examples.is_empty() {
        list(&mut after, "EXAMPLES", examples.iter().map(|(line, text)| (*line, (*text).to_owned())));
    }
    after += &see_also(name, visible().map(Command::get_name));
    page.extend(after.into_bytes());
    // roff reads bytes, not UTF-8
    let page = String::from_utf8_lossy(&page).replace('…', "...");
    put(&directory.join(man.get_filename()), &page)
}

fn put(path: &Path, page: &str) -> io::Result<()> {
    File::create(path)?.write_all(page.as_bytes())
}

/// The synopsis, with the names of options' values. The options of every command stand for themselves.
fn synopsis(command: &Command, name: &str) -> String {
    let mut line = format!(".SH SYNOPSIS\n\\fB{}\\fR", escaped(format!("tandemctl {name}").trim_end()));
    let own = |arg: &&Arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help";
    for arg in command.get_opts().chain(command.get_arguments().filter(|arg| is_flag(arg))).filter(own) {
        line += &option(arg);
    }
    line += " [\\fIglobal options\\fR]";
    for arg in command.get_positionals().filter(own) {
        line += &positional(arg);
    }
    if command.has_subcommands() {
        line += " \\fIcommand\\fR";
    }
    line + "\n"
}

fn is_flag(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.get_action().takes_values() && arg.get_id() != "version"
}

fn option(arg: &Arg) -> String {
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => return String::new(),
    };
    let mut text = format!("\\fB{}\\fR", escaped(&name));
    if arg.get_action().takes_values() {
        text += &format!(" \\fI{}\\fR", escaped(&value_of(arg)));
    }
    let repeated = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
    if arg.is_required_set() { format!(" {text}{repeated}") } else { format!(" [{text}]{repeated}") }
}

fn positional(arg: &Arg) -> String {
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let text = format!("\\fI{}\\fR{}", escaped(&value_of(arg)), if many { "..." } else { "" });
    if arg.is_required_set() { format!(" {text}") } else { format!(" [{text}]") }
}

fn value_of(arg: &Arg) -> String {
    let names = arg.get_value_names().map(|names| names.join(" "));
    names.unwrap_or_else(|| arg.get_id().to_string().to_uppercase())
}

/// A text as roff takes it: no hyphen, backslash or leading dot does anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                '\'' => out.push_str("\\(aq"),
                '`' => out.push_str("\\(ga"),
                '^' => out.push_str("\\(ha"),
                '~' => out.push_str("\\(ti"),
                other => out.push(other),
            }
        }
    }
    out
}

fn section(page: &mut String, heading: &str, text: &str) {
    *page += &format!(".SH {heading}\n{}\n", escaped(text));
}

/// What stands after a command's options: paragraphs, the last of them on its JSON form.
fn notes(page: &mut String, text: &str) {
    let (notes, json) = text.split_once("JSON: ").unwrap_or((text, ""));
    if !notes.trim().is_empty() {
        section(page, "NOTES", notes.trim());
    }
    if let Some((json, rest)) = json.split_once("\n\n") {
        section(page, "JSON", &capitalised(json));
        *page += &format!(".PP\n{}\n", escaped(rest));
    } else if !json.is_empty() {
        section(page, "JSON", &capitalised(json));
    }
}

fn list<'a>(page: &mut String, heading: &str, entries: impl Iterator<Item = (&'a str, String)>) {
    *page += &format!(".SH \"{heading}\"\n");
    for (name, text) in entries {
        *page += &format!(".TP\n\\fB{}\\fR\n{}\n", escaped(name), escaped(&text));
    }
}

fn see_also<'a>(name: &str, subcommands: impl Iterator<Item = &'a str>) -> String {
    let mut pages: Vec<String> = subcommands
        .map(|sub| format!("tandemctl {name} {sub}").split_whitespace().collect::<Vec<_>>().join("-"))
        .map(|page| page + "(1)")
        .collect();
    if !name.is_empty() {
        pages.push("tandemctl(1)".to_owned());
    }
    if matches!(name, "" | "search" | "rules" | "playlist" | "playlist create" | "annotate") {
        pages.push("tandem-rules(7)".to_owned());
    }
    pages.push("tandemd(8)".to_owned());
    pages.push("tandemd.toml(5)".to_owned());
    format!(".SH \"SEE ALSO\"\n{}\n", escaped(&pages.join(", ")))
}

/// A text with a capital at its beginning.
fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// tandem-rules(7), from the text that `tandemctl help rules` prints.
fn rules_page() -> String {
    let mut page = ".TH tandem-rules 7 \"\" \"Tandem\" \"Tandem\"\n.SH NAME\ntandem\\-rules \\- rules of auto playlists\n".to_owned();
    let mut literal = false;
    for line in rules::TEXT.lines() {
        let is_literal = line.starts_with("    ");
        if is_literal != literal && !line.is_empty() {
            page += if is_literal { ".PP\n.nf\n.RS\n" } else { ".RE\n.fi\n.PP\n" };
            literal = is_literal;
        }
        let heading = !line.is_empty() && line.chars().all(|c| c.is_ascii_uppercase() || c == ' ');
        if heading {
            page += &format!(".SH \"{line}\"\n");
        } else if line.is_empty() {
            page += if literal { "" } else { ".PP\n" };
        } else {
            page += &(escaped(line.trim_start()) + "\n");
        }
    }
    if literal {
        page += ".RE\n.fi\n";
    }
    page + ".SH \"SEE ALSO\"\ntandemctl\\-search(1), tandemctl\\-playlist\\-create(1), tandemctl\\-annotate(1)\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> (tempfile::TempDir, impl Fn(&Path, &str) -> String) {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        (directory, |directory: &Path, name: &str| {
            std::fs::read_to_string(directory.join(name)).unwrap_or_default()
        })
    }

    #[test]
    fn there_is_a_page_for_the_program_and_each_command() {
        let (directory, read) = pages();
        let page = |name: &str| read(directory.path(), name);
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("tandemctl-{}.1", command.get_name());
            let page = page(&name);
            for part in [
                ".TH",
                ".SH NAME",
                ".SH SYNOPSIS",
                "\"EXIT STATUS\"",
                "\"ENVIRONMENT\"",
                "\"FILES\"",
                "\"SEE ALSO\"",
            ] {
                assert!(page.contains(part), "{name} lacks {part}");
            }
            assert!(!page.contains("EXTRA"), "{name}");
        }
        assert!(page("tandemctl.1").contains("\"EXAMPLES\""));
        let create = page("tandemctl-playlist-create.1");
        assert!(create.contains("[\\fB\\-\\-rule\\fR \\fIRULE\\fR]"), "{create}");
        assert!(create.contains("[\\fIFILE\\fR...]"), "{create}");
        assert!(page("tandemctl-man.1").is_empty());
        let rules = page("tandem-rules.7");
        assert!(rules.contains(".SH \"TAGS OF TEXT\"") && rules.contains("sort \\-added"), "{rules}");
    }

    #[test]
    fn groff_takes_every_page() {
        let (directory, _) = pages();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            let Ok(output) =
                std::process::Command::new("groff").args(["-man", "-ww", "-z"]).arg(&path).output()
            else {
                eprintln!("skipped: groff isn't installed");
                return;
            };
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && errors.is_empty(), "{}: {errors}", path.display());
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = write(Path::new("/nonexistent/x")).unwrap_err().to_string();
        assert!(error.contains("`/nonexistent/x`"), "{error}");
    }
}
