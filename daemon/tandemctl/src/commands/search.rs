//! `tandemctl search`: media of the library that match a rule.

use super::Context;
use crate::error::{Error, Exit};
use crate::uri;

/// Find media of your library by a rule
///
/// Rules are those of auto playlists, such as `(genre == "Jazz")` or `((stars >= 4) AND (added-since 30d)) sort -added
/// limit 2 GB`; `tandemctl help rules` explains them. What can't be printed as a path is printed as a URI; both can be given to other commands.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "JSON: an array of URIs.")]
pub(crate) struct Args {
    /// A rule
    rule: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let media = context.client.library().await?.proxy.search(&args.rule).await?;
    if context.output.json {
        context.output.document(&media)?;
    } else {
        context.output.lines(media.iter().map(|uri| uri::display(uri)))?;
    }
    Ok(Exit::Ok)
}
