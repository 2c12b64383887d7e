//! WMDM's device parameters, as a provider file has them or as a provider registers with them. Pure.
//!
//! What isn't known is refused: a parameter that is misspelt would silently be without effect.

use serde::Deserialize;
use std::collections::HashMap;
use zbus::{OwnedVariant, Variant};

/// Bytes of one write: less would be all overhead, more is never in memory.
const TRANSFER_SIZES: std::ops::RangeInclusive<u32> = 512..=16 * 1024 * 1024;

/// A device's parameters. The names are WMDM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Parameters {
    /// `UseExtendedWmdm`: the provider's devices can be synchronised.
    #[serde(rename = "UseExtendedWmdm", deserialize_with = "flag")]
    pub(crate) use_extended_wmdm: bool,
    /// `OptimalTransferSize`: bytes of one write.
    #[serde(rename = "OptimalTransferSize", deserialize_with = "transfer_size")]
    pub(crate) optimal_transfer_size: Option<u32>,
    /// `UseMetadataViews`: the device arranges its content by what its tags say, and has no folders of ours.
    #[serde(rename = "UseMetadataViews", deserialize_with = "flag")]
    pub(crate) use_metadata_views: bool,
}

impl Parameters {
    /// The parameters that a provider registers with.
    ///
    /// # Errors
    /// What is wrong, with the parameter's name and what would do.
    pub(crate) fn from_options(options: &HashMap<String, OwnedVariant>) -> Result<Self, String> {
        let mut parameters = Self::default();
        for (name, value) in options {
            match name.as_str() {
                "UseExtendedWmdm" => parameters.use_extended_wmdm = as_flag(name, number(name, value)?)?,
                "UseMetadataViews" => parameters.use_metadata_views = as_flag(name, number(name, value)?)?,
                "OptimalTransferSize" => {
                    parameters.optimal_transfer_size = Some(as_transfer_size(number(name, value)?)?);
                }
                _ => {
                    let name: String = name.escape_debug().take(64).collect();
                    return Err(format!(
                        "`{name}` is no device parameter; use UseExtendedWmdm, OptimalTransferSize or \
                         UseMetadataViews"
                    ));
                }
            }
        }
        Ok(parameters)
    }
}

fn number(name: &str, value: &Variant<'_>) -> Result<i64, String> {
    let number = match value {
        Variant::Bool(flag) => Some(i64::from(*flag)),
        Variant::U8(number) => Some(i64::from(*number)),
        Variant::U16(number) => Some(i64::from(*number)),
        Variant::I16(number) => Some(i64::from(*number)),
        Variant::U32(number) => Some(i64::from(*number)),
        Variant::I32(number) => Some(i64::from(*number)),
        Variant::I64(number) => Some(*number),
        Variant::U64(number) => i64::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        format!("{name} is given as type `{}`; use a whole number, `u`", value.value_signature())
    })
}

fn as_flag(name: &str, number: i64) -> Result<bool, String> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(format!("{number} is no value of {name}; use 0 or 1")),
    }
}

fn as_transfer_size(number: i64) -> Result<u32, String> {
    u32::try_from(number).ok().filter(|size| TRANSFER_SIZES.contains(size)).ok_or_else(|| {
        format!(
            "{number} is no OptimalTransferSize; use bytes from {} to {}",
            TRANSFER_SIZES.start(),
            TRANSFER_SIZES.end()
        )
    })
}

fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    as_flag("this parameter", i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn transfer_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    as_transfer_size(i64::deserialize(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: Variant<'_>) -> Result<Parameters, String> {
        Parameters::from_options(&HashMap::from([(name.to_owned(), OwnedVariant::try_from(value).unwrap())]))
    }

    #[test]
    fn registered_parameters_are_taken_in_any_whole_number() {
        for value in [Variant::from(1u32), Variant::from(1i32), Variant::from(true), Variant::from(1u8)] {
            assert!(of("UseExtendedWmdm", value).unwrap().use_extended_wmdm);
        }
        assert_eq!(
            of("OptimalTransferSize", Variant::from(4096u64)).unwrap().optimal_transfer_size,
            Some(4096)
        );
        assert_eq!(Parameters::from_options(&HashMap::new()), Ok(Parameters::default()));
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (name, value, told) in [
            ("UseExtendedWmdm", Variant::from(2u32), "2 is no value of UseExtendedWmdm"),
            ("UseExtendedWmdm", Variant::from("1"), "UseExtendedWmdm is given as type `s`"),
            ("OptimalTransferSize", Variant::from(0u32), "0 is no OptimalTransferSize"),
            ("OptimalTransferSize", Variant::from(u64::MAX), "OptimalTransferSize is given as type `t`"),
            ("ShowInShell\n", Variant::from(1u32), "`ShowInShell\\n` is no device parameter"),
        ] {
            let error = of(name, value).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
