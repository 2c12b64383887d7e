//! Small music files for tests, made byte by byte, so that no encoder is needed.
//!
//! Shared by the unit tests and by the tests of the whole agent.

/// A FLAC file of three seconds with these Vorbis comments, such as `TITLE=x`.
pub(crate) fn flac(comments: &[&str]) -> Vec<u8> {
    flac_with(comments, None)
}

/// The same with a picture.
pub(crate) fn flac_with(comments: &[&str], picture: Option<&[u8]>) -> Vec<u8> {
    let mut file = b"fLaC".to_vec();
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    let samples: u64 = 44_100 * 3;
    // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples
    info.extend((44_100u64 << 44 | 1 << 41 | 15 << 36 | samples).to_be_bytes());
    info.extend([0; 16]);
    block(&mut file, 0, &info);
    let mut text = Vec::new();
    let put = |value: &str, text: &mut Vec<u8>| {
        text.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        text.extend(value.as_bytes());
    };
    put("tandem", &mut text);
    text.extend(u32::try_from(comments.len()).unwrap().to_le_bytes());
    comments.iter().for_each(|comment| put(comment, &mut text));
    if let Some(picture) = picture {
        let length = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
        let kind = b"image/png";
        let fields = [&length(3)[..], &length(kind.len()), kind, &[0; 20], &length(picture.len()), picture];
        block(&mut file, 6, &fields.concat());
    }
    block(&mut file, 0x84, &text);
    file.extend([0xff, 0xf8, 0xc9, 0x18, 0, 0xc2]);
    file.extend([0; 64]);
    file
}

fn block(file: &mut Vec<u8>, kind: u8, content: &[u8]) {
    file.push(kind);
    file.extend(&u32::try_from(content.len()).unwrap().to_be_bytes()[1..]);
    file.extend(content);
}

/// An MP3 file with an ID3v2.4 tag and a few silent frames of 128 kbit/s.
pub(crate) fn mp3(title: &str, artist: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    for (id, text) in [(b"TIT2", title), (b"TPE1", artist)] {
        frames.extend(id);
        frames.extend(syncsafe(text.len() + 1));
        frames.extend([0, 0, 3]);
        frames.extend(text.as_bytes());
    }
    let mut file = id3v2(4, &frames);
    for _ in 0..20 {
        file.extend([0xff, 0xfb, 0x90, 0xc4]);
        file.extend([0; 413]);
    }
    file
}

/// An ID3v2 tag of this version with these frames.
pub(crate) fn id3v2(version: u8, frames: &[u8]) -> Vec<u8> {
    [&[b'I', b'D', b'3', version, 0, 0][..], &syncsafe(frames.len()), frames].concat()
}

fn syncsafe(value: usize) -> [u8; 4] {
    let value = u32::try_from(value).unwrap();
    [21, 14, 7, 0].map(|shift| u8::try_from(value >> shift & 0x7f).unwrap())
}

/// A WAV file of a tenth of a second, without tags.
pub(crate) fn wav() -> Vec<u8> {
    let data = [0u8; 1600];
    let length = u32::try_from(data.len()).unwrap();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(8000u32.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

/// A PNG file of 8 by 8 pixels of one colour.
pub(crate) fn png(colour: [u8; 3]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 0 { 0 } else { 0xEDB8_8320 })
        })
    };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], content: &[u8]| {
        let body = [kind, content].concat();
        file.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        file.extend(&body);
        file.extend(crc(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0]);
    let row = [&[0][..], &colour.repeat(8)].concat();
    let rows = row.repeat(8);
    let length = u16::try_from(rows.len()).unwrap();
    // zlib, with one block that isn't compressed
    let sums = rows.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let stream = [
        &[0x78, 0x01, 1][..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        &rows,
        &(sums.1 << 16 | sums.0).to_be_bytes(),
    ];
    chunk(b"IDAT", &stream.concat());
    chunk(b"IEND", b"");
    file
}
