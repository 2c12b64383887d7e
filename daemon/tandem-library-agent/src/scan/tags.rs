//! Reads one file's tags. Whatever the file holds, it yields a track: what can't be read has its name as title.
//!
//! The file is the owner's, but may come from anywhere: sizes are bounded, and a panic of the parser is caught.

mod asf;
mod id3;
mod values;

use super::walk::Root;
use super::window::Windowed;
use crate::{audio, formats, text};
use lofty::config::{GlobalOptions, ParseOptions, ParsingMode, apply_global_options};
use lofty::file::{AudioFile, FileType, TaggedFile, TaggedFileExt};
use lofty::id3::v1::GENRES;
use lofty::picture::PictureType;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey, Tag, TagItem, TagType};
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use values::{Field, Values};

/// The longest text of a tag that is kept, in characters.
const MAX_TEXT: usize = 1000;
/// Values of a field that are kept, at most.
const MAX_VALUES: usize = 100;
/// The most that the parser may allocate for one item, in bytes.
const MAX_ALLOCATION: usize = 16 * 1024 * 1024;
/// Files beyond this length are listed without tags: no music is so long, and parsers count on that.
const MAX_SIZE: u64 = 64 * 1024 * 1024 * 1024;
/// ASF files, which the parser doesn't know.
const WMA: &str = "audio/x-ms-wma";
/// No track lasts longer, in milliseconds (a year).
const MAX_DURATION: u64 = 366 * 24 * 3600 * 1000;

/// Another number means that tags are read otherwise: what an index has of files is read again.
pub(crate) const READER: u64 = 2;

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
    Some(read(&File::from(file), text::file_name(text::bytes(relative))))
}

/// What a file's content says, completed by its name.
fn read(file: &File, name: &[u8]) -> Tags {
    let size = file.metadata().map_or(0, |facts| facts.len());
    if size == 0 || size > MAX_SIZE {
        return of_name(name);
    }
    let mut tags = Tags { title: String::new(), ..of_name(name) };
    if tags.mime == WMA
        && let Some(header) = asf_header(file, size)
    {
        tags.take_asf(&asf::header(&header));
    } else {
        match attempt(file, 0..size, name, ParseOptions::new().read_cover_art(false)) {
            Some(tagged) => tags.take(&tagged),
            None => piecemeal(file, size, name, &mut tags),
        }
    }
    if tags.title.is_empty() {
        tags.title = text::stem(name);
    }
    tags
}

/// Reads what can be read of a file that the parser refuses as a whole: a tag in front by the reader that passes over what
/// is wrong, and what is behind it by the parser; and if that fails too, how long it lasts.
fn piecemeal(file: &File, size: u64, name: &[u8], tags: &mut Tags) {
    if let Some(header) = asf_header(file, size) {
        tags.take_asf(&asf::header(&header));
        return;
    }
    let mut begin = 0;
    if let Some((tag, end)) = id3v2(file, size) {
        tags.complete(&with_genres(id3::values(&tag)));
        begin = end;
    }
    let options =
        |tags| ParseOptions::new().read_cover_art(false).parsing_mode(ParsingMode::Relaxed).read_tags(tags);
    let audio = || {
        let read = |at: u64, bytes: &mut [u8]| file.read_exact_at(bytes, at).is_ok();
        let parts = audio::parts(&read, size).unwrap_or_default();
        parts.into_iter().next().unwrap_or(0..size)
    };
    let tagged = attempt(file, begin..size, name, options(true))
        .or_else(|| attempt(file, 0..size, name, options(false)))
        .or_else(|| attempt(file, audio(), name, options(false)));
    if let Some(tagged) = tagged {
        tags.take(&tagged);
    }
}

/// The start of the ID3v2 tag that a file starts with, as much as is looked at, and where it ends.
fn id3v2(file: &File, size: u64) -> Option<(Vec<u8>, u64)> {
    let mut header = [0; 10];
    file.read_exact_at(&mut header, 0).ok()?;
    let end = id3::size(header)?.min(size);
    let mut tag = Vec::new();
    Windowed::new(file, 0..end.min(MAX_ALLOCATION as u64)).read_to_end(&mut tag).ok()?;
    Some((tag, end))
}

