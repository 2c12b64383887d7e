//! Text that clones share, as it travels between the processes: like any other text.

use serde::{Deserialize, Deserializer, Serializer};
use std::sync::Arc;

/// Writes the text.
pub(crate) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Reads a text that nobody shares yet.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Box::<str>::deserialize(deserializer).map(Arc::from)
}
