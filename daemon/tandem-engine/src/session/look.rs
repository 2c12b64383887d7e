//! The look at a device that came: what it tells of itself, whose it is, what is recorded of it. Where a run follows, the
//! open player is handed over to it. It begins no run, and changes nothing on the device but what was left in flight.

use super::jobs::{Bench, settle_ended};
use super::view;
use crate::blocking::blocking;
use crate::ledger::end;
use crate::parts::Parts;
use std::sync::Arc;
use tandem_model::device::{DeviceDescription, Status};
use tandem_model::error::RequestError;
use tandem_model::id::{DeviceId, Guid, Uid};
use tandem_model::library::Library;
use tandem_model::manifest::EntryState;
use tandem_model::partnership::{KnownDevice, Partnerships};
use tandem_model::player::{Capabilities, Close, Mark, Player, Space};
use tracing::warn;

/// Devices without a partnership that are remembered, at most.
const STRANGERS: usize = 256;

/// What looking at a device found.
pub(crate) struct Found {
    pub(crate) description: DeviceDescription,
    pub(crate) capabilities: Capabilities,
    pub(crate) space: Space,
    pub(crate) battery_level: Option<u8>,
    pub(crate) status: Status,
    pub(crate) has_skipped_files: bool,
    pub(crate) library: Option<Arc<dyn Library>>,
    /// The player, still open, for the run that follows.
    pub(crate) opened: Option<Arc<dyn Player>>,
}

/// Looks at a device that came. It stays open if a run follows at once.
pub(crate) async fn initialize(bench: Bench) -> Result<Found, RequestError> {
    // a library agent takes its time to start, and so does a device
    let owner = bench.ledger.partnership(&bench.device).map(|partnership| partnership.owner);
    let library = async {
        match owner {
            Some(owner) => open_library(&bench.parts, owner).await,
            None => None,
        }
    };
    let (player, library) = tokio::try_join!(bench.open(), async { Ok(library.await) })?;
    let found = look(&bench, &*player, library).await;
    if found.as_ref().is_ok_and(|found| is_followed_by_a_run(&bench, found)) {
        return Ok(Found { opened: Some(player), ..found? });
    }
    let closed = player.close(Close::Release).await;
    let found = found?;
    closed?;
    Ok(found)
}

/// Whether the session begins a run when it has seen this.
fn is_followed_by_a_run(bench: &Bench, found: &Found) -> bool {
    let partnership = bench.ledger.partnership(&bench.device);
    found.status == Status::PartnershipExists
        && partnership.is_some_and(|partnership| partnership.sync_on_connect && !partnership.removing)
}

/// What there is to know of an open player, recorded; `library` is its owner's.
pub(super) async fn look(
    bench: &Bench,
    player: &dyn Player,
    library: Option<Arc<dyn Library>>,
) -> Result<Found, RequestError> {
    let mut description = player.description().clone();
    description.id = bench.device.clone();
    let mark = player.mark().await?;
    let space = player.storage().space().await?;
    let own_name = player.friendly_name().await?;
    let partnership = bench.ledger.partnership(&bench.device);
    let status = view::status(bench.ledger.device(&bench.device).as_ref(), partnership.as_ref(), mark);
    let known = bench.ledger.device(&bench.device);
    // another device that tells the same serial number is no reason to end anything
    let is_twin = known.as_ref().is_some_and(|known| is_another(known, mark));
    let lost = partnership.clone().filter(|_| status == Status::PartnershipAnother && !is_twin);
    let surely_known = known.as_ref().is_some_and(|known| is_surely(known, mark, space));
    let seen = description.clone();
    let (guid, now) =
        (mark.map(|mark| mark.device).filter(|guid| *guid != Guid::ZERO), bench.parts.clock.now());
    let new_guid = Arc::clone(&bench.parts.new_guid);
    let surely_this = partnership
        .as_ref()
        .is_none_or(|ours| mark.is_some_and(|mark| mark.relationship == ours.relationship));
    // the size tells the device later on, as long as something of ours is left there
    let may_change = surely_known || known.is_none_or(|known| known.unsettled.is_empty());
    let size = (surely_this && may_change).then_some(space.total);
    let lost_device = lost.as_ref().map(|partnership| partnership.device.clone());
    let marked_device = partnership.as_ref().filter(|_| surely_this).map(|ours| ours.device.clone());
    bench
        .ledger
        .change(move |record| {
            see(record, seen, own_name, now, size, || guid.unwrap_or_else(|| new_guid()));
            if let Some(device) = marked_device {
                forget_former_mark(record, &device);
            }
            if let Some(device) = lost_device {
                end(record, &device, false);
                forgive(record, &device);
            }
            Ok(())
        })
        .await?;
    let capabilities = player.capabilities().clone();
    let mut found = Found {
        description,
        capabilities,
        space,
        battery_level: player.battery_level(),
        status,
        has_skipped_files: false,
        library: None,
        opened: None,
    };
    if surely_known {
        settle_ended(bench, player).await;
    }
    if lost.is_some() {
        return Ok(found);
    }
    if let Some(partnership) = partnership {
        found.has_skipped_files = has_skipped_files(&bench.parts, partnership.relationship).await;
        found.library = library;
    }
    Ok(found)
}

