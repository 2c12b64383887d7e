//! What of a music file isn't tags: the places of its audio, so that a file with new tags is known as the same music. Pure:
//! it is given a way to read bytes at a position.
//!
//! The file may hold anything: lengths are held against its size, and steps are bounded. What it doesn't understand has no
//! known audio. Formats: ID3v2.4 3.1, ID3v1, APEv2, FLAC (RFC 9639, 8), Ogg (RFC 3533, 6), ISO/IEC 14496-12 4.2, RIFF, AIFF.

use std::ops::Range;

/// Blocks, boxes or chunks of one file, at most.
const MOST_BLOCKS: usize = 4096;
/// Pages of an Ogg file, at most: more than four hours at high rates.
const MOST_PAGES: usize = 1 << 20;

/// Reads bytes at a position; false where there are not so many.
pub(crate) type ReadAt<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// A file of which bytes can be read.
#[derive(Clone, Copy)]
struct Source<'a> {
    read: ReadAt<'a>,
    size: u64,
}

impl Source<'_> {
    fn bytes<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(at, &mut bytes).map(|()| bytes)
    }

    fn fill(self, at: u64, bytes: &mut [u8]) -> Option<()> {
        let end = at.checked_add(bytes.len() as u64)?;
        (end <= self.size && (self.read)(at, bytes)).then_some(())
    }
}

/// Where the audio of a file of this size lies, in order; `None` where that isn't known.
pub(crate) fn parts(read: ReadAt<'_>, size: u64) -> Option<Vec<Range<u64>>> {
    let source = Source { read, size };
    let begin = after_id3v2(source)?;
    let parts = match source.bytes::<4>(begin)? {
        [b'f', b'L', b'a', b'C'] => one(after_flac_blocks(source, begin)?..before_tags(source)?),
        [b'O', b'g', b'g', b'S'] => ogg(source, begin)?,
        [b'R', b'I', b'F', b'F'] => chunks(source, begin, b"data", u32::from_le_bytes)?,
        [b'F', b'O', b'R', b'M'] => chunks(source, begin, b"SSND", u32::from_be_bytes)?,
        // a frame of MPEG audio, or of AAC in ADTS
        [0xff, second, ..] if second & 0xe0 == 0xe0 => one(begin..before_tags(source)?),
        _ if source.bytes::<4>(begin + 4)? == *b"ftyp" => mp4(source, begin)?,
        _ => return None,
    };
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then_some(parts)
}

fn one(part: Range<u64>) -> Vec<Range<u64>> {
    vec![part]
}

fn after_id3v2(source: Source<'_>) -> Option<u64> {
    let mut at = 0;
    for _ in 0..MOST_BLOCKS {
        let Some([b'I', b'D', b'3', _, _, flags, length @ ..]) = source.bytes::<10>(at) else {
            return Some(at);
        };
        let length = length.iter().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        at += 10 + length + footer;
    }
    None
}

/// Where the tags at the end begin.
fn before_tags(source: Source<'_>) -> Option<u64> {
    let mut end = source.size;
    for _ in 0..MOST_BLOCKS {
        if end >= 128 && source.bytes::<3>(end - 128) == Some(*b"TAG") {
            end -= 128;
            continue;
        }
        let footer = end.checked_sub(32).and_then(|at| source.bytes::<32>(at));
        let Some(footer) = footer.filter(|footer| footer.starts_with(b"APETAGEX")) else { return Some(end) };
        let number =
            |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
        let header = if number(20) >> 31 == 0 { 0 } else { 32 };
        end = end.checked_sub(u64::from(number(12)).max(32) + header)?;
    }
    None
}

fn after_flac_blocks(source: Source<'_>, begin: u64) -> Option<u64> {
    let mut at = begin + 4;
    for _ in 0..MOST_BLOCKS {
        let [kind, length @ ..] = source.bytes::<4>(at)?;
        at += 4 + length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if kind & 0x80 != 0 {
            return Some(at);
        }
    }
    None
}

/// What pages hold behind those of the headers, whose position is 0 or none.
fn ogg(source: Source<'_>, begin: u64) -> Option<Vec<Range<u64>>> {
    let (mut at, mut parts) = (begin, Vec::new());
    for _ in 0..MOST_PAGES {
        if at == source.size {
            return Some(parts);
        }
        let header: [u8; 27] = source.bytes(at)?;
        if !header.starts_with(b"OggS") {
            return None;
        }
        let position = i64::from_le_bytes(header[6..14].try_into().ok()?);
        let (segments, table) = (u64::from(header[26]), at + 27);
        let mut lengths = [0; 255];
        let lengths = &mut lengths[..usize::from(header[26])];
        source.fill(table, lengths)?;
        let length = lengths.iter().map(|length| u64::from(*length)).sum();
        let body = table + segments;
        at = body.checked_add(length).filter(|end| *end <= source.size)?;
        if position > 0 || !parts.is_empty() {
            parts.push(body..at);
        }
    }
    None
}

