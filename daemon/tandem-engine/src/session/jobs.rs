//! The jobs that hold a device, one at a time: making and ending its partnership, previews, estimates, ejection. The look
//! at it is `look`'s; a run is a job too, with a folder of its own. Jobs own what they work on and return what they found.

use super::look::look;
use crate::ledger::{Creation, Ledger, create, end, take_back};
use crate::parts::Parts;
use crate::preview::{self, PreviewItem};
use crate::run::cancel::unless_cancelled;
use crate::run::error::RunError;
use crate::run::prepare::{Question, prepare};
use crate::run::{RunInput, remove_content, settle};
use crate::session::run_job::release;
use std::sync::Arc;
use tandem_model::error::{PlayerError, RequestError};
use tandem_model::id::{DeviceId, Guid, PlaylistId, Uid};
use tandem_model::library::Library;
use tandem_model::partnership::{Partnership, Partnerships};
use tandem_model::player::{Close, Mark, Player, Space, Transfer};
use tandem_model::presence::Arrival;
use tracing::warn;

/// What a job works with.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) parts: Arc<Parts>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) arrival: Arrival,
    pub(crate) device: DeviceId,
    /// Tells when the job is to end.
    pub(crate) cancel: Arc<Transfer>,
}

impl Bench {
    /// Opens the device, unless the job is to end.
    pub(super) async fn open(&self) -> Result<Arc<dyn Player>, PlayerError> {
        open(&self.parts, &self.arrival, &self.cancel).await
    }

    /// The device's own GUID, made when it is first seen.
    pub(crate) fn device_guid(&self) -> Guid {
        self.ledger.device(&self.device).map_or_else(|| (self.parts.new_guid)(), |known| known.guid)
    }
}

/// Opens a device for a job: one that is locked, hangs or has gone isn't waited for when the job is to end.
async fn open(
    parts: &Parts,
    arrival: &Arrival,
    cancel: &Arc<Transfer>,
) -> Result<Arc<dyn Player>, PlayerError> {
    let opened = unless_cancelled(cancel, parts.opener.open(arrival)).await;
    let player = opened.map_err(|_| PlayerError::Cancelled).flatten()?;
    player.heed(cancel);
    Ok(player)
}

