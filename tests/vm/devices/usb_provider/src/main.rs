//! A service provider on the system bus, for players that keep files behind a protocol of their own on USB: those that
//! `devices/usb_device` makes with the function `files`. It is installed as PROVIDERS.md says.
//!
//! It must not know how players are synchronised, nor open a device itself: the daemon hands each over.

mod player;
mod wire;

use player::Player;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tandem_provider::{Bus, Device, Driver, Error, Identity, Provider};
use wire::Wire;

struct Players;

impl Driver for Players {
    fn open(&self, identity: &Identity, usb: Option<OwnedFd>) -> Result<Arc<dyn Device>, Error> {
        let name = &identity.canonical_name;
        let node = usb.ok_or_else(|| Error::NotSupported(format!("`{name}` is not on USB")))?;
        Ok(Arc::new(Player::new(Wire::open(node)?, identity.serial.clone())))
    }
}

fn main() -> Result<(), Error> {
    Provider::new("org.example.Players", "/org/example/Players", Players).run(Bus::System)
}