/// The header of an ASF file, as much as is looked at.
fn asf_header(file: &File, size: u64) -> Option<Vec<u8>> {
    let mut start = [0; 24];
    file.read_exact_at(&mut start, 0).ok()?;
    let end = asf::size(start)?.min(size);
    let mut header = Vec::new();
    Windowed::new(file, 0..end.min(MAX_ALLOCATION as u64)).read_to_end(&mut header).ok()?;
    Some(header)
}

/// Has the parser read a part of a file; nothing where it can't.
fn attempt(file: &File, part: Range<u64>, name: &[u8], options: ParseOptions) -> Option<TaggedFile> {
    // the parser has no state that outlives the call
    match catch_unwind(AssertUnwindSafe(|| parse(Windowed::new(file, part), name, options))) {
        Ok(Ok(tagged)) => Some(tagged),
        Ok(Err(error)) => {
            tracing::debug!(file = %String::from_utf8_lossy(name), error, "not all tags can be read");
            None
        }
        Err(_) => {
            tracing::warn!("the tag parser failed on a file; it is read piece by piece");
            None
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
    if let Some(header) = asf_header(file, size) {
        return asf::picture(&header);
    }
    bound_parser();
    let options = ParseOptions::new().read_properties(false);
    let Some(tagged) = attempt(file, 0..size, name, options) else {
        return id3::picture(&id3v2(file, size)?.0);
    };
    let pictures = || tagged.tags().iter().flat_map(Tag::pictures);
    let front = pictures().find(|picture| picture.pic_type() == PictureType::CoverFront);
    front.or_else(|| pictures().next()).map(|picture| picture.data().to_vec())
}

/// Parses a file as what its first bytes say, or else as what its name says, or else as what a search finds.
fn parse(mut file: Windowed<'_>, name: &[u8], options: ParseOptions) -> Result<TaggedFile, String> {
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

impl Tags {
    /// Takes what the parser found.
    fn take(&mut self, tagged: &TaggedFile) {
        let properties = tagged.properties();
        let duration = u64::try_from(properties.duration().as_millis()).unwrap_or(u64::MAX);
        self.mime = formats::by_content(tagged.file_type()).map_or(self.mime, |format| format.mime);
        self.duration_ms = if duration > MAX_DURATION { 0 } else { duration };
        self.bitrate = properties.audio_bitrate().or(properties.overall_bitrate()).unwrap_or(0);
        let own = tagged.primary_tag_type();
        let mut by_worth: Vec<&Tag> = tagged.tags().iter().collect();
        // ID3v1 cuts its texts, and what a format has of its own is read by most
        by_worth.sort_by_key(|tag| match tag.tag_type() {
            kind if kind == own => 0,
            TagType::Id3v1 => 3,
            TagType::Ape => 1,
            _ => 2,
        });
        for tag in by_worth {
            self.complete(&values_of(tag));
        }
    }

    /// Takes what the header of an ASF file says.
    fn take_asf(&mut self, header: &asf::Header) {
        self.mime = WMA;
        self.duration_ms = if header.duration_ms > MAX_DURATION { 0 } else { header.duration_ms };
        self.bitrate = header.bitrate;
        self.complete(&header.values);
    }

    /// Fills fields that are still empty.
    fn complete(&mut self, values: &[(Field, String)]) {
        let of = |field: Field| values.iter().filter(move |value| value.0 == field).map(|value| &*value.1);
        for (text, field) in [
            (&mut self.title, Field::Title),
            (&mut self.artist, Field::Artist),
            (&mut self.album_artist, Field::AlbumArtist),
            (&mut self.album, Field::Album),
            (&mut self.genre, Field::Genre),
            (&mut self.composer, Field::Composer),
            (&mut self.comment, Field::Comment),
            (&mut self.label, Field::Label),
            (&mut self.date, Field::Date),
        ] {
            if text.is_empty() {
                *text = joined(of(field));
            }
        }
        for (number, field) in [(&mut self.track_number, Field::Track), (&mut self.disc_number, Field::Disc)]
        {
            if *number == 0 {
                *number = of(field).find_map(leading_number).unwrap_or(0);
            }
        }
    }
}

/// The values of a tag as the parser has it.
fn values_of(tag: &Tag) -> Values {
    let mut values = Values::new();
    for (field, keys) in [
        (Field::Title, &[ItemKey::TrackTitle][..]),
        (Field::Artist, &[ItemKey::TrackArtist]),
        (Field::AlbumArtist, &[ItemKey::AlbumArtist]),
        (Field::Album, &[ItemKey::AlbumTitle]),
        (Field::Genre, &[ItemKey::Genre]),
        (Field::Composer, &[ItemKey::Composer]),
        (Field::Comment, &[ItemKey::Comment]),
        (Field::Label, &[ItemKey::Label, ItemKey::Publisher]),
        (Field::Date, &[ItemKey::RecordingDate, ItemKey::ReleaseDate, ItemKey::Year]),
    ] {
        let has_text = |key: &&ItemKey| texts_of(tag, **key).any(|text| !text.trim().is_empty());
        let texts = keys.iter().find(has_text).into_iter().flat_map(|key| texts_of(tag, *key));
        values.extend(texts.take(MAX_VALUES).map(|text| (field, text.to_owned())));
    }
    for (field, number) in [(Field::Track, tag.track()), (Field::Disc, tag.disk())] {
        values.extend(number.map(|number| (field, number.to_string())));
    }
    values
}

/// The texts of a key. Comments with a description are notes of programs.
fn texts_of(tag: &Tag, key: ItemKey) -> impl Iterator<Item = &str> {
    let meant = move |item: &&TagItem| key != ItemKey::Comment || item.description().is_empty();
    tag.get_items(key).filter(meant).filter_map(|item| item.value().text())
}

/// Values as the index keeps them: each once, without control characters, and not too long.
fn joined<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let (mut joined, mut known) = (String::new(), Vec::new());
    for value in values.take(MAX_VALUES) {
        let value: String =
            value.chars().filter(|character| !character.is_control()).take(MAX_TEXT).collect();
        let value = value.trim();
        let folded = text::fold(value).into_owned();
        if value.is_empty() || known.contains(&folded) {
            continue;
        }
        known.push(folded);
        if !joined.is_empty() {
            joined.push(text::BETWEEN_VALUES);
        }
        joined.push_str(value);
        if joined.len() > MAX_TEXT {
            break;
        }
    }
    joined.chars().take(MAX_TEXT).collect()
}

/// The same values with genres by their names.
fn with_genres(values: Values) -> Values {
    let by_name = |(field, text): (Field, String)| match field {
        Field::Genre => genres(&text).into_iter().map(|name| (field, name.to_owned())).collect(),
        _ => vec![(field, text)],
    };
    values.into_iter().flat_map(by_name).collect()
}

/// The genres of a text of ID3 in which ID3v1's may stand as numbers: `17`, `(17)`, `(4)(17)`, `(17)Rock`.
fn genres(text: &str) -> Vec<&str> {
    let name = |code: &str| match code {
        "RX" => Some("Remix"),
        "CR" => Some("Cover"),
        code if code.bytes().all(|byte| byte.is_ascii_digit()) => {
            code.parse().ok().and_then(|number: usize| GENRES.get(number)).copied()
        }
        _ => None,
    };
    let mut found = Vec::new();
    let mut rest = text.trim();
    while let Some((code, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        let Some(genre) = name(code) else { break };
        found.push(genre);
        rest = after.trim_start();
    }
    // a bracket that is meant is written twice
    let rest = rest.strip_prefix('(').filter(|rest| rest.starts_with('(')).unwrap_or(rest);
    if !rest.is_empty() {
        found.push(name(rest).unwrap_or(rest));
    }
    found
}

/// The number at the start of a text such as `3/12`.
fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests;
