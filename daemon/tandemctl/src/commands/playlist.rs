//! `tandemctl playlist …`: shows, makes and changes playlists. Positions are shown and read counted from 1; the bus
//! counts from 0.

use super::Context;
use super::playlists::{assignments, partners};
use crate::error::{Error, Exit};
use crate::media::of_library;
use crate::output::table::Rows;
use crate::output::{complain, table, units};
use crate::playlist::{Playlist, namesake};
use crate::select::Named;
use crate::uri;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use zbus::OwnedObjectPath;

/// Show, make and change playlists
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show a playlist with its items
    #[command(
        after_long_help = "JSON: a playlist, as `tandemctl --help` describes it, with `items` besides: an \
                                 array of URIs; and `unresolved`: an array of entries that are no tracks of your \
                                 library now."
    )]
    Show {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
    },
    /// Make a playlist of files, or of a rule
    ///
    /// `tandemctl help rules` explains rules.
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Create {
        /// Its name
        name: String,
        /// Its items: paths or file:// URIs
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Make an auto playlist of this rule, such as `(genre == "Jazz") sort -added limit 2 GB`
        #[arg(long, conflicts_with = "files")]
        rule: Option<String>,
        /// Take the name even though another playlist has it; from then on, name both by their ids
        #[arg(long)]
        allow_duplicate: bool,
    },
    /// Add files to a playlist
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Add {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
        /// Paths or file:// URIs
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Before the item at this position, counted from 1; without it, at the end
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
        at: Option<u32>,
    },
    /// Remove items from a playlist; the files stay where they are
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Remove {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
        /// Every item that is this path or file:// URI
        #[arg(value_name = "FILE", required_unless_present = "at")]
        files: Vec<PathBuf>,
        /// The item at this position, counted from 1 as `show` does; may be repeated
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
        at: Vec<u32>,
    },
    /// Move an item of a playlist to another position
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Move {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
        /// The item's position, counted from 1 as `show` does
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        from: u32,
        /// Its new position
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        to: u32,
    },
    /// Remove all items from a playlist; the files stay where they are
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Clear {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
    },
    /// Delete a playlist, and its assignments; the files stay where they are
    #[command(after_long_help = "JSON: {deleted: path, name}.")]
    Delete {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
    },
    /// Make a playlist of a playlist file: M3U, M3U8, PLS, XSPF or WPL
    ///
    /// Entries that name no media of your library are left out and told of; the exit code is then 5.
    #[command(
        after_long_help = "JSON: a playlist, as `tandemctl --help` describes it, with `unresolved` besides: an \
                                 array of all entries that were left out, as they are written in the file."
    )]
    Import {
        /// The playlist file
        path: PathBuf,
        /// Take the name even though another playlist has it; from then on, name both by their ids
        #[arg(long)]
        allow_duplicate: bool,
    },
    /// Give a playlist another name
    #[command(after_long_help = "JSON: a playlist, as `tandemctl --help` describes it.")]
    Rename {
        /// A playlist: its name, an unambiguous beginning of it, its id, or its object path
        playlist: String,
        /// Its new name
        name: String,
        /// Take the name even though another playlist has it; from then on, name both by their ids
        #[arg(long)]
        allow_duplicate: bool,
    },
}

/// How many entries that name no media are told of one by one.
const TOLD: usize = 20;

/// What to do about a name that is taken.
const OTHER_NAME: &str = "choose another name, or say --allow-duplicate";

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    playlist: &'a Playlist,
    items: Vec<String>,
    unresolved: Vec<String>,
}

#[derive(Serialize)]
struct Imported<'a> {
    #[serde(flatten)]
    playlist: &'a Playlist,
    unresolved: &'a [String],
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    match &args.action {
        Action::Show { playlist } => show(context, playlist).await,
        Action::Create { name, files, rule, allow_duplicate } => {
            refuse_namesake(context, name, None, OTHER_NAME, *allow_duplicate).await?;
            create(context, name, files, rule.as_deref()).await
        }
        Action::Add { playlist, files, at } => add(context, playlist, files, *at).await,
        Action::Remove { playlist, files, at } => remove(context, playlist, files, at).await,
        Action::Delete { playlist } => delete(context, playlist).await,
        Action::Move { playlist, from, to } => move_item(context, playlist, *from, *to).await,
        Action::Clear { playlist } => clear(context, playlist).await,
        Action::Import { path, allow_duplicate } => {
            return import(context, path, *allow_duplicate).await;
        }
        Action::Rename { playlist, name, allow_duplicate } => {
            rename(context, playlist, name, *allow_duplicate).await
        }
    }?;
    Ok(Exit::Ok)
}

