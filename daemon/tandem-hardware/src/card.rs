//! SD and MMC cards: which of their areas may hold a player's files, and their serial number.
//!
//! Pure.

use crate::facts::CardFacts;

/// Whether it is a card that the user can take out: one of SD's kind, or one whose medium is said to be removable.
/// What is soldered in (eMMC) is of MMC's kind and not removable.
pub(crate) fn can_be_taken_out(card: &CardFacts, removable: bool) -> bool {
    card.kind == "SD" || removable
}

/// Whether the kernel's name is that of an area beside the card's ordinary one, such as `mmcblk0boot0` or
/// `mmcblk0rpmb`.
pub(crate) fn is_special_area(kernel_name: &str) -> bool {
    let Some(rest) = kernel_name.strip_prefix("mmcblk") else { return false };
    let area = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    !area.is_empty()
        && !area.strip_prefix('p').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// The serial number's digits; empty for a card that has none.
pub(crate) fn serial_digits(card: &CardFacts) -> &str {
    let digits = card.serial.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.bytes().all(|digit| digit == b'0') { "" } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ordinary_area_and_its_partitions_are_ordinary() {
        for ordinary in ["mmcblk0", "mmcblk12", "mmcblk0p1", "mmcblk0p12", "sdb1", "nvme0n1p1"] {
            assert!(!is_special_area(ordinary), "{ordinary}");
        }
        for special in ["mmcblk0boot0", "mmcblk0boot1", "mmcblk2rpmb", "mmcblk0gp0", "mmcblk0gp0p1"] {
            assert!(is_special_area(special), "{special}");
        }
    }

    #[test]
    fn a_serial_of_zeros_is_none() {
        let serial = |text: &str| {
            serial_digits(&CardFacts { serial: text.to_owned(), ..CardFacts::default() }).to_owned()
        };
        assert_eq!(serial("0x1a2b3c4d"), "1a2b3c4d");
        assert_eq!(serial("0x00000000"), "");
        assert_eq!(serial(""), "");
    }
}
