//! What is known of a provider's device from before it was opened: its changes are asked for, and what was
//! remembered of folders without any is gone by. Where that can't be, all is listed.
//!
//! It must not fail an opening, but where the provider has hung or gone.

use super::control::changed_items;
use super::fault::Fault;
use super::link::SLOW;
use super::memory::{Doubt, Memory, Past, Report, Slot};
use super::session::Session;
use dbus_interfaces::changed_items::Question;
use dbus_interfaces::provider::{CONTROL_CHANGED_ITEMS, DEVICE};
use std::collections::HashSet;
use std::time::Instant;
use tandem_model::error::PlayerError;
use tandem_model::player::ObjectFacts;

/// Items of one report at most, and answers that it comes in.
const MOST_CHANGED: u32 = 100_000;
const MOST_ANSWERS: u32 = 128;

/// What is known from before, and where it is left for later.
pub(super) struct Recall {
    slot: Slot,
    memory: Memory,
}

impl Session {
    /// Asks what has changed since this device was open the last time. It has to be asked before anything is
    /// listed: what changes after that is told the next time.
    pub(super) async fn recall(&mut self, slot: Slot, storage: &str, free: u64) -> Result<(), PlayerError> {
        let of = (self.peer.link.owner().to_owned(), storage.to_owned());
        let before = match slot.take() {
            Past::Lied(connection) if connection == of.0 => {
                slot.put(Past::Lied(connection));
                return Ok(());
            }
            Past::Listed(memory) if memory.of == of => Some(memory),
            _ => None,
        };
        let since = before.as_ref().map_or(0, |memory| memory.transaction);
        let report = match self.changes_since(since).await {
            Err(fault) if self.peer.link.is_lost() => {
                return Err(fault.told("asking what has changed", "the device"));
            }
            report => report,
        };
        self.recall = match (report, before) {
            (Ok(Report { transaction: 0, .. }), _) => None,
            (Ok(report), None) => Some(Recall { slot, memory: Memory::new(of, report.transaction, free) }),
            (Ok(report), Some(mut memory)) => match memory.hold(&report, free) {
                Err(Doubt::Lie(what)) => {
                    slot.put(lied(of.0, &what));
                    None
                }
                held => {
                    tracing::debug!(items = report.paths.len(), ?held, "the device tells what has changed");
                    Some(Recall { slot, memory })
                }
            },
            (Err(fault), _) => {
                tracing::debug!(?fault, "the device doesn't tell what has changed");
                None
            }
        };
        Ok(())
    }

    async fn changes_since(&self, transaction: u32) -> Result<Report, Fault> {
        let mut report: Option<Report> = None;
        let (mut first, begun) = (0_u32, Instant::now());
        for _ in 0..MOST_ANSWERS {
            if begun.elapsed() > self.peer.link.limit(SLOW) {
                return Err(Fault::Other("it takes long to tell what has changed".to_owned()));
            }
            let body = (CONTROL_CHANGED_ITEMS, Question { since: transaction, first }.to_bytes());
            let answer: Vec<u8> =
                self.peer.call(&self.peer.device, (DEVICE, "DeviceIoControl"), &body, SLOW).await?;
            let told = changed_items(&answer)?;
            let count = u32::try_from(told.changed.len() + told.deleted.len()).unwrap_or(u32::MAX);
            let report = report.get_or_insert_with(|| Report {
                transaction: told.transaction,
                is_complete: true,
                paths: HashSet::new(),
            });
            if report.transaction != told.transaction {
                return Err(Fault::Other("something has changed while changes were told".to_owned()));
            }
            report.is_complete &= told.flags == 0;
            report.paths.extend(told.changed.into_iter().chain(told.deleted));
            first = first.saturating_add(count);
            // of what came before anything is known, only the transaction counts
            if transaction == 0 || told.left == 0 {
                let (transaction, is_complete) = (report.transaction, report.is_complete);
                return Ok(Report { transaction, is_complete, paths: std::mem::take(&mut report.paths) });
            }
            if count == 0 || first > MOST_CHANGED {
                return Err(Fault::Lie(format!("that {} items more than {first} have changed", told.left)));
            }
        }
        Err(Fault::Other(format!("{first} changed items came in {MOST_ANSWERS} answers, and more are left")))
    }

    /// What is at a path, where that is known without listing its folder.
    pub(super) fn recalled(&self, path: &str) -> Option<Option<ObjectFacts>> {
        self.recall.as_ref()?.memory.facts(path, &self.tree)
    }

    /// A folder was listed: what was remembered of it has to be the same.
    pub(super) fn check_recalled(&mut self, path: &str) {
        if let Some(Recall { slot, memory }) =
            self.recall.take_if(|recall| !recall.memory.is_true(path, &self.tree))
        {
            let what = format!("the folder `{path}` is another, and isn't among what has changed");
            slot.put(lied(memory.of.0, &what));
        }
    }

    /// Leaves what is known for the next opening.
    pub(super) fn remember(&mut self) {
        if let Some(Recall { slot, memory }) = self.recall.take() {
            slot.put(memory.next(&self.tree).map_or(Past::Nothing, Past::Listed));
        }
    }
}

fn lied(connection: String, what: &str) -> Past {
    let what = super::fault::told(what);
    tracing::warn!(
        "the provider told what isn't true of changes on its device: {what}; all is listed each time"
    );
    Past::Lied(connection)
}
