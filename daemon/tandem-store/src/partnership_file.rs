//! Partnerships on disk: two copies, of which a save replaces the older one, so that one whole copy always exists.
//!
//! What a copy looks like inside is `envelope`'s business.

use crate::envelope::{self, Copy, FORMAT, Flaw};
use crate::file;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tandem_model::error::StoreError;
use tandem_model::partnership::{PartnershipStore, Partnerships};

/// No file of sixteen partnerships for each of a machine's users comes near this.
const LARGEST: u64 = 16 << 20;

/// Keeps partnerships in `partnerships.a.toml` and `partnerships.b.toml` of a state directory.
#[derive(Debug)]
pub struct PartnershipFile {
    directory: PathBuf,
    copies: [PathBuf; 2],
    /// Held over a save: it reads both copies before it writes one.
    saving: Mutex<()>,
}

/// A copy as it was found.
enum Found {
    Absent,
    Whole(Copy),
    Damaged(String),
}

impl PartnershipFile {
    /// The partnerships kept in this directory, which is made at the first save. Touches nothing yet.
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        let copies = ["partnerships.a.toml", "partnerships.b.toml"].map(|name| state_dir.join(name));
        Self { directory: state_dir, copies, saving: Mutex::new(()) }
    }

    /// Both copies as they are; an error when nothing may be read from them or written over them.
    fn find(&self) -> Result<[Found; 2], StoreError> {
        let [a, b] = &self.copies;
        let found = [look(a)?, look(b)?];
        let flaws: Vec<&str> = found.iter().filter_map(Found::flaw).collect();
        if flaws.is_empty() || found.iter().any(|copy| matches!(copy, Found::Whole(_))) {
            return Ok(found);
        }
        Err(StoreError::Damaged {
            path: format!("{} and {}", a.display(), b.display()),
            cause: format!(
                "no copy can be read ({}); restore one of them from a backup, or move both away to start without \
                 partnerships",
                flaws.join("; ")
            ),
        })
    }
}

impl Found {
    fn generation(&self) -> Option<u64> {
        match self {
            Self::Whole(copy) => Some(copy.generation),
            Self::Absent | Self::Damaged(_) => None,
        }
    }

    fn flaw(&self) -> Option<&str> {
        match self {
            Self::Damaged(cause) => Some(cause),
            Self::Absent | Self::Whole(_) => None,
        }
    }
}

fn look(path: &Path) -> Result<Found, StoreError> {
    let bytes = match file::read(path, LARGEST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Found::Absent),
        Err(StoreError::Damaged { cause, .. }) => return Ok(Found::Damaged(cause)),
        Err(error) => return Err(error),
    };
    match envelope::decode(&bytes) {
        Ok(copy) => Ok(Found::Whole(copy)),
        Err(Flaw::Damaged(cause)) => Ok(Found::Damaged(cause)),
        Err(Flaw::TooNew(found)) => {
            Err(StoreError::TooNew { path: path.display().to_string(), found, supported: FORMAT })
        }
    }
}

impl PartnershipStore for PartnershipFile {
    fn load(&self) -> Result<Partnerships, StoreError> {
        let found = self.find()?;
        for (copy, path) in found.iter().zip(&self.copies) {
            if let Some(cause) = copy.flaw() {
                tracing::warn!("{} is damaged, and the other copy is used: {cause}", path.display());
            }
        }
        let whole = found.into_iter().filter_map(|copy| match copy {
            Found::Whole(copy) => Some(copy),
            Found::Absent | Found::Damaged(_) => None,
        });
        Ok(whole.max_by_key(|copy| copy.generation).map(|copy| copy.content).unwrap_or_default())
    }

    fn save(&self, partnerships: &Partnerships) -> Result<(), StoreError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        file::ensure_directory(&self.directory)?;
        let generations = self.find()?.map(|copy| copy.generation());
        // an absent or damaged copy has no generation, which is less than any
        let older = &self.copies[usize::from(generations[1] < generations[0])];
        let generation = generations.into_iter().flatten().max().unwrap_or(0) + 1;
        let text =
            envelope::encode(&Copy { generation, content: partnerships.clone() }).map_err(|cause| {
                StoreError::Io {
                    path: older.display().to_string(),
                    cause: format!("not written, because {cause}"),
                }
            })?;
        file::replace(older, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tests::{any_partnerships, sample};
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    struct Fixture {
        directory: tempfile::TempDir,
        store: PartnershipFile,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = PartnershipFile::new(directory.path().join("state"));
            Self { directory, store }
        }

        /// With generations 1 (one partnership, copy a) and 2 (two partnerships, copy b).
        fn saved_twice() -> Self {
            let fixture = Self::new();
            fixture.store.save(&sample(1)).unwrap();
            fixture.store.save(&sample(2)).unwrap();
            fixture
        }

        fn put(&self, copy: usize, content: &[u8]) {
            file::replace(&self.store.copies[copy], content).unwrap();
        }

        fn get(&self, copy: usize) -> Vec<u8> {
            fs::read(&self.store.copies[copy]).unwrap()
        }
    }

    #[test]
    fn nothing_saved_is_nothing_known() {
        assert_eq!(Fixture::new().store.load(), Ok(Partnerships::default()));
    }

    #[test]
    fn saves_take_turns_and_the_newest_wins() {
        let fixture = Fixture::saved_twice();
        let first = fixture.get(0);
        assert_eq!(fixture.store.load(), Ok(sample(2)));
        fixture.store.save(&sample(3)).unwrap();
        assert_ne!(fixture.get(0), first);
        assert_eq!(fixture.store.load(), Ok(sample(3)));
        assert_eq!(PartnershipFile::new(fixture.directory.path().join("state")).load(), Ok(sample(3)));
    }

