//! Text that a device tells of itself, made fit to be shown and to be part of an identifier.
//!
//! Pure. A device may tell anything: what comes out is bounded, printable and has no say in how a line is laid out.

use xxhash_rust::xxh3::xxh3_64;

/// Characters of a shown text at most; USB's own strings end at 126.
const LONGEST_SHOWN: usize = 126;

/// Characters of an identifier's part at most, its hash not counted.
const LONGEST_PART: usize = 64;

/// Undoes udev's `\x20` escapes; what isn't UTF-8 then becomes U+FFFD.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match escaped(&bytes[at..]) {
            Some(escaped) => {
                plain.push(escaped);
                at += 4;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The byte that an escape at the beginning stands for.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.strip_prefix(b"\\x")?.first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()
}

/// The text without what can't be shown: no control or direction characters, single spaces, bounded length.
pub(crate) fn shown(text: &str) -> String {
    let printable: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| is_shown(*c)).collect();
    let words: Vec<&str> = printable.split(' ').filter(|word| !word.is_empty()).collect();
    let bounded: String = words.join(" ").chars().take(LONGEST_SHOWN).collect();
    bounded.trim_end().to_owned()
}

fn is_shown(c: char) -> bool {
    // invisible and direction characters could make one device's name look like another's
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !invisible && c != '\u{fffd}'
}

/// The text as a part of an identifier: `[A-Za-z0-9_.-]` alone. One that had to be changed gets a hash of the original
/// behind a dot, so that two different texts stay different. Empty stays empty.
pub(crate) fn part(text: &str) -> String {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if text.len() <= LONGEST_PART && text.chars().all(legal) {
        return text.to_owned();
    }
    let changed: String = text.chars().map(|c| if legal(c) { c } else { '_' }).take(LONGEST_PART).collect();
    format!("{changed}.{:08x}", xxh3_64(text.as_bytes()) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone_and_half_ones_are_not() {
        assert_eq!(unescape(r"SanDisk\x20Clip\x2b"), "SanDisk Clip+");
        assert_eq!(unescape(r"caf\xc3\xa9"), "café");
        assert_eq!(unescape(r"a\x2"), r"a\x2");
        assert_eq!(unescape(r"a\xzz\x"), r"a\xzz\x");
        assert_eq!(unescape(r"\xff"), "\u{fffd}");
    }

    #[test]
    fn shown_text_is_trimmed_and_harmless() {
        assert_eq!(shown("  Clip   Zip \t "), "Clip Zip");
        assert_eq!(shown("a\u{202e}gpj\u{0}\n\u{1b}[31m"), "agpj [31m");
        assert_eq!(shown("\u{200b}\u{fffd}"), "");
        assert_eq!(shown("Zoë’s 🎵"), "Zoë’s 🎵");
    }

    #[test]
    fn changed_parts_stay_different() {
        assert_eq!(part("1A-2B_3.4"), "1A-2B_3.4");
        assert_ne!(part("a b"), part("a_b"));
        assert_ne!(part("a b"), part("a/b"));
        assert_ne!(part(&"x".repeat(100)), part(&"x".repeat(101)));
        assert_eq!(part("  "), "");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_legal_part(text: String) {
            let part = part(&text);
            prop_assert!(part.len() <= LONGEST_PART + 9);
            prop_assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
            prop_assert_eq!(part.is_empty(), text.trim().is_empty());
        }

        #[test]
        fn any_text_becomes_harmless(text: String) {
            let shown = shown(&unescape(&text));
            prop_assert!(shown.chars().count() <= LONGEST_SHOWN);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(shown.trim(), &shown);
        }
    }
}
