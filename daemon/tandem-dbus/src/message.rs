//! Texts for people, as they go out on the bus. They repeat what callers, devices and files have said, of any length and with
//! any characters in it.
//!
//! What is data (URIs, names, results' media) isn't changed here.

use std::fmt::Write;

/// A value in backticks that is longer is cut, in characters.
const LONGEST_VALUE: usize = 300;
/// What is left of it.
const SHOWN: usize = 100;
/// A text that is longer is cut in its middle: at its end stands what to do.
const LONGEST: usize = 3000;
/// What is left at its beginning, and at its end.
const ENDS: (usize, usize) = (2000, 500);

/// The text on one line, with nothing in it that a terminal acts on, and with what is over-long cut and counted.
pub(crate) fn presentable(text: &str) -> String {
    let cut = cut_values(text);
    let cut = cut_middle(&cut);
    let mut out = String::with_capacity(cut.len());
    for c in cut.chars() {
        if is_harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, line breaks and marks of direction.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cuts what stands between backticks.
fn cut_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST * 4));
    let mut parts = text.split('`');
    out += parts.next().unwrap_or_default();
    let mut is_value = true;
    for part in parts {
        out.push('`');
        let length = part.chars().count();
        if is_value && length > LONGEST_VALUE {
            out.extend(part.chars().take(SHOWN));
            write!(out, "… ({length} characters)").expect("a String takes every text");
        } else {
            out += part;
        }
        is_value = !is_value;
    }
    out
}

fn cut_middle(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let (head, tail) = ENDS;
    let mut out: String = text.chars().take(head).collect();
    write!(out, "… ({} characters left out) …", length - head - tail).expect("a String takes every text");
    out.extend(text.chars().skip(length - tail));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_texts_stay_as_they_are() {
        let text = "`é/夜.mp3` is no media URI; use `file:///` and a percent-encoded absolute path";
        assert_eq!(presentable(text), text);
    }

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        assert_eq!(presentable("`a\nb\u{1b}[31m\u{202e}` is none"), r"`a\nb\u{1b}[31m\u{202e}` is none");
    }

    #[test]
    fn a_long_value_is_cut_and_counted_and_the_remedy_stays() {
        let text = format!("`{}` is no attribute; use Name", "x".repeat(70_000));
        let cut = format!("`{}… (70000 characters)` is no attribute; use Name", "x".repeat(100));
        assert_eq!(presentable(&text), cut);
        let text = format!("`{}` is no attribute; use Name", "x`".repeat(70_000));
        let cut = presentable(&text);
        assert!(
            cut.contains("characters left out") && cut.ends_with("; use Name") && cut.len() < 3000,
            "{cut}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_short_and_on_one_line(text in "(\\PC|[`\n\u{1b}é]){0,9000}") {
            let shown = presentable(&text);
            prop_assert!(!shown.chars().any(is_harmful));
            prop_assert!(shown.chars().count() <= 10 * LONGEST + 100);
        }
    }
}
