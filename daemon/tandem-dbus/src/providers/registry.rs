//! What the daemon knows of providers and of the devices that they may serve: who has registered, what is
//! installed, who serves what. It opens nothing, and calls nobody.

use super::directories::Directories;
use super::memory::Slot;
use super::offer::{self, Offer, Registration};
use super::parameters::Parameters;
use super::provider_file::{ProviderFile, fault_of_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_model::error::RequestError;
use tandem_model::presence::ProviderDevice;
use tokio::sync::Notify;
use tokio::time::Instant;
use zbus::OwnedObjectPath;
use zbus::names::OwnedBusName;

/// Providers that one connection may register, and all of them.
const MOST_OF_ONE: usize = 16;
const MOST: usize = 128;

/// The pause before a device whose provider died is looked at again; it doubles with each time in a row, up
/// to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(256);

/// How often a provider that is started anew is let off its pause: one that dies each time may be started over and
/// over.
const LET_OFF: Duration = Duration::from_secs(60);

/// What has become of a device that was to be opened.
#[derive(Debug, Default)]
struct Fate {
    /// Who serves it; `None`: nobody wanted it.
    server: Option<OwnedBusName>,
    /// It is open, or being opened.
    in_use: bool,
    /// It is to be looked at again once it is closed.
    again: bool,
    /// How often its provider died or hung in a row, and until when it isn't asked because of that.
    deaths: u32,
    rests_until: Option<Instant>,
    /// When its provider was last let off that, for it was started anew.
    let_off: Option<Instant>,
    /// Providers that didn't answer when it was to be opened, since it came: they are asked after the others.
    late: BTreeSet<OwnedBusName>,
    /// What is left of earlier openings.
    past: Slot,
}

#[derive(Debug, Default)]
struct State {
    registered: Vec<Registration>,
    devices: BTreeMap<String, Fate>,
    /// Devices that are to be looked at again, and when.
    due: BTreeMap<String, Instant>,
}

/// The registry.
#[derive(Debug)]
pub(super) struct Registry {
    directories: Directories,
    state: Mutex<State>,
    changed: Notify,
    /// Something is due, or the list of providers is another.
    providers_changed: Notify,
    /// A pause is over before its time.
    rested: Notify,
}

impl Registry {
    pub(super) fn new(directories: Vec<PathBuf>) -> Self {
        Self {
            directories: Directories::new(directories),
            state: Mutex::default(),
            changed: Notify::new(),
            providers_changed: Notify::new(),
            rested: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing in here panics halfway through a change
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a provider of a connection. `InvalidArgument` names what is wrong.
    pub(super) fn register(
        &self,
        owner: &str,
        name: &str,
        root: OwnedObjectPath,
        parameters: Parameters,
    ) -> Result<(), RequestError> {
        let invalid = RequestError::InvalidArgument;
        if let Some(fault) = fault_of_name(name) {
            return Err(invalid(format!("`{}` {fault}", super::fault::told(name))));
        }
        let bus_name =
            OwnedBusName::try_from(owner).map_err(|error| invalid(format!("`{owner}`: {error}")))?;
        let mut state = self.lock();
        let own = state.registered.iter().filter(|one| one.owner == owner).count();
        if state.registered.iter().any(|one| one.owner == owner && one.offer.name == name) {
            return Err(invalid(format!("`{name}` is registered already; unregister it first")));
        }
        if own >= MOST_OF_ONE || state.registered.len() >= MOST {
            return Err(invalid(format!(
                "{own} providers of this connection and {} in all are registered, and {MOST_OF_ONE} and {MOST} are the \
                 most; unregister one first",
                state.registered.len()
            )));
        }
        let offer = Offer { name: name.to_owned(), bus_name, root, parameters };
        state.registered.push(Registration { offer, owner: owner.to_owned() });
        drop(state);
        self.tell();
        Ok(())
    }

    /// Forgets a provider; whether there was one.
    pub(super) fn unregister(&self, owner: &str, name: &str) -> bool {
        self.forget(owner, |registration| registration.offer.name == name)
    }

    /// A connection has left the bus.
    pub(super) fn left(&self, owner: &str) {
        self.forget(owner, |_| true);
    }

    fn forget(&self, owner: &str, which: impl Fn(&Registration) -> bool) -> bool {
        let mut state = self.lock();
        let before = state.registered.len();
        state.registered.retain(|one| one.owner != owner || !which(one));
        if state.registered.len() == before {
            return false;
        }
        // who comes back is another
        state.devices.values_mut().for_each(|fate| fate.late.retain(|server| server.as_str() != owner));
        let still: BTreeSet<_> = state.registered.iter().map(|one| one.offer.bus_name.clone()).collect();
        look_again_where(&mut state, |server| server.as_str() == owner && !still.contains(server));
        drop(state);
        self.tell();
        true
    }

    /// Files were installed, changed or removed.
    pub(super) fn files_changed(&self) {
        let installed: BTreeSet<_> = self.directories.read().into_iter().map(|file| file.bus_name).collect();
        let mut state = self.lock();
        look_again_where(&mut state, |server| !server.starts_with(':') && !installed.contains(server));
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.notify_one();
        self.providers_changed.notify_one();
    }

    /// Calls [`Self::files_changed`] whenever that is so.
    pub(super) async fn watch_files(&self) {
        self.directories.watch(|| self.files_changed()).await;
    }

    /// Returns when the list of providers may be another than the last time.
    pub(super) async fn providers_changed(&self) {
        self.providers_changed.notified().await;
    }

    /// Whom to offer a device to. `demanded` is the process that has the name that the device demands. Those that
    /// didn't answer come last: another one that serves it isn't kept waiting by them each time.
    pub(super) fn offers(&self, device: &ProviderDevice, demanded: Option<&str>) -> Vec<Offer> {
        let installed = self.directories.read();
        let state = self.lock();
        let mut offers = offer::offers(device, demanded, &state.registered, installed);
        if let Some(fate) = state.devices.get(&key(device)) {
            offers.sort_by_key(|offer| fate.late.contains(&offer.bus_name));
        }
        offers
    }

    /// All providers: who has registered, and what is installed.
    pub(super) fn all(&self) -> Vec<Offer> {
        let installed: Vec<ProviderFile> = self.directories.read();
        let registered: Vec<Offer> = self.lock().registered.iter().map(|one| one.offer.clone()).collect();
        registered.into_iter().chain(installed.into_iter().map(Offer::from)).collect()
    }

    /// A device is about to be opened; returns when its providers may be asked. One that died or hung has a
    /// pause.
    pub(super) async fn opening(&self, device: &str) {
        loop {
            let rested = self.rested.notified();
            let rests_until = {
                let mut state = self.lock();
                let fate = state.devices.entry(device.to_owned()).or_default();
                fate.in_use = true;
                fate.rests_until.filter(|until| *until > Instant::now())
            };
            let Some(until) = rests_until else { return };
            // whichever comes first: the loop looks what it was
            tokio::time::timeout_at(until, rested).await.ok();
        }
    }

    /// Another process has a provider's name: what was wrong with the one before is not held against it.
    pub(super) fn started_anew(&self, server: &OwnedBusName) {
        let now = Instant::now();
        let mut state = self.lock();
        let State { devices, due, .. } = &mut *state;
        for (device, fate) in devices {
            fate.late.remove(server);
            let is_its = fate.server.as_ref() == Some(server);
            let rests = is_its && fate.rests_until.is_some_and(|until| until > now);
            if rests && fate.let_off.is_none_or(|at| now >= at + LET_OFF) {
                (fate.deaths, fate.rests_until, fate.let_off) = (0, None, Some(now));
                due.entry(device.clone()).and_modify(|at| *at = now);
            }
        }
        drop(state);
        self.rested.notify_waiters();
        self.changed.notify_one();
    }

    /// What is left of earlier openings of a device, since it arrived.
    pub(super) fn past(&self, device: &str) -> Slot {
        self.lock().devices.entry(device.to_owned()).or_default().past.clone()
    }

    /// A device is served by this one, and open.
    pub(super) fn opened(&self, device: &str, server: &OwnedBusName) {
        let mut state = self.lock();
        state.due.remove(device);
        let fate = state.devices.entry(device.to_owned()).or_default();
        (fate.server, fate.in_use, fate.again) = (Some(server.clone()), true, false);
        fate.late.remove(server);
    }

    /// A provider hasn't answered when a device was to be opened.
    pub(super) fn was_late(&self, device: &str, server: &OwnedBusName) {
        self.lock().devices.entry(device.to_owned()).or_default().late.insert(server.clone());
    }

    /// Nobody serves a device.
    pub(super) fn refused(&self, device: &str) {
        let mut state = self.lock();
        let fate = state.devices.entry(device.to_owned()).or_default();
        (fate.server, fate.in_use) = (None, false);
    }

    /// A device was closed, or could not be opened; its provider died or hung, or not.
    pub(super) fn closed(&self, device: &str, died: bool) {
        let mut state = self.lock();
        let Some(fate) = state.devices.get_mut(device) else { return };
        fate.in_use = false;
        let again = std::mem::take(&mut fate.again);
        let pause = if died {
            let pause = FIRST_PAUSE.saturating_mul(1 << fate.deaths.min(16)).min(LAST_PAUSE);
            fate.deaths = fate.deaths.saturating_add(1);
            fate.rests_until = Some(Instant::now() + pause);
            Some(pause)
        } else {
            (fate.deaths, fate.rests_until) = (0, None);
            again.then_some(Duration::ZERO)
        };
        if let Some(pause) = pause {
            state.due.insert(device.to_owned(), Instant::now() + pause);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// A device has come: it may have been elsewhere, whatever was told of it before.
    pub(super) fn arrived(&self, device: &str) {
        if let Some(fate) = self.lock().devices.get_mut(device) {
            fate.past = Slot::default();
        }
    }

    /// A device has gone.
    pub(super) fn departed(&self, device: &str) {
        let mut state = self.lock();
        state.devices.remove(device);
        state.due.remove(device);
    }

    /// Returns the next device that is to be looked at again, when it is time.
    pub(super) async fn next_due(&self) -> String {
        loop {
            let first =
                self.lock().due.iter().min_by_key(|(_, at)| **at).map(|(name, at)| (name.clone(), *at));
            let changed = self.changed.notified();
            match first {
                Some((name, at)) if at <= Instant::now() => {
                    let mut state = self.lock();
                    // whoever uses it looks at it by that
                    let in_use = state.devices.get(&name).is_some_and(|fate| fate.in_use);
                    if state.due.remove(&name).is_some() && !in_use {
                        return name;
                    }
                }
                Some((_, at)) => {
                    // whichever comes first: the loop looks what it was
                    tokio::time::timeout_at(at, changed).await.ok();
                }
                None => changed.await,
            }
        }
    }
}

/// What a device is known by here: another provider's announcement is another device.
pub(super) fn key(device: &ProviderDevice) -> String {
    format!("{}\n{}", device.canonical_name, device.provider.as_deref().unwrap_or_default())
}

/// Devices that these serve: now, or once they are closed.
fn look_again_where(state: &mut State, gone: impl Fn(&OwnedBusName) -> bool) {
    let now = Instant::now();
    let State { devices, due, .. } = state;
    for (name, fate) in devices {
        if !fate.server.as_ref().is_some_and(&gone) {
            continue;
        }
        if fate.in_use {
            fate.again = true;
        } else {
            due.insert(name.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests;
