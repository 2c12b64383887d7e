//! The header of ASF files, which WMA files are: how long they last and what they say of themselves. Pure.
//!
//! The bytes may be anything: every length is held against what is there. Format: Advanced Systems Format 01.20.06, 3.

use super::values::{Field, Values};

/// Bytes of a value that are looked at, at most.
const MOST_TEXT: usize = 64 * 1024;
/// Values that are kept, at most.
const MOST_VALUES: usize = 1000;

type Guid = [u8; 16];

const fn guid(first: u32, second: u16, third: u16, rest: u64) -> Guid {
    let ([a, b, c, d], [e, f], [g, h]) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
    let [i, j, k, l, m, n, o, p] = rest.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

const HEADER: Guid = guid(0x75B2_2630, 0x668E, 0x11CF, 0xA6D9_00AA_0062_CE6C);
const FILE_PROPERTIES: Guid = guid(0x8CAB_DCA1, 0xA947, 0x11CF, 0x8EE4_00C0_0C20_5365);
const CONTENT_DESCRIPTION: Guid = guid(0x75B2_2633, 0x668E, 0x11CF, 0xA6D9_00AA_0062_CE6C);
const EXTENDED_CONTENT_DESCRIPTION: Guid = guid(0xD2D0_A440, 0xE307, 0x11D2, 0x97F0_00A0_C95E_A850);
const HEADER_EXTENSION: Guid = guid(0x5FBF_03B5, 0xA92E, 0x11CF, 0x8EE3_00C0_0C20_5365);
const METADATA: Guid = guid(0xC5F8_CBEA, 0x5BAF, 0x4877, 0x8467_AA8C_44FA_4CCA);
const METADATA_LIBRARY: Guid = guid(0x4423_1C94, 0x9498, 0x49D1, 0xA141_1D13_4E45_7054);

/// What a header says. 0: not there.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Header {
    pub(crate) values: Values,
    pub(crate) duration_ms: u64,
    /// In kbit/s.
    pub(crate) bitrate: u32,
}

/// The size of the header that a file starts with; nothing where it is no ASF file.
pub(crate) fn size(start: [u8; 24]) -> Option<u64> {
    let mut bytes = Bytes(&start);
    (bytes.take::<16>()? == HEADER).then(|| bytes.take().map(u64::from_le_bytes))?
}

/// Reads a header, which may be cut. Where there are more values than one object can have, the others are in those behind
/// it in this list, in whatever order they are in the file.
pub(crate) fn header(bytes: &[u8]) -> Header {
    let mut header = Header::default();
    let [mut description, mut extended, mut library] = [const { Values::new() }; 3];
    each_object(Bytes(bytes.get(30..).unwrap_or_default()), &mut |kind, body| match kind {
        FILE_PROPERTIES => drop(file_properties(body, &mut header)),
        CONTENT_DESCRIPTION => drop(content_description(body, &mut description)),
        EXTENDED_CONTENT_DESCRIPTION => {
            each_extended(body, &mut |name, value| add_value(&mut extended, name, &value));
        }
        HEADER_EXTENSION => each_object(Bytes(body.0.get(22..).unwrap_or_default()), &mut |kind, body| {
            if matches!(kind, METADATA | METADATA_LIBRARY) {
                each_metadata(body, &mut |name, value| add_value(&mut library, name, &value));
            }
        }),
        _ => {}
    });
    header.values = [description, extended, library].concat();
    header
}

/// The picture of a header: its front, or else the first there is.
pub(crate) fn picture(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut front, mut first) = (None, None);
    let mut take = |name: &str, value: Value<'_>| {
        if name != "WM/Picture" {
            return;
        }
        match picture_of(value.bytes) {
            Some((3, bytes)) if front.is_none() => front = Some(bytes.to_vec()),
            Some((_, bytes)) if first.is_none() => first = Some(bytes.to_vec()),
            _ => {}
        }
    };
    each_object(Bytes(bytes.get(30..).unwrap_or_default()), &mut |kind, body| match kind {
        EXTENDED_CONTENT_DESCRIPTION => each_extended(body, &mut take),
        HEADER_EXTENSION => each_object(Bytes(body.0.get(22..).unwrap_or_default()), &mut |kind, body| {
            if matches!(kind, METADATA | METADATA_LIBRARY) {
                each_metadata(body, &mut take);
            }
        }),
        _ => {}
    });
    front.or(first)
}