    #[test]
    fn only_the_daemons_user_can_read_them() {
        let fixture = Fixture::saved_twice();
        for copy in &fixture.store.copies {
            assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&fixture.store.directory).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn with_the_newer_copy_damaged_the_older_one_is_used_and_the_next_save_repairs() {
        let whole = Fixture::saved_twice().get(1);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        let huge = vec![b'#'; usize::try_from(LARGEST).unwrap() + 1];
        for damage in [&[][..], &whole[..whole.len() / 2], &flipped, b"\xff\xfe", &huge] {
            let fixture = Fixture::saved_twice();
            fixture.put(1, damage);
            assert_eq!(fixture.store.load(), Ok(sample(1)));
            let kept = fixture.get(0);
            fixture.store.save(&sample(4)).unwrap();
            assert_eq!(fixture.get(0), kept, "the only whole copy was overwritten");
            assert_eq!(fixture.store.load(), Ok(sample(4)));
        }
    }

    #[test]
    fn both_damaged_is_an_error_that_names_both_and_nothing_is_overwritten() {
        let fixture = Fixture::saved_twice();
        fixture.put(0, b"");
        fixture.put(1, b"not ours");
        for result in [fixture.store.load().map(drop), fixture.store.save(&sample(1))] {
            let Err(StoreError::Damaged { path, cause }) = result else { panic!("{result:?}") };
            assert!(path.contains("partnerships.a.toml") && path.contains("partnerships.b.toml"), "{path}");
            assert!(cause.contains("move both away"), "{cause}");
        }
        assert_eq!((fixture.get(0), fixture.get(1)), (Vec::new(), b"not ours".to_vec()));
    }

    #[test]
    fn a_single_damaged_copy_is_not_taken_for_a_first_start() {
        let fixture = Fixture::new();
        fixture.store.save(&sample(1)).unwrap();
        fixture.put(0, b"");
        assert!(matches!(fixture.store.load(), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_later_format_is_left_alone_even_beside_a_copy_that_can_be_read() {
        let fixture = Fixture::saved_twice();
        let body = "[later]\n";
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(&9u32.to_le_bytes());
        hasher.update(&3u64.to_le_bytes());
        hasher.update(body.as_bytes());
        let text =
            format!("format = 9\ngeneration = 3\nchecksum = \"{:032x}\"\n\n{body}", hasher.digest128());
        fixture.put(0, text.as_bytes());
        let is_too_new =
            |result: Result<(), StoreError>| matches!(result, Err(StoreError::TooNew { found: 9, .. }));
        assert!(is_too_new(fixture.store.load().map(drop)));
        let other = fixture.get(1);
        assert!(is_too_new(fixture.store.save(&sample(1))));
        assert_eq!((fixture.get(0), fixture.get(1)), (text.into_bytes(), other));
    }

    #[test]
    fn a_save_cut_before_its_rename_changes_nothing() {
        let fixture = Fixture::saved_twice();
        let left_over = file::with_suffix(&fixture.store.copies[0], ".new");
        file::replace(&left_over, b"half of a co").unwrap();
        assert_eq!(fixture.store.load(), Ok(sample(2)));
        fixture.store.save(&sample(3)).unwrap();
        assert!(!left_over.exists());
        assert_eq!(fixture.store.load(), Ok(sample(3)));
    }

    #[test]
    fn what_breaks_the_rules_is_not_written() {
        let fixture = Fixture::saved_twice();
        let mut content = sample(2);
        content.partnerships[0].percent_space_reserved = 99;
        let error = fixture.store.save(&content).unwrap_err().to_string();
        assert!(error.contains("99"), "{error}");
        assert_eq!(fixture.store.load(), Ok(sample(2)));
    }

    #[test]
    fn a_state_directory_that_is_a_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        file::replace(&path, b"").unwrap();
        let store = PartnershipFile::new(path.clone());
        for result in [store.load().map(drop), store.save(&sample(1))] {
            let Err(StoreError::Io { path: named, cause }) = result else { panic!("{result:?}") };
            assert!(named.starts_with(path.to_str().unwrap()), "{named}");
            assert!(cause.contains("move away"), "{cause}");
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_copy_is_refused_by_name_and_not_waited_for() {
        let fixture = Fixture::saved_twice();
        let pipe = fixture.store.copies[1].clone();
        fs::remove_file(&pipe).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(fixture.store.load().map(drop)));
        let loaded = receiver.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        let Err(StoreError::Io { path, cause }) = loaded else { panic!("{loaded:?}") };
        assert_eq!(path, pipe.display().to_string());
        assert!(cause.contains("move away"), "{cause}");
    }

    #[test]
    fn a_copy_that_cannot_be_replaced_fails_the_save_and_keeps_the_other() {
        let fixture = Fixture::new();
        fixture.store.save(&sample(1)).unwrap();
        fs::create_dir(file::with_suffix(&fixture.store.copies[1], ".new")).unwrap();
        assert!(matches!(fixture.store.save(&sample(2)), Err(StoreError::Io { .. })));
        assert_eq!(fixture.store.load(), Ok(sample(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_partnerships_come_back(contents in prop::collection::vec(any_partnerships(), 1..5)) {
            let fixture = Fixture::new();
            for content in contents {
                fixture.store.save(&content).unwrap();
                prop_assert_eq!(fixture.store.load(), Ok(content));
            }
        }
    }
}
