//! What is told of a USB device, as the contract's dictionary. Pure.

use crate::message::presentable;
use std::collections::HashMap;
use tandem_model::usb::UsbReport;
use zbus::Variant;

/// A device of `Probe`.
pub(crate) fn told(report: UsbReport) -> HashMap<&'static str, Variant<'static>> {
    let function = |first_interface: Option<u8>| first_interface.map_or(-1, i16::from);
    let ids: Vec<(i16, String)> =
        report.compatible_ids.into_iter().map(|(first, id)| (function(first), id)).collect();
    let guids: Vec<(i16, String)> = report
        .device_interfaces
        .into_iter()
        .map(|(first, guid)| (function(first), guid.to_string()))
        .collect();
    let interfaces: Vec<(u8, u8, u8, u8, u8, String, String)> = report
        .interfaces
        .into_iter()
        .map(|own| (own.number, own.class.0, own.class.1, own.class.2, own.endpoints, own.name, own.driver))
        .collect();
    HashMap::from([
        ("kind", report.kind.as_str().into()),
        ("reason", presentable(&report.reason).into()),
        ("device-id", report.device.map(|id| id.0).unwrap_or_default().into()),
        ("descriptors", presentable(&report.descriptors).into()),
        ("compatible-ids", ids.into()),
        ("device-interfaces", guids.into()),
        ("interfaces", interfaces.into()),
        ("vendor-id", report.ids.0.into()),
        ("product-id", report.ids.1.into()),
        ("release", report.release.into()),
        ("manufacturer", report.manufacturer.into()),
        ("product", report.product.into()),
        ("serial", report.serial.into()),
        ("port", report.port.into()),
        ("node", report.node.into()),
        ("syspath", report.syspath.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::id::{DeviceId, Guid};
    use tandem_model::usb::{UsbInterface, UsbKind};

    #[test]
    fn all_that_is_known_is_told_in_the_contracts_types() {
        let interface = UsbInterface {
            number: 1,
            class: (0xff, 2, 3),
            endpoints: 2,
            name: "Player".to_owned(),
            driver: String::new(),
        };
        let report = UsbReport {
            syspath: "/sys/devices/usb1/1-2".to_owned(),
            node: "/dev/bus/usb/001/004".to_owned(),
            port: "1-2".to_owned(),
            ids: ("1209".to_owned(), "7a01".to_owned()),
            release: "0100".to_owned(),
            manufacturer: String::new(),
            product: "Walker".to_owned(),
            serial: "S1".to_owned(),
            interfaces: vec![interface],
            kind: UsbKind::Provider,
            device: Some(DeviceId("pap-1209-7a01-S1".to_owned())),
            reason: "so it says".to_owned(),
            descriptors: "asked, and read".to_owned(),
            compatible_ids: vec![(Some(1), "WINUSB".to_owned())],
            device_interfaces: vec![(None, Guid(1))],
        };
        let told = told(report);
        let signature = |key: &str| told[key].value_signature().to_string();
        assert_eq!(signature("compatible-ids"), "a(ns)");
        assert_eq!(signature("interfaces"), "a(yyyyyss)");
        assert_eq!(told["device-interfaces"], vec![(-1i16, Guid(1).to_string())].into());
        assert_eq!(told["kind"], "provider".into());
        assert_eq!(told["device-id"], "pap-1209-7a01-S1".into());
        assert_eq!(told.len(), 16);
    }
}