/// Whether the mark is that of another device.
fn is_another(known: &KnownDevice, mark: Option<Mark>) -> bool {
    mark.is_some_and(|mark| mark.device != Guid::ZERO && mark.device != known.guid)
}

/// Whether this is the device and not, say, the directory below one that isn't mounted.
fn is_surely(known: &KnownDevice, mark: Option<Mark>, space: Space) -> bool {
    let is_marked = mark.is_some_and(|mark| mark.device == known.guid);
    is_marked || known.total_space == 0 || known.total_space == space.total
}

/// Notes that a device was seen.
fn see(
    record: &mut Partnerships,
    description: DeviceDescription,
    own_name: Option<String>,
    now: u64,
    size: Option<u64>,
    guid: impl FnOnce() -> Guid,
) {
    match record.devices.iter_mut().find(|known| known.description.id == description.id) {
        Some(known) => {
            known.description = description;
            known.last_seen = now;
            known.total_space = size.unwrap_or(known.total_space);
            if own_name.is_some() {
                known.friendly_name = own_name;
            }
        }
        None => record.devices.push(KnownDevice {
            description,
            friendly_name: own_name,
            guid: guid(),
            declined: false,
            ended_relationship: None,
            made_mark: false,
            unsettled: Vec::new(),
            verify_failed: 0,
            last_seen: now,
            total_space: size.unwrap_or_default(),
        }),
    }
    forget_strangers(record);
}

/// Keeps no more than [`STRANGERS`] devices without a partnership: those that were away the longest go.
fn forget_strangers(record: &mut Partnerships) {
    let partnered = |known: &KnownDevice| {
        !known.unsettled.is_empty() || record.partnerships.iter().any(|p| p.device == known.description.id)
    };
    let mut seen: Vec<u64> =
        record.devices.iter().filter(|known| !partnered(known)).map(|known| known.last_seen).collect();
    if seen.len() <= STRANGERS {
        return;
    }
    seen.sort_unstable();
    let oldest_kept = seen[seen.len() - STRANGERS];
    let kept: Vec<bool> =
        record.devices.iter().map(|known| partnered(known) || known.last_seen >= oldest_kept).collect();
    let mut kept = kept.into_iter();
    record.devices.retain(|_| kept.next().unwrap_or(true));
}

/// Notes that the device carries this partnership's mark: if the one of before appears again, somebody else has set it.
fn forget_former_mark(record: &mut Partnerships, device: &DeviceId) {
    if let Some(known) = record.devices.iter_mut().find(|known| known.description.id == *device) {
        known.ended_relationship = None;
    }
}

/// A partnership that another computer ended was not declined by the user here.
fn forgive(record: &mut Partnerships, device: &DeviceId) {
    if let Some(known) = record.devices.iter_mut().find(|known| known.description.id == *device) {
        known.declined = false;
    }
}

async fn has_skipped_files(parts: &Parts, relationship: Guid) -> bool {
    let manifests = Arc::clone(&parts.manifests);
    let any = blocking(manifests.may_block(), move || {
        let mut any = false;
        manifests.open(relationship)?.each_entry(&mut |entry| any |= entry.state == EntryState::Skipped)?;
        Ok(any)
    });
    any.await.unwrap_or(false)
}

/// The owner's library; without it, the session goes on and the run says why it can't.
async fn open_library(parts: &Parts, owner: Uid) -> Option<Arc<dyn Library>> {
    match parts.libraries.open(owner).await {
        Ok(library) => Some(library),
        Err(error) => {
            warn!(owner, "the owner's library is not available: {error}");
            None
        }
    }
}