fn add_value(values: &mut Values, name: &str, value: &Value<'_>) {
    let field = match name {
        "Title" => Field::Title,
        "Author" => Field::Artist,
        "Description" => Field::Comment,
        "WM/AlbumArtist" => Field::AlbumArtist,
        "WM/AlbumTitle" => Field::Album,
        "WM/Genre" => Field::Genre,
        "WM/Composer" => Field::Composer,
        "WM/Publisher" => Field::Label,
        "WM/Year" => Field::Date,
        "WM/TrackNumber" => Field::Track,
        "WM/PartOfSet" => Field::Disc,
        _ => return,
    };
    if values.len() < MOST_VALUES
        && let Some(text) = value.text()
    {
        add(values, field, text);
    }
}

fn add(values: &mut Values, field: Field, text: String) {
    if !text.is_empty() {
        values.push((field, text));
    }
}

/// Bytes that are yet to be read.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn slice(&mut self, length: u64) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

fn each_object(mut bytes: Bytes<'_>, show: &mut dyn FnMut(Guid, Bytes<'_>)) {
    while let Some((kind, length)) = bytes.take().zip(bytes.u64()) {
        let Some(body) = length.checked_sub(24).and_then(|length| bytes.slice(length)) else { return };
        show(kind, Bytes(body));
    }
}

fn file_properties(mut body: Bytes<'_>, header: &mut Header) -> Option<()> {
    body.slice(40)?;
    let (play, _send, preroll, flags) = (body.u64()?, body.u64()?, body.u64()?, body.u32()?);
    let (_least, _most, bits) = (body.u32()?, body.u32()?, body.u32()?);
    // of what is still being sent nobody knows how long it will last
    if flags & 1 == 0 {
        header.duration_ms = (play / 10_000).saturating_sub(preroll);
    }
    header.bitrate = bits / 1000;
    Some(())
}

fn content_description(mut body: Bytes<'_>, values: &mut Values) -> Option<()> {
    let lengths = [body.u16()?, body.u16()?, body.u16()?, body.u16()?, body.u16()?];
    let fields = [Some(Field::Title), Some(Field::Artist), None, Some(Field::Comment), None];
    for (length, field) in lengths.into_iter().zip(fields) {
        let text = text(body.slice(u64::from(length))?);
        if let Some(field) = field {
            add(values, field, text);
        }
    }
    Some(())
}

/// A value of a type.
struct Value<'a> {
    kind: u16,
    bytes: &'a [u8],
}

impl Value<'_> {
    /// A text, or a number in words.
    fn text(&self) -> Option<String> {
        let mut bytes = Bytes(self.bytes);
        Some(match self.kind {
            0 => text(self.bytes),
            3 => bytes.u32()?.to_string(),
            4 => bytes.u64()?.to_string(),
            5 => bytes.u16()?.to_string(),
            _ => return None,
        })
    }
}

fn each_extended(mut body: Bytes<'_>, show: &mut dyn FnMut(&str, Value<'_>)) {
    for _ in 0..body.u16().unwrap_or(0) {
        let mut read = || {
            let length = body.u16()?;
            let name = text(body.slice(u64::from(length))?);
            let (kind, length) = (body.u16()?, body.u16()?);
            Some((name, Value { kind, bytes: body.slice(u64::from(length))? }))
        };
        let Some((name, value)) = read() else { return };
        show(&name, value);
    }
}

fn each_metadata(mut body: Bytes<'_>, show: &mut dyn FnMut(&str, Value<'_>)) {
    for _ in 0..body.u16().unwrap_or(0) {
        let mut read = || {
            let (_language, _stream) = (body.u16()?, body.u16()?);
            let (name, kind, length) = (body.u16()?, body.u16()?, body.u32()?);
            let name = text(body.slice(u64::from(name))?);
            Some((name, Value { kind, bytes: body.slice(u64::from(length))? }))
        };
        let Some((name, value)) = read() else { return };
        show(&name, value);
    }
}

/// A text of UTF-16 up to its end mark; a byte that is left over is no part of it.
fn text(bytes: &[u8]) -> String {
    let (pairs, _) = bytes[..bytes.len().min(MOST_TEXT)].as_chunks::<2>();
    let units: Vec<u16> =
        pairs.iter().copied().map(u16::from_le_bytes).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units).trim().to_owned()
}

