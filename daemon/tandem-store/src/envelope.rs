//! One copy of the partnership file as text: a header of three lines, an empty line, and the body in TOML.
//!
//! Pure: no file is touched here. The header's form and its checksum are the same in all formats, so that a copy of a
//! later format is told from a damaged one.

use serde::Deserialize;
use tandem_model::partnership::Partnerships;
use xxhash_rust::xxh3::Xxh3;

use crate::validate;

/// The format that this version writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// Generations stay far below what TOML's signed integers hold.
const LAST_GENERATION: u64 = 1 << 62;

const NOTICE: &str =
    "# Written by tandemd. The checksum guards it: stop tandemd before you replace it, and do not edit it.\n";

/// What can be wrong with a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It isn't what was written; tells why.
    Damaged(String),
    /// It is whole, but of this later format.
    TooNew(u32),
}

/// A copy that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Grows by one with each save.
    pub(crate) generation: u64,
    /// What it holds.
    pub(crate) content: Partnerships,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    generation: u64,
    checksum: String,
}

/// XXH3-128 of format, generation and body, as 32 hexadecimal digits.
fn checksum(format: u32, generation: u64, body: &str) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(&generation.to_le_bytes());
    hasher.update(body.as_bytes());
    format!("{:032x}", hasher.digest128())
}

/// The copy as text, or why its content can't be written.
pub(crate) fn encode(copy: &Copy) -> Result<String, String> {
    validate::partnerships(&copy.content)?;
    let body = toml::to_string(&copy.content).map_err(|error| error.to_string())?;
    Ok(assemble(FORMAT, copy.generation, &body))
}

fn assemble(format: u32, generation: u64, body: &str) -> String {
    let checksum = checksum(format, generation, body);
    format!("{NOTICE}format = {format}\ngeneration = {generation}\nchecksum = \"{checksum}\"\n\n{body}")
}

/// Reads a copy from a file's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Copy, Flaw> {
    let damaged = |cause: &str| Flaw::Damaged(cause.to_owned());
    if bytes.is_empty() {
        return Err(damaged("it is empty"));
    }
    let text = str::from_utf8(bytes).map_err(|error| Flaw::Damaged(format!("it is not UTF-8: {error}")))?;
    let (header, body) = text.split_once("\n\n").ok_or_else(|| damaged("it ends within its header"))?;
    let header: Header =
        toml::from_str(header).map_err(|error| Flaw::Damaged(format!("its header: {}", error.message())))?;
    if header.checksum != checksum(header.format, header.generation, body) {
        return Err(damaged("its checksum does not match"));
    }
    match header.format {
        FORMAT => (),
        0 => return Err(damaged("there is no format 0")),
        later => return Err(Flaw::TooNew(later)),
    }
    if header.generation >= LAST_GENERATION {
        return Err(damaged("its generation is out of range"));
    }
    let content: Partnerships =
        toml::from_str(body).map_err(|error| Flaw::Damaged(error.message().to_owned()))?;
    validate::partnerships(&content).map_err(Flaw::Damaged)?;
    Ok(Copy { generation: header.generation, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tests::any_partnerships;
    use proptest::prelude::*;

    #[test]
    fn a_whole_copy_of_a_later_format_is_not_damage() {
        let text = assemble(7, 3, "something = \"else\"\n");
        assert_eq!(decode(text.as_bytes()), Err(Flaw::TooNew(7)));
        assert!(matches!(decode(text.replace("format = 7", "format = 6").as_bytes()), Err(Flaw::Damaged(_))));
    }

    #[test]
    fn a_whole_copy_that_cannot_be_true_is_damage() {
        let body = "[[partnerships]]\nrelationship = \"{0}\"\n";
        assert!(matches!(decode(assemble(FORMAT, 1, body).as_bytes()), Err(Flaw::Damaged(_))));
        assert!(matches!(decode(assemble(FORMAT, u64::MAX >> 1, "").as_bytes()), Err(Flaw::Damaged(_))));
    }

    proptest! {
        #[test]
        fn any_partnerships_survive(content in any_partnerships(), generation in 0u64..LAST_GENERATION) {
            let copy = Copy { generation, content };
            let text = encode(&copy).unwrap();
            prop_assert_eq!(decode(text.as_bytes()), Ok(copy));
        }

        #[test]
        fn no_flipped_bit_goes_unnoticed(content in any_partnerships(), place: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&Copy { generation: 9, content }).unwrap().into_bytes();
            let notice = NOTICE.len();
            let at = notice + place.index(bytes.len() - notice);
            bytes[at] ^= 1 << bit;
            let flipped = decode(&bytes);
            prop_assert!(matches!(flipped, Err(Flaw::Damaged(_))), "{:?}", flipped);
        }

        #[test]
        fn no_truncation_goes_unnoticed(content in any_partnerships(), place: prop::sample::Index) {
            let bytes = encode(&Copy { generation: 9, content }).unwrap().into_bytes();
            let length = place.index(bytes.len());
            prop_assert!(matches!(decode(&bytes[..length]), Err(Flaw::Damaged(_))));
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
