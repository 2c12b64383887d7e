//! Reads one file's tags. Whatever the file holds, it yields a track: what can't be read has its name as title.
//!
//! The file is the owner's, but may come from anywhere: sizes are bounded, and a panic of the parser is caught.

use super::walk::Root;
use super::window::Windowed;
use crate::{formats, text};
use lofty::config::{GlobalOptions, ParseOptions, apply_global_options};
use lofty::file::{AudioFile, FileType, TaggedFile, TaggedFileExt};
use lofty::picture::PictureType;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey, Tag, TagExt};
use std::fs::File;
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The longest text of a tag that is kept, in characters.
const MAX_TEXT: usize = 1000;
/// The most that the parser may allocate for one item, in bytes.
const MAX_ALLOCATION: usize = 16 * 1024 * 1024;
/// Files beyond this length are listed without tags: no music is so long, and parsers count on that.
const MAX_SIZE: u64 = 64 * 1024 * 1024 * 1024;
/// No track lasts longer, in milliseconds (a year).
const MAX_DURATION: u64 = 366 * 24 * 3600 * 1000;

/// What the index keeps of a file's tags. Empty or 0: not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tags {
    pub(crate) mime: &'static str,
    pub(crate) title: String,
    pub(crate) artist: String,
    pub(crate) album_artist: String,
    pub(crate) album: String,
    pub(crate) genre: String,
    pub(crate) composer: String,
    pub(crate) comment: String,
    pub(crate) label: String,
    pub(crate) date: String,
    pub(crate) track_number: u32,
    pub(crate) disc_number: u32,
    pub(crate) duration_ms: u64,
    pub(crate) bitrate: u32,
}

/// Sets the parser's bounds for this thread.
pub(crate) fn bound_parser() {
    apply_global_options(GlobalOptions::new().allocation_limit(MAX_ALLOCATION));
}

/// What a file is by its name alone.
pub(crate) fn of_name(name: &[u8]) -> Tags {
    let mime = formats::by_name(name).map_or("application/octet-stream", |format| format.mime);
    Tags { mime, title: text::stem(name), ..Tags::default() }
}

/// Opens a file beneath a folder of the library and reads it; nothing where it can't be opened.
pub(super) fn read_beneath(root: &Root, relative: &Path) -> Option<Tags> {
    let file = root.open_file(relative).ok()?;
    Some(read(File::from(file), text::file_name(text::bytes(relative))))
}

/// What a file's content says, completed by its name.
fn read(file: File, name: &[u8]) -> Tags {
    let size = file.metadata().map_or(0, |facts| facts.len());
    if size == 0 || size > MAX_SIZE {
        return of_name(name);
    }
    // the parser has no state that outlives the call
    match catch_unwind(AssertUnwindSafe(|| parse(Windowed::new(&file, size), name, false))) {
        Ok(Ok(tagged)) => from_parser(&tagged, name),
        Ok(Err(error)) => {
            tracing::debug!(file = %String::from_utf8_lossy(name), error, "no tags can be read");
            of_name(name)
        }
        Err(_) => {
            tracing::warn!("the tag parser failed on a file; it is listed by its name");
            of_name(name)
        }
    }
}

/// The picture of the album in a file's tags: its front, or else the first there is. As with tags, nothing that a file holds
/// does more harm than that it has none.
pub(crate) fn picture(file: &File, name: &[u8]) -> Option<Vec<u8>> {
    let size = file.metadata().map_or(0, |facts| facts.len());
    if size == 0 || size > MAX_SIZE {
        return None;
    }
    bound_parser();
    let parsed = catch_unwind(AssertUnwindSafe(|| parse(Windowed::new(file, size), name, true)));
    let tagged = parsed.ok().and_then(Result::ok)?;
    let pictures = || tagged.tags().iter().flat_map(Tag::pictures);
    let front = pictures().find(|picture| picture.pic_type() == PictureType::CoverFront);
    front.or_else(|| pictures().next()).map(|picture| picture.data().to_vec())
}

/// Parses a file as what its first bytes say, or else as what its name says, or else as what a search finds.
fn parse(mut file: Windowed<'_>, name: &[u8], pictures: bool) -> Result<TaggedFile, String> {
    let options = ParseOptions::new().read_cover_art(pictures).read_properties(!pictures);
    let mut start = [0; 36];
    let length = file.read(&mut start).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let by_content = FileType::from_buffer(&start[..length]);
    let by_name = || FileType::from_path(text::path(text::file_name(name)) as &Path);
    if let Some(found) = by_content.or_else(by_name) {
        let parsed = Probe::with_file_type(&mut file, found).options(options).read();
        match parsed {
            Ok(tagged) => return Ok(tagged),
            Err(error) if by_content.is_some() => return Err(error.to_string()),
            Err(_) => file.rewind().map_err(|error| error.to_string())?,
        }
    }
    let probe = Probe::new(file).options(options);
    let probe = probe.guess_file_type().map_err(|error| error.to_string())?;
    probe.read().map_err(|error| error.to_string())
}

