//! Names on the device: legal on FAT and exFAT, on every device alike, so that the same library looks the same
//! everywhere and a name is never taken for another one that differs only in case or in Unicode spelling.
//!
//! The mapping from a track to its path is remembered in the manifest; nothing here has to be invertible.

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use std::collections::hash_map::Entry;
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::Capabilities;
use unicode_normalization::UnicodeNormalization;

/// UTF-16 units of one name, with room left below FAT's 255 for a suffix and for the path limits of old firmware.
const MAX_UNITS: usize = 120;
/// Bytes of one name, below the 255 of other file systems.
const MAX_BYTES: usize = 240;

/// Names that Windows reserves, with or without an extension.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A name that every player's file system takes: forbidden characters become `_`, dots and spaces at its ends go,
/// reserved names get a `_`, and it is cut to 120 UTF-16 units with its extension kept. Never empty.
#[must_use]
pub(crate) fn legal_name(name: &str) -> String {
    let replaced: String = name
        .nfc()
        .map(|c| if c.is_control() || "\"*/:<>?\\|\u{fffd}".contains(c) { '_' } else { c })
        .collect();
    let trimmed = replaced.trim_matches(|c: char| c.is_whitespace()).trim_end_matches(['.', ' ']);
    let trimmed = trimmed.trim_start_matches('.').trim_start();
    let (stem, extension) = split_extension(trimmed);
    let mut stem = cut(stem, units(extension), extension.len());
    if stem.is_empty() {
        stem.push('_');
    }
    if RESERVED.contains(&stem.split('.').next().unwrap_or_default().to_ascii_lowercase().as_str()) {
        stem.insert(0, '_');
    }
    stem + extension
}

/// The name without and with its extension (dot included); what follows the last dot counts as one when it is short.
pub(crate) fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 6 && !name[at..].contains(' ') => name.split_at(at),
        _ => (name, ""),
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest beginning that leaves room for so many more units and bytes, without dots and spaces at its end.
fn cut(text: &str, more_units: usize, more_bytes: usize) -> String {
    let mut left = (MAX_UNITS.saturating_sub(more_units), MAX_BYTES.saturating_sub(more_bytes));
    let fits = |c: &char| {
        let needs = (c.len_utf16(), c.len_utf8());
        let fits = needs.0 <= left.0 && needs.1 <= left.1;
        if fits {
            left = (left.0 - needs.0, left.1 - needs.1);
        }
        fits
    };
    let cut: String = text.chars().take_while(fits).collect();
    cut.trim_end_matches(['.', ' ']).to_owned()
}

/// What two names share that a device may take for one: spelling and case don't count.
#[must_use]
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// The path with ` (number)` before its extension.
#[must_use]
pub(crate) fn numbered(path: &DevicePath, number: u32) -> DevicePath {
    let (stem, extension) = split_extension(path.name());
    let suffix = format!(" ({number}){extension}");
    let name = cut(stem, units(&suffix), suffix.len()) + &suffix;
    let numbered = path.parent().map_or_else(|| DevicePath::parse(&name), |folder| folder.join(&name));
    numbered.unwrap_or_else(|| path.clone())
}

/// Names that are taken, of which two that a device may take for one count as one.
#[derive(Debug, Default)]
pub(crate) struct TakenNames(HashSet<String>);

impl TakenNames {
    /// Whether this name, or one that may be taken for it, is taken.
    pub(crate) fn contains(&self, path: &DevicePath) -> bool {
        self.0.contains(&fold(path.as_str()))
    }

    /// Takes a name; tells whether nobody had it.
    pub(crate) fn insert(&mut self, path: &DevicePath) -> bool {
        self.0.insert(fold(path.as_str()))
    }
}

impl<'a> Extend<&'a DevicePath> for TakenNames {
    fn extend<T: IntoIterator<Item = &'a DevicePath>>(&mut self, paths: T) {
        self.0.extend(paths.into_iter().map(|path| fold(path.as_str())));
    }
}

impl<'a> FromIterator<&'a DevicePath> for TakenNames {
    fn from_iter<T: IntoIterator<Item = &'a DevicePath>>(paths: T) -> Self {
        let mut taken = Self::default();
        taken.extend(paths);
        taken
    }
}

/// Hands out paths that differ from all that are taken, and uses one spelling for each folder.
pub(crate) struct Namer {
    taken: TakenNames,
    /// Names alone, where no two files may share one.
    names: Option<HashSet<String>>,
    folders: HashMap<String, String>,
    /// The last track's artist and album as they are tagged, and its folder: the next one is mostly of the same album.
    last: Option<([String; 2], String)>,
}

