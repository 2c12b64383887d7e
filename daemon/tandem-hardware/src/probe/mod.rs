//! Asks devices for their Microsoft OS descriptors: each model once, ever, and only those that `usb` says may be asked.
//!
//! It claims no interface and resets nothing: vendor requests pass by the kernel's drivers and by who else has the device
//! open. A device that doesn't answer costs itself its one second and is not asked again.

mod asking;
mod cache;
mod inquiry;
mod order;
mod pipe;

pub(crate) use asking::Asking;
pub use inquiry::{Inquiries, UsbInquirer, inquiries};
pub(crate) use inquiry::{Inquiry, reports};
pub(crate) use pipe::Usb;

use crate::facts::UsbDeviceFacts;
use crate::usb::Answer;
use tandem_model::BoxFuture;

/// Asks a device; tests have others than USB's.
pub(crate) trait Asker: Send + Sync {
    /// What the device answers, or why it could not be asked; then it may be asked another time.
    fn ask(&self, facts: UsbDeviceFacts) -> BoxFuture<'static, Result<Answer, String>>;
}
