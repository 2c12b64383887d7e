//! What is read of whole files, whatever is wrong with them.

use super::*;
use crate::samples;
use proptest::prelude::*;
use std::io::Write;

fn tags(content: &[u8], name: &str) -> Tags {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    read(&file, name.as_bytes())
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
        for name in
            ["song.flac", "song.mp3", "song.ogg", "song.m4a", "song.wma", "song.wav", "song.ape", "song.dsf"]
        {
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

/// A frame of ID3v2.3 or ID3v2.4 with these flags.
fn frame(id: &str, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [id.as_bytes(), &length, &flags.to_be_bytes(), body].concat()
}

/// An APEv2 tag without a header, as it is behind the audio of an MP3 file.
fn ape(items: &[(&str, &str)]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let item = |(key, value): &(&str, &str)| {
        [&number(value.len())[..], &[0; 4], key.as_bytes(), b"\0", value.as_bytes()].concat()
    };
    let content: Vec<u8> = items.iter().flat_map(item).collect();
    let footer =
        [b"APETAGEX", &number(2000)[..], &number(content.len() + 32), &number(items.len()), &[0; 12]]
            .concat();
    [content, footer].concat()
}

/// Silence of half a second behind a tag with these frames.
fn tagged(version: u8, frames: &[u8]) -> Vec<u8> {
    let silence = samples::mp3("", "");
    let begin = silence.windows(2).position(|pair| pair == [0xff, 0xfb]).unwrap();
    [&samples::id3v2(version, frames), &silence[begin..]].concat()
}

#[test]
fn each_tag_fills_what_those_before_it_leave_empty() {
    let id3v1 = |title: &str, album: &str| {
        let field = |text: &str, length: usize| {
            let mut field = text.as_bytes().to_vec();
            field.resize(length, 0);
            field
        };
        [&b"TAG"[..], &field(title, 30), &field("Nina", 30), &field(album, 30), b"1965", &[0; 30], &[8]]
            .concat()
    };
    let gain = frame("TXXX", 0, b"\0replaygain_track_gain\0-3 dB");
    let long = "A title that is longer than thirty letters";
    let behind =
        |frames: &[u8], rest: &[&[u8]]| tags(&[&tagged(3, frames), &*rest.concat()].concat(), "x.mp3");
    for frames in [gain, frame("TSSE", 0, b"\0Lavf"), frame("PRIV", 0, b"WM/x\0abc")] {
        let found = behind(&frames, &[&id3v1(&long[..30], "Wild")]);
        assert_eq!((&*found.title, &*found.artist, &*found.date), (&long[..30], "Nina", "1965"));
        let found = behind(&frames, &[&ape(&[("Title", long)]), &id3v1(&long[..30], "Wild")]);
        assert_eq!((&*found.title, &*found.artist, &*found.album), (long, "Nina", "Wild"));
    }
    let found = behind(&frame("TIT2", 0, b"\0Mine"), &[&ape(&[("Title", long), ("Album", "Its")])]);
    assert_eq!((&*found.title, &*found.album), ("Mine", "Its"));
}

#[test]
fn a_value_that_is_told_twice_is_one() {
    assert_eq!(tags(&tagged(3, &frame("TCON", 0, b"\0(17)Rock")), "x.mp3").genre, "Rock");
    assert_eq!(
        tags(&samples::flac(&["GENRE=Jazz", "GENRE=jazz", "GENRE=Soul"]), "x.flac").genre,
        "Jazz; Soul"
    );
}
