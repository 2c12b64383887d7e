//! Playlists: files found in the folders, static and auto ones made over the bus, imports, and the default set.

use crate::kit::{Fixture, items, resolve, until};
use crate::samples;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use tandem_model::error::LibraryError;
use tandem_model::id::{DeviceId, MediaUri, PlaylistId};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, PlaylistKind};

fn named<'a>(playlists: &'a [PlaylistInfo], name: &str) -> &'a PlaylistInfo {
    playlists.iter().find(|playlist| playlist.name == name).unwrap()
}

#[tokio::test]
async fn playlist_files_name_their_tracks_in_every_way() {
    let fixture = Fixture::new();
    for name in ["one.flac", "sub/Zwei.flac", "Ärger.flac"] {
        fixture.put(name, &samples::flac(&[]));
    }
    let absolute = fixture.at("one.flac");
    let uri = fixture.uri("Ärger.flac");
    let lines = format!(
        "\u{feff}#EXTM3U\r\n#EXTINF:1,x\r\none.flac\r\nsub\\zwei.flac\r\n{}\r\n{uri}\r\nC:\\Users\\x\\sub\\Zwei.flac\r\n\
         A\u{308}RGER.flac\r\nmissing.flac\r\nhttp://example.org/stream\r\n../../../../etc/passwd\r\none.flac\r\n",
        absolute.display()
    );
    fixture.put("list.m3u8", lines.as_bytes());
    fixture.put("sub/latin.m3u", b"../\xc4rger.flac\nZwei.flac\n");
    fixture.put("sub/empty.m3u", b"");
    let library = fixture.open().await;
    let playlists = library.playlists().await.unwrap();
    let list = named(&playlists, "list");
    assert_eq!((list.kind, list.count), (PlaylistKind::File, 7));
    let resolved = resolve(&*library, &list.id).await;
    let (one, two, three) = (fixture.uri("one.flac"), fixture.uri("sub/Zwei.flac"), uri);
    let expected = [&one, &two, &one, &three, &two, &three, &one].map(Clone::clone);
    assert_eq!(items(&resolved, 0), expected);
    assert_eq!(resolved.tracks.len(), 3);
    let unresolved = ["missing.flac", "http://example.org/stream", "../../../../etc/passwd"];
    assert_eq!(resolved.playlists[0].unresolved, unresolved);
    assert_eq!(library.playlist_items(list.id.clone(), 1, 3).await.unwrap(), expected[1..4]);
    let latin = resolve(&*library, &named(&playlists, "latin").id).await;
    assert_eq!(items(&latin, 0), [three, two]);
    assert_eq!(named(&playlists, "empty").count, 0);
    assert!(matches!(library.delete_playlist(list.id.clone()).await, Err(LibraryError::ReadOnly(_))));
    let edit = library.edit_playlist(list.id.clone(), PlaylistEdit::Clear).await;
    assert!(matches!(edit, Err(LibraryError::ReadOnly(_))));
    // a track that comes later is found in a playlist that hasn't changed
    fixture.put("missing.flac", &samples::flac(&[]));
    until(&*library, |state| state.track_count == 4).await;
    assert_eq!(resolve(&*library, &list.id).await.playlists[0].tracks.len(), 8);
}

#[tokio::test]
async fn a_hundred_thousand_lines_are_taken() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&[]));
    let lines: String = (0..100_000)
        .map(|n| if n % 2 == 0 { "one.flac\n".into() } else { format!("no/{n}.mp3\n") })
        .collect();
    fixture.put("long.m3u", lines.as_bytes());
    let library = fixture.open().await;
    let id = library.playlists().await.unwrap()[0].id.clone();
    let resolved = resolve(&*library, &id).await;
    let playlist = &resolved.playlists[0];
    assert_eq!(
        (resolved.tracks.len(), playlist.tracks.len(), playlist.unresolved.len()),
        (1, 50_000, 50_000)
    );
}

