//! The host's side for measures: Tandem's initiator over USB, step by step, and a bare loop of bulk writes to hold it
//! against. Prints the seconds that each step took.
//!
//!     mtp_host NODE VENDOR:PRODUCT INTERFACE STEP…
//!
//! Steps: `list` (all objects with name, size and date), `send=COUNT*BYTES`, `get` (all files below the root's folder
//! `bench`), `delete` (that folder), `bare=BYTES/BUFFER*DEPTH` (in a session of its own, as the last step). It must not
//! touch what it didn't send.

use anyhow::{Context, Result, bail};
use nusb::transfer::{Buffer, Bulk, Direction, In, Out};
use std::fmt::Display;
use std::future::poll_fn;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;
use tandem_mtp::codec::Dataset;
use tandem_mtp::codec::container::{Command, Header, Parameters, Response};
use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codes::{FormatCode, ObjectHandle, OperationCode, ResponseCode, StorageId};
use tandem_mtp::initiator::{Initiator, ObjectFilter, Options, Parent, PropertyQuery};
use tandem_mtp::usb::UsbTransport;
use tokio::io::AsyncReadExt;

const FOLDER: &str = "bench";
/// The first storage of all players that the bare loop is for.
const STORAGE: u32 = 0x0001_0001;

struct Host {
    initiator: Initiator,
    storage: StorageId,
}

impl Host {
    async fn open(node: &Path, ids: (u16, u16), interface: u8) -> Result<Self> {
        let transport = UsbTransport::open(node, ids, interface).await?;
        let mut initiator = Initiator::new(Box::new(transport), Options::default());
        if initiator.get_device_info().await.is_err() {
            initiator.open_session().await?;
            initiator.get_device_info().await?;
        } else {
            initiator.open_session().await?;
        }
        let storages = initiator.storage_ids().await?;
        let storage = *storages.first().context("the device shows no storage")?;
        Ok(Self { initiator, storage })
    }

    async fn folder(&mut self) -> Result<Option<ObjectHandle>> {
        let filter = ObjectFilter::children(self.storage, Parent::Root);
        for handle in self.initiator.object_handles(filter).await? {
            if self.initiator.object_info(handle).await?.file_name == FOLDER {
                return Ok(Some(handle));
            }
        }
        Ok(None)
    }

    /// Folder by folder: by property lists where the device has them, else object by object.
    async fn list(&mut self) -> Result<usize> {
        let lists = self.initiator.supports(OperationCode::GET_OBJECT_PROP_LIST);
        let (mut waiting, mut count) = (vec![Parent::Root], 0);
        while let Some(place) = waiting.pop() {
            if let (Parent::Folder(folder), true) = (place, lists) {
                let elements = self.initiator.object_property_list(PropertyQuery::children(folder)).await?;
                let mut objects: Vec<ObjectHandle> = elements.iter().map(|element| element.object).collect();
                objects.dedup();
                count += objects.len();
                continue;
            }
            for handle in self.initiator.object_handles(ObjectFilter::children(self.storage, place)).await? {
                let info = self.initiator.object_info(handle).await?;
                count += 1;
                if info.format == FormatCode::ASSOCIATION {
                    waiting.push(Parent::Folder(handle));
                }
            }
        }
        Ok(count)
    }

    async fn send(&mut self, count: usize, bytes: u64) -> Result<usize> {
        let folder = match self.folder().await? {
            Some(folder) => folder,
            None => {
                let mut info = ObjectInfo::new(FormatCode::ASSOCIATION, 0, FOLDER);
                info.association_type = 1;
                self.initiator.send_object_info(self.storage, Parent::Root, &info).await?.handle
            }
        };
        for number in 0..count {
            let info = ObjectInfo::new(FormatCode::MP3, bytes, &format!("{bytes}-{number:04}.mp3"));
            self.initiator.send_object_info(self.storage, Parent::Folder(folder), &info).await?;
            self.initiator.send_object(bytes, &mut tokio::io::repeat(0x5A).take(bytes)).await?;
        }
        Ok(count)
    }

    async fn get(&mut self) -> Result<usize> {
        let folder = self.folder().await?.context("nothing was sent")?;
        let filter = ObjectFilter::children(self.storage, Parent::Folder(folder));
        let handles = self.initiator.object_handles(filter).await?;
        for handle in &handles {
            self.initiator.get_object(*handle, None, &mut tokio::io::sink()).await?;
        }
        Ok(handles.len())
    }
}

