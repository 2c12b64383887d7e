//! What holds of every plan for albums, and what is written for which.

use super::*;
use crate::plan::properties::{entry, library, track};
use foldhash::HashSetExt;
use proptest::prelude::*;
use tandem_model::player::ObjectFacts;

fn style() -> AlbumStyle {
    let cover = Some(CoverLimits { bytes: 1000, width: 100, height: 100 });
    AlbumStyle { folder: DevicePath::parse("Albums"), cover }
}

fn song(number: u32, artist: &str, album: &str) -> Track {
    Track { artist: artist.into(), album: album.into(), track_number: 9 - number % 9, ..track(number) }
}

fn places(library: &Resolved, there: impl Fn(u32) -> bool) -> HashMap<u32, Place> {
    let place = |(track, position): (&Track, u32)| {
        let path = DevicePath::parse(&format!("Music/{}", track.file_name)).unwrap();
        there(position).then(|| (position, Place::of_bytes(path, track.modified_ns.cast_unsigned().into())))
    };
    library.tracks.iter().zip(0..).filter_map(place).collect()
}

/// The entry of an object that was written as planned.
fn written(id: i64, object: &AlbumObject) -> Entry {
    Entry {
        id,
        origin: Origin::Album(object.id.clone()),
        path: object.path.clone(),
        persistent_id: object.path.shared(),
        facts: ObjectFacts { size: 0, modified_ns: 0 },
        hash: xxhash_rust::xxh3::xxh3_128(object.text.as_bytes()),
        ..entry(0)
    }
}

/// The entries once all of it was carried out.
fn carried_out(mut entries: Vec<Entry>, changes: &AlbumChanges) -> Vec<Entry> {
    let gone = |entry: &Entry| {
        let replaced = changes.fresh.iter().filter_map(|object| object.replaces.as_ref());
        changes.stale.iter().chain(replaced).any(|gone| gone.id == entry.id)
    };
    entries.retain(|entry| !gone(entry));
    let first = entries.iter().map(|entry| entry.id).max().unwrap_or(0) + 1;
    entries.extend(changes.fresh.iter().zip(first..).map(|(object, id)| written(id, object)));
    entries
}

fn named(changes: &AlbumChanges) -> Vec<&str> {
    changes.fresh.iter().map(|object| object.path.as_str()).collect()
}

#[test]
fn the_tracks_of_an_album_are_in_their_order_and_what_has_no_album_is_in_none() {
    let library =
        library(vec![song(1, "Ann", "One"), song(2, "Ann", "One"), song(3, "Ann", " "), song(4, "", "One")]);
    let found = changes(&library, &[], Some(&style()), &places(&library, |_| true), &CoverStamps::default());
    assert_eq!(named(&found), ["Albums/One.alb", "Albums/Ann - One.alb"]);
    let ann = &found.fresh[1];
    let files = tandem_model::formats::playlist_items(&ann.text, ann.path.parent().as_ref());
    let files: Vec<&str> = files.iter().map(DevicePath::as_str).collect();
    assert_eq!(files, ["Music/2.mp3", "Music/1.mp3"]);
    assert_eq!((&*ann.tags.title, &*ann.tags.artist, &*ann.tags.album_artist), ("One", "Ann", "Ann"));
    assert_eq!(ann.pictured, [TrackId(2), TrackId(1)]);
    assert_eq!(unwritten(&library, &[]), 2);
}

#[test]
fn an_album_is_of_its_album_artist_whoever_plays() {
    let mut tracks = vec![song(1, "Ann", "Both"), song(2, "Bob", "Both")];
    tracks.iter_mut().for_each(|track| track.album_artist = "Various".into());
    let library = library(tracks);
    let found = changes(&library, &[], Some(&style()), &places(&library, |_| true), &CoverStamps::default());
    assert_eq!(named(&found), ["Albums/Various - Both.alb"]);
}

