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

/// Whether command lines that the user is told of need `--session`.
static SESSION: AtomicBool = AtomicBool::new(false);

/// From now on, command lines in texts for the user talk to the session bus.
pub(crate) fn say_session() {
    SESSION.store(true, Ordering::Relaxed);
}

/// A text in which each command line reaches the daemon that this program talked to.
pub(crate) fn with_bus(text: &str) -> Cow<'_, str> {
    if SESSION.load(Ordering::Relaxed) {
        Cow::Owned(text.replace("`tandemctl ", "`tandemctl --session "))
    } else {
        Cow::Borrowed(text)
    }
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
        if self.quiet { Ok(()) } else { self.lines([text::safe(&with_bus(line))]) }
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
    let line = format!("tandemctl: {}\n", text::safe(&with_bus(message)));
    io::stderr().write_all(line.as_bytes()).ok();
}
