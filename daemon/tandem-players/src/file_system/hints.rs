//! What a player says of itself in files: reads `.is_audio_player`, and turns such hints into capabilities. Pure.
//!
//! Hints come from the device or from a data file about it; what makes no sense in them is ignored, never an error.

use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, PlaylistForm, PlaylistStyle};

/// The most that is read of a file with hints, in bytes.
pub const LIMIT: usize = 64 * 1024;
/// The most items that count in a list.
const MOST_ITEMS: usize = 64;
/// The most characters that count in a value.
const MOST_CHARACTERS: usize = 255;
/// The most folders in a path.
const MOST_FOLDERS: usize = 8;

/// What files say of a player. Empty or `None`: they don't say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// What it wants to be called.
    pub name: Option<String>,
    /// MIME types that it plays.
    pub formats: Vec<String>,
    /// Folders for music, the preferred one first, as written.
    pub audio_folders: Vec<String>,
    /// How many folders deep music may lie; negative: any.
    pub folder_depth: Option<i32>,
    /// MIME types of the playlists that it reads.
    pub playlist_formats: Vec<String>,
    /// Folder for playlists, as written; may hold `%File`.
    pub playlist_path: Option<String>,
    /// Between the parts of a path in a playlist.
    pub separator: Option<char>,
    /// After each line of a playlist.
    pub line_ending: Option<&'static str>,
}

/// Reads `.is_audio_player`: lines of `key=value`, lists with commas; unknown keys are ignored.
#[must_use]
pub fn parse(bytes: &[u8]) -> Hints {
    let mut hints = Hints::default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LIMIT)]);
    for (key, value) in text.trim_start_matches('\u{feff}').lines().filter_map(key_and_value) {
        match key.to_ascii_lowercase().as_str() {
            "name" => hints.name = name(value),
            "audio_folders" | "audio_folder" => hints.audio_folders = list(value, ','),
            "output_formats" => hints.formats = mime_types(value, ','),
            "playlist_formats" | "playlist_format" => hints.playlist_formats = mime_types(value, ','),
            "playlist_path" => hints.playlist_path = Some(value.to_owned()),
            "folder_depth" => hints.folder_depth = value.parse().ok(),
            _ => {}
        }
    }
    hints
}

/// The two sides of `key=value`; `None` for a comment, a heading, or a line that is neither.
pub(crate) fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let counts = !key.is_empty() && !key.starts_with(['#', ';', '[']) && value.len() <= LIMIT / 16;
    counts.then_some((key, value))
}

/// The items of a list, without empty ones.
pub(crate) fn list(value: &str, separator: char) -> Vec<String> {
    let items = value.split(separator).map(str::trim).filter(|item| !item.is_empty());
    items.filter(|item| item.chars().count() <= MOST_CHARACTERS).take(MOST_ITEMS).map(str::to_owned).collect()
}

/// The MIME types of a list, in lower case.
pub(crate) fn mime_types(value: &str, separator: char) -> Vec<String> {
    let legal = |item: &String| {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
        };
        item.split_once('/').is_some_and(|(kind, sub)| part(kind) && part(sub))
    };
    list(value, separator).into_iter().map(|item| item.to_ascii_lowercase()).filter(legal).collect()
}

fn name(value: &str) -> Option<String> {
    let name: String = value.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

impl Hints {
    /// These hints, and those of `base` for what they don't say.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let either = |ours: Vec<String>, theirs: Vec<String>| if ours.is_empty() { theirs } else { ours };
        Self {
            name: self.name.or(base.name),
            formats: either(self.formats, base.formats),
            audio_folders: either(self.audio_folders, base.audio_folders),
            folder_depth: self.folder_depth.or(base.folder_depth),
            playlist_formats: either(self.playlist_formats, base.playlist_formats),
            playlist_path: self.playlist_path.or(base.playlist_path),
            separator: self.separator.or(base.separator),
            line_ending: self.line_ending.or(base.line_ending),
        }
    }

    /// What a player with these hints can do and wants.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let has = |kind: &str| self.formats.iter().any(|format| format.starts_with(kind));
        Capabilities {
            formats: self.formats.clone(),
            audio: true,
            video: has("video/"),
            photo: has("image/"),
            audio_folder: self.audio_folder(),
            folder_depth: self.folder_depth.and_then(|depth| u8::try_from(depth).ok()),
            playlists: self.playlist_style(),
            albums: None,
            holds_friendly_name: false,
            unique_file_names: false,
        }
    }

    fn audio_folder(&self) -> Option<DevicePath> {
        let usable = |written: &String| {
            let folder = folder(written);
            if folder.is_none() {
                tracing::warn!("the player's audio folder {written:?} is ignored: it isn't a relative path");
            }
            folder
        };
        self.audio_folders.iter().find_map(usable).unwrap_or_else(|| DevicePath::parse("Music"))
    }

    /// `None` when the player declares formats and none of them can be written.
    fn playlist_style(&self) -> Option<PlaylistStyle> {
        let declares =
            |types: &[&str]| self.playlist_formats.iter().any(|format| types.contains(&format.as_str()));
        let extension = if self.playlist_formats.is_empty()
            || declares(&["application/vnd.apple.mpegurl", "audio/x-mpegurl8", "audio/m3u8", "audio/x-m3u8"])
        {
            "m3u8"
        } else if declares(&[
            "audio/x-mpegurl",
            "audio/mpegurl",
            "audio/m3u",
            "audio/x-m3u",
            "application/x-mpegurl",
        ]) {
            "m3u"
        } else {
            return None;
        };
        Some(PlaylistStyle {
            folder: self.playlist_folder(),
            extension,
            form: PlaylistForm::M3u {
                separator: self.separator.unwrap_or('/'),
                line_ending: self.line_ending.unwrap_or("\n"),
            },
        })
    }

    fn playlist_folder(&self) -> Option<DevicePath> {
        let standard = || DevicePath::parse("Playlists");
        let Some(written) = self.playlist_path.as_deref().filter(|path| !path.is_empty()) else {
            return standard();
        };
        let written = written.replace('\\', "/");
        let before = written.split_once("%File").map_or(&*written, |(before, _)| {
            before.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder })
        });
        folder(before).unwrap_or_else(|| {
            tracing::warn!("the player's playlist folder {written:?} is ignored: it isn't a relative path");
            standard()
        })
    }
}

