//! The partnership's mark as a provider keeps it: the text of the device property `WMDM/SyncRelationshipID`.
//! Pure.
//!
//! The relationship comes first, as Windows Media Player has it alone there; the device's own number follows
//! it. What isn't of that form is no mark.

use tandem_model::id::Guid;
use tandem_model::player::Mark;

/// The mark in this text; `None` when there is none.
pub(super) fn parse(text: &str) -> Option<Mark> {
    let mut parts = text.split_ascii_whitespace();
    let relationship = Guid::parse(parts.next()?)?;
    let device = match parts.next() {
        Some(device) => Guid::parse(device)?,
        None => Guid::ZERO,
    };
    let alone = device == Guid::ZERO && relationship == Guid::ZERO;
    (parts.next().is_none() && !alone).then_some(Mark { device, relationship })
}

/// The text for this mark.
pub(super) fn text(mark: Mark) -> String {
    format!("{} {}", mark.relationship, mark.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_relationship_alone_is_a_mark_and_nonsense_is_none() {
        let mark = Mark { device: Guid::ZERO, relationship: Guid(7) };
        assert_eq!(parse(&Guid(7).to_string()), Some(mark));
        for none in ["", " ", "nonsense", &Guid::ZERO.to_string(), &format!("{} x", Guid(7))] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn marks_survive(device: u128, relationship in 1u128..) {
            let mark = Mark { device: Guid(device), relationship: Guid(relationship) };
            prop_assert_eq!(parse(&text(mark)), Some(mark));
        }

        #[test]
        fn any_text_is_read(text: String) {
            let _ = parse(&text);
        }
    }
}
