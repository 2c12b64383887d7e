//! Reads Rust source just far enough to tell code from comments and literals, and to match braces. Pure; it takes any
//! text, and is exact for text that compiles.

/// The source with every comment, string and character literal blanked out: the same lines, and the same byte positions.
#[must_use]
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if let Some(end) = end {
            for byte in &mut code[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end.unwrap_or(at + 1);
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The end of the comment or literal that starts here, if one does.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |line| at + line));
    }
    if rest.starts_with(b"/*") {
        return Some(block_comment_end(bytes, at));
    }
    let within_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'r', b'"' | b'#', ..] | [b'b' | b'c', b'r', b'"' | b'#', ..] if !within_word => {
            raw_string_end(bytes, at)
        }
        [b'"', ..] => Some(quoted_end(bytes, at + 1, b'"')),
        [b'\'', b'\\', ..] => Some(quoted_end(bytes, at + 1, b'\'')),
        [b'\'', ..] => char_end(bytes, at),
        _ => None,
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// `None` for a raw identifier, such as `r#type`.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start..].iter().position(|byte| !matches!(byte, b'r' | b'b' | b'c' | b'#'))? + start;
    if bytes[quote] != b'"' {
        return None;
    }
    let hashes = bytes[start..quote].iter().filter(|byte| **byte == b'#').count();
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let length = bytes[quote + 1..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(bytes.len(), |length| quote + 1 + length + end.len()))
}

fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = *bytes.get(start + 1)?;
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (bytes.get(start + 1 + width) == Some(&b'\'')).then_some(start + width + 2)
}

/// The position after the brace that closes the first one at or after `at`; `None` if there is none, or if a `;` comes
/// before it outside of all brackets.
#[must_use]
pub fn block_end(code: &str, at: usize) -> Option<usize> {
    let (mut depth, mut brackets) = (0usize, 0usize);
    for (offset, byte) in code.as_bytes().get(at..)?.iter().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at + offset + 1),
            b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The 1-based line of a byte position.
#[must_use]
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_blanked() {
        for (source, expected) in [
            ("a // {\nb", "a b"),
            ("a /* { /* } */ { */ b", "a b"),
            (r#"f("}\"{") + '{'"#, "f( ) +"),
            (r##"r#"{"}"# r#type"##, "r#type"),
            ("fn f<'a>(x: &'a str) { '\\'' }", "fn f<'a>(x: &'a str) { }"),
            ("'ä' b'{' br\"{\"", "b"),
        ] {
            let code = code_only(source);
            assert_eq!(code.len(), source.len(), "{source}");
            assert!(code.split_whitespace().eq(expected.split_whitespace()), "{source}: {code}");
        }
    }

    #[test]
    fn blocks_end_where_their_brace_closes() {
        assert_eq!(block_end("fn f() { { } } x", 0), Some(14));
        assert_eq!(block_end("fn f(a: [u8; 2]) -> u8 { 1 }", 0), Some(28));
        assert_eq!(block_end("fn f(); fn g() {}", 0), None);
    }
}
