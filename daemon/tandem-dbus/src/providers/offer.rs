//! Which providers may serve a device, in the order in which they are asked. Pure.
//!
//! The order: a device that demands a provider (the udev property `TANDEM_PROVIDER`, or because that one
//! announced it) is offered to that one alone. Others are offered to whoever names the product, then to
//! whoever names the vendor, then to whoever takes every device; among equals to registered providers in the
//! order of their registration, then to installed ones in the order of their files' names. The first that
//! doesn't refuse serves it.

use super::parameters::Parameters;
use super::provider_file::ProviderFile;
use tandem_model::presence::ProviderDevice;
use zbus::OwnedObjectPath;
use zbus::names::OwnedBusName;

/// A provider that may serve a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// For users.
    pub(super) name: String,
    /// Well-known of one that is installed, unique of one that has registered.
    pub(super) bus_name: OwnedBusName,
    pub(super) root: OwnedObjectPath,
    pub(super) parameters: Parameters,
}

/// A provider that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) offer: Offer,
    /// Its connection.
    pub(super) owner: String,
}

impl From<ProviderFile> for Offer {
    fn from(file: ProviderFile) -> Self {
        let ProviderFile { name, bus_name, object: root, parameters, .. } = file;
        Self { name, bus_name, root, parameters }
    }
}

/// Whom to offer a device to, in order. `demanded` is the process that has the name that the device demands.
pub(super) fn offers(
    device: &ProviderDevice,
    demanded: Option<&str>,
    registered: &[Registration],
    installed: Vec<ProviderFile>,
) -> Vec<Offer> {
    if let Some(name) = &device.provider {
        let is_owner = |owner: &str| owner == name || Some(owner) == demanded;
        let registered = registered.iter().filter(|one| is_owner(&one.owner)).map(|one| one.offer.clone());
        let installed = installed.into_iter().filter(|file| file.bus_name.as_str() == name).map(Offer::from);
        return registered.chain(installed).collect();
    }
    let registered = registered.iter().map(|one| (0, one.offer.clone()));
    let installed = installed
        .into_iter()
        .filter_map(|file| file.closeness(device.ids).map(|closeness| (closeness, Offer::from(file))));
    let mut offers: Vec<(u8, Offer)> = registered.chain(installed).collect();
    offers.sort_by_key(|(closeness, _)| std::cmp::Reverse(*closeness));
    offers.into_iter().map(|(_, offer)| offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn installed(name: &str, matches: &str) -> ProviderFile {
        let text = format!("name = '{name}'\nbus_name = 'org.example.{name}'\nobject = '/p'\n{matches}");
        ProviderFile::parse(Path::new("/p.toml"), text.as_bytes()).unwrap()
    }

    fn registered(owner: &str) -> Registration {
        let offer = Offer {
            name: owner.to_owned(),
            bus_name: OwnedBusName::try_from(owner).unwrap(),
            root: OwnedObjectPath::try_from("/p").unwrap(),
            parameters: Parameters::default(),
        };
        Registration { offer, owner: owner.to_owned() }
    }

    fn device(provider: Option<&str>) -> ProviderDevice {
        ProviderDevice {
            canonical_name: "usb".to_owned(),
            ids: Some((1, 2)),
            serial: String::new(),
            interfaces: Vec::new(),
            syspath: String::new(),
            node: None,
            provider: provider.map(str::to_owned),
        }
    }

    fn names(offers: Vec<Offer>) -> Vec<String> {
        offers.into_iter().map(|offer| offer.name).collect()
    }

    #[test]
    fn the_closest_is_asked_first_and_registered_ones_before_installed_ones() {
        let files = || {
            vec![
                installed("All", ""),
                installed("Other", "[[match]]\nvendor_id = 9"),
                installed("Product", "[[match]]\nvendor_id = 1\nproduct_id = 2"),
                installed("Vendor", "[[match]]\nvendor_id = 1"),
            ]
        };
        let registrations = [registered(":1.7"), registered(":1.5")];
        let asked = offers(&device(None), None, &registrations, files());
        assert_eq!(names(asked), ["Product", "Vendor", ":1.7", ":1.5", "All"]);
        assert!(
            offers(&device(None), None, &[], vec![installed("Other", "[[match]]\nvendor_id = 9")]).is_empty()
        );
    }

    #[test]
    fn a_demanded_provider_alone_is_asked() {
        let files = || vec![installed("All", ""), installed("One", "[[match]]\nvendor_id = 9")];
        let registrations = [registered(":1.7")];
        let of = |name, owner| names(offers(&device(Some(name)), owner, &registrations, files()));
        assert_eq!(of("org.example.One", None), ["One"]);
        assert_eq!(of(":1.7", None), [":1.7"]);
        assert_eq!(of("org.example.Running", Some(":1.7")), [":1.7"]);
        assert!(of("org.example.None", None).is_empty());
    }
}
