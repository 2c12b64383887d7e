//! Bytes of objects in memory, where blocks of zeros take no room: objects of many gigabytes can be sent in tests.
//!
//! It must not know what the bytes are.

/// Bytes of a block.
const BLOCK: usize = 64 << 10;

/// What a block that isn't there holds.
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Bytes with a length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// `None` is a block of zeros.
    blocks: Vec<Option<Box<[u8]>>>,
    length: u64,
}

impl Content {
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Writes; a gap before `offset` is zeros.
    pub(super) fn write_at(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut at = offset;
        self.length = self.length.max(offset.saturating_add(bytes.len() as u64));
        self.blocks.resize(blocks_of(self.length), None);
        while !bytes.is_empty() {
            let (index, within) = place(at);
            let count = (BLOCK - within).min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            let block = &mut self.blocks[index];
            if block.is_some() || now != &ZEROS[..count] {
                let block = block.get_or_insert_with(|| vec![0; BLOCK].into_boxed_slice());
                block[within..within + count].copy_from_slice(now);
            }
            at += count as u64;
            bytes = rest;
        }
    }

    /// At most `limit` bytes from `offset` on, fewer at the end.
    pub(super) fn read_at(&self, offset: u64, limit: usize) -> Vec<u8> {
        let count = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX).min(limit);
        let mut bytes = vec![0; count];
        let mut done = 0;
        while done < count {
            let (index, within) = place(offset + done as u64);
            let part = (BLOCK - within).min(count - done);
            if let Some(block) = &self.blocks[index] {
                bytes[done..done + part].copy_from_slice(&block[within..within + part]);
            }
            done += part;
        }
        bytes
    }

    /// Cuts, or extends with zeros.
    pub(super) fn resize(&mut self, length: u64) {
        self.blocks.resize(blocks_of(length), None);
        let (index, within) = place(length);
        if length < self.length
            && let Some(Some(block)) = self.blocks.get_mut(index)
        {
            block[within..].fill(0);
        }
        self.length = length;
    }
}

fn blocks_of(length: u64) -> usize {
    usize::try_from(length.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX)
}

fn place(offset: u64) -> (usize, usize) {
    let index = usize::try_from(offset / BLOCK as u64).unwrap_or(usize::MAX);
    // a remainder of 65536 fits
    (index, (offset % BLOCK as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_as_a_vector(
            writes in vec((0u64..200_000, vec(0u8..3, 0..300)), 0..6), cut in 0u64..210_000
        ) {
            let mut model = Vec::new();
            let mut content = Content::default();
            for (offset, bytes) in &writes {
                let (from, to) = (*offset as usize, *offset as usize + bytes.len());
                if model.len() < to {
                    model.resize(to, 0);
                }
                model[from..to].copy_from_slice(bytes);
                content.write_at(*offset, bytes);
            }
            prop_assert_eq!(content.read_at(0, usize::MAX), &model[..]);
            model.resize(cut as usize, 0);
            content.resize(cut);
            content.resize(cut + 100_000);
            model.resize(cut as usize + 100_000, 0);
            prop_assert_eq!(content.read_at(0, usize::MAX), &model[..]);
            prop_assert_eq!(content.read_at(cut, 70_000), &model[cut as usize..][..70_000]);
        }
    }
}