/// The folder that is meant: `Some(None)` for the root, `None` for what can't be one.
fn folder(written: &str) -> Option<Option<DevicePath>> {
    let written = written.trim().replace('\\', "/");
    let trimmed = written.trim_matches('/');
    if trimmed.is_empty() || trimmed == "." {
        return (!written.is_empty()).then_some(None);
    }
    let legal = |c: char| !c.is_control() && !"*?<>|\":".contains(c);
    let usable = trimmed.chars().all(legal)
        && trimmed.chars().count() <= MOST_CHARACTERS
        && trimmed.split('/').count() <= MOST_FOLDERS
        && trimmed.split('/').all(|part| !part.ends_with(['.', ' ']));
    if usable { DevicePath::parse(trimmed).map(Some) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Option<DevicePath> {
        Some(DevicePath::parse(text).unwrap())
    }

    #[test]
    fn no_hints_give_the_defaults() {
        for bytes in [&b""[..], b"\n\n# nothing\n[heading]\nno value\n=x\n"] {
            let capabilities = parse(bytes).capabilities();
            assert_eq!(capabilities.audio_folder, path("Music"));
            assert_eq!(capabilities.folder_depth, None);
            assert!(capabilities.formats.is_empty());
            let style =
                PlaylistStyle { folder: path("Playlists"), extension: "m3u8", form: PlaylistForm::M3U };
            assert_eq!(capabilities.playlists, Some(style));
        }
    }

    #[test]
    fn the_file_of_a_rockbox_player_is_understood() {
        let hints = parse(
            b"\xef\xbb\xbfname = Clip+ \r\naudio_folders=Musik/,MUSIC/\noutput_formats=audio/mpeg, Audio/OGG ,nonsense\n\
              playlist_format=audio/x-mpegurl\nplaylist_path=Lists/%File.m3u\nfolder_depth=2\ncover_art_size=320\n",
        );
        let capabilities = hints.capabilities();
        assert_eq!(hints.name.as_deref(), Some("Clip+"));
        assert_eq!(capabilities.formats, ["audio/mpeg", "audio/ogg"]);
        assert_eq!(capabilities.audio_folder, path("Musik"));
        assert_eq!(capabilities.folder_depth, Some(2));
        let style = capabilities.playlists.unwrap();
        assert_eq!((style.folder, style.extension), (path("Lists"), "m3u"));
    }

    #[test]
    fn folders_that_lead_elsewhere_are_ignored() {
        for bad in
            ["../Music", "a/../b", "C:/Music", "Mu\u{7}sic", "a/./b", "a//b", "dots./a", "a/b/c/d/e/f/g/h/i"]
        {
            assert_eq!(folder(bad), None, "{bad:?}");
        }
        for root in ["/", ".", "\\", "//"] {
            assert_eq!(folder(root), Some(None), "{root:?}");
        }
        assert_eq!(folder("\\Music\\Mine\\"), Some(path("Music/Mine")));
        let hints = parse(b"audio_folders=../x,Good\nplaylist_path=../y\nfolder_depth=-1\n");
        assert_eq!(hints.capabilities().audio_folder, path("Good"));
        assert_eq!(hints.capabilities().folder_depth, None);
        assert_eq!(hints.capabilities().playlists.unwrap().folder, path("Playlists"));
        assert_eq!(parse(b"audio_folder=/").capabilities().audio_folder, None);
        assert_eq!(parse(b"folder_depth=0").capabilities().folder_depth, Some(0));
    }

    #[test]
    fn playlists_come_where_and_how_the_player_reads_them() {
        let style = |text: &str| parse(text.as_bytes()).capabilities().playlists;
        assert_eq!(style("playlist_path=%File").unwrap().folder, None);
        assert_eq!(style("playlist_path=/%File.m3u").unwrap().folder, None);
        assert_eq!(style("playlist_path=A/B%File.m3u").unwrap().folder, path("A"));
        assert_eq!(style("playlist_formats=audio/x-scpls"), None);
        assert_eq!(style("playlist_formats=audio/x-scpls,audio/mpegurl").unwrap().extension, "m3u");
        assert_eq!(style("playlist_formats=audio/x-mpegurl,audio/x-m3u8").unwrap().extension, "m3u8");
    }

    proptest! {
        #[test]
        fn any_bytes_give_capabilities(bytes: Vec<u8>) {
            let _ = parse(&bytes).capabilities();
        }

        #[test]
        fn any_values_give_bounded_capabilities(values in prop::collection::vec("[ -~é,;/\\\\%.]{0,40}", 6)) {
            let text = format!(
                "audio_folders={}\nplaylist_path={}\noutput_formats={}\nplaylist_formats={}\nfolder_depth={}\nname={}",
                values[0], values[1], values[2], values[3], values[4], values[5]
            );
            let hints = parse(text.as_bytes());
            let capabilities = hints.capabilities();
            prop_assert!(capabilities.formats.len() <= MOST_ITEMS);
            prop_assert!(hints.name.is_none_or(|name| !name.chars().any(char::is_control)));
        }
    }
}
