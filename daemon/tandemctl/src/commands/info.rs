//! `tandemctl info`: what the library knows of a media file.

use super::Context;
use crate::error::{Error, Exit};
use crate::output::{table, units};
use crate::uri;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use zbus::{OwnedVariant, Variant};

/// Show what your library knows of a media file
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "JSON: {media: URI, and each attribute by WMP's name: texts and numbers as they are, Duration \
                             in milliseconds, Bitrate in bits a second}."
)]
pub(crate) struct Args {
    /// A path or file:// URI
    media: PathBuf,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let media = uri::from_argument(args.media.as_os_str())?;
    let info = context.client.library().await?.proxy.get_media_info(&media).await?;
    let info = info
        .iter()
        .map(|(name, value)| Ok((name.as_str(), plain(name, value)?)))
        .collect::<Result<BTreeMap<_, _>, Error>>()?;
    if context.output.json {
        let mut object = Map::from_iter([("media".to_owned(), Value::from(media))]);
        object.extend(info.into_iter().map(|(name, value)| (name.to_owned(), value)));
        context.output.document(&object)?;
        return Ok(Exit::Ok);
    }
    let mut facts = vec![("Media", uri::display(&media).into_owned())];
    facts.extend(info.iter().map(|(name, value)| (*name, for_people(name, value))));
    table::facts(&context.output, &facts)?;
    Ok(Exit::Ok)
}

/// An attribute's value without its D-Bus type.
fn plain(name: &str, value: &OwnedVariant) -> Result<Value, Error> {
    Ok(match &**value {
        Variant::Str(text) => Value::from(text.as_str()),
        Variant::Bool(flag) => Value::from(*flag),
        Variant::U8(number) => Value::from(*number),
        Variant::I32(number) => Value::from(*number),
        Variant::U32(number) => Value::from(*number),
        Variant::I64(number) => Value::from(*number),
        Variant::U64(number) => Value::from(*number),
        Variant::F64(number) => Value::from(*number),
        other => {
            return Err(Error::Mismatch(format!(
                "attribute {name} is of type `{}`",
                other.value_signature()
            )));
        }
    })
}

fn for_people(name: &str, value: &Value) -> String {
    match (name, value) {
        (_, Value::String(text)) => text.clone(),
        ("Duration", Value::Number(number)) => {
            number.as_u64().map_or_else(String::new, |ms| units::length(ms / 1000))
        }
        ("Bitrate", Value::Number(number)) => {
            number.as_u64().map_or_else(String::new, |bits| format!("{} kbit/s", bits / 1000))
        }
        ("FileSize", Value::Number(number)) => number.as_u64().map_or_else(String::new, units::size),
        ("SyncState", Value::Number(number)) => sync_state(number.as_u64().unwrap_or_default()),
        (name, Value::Number(number)) if name.ends_with("Time") => {
            number.as_u64().map_or_else(|| number.to_string(), units::time)
        }
        (_, other) => other.to_string(),
    }
}

/// WMP's sixteen fields of two bits, device 1 lowest.
fn sync_state(bits: u64) -> String {
    let mut on = Vec::new();
    let mut no_fit = Vec::new();
    for index in 1..=16u32 {
        match bits >> (2 * (index - 1)) & 3 {
            0 => {}
            1 => no_fit.push(index.to_string()),
            _ => on.push(index.to_string()),
        }
    }
    let part = |what: &str, list: &[String]| {
        (!list.is_empty()).then(|| format!("{what} partnership {}", list.join(", ")))
    };
    let parts: Vec<String> =
        [part("on", &on), part("did not fit on", &no_fit)].into_iter().flatten().collect();
    if parts.is_empty() { "on no device".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_state_is_told_in_words() {
        assert_eq!(sync_state(0), "on no device");
        assert_eq!(sync_state(0b10), "on partnership 1");
        assert_eq!(sync_state(0b01_00_11), "on partnership 1; did not fit on partnership 3");
        assert_eq!(sync_state(1 << 31), "on partnership 16");
    }

    #[test]
    fn values_are_plain_in_json_and_readable_otherwise() {
        let value = OwnedVariant::try_from(Variant::from(185_000u64)).unwrap();
        let duration = plain("Duration", &value).unwrap();
        assert_eq!(duration, serde_json::json!(185_000));
        assert_eq!(for_people("Duration", &duration), "3:05");
        assert_eq!(for_people("FileSize", &serde_json::json!(5000)), "5.00 kB");
        assert_eq!(for_people("Title", &serde_json::json!("So What")), "So What");
        let odd = OwnedVariant::try_from(Variant::from(vec![1u32])).unwrap();
        assert!(plain("Odd", &odd).unwrap_err().to_string().contains("attribute Odd"));
    }
}