/// Finishes or puts back what ended partnerships of this device left in flight there, and removes their manifests.
/// What can't be settled now is tried at the next connection.
pub(super) async fn settle_ended(bench: &Bench, player: &dyn Player) {
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

/// What making a partnership comes to.
pub(crate) struct Created {
    pub(crate) library: Arc<dyn Library>,
    /// The player, still open and flushed, for the run that follows.
    pub(crate) opened: Arc<dyn Player>,
}

/// Makes a partnership: chooses the playlists, records it, then marks the device. A record whose mark could not be
/// written is taken back. A cut between the two leaves a whole partnership, and so does a record that can't be taken back:
/// the old mark is known to have ended, and the next run puts ours in its place. The player stays open.
pub(crate) async fn create_partnership(
    bench: Bench,
    owner: Uid,
    playlists: Option<Vec<PlaylistId>>,
    connected: Vec<DeviceId>,
    transfer: Arc<Transfer>,
) -> Result<Created, RequestError> {
    let default_rules = playlists.is_none();
    // a library that hangs must not keep anybody from changing his mind
    let stopped =
        || RequestError::Failed("the partnership was not made: it was stopped before that".to_owned());
    let chosen = unless_cancelled(&transfer, choose(&bench, owner, playlists)).await;
    let (library, playlists) = chosen.map_err(|_| stopped())??;
    // nor must a device that is locked
    let player = bench.open().await.map_err(|error| match error {
        PlayerError::Cancelled => stopped(),
        error => error.into(),
    })?;
    let made: Result<(), RequestError> = async {
        if bench.ledger.device(&bench.device).is_none() {
            // it couldn't be looked at when it came
            look(&bench, &*player, None).await?;
        }
        let before = bench.ledger.current();
        let mark = Mark { device: bench.device_guid(), relationship: (bench.parts.new_guid)() };
        let carried = player.mark().await?;
        let old_mark = carried.map(|mark| mark.relationship);
        // one without the device's GUID was no file, and so leaves none
        let makes_mark = carried.is_none_or(|mark| mark.device == Guid::ZERO);
        let creation = Creation {
            device: bench.device.clone(),
            owner,
            relationship: mark.relationship,
            playlists,
            default_rules,
            now: bench.parts.clock.now(),
            old_mark: old_mark.filter(|relationship| *relationship != Guid::ZERO),
            makes_mark,
            connected,
        };
        bench.ledger.change(|record| create(record, creation)).await?;
        let Err(unmarked) = player.set_mark(mark).await else {
            settle_ended(&bench, &*player).await;
            return Ok(());
        };
        let take_back = |record: &mut Partnerships| {
            take_back(record, &bench.device, &before, makes_mark);
            Ok(())
        };
        match bench.ledger.change(take_back).await {
            Ok(()) => Err(unmarked.into()),
            Err(kept) => {
                // what is recorded is made, and nobody is told otherwise
                warn!("the device has no mark, which the next run sets ({unmarked}); its partnership stays: {kept}");
                Ok(())
            }
        }
    }
    .await;
    if let Err(error) = made {
        release(&*player).await;
        return Err(error);
    }
    if let Err(error) = player.storage().flush().await {
        // made all the same: the next run marks the device if it has lost its mark
        warn!("the device could not be flushed after its partnership was made: {error}");
    }
    Ok(Created { library, opened: player })
}

/// How the end of a partnership went.
pub(crate) struct Deleted {
    /// In words for the user what was to be deleted and stays.
    pub(crate) result: Result<Option<String>, RequestError>,
    /// What the device has now, if it could tell.
    pub(crate) space: Option<Space>,
}

/// Ends a partnership on a device that is there.
pub(crate) async fn delete_partnership(
    bench: Bench,
    partnership: Partnership,
    remove: bool,
    transfer: Arc<Transfer>,
) -> Deleted {
    let mut space = None;
    let result = delete_and_measure(bench, partnership, remove, transfer, &mut space).await;
    Deleted { result, space }
}

async fn delete_and_measure(
    bench: Bench,
    partnership: Partnership,
    remove: bool,
    transfer: Arc<Transfer>,
    space: &mut Option<Space>,
) -> Result<Option<String>, RequestError> {
    let player = bench.open().await?;
    let ended = async {
        let mut stays = None;
        if remove {
            let removed = remove_content(&bench.parts, &*player, partnership.relationship, &transfer).await;
            stays = removed.map_err(|error| RequestError::Failed(error.message))?;
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
        bench.ledger.change(move |record| Ok(end(record, &device, false))).await.map(|_| stays)
    };
    let ended = ended.await;
    *space = player.storage().space().await.ok();
    let closed = player.close(Close::Release).await;
    let stays = ended?;
    forget_manifest(&bench.parts, &bench.ledger, partnership.relationship).await;
    closed?;
    Ok(stays)
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
pub(crate) async fn preview(
    input: RunInput,
    cancel: &Arc<Transfer>,
) -> Result<Vec<PreviewItem>, RequestError> {
    let player = open(&input.parts, &input.arrival, cancel).await?;
    let question = Question::Hypothetical { instead: None, besides: None };
    let items = match prepare(&input, Arc::clone(&player), question, cancel).await {
        Ok(prepared) => {
            let items = preview::items(&prepared, input.allow_mass_deletion, cancel).await;
            prepared.journal.close().await;
            items
        }
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
    cancel: &Arc<Transfer>,
) -> Result<(u64, u64), RequestError> {
    let player = open(&input.parts, &input.arrival, cancel).await?;
    let question = Question::Hypothetical { instead, besides };
    let told = async {
        let prepared = prepare(&input, Arc::clone(&player), question, cancel).await?;
        let used = preview::space(&prepared, cancel).await;
        prepared.journal.close().await;
        let used = used?;
        Ok::<_, RunError>((used, prepared.space.total.saturating_sub(used)))
    };
    let told = told.await;
    player.close(Close::Release).await?;
    told.map_err(|error| RequestError::Failed(error.message))
}
