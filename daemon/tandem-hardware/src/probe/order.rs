//! Which requests are sent, in which order: what Windows sends, and what firmware has been seen to answer. It knows no USB:
//! requests go through a trait.
//!
//! | | request | sent |
//! | --- | --- | --- |
//! | 1 | `80 06 0F00 0000 0005`, then all of it | from USB 2.01 on, where the kernel doesn't show the BOS |
//! | 2 | `C0 code 0000 0007`, the set's length | when the BOS tells of a descriptor set (2.0); with an answer that is the end |
//! | 3 | `80 06 03EE 0000 0012` | else; without its signature that is the end |
//! | 4 | `C0 code 0000 0004 0010`, then all of it | when it has the signature (1.0); a device that speaks MTP isn't asked more |
//! | 5 | `C1 code 00nn 0005 000A`, then all of it | for each interface nn that a player could be served over |
//! | 6 | `C0 code 00nn 0005 000A`, then all of it | when 5 was not answered as it should |
//! | 7 | `C0 code 0000 0005 000A`, then all of it | when 6 was not either |

use crate::microsoft::{Advertised, v1, v2};
use crate::usb::Answer;

/// Interfaces that are asked for their properties, at most.
const INTERFACES: usize = 8;
/// Bytes of a descriptor of version 1.0 that are asked for, at most; Linux' own gadgets have no more.
const MOST: u32 = 4096;

/// Whom a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// The device, by a standard request.
    Standard,
    /// The device, by a request of its vendor's.
    Device,
    /// One of its interfaces, by a request of its vendor's.
    Interface,
}

/// A control request that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) recipient: Recipient,
    /// `bRequest`.
    pub(crate) code: u8,
    /// `wValue`.
    pub(crate) value: u16,
    /// `wIndex`.
    pub(crate) index: u16,
    /// `wLength`.
    pub(crate) length: u16,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The device refuses the request.
    Refused,
    /// It didn't answer in time.
    Silent,
    /// It can't be reached, or is gone.
    Broken(String),
}

/// The way to a device.
pub(crate) trait Pipe: Send + Sync {
    /// Sends the request, and waits for the answer a second at most.
    fn read(&self, request: Request) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

/// What is known of a device before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Its object store, where the kernel shows it.
    pub(crate) bos: Option<Vec<u8>>,
    /// Its version of USB knows object stores.
    pub(crate) may_have_bos: bool,
    /// The interfaces that a player could be served over.
    pub(crate) interfaces: Vec<u8>,
}

/// Asks a device, in the order above.
///
/// # Errors
/// `Broken` alone: refusals and silence are answers.
pub(crate) async fn ask(pipe: &impl Pipe, subject: &Subject) -> Result<Answer, Failure> {
    match descriptors(pipe, subject).await {
        Err(Failure::Silent) => Ok(Answer::Silent),
        answer => answer,
    }
}

async fn descriptors(pipe: &impl Pipe, subject: &Subject) -> Result<Answer, Failure> {
    if let Some(advertised) = version_2(pipe, subject).await? {
        return Ok(Answer::Advertised(advertised));
    }
    let string = Request {
        recipient: Recipient::Standard,
        code: 6,
        value: 0x03ee,
        index: 0,
        length: v1::STRING_LENGTH,
    };
    let string = unless_refused(pipe.read(string).await)?.unwrap_or_default();
    let Some(code) = v1::vendor_code(&string) else { return Ok(Answer::None) };
    let mut advertised = Advertised::default();
    let ids = Request {
        recipient: Recipient::Device,
        code,
        value: 0,
        index: v1::COMPATIBLE_IDS,
        length: v1::COMPATIBLE_IDS_HEADER,
    };
    if let Some(ids) = whole(pipe, ids).await? {
        advertised.compatible_ids = v1::compatible_ids(&ids).unwrap_or_default();
    }
    if advertised.mtp().is_none() {
        for interface in subject.interfaces.iter().take(INTERFACES) {
            advertised.add(properties(pipe, code, *interface).await?);
        }
    }
    Ok(Answer::Advertised(advertised))
}

async fn version_2(pipe: &impl Pipe, subject: &Subject) -> Result<Option<Advertised>, Failure> {
    let bos = match &subject.bos {
        Some(bos) => Some(bos.clone()),
        None if subject.may_have_bos => object_store(pipe).await?,
        None => None,
    };
    let Some(set) = bos.as_deref().and_then(v2::descriptor_set) else { return Ok(None) };
    let (code, index, length) = (set.vendor_code, v2::DESCRIPTOR_SET, set.length);
    let request = Request { recipient: Recipient::Device, code, value: 0, index, length };
    let set = unless_refused(pipe.read(request).await)?;
    Ok(set.and_then(|set| v2::advertised(&set).ok()))
}

/// The binary object store, asked for as the kernel does.
async fn object_store(pipe: &impl Pipe) -> Result<Option<Vec<u8>>, Failure> {
    let request =
        Request { recipient: Recipient::Standard, code: 6, value: 0x0f00, index: 0, length: v2::BOS_HEADER };
    let header = unless_refused(pipe.read(request).await)?.unwrap_or_default();
    match v2::bos_length(&header) {
        Some(length) if length > v2::BOS_HEADER => {
            unless_refused(pipe.read(Request { length, ..request }).await)
        }
        _ => Ok(None),
    }
}

/// The properties of an interface, by the first form of the request that is answered as it should.
async fn properties(pipe: &impl Pipe, code: u8, interface: u8) -> Result<Advertised, Failure> {
    let number = u16::from(interface);
    let mut forms = vec![(Recipient::Interface, number), (Recipient::Device, number), (Recipient::Device, 0)];
    forms.dedup();
    for (recipient, value) in forms {
        let request =
            Request { recipient, code, value, index: v1::PROPERTIES, length: v1::PROPERTIES_HEADER };
        let properties = whole(pipe, request).await?;
        if let Some(Ok(advertised)) = properties.map(|bytes| v1::properties(&bytes, interface)) {
            return Ok(advertised);
        }
    }
    Ok(Advertised::default())
}

/// A descriptor of version 1.0: its header, then all of it. `None` when it is refused or another one comes.
async fn whole(pipe: &impl Pipe, header: Request) -> Result<Option<Vec<u8>>, Failure> {
    let Some(bytes) = unless_refused(pipe.read(header).await)? else { return Ok(None) };
    let Some(length) = v1::length(&bytes, header.index).filter(|_| bytes.len() >= usize::from(header.length))
    else {
        return Ok(None);
    };
    let length = u16::try_from(length.min(MOST)).unwrap_or(u16::MAX);
    if length <= header.length {
        return Ok(Some(bytes));
    }
    unless_refused(pipe.read(Request { length, ..header }).await)
}

fn unless_refused(result: Result<Vec<u8>, Failure>) -> Result<Option<Vec<u8>>, Failure> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Failure::Refused) => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests;
