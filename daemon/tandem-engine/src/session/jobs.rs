//! The jobs that hold a device, one at a time: looking at it, making and ending its partnership, previews, estimates,
//! ejection. A run is a job too; it has a folder of its own. Jobs own what they work on and return what they found.

use crate::ledger::{Creation, Ledger, create, end, take_back};
use crate::parts::Parts;
use crate::preview::{self, PreviewItem};
use crate::run::cancel::unless_cancelled;
use crate::run::journal::blocking;
use crate::run::prepare::{Question, prepare};
use crate::run::{RunInput, remove_content, settle};
use crate::session::view;
use std::sync::Arc;
use tandem_model::device::{DeviceDescription, Status};
use tandem_model::error::{PlayerError, RequestError};
use tandem_model::id::{DeviceId, Guid, PlaylistId, Uid};
use tandem_model::library::Library;
use tandem_model::manifest::EntryState;
use tandem_model::partnership::{KnownDevice, Partnership, Partnerships};
use tandem_model::player::{Capabilities, Close, Mark, Player, Space, Transfer};
use tandem_model::presence::Arrival;
use tracing::warn;

/// Devices without a partnership that are remembered, at most.
const STRANGERS: usize = 256;

/// What a job works with.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) parts: Arc<Parts>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) arrival: Arrival,
    pub(crate) device: DeviceId,
}

/// What looking at a device found.
pub(crate) struct Found {
    pub(crate) description: DeviceDescription,
    pub(crate) capabilities: Capabilities,
    pub(crate) space: Space,
    pub(crate) status: Status,
    pub(crate) has_skipped_files: bool,
    pub(crate) library: Option<Arc<dyn Library>>,
}

impl Bench {
    async fn open(&self) -> Result<Arc<dyn Player>, PlayerError> {
        self.parts.opener.open(&self.arrival).await
    }

    /// The device's own GUID, made when it is first seen.
    pub(crate) fn device_guid(&self) -> Guid {
        self.ledger.device(&self.device).map_or_else(|| (self.parts.new_guid)(), |known| known.guid)
    }
}

/// Looks at a device that came.
pub(crate) async fn initialize(bench: Bench) -> Result<Found, RequestError> {
    let player = bench.open().await?;
    let found = look(&bench, &*player).await;
    let closed = player.close(Close::Release).await;
    let found = found?;
    closed?;
    Ok(found)
}

