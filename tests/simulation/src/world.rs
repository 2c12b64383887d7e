//! Plays a history: two computers, one library, one player. After each run it looks whether the record is true, and at the
//! end, after a run that nothing disturbs, whether everything is as the reference has it and stays so.

mod promise;

use crate::device::{Device, Node, Owner, Tree, hash};
use crate::event::{Event, Fault, Flavour, Harm, History, LibraryEdit};
use crate::host::{End, Host, OWNER, device_id};
use crate::library::playlist_id;
use crate::reference::{Look, Terms, record_is_true};
use crate::stage::Stage;
use crate::store::State;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tandem_engine::Setting;
use tandem_model::device::{Status, SyncState};
use tandem_model::error::ItemError;
use tandem_model::id::Guid;
use tandem_model::manifest::{Entry, EntryState, Intent, Origin};

/// The end of what a run says of a file that the user has changed.
const CHANGED: &str = "was changed on the device by someone else";

/// What came of a history.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What must not have happened; empty: all was well.
    pub violations: Vec<String>,
    /// How many runs there were.
    pub runs: u64,
    /// How many operations of the device and the store there were.
    pub operations: u64,
    /// Names of the operations, in their order.
    pub names: Vec<&'static str>,
    /// Tracks that count as deleted by the user at the end.
    pub skipped: usize,
    /// What a preview promised that the run after it did.
    pub promised: u64,
}

/// Plugs a player in, runs it and pulls it out, over and over, with `look` after each time; each time a song has come or
/// gone. Tells how many runs there were. The daemon is one and the same all the time.
///
/// # Panics
/// When something is wrong that a history would call a violation.
pub fn cycles(flavour: Flavour, count: u64, mut look: impl FnMut(u64)) -> u64 {
    let directory = crate::scratch();
    let history = History { flavour, clusters: 200, seed: 1, events: Vec::new() };
    let mut world = World::new(&history, Some(directory.path()));
    for number in 0..8 {
        world.happen(&Event::Library(LibraryEdit::Add { playlist: number % 2, size: 900 }));
    }
    for number in 0..count {
        world.happen(&Event::Library(LibraryEdit::Toggle { playlist: 0, track: 0 }));
        world.happen(&Event::Run(Vec::new()));
        world.collect("in a cycle");
        assert!(world.outcome.violations.is_empty(), "{:#?}", world.outcome.violations);
        world.hosts[0].seen.clear();
        world.stage.wire.forget_names();
        look(number);
    }
    world.outcome.runs
}

struct World {
    stage: Arc<Stage>,
    hosts: [Host; 2],
    terms: [Terms; 2],
    /// Whether the user wants a partnership with this computer.
    wants: [bool; 2],
    now: usize,
    connected: bool,
    /// What the user has deleted is wanted again at some time.
    includes_skipped: bool,
    /// Decides what happens after the end.
    seed: u64,
    outcome: Outcome,
}

/// Plays a history with state directories below `directory`, or with stores in memory.
#[must_use]
pub fn play(history: &History, directory: Option<&Path>) -> Outcome {
    let mut world = World::new(history, directory);
    for (number, event) in history.events.iter().enumerate() {
        world.happen(event);
        world.collect(&format!("after event {number}"));
        if !world.outcome.violations.is_empty() {
            break;
        }
    }
    if world.outcome.violations.is_empty() {
        world.finish();
    }
    world.outcome.names = world.stage.wire.names();
    world.outcome
}

impl World {
    fn new(history: &History, directory: Option<&Path>) -> Self {
        let device = Device::new(history.flavour, u64::from(history.clusters), history.seed);
        let stage = Arc::new(Stage::new(device));
        let state = |number: u64| {
            directory.map_or_else(State::in_memory, |path| State::Disk(path.join(number.to_string())))
        };
        let host = |number: u64| Host::new(number, state(number), Arc::clone(&stage));
        let terms = Terms { relationship: Guid::ZERO, assigned: [(0, 1), (1, 2)].into(), reserved: 0 };
        Self {
            hosts: [host(1), host(2)],
            stage,
            terms: [terms.clone(), terms],
            wants: [true; 2],
            now: 0,
            connected: false,
            includes_skipped: false,
            seed: history.seed,
            outcome: Outcome::default(),
        }
    }

