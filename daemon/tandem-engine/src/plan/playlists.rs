//! Playlists for the device, in the form that it reads, holding only what is on the device. Pure.

use std::borrow::Cow;
use std::fmt::Write;
use tandem_model::manifest::Entry;
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::{PlaylistForm, PlaylistStyle, SplVersion};
use xxhash_rust::xxh3::Xxh3Default;

/// Where a track is on the device, and which version of it that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: DevicePath,
    /// XXH3-128 of its bytes, where they are there.
    version: Option<u128>,
}

impl Place {
    /// Of what is there.
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        Self::of_bytes(entry.path.clone(), entry.hash)
    }

    /// Of the bytes with this hash.
    pub(crate) fn of_bytes(path: DevicePath, hash: u128) -> Self {
        Self { path, version: Some(hash) }
    }

    /// Of a track that will be there.
    pub(crate) fn to_come(path: DevicePath) -> Self {
        Self { path, version: None }
    }
}

/// The bytes of a playlist with these tracks at these places.
pub(crate) fn render<'a>(
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(items, style, |more| bytes.extend_from_slice(more));
    bytes
}

/// XXH3-128 of those bytes, which aren't made for it: they are many, and mostly what is on the device already.
pub(crate) fn hash<'a>(items: impl Iterator<Item = (&'a Track, &'a Place)>, style: &PlaylistStyle) -> u128 {
    let mut hasher = Xxh3Default::new();
    encode(items, style, |more| hasher.update(more));
    hasher.digest128()
}

fn encode<'a>(
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
    take: impl FnMut(&[u8]),
) {
    let mut encoder = Encoder { take, wide: matches!(style.form, PlaylistForm::Spl(_)) };
    write_lines(&mut encoder, items, style);
}

/// Takes text as the bytes that it is in a form's encoding.
struct Encoder<F> {
    take: F,
    /// UTF-16, little end first; else UTF-8.
    wide: bool,
}

impl<F: FnMut(&[u8])> Write for Encoder<F> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.wide {
            text.encode_utf16().for_each(|unit| (self.take)(&unit.to_le_bytes()));
        } else {
            (self.take)(text.as_bytes());
        }
        Ok(())
    }
}

/// The lines of a playlist, as text.
pub(super) fn write_lines<'a>(
    text: &mut impl Write,
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
) {
    match style.form {
        PlaylistForm::M3u { separator, line_ending } => write_m3u(text, items, style, separator, line_ending),
        PlaylistForm::References => write_m3u(text, items, style, '/', "\n"),
        PlaylistForm::Spl(version) => write_spl(text, items.map(|(_, place)| &place.path), version),
    }
    .expect("neither bytes nor a hash refuse text");
}

fn write_m3u<'a>(
    text: &mut impl Write,
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
    separator: char,
    end: &str,
) -> std::fmt::Result {
    write!(text, "#EXTM3U{end}")?;
    // a name that the user has given a file can be one that would end its line
    let namable = |(_, place): &(&Track, &Place)| {
        style.is_by_reference() || !place.path.as_str().contains(char::is_control)
    };
    for (track, Place { path, version }) in items.filter(namable) {
        let mut path = path.relative_to(style.folder.as_ref());
        if path.starts_with('#') {
            // such a line would be a comment
            path.insert_str(0, "./");
        }
        if separator != '/' {
            path = path.replace('/', &separator.to_string());
        }
        let title = if track.title.is_empty() { &track.file_name } else { &track.title };
        let artist =
            if track.artist.is_empty() { String::new() } else { format!("{} - ", one_line(&track.artist)) };
        let seconds =
            if track.duration_ms == 0 { -1 } else { i64::try_from(track.duration_ms / 1000).unwrap_or(-1) };
        write!(text, "#EXTINF:{seconds},{artist}{}{end}{path}{end}", one_line(title))?;
        if style.is_by_reference() {
            // another version of the track is another object, and so makes another text
            let version = version.map_or_else(|| "to come".to_owned(), |hash| format!("{hash:x}"));
            write!(text, "#EXT-X-TANDEM-VERSION:{version}{end}")?;
        }
    }
    Ok(())
}

/// What Samsung's players read: a byte order mark, and paths from the root with backslashes. A line begins with one only
/// where it is a path.
fn write_spl<'a>(
    text: &mut impl Write,
    paths: impl Iterator<Item = &'a DevicePath>,
    version: SplVersion,
) -> std::fmt::Result {
    let number = match version {
        SplVersion::V1 => 1,
        SplVersion::V2 => 2,
    };
    write!(text, "\u{feff}SPL PLAYLIST\r\nVERSION {number}.00\r\n\r\n")?;
    // a name that the user has given a file can be one that would end its line, or be another path
    let unnamable = |c: char| c.is_control() || c == '\\';
    for path in paths.filter(|path| !path.as_str().contains(unnamable)) {
        write!(text, "\\{}\r\n", path.as_str().replace('/', "\\"))?;
    }
    text.write_str("\r\nEND PLAYLIST\r\n")?;
    match version {
        SplVersion::V1 => Ok(()),
        // the player's own sound settings for the list: none
        SplVersion::V2 => text.write_str("\r\nmyDNSe DATA\r\n\r\n\r\nEND myDNSe\r\n"),
    }
}

