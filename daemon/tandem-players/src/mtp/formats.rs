//! What files are to a player: format codes by name, MIME types by format code, and the way it takes playlists. Pure.
//!
//! It must not ask the device: what the device told comes in as values.

use tandem_model::path::DevicePath;
use tandem_model::player::PlaylistStyle;
use tandem_mtp::codes::FormatCode;

/// The ending of an object that is a playlist by its references and has no bytes.
pub(crate) const REFERENCES: &str = "pla";

/// Playlists that refer to objects, the preferred format first.
pub(crate) const ABSTRACT_PLAYLISTS: [FormatCode; 2] =
    [FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST, FormatCode::ABSTRACT_AUDIO_PLAYLIST];

/// MIME types that a format stands for.
const TYPES: [(FormatCode, &[&str]); 13] = [
    (FormatCode::MP3, &["audio/mpeg"]),
    (FormatCode::WAV, &["audio/x-wav"]),
    (FormatCode::AIFF, &["audio/x-aiff"]),
    (FormatCode::WMA, &["audio/x-ms-wma"]),
    (FormatCode::OGG, &["audio/ogg"]),
    (FormatCode::AAC, &["audio/aac", "audio/mp4"]),
    (FormatCode::M4A, &["audio/mp4"]),
    (FormatCode::MP4, &["audio/mp4", "video/mp4"]),
    (FormatCode::FLAC, &["audio/flac"]),
    (FormatCode::WMV, &["video/x-ms-wmv"]),
    (FormatCode::AVI, &["video/x-msvideo"]),
    (FormatCode::EXIF_JPEG, &["image/jpeg"]),
    (FormatCode::PNG, &["image/png"]),
];

/// Whether a player takes anything that music comes in. One that takes files of any kind does.
pub(crate) fn takes_music(listed: &[FormatCode]) -> bool {
    listed.contains(&FormatCode::UNDEFINED) || !mime_types(listed).is_empty()
}

/// What a player plays, from the formats that it lists. Empty where it lists no sound at all: then it doesn't say.
pub(crate) fn mime_types(listed: &[FormatCode]) -> Vec<String> {
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
pub(crate) fn of_file(name: &str, listed: &[FormatCode]) -> FormatCode {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let candidates: &[FormatCode] = match ending.as_str() {
        "mp3" | "mp2" => &[FormatCode::MP3],
        "wav" => &[FormatCode::WAV],
        "aif" | "aiff" | "aifc" => &[FormatCode::AIFF],
        "wma" => &[FormatCode::WMA],
        "ogg" | "oga" | "opus" => &[FormatCode::OGG],
        "aac" => &[FormatCode::AAC],
        "m4a" | "m4b" | "m4p" | "mp4" => &[FormatCode::M4A, FormatCode::MP4, FormatCode::AAC],
        "flac" => &[FormatCode::FLAC],
        "jpg" | "jpeg" => &[FormatCode::EXIF_JPEG],
        "png" => &[FormatCode::PNG],
        "m3u" | "m3u8" => &[FormatCode::M3U],
        "pls" => &[FormatCode::PLS],
        "wpl" => &[FormatCode::WPL],
        _ => &[],
    };
    candidates.iter().copied().find(|format| listed.contains(format)).unwrap_or(FormatCode::UNDEFINED)
}

/// How a player wants its playlists: as references where it knows them, else as files; `None` where it takes neither.
pub(crate) fn playlist_style(
    references: bool,
    listed: &[FormatCode],
    folder: Option<DevicePath>,
) -> Option<PlaylistStyle> {
    let files = listed.contains(&FormatCode::M3U) || listed.contains(&FormatCode::UNDEFINED);
    let extension = if references { REFERENCES } else { "m3u8" };
    let style =
        PlaylistStyle { folder, extension, by_reference: references, separator: '/', line_ending: "\n" };
    (references || files).then_some(style)
}

/// The files that a playlist's text names, as paths on the storage; what leads out of it is left out.
pub(crate) fn playlist_items(text: &str, folder: Option<&DevicePath>) -> Vec<DevicePath> {
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
        let listed = [FormatCode::MP3, FormatCode::MP4, FormatCode::AAC];
        assert_eq!(of_file("a.MP3", &listed), FormatCode::MP3);
        assert_eq!(of_file("a.m4a", &listed), FormatCode::MP4);
        assert_eq!(of_file("a.m4a", &[FormatCode::AAC]), FormatCode::AAC);
        assert_eq!(of_file("a.flac", &listed), FormatCode::UNDEFINED);
        assert_eq!(of_file("noending", &listed), FormatCode::UNDEFINED);
    }

    #[test]
    fn what_takes_neither_music_nor_files_of_any_kind_takes_no_music() {
        assert!(takes_music(&[FormatCode::WMA]) && takes_music(&[FormatCode::UNDEFINED]));
        assert!(!takes_music(&[FormatCode::ASSOCIATION, FormatCode::EXIF_JPEG, FormatCode::MPL]));
    }

    #[test]
    fn playlists_come_in_the_form_that_a_player_knows() {
        let form = |references, listed: &[FormatCode]| {
            playlist_style(references, listed, None).map(|style| (style.extension, style.by_reference))
        };
        assert_eq!(form(true, &[]), Some(("pla", true)));
        assert_eq!(form(false, &[FormatCode::M3U]), Some(("m3u8", false)));
        assert_eq!(form(false, &[FormatCode::UNDEFINED]), Some(("m3u8", false)));
        assert_eq!(form(false, &[FormatCode::MP3]), None);
    }

    #[test]
    fn a_player_that_lists_no_sound_refuses_none() {
        assert!(
            mime_types(&[FormatCode::UNDEFINED, FormatCode::ASSOCIATION, FormatCode::EXIF_JPEG]).is_empty()
        );
        assert_eq!(mime_types(&[FormatCode::MP3, FormatCode::MP4]), ["audio/mpeg", "audio/mp4", "video/mp4"]);
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