/// The chunks of this kind, in RIFF or AIFF.
fn chunks(
    source: Source<'_>,
    begin: u64,
    kind: &[u8; 4],
    number: fn([u8; 4]) -> u32,
) -> Option<Vec<Range<u64>>> {
    let (mut at, mut parts) = (begin + 12, Vec::new());
    for _ in 0..MOST_BLOCKS {
        let Some([k0, k1, k2, k3, length @ ..]) = source.bytes::<8>(at) else { return Some(parts) };
        let body = at + 8;
        let end = body.checked_add(u64::from(number(length))).filter(|end| *end <= source.size)?;
        if [k0, k1, k2, k3] == *kind {
            parts.push(body..end);
        }
        at = end + u64::from(number(length) % 2);
    }
    None
}

fn mp4(source: Source<'_>, begin: u64) -> Option<Vec<Range<u64>>> {
    let (mut at, mut parts) = (begin, Vec::new());
    for _ in 0..MOST_BLOCKS {
        let Some([l0, l1, l2, l3, kind @ ..]) = source.bytes::<8>(at) else {
            return (at == source.size).then_some(parts);
        };
        let (header, length) = match u32::from_be_bytes([l0, l1, l2, l3]) {
            0 => (8, source.size - at),
            1 => (16, u64::from_be_bytes(source.bytes(at + 8)?)),
            length => (8, u64::from(length)),
        };
        let end = at.checked_add(length.max(header)).filter(|end| *end <= source.size)?;
        if kind == *b"mdat" {
            parts.push(at + header..end);
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    fn audio(file: &[u8]) -> Option<Vec<u8>> {
        let read = |at: u64, bytes: &mut [u8]| {
            let at = usize::try_from(at).unwrap();
            file.get(at..at + bytes.len()).map(|found| bytes.copy_from_slice(found)).is_some()
        };
        let parts = parts(&read, file.len() as u64)?;
        let slice = |part: Range<u64>| file[part.start as usize..part.end as usize].to_vec();
        Some(parts.into_iter().flat_map(slice).collect())
    }

    fn page(position: i64, body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend(position.to_le_bytes());
        page.extend([0; 12]);
        page.extend([1, u8::try_from(body.len()).unwrap()]);
        page.extend(body);
        page
    }

    fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(u32::try_from(body.len()).unwrap() + 8).to_be_bytes()[..], kind, body].concat()
    }

    #[test]
    fn other_tags_are_the_same_audio() {
        let ape = |text: &[u8]| {
            let size = u32::try_from(text.len()).unwrap() + 32;
            [text, b"APETAGEX\xd0\x07\0\0", &size.to_le_bytes(), &[0; 16]].concat()
        };
        let id3v1 = [&b"TAG"[..], &[b'x'; 125]].concat();
        let ogg = |comment: &[u8]| {
            [page(0, b"head"), page(0, comment), page(-1, b"setup"), page(9, b"one"), page(-1, b"two")]
                .concat()
        };
        let m4a =
            |tags: &[u8]| [atom(b"ftyp", b"M4A "), atom(b"moov", tags), atom(b"mdat", b"sound")].concat();
        let wav = |list: &[u8]| {
            let chunk = [b"LIST", &u32::try_from(list.len()).unwrap().to_le_bytes()[..], list].concat();
            [samples::wav(), chunk].concat()
        };
        for (one, two) in [
            (samples::mp3("A", "B"), samples::mp3("A longer title", "B")),
            (samples::mp3("A", "B"), [samples::mp3("A", "B"), ape(b"title"), id3v1.clone()].concat()),
            (samples::flac(&["TITLE=a"]), samples::flac(&["TITLE=another", "ARTIST=b"])),
            (ogg(b"a"), ogg(b"another")),
            (m4a(b"a"), m4a(b"another")),
            (wav(b"a!"), wav(b"another!")),
            (wav(b"a!"), [b"ID3\x04\0\0\0\0\0\x01\0", &wav(b"behind an odd number of bytes")[..]].concat()),
        ] {
            assert!(audio(&one).is_some_and(|audio| !audio.is_empty()));
            assert_eq!(audio(&one), audio(&two));
        }
        assert_eq!(audio(&ogg(b"a")).unwrap(), b"onetwo");
        assert_eq!(audio(&m4a(b"a")).unwrap(), b"sound");
        assert_eq!(audio(&samples::mp3("A", "B")).unwrap().len(), 20 * 417);
    }

    #[test]
    fn other_audio_is_told_from_it() {
        let file = samples::flac(&["TITLE=a"]);
        let mut other = file.clone();
        *other.last_mut().unwrap() = 1;
        assert_ne!(audio(&file), audio(&other));
    }

    #[test]
    fn what_is_not_understood_has_no_known_audio() {
        for file in
            [&b""[..], b"ID3", b"abcdefghijkl", b"fLaC\x84\0\0\0", b"OggS", b"ID3\x04\0\0\x7f\x7f\x7f\x7f"]
        {
            assert_eq!(audio(file), None, "{file:?}");
        }
        let cut = samples::flac(&["TITLE=a"]);
        assert_eq!(audio(&cut[..40]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_audio_within_them_or_none(start in 0usize..8, rest: Vec<u8>) {
            let magic: [&[u8]; 8] = [b"", b"ID3\x04\0\0", b"fLaC", b"OggS\0", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"\0\0\0\x08ftyp", b"\xff\xfb"];
            let file = [magic[start], &rest].concat();
            if let Some(audio) = audio(&file) {
                prop_assert!(!audio.is_empty() && audio.len() <= file.len());
            }
        }
    }
}
