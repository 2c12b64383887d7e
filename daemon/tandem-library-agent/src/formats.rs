//! Which file names are music and which are playlists, and what each format is called.
//!
//! Names alone are looked at; what a file holds is `scan::tags`' work.

use lofty::file::FileType;

/// A format of music files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The word for it in rules.
    pub(crate) word: &'static str,
    /// Its MIME type.
    pub(crate) mime: &'static str,
    /// Its file names' extensions, in lower case.
    extensions: &'static [&'static str],
}

const fn format(word: &'static str, mime: &'static str, extensions: &'static [&'static str]) -> Format {
    Format { word, mime, extensions }
}

/// Every format that counts as music.
pub(crate) const FORMATS: &[Format] = &[
    format("mp3", "audio/mpeg", &["mp3", "mp2"]),
    format("flac", "audio/flac", &["flac"]),
    format("ogg", "audio/ogg", &["ogg", "oga"]),
    format("opus", "audio/opus", &["opus"]),
    format("m4a", "audio/mp4", &["m4a", "m4b", "m4p", "mp4"]),
    format("aac", "audio/aac", &["aac"]),
    format("wma", "audio/x-ms-wma", &["wma"]),
    format("wav", "audio/x-wav", &["wav"]),
    format("aiff", "audio/x-aiff", &["aiff", "aif", "aifc"]),
    format("ape", "audio/x-ape", &["ape"]),
    format("wavpack", "audio/x-wavpack", &["wv"]),
    format("musepack", "audio/x-musepack", &["mpc"]),
    format("speex", "audio/x-speex", &["spx"]),
    format("matroska", "audio/x-matroska", &["mka"]),
    format("dsf", "audio/x-dsf", &["dsf"]),
    format("dff", "audio/x-dff", &["dff"]),
    format("tta", "audio/x-tta", &["tta"]),
];

/// The part of a file name after its last dot, in lower case; `None` without one, or where the dot is the first byte.
fn extension(name: &[u8]) -> Option<String> {
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
    Some(std::str::from_utf8(&name[dot + 1..]).ok()?.to_ascii_lowercase())
}

/// The format that a file name promises; `None` where it isn't music.
pub(crate) fn by_name(name: &[u8]) -> Option<&'static Format> {
    let extension = extension(name)?;
    FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str()))
}

/// The format of what the tag reader found in a file.
pub(crate) fn by_content(found: FileType) -> Option<&'static Format> {
    let word = match found {
        FileType::Mpeg => "mp3",
        FileType::Flac => "flac",
        FileType::Vorbis => "ogg",
        FileType::Opus => "opus",
        FileType::Mp4 => "m4a",
        FileType::Aac => "aac",
        FileType::Wav => "wav",
        FileType::Aiff => "aiff",
        FileType::Ape => "ape",
        FileType::WavPack => "wavpack",
        FileType::Mpc => "musepack",
        FileType::Speex => "speex",
        _ => return None,
    };
    FORMATS.iter().find(|format| format.word == word)
}

/// The word for a MIME type in rules; the type itself where it has none.
pub(crate) fn word(mime: &str) -> &str {
    FORMATS.iter().find(|format| format.mime == mime).map_or(mime, |format| format.word)
}

/// Whether a file name is that of a playlist that the library lists.
pub(crate) fn is_playlist(name: &[u8]) -> bool {
    extension(name).is_some_and(|extension| matches!(extension.as_str(), "m3u" | "m3u8"))
}

/// A kind of playlist file that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaylistFormat {
    /// One path in a line.
    M3u,
    /// `FileN=` lines.
    Pls,
    /// XML, `location` elements.
    Xspf,
    /// XML, `media src` elements.
    Wpl,
}

/// The kind of playlist that a file name promises.
pub(crate) fn playlist_format(name: &[u8]) -> Option<PlaylistFormat> {
    match extension(name)?.as_str() {
        "m3u" | "m3u8" => Some(PlaylistFormat::M3u),
        "pls" => Some(PlaylistFormat::Pls),
        "xspf" => Some(PlaylistFormat::Xspf),
        "wpl" => Some(PlaylistFormat::Wpl),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_format_whatever_their_case() {
        let word = |name: &[u8]| by_name(name).map(|format| format.word);
        assert_eq!(word(b"A b.MP3"), Some("mp3"));
        assert_eq!(word(b"\xff.flac"), Some("flac"));
        for name in [&b".mp3"[..], b"mp3", b"cover.jpg", b"a.mp3.part", b"a.\xff", b""] {
            assert_eq!(word(name), None);
        }
        assert!(is_playlist(b"x.M3U8") && !is_playlist(b"x.pls"));
    }

    #[test]
    fn each_extension_and_each_type_is_listed_once() {
        let mut extensions: Vec<_> = FORMATS.iter().flat_map(|format| format.extensions).collect();
        let mut mimes: Vec<_> = FORMATS.iter().map(|format| format.mime).collect();
        let counts = (extensions.len(), mimes.len());
        extensions.sort_unstable();
        extensions.dedup();
        mimes.sort_unstable();
        mimes.dedup();
        assert_eq!((extensions.len(), mimes.len()), counts);
        assert_eq!((word("audio/mpeg"), word("audio/strange")), ("mp3", "audio/strange"));
    }
}