async fn show(context: &Context, wanted: &str) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    let proxy = context.client.playlist_proxy(&playlist.path).await?;
    let (items, unresolved) = (proxy.get_items(0, 0).await?, proxy.get_unresolved().await?);
    if context.output.json {
        return context.output.document(&Shown { playlist: &playlist, items, unresolved });
    }
    let facts = [
        ("Name", playlist.name.clone()),
        ("Id", playlist.id.clone()),
        ("Kind", playlist.kind.clone()),
        ("Rule", playlist.rule.clone()),
        ("Assigned to", assignments(&playlist, &partners(context).await?)),
        ("Items", items.len().to_string()),
    ];
    table::facts(&context.output, &facts)?;
    let mut rows = Rows::new(&[]).right(&[0]);
    for (position, item) in items.iter().enumerate() {
        rows.row([(position + 1).to_string(), uri::display(item).into_owned()]);
    }
    rows.print(&context.output)?;
    let lost = unresolved.iter().map(|entry| format!("not in your library: {}", uri::display(entry)));
    context.output.lines(lost)
}

async fn create(context: &Context, name: &str, files: &[PathBuf], rule: Option<&str>) -> Result<(), Error> {
    let media = of_library(&context.client, files).await?;
    let library = context.client.library().await?.proxy;
    let path = match rule {
        Some(rule) => library.create_auto_playlist(name, rule).await?,
        None => library.create_playlist(name, &references(&media)).await?,
    };
    report(context, path).await
}

async fn add(context: &Context, wanted: &str, files: &[PathBuf], at: Option<u32>) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    let media = of_library(&context.client, files).await?;
    let proxy = context.client.playlist_proxy(&playlist.path).await?;
    match at {
        Some(position) => proxy.insert(position - 1, &references(&media)).await?,
        None => proxy.append(&references(&media)).await?,
    }
    report(context, playlist.path).await
}

async fn remove(context: &Context, wanted: &str, files: &[PathBuf], at: &[u32]) -> Result<(), Error> {
    let media = uri::from_arguments(files)?;
    let playlist = context.client.find_playlist(wanted).await?;
    let proxy = context.client.playlist_proxy(&playlist.path).await?;
    let items = proxy.get_items(0, 0).await?;
    for (first, count) in removals(&playlist.name, &items, &media, at)? {
        proxy.remove(first, count).await?;
    }
    report(context, playlist.path).await
}

async fn move_item(context: &Context, wanted: &str, from: u32, to: u32) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    if let Some(position) = [from, to].into_iter().find(|position| *position > playlist.count) {
        let count = units::count(usize::try_from(playlist.count).unwrap_or(usize::MAX), "item");
        return Err(Error::NotFound(format!(
            "`{}` has {count}, so there is no position {position}",
            playlist.name
        )));
    }
    context.client.playlist_proxy(&playlist.path).await?.move_(from - 1, to - 1).await?;
    report(context, playlist.path).await
}

async fn clear(context: &Context, wanted: &str) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    context.client.playlist_proxy(&playlist.path).await?.clear().await?;
    report(context, playlist.path).await
}

/// Refuses a name that another playlist than `own` has.
async fn refuse_namesake(
    context: &Context,
    name: &str,
    own: Option<&Playlist>,
    remedy: &str,
    allowed: bool,
) -> Result<(), Error> {
    if allowed {
        return Ok(());
    }
    let mut playlists = context.client.playlists().await?;
    playlists.retain(|playlist| own.is_none_or(|own| own.path != playlist.path));
    match namesake(&playlists, name) {
        None => Ok(()),
        Some(there) => Err(Error::Usage(format!(
            "there is a playlist `{}` already ({}); {remedy}",
            there.name,
            there.detail()
        ))),
    }
}

async fn delete(context: &Context, wanted: &str) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    context.client.playlist_proxy(&playlist.path).await?.delete().await?;
    let value = json!({"deleted": playlist.path, "name": playlist.name});
    context.output.done(&value, &format!("`{}` is deleted.", playlist.name))
}

