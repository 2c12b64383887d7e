//! Reads a file as tag parsers do, which jump between its start and its end: seeking asks the kernel nothing, and what
//! was read around the last two places stays at hand.
//!
//! The file's length is that of the moment it was opened; what is cut off meanwhile reads as its end.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes that one window holds. Longer reads go past the windows.
const SIZE: usize = 4 * 1024;

/// A piece of the file.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn after(&self, position: u64) -> &[u8] {
        let skipped = position.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.bytes.get(skipped..)).unwrap_or_default()
    }
}

/// A file with two windows on it.
pub(super) struct Windowed<'a> {
    file: &'a File,
    /// Where in the file the first byte is.
    begin: u64,
    length: u64,
    position: u64,
    /// The one used last comes first.
    windows: [Window; 2],
}

impl<'a> Windowed<'a> {
    /// Reads this part of a file as if it were all of it.
    pub(super) fn new(file: &'a File, part: Range<u64>) -> Self {
        let length = part.end.saturating_sub(part.start);
        Self { file, begin: part.start, length, position: 0, windows: Default::default() }
    }

    /// Puts a window where the next read is; at the file's end one that holds as much as it can of what comes before.
    fn fill(&mut self) -> Result<()> {
        let most_of_the_end = self.length.saturating_sub(SIZE as u64);
        let start = self.position.min(most_of_the_end);
        self.windows.swap(0, 1);
        let window = &mut self.windows[0];
        window.start = start;
        window.bytes.resize(SIZE, 0);
        let mut filled = 0;
        while filled < SIZE {
            match self.file.read_at(&mut window.bytes[filled..], self.begin + start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    window.bytes.clear();
                    return Err(error);
                }
            }
        }
        let most = usize::try_from(self.length - start).unwrap_or(SIZE);
        window.bytes.truncate(filled.min(most));
        Ok(())
    }
}

impl Read for Windowed<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.position >= self.length {
            return Ok(0);
        }
        if self.windows[0].after(self.position).is_empty() {
            if !self.windows[1].after(self.position).is_empty() {
                self.windows.swap(0, 1);
            } else if into.len() >= SIZE {
                let most = usize::try_from(self.length - self.position).unwrap_or(usize::MAX);
                let most = most.min(into.len());
                let count = self.file.read_at(&mut into[..most], self.begin + self.position)?;
                self.position += count as u64;
                return Ok(count);
            } else {
                self.fill()?;
            }
        }
        let found = self.windows[0].after(self.position);
        let count = found.len().min(into.len());
        into[..count].copy_from_slice(&found[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Windowed<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        // the kernel's files have no later place either
        let position = position.filter(|position| i64::try_from(*position).is_ok());
        self.position = position
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "there is no such place in a file"))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn file_of(length: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..length).map(|place| u8::try_from(place * 7 % 251).unwrap()).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn it_reads_what_a_file_reads(
            length in prop::sample::select(vec![0usize, 1, 100, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE + 77]),
            steps in prop::collection::vec((0u8..4, -60_000i64..60_000, 0usize..40_000), 1..25),
        ) {
            let mut file = file_of(length);
            let shared = file.try_clone().unwrap();
            let mut windowed = Windowed::new(&shared, 0..length as u64);
            file.rewind().unwrap();
            for (how, by, count) in steps {
                let to = match how {
                    0 => SeekFrom::Start(by.unsigned_abs()),
                    1 => SeekFrom::End(-by.abs()),
                    2 => SeekFrom::Current(by),
                    _ => SeekFrom::Current(0),
                };
                let (theirs, ours) = (file.seek(to), windowed.seek(to));
                prop_assert_eq!(theirs.as_ref().ok(), ours.as_ref().ok());
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                (&mut file).take(count as u64).read_to_end(&mut expected).unwrap();
                (&mut windowed).take(count as u64).read_to_end(&mut found).unwrap();
                prop_assert_eq!(expected, found);
            }
        }
    }

    #[test]
    fn a_part_is_read_as_all_there_is() {
        let file = file_of(5 * SIZE);
        for part in [10..20, 7..SIZE, SIZE..4 * SIZE - 3] {
            let (mut expected, mut found) = (vec![0; part.len()], Vec::new());
            file.read_exact_at(&mut expected, part.start as u64).unwrap();
            let mut windowed = Windowed::new(&file, part.start as u64..part.end as u64);
            windowed.read_to_end(&mut found).unwrap();
            assert_eq!(found, expected);
            found.clear();
            windowed.seek(SeekFrom::End(-5)).unwrap();
            windowed.read_to_end(&mut found).unwrap();
            assert_eq!(found, expected[expected.len() - 5..]);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_meanwhile_ends_there() {
        let file = file_of(3 * SIZE);
        let mut windowed = Windowed::new(&file, 0..3 * SIZE as u64);
        file.set_len(10).unwrap();
        let mut found = Vec::new();
        windowed.read_to_end(&mut found).unwrap();
        assert_eq!(found.len(), 10);
        windowed.seek(SeekFrom::End(-5)).unwrap();
        assert_eq!(windowed.read(&mut [0; 5]).unwrap(), 0);
    }
}
