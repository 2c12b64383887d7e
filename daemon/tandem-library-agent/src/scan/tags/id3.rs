//! A reader of ID3v2 tags that passes over what is wrong in them, for those that the parser refuses as a whole. Pure.
//!
//! The bytes may be anything: every length is held against what is there. It reads texts, comments and pictures alone, and
//! no frame that is compressed or encrypted. Formats: ID3v2.2, ID3v2.3 and ID3v2.4.

use super::values::{Field, Values};
use std::borrow::Cow;

/// Bytes of a text that are looked at, at most.
const MOST_TEXT: usize = 64 * 1024;
/// Values that are kept, at most.
const MOST_VALUES: usize = 1000;

/// The size of the tag that a file starts with, its header and footer included.
pub(crate) fn size(header: [u8; 10]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, length @ ..] = header else { return None };
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + u64::from(synchsafe(length)) + footer)
}

/// What the texts of a tag say. The tag starts with its header, and may be cut.
pub(crate) fn values(tag: &[u8]) -> Values {
    let (mut values, mut dates) = (Values::new(), Vec::new());
    each_frame(tag, &mut |id, body| {
        let body = &body[..body.len().min(MOST_TEXT)];
        if values.len() >= MOST_VALUES || dates.len() >= MOST_VALUES {
            return;
        }
        if matches!(id, b"COMM" | b"COM") {
            values.extend(comment(body).map(|text| (Field::Comment, text)));
        } else if let Some(rank) =
            [&b"TDRC"[..], b"TYER", b"TYE", b"TDRL"].iter().position(|date| *date == id)
        {
            dates.extend(texts(body).iter().filter_map(|text| date(text)).map(|text| (rank, text)));
        } else if let Some(field) = field(id) {
            values.extend(texts(body).into_iter().map(|text| (field, text)));
        }
    });
    let date = dates.into_iter().min_by_key(|(rank, _)| *rank);
    values.extend(date.map(|(_, text)| (Field::Date, text)));
    values
}

/// The picture of a tag: its front, or else the first there is.
pub(crate) fn picture(tag: &[u8]) -> Option<Vec<u8>> {
    let (mut front, mut first) = (None, None);
    each_frame(tag, &mut |id, body| match picture_of(id, body) {
        Some((3, bytes)) if front.is_none() => front = Some(bytes.to_vec()),
        Some((_, bytes)) if first.is_none() => first = Some(bytes.to_vec()),
        _ => {}
    });
    front.or(first)
}

fn field(id: &[u8]) -> Option<Field> {
    Some(match id {
        b"TIT2" | b"TT2" => Field::Title,
        b"TPE1" | b"TP1" => Field::Artist,
        b"TPE2" | b"TP2" => Field::AlbumArtist,
        b"TALB" | b"TAL" => Field::Album,
        b"TCON" | b"TCO" => Field::Genre,
        b"TCOM" | b"TCM" => Field::Composer,
        b"TPUB" | b"TPB" => Field::Label,
        b"TRCK" | b"TRK" => Field::Track,
        b"TPOS" | b"TPA" => Field::Disc,
        _ => return None,
    })
}

/// Shows each frame that can be read: its id and its content.
fn each_frame(tag: &[u8], show: &mut dyn FnMut(&[u8], &[u8])) {
    let Some((header, rest)) = tag.split_first_chunk::<10>() else { return };
    let [b'I', b'D', b'3', version @ 2..=4, _, flags, length @ ..] = *header else { return };
    let length = usize::try_from(synchsafe(length)).unwrap_or(usize::MAX);
    let content = &rest[..length.min(rest.len())];
    let unsynchronised = flags & 0x80 != 0;
    let content = if unsynchronised && version < 4 {
        Cow::Owned(synchronised(content))
    } else {
        Cow::Borrowed(content)
    };
    let mut rest = &content[..];
    if flags & 0x40 != 0 {
        let Some(frames) = after_extended_header(rest, version) else { return };
        rest = frames;
    }
    while let Some((frame, after)) = next_frame(rest, version) {
        match frame.content(unsynchronised && version == 4) {
            Some(content) if !content.is_empty() => show(frame.id, &content),
            _ => {}
        }
        rest = after;
    }
}

fn after_extended_header(content: &[u8], version: u8) -> Option<&[u8]> {
    let length = *content.first_chunk::<4>()?;
    let length = match version {
        3 => u32::from_be_bytes(length).checked_add(4)?,
        4 => synchsafe(length),
        // a version that never said how it is compressed
        _ => return None,
    };
    content.get(usize::try_from(length).ok()?..)
}

struct Frame<'a> {
    version: u8,
    id: &'a [u8],
    flags: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// What the frame holds; nothing where it is compressed or encrypted.
    fn content(&self, unsynchronised: bool) -> Option<Cow<'a, [u8]>> {
        let has = |flag: u8| self.flags & flag != 0;
        let (skipped, unreadable, unsynchronised) = match self.version {
            3 => (usize::from(has(0x20)), has(0xc0), false),
            4 => {
                (usize::from(has(0x40)) + 4 * usize::from(has(0x01)), has(0x0c), unsynchronised || has(0x02))
            }
            _ => (0, false, false),
        };
        let body = self.body.get(skipped..).filter(|_| !unreadable)?;
        Some(if unsynchronised { Cow::Owned(synchronised(body)) } else { Cow::Borrowed(body) })
    }
}