/// The kind of a picture and its bytes.
fn picture_of(value: &[u8]) -> Option<(u8, &[u8])> {
    let mut bytes = Bytes(value);
    let ([kind], length) = (bytes.take()?, bytes.u32()?);
    // its type and its description
    for _ in 0..2 {
        while bytes.u16()? != 0 {}
    }
    let picture = bytes.slice(u64::from(length))?;
    (!picture.is_empty()).then_some((kind, picture))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf_16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    fn short(value: usize) -> [u8; 2] {
        u16::try_from(value).unwrap().to_le_bytes()
    }

    fn object(kind: Guid, body: &[u8]) -> Vec<u8> {
        [&kind[..], &(body.len() as u64 + 24).to_le_bytes(), body].concat()
    }

    fn extended(values: &[(&str, u16, &[u8])]) -> Vec<u8> {
        let value = |(name, kind, bytes): &(&str, u16, &[u8])| {
            let name = utf_16(name);
            [&short(name.len())[..], &name, &kind.to_le_bytes(), &short(bytes.len()), bytes].concat()
        };
        let body: Vec<u8> = values.iter().flat_map(value).collect();
        object(EXTENDED_CONTENT_DESCRIPTION, &[&short(values.len())[..], &body].concat())
    }

    fn library(values: &[(&str, u16, &[u8])]) -> Vec<u8> {
        let value = |(name, kind, bytes): &(&str, u16, &[u8])| {
            let name = utf_16(name);
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            [&[0; 4][..], &short(name.len()), &kind.to_le_bytes(), &length, &name, bytes].concat()
        };
        let body: Vec<u8> = values.iter().flat_map(value).collect();
        object(METADATA_LIBRARY, &[&short(values.len())[..], &body].concat())
    }

    fn picture_value(kind: u8, picture: &[u8]) -> Vec<u8> {
        let length = u32::try_from(picture.len()).unwrap().to_le_bytes();
        [&[kind][..], &length, &utf_16("image/png"), &utf_16("x"), picture].concat()
    }

    /// A file of three seconds, as WMP tags it.
    pub(crate) fn sample() -> Vec<u8> {
        let (title, author) = (utf_16("Sinnerman"), utf_16("Nina"));
        let lengths = [short(title.len()), short(author.len()), [0; 2], [0; 2], [0; 2]].concat();
        let properties = [
            &[0; 40][..],
            &45_000_000u64.to_le_bytes(),
            &[0; 8],
            &1500u64.to_le_bytes(),
            &2u32.to_le_bytes(),
            &[0; 8],
            &128_016u32.to_le_bytes(),
        ];
        let values = extended(&[
            ("WM/AlbumTitle", 0, &utf_16("Pastel Blues")),
            ("WM/AlbumArtist", 0, &utf_16("Nina Simone")),
            ("Author", 0, &utf_16("Hal")),
            ("WM/Genre", 0, &utf_16("Jazz")),
            ("WM/Year", 0, &utf_16("1965")),
            ("WM/TrackNumber", 3, &9u32.to_le_bytes()),
            ("WM/PartOfSet", 0, &utf_16("1/2")),
            ("WM/Picture", 1, &picture_value(3, b"\x89PNG front")),
            ("WM/Picture", 1, &picture_value(0, b"\x89PNG other")),
        ]);
        let more = library(&[("WM/Composer", 0, &utf_16("trad."))]);
        let extension = [&[0; 22][..], &more].concat();
        let objects = [
            object(FILE_PROPERTIES, &properties.concat()),
            object(HEADER_EXTENSION, &extension),
            values,
            object(CONTENT_DESCRIPTION, &[lengths, title, author].concat()),
        ];
        let body = [&4u32.to_le_bytes()[..], &[1, 2], &objects.concat()].concat();
        [object(HEADER, &body), vec![0; 64]].concat()
    }

    #[test]
    fn a_header_is_read() {
        let file = sample();
        assert_eq!(size(*file.first_chunk().unwrap()), Some(file.len() as u64 - 64));
        let found = header(&file);
        assert_eq!((found.duration_ms, found.bitrate), (3000, 128));
        let expected = [
            (Field::Title, "Sinnerman"),
            (Field::Artist, "Nina"),
            (Field::Album, "Pastel Blues"),
            (Field::AlbumArtist, "Nina Simone"),
            (Field::Artist, "Hal"),
            (Field::Genre, "Jazz"),
            (Field::Date, "1965"),
            (Field::Track, "9"),
            (Field::Disc, "1/2"),
            (Field::Composer, "trad."),
        ];
        assert_eq!(found.values, expected.map(|(field, text)| (field, text.to_owned())));
        assert_eq!(picture(&file).unwrap(), b"\x89PNG front");
    }

    proptest! {
        #[test]
        fn damaged_headers_are_read_or_not(at in 0usize..2000, bytes in prop::collection::vec(any::<u8>(), 1..12), end in 0usize..2000) {
            let mut file = sample();
            let at = at % file.len();
            let after = (at + bytes.len()).min(file.len());
            file.splice(at..after, bytes);
            file.truncate(end.max(at));
            let room = file.len() * 3;
            prop_assert!(header(&file).values.iter().map(|(_, text)| text.len()).sum::<usize>() <= room);
            prop_assert!(picture(&file).is_none_or(|picture| picture.len() <= file.len()));
        }

        #[test]
        fn any_bytes_are_read_or_not(bytes: Vec<u8>) {
            let _ = (header(&bytes), picture(&bytes));
        }
    }
}
