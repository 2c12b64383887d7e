//! `org.tandemd.Provider1`: opening and releasing devices, and which ones there are.

use crate::answers::{Answer, Call, arguments};
use crate::device::Metadata;
use crate::dispatch::{Shared, unknown};
use crate::identity::{self, Identity};
use dbus_interfaces::provider::Error;
use std::sync::PoisonError;
use zbus::message::Message;
use zbus::{OwnedFd, OwnedObjectPath};

pub(crate) async fn answer(shared: &Shared, call: &Call, message: Message) -> Answer {
    match call.member.as_str() {
        "CreateDevice" => {
            let (mut identity, usb): (Metadata, Vec<OwnedFd>) = arguments(message)?;
            let flushes = identity::take(&mut identity, "flushes")?.unwrap_or(false);
            let identity = Identity::read(identity)?;
            if usb.len() > 1 {
                let text = format!("{} descriptors were given; a device has one at most", usb.len());
                return Err(Error::InvalidArgument(text).into());
            }
            let usb = usb.into_iter().next().map(Into::into);
            call.answer(&shared.sessions.open(&call.sender, identity, usb, flushes).await?)
        }
        "ReleaseDevice" => {
            let device: OwnedObjectPath = arguments(message)?;
            shared.sessions.release(&call.sender, &device).await?;
            call.answer(&())
        }
        "EnumDevices" => {
            arguments::<()>(message)?;
            let announced = shared.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
            call.answer(&announced.iter().map(Identity::fields).collect::<Vec<_>>())
        }
        _ => Err(unknown(call)),
    }
}