/// Text that can't end its line early.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) { text.replace(char::is_control, " ").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::properties::track;
    use proptest::prelude::*;

    #[test]
    fn entries_lead_from_the_playlist_to_the_file_in_the_players_own_style() {
        let mut song = track(3);
        song.title = "Line\nbreak".into();
        song.artist = "Ann".into();
        song.duration_ms = 61_500;
        let place = Place::to_come(DevicePath::parse("Music/Ann/3.mp3").unwrap());
        let folder = DevicePath::parse("Playlists");
        let unix = PlaylistStyle { folder: folder.clone(), extension: "m3u8", form: PlaylistForm::M3U };
        let text = |style| String::from_utf8(render([(&song, &place)].into_iter(), style)).unwrap();
        assert_eq!(text(&unix), "#EXTM3U\n#EXTINF:61,Ann - Line break\n../Music/Ann/3.mp3\n");
        let form = PlaylistForm::M3u { separator: '\\', line_ending: "\r\n" };
        let dos = PlaylistStyle { extension: "m3u", form, ..unix.clone() };
        let text = text(&dos);
        assert!(text.ends_with("\r\n..\\Music\\Ann\\3.mp3\r\n"));
        assert_eq!(
            hash([(&song, &place)].into_iter(), &dos),
            xxhash_rust::xxh3::xxh3_128(text.as_bytes()),
            "what isn't made has the same hash"
        );
    }

    #[test]
    fn a_name_is_neither_a_comment_nor_two_lines() {
        let song = track(3);
        let paths =
            ["Music/#1 Record/3.mp3", "Music/two\nlines.mp3"].map(|path| DevicePath::parse(path).unwrap());
        let places = paths.map(Place::to_come);
        let lines = |separator| {
            let form = PlaylistForm::M3u { separator, line_ending: "\n" };
            let style = PlaylistStyle { folder: DevicePath::parse("Music"), extension: "m3u", form };
            let text = String::from_utf8(render(places.iter().map(|place| (&song, place)), &style)).unwrap();
            let paths = text.lines().filter(|line| !line.starts_with('#'));
            paths.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines('/'), ["./#1 Record/3.mp3"]);
        assert_eq!(lines('\\'), [".\\#1 Record\\3.mp3"]);
    }

    #[test]
    fn samsungs_files_are_utf_16_with_paths_from_the_root() {
        let mut song = track(3);
        song.title = "\\not a path".into();
        let path = DevicePath::parse("Music/Bj\u{f6}rk \u{1d11e}/3.mp3").unwrap();
        let place = Place::to_come(path);
        let style = |version| PlaylistStyle {
            folder: DevicePath::parse("Playlists"),
            extension: "spl",
            form: PlaylistForm::Spl(version),
        };
        let bytes = |version| render([(&song, &place)].into_iter(), &style(version));
        let text = |version| {
            let units: Vec<u16> =
                bytes(version).chunks(2).map(|unit| u16::from_le_bytes(unit.try_into().unwrap())).collect();
            String::from_utf16(&units).unwrap()
        };
        let first = "\u{feff}SPL PLAYLIST\r\nVERSION 1.00\r\n\r\n\\Music\\Bj\u{f6}rk \u{1d11e}\\3.mp3\r\n\r\nEND PLAYLIST\r\n";
        assert_eq!(text(SplVersion::V1), first);
        let second = first.replace("1.00", "2.00") + "\r\nmyDNSe DATA\r\n\r\n\r\nEND myDNSe\r\n";
        assert_eq!(text(SplVersion::V2), second);
        assert_eq!(
            hash([(&song, &place)].into_iter(), &style(SplVersion::V2)),
            xxhash_rust::xxh3::xxh3_128(&bytes(SplVersion::V2)),
            "what isn't made has the same hash"
        );
    }

    proptest! {
        #[test]
        fn samsungs_files_hold_the_paths_and_nothing_else_whatever_files_are_called(
            names in prop::collection::vec("[a/\\\\ \r\n\u{85}\u{feff}\u{1d11e}\u{e4}END PLAYLIST]{1,12}", 0..6),
        ) {
            let paths: Vec<DevicePath> = names.iter().filter_map(|name| DevicePath::parse(name)).collect();
            let song = track(3);
            let places: Vec<Place> = paths.iter().map(|path| Place::to_come(path.clone())).collect();
            let form = PlaylistForm::Spl(SplVersion::V1);
            let style = PlaylistStyle { folder: None, extension: "spl", form };
            let bytes = render(places.iter().map(|place| (&song, place)), &style);
            let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            let text = String::from_utf16(&units).unwrap();
            let lines: Vec<&str> = text.split("\r\n").collect();
            let can = |path: &&DevicePath| !path.as_str().contains(|c: char| c == '\\' || c.is_control());
            let wanted: Vec<String> = paths.iter().filter(can)
                .map(|path| format!("/{}", path.as_str()).replace('/', "\\")).collect();
            prop_assert_eq!(&lines[3..lines.len() - 3], &wanted[..]);
            prop_assert_eq!(&lines[lines.len() - 3..], &["", "END PLAYLIST", ""][..]);
        }
    }

    #[test]
    fn a_list_of_references_is_another_one_when_a_track_of_it_is() {
        let place = |hash| Place::of_bytes(DevicePath::parse("Music/3.mp3").unwrap(), hash);
        let style = |by_reference| PlaylistStyle {
            folder: None,
            extension: "pla",
            form: if by_reference { PlaylistForm::References } else { PlaylistForm::M3U },
        };
        let mut song = track(3);
        let old = place(1);
        let text = |song: &Track, place: &Place, by_reference| {
            render([(song, place)].into_iter(), &style(by_reference))
        };
        let before = (text(&song, &old, true), text(&song, &old, false));
        song.modified_ns += 1;
        // as long as the new version has not arrived, the list is of the old one
        assert_eq!(text(&song, &old, true), before.0);
        assert_ne!(text(&song, &place(2), true), before.0);
        assert_eq!(text(&song, &place(2), false), before.1);
    }
}
