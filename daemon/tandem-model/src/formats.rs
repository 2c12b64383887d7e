//! What files are to a player that knows formats by their code: MTP's object formats, which WMDM shares. Pure.
//!
//! It must not ask the device: what the device told comes in as values.

use crate::path::DevicePath;
use crate::player::{PlaylistForm, PlaylistStyle, SplVersion};

/// A format's code, as MTP and WMDM have it.
pub type Code = u16;

/// What has no format of its own.
pub const UNDEFINED: Code = 0x3000;

/// Playlists that refer to objects and have no bytes, the preferred format first: Abstract Audio & Video Playlist,
/// Abstract Audio Playlist.
pub const ABSTRACT_PLAYLISTS: [Code; 2] = [0xBA05, 0xBA09];

/// An album that refers to its tracks and has no bytes: Abstract Audio Album.
pub const ABSTRACT_ALBUM: Code = 0xBA03;

/// The ending of an object that is an album.
pub const ALBUM: &str = "alb";

/// The ending of an object that is a playlist by its references and has no bytes.
pub const REFERENCES: &str = "pla";

/// The ending of Samsung's playlist files, which have no format of their own.
const SPL: &str = "spl";

const AIFF: Code = 0x3007;
const WAV: Code = 0x3008;
const MP3: Code = 0x3009;
const AVI: Code = 0x300A;
const EXIF_JPEG: Code = 0x3801;
const PNG: Code = 0x380B;
const M4A: Code = 0xB215;
const WMA: Code = 0xB901;
const OGG: Code = 0xB902;
const AAC: Code = 0xB903;
const FLAC: Code = 0xB906;
const WMV: Code = 0xB981;
const MP4: Code = 0xB982;
const WPL: Code = 0xBA10;
const M3U: Code = 0xBA11;
const PLS: Code = 0xBA14;

/// MIME types that a format stands for.
const TYPES: [(Code, &[&str]); 13] = [
    (MP3, &["audio/mpeg"]),
    (WAV, &["audio/x-wav"]),
    (AIFF, &["audio/x-aiff"]),
    (WMA, &["audio/x-ms-wma"]),
    (OGG, &["audio/ogg"]),
    (AAC, &["audio/aac", "audio/mp4"]),
    (M4A, &["audio/mp4"]),
    (MP4, &["audio/mp4", "video/mp4"]),
    (FLAC, &["audio/flac"]),
    (WMV, &["video/x-ms-wmv"]),
    (AVI, &["video/x-msvideo"]),
    (EXIF_JPEG, &["image/jpeg"]),
    (PNG, &["image/png"]),
];

/// Every format that has a MIME type, and those that playlists come in.
pub fn known() -> impl Iterator<Item = Code> {
    TYPES.into_iter().map(|(code, _)| code).chain(ABSTRACT_PLAYLISTS).chain([M3U, UNDEFINED])
}

/// What a player plays, from the formats that it lists. Empty where it lists no sound at all: then it doesn't say.
#[must_use]
pub fn mime_types(listed: &[Code]) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for (format, names) in TYPES {
        for name in names.iter().filter(|_| listed.contains(&format)) {
            if !types.iter().any(|known| known == name) {
                types.push((*name).to_owned());
            }
        }
    }
    if types.iter().any(|name| name.starts_with("audio/")) { types } else { Vec::new() }
}

/// The format to send a file as. One that the player doesn't list is sent as what has no name, and the player goes by
/// the file's ending.
#[must_use]
pub fn of_file(name: &str, listed: &[Code]) -> Code {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let candidates: &[Code] = match ending.as_str() {
        "mp3" | "mp2" => &[MP3],
        "wav" => &[WAV],
        "aif" | "aiff" | "aifc" => &[AIFF],
        "wma" => &[WMA],
        "ogg" | "oga" | "opus" => &[OGG],
        "aac" => &[AAC],
        "m4a" | "m4b" | "m4p" | "mp4" => &[M4A, MP4, AAC],
        "flac" => &[FLAC],
        "jpg" | "jpeg" => &[EXIF_JPEG],
        "png" => &[PNG],
        "m3u" | "m3u8" => &[M3U],
        "pls" => &[PLS],
        "wpl" => &[WPL],
        _ => &[],
    };
    candidates.iter().copied().find(|format| listed.contains(format)).unwrap_or(UNDEFINED)
}

