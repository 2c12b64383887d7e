//! The kernel's virtual host controller: a socket plugged into a free port, and pulled out.
//!
//! It must not say anything over the socket.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// A port's status that says nothing is plugged in.
const FREE: &str = "004";

/// How fast a device is, as the kernel's `enum usb_device_speed` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    /// Packets of 64 bytes.
    Full = 2,
    /// Packets of 512 bytes.
    High = 3,
    /// Packets of 1024 bytes.
    Super = 5,
}

/// Writes to an attribute, which is there or isn't.
fn say(attribute: &str, text: &str) -> io::Result<()> {
    let path = Path::new(CONTROLLER).join(attribute);
    File::options().write(true).open(path)?.write_all(text.as_bytes())
}

/// Plugs a socket in and returns its port; another program may be quicker at a port, then it is the next.
pub(crate) fn attach(socket: &impl AsFd, speed: Speed) -> Result<u32> {
    let status = fs::read_to_string(Path::new(CONTROLLER).join("status"));
    let status = status.context("the virtual host controller isn't there; load vhci_hcd")?;
    let hub = if speed == Speed::Super { "ss" } else { "hs" };
    for row in status.lines() {
        let mut columns = row.split_whitespace();
        let (Some(own), Some(port), Some(FREE)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        if own != hub {
            continue;
        }
        let port: u32 = port.parse().with_context(|| format!("the port `{port}` is no number"))?;
        let line = format!("{port} {} {} {}", socket.as_fd().as_raw_fd(), std::process::id(), speed as u8);
        match say("attach", &line) {
            Ok(()) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            Err(error) => return Err(error).context("plugging in"),
        }
    }
    bail!("no port for a device of this speed is free; unplug one")
}

/// Unplugs what is in a port; it may be gone already.
pub(crate) fn detach(port: u32) {
    if let Err(error) = say("detach", &port.to_string()) {
        println!("port {port} was empty already: {error}");
    }
}
