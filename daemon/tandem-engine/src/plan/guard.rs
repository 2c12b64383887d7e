//! The guard against mass deletion: a library that looks wrong deletes nothing. Pure.

use super::Plan;
use tandem_model::manifest::{Entry, EntryState, Origin};

/// Up to so many tracks may always be deleted.
const ALWAYS_ALLOWED: usize = 20;

/// Why this plan must not be carried out without the user's word, if it must not.
pub(crate) fn objection(plan: &Plan, entries: &[Entry], trouble: Option<&str>) -> Option<String> {
    let is_track = |entry: &Entry| matches!(entry.origin, Origin::Track(_));
    let put_there =
        entries.iter().filter(|entry| entry.state == EntryState::Present && is_track(entry)).count();
    let deleted = plan.deletions.iter().filter(|deletion| is_track(&entries[deletion.entry])).count();
    let remedy = "look at the library and the assigned playlists; if it is what you want, set AllowMassDeletion to \
                  True and start again";
    match trouble {
        Some(trouble) if !plan.deletions.is_empty() => Some(format!(
            "{deleted} tracks would be deleted from the device while the library looks wrong ({trouble}): {remedy}"
        )),
        _ if deleted > ALWAYS_ALLOWED && deleted * 2 > put_there => {
            Some(format!("{deleted} of the {put_there} tracks on the device would be deleted: {remedy}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Deletion;
    use crate::plan::properties::entry;

    fn plan(deletions: usize) -> Plan {
        Plan {
            deletions: (0..deletions).map(|entry| Deletion { entry, reason: "" }).collect(),
            ..Plan::default()
        }
    }

    #[test]
    fn more_than_half_and_more_than_twenty_needs_the_users_word() {
        let entries: Vec<Entry> = (0..42).map(entry).collect();
        assert_eq!(objection(&plan(20), &entries[..20], None), None);
        assert_eq!(objection(&plan(21), &entries, None), None);
        assert!(objection(&plan(22), &entries, None).is_some());
    }

    #[test]
    fn a_library_in_trouble_deletes_nothing() {
        let entries: Vec<Entry> = (0..42).map(entry).collect();
        assert!(objection(&plan(1), &entries, Some("/music is missing")).is_some());
        assert_eq!(objection(&plan(0), &entries, Some("/music is missing")), None);
    }
}
