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
    assert_eq!((&*found.title, &*found.artist), ("Feeling Good", "Nina Simone\u{1f}Hal Mooney"));
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

fn good_frames() -> Vec<u8> {
    [frame("TIT2", 0, b"\0Sinnerman"), frame("TPE1", 0, b"\0Nina"), frame("TCON", 0, b"\0(8)(17)")].concat()
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
fn one_bad_frame_costs_no_other() {
    let bad: [(&str, u16, &[u8]); 31] = [
        ("TYER", 0, b"\0c. 1975"),
        ("TYER", 0, b"\x002004/05"),
        ("TDRC", 0, b"\x002004/05/06"),
        ("TDRC", 0, b"\0c. 1975"),
        ("TDRC", 0, b"\x032004\x002005"),
        ("TDRL", 0, b"\0May 2004"),
        ("TDTG", 0, b"\0yesterday"),
        ("TALB", 0, b"\x01A\0l\0"),
        ("TALB", 0, b"\x01\xff\xfeA\0l"),
        ("TALB", 0, b"\x02\0A\0"),
        ("TALB", 0, b"\x03Caf\xe9"),
        ("TALB", 0, b"\x09text"),
        ("COMM", 0, b"\x01engA\0\0\0A\0"),
        ("COMM", 0, b"\x01eng\xff\xfe\0\0\xff\xfeA"),
        ("COMM", 0, b"\0e"),
        ("COMM", 0, b"\0"),
        ("USLT", 0, b"\0en"),
        ("POPM", 0, b"me"),
        ("POPM", 0, b""),
        ("ETCO", 0, b"\x02"),
        ("ETCO", 0, b""),
        ("OWNE", 0, b"\0"),
        ("CHAP", 0, b"c\0\0"),
        ("IPLS", 0, b"\x01a"),
        ("TIPL", 0, b"\x03a\xff"),
        ("TXXX", 0, b"\x07a\0b"),
        ("TXXX", 0, b"\x01a"),
        ("TALB", 0x0080, b"\0\0\0\x04no zlib"),
        ("TALB", 0x0040, b"\x01secret"),
        ("TALB", 0x0008, b"\0\0\0\x04no zlib"),
        ("TALB", 0x0004, b"\x01secret"),
    ];
    for (id, flags, body) in bad {
        for version in [3, 4] {
            for frames in [[good_frames(), frame(id, flags, body)], [frame(id, flags, body), good_frames()]] {
                let found = tags(&tagged(version, &frames.concat()), "x.mp3");
                let texts = (&*found.title, &*found.artist, &*found.genre);
                assert_eq!(
                    texts,
                    ("Sinnerman", "Nina", "Jazz\u{1f}Rock"),
                    "{id} {body:?} in version {version}"
                );
                assert!((400..600).contains(&found.duration_ms), "{id} {body:?}: {} ms", found.duration_ms);
            }
        }
    }
}

#[test]
fn what_a_bad_frame_says_is_still_read_where_it_can_be() {
    for (id, body, date) in [
        ("TDRC", &b"\x002004/05/06"[..], "2004-05-06"),
        ("TDRC", b"\0c. 1975", "1975"),
        ("TDRC", b"\x032004\x002005", "2004"),
        ("TDRL", b"\0May 2004", "2004"),
        ("TDTG", b"\0yesterday", ""),
    ] {
        assert_eq!(tags(&tagged(4, &frame(id, 0, body)), "x.mp3").date, date);
    }
    for body in [
        &b"\x01C\0a\0f\0\xe9\0"[..],
        b"\x01\0C\0a\0f\0\xe9",
        b"\x01\xfe\xff\0C\0a\0f\0\xe9\0",
        b"\x03Caf\xe9",
    ] {
        assert_eq!(tags(&tagged(3, &frame("TALB", 0, body)), "x.mp3").album, "Café", "{body:?}");
    }
    let comment = frame("COMM", 0, b"\x01eng\xff\xfe\0\0\xff\xfeh\0i\0!");
    let note = frame("COMM", 0, b"\0engiTunNORM\0 0001");
    assert_eq!(tags(&tagged(3, &[note, comment].concat()), "x.mp3").comment, "hi");
    let large = [frame("TDRC", 0, b"\0never"), frame("TIT2", 0, &[b"\0".to_vec(), vec![b'x'; 200]].concat())];
    assert_eq!(
        tags(&tagged(4, &large.concat()), "a.mp3").title,
        "x".repeat(200),
        "a size with eight bits in a byte"
    );
}

#[test]
fn a_picture_is_found_beside_a_bad_frame() {
    let cover =
        |kind: u8, bytes: &[u8]| frame("APIC", 0, &[b"\0image/png\0", &[kind][..], b"\0", bytes].concat());
    let frames =
        [frame("TDRC", 0, b"\0never"), cover(0, b"\x89PNG other"), cover(3, b"\x89PNG front")].concat();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&tagged(3, &frames)).unwrap();
    assert_eq!(picture(&file, b"x.mp3").unwrap(), b"\x89PNG front");
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
    let broken = behind(&frame("TDRC", 0, b"\0never"), &[&ape(&[("Title", long)])]);
    assert_eq!(broken.title, long, "also behind a tag that the parser refuses");
    let mut bad_ape = ape(&[("Title", "x")]);
    let value = bad_ape.iter().position(|byte| *byte == b'x').unwrap();
    bad_ape[value] = 0xff;
    let bad = behind(b"", &[&bad_ape]);
    assert!((400..600).contains(&bad.duration_ms), "a bad APE tag costs {} ms", bad.duration_ms);
}

