//! The partnership's mark as text: reads and merges the content of `WMPInfo.xml`. Pure.
//!
//! What is there besides the mark is kept byte for byte; nothing is expanded, and nothing is trusted.

use crate::id::Guid;
use crate::player::Mark;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;
use thiserror::Error;

/// The most that is read or written, in bytes.
pub const LIMIT: usize = 64 * 1024;

/// Why the content of a `WMPInfo.xml` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MarkError {
    /// Neither UTF-16 nor UTF-8.
    #[error("it is neither UTF-16 nor UTF-8 text")]
    Encoding,
    /// Not well-formed; says where.
    #[error("it is not well-formed XML: {0}")]
    Xml(String),
    /// Something else's document; names its root element.
    #[error("its root element is `{0}`, not `DeviceInfo`")]
    OtherDocument(String),
    /// More than [`LIMIT`].
    #[error("it is larger than {LIMIT} bytes")]
    TooLarge,
}

/// The text in a file: UTF-16 or UTF-8, told by the byte order mark or else by the first character.
///
/// # Errors
/// `Encoding` for anything else, `TooLarge` beyond [`LIMIT`].
pub fn decode(bytes: &[u8]) -> Result<String, MarkError> {
    if bytes.len() > LIMIT {
        return Err(MarkError::TooLarge);
    }
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [b'<', 0, ..] => utf16(bytes, u16::from_le_bytes)?,
        [0, b'<', ..] => utf16(bytes, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    // some devices fill their files up
    let length = text.trim_end_matches('\0').len();
    if text[..length].contains('\0') { Err(MarkError::Encoding) } else { Ok(text[..length].to_owned()) }
}

fn utf8(bytes: &[u8]) -> Result<String, MarkError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| MarkError::Encoding)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, MarkError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(MarkError::Encoding);
    }
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .collect::<Result<_, _>>()
        .map_err(|_| MarkError::Encoding)
}

/// The text as WMP writes it: UTF-16, little-endian, with a byte order mark.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

/// The mark in this text; `None` when it is a `DeviceInfo` document without a mark that can be read.
///
/// # Errors
/// When it isn't a `DeviceInfo` document.
pub fn parse(text: &str) -> Result<Option<Mark>, MarkError> {
    let layout = scan(text)?;
    let Some(wmp) = layout.wmp else { return Ok(None) };
    let Some(device) = wmp.device_id.as_deref().and_then(Guid::parse) else { return Ok(None) };
    let relationship = wmp.relationship_id.as_deref().map_or(Some(Guid::ZERO), Guid::parse);
    Ok(relationship.map(|relationship| Mark { device, relationship }))
}

/// The text with this mark in it, and everything else as it was; without a text, the one that WMP writes.
///
/// # Errors
/// When what is there isn't a `DeviceInfo` document, or the outcome would be too large.
pub fn merge(text: Option<&str>, mark: Mark) -> Result<String, MarkError> {
    let Some(text) = text else {
        return Ok(format!("<DeviceInfo>\r\n    {}\r\n</DeviceInfo>\r\n", fresh_element(mark)));
    };
    let layout = scan(text)?;
    let (place, put) = match layout.wmp {
        Some(wmp) => (wmp.at.clone(), wmp.with(mark)),
        None => {
            let tag = &text[layout.root.clone()];
            let inside = format!("\r\n    {}", fresh_element(mark));
            if layout.root_is_empty {
                let open = tag.trim_end_matches('>').trim_end_matches('/').trim_end();
                (layout.root, format!("{open}>{inside}\r\n</{}>", layout.root_name))
            } else {
                (layout.root.end..layout.root.end, inside)
            }
        }
    };
    let mut merged = text.to_owned();
    merged.replace_range(place, &put);
    // it stands before the element, so the place above was still right
    if let Some(encoding) = layout.declared_encoding {
        merged.replace_range(encoding, "UTF-16");
    }
    if encode(&merged).len() > LIMIT { Err(MarkError::TooLarge) } else { Ok(merged) }
}

