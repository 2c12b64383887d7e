//! Builds the plan: chooses what fits, item by item in priority order, then derives the steps.
//!
//! Everything on the device that isn't in the manifest counts as used space and is never named in a step.

use super::albums;
use super::entries::TrackEntries;
use super::names::{Namer, artist_of};
use super::{Deletion, LeftOut, MetadataUpdate, Plan, PlanInput, TrackWrite};
use foldhash::{HashSet, HashSetExt};
use std::cell::LazyCell;
use tandem_model::error::ItemError;
use tandem_model::manifest::{Entry, EntryState, Origin};
use tandem_model::media::Track;
use tandem_model::player::Space;

/// Clusters kept free for what the file system and the temporary names need besides.
pub(super) const MARGIN_CLUSTERS: u64 = 16;
/// Bytes of a folder's entry, and the letters of a name that one holds (FAT; Microsoft's FAT specification, 6 and 7). A name
/// takes one for each such part, one for its short form, and one for what doesn't fill a part.
const FOLDER_ENTRY: u64 = 32;
const NAME_PART: usize = 13;
/// Bytes that one line of a playlist is reckoned at before its text is known.
const PLAYLIST_LINE: u64 = 160;

/// What is to become of one track.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unseen,
    Keep(usize),
    Write(Option<usize>),
    /// Only the tags have changed, and the device takes those alone.
    Update(usize),
    /// The user's own file is what belongs there.
    Foreign,
    LeftOut,
}

/// Makes the plan.
pub(crate) fn build(input: &PlanInput<'_>) -> Plan {
    let entries = TrackEntries::all(input.entries);
    let mut plan = Plan::default();
    let mut budget = Budget::of(input, &entries);
    // a list of references takes no space: what is reserved and never used would make room for it in each plan anew
    let takes_space = input.capabilities.playlists.as_ref().is_some_and(|style| !style.is_by_reference());
    for playlist in input.library.playlists.iter().filter(|_| takes_space) {
        budget.reserve(PLAYLIST_LINE * playlist.tracks.len() as u64);
    }
    let cover = input.capabilities.albums.as_ref().and_then(|style| style.cover);
    if let Some(cover) = cover {
        // of those that are there, what they take isn't free any more
        let each = round_up(u64::from(cover.bytes), budget.cluster);
        budget.reserve(each.saturating_mul(albums::unwritten(input.library, input.entries)));
    }
    let mut fates = vec![Fate::Unseen; input.library.tracks.len()];
    let mut writes = Vec::new();
    for &position in input.library.playlists.iter().flat_map(|playlist| &playlist.tracks) {
        if fates[position as usize] != Fate::Unseen {
            continue;
        }
        let track = &input.library.tracks[position as usize];
        let fate = choose(input, &entries, track, position, &mut budget, &mut plan);
        fates[position as usize] = fate;
        match fate {
            Fate::Keep(_) | Fate::Foreign => plan.kept.push(position),
            Fate::Update(entry) => {
                plan.kept.push(position);
                plan.updates.push(MetadataUpdate { track: position, entry });
            }
            Fate::Write(replaces) => writes.push((position, replaces)),
            Fate::Unseen | Fate::LeftOut => {}
        }
    }
    plan.used = budget.used;
    let folders = budget.made;
    plan.deletions = deletions(input, &fates);
    plan.writes = place(input, &plan.deletions, writes);
    plan.deletes_last = fits_besides(input, &plan.writes, folders);
    plan.bytes = plan.writes.iter().map(|write| input.library.tracks[write.track as usize].size).sum();
    plan
}

/// A folder that a track needs: all music's, its artist's in that, or its album's in that.
type Folder<'a> = (Option<&'a str>, Option<&'a str>);

fn folders_of(track: &Track) -> [Folder<'_>; 3] {
    let artist = Some(artist_of(track));
    [(None, None), (artist, None), (artist, Some(&track.album))]
}

