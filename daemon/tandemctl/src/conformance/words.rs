//! What a provider answered, in words: authors of providers in any language read them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use zbus::{OwnedVariant, Variant};

/// Names or paths in their order.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("`{item}`")).collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

/// Names with what goes with them.
pub(super) fn pairs<'a>(items: impl IntoIterator<Item = &'a (String, String)>) -> String {
    let items: Vec<String> =
        items.into_iter().map(|(name, told)| format!("`{name}` with `{told}`")).collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

/// A value as far as the contract has such ones, else its type.
pub(super) fn value(value: &Variant<'_>) -> String {
    if let Ok(text) = <&str>::try_from(value) {
        return format!("`{text}`");
    }
    let number = u64::try_from(value).or_else(|_| u32::try_from(value).map(u64::from));
    if let Ok(number) = number {
        return number.to_string();
    }
    match value.try_clone().map(Vec::<String>::try_from) {
        Ok(Ok(texts)) => list(texts),
        _ => format!("a value of the type `{}`", value.value_signature()),
    }
}

/// A value that may not be there.
pub(super) fn maybe(found: Option<&Variant<'_>>) -> String {
    found.map_or_else(|| "not there".to_owned(), value)
}

/// Metadata by its names.
pub(super) fn metadata(told: &HashMap<String, OwnedVariant>) -> String {
    let sorted: BTreeMap<&String, &OwnedVariant> = told.iter().collect();
    let told: Vec<String> =
        sorted.into_iter().map(|(name, told)| format!("{name} as {}", value(told))).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_in_words() {
        assert_eq!(list(["a", "b"]), "`a`, `b`");
        assert_eq!(list(Vec::<String>::new()), "nothing");
        assert_eq!(pairs(&[("a".to_owned(), "1".to_owned())]), "`a` with `1`");
        assert_eq!(value(&Variant::from("x")), "`x`");
        assert_eq!((value(&Variant::from(5_u64)), value(&Variant::from(6_u32))), ("5".into(), "6".into()));
        assert_eq!(value(&Variant::from(vec!["file", "hidden"])), "`file`, `hidden`");
        assert_eq!(value(&Variant::from(7.5_f64)), "a value of the type `d`");
        assert_eq!(maybe(None), "not there");
        let told = |value: Variant<'_>| OwnedVariant::try_from(value).unwrap();
        let told = HashMap::from([
            ("WMDM/Title".to_owned(), told(Variant::from("x"))),
            ("WMDM/FileSize".to_owned(), told(Variant::from(5_u64))),
        ]);
        assert_eq!(metadata(&told), "WMDM/FileSize as 5, WMDM/Title as `x`");
    }
}
