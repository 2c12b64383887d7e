//! What the device in memory tells of its changes: it compares what is there with what was there when it was
//! asked the last time.

use std::collections::BTreeMap;

/// Its record.
#[derive(Debug)]
pub(in crate::providers) struct Changes {
    /// Whether it keeps one.
    pub(in crate::providers) are_told: bool,
    /// Items that one answer holds.
    pub(in crate::providers) at_once: usize,
    /// Paths that begin so are never told.
    pub(in crate::providers) leaves_out: Option<&'static str>,
    /// Flags of each answer.
    pub(in crate::providers) flags: u32,
    pub(in crate::providers) transaction: u32,
    there: BTreeMap<String, String>,
    /// The transaction of each item's last change, and whether that was its deletion.
    record: BTreeMap<String, (u32, bool)>,
}

impl Default for Changes {
    fn default() -> Self {
        let (there, record) = (BTreeMap::new(), BTreeMap::new());
        Self { are_told: true, at_once: 3, leaves_out: None, flags: 0, transaction: 1, there, record }
    }
}

impl Changes {
    /// The answer to `WMP1`, with what is there now.
    pub(super) fn answer(&mut self, input: &[u8], now: BTreeMap<String, String>) -> Vec<u8> {
        let mut changes: BTreeMap<String, bool> = BTreeMap::new();
        changes.extend(self.there.keys().filter(|path| !now.contains_key(*path)).map(|p| (p.clone(), true)));
        let others = now.iter().filter(|(path, facts)| self.there.get(*path) != Some(facts));
        changes.extend(others.map(|(path, _)| (path.clone(), false)));
        let is_left_out = |path: &str| self.leaves_out.is_some_and(|begin| path.starts_with(begin));
        changes.retain(|path, _| !is_left_out(path));
        self.transaction += u32::from(!changes.is_empty());
        let transaction = self.transaction;
        self.record.extend(changes.into_iter().map(|(path, gone)| (path, (transaction, gone))));
        self.there = now;
        let number = |at: usize| u32::from_le_bytes(input[at..at + 4].try_into().unwrap());
        let (since, first) = (number(0), number(4) as usize);
        let told = self.record.iter().filter(|(_, (at, _))| *at > since);
        let (deleted, changed): (Vec<_>, Vec<_>) = told.partition(|(_, (_, gone))| *gone);
        let count = (changed.len() + deleted.len()).saturating_sub(first);
        let page: Vec<_> = changed.into_iter().chain(deleted).skip(first).take(self.at_once).collect();
        let (mut list, mut before) = (String::new(), 0);
        for (path, (_, gone)) in &page {
            list += &format!("{path}\0");
            before += if *gone { 0 } else { path.encode_utf16().count() + 1 };
        }
        list.push('\0');
        let numbers = [transaction as usize, page.len(), count - page.len(), before, self.flags as usize];
        let numbers = numbers.into_iter().flat_map(|number| u32::try_from(number).unwrap().to_le_bytes());
        numbers.chain(list.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    }
}