/// How a player wants its playlists: as references where it knows them, else as files; `None` where it takes neither.
#[must_use]
pub fn playlist_style(
    references: bool,
    listed: &[Code],
    folder: Option<DevicePath>,
) -> Option<PlaylistStyle> {
    let files = listed.contains(&M3U) || listed.contains(&UNDEFINED);
    let (extension, form) =
        if references { (REFERENCES, PlaylistForm::References) } else { ("m3u8", PlaylistForm::M3U) };
    (references || files).then_some(PlaylistStyle { folder, extension, form })
}

/// How a player wants its playlists that reads Samsung's files.
#[must_use]
pub fn spl_style(version: SplVersion, folder: Option<DevicePath>) -> PlaylistStyle {
    PlaylistStyle { folder, extension: SPL, form: PlaylistForm::Spl(version) }
}

/// The files that a playlist's text names, as paths on the storage; what leads out of it is left out.
#[must_use]
pub fn playlist_items(text: &str, folder: Option<&DevicePath>) -> Vec<DevicePath> {
    let resolve = |line: &str| {
        let mut parts: Vec<&str> =
            folder.map_or_else(Vec::new, |folder| folder.as_str().split('/').collect());
        for part in line.split('/') {
            match part {
                ".." => drop(parts.pop()?),
                "." | "" => {}
                part => parts.push(part),
            }
        }
        DevicePath::parse(&parts.join("/"))
    };
    let lines = text.trim_start_matches('\u{feff}').lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(resolve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_as_what_the_player_lists() {
        let listed = [MP3, MP4, AAC];
        assert_eq!(of_file("a.MP3", &listed), MP3);
        assert_eq!(of_file("a.m4a", &listed), MP4);
        assert_eq!(of_file("a.m4a", &[AAC]), AAC);
        assert_eq!(of_file("a.flac", &listed), UNDEFINED);
        assert_eq!(of_file("noending", &listed), UNDEFINED);
    }

    #[test]
    fn playlists_come_in_the_form_that_a_player_knows() {
        let form = |references, listed: &[Code]| {
            playlist_style(references, listed, None).map(|style| (style.extension, style.is_by_reference()))
        };
        assert_eq!(form(true, &[]), Some(("pla", true)));
        assert_eq!(form(false, &[M3U]), Some(("m3u8", false)));
        assert_eq!(form(false, &[UNDEFINED]), Some(("m3u8", false)));
        assert_eq!(form(false, &[MP3]), None);
        let samsung = spl_style(SplVersion::V1, None);
        assert_eq!((samsung.extension, samsung.is_by_reference()), ("spl", false));
        assert_eq!(of_file("a.spl", &[UNDEFINED, M3U]), UNDEFINED);
    }

    #[test]
    fn a_player_that_lists_no_sound_refuses_none() {
        assert!(mime_types(&[UNDEFINED, EXIF_JPEG]).is_empty());
        assert_eq!(mime_types(&[MP3, MP4]), ["audio/mpeg", "audio/mp4", "video/mp4"]);
    }

    #[test]
    fn a_playlist_leads_to_its_files_and_never_out_of_the_storage() {
        let folder = DevicePath::parse("Playlists");
        let text = "#EXTM3U\n../Music/A/b.mp3\nbeside.mp3\n../../out.mp3\n\n";
        let items = playlist_items(text, folder.as_ref());
        let items: Vec<&str> = items.iter().map(DevicePath::as_str).collect();
        assert_eq!(items, ["Music/A/b.mp3", "Playlists/beside.mp3"]);
    }
}