    fn host(&mut self) -> &mut Host {
        &mut self.hosts[self.now]
    }

    fn wrong(&mut self, what: String) {
        self.outcome.violations.push(what);
    }

    /// Takes over what the player complains of.
    fn collect(&mut self, when: &str) {
        let violations = std::mem::take(&mut self.stage.device().violations);
        for violation in violations {
            self.wrong(format!("{when}: {violation}"));
        }
        if self.stage.wire.is_endless() {
            self.wrong(format!("{when}: the run does not end"));
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Library(edit) => {
                self.stage.edit_library(edit);
                self.settle_down();
            }
            Event::User(edit) => {
                let of_host =
                    |host: &Host| host.in_flight().into_iter().map(|path| (host.number, path)).collect();
                let in_flight: Vec<Vec<(u64, String)>> = self.hosts.iter().map(of_host).collect();
                let mut device = self.stage.device();
                let in_flight = in_flight.iter().flatten();
                device.in_flight = in_flight.map(|(host, path)| (*host, device.key(path))).collect();
                drop(device);
                self.stage.edit_device(edit);
            }
            Event::Assign { playlist, priority } => {
                self.assign(usize::from(*playlist) % 3, u32::from(*priority));
            }
            Event::Reserve(percent) => self.reserve(*percent),
            Event::Verify(verify) => self.verify_from_now_on(*verify),
            Event::IncludeSkipped => {
                self.includes_skipped = true;
                if self.is_partnered() {
                    self.host()
                        .ask(async |engine| engine.set(&device_id(), Setting::IncludeSkippedFiles).await);
                    self.settle_down();
                }
            }
            Event::Host(second) => {
                self.unplug();
                self.host().end();
                self.now = usize::from(*second);
                self.stage.device().host = self.hosts[self.now].number;
            }
            Event::Partner => self.wants[self.now] = true,
            Event::Part { remove } => self.part(*remove),
            Event::LoseManifest => self.lose_manifest(),
            Event::Restart => {
                self.unplug();
                self.host().end();
            }
            Event::Run(faults) => {
                self.run(faults.clone());
                self.unplug();
            }
            Event::Stay(faults) => self.run(faults.clone()),
        }
    }

    fn is_partnered(&self) -> bool {
        self.hosts[self.now].snapshot().is_some_and(|snapshot| snapshot.partnership.is_some())
    }

    /// Lets happen what a change brings about while the player is connected.
    fn settle_down(&mut self) {
        if self.connected {
            self.wait();
        }
    }

    fn wait(&mut self) {
        match self.host().quiet() {
            End::Quiet => {}
            End::Unplugged => {
                self.connected = false;
                self.stage.wire.unplug();
            }
            End::Killed => {
                self.connected = false;
                self.stage.wire.unplug();
                // the player may be pulled out before the daemon is there again
                let mut device = self.stage.device();
                if device.random.once_in(2) {
                    device.cut();
                }
            }
        }
        let is_stuck = self.hosts[self.now]
            .snapshot()
            .is_some_and(|snapshot| snapshot.connected && snapshot.sync_state != SyncState::Stopped);
        if is_stuck && !self.stage.wire.is_endless() {
            self.wrong("the daemon waits for something that never comes".to_owned());
        }
    }

