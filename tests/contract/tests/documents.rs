//! Proves that the XML is complete: every member and argument documented, every method and settable property with a
//! row in the authorisation table and no row without a member, every word of the vocabulary in its place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::{names, xml};
use std::collections::BTreeSet;
use tandem_model::device::{Kind, Status, SyncState};
use tandem_model::error::ItemError;
use zbus_xml::Node;

fn node(text: &str) -> Node<'static> {
    Node::from_reader(text.as_bytes()).unwrap()
}

#[test]
fn every_member_and_argument_is_documented() {
    for text in xml::ALL.into_iter().chain(xml::OF_PROVIDERS) {
        let node = node(text);
        let interface = &node.interfaces()[0];
        let mut missing = Vec::new();
        let mut check = |place: String, text: Option<&str>| {
            if text.is_none_or(|text| !text.trim().ends_with(['.', '>']) || text.trim().len() < 5) {
                missing.push(place);
            }
        };
        check(interface.name().to_string(), interface.docstring());
        for method in interface.methods() {
            check(method.name().to_string(), method.docstring());
            for arg in method.args() {
                check(format!("{}, {:?}", method.name(), arg.name()), arg.docstring());
                assert!(
                    arg.name().is_some() && arg.direction().is_some(),
                    "{} has a nameless argument",
                    method.name()
                );
            }
        }
        for signal in interface.signals() {
            check(signal.name().to_string(), signal.docstring());
            for arg in signal.args() {
                check(format!("{}, {:?}", signal.name(), arg.name()), arg.docstring());
            }
        }
        for property in interface.properties() {
            check(property.name().to_string(), property.docstring());
        }
        assert!(missing.is_empty(), "not documented in {}: {missing:?}", interface.name());
        assert!(
            text.contains("<tp:added version=\"1\"/>"),
            "{} doesn't say since when it exists",
            interface.name()
        );
    }
}

#[test]
fn every_method_and_settable_property_has_its_row_and_no_other_has() {
    let mut expected = BTreeSet::new();
    for text in xml::ALL {
        let node = node(text);
        let interface = &node.interfaces()[0];
        let methods = interface.methods().map(|method| method.name().to_string());
        let settable = interface.properties().filter(|property| property.access().write());
        let members = methods.chain(settable.map(|property| property.name().to_string()));
        expected.extend(members.map(|member| (interface.name().to_string(), member)));
    }
    for (interface, member) in &expected {
        assert!(tandem_dbus::access(interface, member).is_some(), "{interface}.{member} has no row");
    }
    for (interface, member) in tandem_dbus::guarded_members() {
        let known = expected.contains(&(interface.to_owned(), member.to_owned()));
        assert!(known, "{interface}.{member} has a row, but isn't in the XML");
    }
}

/// The documentation of one property or signal argument.
fn documentation(text: &str, member: &str, argument: Option<&str>) -> String {
    let node = node(text);
    let interface = &node.interfaces()[0];
    let found = match argument {
        None => {
            let property = interface.properties().find(|property| property.name() == member);
            property.and_then(|property| property.docstring().map(str::to_owned))
        }
        Some(argument) => {
            let signal = interface.signals().find(|signal| signal.name() == member).unwrap();
            let arg = signal.args().iter().find(|arg| arg.name() == Some(argument));
            arg.and_then(|arg| arg.docstring().map(str::to_owned))
        }
    };
    found.unwrap()
}

#[test]
fn every_word_is_documented_where_it_occurs_with_its_wmp_constant() {
    let status = documentation(xml::DEVICE, "Status", None);
    for (word, constant) in [
        (Status::Unknown, "wmpdsUnknown"),
        (Status::PartnershipExists, "wmpdsPartnershipExists"),
        (Status::PartnershipDeclined, "wmpdsPartnershipDeclined"),
        (Status::PartnershipAnother, "wmpdsPartnershipAnother"),
        (Status::ManualDevice, "wmpdsManualDevice"),
        (Status::NewDevice, "wmpdsNewDevice"),
    ] {
        assert!(status.contains(&format!("`{}` ({constant}", word.as_str())), "{constant}");
    }
    let state = documentation(xml::DEVICE, "SyncState", None);
    for (word, constant) in [
        (SyncState::Unknown, "wmpssUnknown"),
        (SyncState::Synchronizing, "wmpssSynchronizing"),
        (SyncState::Stopped, "wmpssStopped"),
        (SyncState::Estimating, "wmpssEstimating"),
    ] {
        assert!(state.contains(&format!("`{}` ({constant})", word.as_str())), "{constant}");
    }
    let kind = documentation(xml::DEVICE, "Kind", None);
    for word in [Kind::Mtp, Kind::MassStorage, Kind::WindowsCe, Kind::Provider, Kind::Folder] {
        assert!(kind.contains(&format!("`{}`", word.as_str())), "{}", word.as_str());
    }
    let errors = documentation(xml::SERVICES, "DeviceSyncError", Some("error"));
    let words: Vec<_> = errors.split('`').skip(1).step_by(2).collect();
    assert_eq!(words.len(), 14);
    for word in words {
        assert!(ItemError::parse(word).is_some(), "{word}");
    }
}

#[test]
fn errors_that_the_xml_names_exist() {
    let text = xml::ALL.concat();
    for word in names::ERRORS {
        let documented = ["NotConnected", "Initializing", "PartnershipLimit", "Busy"].contains(&word);
        assert!(documented || text.contains(&format!("`{word}`")), "{word} occurs nowhere");
    }
}

#[test]
fn nothing_is_called_failed_outside_the_one_table() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemon/tandem-dbus/src");
    let (mut read, mut folders) = (0, vec![sources]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let of_tests =
                name.ends_with("_tests.rs") || name.ends_with("_tests") || name.starts_with("fake");
            if path.is_dir() && !of_tests {
                folders.push(path);
            } else if path.is_file() && name != "errors.rs" && !of_tests {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("Error::Failed("), "{name} makes a Failed of its own");
                read += 1;
            }
        }
    }
    assert!(read > 10, "the sources are elsewhere now");
}
