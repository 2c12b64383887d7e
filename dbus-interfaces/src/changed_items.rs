//! Control code `WMP1` byte by byte: what is asked, and what is answered. Pure; nothing here knows a device.

/// Bytes of an answer at most.
pub const MOST_IN_ANSWER: usize = 327_700;

/// Flag of an answer: items were deleted that it can't name.
pub const UNREPORTED_DELETED: u32 = 1;

/// Flag of an answer: items were changed or added that it can't name.
pub const UNREPORTED_CHANGED: u32 = 2;

/// Bytes before the paths.
const HEADER: usize = 20;

/// What is asked: items that were changed or deleted since a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The transaction that the caller knows; 0 for none.
    pub since: u32,
    /// The index of the first item to tell.
    pub first: u32,
}

impl Question {
    /// From a call's bytes; `None` where they are something else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks();
        let [since, first] = numbers else { return None };
        rest.is_empty().then(|| Self { since: u32::from_le_bytes(*since), first: u32::from_le_bytes(*first) })
    }

    /// As a call has it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [self.since.to_le_bytes(), self.first.to_le_bytes()].concat()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedItems {
    /// What to ask by the next time; 0 where no record is kept.
    pub transaction: u32,
    /// How many items an answer from a later index tells.
    pub left: u32,
    /// Flags: [`UNREPORTED_DELETED`], [`UNREPORTED_CHANGED`].
    pub flags: u32,
    /// Paths of items that were changed or added.
    pub changed: Vec<String>,
    /// Paths of items that are gone.
    pub deleted: Vec<String>,
}

impl ChangedItems {
    /// From an answer's bytes.
    ///
    /// # Errors
    /// What can't be about them.
    pub fn parse(answer: &[u8]) -> Result<Self, String> {
        let fits = answer.len() <= MOST_IN_ANSWER;
        let split = answer.split_at_checked(HEADER).filter(|_| fits);
        let (header, list) = split.ok_or_else(|| format!("{} bytes of changed items", answer.len()))?;
        let mut numbers = header.as_chunks().0.iter().copied().map(u32::from_le_bytes);
        let mut number = || numbers.next().unwrap_or_default();
        let (transaction, count, left, deleted_at, flags) =
            (number(), number(), number(), number(), number());
        let wrong = |what: &str| format!("{what} among {count} changed items");
        let (units, rest) = list.as_chunks();
        let units: Vec<u16> = units.iter().copied().map(u16::from_le_bytes).collect();
        let texts = match units.split_last() {
            _ if !rest.is_empty() => return Err(wrong("half a character")),
            // who tells nothing may leave the last one out
            None => &[],
            Some((0, texts)) if texts.last().is_none_or(|unit| *unit == 0) => texts,
            Some(_) => return Err(wrong("no end")),
        };
        let (mut changed, mut deleted, mut at, mut is_placed) = (Vec::new(), Vec::new(), 0, false);
        for text in texts.split_inclusive(|unit| *unit == 0) {
            let path = String::from_utf16(&text[..text.len() - 1]);
            let path = path.map_err(|_| wrong("a path that is no text"))?;
            is_placed |= at == deleted_at as usize;
            if is_placed { &mut deleted } else { &mut changed }.push(path);
            at += text.len();
        }
        if changed.len() + deleted.len() != count as usize {
            return Err(wrong(&format!("{} paths", changed.len() + deleted.len())));
        }
        if !is_placed && at != deleted_at as usize {
            return Err(wrong("no beginning of those that were deleted"));
        }
        Ok(Self { transaction, left, flags, changed, deleted })
    }

    /// As an answer has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let list = |paths: &[String]| -> Vec<u16> {
            paths.iter().flat_map(|path| path.encode_utf16().chain([0])).collect()
        };
        let (changed, deleted) = (list(&self.changed), list(&self.deleted));
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let count = length(self.changed.len() + self.deleted.len());
        let numbers = [self.transaction, count, self.left, length(changed.len()), self.flags];
        let units = changed.into_iter().chain(deleted).chain([0]);
        numbers.into_iter().flat_map(u32::to_le_bytes).chain(units.flat_map(u16::to_le_bytes)).collect()
    }

    /// Bytes that an item of this path takes in an answer.
    #[must_use]
    pub fn bytes_of(path: &str) -> usize {
        2 * (path.encode_utf16().count() + 1)
    }

    /// Bytes of an answer without any.
    pub const EMPTY: usize = HEADER + 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(numbers: [u32; 5], list: &str) -> Vec<u8> {
        let numbers = numbers.into_iter().flat_map(u32::to_le_bytes);
        numbers.chain(list.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    }

    #[test]
    fn questions_come_back() {
        let question = Question { since: 7, first: 0x0102_0304 };
        assert_eq!(question.to_bytes(), [7, 0, 0, 0, 4, 3, 2, 1]);
        assert_eq!(Question::parse(&question.to_bytes()), Some(question));
        assert!(Question::parse(&[0; 7]).is_none() && Question::parse(&[0; 9]).is_none());
        assert!(Question::parse(&[0; 12]).is_none());
    }

    #[test]
    fn answers_are_laid_out_as_windows_media_player_reads_them() {
        let told = ChangedItems {
            transaction: 7,
            left: 3,
            flags: 0,
            changed: vec!["a/b.mp3".to_owned()],
            deleted: vec!["\u{e9}\u{1f3b5}".to_owned()],
        };
        let bytes = answer([7, 2, 3, 8, 0], "a/b.mp3\0\u{e9}\u{1f3b5}\0\0");
        assert_eq!(told.to_bytes(), bytes);
        assert_eq!(ChangedItems::parse(&bytes), Ok(told.clone()));
        let size = |told: &ChangedItems| {
            let paths = told.changed.iter().chain(&told.deleted);
            ChangedItems::EMPTY + paths.map(|path| ChangedItems::bytes_of(path)).sum::<usize>()
        };
        assert_eq!(size(&told), bytes.len());
        let none = ChangedItems { transaction: 1, flags: 2, ..ChangedItems::default() };
        assert_eq!(none.to_bytes(), answer([1, 0, 0, 0, 2], "\0"));
        assert_eq!(ChangedItems::parse(&none.to_bytes()[..20]), Ok(none));
    }

    #[test]
    fn what_an_answer_cannot_be_is_refused() {
        for (numbers, list) in [
            ([7, 2, 0, 0, 0], "a\0\0"),
            ([7, 0, 0, 0, 0], "a\0\0"),
            ([7, 1, 0, 1, 0], "ab\0\0"),
            ([7, 1, 0, 4, 0], "ab\0\0"),
            ([7, 1, 0, 0, 0], "ab\0"),
            ([7, 1, 0, 0, 0], "ab"),
        ] {
            assert!(ChangedItems::parse(&answer(numbers, list)).is_err(), "{numbers:?} {list:?}");
        }
        let mut odd = answer([7, 0, 0, 0, 0], "\0");
        odd.push(0);
        assert!(ChangedItems::parse(&odd).is_err());
        let mut broken = answer([7, 1, 0, 0, 0], "");
        broken.extend([0x00, 0xD8, 0, 0, 0, 0]);
        assert!(ChangedItems::parse(&broken).is_err(), "half of a pair");
        assert!(ChangedItems::parse(&[0; 19]).is_err());
        assert!(ChangedItems::parse(&answer([7, 200_000, 0, 0, 0], &"a\0".repeat(200_000))).is_err());
    }
}
