//! What holds of every plan, whatever the library, the manifest and the space.

use super::build::MARGIN_CLUSTERS;
use super::{PlanInput, build};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use proptest::prelude::*;
use tandem_model::id::{MediaUri, PlaylistId, TrackId};
use tandem_model::library::Resolved;
use tandem_model::manifest::{Entry, EntryState, Origin};
use tandem_model::media::{ResolvedPlaylist, Track};
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, ObjectFacts, PlaylistForm, PlaylistStyle, Space};

/// The track with this number.
pub(crate) fn track(number: u32) -> Track {
    Track {
        id: TrackId(i64::from(number)),
        uri: MediaUri(format!("file:///music/{number}.mp3").into()),
        file_name: format!("{number}.mp3").into(),
        size: 1000 + u64::from(number),
        modified_ns: i64::from(number),
        mime: "audio/mpeg".into(),
        title: "".into(),
        artist: "".into(),
        album_artist: "".into(),
        album: "".into(),
        duration_ms: 0,
        genre: "".into(),
        track_number: 0,
    }
}

/// The entry of the track with this number.
pub(crate) fn entry(number: u32) -> Entry {
    let track = track(number);
    Entry {
        id: i64::from(number),
        origin: Origin::Track(track.uri),
        path: DevicePath::parse(&format!("Music/{number}.mp3")).expect("a number is a name"),
        persistent_id: number.to_string().into(),
        facts: ObjectFacts { size: track.size, modified_ns: track.modified_ns },
        source_size: track.size,
        source_modified_ns: track.modified_ns,
        hash: u128::from(number),
        audio_hash: None,
        state: EntryState::Present,
    }
}

/// A library of one playlist that holds these tracks.
pub(crate) fn library(tracks: Vec<Track>) -> Resolved {
    let positions = (0..u32::try_from(tracks.len()).expect("few tracks")).collect();
    Resolved { playlists: vec![playlist("p", positions)], tracks, ..Resolved::default() }
}

fn playlist(id: &str, tracks: Vec<u32>) -> ResolvedPlaylist {
    ResolvedPlaylist { id: PlaylistId(id.to_owned()), name: id.to_owned(), tracks, unresolved: Vec::new() }
}

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        formats: Vec::new(),
        audio: true,
        video: false,
        photo: false,
        audio_folder: DevicePath::parse("Music"),
        folder_depth: None,
        playlists: Some(PlaylistStyle {
            folder: DevicePath::parse("Playlists"),
            extension: "m3u8",
            form: PlaylistForm::M3U,
        }),
        albums: None,
        holds_friendly_name: false,
        unique_file_names: false,
    }
}

#[derive(Debug)]
struct Case {
    library: Resolved,
    entries: Vec<Entry>,
    space: Space,
    percent_reserved: u8,
}

fn state() -> impl Strategy<Value = EntryState> {
    prop_oneof![6 => Just(EntryState::Present), 1 => Just(EntryState::Skipped), 1 => Just(EntryState::Disowned), 1 => Just(EntryState::Foreign)]
}

prop_compose! {
    fn cases()(
        lists in proptest::collection::vec(proptest::collection::vec(0u32..30, 0..20), 0..4),
        touched in proptest::collection::hash_set(0u32..30, 0..5),
        on_device in proptest::collection::btree_map(0u32..40, state(), 0..30),
        free in 0u64..40_000,
        others in 0u64..20_000,
        cluster in prop_oneof![Just(1u64), Just(512), Just(4096)],
        percent_reserved in 0u8..=95,
    ) -> Case {
        let mut positions = HashMap::new();
        let mut tracks = Vec::new();
        let mut playlists = Vec::new();
        for (index, list) in lists.iter().enumerate() {
            let place = |number: &u32| *positions.entry(*number).or_insert_with(|| {
                let mut track = track(*number);
                track.modified_ns += i64::from(touched.contains(number));
                tracks.push(track);
                u32::try_from(tracks.len() - 1).expect("few tracks")
            });
            playlists.push(playlist(&index.to_string(), list.iter().map(place).collect()));
        }
        let entries: Vec<Entry> = on_device.iter().map(|(number, state)| Entry { state: *state, ..entry(*number) }).collect();
        let ours: u64 = entries.iter().map(|entry| entry.facts.size.div_ceil(cluster) * cluster).sum();
        Case {
            library: Resolved { tracks, playlists, ..Resolved::default() },
            entries,
            space: Space { total: free + others + ours, free, cluster, cluster_is_known: true, folder: None },
            percent_reserved,
        }
    }
}

