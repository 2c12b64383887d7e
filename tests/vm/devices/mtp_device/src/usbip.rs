//! The messages of USB/IP, taken apart and put together: 48 bytes big-endian, then the data of a transfer, as the kernel's
//! Documentation/usb/usbip_protocol.rst has them.
//!
//! It must not open anything, nor know what a transfer is for.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a message's header.
const HEADER: usize = 48;
/// Bytes of a transfer that are taken; the kernel's own limit for usbfs is lower.
const LARGEST: usize = 64 << 20;
/// The kernel's `URB_ZERO_PACKET`: an OUT transfer that fills its last packet is ended by an empty one.
pub(crate) const ZERO_PACKET: u32 = 0x40;

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;

/// How a transfer ends, as the kernel's negative error numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum End {
    /// Done.
    Done = 0,
    /// The endpoint is halted, or the request isn't known.
    Stalled = -32,
}

/// The eight bytes that a control request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) kind: u8,
    pub(crate) request: u8,
    pub(crate) value: u16,
    pub(crate) index: u16,
}

/// What the host wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A transfer. The endpoint is an address: its top bit says IN.
    Submit { number: u32, endpoint: u8, flags: u32, length: usize, setup: Setup, data: Vec<u8> },
    /// The host no longer wants a transfer.
    Unlink { number: u32, victim: u32 },
}

/// Reads a message; `None` when the kernel has hung up.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Message>> {
    let mut header = [0; HEADER];
    if from.read_exact(&mut header).await.is_err() {
        return Ok(None);
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[at..at + 4]);
        u32::from_be_bytes(bytes)
    };
    let number = word(4);
    match word(0) {
        UNLINK => return Ok(Some(Message::Unlink { number, victim: word(20) })),
        SUBMIT => {}
        other => bail!("the kernel sent the unknown command {other}"),
    }
    let inwards = word(12) == 1;
    let length = usize::try_from(word(24)).context("a transfer's length")?;
    if length > LARGEST {
        bail!("the kernel announced a transfer of {length} bytes");
    }
    let mut data = vec![0; if inwards { 0 } else { length }];
    if from.read_exact(&mut data).await.is_err() {
        return Ok(None);
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let setup = Setup { kind: header[40], request: header[41], value: half(42), index: half(44) };
    let endpoint = (word(16) & 0x7F) as u8 | if inwards { 0x80 } else { 0 };
    Ok(Some(Message::Submit { number, endpoint, flags: word(20), length, setup, data }))
}

fn answer(command: u32, number: u32, status: i32, length: u32, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + data.len());
    for word in [command, number, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(&status.to_be_bytes());
    message.extend_from_slice(&length.to_be_bytes());
    message.resize(HEADER, 0);
    message.extend_from_slice(data);
    message
}

/// The end of an IN transfer with its data.
pub(crate) fn brought(number: u32, end: End, data: &[u8]) -> Vec<u8> {
    // bounded by the transfer's length
    answer(3, number, end as i32, data.len() as u32, data)
}

/// The end of an OUT transfer with how many bytes were taken.
pub(crate) fn taken(number: u32, end: End, length: usize) -> Vec<u8> {
    // bounded by the transfer's length
    answer(3, number, end as i32, length as u32, &[])
}

/// The end of an unlink: whether there was something to take back, which ends with the kernel's `ECONNRESET`.
pub(crate) fn unlinked(number: u32, found: bool) -> Vec<u8> {
    answer(4, number, if found { -104 } else { 0 }, 0, &[])
}