fn fresh_element(mark: Mark) -> String {
    format!("<WMP DeviceID=\"{}\" RelationshipID=\"{}\"/>", mark.device, mark.relationship)
}

/// Where in a document the things are that matter here, as ranges of bytes.
struct Layout {
    declared_encoding: Option<Range<usize>>,
    root: Range<usize>,
    root_name: String,
    root_is_empty: bool,
    wmp: Option<Element>,
}

/// The `WMP` element's tag.
struct Element {
    at: Range<usize>,
    name: String,
    is_empty: bool,
    /// Names and values as written.
    attributes: Vec<(String, String)>,
    device_id: Option<String>,
    relationship_id: Option<String>,
}

impl Element {
    fn read(tag: &BytesStart<'_>, at: Range<usize>, is_empty: bool) -> Result<Self, MarkError> {
        let name = tag.name().0.to_owned();
        let mut element =
            Self { at, name, is_empty, attributes: Vec::new(), device_id: None, relationship_id: None };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| MarkError::Xml(error.to_string()))?;
            let (key, value) = (attribute.key.0.to_owned(), attribute.value.into_owned());
            if key.eq_ignore_ascii_case("DeviceID") {
                element.device_id.get_or_insert_with(|| value.clone());
            } else if key.eq_ignore_ascii_case("RelationshipID") {
                element.relationship_id.get_or_insert_with(|| value.clone());
            }
            element.attributes.push((key, value));
        }
        Ok(element)
    }

    /// The tag with this mark.
    fn with(&self, mark: Mark) -> String {
        let mut tag = format!("<{}", self.name);
        let mut missing = vec![("DeviceID", mark.device), ("RelationshipID", mark.relationship)];
        for (key, value) in &self.attributes {
            let ours = missing.iter().position(|(name, _)| key.eq_ignore_ascii_case(name));
            let value = ours.map_or_else(|| value.clone(), |at| missing.remove(at).1.to_string());
            let quote = if value.contains('"') { '\'' } else { '"' };
            tag.push_str(&format!(" {key}={quote}{value}{quote}"));
        }
        for (key, value) in missing {
            tag.push_str(&format!(" {key}=\"{value}\""));
        }
        tag.push_str(if self.is_empty { "/>" } else { ">" });
        tag
    }
}