impl Namer {
    /// A namer for a folder's files that knows these paths as taken.
    pub(crate) fn new<'a>(taken: impl Iterator<Item = &'a DevicePath>) -> Self {
        Self::with_names(None, taken)
    }

    /// A namer for the tracks on a player that knows these paths as taken.
    pub(crate) fn for_tracks<'a>(
        taken: impl Iterator<Item = &'a DevicePath>,
        capabilities: &Capabilities,
    ) -> Self {
        Self::with_names(capabilities.unique_file_names.then(HashSet::new), taken)
    }

    fn with_names<'a>(names: Option<HashSet<String>>, taken: impl Iterator<Item = &'a DevicePath>) -> Self {
        let mut namer = Self { taken: TakenNames::default(), names, folders: HashMap::new(), last: None };
        for path in taken {
            namer.take(path);
            for folder in path.ancestors() {
                namer.folders.entry(fold(folder)).or_insert_with(|| folder.to_owned());
            }
        }
        namer
    }

    /// A path for this track, below the player's music folder and no deeper than it reads.
    pub(crate) fn place(&mut self, track: &Track, capabilities: &Capabilities) -> DevicePath {
        let tags = [artist_of(track), &track.album];
        let folder = match self.last.take() {
            Some((last, folder)) if last == tags => folder,
            _ => self.folder(track, capabilities),
        };
        let path = self.claim(&folder, &legal_name(&track.file_name));
        self.last = Some((tags.map(str::to_owned), folder));
        path
    }

    fn folder(&mut self, track: &Track, capabilities: &Capabilities) -> String {
        let mut folder =
            capabilities.audio_folder.as_ref().map_or_else(String::new, |path| path.as_str().to_owned());
        for name in levels(track, capabilities.folder_depth) {
            let separator = if folder.is_empty() { "" } else { "/" };
            let wanted = format!("{folder}{separator}{name}");
            folder = self.folders.entry(fold(&wanted)).or_insert(wanted).clone();
        }
        folder
    }

    /// Takes a path, unless it is taken.
    fn take(&mut self, path: &DevicePath) -> bool {
        // a path that is taken has a name that is
        let is_new = self.names.as_mut().is_none_or(|names| names.insert(fold(path.name())));
        is_new && self.taken.insert(path)
    }

    /// A path for this name in that folder (empty: the root), numbered if the name is taken.
    pub(crate) fn claim(&mut self, folder: &str, name: &str) -> DevicePath {
        let separator = if folder.is_empty() { "" } else { "/" };
        let plain = DevicePath::parse(&format!("{folder}{separator}{name}"))
            .expect("legal names hold no slash and are neither empty nor dots, and folders are made of such");
        if self.take(&plain) {
            return plain;
        }
        let mut number = 2;
        loop {
            let path = numbered(&plain, number);
            if self.take(&path) {
                return path;
            }
            number += 1;
        }
    }
}

/// Where each track goes if nothing else is on the device; none of tracks that would have one name.
pub(crate) fn own_places(tracks: &[Track], capabilities: &Capabilities) -> HashMap<u32, DevicePath> {
    let mut places = HashMap::new();
    let mut owners: HashMap<String, u32> = HashMap::new();
    for (track, position) in tracks.iter().zip(0..) {
        let path = Namer::new(std::iter::empty()).place(track, capabilities);
        match owners.entry(fold(path.as_str())) {
            Entry::Occupied(first) => drop(places.remove(first.get())),
            Entry::Vacant(free) => {
                free.insert(position);
                places.insert(position, path);
            }
        }
    }
    places
}

/// Whose folder a track goes into.
pub(crate) fn artist_of(track: &Track) -> &str {
    if track.album_artist.is_empty() { &track.artist } else { &track.album_artist }
}

/// The folders of a track: artist, then album; only the artist where the player reads one level.
fn levels(track: &Track, depth: Option<u8>) -> Vec<String> {
    let artist = artist_of(track);
    let artist = if artist.trim().is_empty() { "Unknown Artist" } else { artist };
    let album = if track.album.trim().is_empty() { "Unknown Album" } else { &track.album };
    let depth = depth.map_or(2, usize::from);
    [artist, album].into_iter().take(depth).map(legal_folder).collect()
}

