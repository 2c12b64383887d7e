//! The player's protocol: one request over the OUT pipe, one answer over the IN pipe. `usb_device/functions.py` has the
//! other side.
//!
//! It must not go on after an exchange that failed: nobody knows what the next bytes belong to.

use nusb::descriptors::TransferType;
use nusb::transfer::{Buffer, Bulk, ControlOut, ControlType, Direction, In, Out, Recipient};
use nusb::{Endpoint, Interface, MaybeFuture};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tandem_provider::Error;

/// How long the player may take for a request.
const LIMIT: Duration = Duration::from_secs(20);

/// Bytes of a file in one request or answer at most.
pub(crate) const PIECE: usize = 128 * 1024;

/// Bytes before an answer's data: status, three of nothing, length.
const HEAD: usize = 8;

/// The request to the device that ends what another program left unfinished.
const BEGIN: u8 = 1;

/// What the player is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Stat = 1,
    List,
    Make,
    Write,
    End,
    Read,
    Delete,
    Rename,
    Move,
    GetText,
    SetText,
    Space,
}

/// An operation, the object that it is for, and two numbers whose meaning it tells.
pub(crate) type Request = (Operation, u32, u64, u32);

/// The player's two pipes.
pub(crate) struct Wire {
    pipes: Mutex<Option<Pipes>>,
}

struct Pipes {
    out: Endpoint<Bulk, Out>,
    back: Endpoint<Bulk, In>,
    _claimed: Interface,
}

fn gone(what: &str, error: impl std::fmt::Display) -> Error {
    Error::InterfaceDead(format!("the player can't be reached any more: {what}: {error}"))
}

impl Wire {
    /// Claims the player's first interface.
    pub(crate) fn open(node: OwnedFd) -> Result<Self, Error> {
        let opened = nusb::Device::from_fd(node).wait().map_err(|error| gone("opening it", error))?;
        let claimed = opened.claim_interface(0).wait().map_err(|error| gone("claiming it", error))?;
        let (control_type, recipient) = (ControlType::Vendor, Recipient::Interface);
        let begin = ControlOut { control_type, recipient, request: BEGIN, value: 0, index: 0, data: &[] };
        claimed.control_out(begin, LIMIT).wait().map_err(|error| gone("beginning", error))?;
        let bulk = |direction| {
            let descriptor = claimed.descriptor()?;
            let mut all = descriptor.endpoints();
            let found =
                all.find(|one| one.direction() == direction && one.transfer_type() == TransferType::Bulk);
            found.map(|one| one.address())
        };
        let no_pipe = || Error::NotSupported("the device has no two bulk pipes".to_owned());
        let out = bulk(Direction::Out).ok_or_else(no_pipe)?;
        let back = bulk(Direction::In).ok_or_else(no_pipe)?;
        let out = claimed.endpoint(out).map_err(|error| gone("its OUT pipe", error))?;
        let back = claimed.endpoint(back).map_err(|error| gone("its IN pipe", error))?;
        Ok(Self { pipes: Mutex::new(Some(Pipes { out, back, _claimed: claimed })) })
    }

    /// Asks the player for something; its answer's data.
    pub(crate) fn ask(&self, request: Request, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let open = pipes.as_mut().ok_or_else(|| gone("asking it", "an earlier request failed"))?;
        match open.exchange(request, data) {
            Ok((0, answer)) => Ok(answer),
            Ok((status, answer)) => Err(refused(status, &String::from_utf8_lossy(&answer))),
            Err(error) => {
                *pipes = None;
                Err(error)
            }
        }
    }
}

fn refused(status: u8, why: &str) -> Error {
    let why = why.to_owned();
    match status {
        1 => Error::InterfaceDead(why),
        2 => Error::Exists(why),
        3 => Error::NoSpace(why),
        4 => Error::InvalidArgument(why),
        _ => Error::Failed(why),
    }
}

impl Pipes {
    fn exchange(&mut self, request: Request, data: &[u8]) -> Result<(u8, Vec<u8>), Error> {
        let (operation, object, number, other) = request;
        let length = u32::try_from(data.len()).map_err(|error| gone("asking it", error))?;
        let mut bytes = Vec::with_capacity(24 + data.len());
        bytes.extend_from_slice(&[operation as u8, 0, 0, 0]);
        bytes.extend_from_slice(&object.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&other.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(data);
        let sent = self.out.transfer_blocking(bytes.into(), LIMIT);
        sent.status.map_err(|error| gone("sending", error))?;
        let mut answer = self.receive()?;
        let Some((&[status, _, _, _, a, b, c, d], _)) = answer.split_first_chunk::<HEAD>() else {
            return Err(gone("its answer", "it is too short"));
        };
        let whole = HEAD + usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if answer.len() != whole || whole > HEAD + PIECE {
            return Err(gone("its answer", format!("{} bytes are not {whole}", answer.len())));
        }
        answer.drain(..HEAD);
        Ok((status, answer))
    }

    /// One answer: more room than any needs, so that a short packet, or none, ends it.
    fn receive(&mut self) -> Result<Vec<u8>, Error> {
        let packet = self.back.max_packet_size();
        let room = (HEAD + PIECE).next_multiple_of(packet) + packet;
        let received = self.back.transfer_blocking(Buffer::new(room), LIMIT);
        received.status.map_err(|error| gone("receiving", error))?;
        Ok(received.buffer[..received.actual_len].to_vec())
    }
}