/// The first frame and what is behind it; nothing where padding begins or the frame is cut.
fn next_frame(rest: &[u8], version: u8) -> Option<(Frame<'_>, &[u8])> {
    if *rest.first()? == 0 {
        return None;
    }
    let (id, size, flags, behind) = if version == 2 {
        let [a, b, c] = *rest.get(3..)?.first_chunk()?;
        (&rest[..3], u32::from_be_bytes([0, a, b, c]), 0, &rest[6..])
    } else {
        let length = *rest.get(4..)?.first_chunk()?;
        let [_, flags] = *rest.get(8..)?.first_chunk()?;
        let size = if version == 4 { size_of_v4(length, &rest[10..]) } else { u32::from_be_bytes(length) };
        (&rest[..4], size, flags, &rest[10..])
    };
    let (body, after) = behind.split_at_checked(usize::try_from(size).ok()?)?;
    Some((Frame { version, id, flags, body }, after))
}

/// Sizes have seven bits in a byte, but some writers gave all eight: the next frame tells which.
fn size_of_v4(length: [u8; 4], behind: &[u8]) -> u32 {
    let (safe, plain) = (synchsafe(length), u32::from_be_bytes(length));
    let leads_to_a_frame = |size: u32| {
        let after = usize::try_from(size).ok().and_then(|size| behind.get(size..));
        after.is_some_and(|after| {
            let id = &after[..after.len().min(4)];
            id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                || id.iter().all(|byte| *byte == 0)
        })
    };
    let is_safe = length.iter().all(|byte| byte & 0x80 == 0);
    if is_safe && (safe == plain || leads_to_a_frame(safe) || !leads_to_a_frame(plain)) {
        safe
    } else {
        plain
    }
}

fn synchsafe(length: [u8; 4]) -> u32 {
    length.iter().fold(0, |sum, byte| sum << 7 | u32::from(byte & 0x7f))
}

/// The bytes without the zeros that keep a tag from looking like audio.
fn synchronised(bytes: &[u8]) -> Vec<u8> {
    let mut before = 0;
    let keep = |byte: &u8| {
        let is_put_in = before == 0xff && *byte == 0;
        before = *byte;
        !is_put_in
    };
    bytes.iter().copied().filter(keep).collect()
}

/// The values of a text.
fn texts(body: &[u8]) -> Vec<String> {
    let Some((encoding, text)) = body.split_first() else { return Vec::new() };
    let text = decoded(*encoding, text).unwrap_or_default();
    let values = text.split('\0').map(plain).filter(|value| !value.is_empty());
    values.take(MOST_VALUES).map(str::to_owned).collect()
}

/// A comment without a description; those with one are notes of programs.
fn comment(body: &[u8]) -> Option<String> {
    let text = decoded(*body.first()?, body.get(4..)?)?;
    let (description, text) = text.split_once('\0')?;
    let text = plain(text.trim_end_matches('\0'));
    (plain(description).is_empty() && !text.is_empty()).then(|| text.to_owned())
}

/// A text without byte order marks and spaces around it.
fn plain(text: &str) -> &str {
    text.trim_matches(|character: char| {
        character.is_whitespace() || matches!(character, '\u{feff}' | '\u{fffe}')
    })
}

fn decoded(encoding: u8, text: &[u8]) -> Option<String> {
    Some(match encoding {
        0 => latin_1(text),
        1 => utf_16(text),
        2 => units(text, u16::from_be_bytes),
        3 => std::str::from_utf8(text).map_or_else(|_| latin_1(text), str::to_owned),
        _ => return None,
    })
}

fn latin_1(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

/// UTF-16 with a byte order mark, or else in the order that makes it Latin letters rather than others.
fn utf_16(text: &[u8]) -> String {
    let zeros = |place: usize| text.iter().skip(place).step_by(2).filter(|byte| **byte == 0).count();
    match text {
        [0xfe, 0xff, text @ ..] => units(text, u16::from_be_bytes),
        [0xff, 0xfe, text @ ..] => units(text, u16::from_le_bytes),
        text if zeros(0) > zeros(1) => units(text, u16::from_be_bytes),
        text => units(text, u16::from_le_bytes),
    }
}

/// A byte that is left over is no part of the text.
fn units(text: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = text.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    String::from_utf16_lossy(&units)
}

/// A date as tags have it, or else the year that is somewhere in it.
fn date(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let is_date = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"-:T/. ".contains(&byte));
    if digits(text) == 4 && is_date(text) {
        return Some(text.replace(['/', '.'], "-"));
    }
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    numbers.find(|number| number.len() == 4).map(str::to_owned)
}

/// The kind of a picture and its bytes.
fn picture_of<'a>(id: &[u8], body: &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (encoding, rest) = body.split_first()?;
    let rest = match id {
        b"PIC" => rest.get(3..)?,
        b"APIC" => rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?,
        _ => return None,
    };
    let (kind, rest) = rest.split_first()?;
    let end = if matches!(encoding, 1 | 2) {
        rest.as_chunks::<2>().0.iter().position(|pair| *pair == [0, 0])? * 2 + 2
    } else {
        rest.iter().position(|byte| *byte == 0)? + 1
    };
    rest.get(end..).filter(|bytes| !bytes.is_empty()).map(|bytes| (*kind, bytes))
}
