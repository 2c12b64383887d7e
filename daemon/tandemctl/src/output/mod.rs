//! Everything that goes to standard output: text and tables for people, JSON for programs. A reader that has had
//! enough ends the program quietly; nothing here panics on a closed pipe.

pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod units;

use crate::cli::ColorChoice;
use crate::error::Error;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether command lines that the user is told of need `--session`.
static SESSION: AtomicBool = AtomicBool::new(false);

/// From now on, command lines in texts for the user talk to the session bus.
pub(crate) fn say_session() {
    SESSION.store(true, Ordering::Relaxed);
}

/// The word for the device that is being talked about; `None`: there is none, or several.
static DEVICE: Mutex<Option<String>> = Mutex::new(None);

/// From now on, `DEVICE` in command lines in texts for the user is this one: a name or id that means it alone.
pub(crate) fn say_device(word: &str) {
    *DEVICE.lock().unwrap_or_else(PoisonError::into_inner) = text::shell_word(word);
}

/// A text whose command lines, which stand in backticks, can be copied as they are: they reach the daemon that this
/// program talked to, and name the device.
pub(crate) fn with_commands(text: &str) -> Cow<'_, str> {
    if !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    let device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Cow::Owned(fill(text, SESSION.load(Ordering::Relaxed), device.as_deref()))
}

/// How a command line in a text begins.
const COMMAND: &str = "`tandemctl ";

fn fill(text: &str, session: bool, device: Option<&str>) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, line)) = rest.split_once(COMMAND) {
        let end = line.find('`').unwrap_or(line.len());
        let (line, after) = line.split_at(end);
        filled += before;
        filled += COMMAND;
        filled += if session { "--session " } else { "" };
        let words = line.split(' ').map(|word| if word == "DEVICE" { device.unwrap_or(word) } else { word });
        filled += &words.collect::<Vec<_>>().join(" ");
        rest = after;
    }
    filled + rest
}

/// The daemon's advice as command lines of this program.
pub(crate) fn with_advice(message: &str) -> String {
    let advice = [
        (
            "set AllowMassDeletion to True and start again",
            "`tandemctl set DEVICE AllowMassDeletion True` and then `tandemctl sync DEVICE`",
        ),
        (
            "set IncludeSkippedFiles to copy it again",
            "`tandemctl set DEVICE IncludeSkippedFiles \"\"` copies it again",
        ),
        (
            "set IncludeSkippedFiles to have the library's version beside it",
            "`tandemctl set DEVICE IncludeSkippedFiles \"\"` puts the library's version beside it",
        ),
        (
            "transfer it to have the library's version beside it",
            "`tandemctl transfer DEVICE FILE` puts the library's version beside it",
        ),
        ("make the partnership anew to have it back", "`tandemctl partner DEVICE` has it back"),
    ];
    advice.iter().fold(message.to_owned(), |text, (said, command)| text.replace(said, command))
}

/// How results are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON in place of text.
    pub(crate) json: bool,
    /// No confirmations and no progress.
    pub(crate) quiet: bool,
    /// Colours on standard output.
    pub(crate) color: bool,
}

impl Output {
    /// Settles colours: `auto` means a terminal, and no `NO_COLOR` in the environment.
    pub(crate) fn new(json: bool, quiet: bool, color: ColorChoice) -> Self {
        let color = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
                !refused && !dumb && io::stdout().is_terminal()
            }
        };
        Self { json, quiet, color }
    }

    /// Writes a text as it is; the caller has made it safe.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn text(&self, text: &str) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes lines of text that the caller has made safe.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn lines<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let mut all = String::new();
        for line in lines {
            all.push_str(line.as_ref());
            all.push('\n');
        }
        self.text(&all)
    }

    /// Says something to people, unless they want quiet.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn say(&self, line: &str) -> Result<(), Error> {
        if self.quiet { Ok(()) } else { self.lines([text::safe(&with_commands(line))]) }
    }

    /// The one JSON document of a command.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn document<T: Serialize>(&self, value: &T) -> Result<(), Error> {
        self.json_text(serde_json::to_string_pretty(value))
    }

    /// One of many JSON documents, on one line.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<(), Error> {
        self.json_text(serde_json::to_string(value))
    }

    fn json_text(&self, json: serde_json::Result<String>) -> Result<(), Error> {
        let json = json.map_err(|cause| Error::Failed(format!("can't be written as JSON: {cause}")))?;
        self.lines([text::safe_json(&json)])
    }

    /// Says what was done: as a JSON document, or as a line for people unless they want quiet.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn done<T: Serialize>(&self, value: &T, line: &str) -> Result<(), Error> {
        if self.json { self.document(value) } else { self.say(line) }
    }
}

/// A line on standard error for people: `tandemctl: …`. Without a reader there is nobody to tell.
pub(crate) fn complain(message: &str) {
    let line = format!("tandemctl: {}\n", text::safe(&with_commands(message)));
    io::stderr().write_all(line.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_name_the_bus_and_the_device() {
        let text = "a DEVICE; `tandemctl set DEVICE X \"\"` or `tandemctl list`";
        assert_eq!(
            fill(text, true, Some("'my player'")),
            "a DEVICE; `tandemctl --session set 'my player' X \"\"` or `tandemctl --session list`"
        );
        assert_eq!(fill(text, false, None), text);
        assert_eq!(fill("`tandemctl sync DEVICE", false, Some("x")), "`tandemctl sync x");
    }

    #[test]
    fn the_daemon_s_advice_becomes_commands() {
        let text = with_advice("you deleted it there; set IncludeSkippedFiles to copy it again");
        let expected =
            "you deleted it there; `tandemctl set DEVICE IncludeSkippedFiles \"\"` copies it again";
        assert_eq!(text, expected);
        assert_eq!(with_advice("else"), "else");
    }
}
