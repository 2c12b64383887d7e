//! Which devices are there and what their models have answered; starts the asking of those that are new, and tells of all.
//!
//! It waits for nothing: what a device answers is an event, like what udev tells. Devices of one model are asked one at a
//! time, so that an answer serves them all.

use super::cache::{self, Cache, Model};
use super::{Asker, Inquiry, reports};
use crate::facts::UsbDeviceFacts;
use crate::tracker::{Facts, Sighting};
use crate::usb::{Answer, Verdict, classify_usb};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// What came to its end.
pub(crate) enum Done {
    /// A device has answered, or could not be asked.
    Answered(Model, String, Result<Answer, String>),
    /// The answers are on disk, or can't be put there.
    Saved(Result<(), String>),
}

/// The USB devices there are.
pub(crate) struct Asking {
    asker: Arc<dyn Asker>,
    directory: Option<PathBuf>,
    cache: Cache,
    /// All devices by syspath.
    seen: BTreeMap<String, UsbDeviceFacts>,
    /// Devices that could not be asked, and why; they are not tried again while they stay.
    failed: BTreeMap<String, String>,
    /// Models that are being asked.
    running: BTreeSet<Model>,
    tasks: JoinSet<Done>,
    is_saving: bool,
    is_saved: bool,
    inquiries: Vec<Inquiry>,
}

impl Asking {
    /// Asks by this asker; answers are kept in the directory, if there is one.
    pub(crate) fn new(asker: Arc<dyn Asker>, directory: Option<PathBuf>) -> Self {
        Self {
            asker,
            cache: directory.as_deref().map(Cache::load).unwrap_or_default(),
            directory,
            seen: BTreeMap::new(),
            failed: BTreeMap::new(),
            running: BTreeSet::new(),
            tasks: JoinSet::new(),
            is_saving: false,
            is_saved: true,
            inquiries: Vec::new(),
        }
    }

    /// Adds to a sighting what the models of its devices have answered, and starts asking those that haven't been.
    pub(crate) fn see(&mut self, sighting: Sighting) -> Sighting {
        match sighting {
            Sighting::All(all) => {
                let is_there = |syspath: &String| all.iter().any(|facts| facts.syspath() == syspath);
                self.seen.retain(|syspath, _| is_there(syspath));
                self.failed.retain(|syspath, _| is_there(syspath));
                Sighting::All(all.into_iter().map(|facts| self.add(facts)).collect())
            }
            Sighting::One(facts) => Sighting::One(Box::new(self.add(*facts))),
            Sighting::Gone(syspath) => {
                self.seen.remove(&syspath);
                self.failed.remove(&syspath);
                Sighting::Gone(syspath)
            }
        }
    }

    fn add(&mut self, facts: Facts) -> Facts {
        let Facts::Usb(facts, _) = facts else { return facts };
        let before = self.seen.insert(facts.syspath.clone(), facts.clone());
        if before.is_some_and(|before| before.address != facts.address) {
            self.failed.remove(&facts.syspath);
        }
        self.look_up(facts)
    }

    fn look_up(&mut self, facts: UsbDeviceFacts) -> Facts {
        let model = Model::of(&facts);
        let answer = self.cache.get(&model);
        if classify_usb(&facts, answer.as_ref()).verdict == Verdict::Ask
            && !self.failed.contains_key(&facts.syspath)
            && !self.running.contains(&model)
        {
            self.ask(model, facts.clone());
        }
        Facts::Usb(facts, answer)
    }

    fn ask(&mut self, model: Model, facts: UsbDeviceFacts) {
        let syspath = facts.syspath.clone();
        tracing::debug!(port = facts.usb.port, "a USB device is asked for its Microsoft OS descriptors");
        self.running.insert(model.clone());
        let answer = self.asker.ask(facts);
        self.tasks.spawn(async move { Done::Answered(model, syspath, answer.await) });
    }

    /// Waits for the next end; for ever when nothing is under way.
    pub(crate) async fn next(&mut self) -> Result<Done, JoinError> {
        match self.tasks.join_next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// What is to be seen anew after that.
    pub(crate) fn ended(&mut self, done: Result<Done, JoinError>) -> Vec<Sighting> {
        match done {
            Ok(Done::Answered(model, syspath, result)) => self.answered(&model, syspath, result),
            Ok(Done::Saved(result)) => {
                self.is_saving = false;
                if let Err(cause) = result {
                    tracing::warn!(
                        "what USB devices have answered could not be kept; they are asked again after the next start: {cause}"
                    );
                }
                self.save();
                Vec::new()
            }
            Err(failure) => {
                tracing::error!("asking a USB device failed: {failure}");
                Vec::new()
            }
        }
    }

    fn answered(&mut self, model: &Model, syspath: String, result: Result<Answer, String>) -> Vec<Sighting> {
        self.running.remove(model);
        match result {
            Ok(answer) => {
                self.cache.put(model.clone(), &answer);
                self.is_saved = false;
                self.save();
            }
            Err(cause) => {
                tracing::debug!(syspath, "a USB device could not be asked what it is: {cause}");
                if self.seen.contains_key(&syspath) {
                    self.failed.insert(syspath, cause);
                }
            }
        }
        let alike: Vec<UsbDeviceFacts> =
            self.seen.values().filter(|facts| Model::of(facts) == *model).cloned().collect();
        alike.into_iter().map(|facts| Sighting::One(Box::new(self.look_up(facts)))).collect()
    }

    /// Writes the answers down, once at a time and never on a thread that others wait for.
    fn save(&mut self) {
        let Some(directory) = self.directory.clone().filter(|_| !self.is_saved && !self.is_saving) else {
            return;
        };
        (self.is_saving, self.is_saved) = (true, true);
        let text = self.cache.text();
        self.tasks.spawn_blocking(move || {
            let saved = cache::save(&directory, &text);
            Done::Saved(saved.map_err(|error| format!("{}: {error}", directory.display())))
        });
    }

    /// Takes a question; those it names are asked anew if it wants that and they may be.
    pub(crate) fn inquire(&mut self, inquiry: Inquiry) {
        if inquiry.again {
            let named: Vec<UsbDeviceFacts> =
                self.seen.values().filter(|facts| inquiry.about.names(facts)).cloned().collect();
            for facts in named {
                let model = Model::of(&facts);
                let unsettled = classify_usb(&facts, None).verdict == Verdict::Ask;
                if unsettled && !self.running.contains(&model) {
                    self.failed.remove(&facts.syspath);
                    self.ask(model, facts);
                }
            }
        }
        self.inquiries.push(inquiry);
    }

    /// Answers the questions whose devices are not being asked themselves.
    pub(crate) fn reply(&mut self) {
        for inquiry in std::mem::take(&mut self.inquiries) {
            let named = || self.seen.values().filter(|facts| inquiry.about.names(facts));
            if named().any(|facts| self.running.contains(&Model::of(facts))) {
                self.inquiries.push(inquiry);
                continue;
            }
            let all = named().map(|facts| {
                let answer = self.cache.get(&Model::of(facts));
                let failed = self.failed.get(&facts.syspath).map(String::as_str);
                reports(facts, answer.as_ref(), failed, &classify_usb(facts, answer.as_ref()))
            });
            let all = all.collect();
            if inquiry.reply.send(all).is_err() {
                tracing::debug!("whoever asked about USB devices has gone");
            }
        }
    }
}

#[cfg(test)]
mod tests;
