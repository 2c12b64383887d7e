//! Says file by file whether a player holds what it should: every assigned track with identical bytes, playlists that
//! resolve there, the user's own files as they were, and nothing else.

use kit::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A file's size and hash.
type Facts = (u64, u128);

/// A playlist that is assigned to the player, with those of its tracks that can be there, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPlaylist {
    /// Its name in the library.
    pub name: String,
    /// The library's files.
    pub tracks: Vec<PathBuf>,
}

/// What is wrong on the player in `root`, one line for each thing; empty when it is in step. `before` is what its user
/// had there.
#[must_use]
pub fn out_of_step(wanted: &[WantedPlaylist], root: &Path, before: &Tree) -> Vec<String> {
    let now = match kit::try_tree(root) {
        Ok(now) => now,
        Err(error) => return vec![error],
    };
    let mut wrong = foreign(before, &now);
    let ours: Tree = now
        .iter()
        .filter(|(path, _)| !before.contains_key(*path) && !is_mark(path))
        .map(|(path, facts)| (path.clone(), *facts))
        .collect();
    if root.join(".tandem").exists() {
        wrong.push("the folder for temporary files is left".to_owned());
    }
    wrong.extend(names(ours.keys()));
    let (lists, tracks): (Tree, Tree) = ours.into_iter().partition(|(path, _)| is_playlist(path));
    let library = match library_facts(wanted) {
        Ok(library) => library,
        Err(error) => return vec![error],
    };
    // the user's own file in the place of a track, with what belongs there, is as good as the track
    let is_track = |(path, facts): &(&PathBuf, &Facts)| {
        path.starts_with("Music")
            && library.values().any(|wanted| wanted == *facts)
            && !tracks.values().any(|ours| ours == *facts)
    };
    let his: Tree = before.iter().filter(is_track).map(|(path, facts)| (path.clone(), *facts)).collect();
    let tracks: Tree = tracks.into_iter().chain(his).collect();
    wrong.extend(track_differences(&library, &tracks));
    wrong.extend(playlist_differences(wanted, &library, (&lists, before), root, &now));
    wrong
}

/// Whether this is the partnership's mark, which is merged into what was there.
pub(crate) fn is_mark(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name.eq_ignore_ascii_case("WMPInfo.xml"))
}

fn is_playlist(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "m3u8")
}

fn foreign(before: &Tree, now: &Tree) -> Vec<String> {
    let touched = before.iter().filter(|(path, facts)| !is_mark(path) && now.get(*path) != Some(facts));
    touched.map(|(path, _)| format!("the user's own file is touched: {}", path.display())).collect()
}

/// Names of ours that FAT or exFAT would refuse, or take for one another.
fn names<'a>(ours: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::new();
    for path in ours {
        let Some(text) = path.to_str() else {
            wrong.push(format!("not Unicode: {}", path.display()));
            continue;
        };
        if let Some(other) = seen.insert(text.to_lowercase(), text) {
            wrong.push(format!("equal but for case: {other}, {text}"));
        }
        for name in text.split('/') {
            let refused = name.chars().any(|c| c.is_control() || "\"*:<>?\\|".contains(c));
            if refused || name.ends_with(['.', ' ']) || name.encode_utf16().count() > 255 {
                wrong.push(format!("not a legal name: {name:?}"));
            }
        }
    }
    wrong
}

/// The library's files, each once.
fn library_facts(wanted: &[WantedPlaylist]) -> Result<BTreeMap<PathBuf, Facts>, String> {
    let paths: BTreeSet<&PathBuf> = wanted.iter().flat_map(|playlist| &playlist.tracks).collect();
    let facts =
        |path: &PathBuf| kit::file_facts(path).map_err(|error| format!("{}: {error}", path.display()));
    paths.into_iter().map(|path| Ok((path.clone(), facts(path)?))).collect()
}

/// Tracks of the library that aren't on the player, and files of ours that are no track of the library.
fn track_differences(library: &BTreeMap<PathBuf, Facts>, tracks: &Tree) -> Vec<String> {
    let mut on_player: BTreeMap<Facts, Vec<&PathBuf>> = BTreeMap::new();
    for (path, facts) in tracks {
        on_player.entry(*facts).or_default().push(path);
    }
    let mut wrong = Vec::new();
    for (path, facts) in library {
        if on_player.get_mut(facts).and_then(Vec::pop).is_none() {
            wrong.push(format!("not on the player: {}", path.display()));
        }
    }
    wrong.extend(
        on_player.into_values().flatten().map(|path| format!("should not be there: {}", path.display())),
    );
    wrong
}