#[tokio::test]
async fn static_playlists_are_edited_and_outlive_their_files() {
    let fixture = Fixture::new();
    for name in ["a.flac", "b.flac", "c.flac"] {
        fixture.put(name, &samples::flac(&[]));
    }
    let library = fixture.open().await;
    let [a, b, c] = ["a.flac", "b.flac", "c.flac"].map(|name| fixture.uri(name));
    let id = library.create_playlist("Mine".into(), vec![a.clone(), b.clone()]).await.unwrap().id;
    let edit = |edit: PlaylistEdit| library.edit_playlist(id.clone(), edit);
    let now = || library.playlist_items(id.clone(), 0, 0);
    assert_eq!(edit(PlaylistEdit::Append(vec![c.clone(), a.clone()])).await.unwrap().count, 4);
    edit(PlaylistEdit::Insert(1, vec![c.clone()])).await.unwrap();
    assert_eq!(now().await.unwrap(), [&a, &c, &b, &c, &a].map(Clone::clone));
    edit(PlaylistEdit::Move(0, 3)).await.unwrap();
    assert_eq!(now().await.unwrap(), [&c, &b, &c, &a, &a].map(Clone::clone));
    edit(PlaylistEdit::Move(4, 1)).await.unwrap();
    assert_eq!(now().await.unwrap(), [&c, &a, &b, &c, &a].map(Clone::clone));
    edit(PlaylistEdit::Remove(1, 2)).await.unwrap();
    assert_eq!(now().await.unwrap(), [&c, &c, &a].map(Clone::clone));
    for wrong in [
        PlaylistEdit::Remove(2, 2),
        PlaylistEdit::Move(0, 3),
        PlaylistEdit::Insert(4, vec![a.clone()]),
        PlaylistEdit::Remove(9, 0),
    ] {
        assert!(matches!(edit(wrong.clone()).await, Err(LibraryError::InvalidArgument(_))), "{wrong:?}");
    }
    for uri in ["http://x/a.mp3", "file:///etc/passwd", "a.flac"] {
        let wrong = PlaylistEdit::Append(vec![MediaUri(uri.into())]);
        assert!(
            matches!(edit(wrong).await, Err(LibraryError::InvalidArgument(words)) if words.contains(uri))
        );
    }
    for name in ["", " ", "a\nb", &"x".repeat(300)] {
        assert!(matches!(
            library.create_playlist(name.into(), Vec::new()).await,
            Err(LibraryError::InvalidArgument(_))
        ));
    }
    edit(PlaylistEdit::Rename("Yours".into())).await.unwrap();
    assert!(edit(PlaylistEdit::SyncOnly(true)).await.unwrap().sync_only);
    std::fs::remove_file(fixture.at("c.flac")).unwrap();
    until(&*library, |state| state.track_count == 2).await;
    let resolved = resolve(&*library, &id).await;
    assert_eq!(
        (items(&resolved, 0), &resolved.playlists[0].unresolved),
        (vec![a], &vec![c.0.to_string(); 2])
    );
    assert_eq!(library.playlist(id.clone()).await.unwrap().count, 3);
    assert_eq!(edit(PlaylistEdit::Clear).await.unwrap().count, 0);
    library.delete_playlist(id.clone()).await.unwrap();
    assert!(matches!(library.playlist(id.clone()).await, Err(LibraryError::NotFound(_))));
    assert_eq!(resolve(&*library, &id).await.missing, std::slice::from_ref(&id));
}

#[tokio::test]
async fn only_what_can_be_a_track_becomes_an_item() {
    let fixture = Fixture::new();
    fixture.put("sub/one.flac", &samples::flac(&[]));
    fixture.put("sub/cover.jpg", b"x");
    std::os::unix::fs::symlink("one.flac", fixture.at("sub/link.flac")).unwrap();
    let library = fixture.open().await;
    let create = |name: &str| {
        library.create_playlist("Mine".into(), vec![fixture.uri("sub/one.flac"), fixture.uri(name)])
    };
    let missing = create("sub/none.flac").await.unwrap_err();
    assert!(
        matches!(&missing, LibraryError::NotFound(words) if words.contains("sub/none.flac")),
        "{missing}"
    );
    for (name, why) in [("sub", "directory"), ("sub/link.flac", "link"), ("sub/cover.jpg", "music")] {
        let refused = create(name).await.unwrap_err();
        let told = |words: &str| words.contains(name) && words.contains(why);
        assert!(matches!(&refused, LibraryError::InvalidArgument(words) if told(words)), "{refused}");
    }
    assert_eq!(library.state().borrow().playlist_count, 0, "nothing is left of what was refused");
    // two may share a name, and each is its own
    let first = library.create_playlist("Mine".into(), vec![fixture.uri("sub/one.flac")]).await.unwrap();
    let second = library.create_playlist("Mine".into(), Vec::new()).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!((first.count, library.playlists().await.unwrap().len()), (1, 2));
}