#[test]
fn an_album_is_written_again_for_other_tracks_versions_and_pictures_and_in_its_place() {
    let mut library = library(vec![song(1, "Ann", "One"), song(2, "Ann", "One")]);
    let all = places(&library, |_| true);
    let stamps = |stamp| CoverStamps::from_iter([(AlbumId::new("Ann", "One"), stamp)]);
    let first = changes(&library, &[], Some(&style()), &all, &stamps(1));
    let entries = carried_out(Vec::new(), &first);
    let again = |places: &HashMap<u32, Place>, stamp, style: &AlbumStyle, library: &Resolved| {
        let found = changes(library, &entries, Some(style), places, &stamps(stamp));
        assert!(found.stale.is_empty());
        assert!(found.fresh.iter().all(|object| object.replaces.is_some() && object.path == entries[0].path));
        found.fresh.len()
    };
    assert_eq!(again(&all, 1, &style(), &library), 0);
    assert_eq!(again(&all, 2, &style(), &library), 1, "another picture");
    assert_eq!(again(&places(&library, |at| at == 0), 1, &style(), &library), 1, "a track less");
    let larger = CoverLimits { bytes: 2000, width: 100, height: 100 };
    assert_eq!(again(&all, 1, &AlbumStyle { cover: Some(larger), ..style() }, &library), 1, "other limits");
    library.tracks[0].modified_ns += 1;
    assert_eq!(again(&places(&library, |_| true), 1, &style(), &library), 1, "another version");
    assert_eq!(again(&all, 1, &style(), &library), 0, "that hasn't arrived yet");
    library.tracks[1].genre = "Jazz".into();
    assert_eq!(again(&all, 1, &style(), &library), 1, "another genre");
}

#[test]
fn an_album_goes_with_its_last_track_or_where_the_player_has_no_albums_any_more() {
    let library = library(vec![song(1, "Ann", "One"), song(2, "Ann", "Two")]);
    let none = CoverStamps::default();
    let first = changes(&library, &[], Some(&style()), &places(&library, |_| true), &none);
    let mut entries = carried_out(Vec::new(), &first);
    let found = changes(&library, &entries, Some(&style()), &places(&library, |at| at == 0), &none);
    assert_eq!((found.stale.len(), found.fresh.len()), (1, 0));
    assert_eq!(found.stale[0].path.as_str(), "Albums/Ann - Two.alb");
    assert_eq!(changes(&library, &entries, None, &places(&library, |_| true), &none).stale.len(), 2);
    // what the user has changed is his
    entries[1].state = EntryState::Disowned;
    for places in [places(&library, |_| true), places(&library, |at| at == 0)] {
        let found = changes(&library, &entries, Some(&style()), &places, &none);
        assert_eq!((found.stale.len(), found.fresh.len()), (0, 0));
    }
    assert_eq!(changes(&library, &entries, None, &places(&library, |_| true), &none).stale.len(), 1);
}

prop_compose! {
    fn libraries()(tags in proptest::collection::vec(("[aAb]{0,1}", "[xX. é]{0,2}"), 0..20)) -> Resolved {
        library(tags.iter().zip(1..).map(|((artist, album), number)| song(number, artist, album)).collect())
    }
}

proptest! {
    #[test]
    fn one_object_for_each_album_and_nothing_is_left_to_do(
        library in libraries(), before: u32, after: u32, foreign in proptest::bits::u8::ANY, stamp in 0u64..3,
    ) {
        let stamps = |stamp: u64| representatives(&library).into_iter().map(|(id, _)| (id, stamp)).collect();
        let at = |bits: u32| move |position: u32| bits & 1 << (position % 32) != 0;
        let first = changes(&library, &[], Some(&style()), &places(&library, at(before)), &stamps(0));
        let mut entries = carried_out(Vec::new(), &first);
        for (position, entry) in entries.iter_mut().enumerate() {
            if foreign & 1 << (position % 8) == 0 && position % 3 == 0 {
                entry.state = EntryState::Disowned;
            }
        }
        let there = places(&library, at(after));
        let found = changes(&library, &entries, Some(&style()), &there, &stamps(stamp));
        prop_assert!(found.stale.iter().all(|entry| entry.state == EntryState::Present));
        let his = |entry: &&Entry| entry.state != EntryState::Present;
        for object in &found.fresh {
            let is_his = entries.iter().filter(his).any(|entry| entry.path == object.path);
            prop_assert!(!is_his, "{} is the user's", object.path);
        }
        let end = carried_out(entries.clone(), &found);
        prop_assert!(entries.iter().filter(his).all(|entry| end.contains(entry)));
        let paths: HashSet<String> = end.iter().map(|entry| super::super::names::fold(entry.path.as_str())).collect();
        prop_assert_eq!(paths.len(), end.len(), "no two have one name");
        let of = |id: &AlbumId| end.iter().filter(|entry| entry.origin == Origin::Album(id.clone())).count();
        let mut wanted = HashSet::new();
        for (track, position) in library.tracks.iter().zip(0..) {
            wanted.extend(album_of(track).filter(|_| there.contains_key(&position)));
        }
        prop_assert!(wanted.iter().all(|id| of(id) == 1));
        prop_assert!(end.iter().all(|entry| his(&entry) || matches!(&entry.origin, Origin::Album(id) if wanted.contains(id))));
        let again = changes(&library, &end, Some(&style()), &there, &stamps(stamp));
        prop_assert!(again.stale.is_empty() && again.fresh.is_empty());
    }
}
