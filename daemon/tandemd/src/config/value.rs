//! The types of the configuration's values. Each refuses what can't be while the file is read, so that the message has
//! the line and column, and says what would do.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::path::PathBuf;

/// Whole seconds, from 0 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds<const MAX: u64>(pub(super) u64);

impl<'de, const MAX: u64> Deserialize<'de> for Seconds<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole<const MAX: u64>;
        impl<const MAX: u64> Visitor<'_> for Whole<MAX> {
            type Value = Seconds<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of seconds from 0 to {MAX}")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                let seconds = u64::try_from(value).ok().filter(|seconds| *seconds <= MAX);
                seconds.map(Seconds).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                if value > MAX {
                    Err(E::invalid_value(Unexpected::Unsigned(value), &self))
                } else {
                    Ok(Seconds(value))
                }
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

/// A path that begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AbsolutePath(pub(super) PathBuf);

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') && !text.contains('\0') {
            Ok(Self(PathBuf::from(text)))
        } else {
            Err(Error::custom(format!(
                "`{}` is not an absolute path; write it from `/` on",
                text.escape_debug()
            )))
        }
    }
}

/// What the user sees as a name: not empty, at most 100 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label(pub(super) String);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
            let shown = text.escape_debug();
            let remedy = "use 1 to 100 characters, not only spaces, and no control characters";
            return Err(Error::custom(format!("`{shown}` can't be a name; {remedy}")));
        }
        Ok(Self(text))
    }
}

/// The least important messages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(pub(super) tracing::Level);

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let level = match text.as_str() {
            "error" => tracing::Level::ERROR,
            "warn" => tracing::Level::WARN,
            "info" => tracing::Level::INFO,
            "debug" => tracing::Level::DEBUG,
            "trace" => tracing::Level::TRACE,
            _ => {
                let shown = text.escape_debug();
                let remedy = "use `error`, `warn`, `info`, `debug` or `trace`";
                return Err(Error::custom(format!("`{shown}` is not a level; {remedy}")));
            }
        };
        Ok(Self(level))
    }
}