#[test]
fn wma_files_have_tags_a_duration_and_a_picture() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&asf::tests::sample()).unwrap();
    for name in ["x.wma", "x.mp3"] {
        let found = read(&file, name.as_bytes());
        assert_eq!((found.mime, found.duration_ms, found.bitrate), ("audio/x-ms-wma", 3000, 128), "{name}");
        assert_eq!((&*found.title, &*found.artist), ("Sinnerman", "Nina\u{1f}Hal"));
        assert_eq!((&*found.album, &*found.album_artist), ("Pastel Blues", "Nina Simone"));
        assert_eq!((&*found.date, found.track_number, found.disc_number), ("1965", 9, 1));
        assert_eq!(picture(&file, name.as_bytes()).unwrap(), b"\x89PNG front");
    }
}

#[test]
fn a_value_that_is_told_twice_is_one() {
    assert_eq!(tags(&tagged(3, &frame("TCON", 0, b"\0(17)Rock")), "x.mp3").genre, "Rock");
    let frames = [frame("TCON", 0, b"\0(17)Rock"), frame("TDRC", 0, b"\0never")].concat();
    assert_eq!(tags(&tagged(3, &frames), "x.mp3").genre, "Rock");
    assert_eq!(
        tags(&samples::flac(&["GENRE=Jazz", "GENRE=jazz", "GENRE=Soul"]), "x.flac").genre,
        "Jazz\u{1f}Soul"
    );
    assert_eq!(genres("((odd) thing"), ["(odd) thing"]);
    assert_eq!(genres("(RX)(999)"), ["Remix", "(999)"]);
}

proptest! {
    #[test]
    fn any_bytes_behind_a_header_are_read_or_not(version in 2u8..5, flags: u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let tag = [&[b'I', b'D', b'3', version, 0, flags, 0, 0, 1, 0x7f][..], &bytes].concat();
        let room = bytes.len() * 3;
        prop_assert!(id3::values(&tag).iter().map(|(_, text)| text.len()).sum::<usize>() <= room);
        prop_assert!(id3::picture(&tag).is_none_or(|picture| picture.len() <= bytes.len()));
    }

    #[test]
    fn damaged_frames_leave_a_track(version in 2u8..5, at in 0usize..200, bytes in prop::collection::vec(any::<u8>(), 1..8)) {
        let picture = frame("APIC", 0, b"\x01image/png\0\x03\xff\xfe\0\0\x89PNG");
        let frames = [good_frames(), frame("COMM", 0, b"\x01eng\xff\xfe\0\0\xff\xfeh\0i\0"), frame("TDRC", 0, b"\x032004"), picture];
        let mut tag = samples::id3v2(version, &frames.concat());
        let at = at % tag.len();
        let end = (at + bytes.len()).min(tag.len());
        tag.splice(at..end, bytes);
        let room = tag.len() * 3;
        prop_assert!(id3::values(&tag).iter().map(|(_, text)| text.len()).sum::<usize>() <= room);
        let _ = id3::picture(&tag);
    }
}