/// Space that our content may take, in bytes, all of it rounded up to clusters.
///
/// A plan that was carried out must leave nothing to do, though what folders take is only reckoned. So what is there stays as
/// long as nothing takes its place, and what is new must fit when everything is reckoned as if it was new.
struct Budget<'a> {
    cluster: u64,
    /// How many of a track's folders the player has.
    levels: usize,
    /// What a folder takes.
    folder: u64,
    /// Whether that is what the storage says: then those that are there are known to be in what isn't free.
    folder_is_known: bool,
    /// What is left for files on the storage as it is, with the folders that are there.
    left: u64,
    /// What of that is kept for others, and for playlists, as soon as something new comes.
    margin: u64,
    /// Whether something new comes.
    grows: bool,
    /// What is left for new files, all entries being reckoned as new, and all folders of which it isn't known better.
    left_for_new: u64,
    /// What is left of the share that isn't reserved.
    left_unreserved: u64,
    used: u64,
    /// Folders that are reckoned so far.
    folders: HashSet<Folder<'a>>,
    /// Those of tracks that are there.
    there: HashSet<Folder<'a>>,
    /// Bytes that new folders take.
    made: u64,
    /// Bytes of folders' entries that don't fill a cluster yet: of all files, and of new ones.
    entered: [u64; 2],
}

impl<'a> Budget<'a> {
    /// The reserved share is left to others, and what others use already counts towards it.
    fn of(input: &PlanInput<'a>, entries: &TrackEntries<'_>) -> Self {
        let Space { total, free, cluster, folder, .. } = input.space;
        let cluster = cluster.max(1);
        let present = input.entries.iter().filter(|entry| entry.state == EntryState::Present);
        let ours: u64 = present.map(|entry| taken(entry.facts.size, input.space)).sum();
        let margin = MARGIN_CLUSTERS * cluster;
        let left = free.saturating_add(ours);
        let is_reserved = input.percent_reserved > 0;
        let unreserved = total.saturating_sub(reserved(total, input.percent_reserved));
        let is_there = |track: &&Track| {
            let at = entries.position(&track.uri.0);
            at.is_some_and(|at| input.entries[at].state == EntryState::Present)
        };
        Self {
            cluster,
            levels: 1 + input.capabilities.folder_depth.map_or(2, |depth| usize::from(depth.min(2))),
            folder: folder.unwrap_or(cluster),
            folder_is_known: folder.is_some(),
            left,
            margin,
            grows: false,
            left_for_new: left.saturating_sub(margin),
            left_unreserved: if is_reserved { unreserved } else { u64::MAX },
            used: 0,
            folders: HashSet::new(),
            there: input.library.tracks.iter().filter(is_there).flat_map(folders_of).collect(),
            made: 0,
            entered: [0; 2],
        }
    }

    /// Takes a track's space, of so many bytes, with what its folders grow by, if there is as much left.
    fn take(&mut self, track: &'a Track, fate: Fate, size: u64) -> bool {
        let folders = folders_of(track);
        let folders = &folders[..self.levels];
        let each = |is_new: usize| self.folder * is_new as u64;
        let unreckoned = each(folders.iter().filter(|folder| !self.folders.contains(*folder)).count());
        let is_unmade =
            |folder: &&Folder<'a>| !self.folders.contains(*folder) && !self.there.contains(*folder);
        let unmade = each(folders.iter().filter(is_unmade).count());
        let (all, entered) = self.with_entry(track, self.entered[0]);
        let (new, newly_entered) = self.with_entry(track, self.entered[1]);
        let is_written = matches!(fate, Fate::Write(_));
        let is_new = matches!(fate, Fate::Write(None));
        let needed = if is_written { size.saturating_add(unmade + new) } else { size };
        // what is there, or replaces that, doesn't go so that some clusters are free
        let margin = if is_new || self.grows { self.margin } else { 0 };
        let entered_size = round_up(size, self.cluster).saturating_add(all);
        let reckoned = entered_size.saturating_add(unreckoned);
        let for_new = if self.folder_is_known { entered_size.saturating_add(unmade) } else { reckoned };
        if needed.saturating_add(margin) > self.left
            || reckoned > self.left_unreserved
            || is_new && for_new > self.left_for_new
        {
            return false;
        }
        self.left -= needed;
        self.grows |= is_new;
        self.left_unreserved -= reckoned;
        self.left_for_new = self.left_for_new.saturating_sub(for_new);
        self.used += size;
        self.folders.extend(folders);
        self.entered[0] = entered;
        if is_written {
            self.made += unmade + new;
            self.entered[1] = newly_entered;
        }
        true
    }

