//! What is known of a device before it is open, as `a{sv}` and as a type. Pure.

use dbus_interfaces::provider::Error;
use std::collections::HashMap;
use zbus::{OwnedVariant, Variant};

/// What is known of a device before it is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Lasting, and unique to the device; at most 255 bytes.
    pub canonical_name: String,
    /// The USB vendor's id.
    pub vendor_id: Option<u16>,
    /// The USB product's id.
    pub product_id: Option<u16>,
    /// Empty when it isn't known.
    pub serial: String,
    /// GUIDs of the interfaces that it advertises, in braces and capital letters.
    pub interfaces: Vec<String>,
    /// Its place below `/sys`; empty when udev doesn't know the device.
    pub syspath: String,
}

impl Identity {
    /// A device that is known by its name alone.
    #[must_use]
    pub fn named(canonical_name: impl Into<String>) -> Self {
        Self { canonical_name: canonical_name.into(), ..Self::default() }
    }

    pub(crate) fn read(mut fields: HashMap<String, OwnedVariant>) -> Result<Self, Error> {
        let identity = Self {
            canonical_name: take(&mut fields, "canonical-name")?.unwrap_or_default(),
            vendor_id: take(&mut fields, "vendor-id")?,
            product_id: take(&mut fields, "product-id")?,
            serial: take(&mut fields, "serial")?.unwrap_or_default(),
            interfaces: take(&mut fields, "interfaces")?.unwrap_or_default(),
            syspath: take(&mut fields, "syspath")?.unwrap_or_default(),
        };
        match identity.canonical_name.len() {
            1..=255 => Ok(identity),
            length => Err(Error::InvalidArgument(format!(
                "`canonical-name` has {length} bytes and must have 1 to 255"
            ))),
        }
    }

    pub(crate) fn fields(&self) -> HashMap<&'static str, Variant<'_>> {
        let mut fields = HashMap::from([("canonical-name", Variant::from(self.canonical_name.as_str()))]);
        let mut text = |key, value: &'_ str| {
            if !value.is_empty() {
                fields.insert(key, Variant::from(value.to_owned()));
            }
        };
        text("serial", &self.serial);
        text("syspath", &self.syspath);
        if !self.interfaces.is_empty() {
            fields.insert("interfaces", Variant::from(self.interfaces.clone()));
        }
        for (key, id) in [("vendor-id", self.vendor_id), ("product-id", self.product_id)] {
            if let Some(id) = id {
                fields.insert(key, Variant::from(id));
            }
        }
        fields
    }
}

/// Takes a key of an identity out; an error when it is of another type.
pub(crate) fn take<T: TryFrom<OwnedVariant>>(
    fields: &mut HashMap<String, OwnedVariant>,
    key: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = fields.remove(key) else { return Ok(None) };
    let signature = value.value_signature().to_string();
    T::try_from(value).map(Some).map_err(|_| {
        Error::InvalidArgument(format!(
            "`{key}` of the identity is of another type than it should be, `{signature}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(identity: &Identity) -> HashMap<String, OwnedVariant> {
        let fields = identity.fields().into_iter();
        fields.map(|(key, value)| (key.to_owned(), OwnedVariant::try_from(value).unwrap())).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let identity = Identity {
            vendor_id: Some(0x1234),
            interfaces: vec![dbus_interfaces::provider::PAP_INTERFACE.to_owned()],
            syspath: "/sys/devices/usb1".to_owned(),
            ..Identity::named("one")
        };
        assert_eq!(Identity::read(owned(&identity)).unwrap(), identity);
    }

    #[test]
    fn a_name_is_needed_and_types_are_checked() {
        assert!(Identity::read(HashMap::new()).is_err());
        assert!(Identity::read(owned(&Identity::named("n".repeat(256)))).is_err());
        let mut fields = owned(&Identity::named("one"));
        fields.insert("vendor-id".to_owned(), OwnedVariant::try_from(Variant::from("x")).unwrap());
        assert!(Identity::read(fields).unwrap_err().to_string().contains("vendor-id"));
    }
}