#[tokio::test]
async fn a_rule_sees_each_value_of_a_tag() {
    let fixture = Fixture::new();
    let tags = ["ARTIST=Nina", "ARTIST=Guest; Friend", "GENRE=Jazz", "GENRE=Fusion", "TITLE=Both"];
    fixture.put("1.flac", &samples::flac(&tags));
    fixture.put(
        "2.flac",
        &samples::flac(&["ARTIST=Nina Guest", "ALBUMARTIST=Somebody", "GENRE=Acid Jazz", "TITLE=One"]),
    );
    fixture.put("3.flac", &samples::flac(&["TITLE=None"]));
    let library = fixture.open().await;
    for (rule, expected) in [
        ("(genre == 'jazz')", "1"),
        ("(genre == 'Fusion')", "1"),
        ("(genre == 'Jazz; Fusion')", ""),
        ("(genre != 'Fusion')", "23"),
        ("(!(genre == 'Fusion'))", "23"),
        ("(genre starts_with 'fu')", "1"),
        ("(genre contains 'jazz')", "12"),
        ("(genre =~ '^jazz$')", "1"),
        ("(genre !~ '^(fusion|acid jazz)$')", "3"),
        ("(artist == 'Guest')", ""),
        ("(artist == 'guest; friend')", "1"),
        ("(artist == '')", "3"),
        ("(albumartist == 'nina')", "1"),
        ("(AlbumArtist == 'Somebody')", "2"),
        ("(albumartist == 'nina guest')", ""),
        ("(albumartist == '')", "3"),
        ("(file starts_with '1.')", "1"),
    ] {
        let mut found: Vec<_> = library.search(rule.into()).await.unwrap();
        found.sort();
        let expected: Vec<_> = expected.chars().map(|name| fixture.uri(format!("{name}.flac"))).collect();
        assert_eq!(found, expected, "{rule}");
    }
    let shown = library.media_info(fixture.uri("1.flac")).await.unwrap();
    assert_eq!(shown["WM/Genre"], MediaValue::Text("Jazz; Fusion".into()));
}

#[tokio::test]
async fn auto_playlists_are_asked_anew_sorted_and_cut() {
    let fixture = Fixture::new();
    for (name, title, date) in
        [("1.flac", "Älpha", "1961"), ("2.flac", "beta", "1959-08-17"), ("sub/3.flac", "Gamma", "1970")]
    {
        fixture
            .put(name, &samples::flac(&[&format!("TITLE={title}"), &format!("DATE={date}"), "GENRE=Jazz"]));
    }
    fixture.put("4.mp3", &samples::mp3("Delta", "someone"));
    let library = fixture.open().await;
    let [one, two, three, four] = ["1.flac", "2.flac", "sub/3.flac", "4.mp3"].map(|name| fixture.uri(name));
    for (rule, expected) in [
        ("(genre == 'jazz') sort date", vec![&two, &one, &three]),
        ("(date < 1965) sort -date", vec![&one, &two]),
        ("(title == 'äLPHA')", vec![&one]),
        ("(title =~ '^(b|g)') sort -title", vec![&three, &two]),
        ("(title !~ 'a$')", vec![]),
        ("(base 'sub')", vec![&three]),
        ("(file starts_with 'SUB/')", vec![&three]),
        ("(format == 'mp3')", vec![&four]),
        ("((genre != 'Jazz') OR (date == '1970')) sort title", vec![&four, &three]),
        ("(!(genre contains 'azz'))", vec![&four]),
        ("(duration >= 2.5) sort title limit 2 items", vec![&two, &three]),
        ("(genre == 'jazz') sort title limit 0.1 minutes", vec![&two, &three]),
        ("(genre == 'jazz') sort date limit 0.0003 MB", vec![&two]),
        ("(stars > 0)", vec![]),
    ] {
        let playlist = library.create_auto_playlist("auto".into(), rule.into()).await.unwrap();
        let expected: Vec<MediaUri> = expected.into_iter().cloned().collect();
        assert_eq!(playlist.count, u32::try_from(expected.len()).unwrap(), "{rule}");
        assert_eq!(items(&resolve(&*library, &playlist.id).await, 0), expected, "{rule}");
        library.delete_playlist(playlist.id).await.unwrap();
    }
    let random = library.create_auto_playlist("r".into(), "(size > 0) sort random".into()).await.unwrap();
    let taken = items(&resolve(&*library, &random.id).await, 0);
    assert_eq!(library.playlist_items(random.id.clone(), 0, 0).await.unwrap(), taken);
    let error = library.create_auto_playlist("x".into(), "(title = 1)".into()).await.unwrap_err();
    assert!(error.to_string().contains("column 8"), "{error}");
    let edit = library.edit_playlist(random.id, PlaylistEdit::Append(vec![one])).await;
    assert!(matches!(edit, Err(LibraryError::ReadOnly(_))));
}

