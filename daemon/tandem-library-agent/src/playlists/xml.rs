//! Reads XSPF and WPL playlists: the locations they name, and nothing else.
//!
//! Files in the wild are often not well-formed, so tags needn't match; document types and entities of their own are
//! never expanded.

use super::parse::{Entry, MAX_ENTRIES, entry};
use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};

fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

/// The `src` of each `media` element.
pub(super) fn wpl(text: &str) -> Vec<Entry> {
    let mut reader = reader(text);
    let mut entries = Vec::new();
    // what follows an error can't be understood; what came before it is kept
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) | Event::Empty(element) => entries.extend(media_source(&element)),
            Event::Eof => break,
            _ => {}
        }
        if entries.len() >= MAX_ENTRIES {
            break;
        }
    }
    entries
}

fn media_source(element: &BytesStart<'_>) -> Option<Entry> {
    if !element.local_name().as_ref().eq_ignore_ascii_case("media") {
        return None;
    }
    let mut attributes = element.html_attributes();
    let mut attributes = attributes.with_checks(false).filter_map(Result::ok);
    let source =
        attributes.find(|attribute| attribute.key.local_name().as_ref().eq_ignore_ascii_case("src"))?;
    let raw = source.value;
    let value = unescape(&raw).unwrap_or_else(|_| raw.as_ref().into());
    entry(value.as_bytes())
}

/// The text of the first `location` of each `track` element.
pub(super) fn xspf(text: &str) -> Vec<Entry> {
    let mut reader = reader(text);
    let mut entries = Vec::new();
    let mut location: Option<String> = None;
    let mut wanted = false;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => match element.local_name().as_ref() {
                "track" => wanted = true,
                "location" if wanted => location = Some(String::new()),
                _ => {}
            },
            Event::Text(part) => {
                if let Some(location) = &mut location {
                    location.push_str(&part.into_inner());
                }
            }
            Event::CData(part) => {
                if let Some(location) = &mut location {
                    location.push_str(&part.into_inner());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(location) = &mut location {
                    push_reference(location, &reference);
                }
            }
            Event::End(element) if element.local_name().as_ref() == "location" => {
                if let Some(found) = location.take().and_then(|location| entry(location.as_bytes())) {
                    entries.push(found);
                    wanted = false;
                }
            }
            Event::Eof => break,
            _ => {}
        }
        if entries.len() >= MAX_ENTRIES {
            break;
        }
    }
    entries
}

/// A character reference or one of XML's five entities; another one stays as it is written.
fn push_reference(location: &mut String, reference: &BytesRef<'_>) {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        location.push(character);
    } else if let Some(text) = resolve_predefined_entity(reference) {
        location.push_str(text);
    } else {
        location.push('&');
        location.push_str(reference);
        location.push(';');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wpl_as_players_write_it() {
        let text = r#"<?wpl version="1.0"?><smil><head><meta name="Generator" content="x"/></head><body><seq>
            <media src="..\Music\a &amp; b.mp3" tid="{1}"/><media src='C:\Users\ann\c.mp3'></media><MEDIA SRC="d.mp3"/>
            </seq></body></smil>"#;
        let entries: Vec<String> = wpl(text).iter().map(Entry::text).collect();
        assert_eq!(entries, ["..\\Music\\a & b.mp3", "C:\\Users\\ann\\c.mp3", "d.mp3"]);
    }

    #[test]
    fn xspf_takes_one_location_of_each_track() {
        let text = "<playlist xmlns='http://xspf.org/ns/0/'><location>http://x/list</location><trackList>
            <track><title>t</title><location>file:///m/a%20&amp;%20b.mp3</location><location>second</location></track>
            <track><location><![CDATA[c<d>.mp3]]></location></track><track><title>none</title></track></trackList>";
        let entries: Vec<String> = xspf(text).iter().map(Entry::text).collect();
        assert_eq!(entries, ["file:///m/a%20&%20b.mp3", "c<d>.mp3"]);
    }

    #[test]
    fn entities_of_a_document_are_not_expanded() {
        let text = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>
            <playlist><track><location>&a;&f;.mp3</location></track></playlist>";
        let entries: Vec<String> = xspf(text).iter().map(Entry::text).collect();
        assert_eq!(entries, ["&a;&f;.mp3"]);
    }
}