    /// Whole clusters by which folders grow for a track's entry, in bytes, and the bytes that don't fill another one then.
    fn with_entry(&self, track: &Track, entered: u64) -> (u64, u64) {
        if self.folder == 0 {
            return (0, 0);
        }
        let parts = track.file_name.len() / NAME_PART + 2;
        let entered = entered + FOLDER_ENTRY * parts as u64;
        (entered - entered % self.cluster, entered % self.cluster)
    }

    /// Keeps space that is needed whatever fits, though not by tracks.
    fn reserve(&mut self, size: u64) {
        let size = round_up(size, self.cluster);
        self.margin = self.margin.saturating_add(size);
        for left in [&mut self.left_for_new, &mut self.left_unreserved] {
            *left = left.saturating_sub(size);
        }
    }
}

/// Whether everything that is written has room beside what is still to be deleted: then the new comes before the old goes.
/// `folders`: what those of them take that are made for it.
fn fits_besides(input: &PlanInput<'_>, writes: &[TrackWrite], folders: u64) -> bool {
    let Space { total, free, cluster, .. } = input.space;
    let cluster = cluster.max(1);
    let size = |write: &TrackWrite| {
        let parts = input.library.tracks[write.track as usize].file_name.len() / NAME_PART + 2;
        round_up(input.library.tracks[write.track as usize].size + FOLDER_ENTRY * parts as u64, cluster)
    };
    let besides = folders.saturating_add(MARGIN_CLUSTERS * cluster);
    let needed = writes.iter().map(size).fold(besides, u64::saturating_add);
    needed <= free.saturating_sub(reserved(total, input.percent_reserved))
}

