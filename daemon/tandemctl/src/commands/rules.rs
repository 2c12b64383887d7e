//! `tandemctl rules`: the language of auto playlists and of `search`, for users. The text is also the man page
//! tandem-rules(7); what rules really do is the library agent's business.

use crate::error::{Error, Exit};
use crate::output::Output;

/// The text: headings in capitals at the margin, literal lines indented.
pub(crate) const TEXT: &str = include_str!("../rules.txt");

/// Explain the rules of auto playlists and of `search`
#[derive(Debug, clap::Args)]
#[command(long_about = format!("Explain the rules of auto playlists and of `search`\n\n{TEXT}"))]
pub(crate) struct Args {}

pub(crate) fn run(output: Output, _args: &Args) -> Result<Exit, Error> {
    output.text(TEXT)?;
    Ok(Exit::Ok)
}

/// The lines of the section of examples.
#[cfg(test)]
pub(crate) fn examples() -> Vec<&'static str> {
    let (_, examples) = TEXT.split_once("\nEXAMPLES\n").unwrap_or_default();
    examples.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_fits_a_terminal_and_has_examples() {
        assert!(examples().len() > 5);
        for line in TEXT.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
