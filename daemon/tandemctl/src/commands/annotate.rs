//! `tandemctl annotate`: sets what the user says of a media file in the library's index. The file stays as it is.

use super::Context;
use crate::error::{Error, Exit};
use crate::media::of_library;
use crate::output::units;
use serde_json::{Map, Value};
use std::path::PathBuf;
use zbus::Variant;

/// WMP's ratings for no star to five stars.
const STARS: [u32; 6] = [0, 1, 25, 50, 75, 99];

/// Set the rating or the play count of media files
///
/// Your library keeps them, and rules can ask for them (`stars`, `rating`, `playcount`); the files stay as they are.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {media: array of URIs, and what was set: UserRating, UserPlayCount}.",
    group(clap::ArgGroup::new("values").args(["stars", "rating", "play_count"]).required(true).multiple(true))
)]
pub(crate) struct Args {
    /// Media of your library: paths or file:// URIs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A rating in stars, 0 to 5; 0 for none
    #[arg(long, short, value_parser = clap::value_parser!(u8).range(0..=5), value_name = "N")]
    stars: Option<u8>,
    /// A rating from 0 to 99, as WMP has them; 0 for none
    #[arg(long, short, value_parser = clap::value_parser!(u32).range(0..=99), value_name = "N", conflicts_with = "stars")]
    rating: Option<u32>,
    /// How many times they were played
    #[arg(long, short, value_name = "N")]
    play_count: Option<u32>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let stars = args.stars.and_then(|stars| STARS.get(usize::from(stars)).copied());
    let values = [("UserRating", stars.or(args.rating)), ("UserPlayCount", args.play_count)];
    let values: Vec<(&str, u32)> =
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let media = of_library(&context.client, &args.files).await?;
    let library = context.client.library().await?;
    for uri in &media {
        for (name, value) in &values {
            library.proxy.set_media_info(uri, name, &Variant::from(*value)).await?;
        }
    }
    let set: Vec<String> = values.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let line = format!("{}: {}.", units::count(media.len(), "file"), set.join(", "));
    let mut object = Map::from_iter([("media".to_owned(), Value::from(media))]);
    object.extend(values.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
    context.output.done(&object, &line)?;
    Ok(Exit::Ok)
}