/// Each wanted playlist is there once, holds those tracks in that order, and every entry leads to its file.
fn playlist_differences(
    wanted: &[WantedPlaylist],
    library: &BTreeMap<PathBuf, Facts>,
    (lists, before): (&Tree, &Tree),
    root: &Path,
    now: &Tree,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut found: BTreeMap<Vec<Facts>, Vec<&PathBuf>> = BTreeMap::new();
    for path in lists.keys() {
        match entries(root, path, now) {
            Ok(entries) => found.entry(entries).or_default().push(path),
            Err(error) => wrong.push(error),
        }
    }
    for playlist in wanted.iter().filter(|playlist| !playlist.tracks.is_empty()) {
        let tracks: Vec<Facts> = playlist.tracks.iter().map(|path| library[path]).collect();
        // the user's own list of exactly these is as good as the playlist
        let is_it = |path: &&PathBuf| {
            is_playlist(path) && entries(root, path, now).is_ok_and(|entries| entries == tracks)
        };
        let has_own = || before.keys().any(|path| is_it(&path));
        if found.get_mut(&tracks).and_then(Vec::pop).is_none() && !has_own() {
            wrong.push(format!("the playlist `{}` is not on the player as it is", playlist.name));
        }
    }
    wrong
        .extend(found.into_values().flatten().map(|path| format!("a playlist too many: {}", path.display())));
    wrong
}

/// What the entries of a playlist on the player lead to.
fn entries(root: &Path, list: &Path, now: &Tree) -> Result<Vec<Facts>, String> {
    let text =
        std::fs::read_to_string(root.join(list)).map_err(|error| format!("{}: {error}", list.display()))?;
    let folder = list.parent().unwrap_or_else(|| Path::new(""));
    let mut facts = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let target = resolve(folder, Path::new(line));
        let file = target.as_ref().and_then(|target| now.get(target));
        facts.push(*file.ok_or_else(|| format!("{}: `{line}` leads nowhere", list.display()))?);
    }
    Ok(facts)
}

/// A relative path below the player's root; `None` for one that leads out.
fn resolve(folder: &Path, entry: &Path) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in entry.components() {
        match part {
            Component::Normal(name) if name.as_bytes() != b"\r" => path.push(name),
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(player: &crate::Player, wanted: &[WantedPlaylist]) -> String {
        out_of_step(wanted, player.path(), player.before()).join("\n")
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let music = kit::MusicLibrary::with_tracks(2, 2000);
        let tracks: Vec<PathBuf> = kit::tree(music.dir()).into_keys().map(|path| music.path(path)).collect();
        let wanted = [WantedPlaylist { name: "Mix".into(), tracks: tracks.clone() }];
        let player = crate::Player::new();
        let put = |at: &str, bytes: &[u8]| kit::write_file(&player.path().join(at), bytes);
        let missing = check(&player, &wanted);
        assert_eq!(missing.lines().count(), 3, "{missing}");
        put("Music/a.mp3", &std::fs::read(&tracks[0]).unwrap());
        put("Music/b.mp3", &std::fs::read(&tracks[1]).unwrap());
        put("Playlists/Mix.m3u8", b"#EXTM3U\n../Music/a.mp3\n../Music/b.mp3\n");
        put("WMPInfo.xml", b"<mark/>");
        assert_eq!(check(&player, &wanted), "");
        let spoilt = |at: &str, bytes: &[u8], says: &str| {
            let before = std::fs::read(player.path().join(at)).ok();
            put(at, bytes);
            let text = check(&player, &wanted);
            assert!(text.contains(says), "{at}: {text}");
            match before {
                Some(before) => put(at, &before),
                None => std::fs::remove_file(player.path().join(at)).unwrap(),
            }
        };
        spoilt("Playlists/Mix.m3u8", b"../Music/b.mp3\n../Music/a.mp3\n", "not on the player as it is");
        spoilt("Playlists/Mix.m3u8", b"../Music/c.mp3\n", "leads nowhere");
        spoilt("Playlists/Mix.m3u8", b"../../a.mp3\n", "leads nowhere");
        spoilt("Music/a.mp3", b"cut", "not on the player");
        spoilt("Music/c.mp3", b"more", "should not be there");
        spoilt("Music/what?.mp3", b"", "not a legal name");
        spoilt("Music/A.mp3", b"", "equal but for case");
        spoilt("Music/Own song.mp3", b"", "the user's own file");
        std::fs::create_dir(player.path().join(".tandem")).unwrap();
        assert!(check(&player, &wanted).contains("temporary"));
    }
}
