//! What files are to an MTP player, in the protocol's own type: the table is the model's. Pure.
//!
//! It must not ask the device: what the device told comes in as values.

use tandem_model::formats;
pub(crate) use tandem_model::formats::{ALBUM, REFERENCES, playlist_items};
use tandem_model::path::DevicePath;
use tandem_model::player::{PlaylistStyle, SplVersion};
use tandem_mtp::codes::FormatCode;

/// Playlists that refer to objects, the preferred format first.
pub(crate) const ABSTRACT_PLAYLISTS: [FormatCode; 2] =
    [FormatCode(formats::ABSTRACT_PLAYLISTS[0]), FormatCode(formats::ABSTRACT_PLAYLISTS[1])];

/// Albums that refer to their tracks.
pub(crate) const ABSTRACT_ALBUM: FormatCode = FormatCode(formats::ABSTRACT_ALBUM);

fn codes(listed: &[FormatCode]) -> Vec<formats::Code> {
    listed.iter().map(|format| format.0).collect()
}

/// Whether a player takes anything that music comes in. One that takes files of any kind does.
pub(crate) fn takes_music(listed: &[FormatCode]) -> bool {
    listed.contains(&FormatCode::UNDEFINED) || !mime_types(listed).is_empty()
}

/// What a player plays, from the formats that it lists. Empty where it lists no sound at all: then it doesn't say.
pub(crate) fn mime_types(listed: &[FormatCode]) -> Vec<String> {
    formats::mime_types(&codes(listed))
}

/// The format to send a file as.
pub(crate) fn of_file(name: &str, listed: &[FormatCode]) -> FormatCode {
    FormatCode(formats::of_file(name, &codes(listed)))
}

/// How a player wants its playlists: as Samsung's files where it is known to read those alone, as references where it knows
/// them, else as files; `None` where it takes neither.
pub(crate) fn playlist_style(
    spl: Option<SplVersion>,
    references: bool,
    listed: &[FormatCode],
    folder: Option<DevicePath>,
) -> Option<PlaylistStyle> {
    let listed = codes(listed);
    // there is no format of their own
    match spl.filter(|_| listed.contains(&formats::UNDEFINED)) {
        Some(version) => Some(formats::spl_style(version, folder)),
        None => formats::playlist_style(references, &listed, folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_neither_music_nor_files_of_any_kind_takes_no_music() {
        assert!(takes_music(&[FormatCode::WMA]) && takes_music(&[FormatCode::UNDEFINED]));
        assert!(!takes_music(&[FormatCode::ASSOCIATION, FormatCode::EXIF_JPEG, FormatCode::MPL]));
    }

    #[test]
    fn a_player_that_reads_samsungs_files_alone_gets_no_references() {
        let style = |spl, listed| playlist_style(spl, true, &[listed], None).unwrap().extension;
        let spl = Some(SplVersion::V2);
        assert_eq!((style(spl, FormatCode::UNDEFINED), style(None, FormatCode::UNDEFINED)), ("spl", "pla"));
        assert_eq!(style(spl, FormatCode::WMA), "pla", "it lists no format that such a file could have");
    }

    #[test]
    fn the_codes_are_the_protocols() {
        let all = [FormatCode::M4A, FormatCode::AAC, FormatCode::FLAC, FormatCode::OGG, FormatCode::PLS];
        for (name, format) in ["a.m4a", "a.aac", "a.flac", "a.ogg", "a.pls"].into_iter().zip(all) {
            assert_eq!(of_file(name, &all), format);
        }
        assert_eq!(ABSTRACT_PLAYLISTS[0], FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST);
        assert_eq!(ABSTRACT_PLAYLISTS[1], FormatCode::ABSTRACT_AUDIO_PLAYLIST);
        assert_eq!(ABSTRACT_ALBUM, FormatCode::ABSTRACT_AUDIO_ALBUM);
    }
}