async fn look(bench: &Bench, player: &dyn Player) -> Result<Found, RequestError> {
    let mut description = player.description().clone();
    description.id = bench.device.clone();
    let mark = player.mark().await?;
    let space = player.storage().space().await?;
    let own_name = player.friendly_name().await?;
    let partnership = bench.ledger.partnership(&bench.device);
    let status = view::status(bench.ledger.device(&bench.device).as_ref(), partnership.as_ref(), mark);
    let lost = partnership.clone().filter(|_| status == Status::PartnershipAnother);
    let known = bench.ledger.device(&bench.device);
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
    bench
        .ledger
        .change(move |record| {
            see(record, seen, own_name, now, size, || guid.unwrap_or_else(|| new_guid()));
            if let Some(device) = lost_device {
                end(record, &device, false);
                forgive(record, &device);
            }
            Ok(())
        })
        .await?;
    let capabilities = player.capabilities().clone();
    let mut found =
        Found { description, capabilities, space, status, has_skipped_files: false, library: None };
    if surely_known {
        settle_ended(bench, player).await;
    }
    if lost.is_some() {
        return Ok(found);
    }
    if let Some(partnership) = partnership {
        found.has_skipped_files = has_skipped_files(&bench.parts, partnership.relationship).await;
        found.library = open_library(&bench.parts, partnership.owner).await;
    }
    Ok(found)
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

/// A partnership that another computer ended was not declined by the user here.
fn forgive(record: &mut Partnerships, device: &DeviceId) {
    if let Some(known) = record.devices.iter_mut().find(|known| known.description.id == *device) {
        known.declined = false;
    }
}

/// Finishes or puts back what ended partnerships of this device left in flight there, and removes their manifests.
/// What can't be settled now is tried at the next connection.
async fn settle_ended(bench: &Bench, player: &dyn Player) {
    let unsettled = bench.ledger.device(&bench.device).map_or_else(Vec::new, |known| known.unsettled);
    for relationship in unsettled {
        settle_flight(&bench.parts, player, relationship).await;
        forget_manifest(&bench.parts, &bench.ledger, relationship).await;
    }
}

/// Finishes or puts back what a partnership has in flight on the device, if it can.
async fn settle_flight(parts: &Parts, player: &dyn Player, relationship: Guid) {
    if let Err(error) = settle(parts, player, relationship).await {
        warn!(
            "what was in flight on the device could not be settled; the next connection tries again: {}",
            error.message
        );
    }
}

/// Removes the manifest of an ended partnership, unless something is still in flight on its device.
async fn forget_manifest(parts: &Parts, ledger: &Ledger, relationship: Guid) {
    if let Err(error) = ledger.remove_settled(parts, &[relationship]).await {
        warn!(
            "the manifest of an ended partnership could not be removed; the next start tries again: {error}"
        );
    }
}

async fn has_skipped_files(parts: &Parts, relationship: Guid) -> bool {
    let manifests = Arc::clone(&parts.manifests);
    let entries = blocking(move || manifests.open(relationship)?.entries()).await;
    entries.is_ok_and(|entries| entries.iter().any(|entry| entry.state == EntryState::Skipped))
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

/// The owner's library, and the playlists to assign.
async fn choose(
    bench: &Bench,
    owner: Uid,
    playlists: Option<Vec<PlaylistId>>,
) -> Result<(Arc<dyn Library>, Vec<PlaylistId>), RequestError> {
    let library = bench.parts.libraries.open(owner).await?;
    let Some(playlists) = playlists else {
        let playlists = library.default_playlists().await?;
        return Ok((library, playlists));
    };
    for playlist in &playlists {
        library.playlist(playlist.clone()).await?;
    }
    Ok((library, playlists))
}

/// Makes a partnership: chooses the playlists, records it, then marks the device. A record whose mark could not be
/// written is taken back. A cut between the two leaves a whole partnership: the old mark is known to have ended, and the
/// next run puts ours in its place.
pub(crate) async fn create_partnership(
    bench: Bench,
    owner: Uid,
    playlists: Option<Vec<PlaylistId>>,
    transfer: Arc<Transfer>,
) -> Result<Arc<dyn Library>, RequestError> {
    let default_rules = playlists.is_none();
    // a library that hangs must not keep anybody from changing his mind
    let chosen = unless_cancelled(&transfer, choose(&bench, owner, playlists)).await;
    let (library, playlists) = chosen.map_err(|_| {
        RequestError::Failed("the partnership was not made: it was stopped before that".to_owned())
    })??;
    let before = bench.ledger.current();
    let mark = Mark { device: bench.device_guid(), relationship: (bench.parts.new_guid)() };
    let player = bench.open().await?;
    let made = async {
        let carried = player.mark().await?;
        let old_mark = carried.map(|mark| mark.relationship);
        let creation = Creation {
            device: bench.device.clone(),
            owner,
            relationship: mark.relationship,
            playlists,
            default_rules,
            now: bench.parts.clock.now(),
            old_mark: old_mark.filter(|relationship| *relationship != Guid::ZERO),
            makes_mark: carried.is_none(),
        };
        bench.ledger.change(|record| create(record, creation)).await?;
        let marked = player.set_mark(mark).await;
        if marked.is_ok() {
            settle_ended(&bench, &*player).await;
        } else {
            let take_back = |record: &mut Partnerships| {
                take_back(record, &bench.device, &before);
                Ok(())
            };
            bench.ledger.change(take_back).await?;
        }
        Ok::<(), RequestError>(marked?)
    };
    let made = made.await;
    let closed = player.close(Close::Release).await;
    made?;
    closed?;
    Ok(library)
}

/// Ends a partnership on a device that is there.
pub(crate) async fn delete_partnership(
    bench: Bench,
    partnership: Partnership,
    remove: bool,
    transfer: Arc<Transfer>,
) -> Result<(), RequestError> {
    let player = bench.open().await?;
    let ended = async {
        if remove {
            let removed = remove_content(&bench.parts, &*player, partnership.relationship, &transfer).await;
            removed.map_err(|error| RequestError::Failed(error.message))?;
        } else {
            settle_flight(&bench.parts, &*player, partnership.relationship).await;
        }
        let ours = Mark { device: bench.device_guid(), relationship: partnership.relationship };
        if remove && bench.ledger.device(&bench.device).is_some_and(|known| known.made_mark) {
            player.remove_mark(ours).await?;
        } else {
            player.set_mark(Mark { relationship: Guid::ZERO, ..ours }).await?;
        }
        let device = bench.device.clone();
        bench.ledger.change(move |record| Ok(end(record, &device, false))).await
    };
    let ended = ended.await;
    let closed = player.close(Close::Release).await;
    ended?;
    forget_manifest(&bench.parts, &bench.ledger, partnership.relationship).await;
    Ok(closed?)
}

/// Ends a partnership with a device that is away; its mark is taken for ours when it comes back.
pub(crate) async fn delete_absent(
    parts: &Parts,
    ledger: &Ledger,
    partnership: &Partnership,
) -> Result<(), RequestError> {
    let device = partnership.device.clone();
    ledger.change(move |record| Ok(end(record, &device, true))).await?;
    forget_manifest(parts, ledger, partnership.relationship).await;
    Ok(())
}

/// Flushes the device and makes it safe to take away.
pub(crate) async fn eject(bench: Bench) -> Result<(), RequestError> {
    let player = bench.open().await?;
    Ok(player.close(Close::Eject).await?)
}

/// What a run would do now.
pub(crate) async fn preview(input: RunInput, cancel: &Transfer) -> Result<Vec<PreviewItem>, RequestError> {
    let player = input.parts.opener.open(&input.arrival).await?;
    let question = Question::Hypothetical { instead: None, besides: None };
    let items = match prepare(&input, Arc::clone(&player), question, cancel).await {
        Ok(prepared) => preview::items(prepared, input.allow_mass_deletion).await,
        Err(error) => Err(error),
    };
    player.close(Close::Release).await?;
    items.map_err(|error| RequestError::Failed(error.message))
}

/// Bytes that everything would take, and bytes left for others.
pub(crate) async fn estimate(
    input: RunInput,
    instead: Option<Vec<PlaylistId>>,
    besides: Option<PlaylistId>,
    cancel: &Transfer,
) -> Result<(u64, u64), RequestError> {
    let question = Question::Hypothetical { instead, besides };
    with_plan(input, question, cancel, |prepared| {
        (prepared.plan.used, prepared.space.total.saturating_sub(prepared.plan.used))
    })
    .await
}

async fn with_plan<T>(
    input: RunInput,
    question: Question,
    cancel: &Transfer,
    answer: impl FnOnce(crate::run::prepare::Prepared) -> T,
) -> Result<T, RequestError> {
    let player = input.parts.opener.open(&input.arrival).await?;
    let prepared = prepare(&input, Arc::clone(&player), question, cancel).await;
    let answer = prepared.map(answer).map_err(|error| RequestError::Failed(error.message));
    player.close(Close::Release).await?;
    answer
}