fn from_parser(tagged: &TaggedFile, name: &[u8]) -> Tags {
    let by_name = of_name(name);
    let properties = tagged.properties();
    let duration = u64::try_from(properties.duration().as_millis()).unwrap_or(u64::MAX);
    let mut tags = Tags {
        mime: formats::by_content(tagged.file_type()).map_or(by_name.mime, |format| format.mime),
        duration_ms: if duration > MAX_DURATION { 0 } else { duration },
        bitrate: properties.audio_bitrate().or(properties.overall_bitrate()).unwrap_or(0),
        ..by_name
    };
    if let Some(tag) = tagged.primary_tag().filter(|tag| !tag.is_empty()).or_else(|| tagged.first_tag()) {
        fill(&mut tags, tag);
    }
    tags
}

fn fill(tags: &mut Tags, tag: &Tag) {
    let title = joined(tag, ItemKey::TrackTitle);
    if !title.is_empty() {
        tags.title = title;
    }
    tags.artist = joined(tag, ItemKey::TrackArtist);
    tags.album_artist = joined(tag, ItemKey::AlbumArtist);
    tags.album = joined(tag, ItemKey::AlbumTitle);
    tags.genre = joined(tag, ItemKey::Genre);
    tags.composer = joined(tag, ItemKey::Composer);
    tags.comment = joined(tag, ItemKey::Comment);
    tags.label = [ItemKey::Label, ItemKey::Publisher]
        .map(|key| joined(tag, key))
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    let dates = [ItemKey::RecordingDate, ItemKey::ReleaseDate, ItemKey::Year].map(|key| joined(tag, key));
    tags.date = dates.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    tags.track_number = tag.track().unwrap_or(0);
    tags.disc_number = tag.disk().unwrap_or(0);
}

/// All values of a key, without control characters, and not too long.
fn joined(tag: &Tag, key: ItemKey) -> String {
    let mut text = String::new();
    for value in tag.get_strings(key).map(str::trim).filter(|value| !value.is_empty()) {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.extend(value.chars().filter(|character| !character.is_control()).take(MAX_TEXT));
        if text.len() > MAX_TEXT {
            break;
        }
    }
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;
    use std::io::Write;

    fn tags(content: &[u8], name: &str) -> Tags {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        read(file, name.as_bytes())
    }

    #[test]
    fn tags_are_read_from_what_the_file_is() {
        let comments = [
            "TITLE=Feeling\u{7} Good",
            "ARTIST=Nina Simone",
            "ARTIST=Hal Mooney",
            "ALBUM=I Put a Spell",
            "DATE=1965-06-01",
            "TRACKNUMBER=7",
            "DISCNUMBER=1",
            "GENRE=Jazz",
        ];
        let found = tags(&samples::flac(&comments), "x.mp3");
        assert_eq!((found.mime, found.duration_ms), ("audio/flac", 3000));
        assert_eq!((&*found.title, &*found.artist), ("Feeling Good", "Nina Simone; Hal Mooney"));
        assert_eq!(
            (&*found.date, found.track_number, found.disc_number, &*found.genre),
            ("1965-06-01", 7, 1, "Jazz")
        );
        let found = tags(&samples::mp3("Sinnerman", "Nina"), "x.mp3");
        assert_eq!(
            (found.mime, &*found.title, &*found.artist, found.bitrate),
            ("audio/mpeg", "Sinnerman", "Nina", 128)
        );
        let found = tags(&samples::wav(), "a.b.wav");
        assert_eq!((found.mime, &*found.title, found.duration_ms), ("audio/x-wav", "a.b", 100));
    }

    #[test]
    fn what_can_not_be_read_is_listed_by_its_name() {
        for content in [
            &b""[..],
            b"just text",
            &samples::flac(&["TITLE=x"])[..20],
            &[0xff; 300],
            b"OggS",
            b"RIFF\xff\xff\xff\xffWAVE",
        ] {
            for name in [
                "song.flac",
                "song.mp3",
                "song.ogg",
                "song.m4a",
                "song.wma",
                "song.wav",
                "song.ape",
                "song.dsf",
            ] {
                assert_eq!(tags(content, name).title, "song", "{name}");
            }
        }
        assert_eq!(tags(&samples::flac(&["TITLE=x"])[..20], "song.mp3").mime, "audio/mpeg");
        assert_eq!(tags(b"text", "song.wma").mime, "audio/x-ms-wma");
    }

    #[test]
    fn endless_texts_are_cut() {
        let title = format!("TITLE={}", "ä".repeat(5000));
        assert_eq!(tags(&samples::flac(&[&title]), "x.flac").title.chars().count(), MAX_TEXT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn damaged_files_are_still_tracks(at in 0usize..3000, bytes in prop::collection::vec(any::<u8>(), 0..12), which in 0usize..3) {
            let (mut file, name) = match which {
                0 => (samples::flac(&["TITLE=x", "ARTIST=y"]), "x.flac"),
                1 => (samples::mp3("x", "y"), "x.mp3"),
                _ => (samples::wav(), "x.wav"),
            };
            let at = at % file.len();
            let end = (at + bytes.len()).min(file.len());
            file.splice(at..end, bytes);
            prop_assert!(tags(&file, name).mime.starts_with("audio/"));
        }
    }
}