async fn import(context: &Context, path: &Path, allow_duplicate: bool) -> Result<Exit, Error> {
    let path = uri::absolute(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let remedy = "rename the file, or say --allow-duplicate";
    refuse_namesake(context, &name, None, remedy, allow_duplicate).await?;
    let text = path.to_str().ok_or_else(|| {
        Error::Usage(format!(
            "`{}` is not UTF-8, so it can't be named over the bus; rename the file",
            path.display()
        ))
    })?;
    let library = context.client.library().await?.proxy;
    let (path, unresolved) = library.import_playlist_with_report(text).await?;
    let playlist = context.client.playlist(path).await?;
    if context.output.json {
        context.output.document(&Imported { playlist: &playlist, unresolved: &unresolved })?;
    } else {
        unresolved
            .iter()
            .take(TOLD)
            .for_each(|entry| complain(&format!("left out: {}", uri::display(entry))));
        let mut line = contents(&playlist);
        if !unresolved.is_empty() {
            let entries = units::plural(unresolved.len(), "entry", "entries");
            let more = if unresolved.len() > TOLD { "; --json lists all" } else { "" };
            line += &format!(" {entries} of the file named no media of your library{more}.");
        }
        context.output.say(&line)?;
    }
    Ok(if unresolved.is_empty() { Exit::Ok } else { Exit::Partial })
}

async fn rename(context: &Context, wanted: &str, name: &str, allow_duplicate: bool) -> Result<(), Error> {
    let playlist = context.client.find_playlist(wanted).await?;
    refuse_namesake(context, name, Some(&playlist), OTHER_NAME, allow_duplicate).await?;
    context.client.playlist_proxy(&playlist.path).await?.set_item_info("Name", name).await?;
    report(context, playlist.path).await
}

fn references(media: &[String]) -> Vec<&str> {
    media.iter().map(String::as_str).collect()
}

/// Says what the playlist is now.
async fn report(context: &Context, path: OwnedObjectPath) -> Result<(), Error> {
    let playlist = context.client.playlist(path).await?;
    context.output.done(&playlist, &contents(&playlist))
}

/// What a playlist has, in a sentence.
fn contents(playlist: &Playlist) -> String {
    let count = usize::try_from(playlist.count).unwrap_or(usize::MAX);
    format!("`{}` has {}.", playlist.name, units::count(count, "item"))
}

/// Which stretches to remove, as first position and count from 0, last first, so that the others keep theirs.
fn removals(name: &str, items: &[String], media: &[String], at: &[u32]) -> Result<Vec<(u32, u32)>, Error> {
    let mut doomed = vec![false; items.len()];
    for position in at {
        let place = usize::try_from(*position - 1).ok().and_then(|index| doomed.get_mut(index));
        *place.ok_or_else(|| {
            let count = units::count(items.len(), "item");
            Error::NotFound(format!("`{name}` has {count}, so there is none at position {position}"))
        })? = true;
    }
    for uri in media {
        let mut found = false;
        for (doomed, _) in doomed.iter_mut().zip(items).filter(|(_, item)| *item == uri) {
            *doomed = true;
            found = true;
        }
        if !found {
            return Err(Error::NotFound(format!(
                "{} is not in `{name}`; `tandemctl playlist show` lists what is, and --at N removes by position",
                uri::display(uri)
            )));
        }
    }
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for (position, _) in (0u32..).zip(&doomed).filter(|(_, doomed)| **doomed) {
        match stretches.last_mut() {
            Some((first, count)) if *first + *count == position => *count += 1,
            _ => stretches.push((position, 1)),
        }
    }
    stretches.reverse();
    Ok(stretches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uris(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("file:///{name}")).collect()
    }

    #[test]
    fn items_are_removed_from_the_end_in_stretches() {
        let items = uris(&["a", "b", "a", "c", "d"]);
        assert_eq!(removals("p", &items, &uris(&["a"]), &[]).unwrap(), [(2, 1), (0, 1)]);
        assert_eq!(removals("p", &items, &uris(&["c"]), &[5, 5, 1]).unwrap(), [(3, 2), (0, 1)]);
        assert_eq!(removals("p", &items, &[], &[]).unwrap(), []);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let items = uris(&["a"]);
        let error = removals("p", &items, &[], &[2]).unwrap_err().to_string();
        assert_eq!(error, "`p` has 1 item, so there is none at position 2");
        let error = removals("p", &items, &uris(&["z"]), &[]).unwrap_err().to_string();
        assert!(error.starts_with("/z is not in `p`"), "{error}");
    }

    proptest! {
        #[test]
        fn exactly_what_was_named_goes(length in 0u32..30, at in prop::collection::btree_set(1u32..=30, 0..10)) {
            let items: Vec<String> = (0..length).map(|n| format!("file:///{n}")).collect();
            let at: Vec<u32> = at.into_iter().filter(|position| *position <= length).collect();
            let mut left = items.clone();
            for (first, count) in removals("p", &items, &[], &at).unwrap() {
                left.drain(first as usize..(first + count) as usize);
            }
            let expected: Vec<String> = items.iter().zip(1..).filter(|(_, n)| !at.contains(n)).map(|(i, _)| i.clone()).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
