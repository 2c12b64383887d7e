//! Valid, silent audio files made in memory: MP3 with ID3v2.3, FLAC with Vorbis comments, WAV with an INFO list. Pure
//! functions; any size can be had, by padding that each format defines.

/// What the tags of a file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags<'a> {
    /// The track's artist.
    pub artist: &'a str,
    /// The album.
    pub album: &'a str,
    /// The track's title.
    pub title: &'a str,
}

/// An MP3 file: an ID3v2.3 tag with `padding` bytes of padding, and silent frames of MPEG 1 layer III.
///
/// # Panics
/// When `padding` is more than the 256 MiB that a tag can hold.
#[must_use]
pub(crate) fn mp3(tags: &Tags<'_>, padding: u64) -> Vec<u8> {
    let mut frames = Vec::new();
    for (id, text) in [(b"TIT2", tags.title), (b"TPE1", tags.artist), (b"TALB", tags.album)] {
        let mut body = vec![1, 0xff, 0xfe];
        body.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        frames.extend(id);
        frames.extend(length_u32(body.len()).to_be_bytes());
        frames.extend([0, 0]);
        frames.extend(body);
    }
    frames.resize(frames.len() + length(padding), 0);
    let size = length_u32(frames.len());
    assert!(size < 1 << 28, "an ID3v2 tag holds less than 256 MiB, {size} bytes were asked for");
    let syncsafe = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
    let mut file = b"ID3\x03\0\0".to_vec();
    file.extend(syncsafe);
    file.extend(frames);
    for _ in 0..8 {
        // 32 kbit/s, 44.1 kHz, mono: 104 bytes, all of whose side information is "silence".
        let mut frame = [0; 104];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x10, 0xc4]);
        file.extend(frame);
    }
    file
}

/// A FLAC file: one silent frame, Vorbis comments, and `padding` bytes in padding blocks.
#[must_use]
pub(crate) fn flac(tags: &Tags<'_>, padding: u64) -> Vec<u8> {
    const BLOCK: u64 = (1 << 24) - 1;
    let mut file = b"fLaC".to_vec();
    let mut info = Vec::new();
    info.extend([0x10, 0, 0x10, 0, 0, 0, 11, 0, 0, 11]);
    // 44100 Hz in 20 bits, mono, 16 bits a sample, 4096 samples in 36 bits.
    info.extend((44_100u64 << 44 | 15 << 36 | 4096).to_be_bytes());
    info.resize(34, 0);
    flac_block(&mut file, 0, &info);
    let mut comments = length_u32("kit".len()).to_le_bytes().to_vec();
    comments.extend(b"kit");
    comments.extend(3u32.to_le_bytes());
    for (name, text) in [("TITLE", tags.title), ("ARTIST", tags.artist), ("ALBUM", tags.album)] {
        let comment = format!("{name}={text}");
        comments.extend(length_u32(comment.len()).to_le_bytes());
        comments.extend(comment.into_bytes());
    }
    flac_block(&mut file, 4, &comments);
    let mut left = padding;
    while left > 0 {
        flac_block(&mut file, 1, &vec![0; length(left.min(BLOCK))]);
        left = left.saturating_sub(BLOCK);
    }
    flac_block(&mut file, 0x81, &[]);
    let mut frame = vec![0xff, 0xf8, 0xc9, 0x08, 0];
    frame.push(crc8(&frame));
    frame.extend([0, 0, 0]);
    frame.extend(crc16(&frame).to_be_bytes());
    file.extend(frame);
    file
}

/// A WAV file: 8-bit silence of at least `padding` bytes, and an INFO list.
#[must_use]
pub(crate) fn wav(tags: &Tags<'_>, padding: u64) -> Vec<u8> {
    let mut list = b"INFO".to_vec();
    for (id, text) in [(b"INAM", tags.title), (b"IART", tags.artist), (b"IPRD", tags.album)] {
        let mut body = text.as_bytes().to_vec();
        body.push(0);
        riff_chunk(&mut list, id, &body);
    }
    let mut body = b"WAVE".to_vec();
    let mut format = vec![1, 0, 1, 0];
    format.extend(8000u32.to_le_bytes());
    format.extend(8000u32.to_le_bytes());
    format.extend([1, 0, 8, 0]);
    riff_chunk(&mut body, b"fmt ", &format);
    riff_chunk(&mut body, b"LIST", &list);
    riff_chunk(&mut body, b"data", &vec![0x80; length(padding) + 800]);
    let mut file = Vec::new();
    riff_chunk(&mut file, b"RIFF", &body);
    file
}

fn length(size: u64) -> usize {
    usize::try_from(size).expect("test files fit into memory")
}

fn length_u32(size: usize) -> u32 {
    u32::try_from(size).expect("test files are smaller than 4 GiB")
}

fn flac_block(file: &mut Vec<u8>, kind: u8, body: &[u8]) {
    file.push(kind);
    file.extend(&length_u32(body.len()).to_be_bytes()[1..]);
    // The last block is an empty one of padding, so that the flag "last" has one place.
    file.extend(body);
}

fn riff_chunk(file: &mut Vec<u8>, id: &[u8; 4], body: &[u8]) {
    file.extend(id);
    file.extend(length_u32(body.len()).to_le_bytes());
    file.extend(body);
    if body.len() % 2 == 1 {
        file.push(0);
    }
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc: u16, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 }
            },
        )
    })
}
