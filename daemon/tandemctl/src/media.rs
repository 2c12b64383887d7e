//! Files that the user names as media of the library: each is looked up there before anything is changed, and each
//! that isn't known is told of with the reason. It changes nothing.

use crate::bus::{AT_ONCE, Client, Library};
use crate::error::Error;
use crate::output::complain;
use crate::output::units;
use crate::uri;
use dbus_interfaces::names::LIBRARY;
use futures_util::stream::{self, StreamExt};
use std::path::{Path, PathBuf};

/// How many files that can't be used are told of one by one.
const TOLD: usize = 20;

/// The URIs of files, all of which the library knows.
///
/// # Errors
/// [`Error::NotFound`] when it doesn't know one; with several, each is told of on standard error. As any call.
pub(crate) async fn of_library(client: &Client, files: &[PathBuf]) -> Result<Vec<String>, Error> {
    let media = uri::from_arguments(files)?;
    if media.is_empty() {
        return Ok(media);
    }
    let library = client.library().await?;
    let answers: Vec<_> =
        stream::iter(&media).map(|uri| library.proxy.get_media_info(uri)).buffered(AT_ONCE).collect().await;
    let mut unknown = Vec::new();
    for (uri, answer) in media.iter().zip(answers) {
        match answer.map_err(Error::from) {
            Ok(_) => {}
            Err(Error::Refused { word, message }) if word == "NotFound" || word == "InvalidArgument" => {
                unknown.push((uri, message));
            }
            Err(error) => return Err(error),
        }
    }
    if unknown.is_empty() {
        return Ok(media);
    }
    let folders = folders(client, &library).await?;
    let reasons: Vec<String> = unknown
        .iter()
        .map(|(uri, message)| reason(uri, &folders).unwrap_or_else(|| message.clone()))
        .collect();
    if let [reason] = reasons.as_slice() {
        return Err(Error::NotFound(reason.clone()));
    }
    reasons.iter().take(TOLD).for_each(|reason| complain(reason));
    let all = units::count(media.len(), "file");
    Err(Error::NotFound(format!("{} of {all} can't be used, so nothing was changed", reasons.len())))
}

async fn folders(client: &Client, library: &Library) -> Result<Vec<PathBuf>, Error> {
    let folders = client.properties(&library.path, LIBRARY).await?.texts("Folders")?;
    Ok(folders.into_iter().map(PathBuf::from).collect())
}

/// Why the library doesn't know a file, as far as can be seen from here; `None` for a URI that names no file.
fn reason(uri: &str, folders: &[PathBuf]) -> Option<String> {
    let path = uri::to_path(uri)?;
    let shown = uri::display(uri);
    let there = path.symlink_metadata();
    if there.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Some(format!("there is no file `{shown}`"));
    }
    if there.is_ok_and(|facts| facts.is_dir()) {
        return Some(format!("`{shown}` is a directory; name the files in it"));
    }
    if folders.iter().any(|folder| path.starts_with(folder)) {
        return Some(format!(
            "`{shown}` is not known to your library as music; if it is new, `tandemctl scan --wait` reads it in"
        ));
    }
    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let parent = path.parent().unwrap_or(Path::new("/")).display();
    Some(format!(
        "`{shown}` is outside of your library, which holds {}; `tandemctl folders --add '{parent}'` adds its folder",
        folders.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_trouble_has_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a b.mp3");
        std::fs::File::create(&file).unwrap();
        let uri = |path: &Path| uri::from_argument(path.as_os_str()).unwrap();
        let told = |path: &Path, folder: &Path| reason(&uri(path), &[folder.to_path_buf()]).unwrap();
        assert!(told(&dir.path().join("none.mp3"), dir.path()).starts_with("there is no file `"));
        assert!(told(dir.path(), dir.path()).contains("is a directory"));
        assert!(told(&file, dir.path()).contains("tandemctl scan --wait"));
        let outside = told(&file, Path::new("/srv/Music"));
        assert!(outside.contains("which holds /srv/Music; `tandemctl folders --add '"), "{outside}");
        assert_eq!(reason("http://host/a.mp3", &[]), None);
    }
}
