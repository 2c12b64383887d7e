//! Reads playlist files of every kind into their entries. Pure; nothing is looked up.
//!
//! Any bytes are taken: what can't be read is left out, and the number of entries is bounded.

use super::xml;
use crate::formats::PlaylistFormat;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The longest playlist file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;
/// The most entries of one playlist.
pub(crate) const MAX_ENTRIES: usize = 500_000;
/// The longest entry, in bytes; a path can't be longer.
const MAX_ENTRY: usize = 16 * 1024;

/// One entry of a playlist file, as written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) Vec<u8>);

impl Entry {
    /// As text for the user.
    pub(crate) fn text(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.to_owned(),
            Err(_) => windows_1252(&self.0).into_owned(),
        }
    }
}

/// The entries of a playlist file.
pub(crate) fn parse(format: PlaylistFormat, bytes: &[u8]) -> Vec<Entry> {
    let bytes = without_marks(bytes);
    match format {
        PlaylistFormat::M3u => m3u(&bytes),
        PlaylistFormat::Pls => pls(&bytes),
        PlaylistFormat::Xspf => xml::xspf(&text(&bytes)),
        PlaylistFormat::Wpl => xml::wpl(&text(&bytes)),
    }
}

/// Bytes of Windows-1252 as text: what Windows programs of the West write, and Latin-1 with quotes and dashes besides.
pub(crate) fn windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0
}

/// Text of UTF-8, or else of Windows-1252.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| windows_1252(bytes), Cow::Borrowed)
}

/// Without a byte order mark; UTF-16 becomes UTF-8.
fn without_marks(bytes: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.as_chunks::<2>().0.iter().map(|&pair| unit(pair));
        let text: String =
            char::decode_utf16(units).map(|result| result.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Cow::Owned(text.into_bytes())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// An entry, if these bytes can be one.
pub(super) fn entry(bytes: &[u8]) -> Option<Entry> {
    let bytes = bytes.trim_ascii();
    let usable = !bytes.is_empty() && bytes.len() <= MAX_ENTRY && !bytes.contains(&0);
    usable.then(|| Entry(bytes.to_vec()))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n' || byte == b'\r')
}

fn m3u(bytes: &[u8]) -> Vec<Entry> {
    lines(bytes).filter(|line| !line.starts_with(b"#")).filter_map(entry).take(MAX_ENTRIES).collect()
}

/// `FileN=…` lines in the order of N.
fn pls(bytes: &[u8]) -> Vec<Entry> {
    let file = |line: &[u8]| -> Option<(u32, Entry)> {
        let line = line.trim_ascii();
        let equals = line.iter().position(|&byte| byte == b'=')?;
        let key = std::str::from_utf8(&line[..equals]).ok()?.trim().to_ascii_lowercase();
        let number = key.strip_prefix("file")?.parse().ok()?;
        Some((number, entry(&line[equals + 1..])?))
    };
    let numbered: BTreeMap<u32, Entry> = lines(bytes).filter_map(file).take(MAX_ENTRIES).collect();
    numbered.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(format: PlaylistFormat, bytes: &[u8]) -> Vec<String> {
        parse(format, bytes).iter().map(Entry::text).collect()
    }

    #[test]
    fn m3u_takes_every_line_end_mark_and_comment() {
        let file =
            b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:12,Artist - Title\r\na/b.mp3\r\r\n  c d.mp3  \n\n..\\x.mp3";
        assert_eq!(texts(PlaylistFormat::M3u, file), ["a/b.mp3", "c d.mp3", "..\\x.mp3"]);
        assert_eq!(texts(PlaylistFormat::M3u, b"caf\xe9.mp3"), ["café.mp3"]);
        assert_eq!(texts(PlaylistFormat::M3u, b"Don\x92t \x96 \x80.mp3"), ["Don’t – €.mp3"]);
        let utf16: Vec<u8> = "\u{feff}ä.mp3\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(texts(PlaylistFormat::M3u, &utf16), ["ä.mp3"]);
    }

    #[test]
    fn long_playlists_are_read_whole_and_endless_ones_cut() {
        let file: Vec<u8> = (0..100_000).flat_map(|n| format!("music/{n}.mp3\n").into_bytes()).collect();
        assert_eq!(parse(PlaylistFormat::M3u, &file).len(), 100_000);
        assert_eq!(parse(PlaylistFormat::M3u, &b"a\n".repeat(MAX_ENTRIES + 5)).len(), MAX_ENTRIES);
        assert!(parse(PlaylistFormat::M3u, &b"a".repeat(MAX_ENTRY + 1)).is_empty());
    }

    #[test]
    fn pls_follows_the_numbers() {
        let file = b"[playlist]\nNumberOfEntries=2\nFile2=b.mp3\nTitle2=B\nfile1 = a.mp3\nFilex=no\nFile3=\n";
        assert_eq!(texts(PlaylistFormat::Pls, file), ["a.mp3", "b.mp3"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            for format in [PlaylistFormat::M3u, PlaylistFormat::Pls, PlaylistFormat::Xspf, PlaylistFormat::Wpl] {
                prop_assert!(parse(format, &bytes).len() <= bytes.len());
            }
        }

        #[test]
        fn any_markup_is_taken(parts in prop::collection::vec(prop::sample::select(&[
            "<media src='", "'/>", "<track>", "<location>", "</location>", "&amp;", "&x;", "<!DOCTYPE a [", "]>", "<![CDATA[", "a.mp3", "ä\""
        ][..]), 0..30)) {
            let text = parts.concat();
            parse(PlaylistFormat::Wpl, text.as_bytes());
            parse(PlaylistFormat::Xspf, text.as_bytes());
        }

        #[test]
        fn names_survive_a_playlist(names in prop::collection::vec("[^\\s#\\p{C}][^\\p{C}]{0,20}[^\\s\\p{C}]", 0..20)) {
            prop_assume!(names.iter().all(|name| name.trim() == name));
            prop_assert_eq!(texts(PlaylistFormat::M3u, names.join("\n").as_bytes()), names);
        }
    }
}