#[tokio::test]
async fn imports_report_what_they_do_not_know() {
    let fixture = Fixture::new();
    fixture.put("sub/one.flac", &samples::flac(&[]));
    let library = fixture.open().await;
    let outside = fixture.folder.path();
    let write = |name: &str, content: &str| {
        let path = outside.join(name);
        std::fs::File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        path
    };
    let uri = fixture.uri("sub/one.flac");
    for path in [
        write("My list.m3u", "music/sub/one.flac\nnone.mp3\n"),
        write("a.pls", "[playlist]\nFile1=music/sub/one.flac\nFile2=none.mp3\n"),
        write(
            "a.xspf",
            &format!(
                "<playlist><trackList><track><location>{uri}</location></track><track><location>none.mp3</location></track></trackList></playlist>"
            ),
        ),
        write("a.WPL", r#"<smil><media src="C:\x\sub\ONE.flac"/><media src="none.mp3"/></smil>"#),
    ] {
        let imported = library.import_playlist(path.clone()).await.unwrap();
        assert_eq!((imported.playlist.kind, imported.playlist.count), (PlaylistKind::Static, 1), "{path:?}");
        assert_eq!(imported.unresolved, ["none.mp3"]);
        assert_eq!(
            library.playlist_items(imported.playlist.id, 0, 0).await.unwrap(),
            std::slice::from_ref(&uri)
        );
    }
    assert!(library.playlists().await.unwrap().iter().any(|playlist| playlist.name == "My list"));
    let missing = library.import_playlist(outside.join("none.m3u")).await;
    assert!(matches!(missing, Err(LibraryError::NotFound(_))));
    for bad in [outside.join("music"), "list.m3u".into(), outside.join(OsStr::from_bytes(b"x.\xff"))] {
        assert!(matches!(library.import_playlist(bad).await, Err(LibraryError::InvalidArgument(_))));
    }
}

#[tokio::test]
async fn each_device_has_a_transfer_playlist_of_its_own_whatever_it_is_called() {
    let fixture = Fixture::new();
    let library = fixture.open().await;
    let transfer = async |device: &str, name: &str| {
        library.transfer_playlist(DeviceId(device.to_owned()), name.to_owned()).await.unwrap()
    };
    let first = transfer("one", "Player").await;
    assert_eq!(first.name, "Transferred to Player");
    assert_eq!(transfer("one", "Jogger").await.id, first.id, "a rename keeps it");
    let second = transfer("two", "Player").await;
    assert_ne!(second.id, first.id);
    assert_eq!(second.name, "Transferred to Player (2)");
}

#[tokio::test]
async fn a_transfer_playlist_of_an_earlier_version_is_taken_over() {
    let fixture = Fixture::new();
    let id = {
        let library = fixture.open().await;
        library.transfer_playlist(DeviceId("one".into()), "Player".into()).await.unwrap().id
    };
    {
        let file = rusqlite::Connection::open(fixture.folder.path().join("state/library.sqlite")).unwrap();
        let by_name = "UPDATE playlist SET preset = 'transfer:Player' WHERE preset LIKE 'transfer%'";
        assert_eq!(file.execute(by_name, []).unwrap(), 1);
    }
    let library = fixture.open().await;
    for name in ["Player", "Jogger"] {
        assert_eq!(library.transfer_playlist(DeviceId("one".into()), name.into()).await.unwrap().id, id);
    }
    assert_ne!(library.transfer_playlist(DeviceId("two".into()), "Player".into()).await.unwrap().id, id);
}

#[tokio::test]
async fn the_default_set_is_made_once_in_order() {
    let fixture = Fixture::new();
    fixture.put("one.flac", &samples::flac(&[]));
    let library = fixture.open().await;
    let mine = library.create_playlist("Mine".into(), Vec::new()).await.unwrap().id;
    let set = library.default_playlists().await.unwrap();
    let generation = library.state().borrow().generation;
    assert_eq!(library.default_playlists().await.unwrap(), set);
    assert_eq!(library.state().borrow().generation, generation);
    assert_eq!(set[0], mine);
    let mut names = Vec::new();
    for id in &set[1..] {
        let playlist = library.playlist(id.clone()).await.unwrap();
        assert!(playlist.sync_only && playlist.kind == PlaylistKind::Auto);
        names.push(playlist.name);
    }
    let expected = [
        "Music rated at 5 stars",
        "Music added in the last month",
        "Music rated at 4 or 5 stars",
        "Music played in the last month",
        "Music played the most",
        "All music",
    ];
    assert_eq!(names, expected);
    let resolved = library.resolve(set.clone()).await.unwrap();
    let counts: Vec<usize> = resolved.playlists.iter().map(|playlist| playlist.tracks.len()).collect();
    assert_eq!((counts, resolved.tracks.len()), (vec![0, 0, 1, 0, 0, 0, 1], 1));
    library.delete_playlist(set[6].clone()).await.unwrap();
    assert_ne!(library.default_playlists().await.unwrap()[6], set[6]);
    assert!(matches!(library.playlist(PlaylistId("p-x".into())).await, Err(LibraryError::NotFound(_))));
}
