//! Devices that a provider announces itself, for udev doesn't know them: an identity, checked like whatever
//! comes from outside, and what the engine is told of it. Pure.
//!
//! A provider can name no device but its own: the device's id begins with its provider, and no two providers
//! and names make the same id.

use super::answers::Properties;
use super::fault::Fault;
use super::offer::Offer;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::{DeviceId, Guid};
use tandem_model::presence::{Arrival, Locator, ProviderDevice};
use xxhash_rust::xxh3::xxh3_64;
use zbus::OwnedVariant;

/// Bytes of a canonical name or a serial number at most, by the contract.
const MOST_IN_TEXT: usize = 255;
/// Device interfaces at most.
const MOST_INTERFACES: usize = 32;
/// Characters of an id's part at most, its hash not counted.
const MOST_IN_PART: usize = 64;
/// Digits of the hash behind a part.
const HASH_DIGITS: usize = 8;

/// Where a device that a provider announced is.
pub(super) fn arrival(offer: &Offer, identity: &Properties) -> Result<Arrival, Fault> {
    let canonical_name = canonical_name(text(identity, "canonical-name")?.as_deref().unwrap_or_default())?;
    let serial = text(identity, "serial")?.unwrap_or_default();
    let ids = match (number(identity, "vendor-id")?, number(identity, "product-id")?) {
        (Some(vendor), Some(product)) => Some((vendor, product)),
        (None, None) => None,
        _ => return Err(Fault::Lie("a vendor's id without a product's, or the other way round".to_owned())),
    };
    let interfaces: Vec<String> = value(identity, "interfaces")?.unwrap_or_default();
    if interfaces.len() > MOST_INTERFACES {
        return Err(Fault::Lie(format!("{} device interfaces", interfaces.len())));
    }
    let guid = |text: &String| {
        Guid::parse(text)
            .ok_or_else(|| Fault::Lie(format!("`{}` as a device interface", super::fault::told(text))))
    };
    let interfaces = interfaces.iter().map(guid).collect::<Result<_, _>>()?;
    let description = DeviceDescription {
        serial_number: serial.clone(),
        ..DeviceDescription::named(id(offer, &canonical_name), Kind::Provider, offer.name.clone())
    };
    let key = key(offer, &canonical_name);
    let device = ProviderDevice {
        canonical_name,
        ids,
        serial,
        interfaces,
        syspath: String::new(),
        node: None,
        provider: Some(offer.bus_name.to_string()),
    };
    Ok(Arrival { key, description, port: String::new(), locator: Locator::Provider(Box::new(device)) })
}

/// What an arrival and the departure after it share.
pub(super) fn key(offer: &Offer, canonical_name: &str) -> String {
    format!("provider:{}:{}:{canonical_name}", offer.bus_name, offer.root)
}

/// A canonical name that can be one.
pub(super) fn canonical_name(name: &str) -> Result<String, Fault> {
    if name.trim().is_empty() {
        return Err(Fault::Lie("a device without a `canonical-name`".to_owned()));
    }
    if name.len() > MOST_IN_TEXT || name.chars().any(char::is_control) {
        return Err(Fault::Lie("a `canonical-name` that is too long or holds control characters".to_owned()));
    }
    Ok(name.to_owned())
}

fn value<T: TryFrom<OwnedVariant>>(identity: &Properties, key: &str) -> Result<Option<T>, Fault> {
    let Some(value) = identity.get(key) else { return Ok(None) };
    let signature = value.value_signature().to_string();
    let value = value.try_clone().ok().and_then(|value| T::try_from(value).ok());
    value.map(Some).ok_or_else(|| {
        Fault::Lie(format!("an identity whose `{key}` is of type `{}`", super::fault::told(&signature)))
    })
}

fn text(identity: &Properties, key: &str) -> Result<Option<String>, Fault> {
    let text: Option<String> = value(identity, key)?;
    match text {
        Some(text) if text.len() > MOST_IN_TEXT || text.chars().any(char::is_control) => {
            Err(Fault::Lie(format!("an identity whose `{key}` is too long or holds control characters")))
        }
        text => Ok(text),
    }
}

fn number(identity: &Properties, key: &str) -> Result<Option<u16>, Fault> {
    value(identity, key)
}

/// The lasting id of a provider's device. No `-` is in the provider's part, so the first behind it ends that.
fn id(offer: &Offer, canonical_name: &str) -> DeviceId {
    let in_provider = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    // a connection's own name is another one each time it registers; what it registers as instead is free, and
    // could be an installed provider's bus name: a `-` of its own is before it
    let provider = if offer.bus_name.starts_with(':') {
        format!("-{}", part(&offer.name, in_provider))
    } else {
        part(offer.bus_name.as_str(), in_provider)
    };
    let device = part(canonical_name, |c| in_provider(c) || c == '-');
    DeviceId(format!("provider-{provider}-{device}"))
}

