//! Playlist files for the device: M3U with relative paths, holding only what is on the device. Pure.

use std::borrow::Cow;
use std::fmt::Write;
use tandem_model::manifest::Entry;
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::PlaylistStyle;
use xxhash_rust::xxh3::Xxh3Default;

/// Where a track is on the device, and which version of it that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: DevicePath,
    /// Size and modification time that the source had.
    version: (u64, i64),
}

impl Place {
    /// Of what is there.
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        Self { path: entry.path.clone(), version: (entry.source_size, entry.source_modified_ns) }
    }

    /// Of a track that will be there as the library has it.
    pub(crate) fn of_track(track: &Track, path: DevicePath) -> Self {
        Self { path, version: (track.size, track.modified_ns) }
    }
}

/// The text of a playlist with these tracks at these places.
pub(crate) fn render<'a>(
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
) -> String {
    let mut text = String::new();
    write_lines(&mut text, items, style);
    text
}

/// XXH3-128 of that text, which isn't made for it: it is long, and mostly what is on the device already.
pub(crate) fn hash<'a>(items: impl Iterator<Item = (&'a Track, &'a Place)>, style: &PlaylistStyle) -> u128 {
    let mut hasher = Hasher(Xxh3Default::new());
    write_lines(&mut hasher, items, style);
    hasher.0.digest128()
}

/// Takes text for its hash alone.
struct Hasher(Xxh3Default);

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

fn write_lines<'a>(
    text: &mut impl Write,
    items: impl Iterator<Item = (&'a Track, &'a Place)>,
    style: &PlaylistStyle,
) {
    let end = style.line_ending;
    write!(text, "#EXTM3U{end}").expect("neither a string nor a hash refuses text");
    for (track, Place { path, version: (size, modified_ns) }) in items {
        let mut path = path.relative_to(style.folder.as_ref());
        if style.separator != '/' {
            path = path.replace('/', &style.separator.to_string());
        }
        let title = if track.title.is_empty() { &track.file_name } else { &track.title };
        let artist =
            if track.artist.is_empty() { String::new() } else { format!("{} - ", one_line(&track.artist)) };
        let seconds =
            if track.duration_ms == 0 { -1 } else { i64::try_from(track.duration_ms / 1000).unwrap_or(-1) };
        write!(text, "#EXTINF:{seconds},{artist}{}{end}{path}{end}", one_line(title))
            .expect("neither a string nor a hash refuses text");
        if style.by_reference {
            // another version of the track is another object, and so makes another text
            write!(text, "#EXT-X-TANDEM-VERSION:{size},{modified_ns}{end}")
                .expect("neither a string nor a hash refuses text");
        }
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

    #[test]
    fn entries_lead_from_the_playlist_to_the_file_in_the_players_own_style() {
        let mut song = track(3);
        song.title = "Line\nbreak".into();
        song.artist = "Ann".into();
        song.duration_ms = 61_500;
        let place = Place::of_track(&song, DevicePath::parse("Music/Ann/3.mp3").unwrap());
        let folder = DevicePath::parse("Playlists");
        let unix = PlaylistStyle {
            folder: folder.clone(),
            extension: "m3u8",
            by_reference: false,
            separator: '/',
            line_ending: "\n",
        };
        assert_eq!(
            render([(&song, &place)].into_iter(), &unix),
            "#EXTM3U\n#EXTINF:61,Ann - Line break\n../Music/Ann/3.mp3\n"
        );
        let dos = PlaylistStyle { extension: "m3u", separator: '\\', line_ending: "\r\n", ..unix.clone() };
        let text = render([(&song, &place)].into_iter(), &dos);
        assert!(text.ends_with("\r\n..\\Music\\Ann\\3.mp3\r\n"));
        assert_eq!(
            hash([(&song, &place)].into_iter(), &dos),
            xxhash_rust::xxh3::xxh3_128(text.as_bytes()),
            "what isn't made has the same hash"
        );
    }

    #[test]
    fn a_list_of_references_is_another_one_when_a_track_of_it_is() {
        let place = |song: &Track| Place::of_track(song, DevicePath::parse("Music/3.mp3").unwrap());
        let style = |by_reference| PlaylistStyle {
            folder: None,
            extension: "pla",
            by_reference,
            separator: '/',
            line_ending: "\n",
        };
        let mut song = track(3);
        let old = place(&song);
        let text = |song: &Track, place: &Place, by_reference| {
            render([(song, place)].into_iter(), &style(by_reference))
        };
        let before = (text(&song, &old, true), text(&song, &old, false));
        song.modified_ns += 1;
        // as long as the new version has not arrived, the list is of the old one
        assert_eq!(text(&song, &old, true), before.0);
        assert_ne!(text(&song, &place(&song), true), before.0);
        assert_eq!(text(&song, &place(&song), false), before.1);
    }
}