fn plan(case: &Case) -> super::Plan {
    build(&PlanInput {
        library: &case.library,
        entries: &case.entries,
        space: case.space,
        percent_reserved: case.percent_reserved,
        retagged: &HashSet::new(),
        capabilities: &capabilities(),
    })
}

proptest! {
    #[test]
    fn only_what_is_ours_and_present_is_deleted_or_replaced(case in cases()) {
        let plan = plan(&case);
        for deletion in &plan.deletions {
            prop_assert_eq!(case.entries[deletion.entry].state, EntryState::Present);
        }
        for write in plan.writes.iter().filter_map(|write| write.replaces) {
            prop_assert_eq!(case.entries[write].state, EntryState::Present);
        }
    }

    #[test]
    fn every_assigned_track_has_exactly_one_fate(case in cases()) {
        let plan = plan(&case);
        let mut fates: Vec<u32> = plan.kept.clone();
        fates.extend(plan.writes.iter().map(|write| write.track));
        fates.extend(plan.left_out.iter().map(|left_out| left_out.track));
        fates.sort_unstable();
        let assigned: HashSet<u32> = case.library.playlists.iter().flat_map(|list| list.tracks.clone()).collect();
        let mut assigned: Vec<u32> = assigned.into_iter().collect();
        assigned.sort_unstable();
        prop_assert_eq!(fates, assigned);
    }

    #[test]
    fn what_is_written_and_kept_fits_the_space_that_is_not_reserved(case in cases()) {
        let plan = plan(&case);
        let cluster = case.space.cluster;
        let round = |size: u64| size.div_ceil(cluster) * cluster;
        let size = |position: &u32| round(case.library.tracks[*position as usize].size);
        // the user's own files are others' space already
        let is_his = |position: &&u32| {
            let origin = Origin::Track(case.library.tracks[**position as usize].uri.clone());
            case.entries.iter().any(|entry| entry.origin == origin && entry.state == EntryState::Foreign)
        };
        let kept = plan.kept.iter().filter(|position| !is_his(position));
        let after: u64 = kept.map(size).chain(plan.writes.iter().map(|write| size(&write.track))).sum();
        let present = case.entries.iter().filter(|entry| entry.state == EntryState::Present);
        let ours: u64 = present.map(|entry| round(entry.facts.size)).sum();
        let reserved = case.space.total * u64::from(case.percent_reserved) / 100;
        prop_assert!(after <= case.space.free + ours);
        prop_assert!(after <= case.space.total - reserved);
        if plan.writes.iter().any(|write| write.replaces.is_none()) {
            prop_assert!(after + MARGIN_CLUSTERS * cluster <= case.space.free + ours, "the margin is kept");
        }
        prop_assert_eq!(plan.used, after, "an estimate is exact");
    }

    #[test]
    fn a_track_that_is_recorded_twice_is_there_once_afterwards(
        mut case in cases(),
        again in proptest::collection::vec((0usize..30, state()), 1..6),
    ) {
        for (number, (at, state)) in again.into_iter().enumerate() {
            if case.entries.is_empty() {
                break;
            }
            let at = at % case.entries.len();
            let path = DevicePath::parse(&format!("Music/again {number}.mp3")).expect("a name");
            let id = 500 + i64::try_from(number).expect("few");
            let again = Entry { id, path, state, ..case.entries[at].clone() };
            // before and behind the first
            case.entries.insert(if number % 2 == 0 { 0 } else { case.entries.len() }, again);
        }
        let rounded = |size: u64| size.div_ceil(case.space.cluster) * case.space.cluster;
        let ours = case.entries.iter().filter(|entry| entry.state == EntryState::Present);
        case.space.total = case.space.free + 20_000 + ours.map(|entry| rounded(entry.facts.size)).sum::<u64>();
        let after = carried_out(&case, &plan(&case), rounded);
        let mut seen = HashSet::new();
        for entry in after.entries.iter().filter(|entry| entry.state == EntryState::Present) {
            prop_assert!(seen.insert(&entry.origin), "{:?} is there twice", entry.origin);
        }
        let again = plan(&after);
        prop_assert!(again.writes.is_empty() && again.deletions.is_empty(), "{:?}", again);
    }

    #[test]
    fn what_is_written_before_anything_is_deleted_has_room_beside_it(case in cases()) {
        let plan = plan(&case);
        let size = |write: &super::TrackWrite| {
            case.library.tracks[write.track as usize].size.div_ceil(case.space.cluster) * case.space.cluster
        };
        let written: u64 = plan.writes.iter().map(size).sum();
        let reserved = case.space.total * u64::from(case.percent_reserved) / 100;
        if plan.deletes_last {
            prop_assert!(written + reserved <= case.space.free);
            prop_assert!(plan.writes.iter().all(|write| !write.delete_first));
        }
    }

    #[test]
    fn paths_never_collide(case in cases()) {
        let plan = plan(&case);
        let mut seen: HashSet<String> = HashSet::new();
        for entry in &case.entries {
            seen.insert(super::names::fold(entry.path.as_str()));
        }
        for write in plan.writes.iter().filter(|write| write.replaces.is_none()) {
            prop_assert!(seen.insert(super::names::fold(write.path.as_str())), "{}", write.path);
        }
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(case in cases()) {
        let rounded = |size: u64| size.div_ceil(case.space.cluster) * case.space.cluster;
        let first = plan(&case);
        let again = plan(&carried_out(&case, &first, rounded));
        prop_assert!(again.writes.is_empty(), "{:?}", again.writes);
        prop_assert!(again.deletions.is_empty(), "{:?}", again.deletions);
    }

    #[test]
    fn folders_that_take_space_are_reckoned_and_cost_nothing_that_is_there(mut case in cases(), is_told: bool) {
        in_folders(&mut case, is_told);
        let first = plan(&case);
        let mut after = carried_out_in_folders(&case, &first).expect("what is planned fits");
        let mut again = plan(&after);
        if first.deletions.is_empty() {
            prop_assert!(again.writes.is_empty() && again.deletions.is_empty(), "{again:?}");
        }
        // what folders that are gone have taken is for the next plans
        for _ in 0..200 {
            if again.writes.is_empty() && again.deletions.is_empty() {
                return Ok(());
            }
            after = carried_out_in_folders(&after, &again).expect("what is planned fits");
            again = plan(&after);
        }
        prop_assert!(false, "each plan finds something to do");
    }

    #[test]
    fn plans_for_a_storage_whose_clusters_are_guessed_come_to_an_end(mut case in cases()) {
        case.space.cluster_is_known = false;
        for _ in 0..200 {
            let next = plan(&case);
            if next.writes.is_empty() && next.deletions.is_empty() {
                return Ok(());
            }
            // in truth, each byte counts
            case = carried_out(&case, &next, |size| size);
        }
        prop_assert!(false, "each plan finds something to do");
    }
}

#[test]
fn what_is_there_keeps_its_place_until_something_takes_it() {
    let kept: Vec<Track> = (1..=20).map(track).collect();
    let entries: Vec<Entry> = (1..=20).map(entry).collect();
    let of_others = 40_000;
    let case = |free: u64, first: Option<Track>| {
        let mut tracks: Vec<Track> = first.into_iter().collect();
        tracks.extend(kept.iter().cloned());
        let total = free + of_others + 20 * 1024;
        let space = Space { total, free, cluster: 512, cluster_is_known: true, folder: None };
        Case { library: library(tracks), entries: entries.clone(), space, percent_reserved: 0 }
    };
    let nothing_new = plan(&case(0, None));
    assert!(nothing_new.deletions.is_empty(), "a full player keeps what is there: {nothing_new:?}");
    let newer = Track { size: 1010, modified_ns: 7, ..track(20) };
    let mut replaced = case(0, None);
    replaced.library.tracks[19] = newer;
    let replaced = plan(&replaced);
    assert!(replaced.deletions.is_empty() && replaced.writes.len() == 1, "{replaced:?}");
    // there is as much free as the margin, and more important music comes
    let margin = MARGIN_CLUSTERS * 512;
    let crowded = plan(&case(margin, Some(Track { size: 6000, ..track(40) })));
    assert_eq!(crowded.writes.len(), 1);
    assert!(crowded.used <= 20 * 1024, "what gives way makes its room, and the margin stays: {crowded:?}");
}

#[test]
fn what_comes_beside_a_file_of_the_users_comes_once() {
    let newer = Track { modified_ns: 7, ..track(1) };
    let his = Entry { state: EntryState::Foreign, ..entry(1) };
    let space = Space { total: 90_000, free: 80_000, cluster: 512, cluster_is_known: false, folder: None };
    let case = Case { library: library(vec![newer]), entries: vec![his], space, percent_reserved: 0 };
    let first = plan(&case);
    assert_eq!(first.writes.len(), 1, "what the library has changed is not written over what is his");
    let next = plan(&carried_out(&case, &first, |size| size));
    assert!(next.writes.is_empty() && next.deletions.is_empty(), "{next:?}");
}

/// The case with a folder for each artist and album, which take a cluster each; the storage says so, or doesn't.
fn in_folders(case: &mut Case, is_told: bool) {
    let names = |size: u64| (format!("Artist {}", size % 7), format!("Album {}", size % 11));
    for track in &mut case.library.tracks {
        let (artist, album) = names(track.size);
        (track.artist, track.album) = (artist.into(), album.into());
    }
    for entry in &mut case.entries {
        let (artist, album) = names(entry.source_size);
        let path = format!("Music/{artist}/{album}/{}", entry.path.name());
        entry.path = DevicePath::parse(&path).expect("a name");
    }
    case.space.folder = is_told.then_some(case.space.cluster);
    case.space.total += folders(&case.entries) * case.space.cluster;
}

/// How many folders the files are in that are there.
fn folders(entries: &[Entry]) -> u64 {
    let present = entries.iter().filter(|entry| entry.state == EntryState::Present);
    present.flat_map(|entry| entry.path.ancestors()).collect::<HashSet<_>>().len() as u64
}

/// The same on a storage on which folders take a cluster; `None` where there isn't as much space.
fn carried_out_in_folders(case: &Case, plan: &super::Plan) -> Option<Case> {
    let mut after = carried_out(case, plan, |size| size.div_ceil(case.space.cluster) * case.space.cluster);
    let [before, now] = [case, &after].map(|case| folders(&case.entries) * case.space.cluster);
    after.space.free = (after.space.free + before).checked_sub(now)?;
    Some(after)
}

/// What a plan makes of a case, on a storage on which a file takes so much.
fn carried_out(case: &Case, plan: &super::Plan, takes: impl Fn(u64) -> u64) -> Case {
    let gone: HashSet<usize> = plan.deletions.iter().map(|deletion| deletion.entry).collect();
    let replaced: HashSet<usize> = plan.writes.iter().filter_map(|write| write.replaces).collect();
    let stays = |(position, _): &(usize, &Entry)| !gone.contains(position) && !replaced.contains(position);
    let kept = case.entries.iter().enumerate().filter(stays);
    let mut entries: Vec<Entry> = kept.map(|(_, entry)| entry.clone()).collect();
    for write in &plan.writes {
        let track = &case.library.tracks[write.track as usize];
        entries.push(Entry {
            id: 1000 + i64::from(write.track),
            origin: Origin::Track(track.uri.clone()),
            path: write.path.clone(),
            facts: ObjectFacts { size: track.size, modified_ns: track.modified_ns },
            source_size: track.size,
            source_modified_ns: track.modified_ns,
            ..entry(0)
        });
    }
    let ours = |entries: &[Entry]| {
        let present = entries.iter().filter(|entry| entry.state == EntryState::Present);
        present.map(|entry| takes(entry.facts.size)).sum::<u64>()
    };
    let free = case.space.free + ours(&case.entries) - ours(&entries);
    Case { entries, space: Space { free, ..case.space }, library: case.library.clone(), ..*case }
}