/// A text as a part of an id: legal characters alone. One that had to be changed gets a hash of the original
/// behind a dot, and so does one that looks as if it had one, so that two different texts stay different.
fn part(text: &str, legal: impl Fn(char) -> bool) -> String {
    let is_hashed = text
        .rsplit_once('.')
        .is_some_and(|(_, end)| end.len() == HASH_DIGITS && end.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if text.len() <= MOST_IN_PART && text.chars().all(&legal) && !is_hashed {
        return text.to_owned();
    }
    let changed: String = text.chars().map(|c| if legal(c) { c } else { '_' }).take(MOST_IN_PART).collect();
    format!("{changed}.{:0HASH_DIGITS$x}", xxh3_64(text.as_bytes()) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::parameters::Parameters;
    use proptest::prelude::*;
    use zbus::names::OwnedBusName;
    use zbus::{OwnedObjectPath, Variant};

    fn offer(bus_name: &str) -> Offer {
        Offer {
            name: "Example players".to_owned(),
            bus_name: OwnedBusName::try_from(bus_name).unwrap(),
            root: OwnedObjectPath::try_from("/p").unwrap(),
            parameters: Parameters::default(),
        }
    }

    fn identity(pairs: Vec<(&str, Variant<'_>)>) -> Properties {
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), OwnedVariant::try_from(value).unwrap()))
            .collect()
    }

    #[test]
    fn an_identity_becomes_an_arrival_whose_id_lasts() {
        let told = || {
            identity(vec![
                ("canonical-name", Variant::from("net:player 1")),
                ("vendor-id", Variant::from(1u16)),
                ("product-id", Variant::from(2u16)),
                ("serial", Variant::from("0042")),
                ("interfaces", Variant::from(vec!["{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}"])),
                ("whatever", Variant::from(true)),
            ])
        };
        let one = arrival(&offer(":1.7"), &told()).unwrap();
        let again = arrival(&offer(":1.9"), &told()).unwrap();
        assert_eq!(one.description.id, again.description.id);
        assert_ne!(one.key, again.key);
        let installed = arrival(&offer("org.example.Players"), &told()).unwrap();
        assert!(installed.description.id.0.starts_with("provider-org.example.Players-net_player_1."));
        let Locator::Provider(device) = &installed.locator else { panic!("{:?}", installed.locator) };
        assert_eq!((device.ids, device.interfaces.len()), (Some((1, 2)), 1));
        assert_eq!(device.provider.as_deref(), Some("org.example.Players"));
    }

    fn id_of(offer: &Offer, name: &str) -> String {
        let told = identity(vec![("canonical-name", Variant::from(name.to_owned()))]);
        arrival(offer, &told).unwrap().description.id.0
    }

    #[test]
    fn two_providers_never_have_one_device() {
        let registered = |name: &str| Offer { name: name.to_owned(), ..offer(":1.7") };
        assert_eq!(id_of(&offer("org.example.A"), "x-y"), "provider-org.example.A-x-y");
        assert_eq!(id_of(&registered("Example"), "x-y"), "provider--Example-x-y");
        let odd = id_of(&offer("org.odd.A-x"), "y");
        let ids = [
            id_of(&offer("org.odd.A"), "x-y"),
            odd.clone(),
            id_of(&offer("org.odd.-A"), "x-y"),
            id_of(&registered("org.odd.A"), "x-y"),
            id_of(&registered("org.odd.A-x"), "y"),
            id_of(&registered("-org.odd.A"), "x-y"),
            // what one with a `-` becomes is a bus name, too
            id_of(&offer(odd.strip_prefix("provider-").unwrap().strip_suffix("-y").unwrap()), "y"),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{ids:?}");
        }
    }

    #[test]
    fn a_name_that_looks_hashed_is_not_the_one_that_is() {
        let of = |name: &str| id_of(&offer("org.example.A"), name);
        let hashed = of("x y");
        assert_ne!(of(hashed.strip_prefix("provider-org.example.A-").unwrap()), hashed);
    }

    #[test]
    fn hostile_identities_are_refused() {
        let name = || ("canonical-name", Variant::from("x"));
        for hostile in [
            vec![],
            vec![("canonical-name", Variant::from(" "))],
            vec![("canonical-name", Variant::from("a\nb"))],
            vec![("canonical-name", Variant::from("x".repeat(256)))],
            vec![("canonical-name", Variant::from(1u32))],
            vec![name(), ("vendor-id", Variant::from(1u16))],
            vec![name(), ("vendor-id", Variant::from(1u32)), ("product-id", Variant::from(1u32))],
            vec![name(), ("serial", Variant::from("\u{0}"))],
            vec![name(), ("interfaces", Variant::from(vec!["no guid"]))],
            vec![name(), ("interfaces", Variant::from(vec!["{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}"; 99]))],
        ] {
            let refused = arrival(&offer(":1.7"), &identity(hostile));
            assert!(matches!(refused, Err(Fault::Lie(_))), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn two_names_are_never_one_device(one: String, other: String) {
            let id = |name: &str| {
                let told = identity(vec![("canonical-name", Variant::from(name.to_owned()))]);
                arrival(&offer(":1.7"), &told).ok().map(|arrival| arrival.description.id)
            };
            if let (Some(first), Some(second)) = (id(&one), id(&other)) {
                prop_assert_eq!(first == second, one == other);
                prop_assert!(first.0.is_ascii());
            }
        }
    }
}
