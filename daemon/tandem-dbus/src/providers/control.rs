//! What WMP's control codes bring, which a provider may know. Pure.
//!
//! It must not say what an answer is worth: `memory` does.

use super::answers::is_name;
use super::fault::Fault;
use dbus_interfaces::changed_items::ChangedItems;

/// What `WMP1` brought.
///
/// # Errors
/// When it can't be.
pub(super) fn changed_items(answer: &[u8]) -> Result<ChangedItems, Fault> {
    let told = ChangedItems::parse(answer).map_err(Fault::Lie)?;
    match told.changed.iter().chain(&told.deleted).find(|path| !path.split('/').all(is_name)) {
        None => Ok(told),
        Some(odd) => Err(Fault::Lie(format!("`{}`, which is no path", super::fault::told(odd)))),
    }
}

/// What `WMP2` brought: whether the device can be synchronised. Whoever answers nothing says nothing against
/// it.
///
/// # Errors
/// When it is neither yes nor no.
pub(super) fn can_synchronize(answer: &[u8]) -> Result<bool, Fault> {
    match answer {
        [] | [1] | [1, 0, 0, 0] => Ok(true),
        [0] | [0, 0, 0, 0] => Ok(false),
        other => Err(Fault::Lie(format!(
            "{} bytes to whether it can be synchronised, where 0 or 1 are expected",
            other.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn yes_no_and_silence_are_understood() {
        for (answer, told) in [
            (&[][..], Ok(true)),
            (&[1], Ok(true)),
            (&[1, 0, 0, 0], Ok(true)),
            (&[0], Ok(false)),
            (&[0, 0, 0, 0], Ok(false)),
        ] {
            assert_eq!(can_synchronize(answer), told);
        }
        assert!(can_synchronize(&[2]).is_err() && can_synchronize(&[1, 0]).is_err());
    }

    #[test]
    fn changed_items_are_told_by_paths_below_the_storage() {
        let told = |paths: &[&str]| {
            let changed: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
            changed_items(&ChangedItems { transaction: 1, changed, ..ChangedItems::default() }.to_bytes())
        };
        assert_eq!(told(&["a/b.mp3", "c"]).unwrap().changed.len(), 2);
        for odd in ["/a", "a/", "a//b", "../a", "", "."] {
            assert!(matches!(told(&["a", odd]), Err(Fault::Lie(_))), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(told) = changed_items(&bytes) {
                prop_assert!(told.changed.iter().chain(&told.deleted).all(|path| path.split('/').all(is_name)));
            }
        }
    }
}