    fn unplug(&mut self) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.stage.wire.unplug();
        self.stage.device().cut();
        self.host().depart();
        self.wait();
    }

    /// One connection, from the arrival until nothing happens any more.
    fn run(&mut self, faults: Vec<Fault>) {
        self.host().start();
        let is_read_back = self.hosts[self.now].snapshot().is_some_and(|known| known.verify);
        self.stage.device().is_read_back = is_read_back;
        let careful = self.trusted_before(&faults);
        let deleted = if faults.is_empty() { self.deleted_by_user() } else { Vec::new() };
        let before = self.items();
        let newest = self.newest_before(&faults);
        self.outcome.runs += 1;
        if self.connected {
            self.stage.wire.arm(faults);
            self.host().ask(async |engine| engine.start_sync(&device_id()).await);
        } else {
            self.stage.wire.plug(faults);
            self.connected = true;
            self.host().arrive();
        }
        self.wait();
        if self.connected && self.wants[self.now] {
            self.make_partnership();
        }
        self.outcome.operations += u64::from(self.stage.wire.count());
        self.look_at_record();
        self.only_liars_are_marked();
        self.items_are_counted(before);
        self.audio_is_known(newest);
        self.nothing_was_deleted(&careful);
        self.nothing_came_back(&deleted);
    }

    fn make_partnership(&mut self) {
        let status = self.hosts[self.now].snapshot().map(|snapshot| snapshot.status);
        if !matches!(
            status,
            Some(Status::NewDevice | Status::PartnershipDeclined | Status::PartnershipAnother)
        ) {
            return;
        }
        self.stage.device().is_read_back = false;
        let relationship = |world: &Self| world.hosts[world.now].partnership().map(|kept| kept.relationship);
        let before = relationship(self);
        let ordered = self.terms[self.now].playlists();
        let playlists = Some(ordered.iter().map(|&playlist| playlist_id(playlist)).collect());
        self.host().ask(async |engine| engine.create_partnership(&device_id(), OWNER, playlists).await);
        self.wait();
        if relationship(self).is_some_and(|made| Some(made) != before) {
            let terms = &mut self.terms[self.now];
            terms.reserved = 0;
            terms.assigned = (1..).zip(ordered).map(|(priority, playlist)| (playlist, priority)).collect();
        }
    }

    fn assign(&mut self, playlist: usize, priority: u32) {
        self.host().start();
        if let Some((index, owner)) = self.hosts[self.now].snapshot().and_then(|known| known.partnership) {
            let id = playlist_id(playlist);
            let asked =
                self.host().ask(async |engine| engine.assign(owner, index, id.clone(), priority).await);
            let partnership = self.hosts[self.now].partnership();
            self.settle_down();
            // a daemon that was killed meanwhile may have kept it, and hasn't said so
            let Some(kept) = partnership else { return };
            let now = kept.assignments.iter().find(|assignment| assignment.playlist == id);
            let now = now.map_or(0, |assignment| assignment.priority);
            if now != priority {
                if matches!(asked, Some(Ok(()))) {
                    self.wrong(format!("`{id}` has priority {priority}, it was said, and {now} is kept"));
                }
                return;
            }
        }
        let assigned = &mut self.terms[self.now].assigned;
        assigned.remove(&playlist);
        if priority != 0 {
            assigned.insert(playlist, priority);
        }
    }

    fn reserve(&mut self, percent: u8) {
        self.host().start();
        if !self.is_partnered() {
            return;
        }
        let setting = Setting::PercentSpaceReserved(u32::from(percent));
        let asked = self.host().ask(async |engine| engine.set(&device_id(), setting).await);
        let kept = self.hosts[self.now].partnership().map(|kept| kept.percent_space_reserved);
        // a daemon that was killed meanwhile may have kept it, and hasn't said so
        if kept == Some(percent) {
            self.terms[self.now].reserved = u64::from(percent);
        } else if matches!(asked, Some(Ok(()))) {
            self.wrong(format!("{percent} percent are reserved, it was said, and {kept:?} are kept"));
        }
        self.settle_down();
    }

    fn verify_from_now_on(&mut self, verify: bool) {
        self.host().start();
        if !self.is_partnered() {
            return;
        }
        let asked = self.host().ask(async |engine| engine.set(&device_id(), Setting::Verify(verify)).await);
        let kept = self.hosts[self.now].partnership().map(|kept| kept.verify);
        if matches!(asked, Some(Ok(()))) && kept != Some(verify) {
            self.wrong(format!("verify is {verify}, it was said, and {kept:?} is kept"));
        }
        self.settle_down();
    }

    fn part(&mut self, remove: bool) {
        self.host().start();
        let Some(before) = self.hosts[self.now].partnership() else { return };
        self.wants[self.now] = false;
        self.stage.wire.arm(Vec::new());
        self.host().ask(async |engine| engine.delete_partnership(&device_id(), remove).await);
        self.settle_down();
        if remove && self.connected && self.hosts[self.now].partnership().is_none() {
            let left = |device: &Device| {
                let of_it = |owner| owner == Owner::Tandem(before.relationship);
                device
                    .tree
                    .files
                    .values()
                    .filter(|node| of_it(node.owner))
                    .map(|node| node.path.clone())
                    .next()
            };
            let left = left(&self.stage.device());
            if let Some(path) = left {
                self.wrong(format!("`{path}` was left when the partnership's content was removed"));
            }
        }
    }

    fn lose_manifest(&mut self) {
        self.unplug();
        self.host().end();
        if self.hosts[self.now].state.lose_manifests() {
            let shelf = self.stage.library.shelf();
            self.stage.device().forget_owners(&shelf.songs);
        }
    }

    /// The record is true at any time, but for what is in flight.
    fn look_at_record(&mut self) {
        let Some(partnership) = self.hosts[self.now].partnership() else { return };
        if self.stage.device().relationship() != partnership.relationship {
            return;
        }
        let (entries, pending) = self.hosts[self.now].manifest(partnership.relationship);
        let in_flight = in_flight(&pending);
        let wrong = record_is_true(&self.stage.device(), &entries, &in_flight);
        self.outcome.violations.extend(wrong);
    }

    /// A player that kept what it was sent is not read back for good, whatever else went wrong.
    fn only_liars_are_marked(&mut self) {
        let marked = self.hosts[self.now].known().is_some_and(|known| known.verify_failed != 0);
        if marked && !self.stage.device().has_lied {
            self.wrong("the player counts as one that has lied, and never did".to_owned());
        }
    }

    /// The partnership, the entries of tracks that are there, and how many are told of.
    fn items(&self) -> Option<(Guid, BTreeSet<i64>, usize)> {
        let partnership = self.hosts[self.now].partnership()?;
        let (entries, _) = self.hosts[self.now].manifest(partnership.relationship);
        let is_there = |entry: &&Entry| {
            matches!(entry.state, EntryState::Present | EntryState::Foreign)
                && matches!(entry.origin, Origin::Track(_))
        };
        let there = entries.iter().filter(is_there).map(|entry| entry.id).collect();
        Some((partnership.relationship, there, usize::try_from(partnership.last_sync.item_count).ok()?))
    }

    /// What was there and told of, and is there still, is told of still.
    fn items_are_counted(&mut self, before: Option<(Guid, BTreeSet<i64>, usize)>) {
        let (Some((before, were_there, were_told)), Some((now, are_there, told))) = (before, self.items())
        else {
            return;
        };
        let still = were_there.intersection(&are_there).count();
        if before == now && told < were_told.min(still) {
            self.wrong(format!("{told} tracks are told to be there, and {still} are there still"));
        }
    }

    /// Before a run that nothing disturbs but the wish to stop: the last entry's number, where the device takes tags apart from
    /// bytes.
    fn newest_before(&self, faults: &[Fault]) -> Option<i64> {
        let is_disturbed = faults.iter().any(|fault| fault.harm != Harm::Stop);
        let is_readable = self.stage.library.shelf().songs.iter().all(|song| !song.locked);
        if is_disturbed || !is_readable || !self.stage.device().flavour.takes_tags() {
            return None;
        }
        let (entries, pending) =
            self.hosts[self.now].manifest(self.hosts[self.now].partnership()?.relationship);
        pending.is_empty().then(|| entries.last().map_or(0, |entry| entry.id))
    }

    /// Of what a run has copied it is known what isn't tags, also of one that was stopped: else new tags would cost a copy.
    fn audio_is_known(&mut self, newest: Option<i64>) {
        let (Some(newest), Some(partnership)) = (newest, self.hosts[self.now].partnership()) else { return };
        let (entries, _) = self.hosts[self.now].manifest(partnership.relationship);
        let is_track = |entry: &&Entry| {
            entry.id > newest
                && entry.state == EntryState::Present
                && matches!(entry.origin, Origin::Track(_))
        };
        if let Some(entry) = entries.iter().filter(is_track).find(|entry| entry.audio_hash.is_none()) {
            self.wrong(format!("of `{}` it isn't known what isn't tags", entry.path));
        }
    }

    /// With a library that looks wrong: what is there and recorded, none of which may be gone after the run.
    fn trusted_before(&mut self, faults: &[Fault]) -> Vec<(String, u128)> {
        let disturbed = faults.iter().any(|fault| matches!(fault.harm, Harm::Library(_)));
        if disturbed || self.stage.library.shelf().trouble().is_none() {
            return Vec::new();
        }
        let Some(partnership) = self.hosts[self.now].partnership() else { return Vec::new() };
        let (entries, pending) = self.hosts[self.now].manifest(partnership.relationship);
        let in_flight = in_flight(&pending);
        let device = self.stage.device();
        let is_there = |path: &str, of: u128| {
            device.file(path).is_some_and(|node| node.owner != Owner::User && hash(&node.bytes) == of)
        };
        entries
            .iter()
            .filter(|entry| entry.state == EntryState::Present && !in_flight.contains(&entry.id))
            .filter(|entry| matches!(entry.origin, Origin::Track(_)))
            .filter(|entry| is_there(entry.path.as_str(), entry.hash))
            .map(|entry| (entry.path.as_str().to_owned(), entry.hash))
            .collect()
    }

    /// Entries whose files the user has deleted since the last run, unless nothing of ours is left.
    fn deleted_by_user(&self) -> Vec<i64> {
        let Some(partnership) = self.hosts[self.now].partnership() else { return Vec::new() };
        let device = self.stage.device();
        if self.includes_skipped || device.relationship() != partnership.relationship {
            return Vec::new();
        }
        let (entries, pending) = self.hosts[self.now].manifest(partnership.relationship);
        let in_flight = in_flight(&pending);
        let present: Vec<_> = entries.iter().filter(|entry| entry.state == EntryState::Present).collect();
        let is_gone = |entry: &Entry| device.place_of(entry).is_none();
        // what was changed and moved away can't be told from what is gone
        let is_away = |entry: &Entry| {
            let is_other = |node: &Node| hash(&node.bytes) != entry.hash || device.facts(node) != entry.facts;
            device.file(entry.path.as_str()).is_none() && device.place_of(entry).is_none_or(is_other)
        };
        if !pending.is_empty() || present.iter().all(|entry| is_away(entry)) {
            return Vec::new();
        }
        let is_track = |entry: &Entry| matches!(entry.origin, Origin::Track(_));
        let gone = present
            .into_iter()
            .filter(|entry| is_gone(entry) && is_track(entry) && !in_flight.contains(&entry.id));
        gone.map(|entry| entry.id).collect()
    }

    /// What the user has deleted stays deleted.
    fn nothing_came_back(&mut self, deleted: &[i64]) {
        if deleted.is_empty() {
            return;
        }
        let Some(partnership) = self.hosts[self.now].partnership() else { return };
        let (entries, _) = self.hosts[self.now].manifest(partnership.relationship);
        let back = deleted
            .iter()
            .find(|id| !entries.iter().any(|entry| entry.id == **id && entry.state == EntryState::Skipped));
        if let Some(id) = back {
            self.wrong(format!("entry {id}, whose file the user deleted, does not count as skipped"));
        }
    }

    fn nothing_was_deleted(&mut self, before: &[(String, u128)]) {
        if before.is_empty() {
            return;
        }
        let Some(partnership) = self.hosts[self.now].partnership() else { return };
        let (entries, pending) = self.hosts[self.now].manifest(partnership.relationship);
        let in_flight = in_flight(&pending);
        let is_in_flight = |path: &str| {
            entries.iter().any(|entry| in_flight.contains(&entry.id) && entry.path.as_str() == path)
        };
        let device = self.stage.device();
        let gone = before.iter().find(|(path, hash)| {
            device.file(path).is_none() && !device.is_excused(path, *hash) && !is_in_flight(path)
        });
        if let Some((path, _)) = gone {
            let wrong = format!("`{path}` was deleted while the library looked wrong");
            drop(device);
            self.wrong(wrong);
        }
    }

    /// The end of every history: a run that nothing disturbs, a look at everything, and another run that finds nothing to
    /// do.
    fn finish(&mut self) {
        self.unplug();
        {
            let mut shelf = self.stage.library.shelf();
            shelf.songs.iter_mut().for_each(|song| song.locked = false);
        }
        self.stage.edit_library(&LibraryEdit::Mount);
        self.wants[self.now] = true;
        self.run(Vec::new());
        self.allow_deletion();
        if self.rows().iter().any(|(_, message)| message.ends_with(CHANGED)) {
            // what has turned out to be the user's only while the plan was carried out takes space from the next one
            self.run(Vec::new());
        }
        self.collect("in the last run");
        if !self.outcome.violations.is_empty() {
            return;
        }
        self.verify();
        if !self.outcome.violations.is_empty() {
            return;
        }
        let before: Tree = self.stage.device().tree.clone();
        self.run(Vec::new());
        self.collect("in a run with nothing to do");
        let changes = self.hosts[self.now].snapshot().map(|snapshot| snapshot.last_sync.change_count);
        if changes != Some(0) {
            self.wrong(format!("a run right after one makes {changes:?} changes"));
        }
        if self.stage.device().tree != before {
            self.wrong("a run right after one changes the player".to_owned());
        }
        if self.outcome.violations.is_empty() {
            self.promises_are_kept();
        }
        self.unplug();
    }

    /// A run that the guard has stopped is carried out at the user's word.
    fn allow_deletion(&mut self) {
        if self.errors().iter().any(|(error, _)| *error == ItemError::WouldDeleteTooMuch) {
            self.host().ask(async |engine| engine.set(&device_id(), Setting::AllowMassDeletion(true)).await);
            self.wait();
        }
    }

    /// What the last run reports, but for what had no space and what the user had done.
    fn errors(&mut self) -> Vec<(ItemError, String)> {
        let is_error = |error: ItemError, message: &str| {
            let is_usual = matches!(error, ItemError::NoFit | ItemError::UnsupportedFormat);
            let by_user = error == ItemError::Cancelled && message.starts_with("left as it is");
            let by_user = by_user || message.ends_with(CHANGED);
            let lost = error == ItemError::VerifyFailed && message.contains("was lost");
            !is_usual && !by_user && !lost
        };
        let mut rows = self.rows();
        rows.retain(|(error, message)| is_error(*error, message));
        rows
    }

    /// What the last run reports.
    fn rows(&mut self) -> Vec<(ItemError, String)> {
        let results = self.host().ask(async |engine| engine.results(&device_id()).await);
        let rows = results.and_then(Result::ok).unwrap_or_default();
        rows.into_iter().filter_map(|row| row.error.map(|error| (error, row.message))).collect()
    }

    fn verify(&mut self) {
        let Some(partnership) = self.hosts[self.now].partnership() else {
            return self.wrong("there is no partnership".to_owned());
        };
        self.terms[self.now].relationship = partnership.relationship;
        if self.stage.device().relationship() != partnership.relationship {
            self.wrong("the player isn't marked".to_owned());
        }
        for (error, message) in self.errors() {
            self.wrong(format!("a run that nothing disturbs reports {}: {message}", error.as_str()));
        }
        let (entries, pending) = self.hosts[self.now].manifest(partnership.relationship);
        if !pending.is_empty() {
            self.wrong(format!("after the run {} steps are in flight", pending.len()));
        }
        let unfit = self.rows().into_iter().filter(|(error, _)| *error == ItemError::NoFit);
        let unfit: Vec<String> = unfit.map(|(_, message)| message).collect();
        let device = self.stage.device();
        let shelf = self.stage.library.shelf();
        let terms = &self.terms[self.now];
        let look = Look { device: &device, shelf: &shelf, entries: &entries, terms, unfit: &unfit };
        self.outcome.violations.extend(look.wrong());
        self.outcome.skipped = entries.iter().filter(|entry| entry.state == EntryState::Skipped).count();
    }
}

/// Entries that a step in flight names.
fn in_flight(pending: &[(i64, Intent)]) -> BTreeSet<i64> {
    let entry = |(_, intent): &(i64, Intent)| match intent {
        Intent::Write { replaces, .. } => *replaces,
        Intent::Delete { entry, .. } | Intent::UpdateMetadata { entry, .. } => Some(*entry),
    };
    pending.iter().filter_map(entry).collect()
}
