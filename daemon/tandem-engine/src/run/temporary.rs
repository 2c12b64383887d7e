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

/// What FAT has left of such a name when a power cut has cost it the long one: the first six characters, `~1`, and three of
/// the ending, in capitals. Names that are made at random don't share their beginning.
pub(crate) fn short_name(name: &DevicePath) -> Option<DevicePath> {
    let (folder, own) = name.as_str().rsplit_once('/')?;
    let (stem, ending) = own.split_once('.')?;
    let short = format!("{}~1.{}", stem.get(..6)?, ending.get(..3)?).to_ascii_uppercase();
    DevicePath::parse(&format!("{folder}/{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_what_fat_makes_of_a_long_one() {
        let short = |name: &str| short_name(&DevicePath::parse(name).unwrap());
        let names = TemporaryNames::new(
            &(Arc::new(|| Guid(0xd549_6d00 << 96)) as Arc<dyn Fn() -> Guid + Send + Sync>),
        );
        assert_eq!(short_name(&names.next()), DevicePath::parse(".tandem/D5496D~1.PAR"));
        assert_eq!(short(".tandem/1.part"), None);
        assert_eq!(short("song.mp3"), None);
    }
}
