//! What a device tells of its changes: control code `WMP1`, on a record that its author keeps by naming what
//! changes.

use dbus_interfaces::changed_items::{
    ChangedItems, MOST_IN_ANSWER, Question, UNREPORTED_CHANGED, UNREPORTED_DELETED,
};
use dbus_interfaces::provider::Error;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Items that a record holds at most.
const MOST: usize = 100_000;

/// A record of what was changed and deleted on a device since it was begun, for [`Device::control`] to answer
/// `WMP1` from. Whoever offers it has to tell it of *every* change, also of those that the device's user makes:
/// the daemon doesn't look where nothing is told. Keep it as long as the provider runs, whoever opens the device.
///
/// [`Device::control`]: crate::Device::control
#[derive(Debug)]
pub struct Changes(Mutex<Record>);

#[derive(Debug)]
struct Record {
    /// The first transaction that it knows all changes since.
    since: u32,
    transaction: u32,
    /// Each item's last change, and whether that was its deletion.
    items: BTreeMap<String, (u32, bool)>,
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

impl Changes {
    /// An empty record. Its transactions begin where those of one that was begun some time before have not got to,
    /// unless that had more than one change a second.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = u32::try_from(now.as_secs()).unwrap_or(u32::MAX / 2).max(1);
        Self(Mutex::new(Record { since, transaction: since, items: BTreeMap::new() }))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder or file was made, written, renamed to this, moved to here, or told other metadata. The path is the names
    /// below its root storage with `/` between them.
    pub fn changed(&self, path: impl Into<String>) {
        self.record().note(path.into(), false);
    }

    /// A folder or file is gone, or has another name or place.
    pub fn deleted(&self, path: impl Into<String>) {
        self.record().note(path.into(), true);
    }

    /// Answers control code `WMP1`.
    ///
    /// # Errors
    /// `InvalidArgument` for what isn't a question.
    pub fn answer(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        let question = Question::parse(input);
        let question = question.ok_or_else(|| {
            Error::InvalidArgument(format!("{} bytes, where two 32-bit numbers are asked by", input.len()))
        })?;
        Ok(self.record().answer(question).to_bytes())
    }
}

impl Record {
    fn note(&mut self, path: String, gone: bool) {
        if self.items.len() >= MOST || self.transaction == u32::MAX {
            // those that knew it before are told that it begins anew
            self.items.clear();
            self.since = self.transaction.saturating_add(1);
        }
        self.transaction = self.transaction.saturating_add(1);
        self.items.insert(path, (self.transaction, gone));
    }

    fn answer(&self, Question { since, first }: Question) -> ChangedItems {
        let transaction = self.transaction;
        if since < self.since || since > transaction {
            let flags = UNREPORTED_CHANGED | UNREPORTED_DELETED;
            return ChangedItems { transaction, flags, ..ChangedItems::default() };
        }
        let told = self.items.iter().filter(|(_, (at, _))| *at > since);
        let (deleted, changed): (Vec<_>, Vec<_>) = told.partition(|(_, (_, gone))| *gone);
        let mut answer = ChangedItems { transaction, ..ChangedItems::default() };
        let mut size = ChangedItems::EMPTY;
        let mut rest = changed.into_iter().chain(deleted).skip(first as usize).peekable();
        while let Some((path, (_, gone))) = rest.next_if(|(path, _)| {
            size += ChangedItems::bytes_of(path);
            size <= MOST_IN_ANSWER
        }) {
            if *gone { &mut answer.deleted } else { &mut answer.changed }.push(path.clone());
        }
        answer.left = u32::try_from(rest.count()).unwrap_or(u32::MAX);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(changes: &Changes, since: u32, first: u32) -> ChangedItems {
        let answer = changes.answer(&Question { since, first }.to_bytes()).unwrap();
        ChangedItems::parse(&answer).unwrap()
    }

    #[test]
    fn an_item_is_told_by_its_last_change() {
        let changes = Changes::new();
        let begin = ask(&changes, 0, 0);
        assert_eq!((begin.changed.len(), begin.flags), (0, 3), "what was before isn't known");
        changes.changed("a");
        changes.changed("b/c");
        let middle = ask(&changes, begin.transaction, 0);
        assert_eq!((middle.changed, middle.flags), (vec!["a".to_owned(), "b/c".to_owned()], 0));
        changes.deleted("a");
        let last = ask(&changes, middle.transaction, 0);
        assert_eq!((last.changed.len(), last.deleted), (0, vec!["a".to_owned()]));
        assert!(last.transaction > middle.transaction);
        let again = ask(&changes, last.transaction, 0);
        assert_eq!(again, ChangedItems { transaction: last.transaction, ..ChangedItems::default() });
        let from_the_second = ask(&changes, begin.transaction, 1);
        assert_eq!((from_the_second.changed.len(), from_the_second.deleted.len()), (0, 1));
        assert_eq!(ask(&changes, last.transaction + 1, 0).flags, 3, "of another life");
        assert!(changes.answer(&[0; 7]).is_err());
    }

    #[test]
    fn more_than_an_answer_holds_is_told_by_more_of_them() {
        let changes = Changes::new();
        let begin = ask(&changes, 0, 0).transaction;
        let paths: Vec<String> = (0..3000).map(|number| format!("{}{number:04}", "x".repeat(100))).collect();
        for path in &paths {
            changes.changed(path.as_str());
        }
        let (mut told, mut answers) = (Vec::new(), 0);
        loop {
            let answer = ask(&changes, begin, u32::try_from(told.len()).unwrap());
            told.extend(answer.changed);
            answers += 1;
            if answer.left == 0 {
                break;
            }
        }
        assert_eq!((told, answers), (paths, 2));
    }

    #[test]
    fn a_record_that_is_full_begins_anew_and_says_so() {
        let changes = Changes::new();
        let begin = ask(&changes, 0, 0).transaction;
        for number in 0..=MOST {
            changes.changed(number.to_string());
        }
        assert_eq!(ask(&changes, begin, 0).flags, 3);
        let now = ask(&changes, 0, 0).transaction;
        changes.deleted("a");
        assert_eq!(ask(&changes, now, 0).deleted, ["a"]);
    }
}