/// The share of a storage that is left to others.
fn reserved(total: u64, percent: u8) -> u64 {
    u64::try_from(u128::from(total) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// Bytes that a file which is there takes at least, and gives back: what was never taken would be given away twice.
pub(crate) fn taken(size: u64, space: Space) -> u64 {
    if space.cluster_is_known { round_up(size, space.cluster.max(1)) } else { size }
}

/// The size in whole clusters.
pub(crate) fn round_up(size: u64, cluster: u64) -> u64 {
    size.div_ceil(cluster).saturating_mul(cluster)
}

fn choose<'a>(
    input: &PlanInput<'_>,
    entries: &TrackEntries<'_>,
    track: &'a Track,
    position: u32,
    budget: &mut Budget<'a>,
    plan: &mut Plan,
) -> Fate {
    let mut leave_out = |error, message: &str| {
        plan.left_out.push(LeftOut { track: position, error, message: message.to_owned() });
        Fate::LeftOut
    };
    let entry = entries.position(&track.uri.0);
    match entry.map(|entry| input.entries[entry].state) {
        Some(EntryState::Skipped) => {
            let message =
                "left as it is on the device: you deleted it there; set IncludeSkippedFiles to copy it again";
            return leave_out(None, message);
        }
        Some(EntryState::Disowned) => {
            let message = "left as it is on the device: you changed it there; transfer it to have the library's version \
                           beside it";
            return leave_out(None, message);
        }
        Some(EntryState::Foreign) if entry.is_some_and(|at| is_current(&input.entries[at], track)) => {
            return Fate::Foreign;
        }
        Some(EntryState::Present | EntryState::Foreign) | None => {}
    }
    // what is the user's is not ours to replace: what the library has changed comes beside it
    let entry = entry.filter(|at| input.entries[*at].state == EntryState::Present);
    let formats = &input.capabilities.formats;
    if !formats.is_empty() && !formats.iter().any(|format| format.eq_ignore_ascii_case(&track.mime)) {
        return leave_out(
            Some(ItemError::UnsupportedFormat),
            &format!("the device does not play {}", track.mime),
        );
    }
    let is_retagged = input.retagged.contains(&position);
    let (fate, size) = match entry {
        Some(position) if is_current(&input.entries[position], track) => {
            (Fate::Keep(position), taken(input.entries[position].facts.size, input.space))
        }
        // where only tags are told, the file stays as it is
        Some(position) if is_retagged => {
            (Fate::Update(position), taken(input.entries[position].facts.size, input.space))
        }
        other => (Fate::Write(other), round_up(track.size, budget.cluster)),
    };
    if budget.take(track, fate, size) {
        fate
    } else {
        leave_out(Some(ItemError::NoFit), "no space is left for it")
    }
}

/// Whether the device has the track as it is in the library.
fn is_current(entry: &Entry, track: &Track) -> bool {
    entry.source_size == track.size && entry.source_modified_ns == track.modified_ns
}

/// Tracks that aren't assigned any more, or that must give way; playlists that aren't assigned any more.
fn deletions(input: &PlanInput<'_>, fates: &[Fate]) -> Vec<Deletion> {
    let mut stays = vec![false; input.entries.len()];
    for fate in fates {
        if let Fate::Keep(entry) | Fate::Update(entry) | Fate::Write(Some(entry)) = fate {
            stays[*entry] = true;
        }
    }
    // made when something is deleted, which is rare
    let assigned: LazyCell<HashSet<&str>, _> =
        LazyCell::new(|| input.library.tracks.iter().map(|track| &*track.uri.0).collect());
    let delete = |(position, entry): (usize, &Entry)| {
        if entry.state != EntryState::Present || stays[position] {
            return None;
        }
        let reason = match &entry.origin {
            // where the manifest should ever have a track twice, the surplus goes the same way
            Origin::Track(uri) if assigned.contains(&*uri.0) => "gives way to what has a higher priority",
            Origin::Track(_) => "no longer in an assigned playlist",
            Origin::Playlist(id) if input.library.playlists.iter().any(|playlist| playlist.id == *id) => {
                return None;
            }
            Origin::Playlist(_) => "the playlist is no longer assigned",
            // it goes when it is known which tracks went
            Origin::Album(_) => return None,
        };
        Some(Deletion { entry: position, reason })
    };
    input.entries.iter().enumerate().filter_map(delete).collect()
}

/// Gives each write its path, and puts replacements before copies.
fn place(
    input: &PlanInput<'_>,
    deletions: &[Deletion],
    writes: Vec<(u32, Option<usize>)>,
) -> Vec<TrackWrite> {
    if writes.is_empty() {
        return Vec::new();
    }
    let mut namer = Namer::for_tracks(input.entries.iter().map(|entry| &entry.path), input.capabilities);
    let cluster = input.space.cluster.max(1);
    let freed: u64 =
        deletions.iter().map(|deletion| taken(input.entries[deletion.entry].facts.size, input.space)).sum();
    let mut free = input.space.free.saturating_add(freed);
    let mut replacements = Vec::new();
    let mut copies = Vec::new();
    for (position, replaces) in writes {
        let track = &input.library.tracks[position as usize];
        let size = round_up(track.size, cluster);
        if let Some(entry) = replaces {
            let old = taken(input.entries[entry].facts.size, input.space);
            let delete_first = size > free;
            free = free.saturating_add(old).saturating_sub(size);
            let path = input.entries[entry].path.clone();
            replacements.push(TrackWrite { track: position, path, replaces, delete_first });
        } else {
            free = free.saturating_sub(size);
            let path = namer.place(track, input.capabilities);
            copies.push(TrackWrite { track: position, path, replaces, delete_first: false });
        }
    }
    replacements.extend(copies);
    replacements
}
