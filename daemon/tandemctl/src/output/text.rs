//! Makes names from devices, files and messages safe to print. It changes nothing else about a text.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character can drive the terminal or reorder what is around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Whether a text can be printed as it is.
pub(crate) fn is_safe(text: &str) -> bool {
    !text.chars().any(is_unsafe)
}

/// A text with every control character, line break and direction mark escaped as in Rust: `\n`, `\u{1b}`.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if is_safe(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// A text as one word of a shell's command line; `None` where that can't be shown in a line of text.
pub(crate) fn shell_word(text: &str) -> Option<String> {
    if text.is_empty() || !is_safe(text) || text.contains('`') {
        return None;
    }
    let is_plain = |c: char| c.is_alphanumeric() || "._-+/@:,".contains(c);
    if text.chars().all(is_plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Escapes in a JSON text what JSON allows raw but a terminal might act on. Such characters occur in JSON only
/// within strings, so the document's meaning stays the same.
pub(crate) fn safe_json(json: &str) -> Cow<'_, str> {
    let raw = |c: char| is_unsafe(c) && c != '\n';
    if !json.chars().any(raw) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if raw(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a String can't fail");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_and_direction_marks_are_escaped() {
        assert_eq!(safe("Sansa Clip+"), "Sansa Clip+");
        assert_eq!(safe("\x1b[2Jgone\n"), "\\u{1b}[2Jgone\\n");
        assert_eq!(safe("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(safe("Björk – 大丈夫"), "Björk – 大丈夫");
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_word("usb-1:2").as_deref(), Some("usb-1:2"));
        assert_eq!(shell_word("Ann's Zen").as_deref(), Some(r"'Ann'\''s Zen'"));
        assert_eq!([shell_word(""), shell_word("a`b"), shell_word("a\x1b")], [None, None, None]);
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_safe(text: String) {
            prop_assert!(is_safe(&safe(&text)));
        }

        #[test]
        fn json_keeps_its_meaning(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let escaped = safe_json(&json);
            prop_assert!(is_safe(&escaped));
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        }
    }
}
