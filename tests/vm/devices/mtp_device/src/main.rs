//! A simulated MTP player on the machine's own USB: plugged into the kernel's virtual host controller, and served until
//! SIGTERM pulls it.
//!
//!     mtp_device PROFILE STORE SERIAL
//!
//! The profile is a JSON file or the name of one of the project's own; its files are in the directory STORE. It must not
//! touch anything but that directory and a free port of the controller.

mod descriptors;
mod usbip;
mod vhci;
mod wire;

use anyhow::{Context, Result, bail};
use descriptors::Identity;
use serde_json::Value;
use std::os::unix::net::UnixStream as Pair;
use std::path::PathBuf;
use tandem_mtp::responder::{Place, Profile, SimulatedPlayer, profile};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{SignalKind, signal};
use wire::Wire;

/// What the profile says of the USB device.
fn identity(profile: &str, serial: String, player: &SimulatedPlayer) -> Result<Identity> {
    let facts: Value = serde_json::from_str(profile)?;
    let number = |value: &Value, or: u16| value.as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(or);
    let text = |name: &str| facts["device_info"][name].as_str().unwrap_or_default().to_owned();
    Ok(Identity {
        vendor: number(&facts["vendor_id"], 0x1209),
        product: number(&facts["product_id"], 1),
        manufacturer: text("manufacturer"),
        model: text("model"),
        serial,
        packet: number(&facts["usb"]["in_maxpacket"], 512),
        os_string: player.os_string_descriptor(),
    })
}

async fn take(wire: &Wire, mut from: OwnedReadHalf) -> Result<()> {
    while let Some(message) = usbip::read(&mut from).await? {
        wire.handle(message);
    }
    Ok(())
}

async fn answer(wire: &Wire, mut to: OwnedWriteHalf) -> Result<()> {
    loop {
        let answers = wire.answers().await;
        if answers.is_empty() {
            return Ok(());
        }
        for answer in answers {
            to.write_all(&answer).await.context("the kernel has hung up")?;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(store), Some(serial)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: mtp_device PROFILE STORE SERIAL");
    };
    let own = profile::OWN.iter().find(|(own, _)| *own == name).map(|(_, text)| (*text).to_owned());
    let text = match own {
        Some(text) => text,
        None => std::fs::read_to_string(&name).with_context(|| format!("the profile {name}"))?,
    };
    let player = SimulatedPlayer::new(Profile::from_json(&text)?, Place::Directory(PathBuf::from(store)))?;
    let identity = identity(&text, serial, &player)?;
    let mut pulled = signal(SignalKind::terminate())?;

    let (ours, kernels) = Pair::pair()?;
    let port = vhci::attach(&kernels, identity.speed())?;
    drop(kernels);
    ours.set_nonblocking(true)?;
    let (from, to) = UnixStream::from_std(ours)?.into_split();
    let wire = Wire::new(identity);
    let mut served = std::pin::pin!(player.serve(Box::new(wire.clone())));
    let (ended, left) = tokio::select! {
        ended = take(&wire, from) => (ended, false),
        ended = answer(&wire, to) => (ended, false),
        () = &mut served => (Ok(()), true),
        _ = pulled.recv() => (Ok(()), false),
    };
    vhci::detach(port);
    wire.end();
    if !left {
        // it writes down what its files don't hold
        served.await;
    }
    ended
}
