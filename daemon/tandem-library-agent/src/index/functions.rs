//! The SQL functions that rules need: `fold`, `matches`, `matches_any`, `relative`, `format_word` and `shuffle`.
//!
//! All are deterministic but for the library's folders, which change between statements only.

use super::Folders;
use crate::{formats, rules, text};
use regex::Regex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};
use std::sync::{Arc, PoisonError};

type Outcome<T> = rusqlite::Result<T>;

/// Makes the functions known to a connection.
pub(super) fn register(connection: &Connection, folders: &Folders) -> Outcome<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("fold", 1, flags, |context| {
        Ok(text::fold(text_of(context, 0)?).into_owned())
    })?;
    connection.create_scalar_function("matches", 2, flags, |context| {
        Ok(pattern(context)?.is_match(text_of(context, 1)?))
    })?;
    connection.create_scalar_function("matches_any", 2, flags, |context| {
        let pattern = pattern(context)?;
        Ok(text_of(context, 1)?.split(text::BETWEEN_VALUES).any(|value| pattern.is_match(value)))
    })?;
    connection.create_scalar_function("format_word", 1, flags, |context| {
        Ok(formats::word(text_of(context, 0)?).to_owned())
    })?;
    connection.create_scalar_function("shuffle", 2, flags, |context| {
        let (seed, id): (i64, i64) = (context.get(0)?, context.get(1)?);
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&id.to_le_bytes(), seed.cast_unsigned());
        Ok(hash.cast_signed())
    })?;
    let folders = folders.clone();
    let changing = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("relative", 1, changing, move |context| {
        let path = context.get_raw(0).as_bytes().map_err(|error| Error::UserFunctionError(error.into()))?;
        let folders = folders.read().unwrap_or_else(PoisonError::into_inner);
        let folder =
            folders.iter().map(|folder| text::bytes(folder)).find(|folder| text::is_below(path, folder));
        let rest = folder.map_or(path, |folder| &path[folder.len()..]);
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        Ok(String::from_utf8_lossy(rest).into_owned())
    })
}

fn text_of<'a>(context: &'a Context<'_>, index: usize) -> Outcome<&'a str> {
    match context.get_raw(index) {
        ValueRef::Null => Ok(""),
        value => value.as_str().map_err(|error| Error::UserFunctionError(error.into())),
    }
}

/// The pattern that is a function's first argument, compiled once for a statement.
fn pattern(context: &Context<'_>) -> Outcome<Arc<Regex>> {
    context.get_or_create_aux(0, |value| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        Ok(rules::regular_expression(value.as_str()?)?)
    })
}
