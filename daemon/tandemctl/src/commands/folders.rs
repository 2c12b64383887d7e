//! `tandemctl folders`: which directories the library holds.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::complain;
use crate::output::text::safe;
use crate::uri;
use dbus_interfaces::names::LIBRARY;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show or set the folders that your library holds
///
/// Without paths the folders are shown. With paths alone they become the library's folders. Changes start a scan.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {folders: array of paths, as they are now; trouble: why the library looks wrong, else empty}."
)]
pub(crate) struct Args {
    /// Directories
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Add the paths to the folders
    #[arg(long, short, requires = "paths")]
    add: bool,
    /// Take the paths off the folders; files stay where they are
    #[arg(long, short, requires = "paths", conflicts_with = "add")]
    remove: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let library = context.client.library().await?;
    let properties = context.client.properties(&library.path, LIBRARY).await?;
    let mut folders = properties.texts("Folders")?;
    if !args.paths.is_empty() {
        let named = args.paths.iter().map(|path| path_text(path)).collect::<Result<Vec<_>, _>>()?;
        folders = changed(folders, named, args.add, args.remove)?;
        let references: Vec<&str> = folders.iter().map(String::as_str).collect();
        library.proxy.set_folders(&references).await?;
        folders = context.client.properties(&library.path, LIBRARY).await?.texts("Folders")?;
    }
    let trouble = context.client.properties(&library.path, LIBRARY).await?.text("Trouble")?;
    if context.output.json {
        context.output.document(&json!({"folders": folders, "trouble": trouble}))?;
    } else if args.paths.is_empty() || !context.output.quiet {
        context.output.lines(folders.iter().map(|folder| safe(folder)))?;
    }
    if !trouble.is_empty() && !context.output.json {
        complain(&trouble);
    }
    Ok(Exit::Ok)
}

/// An absolute path as the bus takes it.
fn path_text(path: &Path) -> Result<String, Error> {
    uri::absolute(path)?.into_os_string().into_string().map_err(|path| {
        Error::Usage(format!(
            "`{}` is not UTF-8, so it can't be set over the bus; rename the folder",
            path.display()
        ))
    })
}

/// The library's folders after the change.
fn changed(
    mut folders: Vec<String>,
    named: Vec<String>,
    add: bool,
    remove: bool,
) -> Result<Vec<String>, Error> {
    if remove {
        for path in &named {
            if !folders.contains(path) {
                let there = folders.join(", ");
                return Err(Error::NotFound(format!(
                    "`{path}` is not a folder of the library; it holds: {there}"
                )));
            }
        }
        folders.retain(|folder| !named.contains(folder));
        return Ok(folders);
    }
    if !add {
        folders.clear();
    }
    for path in named {
        if !folders.contains(&path) {
            folders.push(path);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_set_added_and_removed() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let there = || list(&["/a", "/b"]);
        assert_eq!(changed(there(), list(&["/c", "/c"]), false, false).unwrap(), list(&["/c"]));
        assert_eq!(changed(there(), list(&["/b", "/c"]), true, false).unwrap(), list(&["/a", "/b", "/c"]));
        assert_eq!(changed(there(), list(&["/a"]), false, true).unwrap(), list(&["/b"]));
        let error = changed(there(), list(&["/c"]), false, true).unwrap_err().to_string();
        assert_eq!(error, "`/c` is not a folder of the library; it holds: /a, /b");
    }
}