/// A legal name for a folder: no part of it is an extension.
fn legal_folder(name: &str) -> String {
    let legal = legal_name(name);
    let cut = cut(&legal, 0, 0);
    if cut.is_empty() { "_".to_owned() } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forbidden_characters_and_ends_are_made_legal() {
        let cases = [
            ("AC/DC: live?.mp3", "AC_DC_ live_.mp3"),
            ("trailing dots...", "trailing dots"),
            ("trailing space ", "trailing space"),
            ("line\nbreak.flac", "line_break.flac"),
            (".hidden.mp3", "hidden.mp3"),
            ("...", "_"),
            ("", "_"),
            ("con.mp3", "_con.mp3"),
            ("Aux", "_Aux"),
            ("bad\u{fffd}byte.ogg", "bad_byte.ogg"),
            ("e\u{301}.mp3", "\u{e9}.mp3"),
        ];
        for (name, legal) in cases {
            assert_eq!(legal_name(name), legal, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = "\u{1f3b5}".repeat(255) + ".mp3";
        let legal = legal_name(&long);
        assert!(legal.ends_with(".mp3") && units(&legal) <= MAX_UNITS && legal.len() <= MAX_BYTES);
    }

    #[test]
    fn the_tracks_of_an_album_share_a_folder_and_those_of_others_do_not() {
        let mut namer = Namer::new([].iter());
        let capabilities = crate::plan::properties::capabilities();
        let mut place = |number: u32, album: &str| {
            let track = Track { album: album.into(), ..crate::plan::properties::track(number) };
            namer.place(&track, &capabilities).parent().unwrap().as_str().to_owned()
        };
        let places = [place(1, "One"), place(2, "One"), place(3, "Two"), place(4, "one")];
        let folders = ["One", "One", "Two", "One"].map(|album| format!("Music/Unknown Artist/{album}"));
        assert_eq!(places, folders);
    }

    #[test]
    fn names_that_differ_in_case_or_spelling_get_numbers() {
        let mut namer = Namer::new([].iter());
        assert_eq!(namer.claim("Music", "Song.mp3").as_str(), "Music/Song.mp3");
        assert_eq!(namer.claim("Music", "SONG.MP3").as_str(), "Music/SONG (2).MP3");
        assert_eq!(namer.claim("music", "song.mp3").as_str(), "music/song (3).mp3");
        assert_eq!(namer.claim("", "\u{c9}.mp3").as_str(), "\u{c9}.mp3");
        assert_eq!(namer.claim("", "e\u{301}.mp3").as_str(), "e\u{301} (2).mp3");
    }

    #[test]
    fn where_names_are_unique_folders_do_not_tell_them_apart() {
        let there = [DevicePath::parse("Music/A/One/Intro.mp3").unwrap()];
        let capabilities =
            Capabilities { unique_file_names: true, ..crate::plan::properties::capabilities() };
        let mut namer = Namer::for_tracks(there.iter(), &capabilities);
        assert_eq!(namer.claim("Music/A/Two", "intro.mp3").as_str(), "Music/A/Two/intro (2).mp3");
        assert_eq!(namer.claim("Music/B", "Intro.mp3").as_str(), "Music/B/Intro (3).mp3");
        assert_eq!(namer.claim("Music/B", "Other.mp3").as_str(), "Music/B/Other.mp3");
    }

    proptest! {
        #[test]
        fn every_name_becomes_legal_and_stays_so(name: String) {
            let legal = legal_name(&name);
            prop_assert!(!legal.is_empty() && units(&legal) <= MAX_UNITS + 1 && legal.len() <= MAX_BYTES + 1);
            prop_assert!(!legal.chars().any(|c| c.is_control() || "\"*/:<>?\\|".contains(c)));
            prop_assert!(!legal.ends_with(['.', ' ']) && !legal.starts_with('.'), "{:?}", legal);
            prop_assert!(DevicePath::parse(&legal).is_some());
            prop_assert_eq!(legal_name(&legal), legal);
        }

        #[test]
        fn no_two_tracks_share_a_path(names in proptest::collection::vec("[aAbB\u{e9}\u{c9}. ]{0,4}", 1..40)) {
            let mut namer = Namer::new([].iter());
            let paths: Vec<String> = names.iter().map(|name| fold(namer.claim("M", &legal_name(name)).as_str())).collect();
            let distinct: HashSet<&String> = paths.iter().collect();
            prop_assert_eq!(distinct.len(), paths.len());
        }
    }
}