/// The same bytes with nothing around them: two commands, then writes of one buffer again and again.
async fn bare(node: &Path, interface: u8, bytes: u64, size: usize, depth: usize) -> Result<f64> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(node)?;
    let device = nusb::Device::from_fd(file.into()).await?;
    let claimed = device.detach_and_claim_interface(interface).await?;
    let descriptor = claimed.descriptor().context("an interface")?;
    let bulk = |direction| {
        let mut all = descriptor.endpoints();
        let found = all.find(|one| {
            one.direction() == direction && one.transfer_type() == nusb::descriptors::TransferType::Bulk
        });
        found.map(|one| one.address()).context("a bulk pipe")
    };
    let mut out = claimed.endpoint::<Bulk, Out>(bulk(Direction::Out)?)?;
    let mut back = claimed.endpoint::<Bulk, In>(bulk(Direction::In)?)?;
    let mut transaction = 0;
    let mut command = async |operation, parameters: &[u32], data: Option<Vec<u8>>| -> Result<()> {
        let parameters = Parameters::new(parameters);
        let code = Command { code: operation, transaction, parameters }.encode();
        out.submit(code.into());
        poll_fn(|context| out.poll_next_complete(context)).await.status?;
        if let Some(data) = data {
            let mut whole = Header::data(operation, transaction, data.len() as u64).encode().to_vec();
            whole.extend_from_slice(&data);
            out.submit(whole.into());
            poll_fn(|context| out.poll_next_complete(context)).await.status?;
        }
        transaction += 1;
        answered(&mut back).await
    };
    command(OperationCode::OPEN_SESSION, &[1], None).await?;
    let info = ObjectInfo::new(FormatCode::MP3, bytes, "bare.mp3").encode()?;
    command(OperationCode::SEND_OBJECT_INFO, &[STORAGE, 0xFFFF_FFFF], Some(info)).await?;
    let began = Instant::now();
    let operation = OperationCode::SEND_OBJECT;
    out.submit(Command { code: operation, transaction, parameters: Parameters::new(&[]) }.encode().into());
    let header = Header::data(operation, transaction, bytes).encode();
    let total = header.len() as u64 + bytes;
    let (mut submitted, mut spare, mut made) = (0, Vec::new(), 0);
    while submitted < total || out.pending() > 0 {
        if submitted < total && (made < depth || !spare.is_empty()) {
            let left = usize::try_from(total - submitted).unwrap_or(usize::MAX);
            let mut buffer = match spare.pop() {
                Some(buffer) if left >= size => buffer,
                _ => {
                    made += 1;
                    let mut buffer = out.allocate(size);
                    buffer.extend_fill(size.min(left), 0x5A);
                    buffer
                }
            };
            if submitted == 0 {
                buffer[..header.len()].copy_from_slice(&header);
            }
            submitted += buffer.len() as u64;
            out.submit(buffer);
            continue;
        }
        let done = poll_fn(|context| out.poll_next_complete(context)).await;
        done.status?;
        if done.buffer.len() == size {
            spare.push(done.buffer);
        }
    }
    if total.is_multiple_of(out.max_packet_size() as u64) {
        out.submit(Buffer::new(0));
        poll_fn(|context| out.poll_next_complete(context)).await.status?;
    }
    answered(&mut back).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// Waits for the response, which has to be OK.
async fn answered(from: &mut nusb::Endpoint<Bulk, In>) -> Result<()> {
    loop {
        from.submit(Buffer::new(16 * 1024));
        let done = poll_fn(|context| from.poll_next_complete(context)).await;
        done.status?;
        if done.actual_len > 0 {
            let response = Response::decode(&done.buffer[..done.actual_len])?;
            if response.code != ResponseCode::OK {
                bail!("the device answered {}", response.code);
            }
            return Ok(());
        }
    }
}

fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| anyhow::anyhow!("`{text}` is no number: {error}"))
}

fn pair<'a>(text: &'a str, sign: char, example: &str) -> Result<(&'a str, &'a str)> {
    text.split_once(sign).with_context(|| format!("`{text}` should be like {example}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, ids, interface, steps @ ..] = &*arguments else {
        bail!("usage: mtp_host NODE VENDOR:PRODUCT INTERFACE STEP…");
    };
    let (vendor, product) = pair(ids, ':', "18d1:4ee1")?;
    let ids = (u16::from_str_radix(vendor, 16)?, u16::from_str_radix(product, 16)?);
    let (node, interface) = (Path::new(node), number(interface)?);
    let mut host = None;
    for step in steps {
        let (name, value) = step.split_once('=').unwrap_or((step, ""));
        if name == "bare" {
            drop(host.take());
            let (bytes, rest) = pair(value, '/', "bare=1000000/262144*4")?;
            let (size, depth) = pair(rest, '*', "bare=1000000/262144*4")?;
            let took = bare(node, interface, number(bytes)?, number(size)?, number(depth)?).await?;
            println!("{step} {took:.3}");
            continue;
        }
        let host = match &mut host {
            Some(host) => host,
            None => host.insert(Host::open(node, ids, interface).await?),
        };
        let began = Instant::now();
        let count = match name {
            "list" => host.list().await?,
            "get" => host.get().await?,
            "send" => {
                let (count, bytes) = pair(value, '*', "send=500*400000")?;
                host.send(number(count)?, number(bytes)?).await?
            }
            "delete" => {
                let folder = host.folder().await?.context("nothing was sent")?;
                host.initiator.delete_object(folder).await?;
                1
            }
            other => bail!("`{other}` is no step"),
        };
        println!("{step} {:.3} {count}", began.elapsed().as_secs_f64());
    }
    if let Some(mut host) = host {
        host.initiator.close_session().await?;
    }
    Ok(())
}
