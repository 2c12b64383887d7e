//! Reads the data files of media-player-info (`.mpi`) into hints. Pure.
//!
//! Which file belongs to a player is not decided here; see [`file_name`] for which names can be one.

use crate::file_system::hints::{Hints, LIMIT, key_and_value, list, mime_types};

/// The file of a player's name, if that can be a plain file name.
#[must_use]
pub fn file_name(player: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_+. ".contains(c);
    let usable =
        !player.is_empty() && player.len() <= 200 && !player.starts_with('.') && player.chars().all(plain);
    usable.then(|| format!("{player}.mpi"))
}

/// Reads a `.mpi` file. The misspelt sections that occur (`[Storage]`, `[Playlists]`) count too.
#[must_use]
pub fn parse(bytes: &[u8]) -> Hints {
    let mut hints = Hints::default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LIMIT)]);
    let mut section = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        if let Some(heading) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = heading.trim().to_ascii_lowercase();
        } else if let Some((key, value)) = key_and_value(line) {
            take(&mut hints, &section, key, &unescaped(value));
        }
    }
    hints
}

fn take(hints: &mut Hints, section: &str, key: &str, value: &str) {
    match (section, key.to_ascii_lowercase().as_str()) {
        ("media", "outputformats") => hints.formats = mime_types(value, ';'),
        ("playlist" | "playlists", "formats") => hints.playlist_formats = mime_types(value, ';'),
        ("playlist" | "playlists", "folderseparator") => {
            hints.separator = match value.to_ascii_lowercase().as_str() {
                "dos" => Some('\\'),
                "unix" => Some('/'),
                _ => None,
            };
        }
        ("playlist" | "playlists", "lineending") => {
            hints.line_ending = match value.to_ascii_lowercase().as_str() {
                "cr" => Some("\r"),
                "lf" => Some("\n"),
                "crlf" => Some("\r\n"),
                _ => None,
            };
        }
        ("storage", "audiofolders") => hints.audio_folders = list(value, ';'),
        ("storage", "playlistpath") => hints.playlist_path = Some(value.to_owned()),
        ("storage", "folderdepth") => hints.folder_depth = value.parse().ok(),
        _ => {}
    }
}

/// A value with its escapes (`\s`, `\t`, `\n`, `\r`, `\\`) undone; other backslashes are meant.
fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        let escaped = match (c, characters.peek()) {
            ('\\', Some('\\')) => Some('\\'),
            ('\\', Some('s')) => Some(' '),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('r')) => Some('\r'),
            _ => None,
        };
        if escaped.is_some() {
            characters.next();
        }
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_model::player::PlaylistForm;

    #[test]
    fn a_file_of_the_collection_is_understood() {
        let hints = parse(
            b"[Device]\nProduct=Player\nDeviceMatch=usb:0781:7421;\n[Media]\nOutputFormats=audio/mpeg;audio/x-ms-wma;\n\
              InputFormats=audio/x-wav\n[Playlists]\nFormats=audio/x-mpegurl;\nFolderSeparator=DOS\nLineEnding=CRLF\n\
              [Storage]\nAudioFolders=MUSIC/;PODCASTS/;\nPlaylistPath=MUSIC\\\\%File\nFolderDepth=1\nRequiresEject=true\n",
        );
        assert_eq!(hints.formats, ["audio/mpeg", "audio/x-ms-wma"]);
        let capabilities = hints.capabilities();
        assert_eq!(capabilities.audio_folder.unwrap().as_str(), "MUSIC");
        assert_eq!(capabilities.folder_depth, Some(1));
        let style = capabilities.playlists.unwrap();
        assert_eq!((style.folder.unwrap().as_str(), style.extension), ("MUSIC", "m3u"));
        assert_eq!(style.form, PlaylistForm::M3u { separator: '\\', line_ending: "\r\n" });
    }

    #[test]
    fn keys_count_in_their_section_alone() {
        assert_eq!(
            parse(b"OutputFormats=audio/mpeg\n[Device]\nOutputFormats=audio/mpeg\n[storage]\nFolderDepth=x"),
            Hints::default()
        );
    }

    #[test]
    fn the_device_itself_has_the_last_word() {
        let base = parse(
            b"[Media]\nOutputFormats=audio/mpeg\n[storage]\nAudioFolders=A\n[Playlist]\nLineEnding=CR\n",
        );
        let hints = super::super::hints::parse(b"audio_folders=B\nname=Mine").over(base);
        assert_eq!(
            (hints.formats, hints.audio_folders),
            (vec!["audio/mpeg".to_owned()], vec!["B".to_owned()])
        );
        assert_eq!((hints.name.as_deref(), hints.line_ending), (Some("Mine"), Some("\r")));
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_file_names() {
        assert_eq!(file_name("sandisk_sansa-clip+"), Some("sandisk_sansa-clip+.mpi".into()));
        for bad in ["", "..", "../etc/passwd", "a/b", ".hidden", "a\0b", "é"] {
            assert_eq!(file_name(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_capabilities(bytes: Vec<u8>) {
            let _ = parse(&bytes).capabilities();
        }

        #[test]
        fn any_lines_give_capabilities(lines in prop::collection::vec("(\\[(Media|storage|Playlist)\\]|(OutputFormats|AudioFolders|PlaylistPath|FolderDepth|Formats)=[ -~é]{0,30})", 0..12)) {
            let _ = parse(lines.join("\n").as_bytes()).capabilities();
        }

        #[test]
        fn a_file_name_stays_in_its_directory(player: String) {
            prop_assert!(file_name(&player).is_none_or(|name| !name.contains('/') && !name.starts_with('.')));
        }
    }
}
