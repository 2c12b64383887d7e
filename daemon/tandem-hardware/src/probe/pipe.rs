//! USB: control transfers on the device's node, which is opened for that and closed after it.
//!
//! It claims no interface, detaches no driver, sets no configuration and resets nothing. Before the requests of `order` a
//! device gets the standard GET_CONFIGURATION (USB 2.0, 9.4.2), which nusb sends to whatever node it is given.

use super::Asker;
use super::order::{Failure, Pipe, Recipient, Request, Subject, ask};
use crate::facts::UsbDeviceFacts;
use crate::usb::{Answer, served_interfaces};
use nusb::Device;
use nusb::transfer::{ControlIn, ControlType, Recipient as To, TransferError};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tandem_model::BoxFuture;

/// How long a device may take to answer a request.
const LIMIT: Duration = Duration::from_secs(1);
/// How long the kernel may take to open a node: it wakes the device up for that.
const OPENING: Duration = Duration::from_secs(5);

/// Asks devices over USB.
pub(crate) struct Usb;

impl Asker for Usb {
    fn ask(&self, facts: UsbDeviceFacts) -> BoxFuture<'static, Result<Answer, String>> {
        Box::pin(async move {
            let opened = tokio::time::timeout(OPENING, open(&facts)).await;
            let device = opened.map_err(|_| "its node could not be opened in time".to_owned())??;
            let subject = Subject {
                may_have_bos: facts.usb_version.parse().is_ok_and(|version: f32| version >= 2.01),
                interfaces: served_interfaces(&facts),
                bos: facts.bos,
            };
            ask(&Opened(device), &subject).await.map_err(|failure| match failure {
                Failure::Broken(cause) => cause,
                Failure::Refused | Failure::Silent => "it did not answer".to_owned(),
            })
        })
    }
}

/// Opens the node, if it is still this device's.
async fn open(facts: &UsbDeviceFacts) -> Result<Device, String> {
    let node = facts.node.clone().ok_or("it has no device node")?;
    let shown = node.display().to_string();
    let failed = |cause: String| format!("{shown} can't be opened: {cause}");
    let file = tokio::task::spawn_blocking(move || open_node(&node)).await;
    let file = file.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    let device = Device::from_fd(file).await.map_err(|error| failed(error.to_string()))?;
    let (descriptor, usb) = (device.device_descriptor(), &facts.usb);
    let ids = format!("{:04x}:{:04x}", descriptor.vendor_id(), descriptor.product_id());
    if ids.eq_ignore_ascii_case(&format!("{}:{}", usb.vendor_id, usb.product_id)) {
        Ok(device)
    } else {
        Err(failed(format!("another device, {ids}, has it now")))
    }
}

fn open_node(node: &Path) -> std::io::Result<OwnedFd> {
    let path: PathBuf = node.to_owned();
    std::fs::OpenOptions::new().read(true).write(true).open(path).map(OwnedFd::from)
}

/// An open device.
struct Opened(Device);

impl Pipe for Opened {
    async fn read(&self, request: Request) -> Result<Vec<u8>, Failure> {
        let (control_type, recipient) = match request.recipient {
            Recipient::Standard => (ControlType::Standard, To::Device),
            Recipient::Device => (ControlType::Vendor, To::Device),
            Recipient::Interface => (ControlType::Vendor, To::Interface),
        };
        let Request { code: request, value, index, length, .. } = request;
        let transfer = ControlIn { control_type, recipient, request, value, index, length };
        self.0.control_in(transfer, LIMIT).await.map_err(|error| match error {
            TransferError::Stall => Failure::Refused,
            TransferError::Cancelled => Failure::Silent,
            error => Failure::Broken(format!("a request to it failed: {error}")),
        })
    }
}