fn scan(text: &str) -> Result<Layout, MarkError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = false;
    let (mut depth, mut root, mut wmp, mut declared_encoding) = (0usize, None, None, None);
    loop {
        let from = position(&reader)?;
        let event = reader.read_event().map_err(|error| MarkError::Xml(error.to_string()))?;
        let at = from..position(&reader)?;
        let is_empty = matches!(event, Event::Empty(_));
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.name().0;
                match (depth, &root) {
                    (0, None) if name.eq_ignore_ascii_case("DeviceInfo") => {
                        root = Some((at, name.to_owned(), is_empty));
                    }
                    (0, None) => return Err(MarkError::OtherDocument(shortened(name))),
                    (0, Some(_)) => return Err(MarkError::Xml("it has a second root element".into())),
                    (1, _) if wmp.is_none() && name.eq_ignore_ascii_case("WMP") => {
                        wmp = Some(Element::read(tag, at, is_empty)?);
                    }
                    _ => {}
                }
                depth += usize::from(!is_empty);
            }
            Event::End(_) => {
                depth =
                    depth.checked_sub(1).ok_or_else(|| MarkError::Xml("it closes what isn't open".into()))?;
            }
            Event::Decl(_) if root.is_none() => declared_encoding = encoding_value(text, at),
            Event::Text(content) if depth == 0 && !content.trim().is_empty() => {
                return Err(MarkError::Xml("it has text outside its root element".into()));
            }
            Event::CData(_) | Event::GeneralRef(_) if depth == 0 => {
                return Err(MarkError::Xml("it has text outside its root element".into()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let (root, root_name, root_is_empty) = root.ok_or_else(|| MarkError::Xml("it has no element".into()))?;
    if depth > 0 {
        return Err(MarkError::Xml("it ends before its root element does".into()));
    }
    Ok(Layout { declared_encoding, root, root_name, root_is_empty, wmp })
}

fn position(reader: &Reader<&[u8]>) -> Result<usize, MarkError> {
    usize::try_from(reader.buffer_position()).map_err(|_| MarkError::TooLarge)
}

/// Where in the XML declaration at `at` the encoding's name is.
fn encoding_value(text: &str, at: Range<usize>) -> Option<Range<usize>> {
    let declaration = text.get(at.clone())?;
    let key = declaration.find("encoding")?;
    let open = key + declaration[key..].find(['"', '\''])?;
    let quote = declaration[open..].chars().next()?;
    let length = declaration[open + 1..].find(quote)?;
    Some(at.start + open + 1..at.start + open + 1 + length)
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Mark = Mark { device: Guid(0x11), relationship: Guid(0x22) };

    #[test]
    fn a_fresh_mark_is_byte_for_byte_what_wmp_writes() {
        let bytes = encode(&merge(None, OURS).unwrap());
        assert_eq!(bytes.len(), 296);
        assert_eq!(bytes[..4], [0xff, 0xfe, b'<', 0]);
        assert_eq!(
            decode(&bytes).unwrap(),
            "<DeviceInfo>\r\n    <WMP DeviceID=\"{00000000-0000-0000-0000-000000000011}\" \
             RelationshipID=\"{00000000-0000-0000-0000-000000000022}\"/>\r\n</DeviceInfo>\r\n"
        );
        assert_eq!(parse(&decode(&bytes).unwrap()), Ok(Some(OURS)));
    }

    #[test]
    fn every_encoding_is_read() {
        let text = merge(None, OURS).unwrap();
        let big: Vec<u8> =
            [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let padded = [&encode(&text)[..], &[0; 10]].concat();
        for bytes in
            [&encode(&text)[..], &encode(&text)[2..], &big, &big[2..], &with_mark, text.as_bytes(), &padded]
        {
            assert_eq!(decode(bytes).as_deref(), Ok(text.as_str()));
        }
        assert_eq!(decode(b"\xff\xfe<"), Err(MarkError::Encoding));
        assert_eq!(decode(b"\xff\xfe\x00\xd8"), Err(MarkError::Encoding));
        assert_eq!(decode(b"\xc3("), Err(MarkError::Encoding));
        assert_eq!(decode(&vec![b' '; LIMIT + 1]), Err(MarkError::TooLarge));
    }

    #[test]
    fn what_others_wrote_is_kept() {
        let text = "<?xml version=\"1.0\" encoding='utf-8'?>\n<!-- mine -->\n<DeviceInfo model=\"x\">\n\
                    \t<Other a='\"'>text &amp; more</Other>\n\t<WMP Extra='say \"hi\"' RelationshipID = \"old\" \
                    deviceid='{0}'>kept</WMP>\n</DeviceInfo>\n";
        let merged = merge(Some(text), OURS).unwrap();
        assert_eq!(parse(&merged), Ok(Some(OURS)));
        let expected = text.replace("utf-8", "UTF-16").replace(
            "<WMP Extra='say \"hi\"' RelationshipID = \"old\" deviceid='{0}'>",
            "<WMP Extra='say \"hi\"' RelationshipID=\"{00000000-0000-0000-0000-000000000022}\" \
             deviceid=\"{00000000-0000-0000-0000-000000000011}\">",
        );
        assert_eq!(merged, expected);
    }

    #[test]
    fn a_document_without_the_element_gets_one() {
        for text in [
            "<DeviceInfo/>",
            "<DeviceInfo a='b' />",
            "<DeviceInfo></DeviceInfo>",
            "<DeviceInfo><X/></DeviceInfo>",
        ] {
            assert_eq!(parse(text), Ok(None), "{text}");
            assert_eq!(parse(&merge(Some(text), OURS).unwrap()), Ok(Some(OURS)), "{text}");
        }
    }

    #[test]
    fn of_two_marks_the_first_counts() {
        for text in [
            "<DeviceInfo><WMP DeviceID='x' deviceid='y' RelationshipID=''/><WMP DeviceID='z'/></DeviceInfo>",
            "<DeviceInfo><WMP/><?xml version='1.0' encoding='é'?></DeviceInfo>",
        ] {
            assert_eq!(parse(&merge(Some(text), OURS).unwrap()), Ok(Some(OURS)), "{text}");
        }
    }

    #[test]
    fn what_is_not_ours_is_told_from_what_is_damaged() {
        for text in [
            "",
            "  ",
            "text",
            "<DeviceInfo>",
            "<DeviceInfo></x></DeviceInfo>",
            "<DeviceInfo/><DeviceInfo/>",
            "<DeviceInfo/>x",
            "<a",
        ] {
            assert!(matches!(parse(text), Err(MarkError::Xml(_))), "{text}");
        }
        assert_eq!(parse("<html/>"), Err(MarkError::OtherDocument("html".into())));
        let nested =
            "<DeviceInfo><X><WMP DeviceID=\"{00000000-0000-0000-0000-000000000011}\"/></X></DeviceInfo>";
        assert_eq!(parse(nested), Ok(None));
        let without = nested.replace("<X>", "").replace("</X>", "");
        assert_eq!(parse(&without), Ok(Some(Mark { relationship: Guid::ZERO, ..OURS })));
        let doctype = "<!DOCTYPE d [<!ENTITY a \"b\">]><DeviceInfo><WMP DeviceID=\"&a;\"/></DeviceInfo>";
        assert_eq!(parse(doctype), Ok(None));
    }

    /// Documents that are often well-formed.
    fn documents() -> impl Strategy<Value = String> {
        let id = prop::sample::select(vec![
            "",
            " DeviceID='{00000000-0000-0000-0000-000000000011}'",
            " relationshipid = \"\"",
            " DeviceID=\"&lt;\" Other='\"'",
            " DeviceID=x",
            " deviceID='1' DeviceID='2'",
            "/",
        ]);
        let part = (id, 0..9usize).prop_map(|(attributes, kind)| match kind {
            0..3 => format!("<WMP{attributes}/>"),
            3 => format!("<wmp{attributes}></wmp>"),
            4 => format!("<Other{attributes}>é<WMP/></Other>"),
            5 => "<!-- <WMP/> -->".to_owned(),
            6 => "<![CDATA[<WMP/>]]> &amp; \r\n".to_owned(),
            7 => "<?xml encoding='é'?>".to_owned(),
            _ => "<broken".to_owned(),
        });
        let declaration =
            prop::sample::select(vec!["", "<?xml version='1.0' encoding=\"x\"?>", "<!DOCTYPE a>", " "]);
        (declaration, prop::collection::vec(part, 0..4))
            .prop_map(|(first, parts)| format!("{first}<DeviceInfo a='é'>{}</DeviceInfo>\n", parts.concat()))
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(text) = decode(&bytes) {
                let _ = parse(&text);
            }
        }

        #[test]
        fn any_text_that_is_taken_can_hold_the_mark(text in documents()) {
            if parse(&text).is_ok() {
                let merged = merge(Some(&text), OURS).unwrap();
                prop_assert_eq!(parse(&merged), Ok(Some(OURS)));
                prop_assert_eq!(merge(Some(&merged), OURS).unwrap(), merged);
            }
        }

        #[test]
        fn marks_survive(device: u128, relationship: u128) {
            let mark = Mark { device: Guid(device), relationship: Guid(relationship) };
            let text = decode(&encode(&merge(None, mark).unwrap())).unwrap();
            prop_assert_eq!(parse(&text), Ok(Some(mark)));
        }
    }
}
