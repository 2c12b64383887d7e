//! Proves that the checked-in proxies are what the XML makes of them. With `UPDATE_PROXIES=1` it writes them anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dbus_interfaces::{names, provider, xml};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use zbus::ObjectPath;
use zbus::names::BusName;
use zbus_xml::Node;
use zbus_xmlgen::CodeGenerator;

fn formatted(code: &str) -> String {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rustfmt.toml");
    let mut process = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(configuration)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt comes with the toolchain");
    process.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "rustfmt refuses the generated code");
    String::from_utf8(output.stdout).unwrap()
}

/// What the proxy's file should hold, and the file's name.
fn proxy(xml: &str) -> (String, String) {
    let node = Node::from_reader(xml.as_bytes()).unwrap();
    let [interface] = node.interfaces() else { panic!("each XML file describes one interface") };
    let full_name = interface.name();
    let name = full_name.rsplit('.').next().unwrap();
    let of_provider = full_name.starts_with(provider::PROVIDER);
    let service = (!of_provider).then(|| BusName::try_from(names::BUS_NAME).unwrap());
    let path = node.name().map(|path| ObjectPath::try_from(path).unwrap());
    let code = CodeGenerator::new()
        .with_service(service.as_ref())
        .with_path(path.as_ref())
        .interface_code(interface)
        .unwrap();
    let header = format!(
        "//! Proxy of `{full_name}`, made from `{full_name}.xml`.\n//!\n//! Never edited by hand: change the XML and \
         run this crate's tests with `UPDATE_PROXIES=1`.\n\nuse zbus::proxy;\n\n"
    );
    let folder = if of_provider { "provider/" } else { "" };
    let file = if full_name == provider::PROVIDER { "root".to_owned() } else { name.to_lowercase() };
    (formatted(&(header + &code)), format!("{folder}{file}.rs"))
}

#[test]
fn proxies_are_what_the_xml_makes_of_them() {
    for xml in xml::ALL.into_iter().chain(xml::OF_PROVIDERS) {
        let (expected, file) = proxy(xml);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proxies").join(&file);
        if std::env::var_os("UPDATE_PROXIES").is_some_and(|value| value == "1") {
            std::fs::File::create(&path).unwrap().write_all(expected.as_bytes()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "{file} isn't what the XML makes: run with UPDATE_PROXIES=1");
    }
}

#[test]
fn error_words_are_the_names_of_the_error_type() {
    use zbus::DBusError;
    let errors: [fn(String) -> dbus_interfaces::Error; 12] = [
        dbus_interfaces::Error::NotConnected,
        dbus_interfaces::Error::Initializing,
        dbus_interfaces::Error::ManualDevice,
        dbus_interfaces::Error::PartnershipNotExist,
        dbus_interfaces::Error::PartnershipLimit,
        dbus_interfaces::Error::SyncInProgress,
        dbus_interfaces::Error::InvalidArgument,
        dbus_interfaces::Error::ReadOnly,
        dbus_interfaces::Error::NotAuthorized,
        dbus_interfaces::Error::NotFound,
        dbus_interfaces::Error::Busy,
        dbus_interfaces::Error::Failed,
    ];
    for (make, word) in errors.into_iter().zip(names::ERRORS) {
        assert_eq!(make(String::new()).name().as_str(), format!("{}{word}", names::ERROR_PREFIX));
    }
}

#[test]
fn error_words_of_providers_are_the_names_of_their_error_type() {
    use zbus::DBusError;
    let errors: [fn(String) -> provider::Error; 8] = [
        provider::Error::InterfaceDead,
        provider::Error::NotSupported,
        provider::Error::NoSpace,
        provider::Error::Exists,
        provider::Error::NotFound,
        provider::Error::Busy,
        provider::Error::InvalidArgument,
        provider::Error::Failed,
    ];
    for (make, word) in errors.into_iter().zip(provider::ERRORS) {
        assert_eq!(make(String::new()).name().as_str(), format!("{}{word}", provider::ERROR_PREFIX));
        assert!(xml::PROVIDER.contains(&format!("`{word}`")), "{word} is explained nowhere");
    }
}
