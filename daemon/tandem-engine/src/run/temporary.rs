//! Names on the device for files that are being written or about to be deleted: made at random, so that nobody else has
//! them, and recorded before they are made. Nothing is deleted under such a name that wasn't recorded.

use std::sync::Arc;
use tandem_model::id::Guid;
use tandem_model::path::DevicePath;

/// The folder of these names.
pub(crate) const TEMPORARY_FOLDER: &str = ".tandem";

/// Makes temporary names.
#[derive(Clone)]
pub(crate) struct TemporaryNames(Arc<dyn Fn() -> Guid + Send + Sync>);

impl TemporaryNames {
    /// Names from numbers that nobody else has.
    pub(crate) fn new(new_guid: &Arc<dyn Fn() -> Guid + Send + Sync>) -> Self {
        Self(Arc::clone(new_guid))
    }

    /// A name that was never used before.
    pub(crate) fn next(&self) -> DevicePath {
        let number = (self.0)().0;
        DevicePath::parse(&format!("{TEMPORARY_FOLDER}/{number:032x}.part"))
            .expect("a number makes a legal name")
    }
}
