//! A device that sends whatever it likes, in whatever packets: every call ends, nothing panics, and memory stays bounded.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

mod common;

use common::shared;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;
use tandem_model::BoxFuture;
use tandem_mtp::codec::container::{Command, Header, Kind, Parameters, Response};
use tandem_mtp::codes::{FormatCode, ObjectHandle, OperationCode as O, ResponseCode as R, StorageId};
use tandem_mtp::initiator::{ErrorKind, ObjectFilter, Options, Parent, PropertyQuery};
use tandem_mtp::transport::{Arrived, ClassRequest, Transport, TransportError};
use tandem_mtp::{Error, Initiator};
use tokio::time::timeout;

/// What one transfer of the device holds.
#[derive(Debug, Clone)]
enum Said {
    /// Bytes, and whether a short packet ends them.
    Bytes(Vec<u8>, bool),
    Stall,
    /// A response to the command before, with this code.
    Response(u16),
    /// Data for the command before: announced length, bytes.
    Data(u32, Vec<u8>),
}

/// Says the next thing after each command, and takes everything.
struct Script {
    says: VecDeque<Vec<Said>>,
    ready: VecDeque<Said>,
    arrived: Option<(Vec<u8>, bool)>,
    consumed: usize,
    out: Vec<u8>,
    filled: usize,
    command: Option<Command>,
}

impl Script {
    fn new(says: Vec<Vec<Said>>) -> Self {
        let (ready, arrived) = (VecDeque::new(), None);
        Self { says: says.into(), ready, arrived, consumed: 0, out: vec![0; 1024], filled: 0, command: None }
    }

    fn bytes(&self, said: Said) -> Option<(Vec<u8>, bool)> {
        let command =
            self.command.unwrap_or(Command { code: O(0), transaction: 0, parameters: Parameters::default() });
        let transaction = command.transaction;
        match said {
            Said::Bytes(bytes, ended) => Some((bytes, ended)),
            Said::Stall => None,
            Said::Response(code) => {
                let parameters = Parameters::default();
                Some((Response { code: R(code), transaction, parameters }.encode(), true))
            }
            Said::Data(length, payload) => {
                let header =
                    Header { length: length.max(12), kind: Kind::Data, code: command.code.0, transaction };
                Some(([&header.encode()[..], &payload].concat(), true))
            }
        }
    }
}

impl Transport for Script {
    fn max_packet_size(&self) -> usize {
        64
    }

    fn poll_out(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn out_space(&mut self) -> &mut [u8] {
        if self.filled == self.out.len() {
            self.filled = 0;
        }
        &mut self.out[self.filled..]
    }

    fn out_filled(&mut self, bytes: usize) {
        self.filled += bytes;
    }

    fn poll_out_end(&mut self, _: &mut Context<'_>, _: bool) -> Poll<Result<(), TransportError>> {
        if let Ok(command) = Command::decode(&self.out[..self.filled]) {
            self.command = Some(command);
            self.ready.extend(self.says.pop_front().unwrap_or_default());
        }
        self.filled = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_out_abort(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.filled = 0;
        Poll::Ready(())
    }

    fn poll_in(&mut self, _: &mut Context<'_>, _: u64) -> Poll<Result<(), TransportError>> {
        if self.arrived.is_none() {
            let Some(said) = self.ready.pop_front() else { return Poll::Pending };
            self.consumed = 0;
            self.arrived = self.bytes(said);
        }
        Poll::Ready(self.arrived.as_ref().map(|_| ()).ok_or(TransportError::Stalled))
    }

    fn arrived(&self) -> Arrived<'_> {
        let (bytes, ended) = self.arrived.as_ref().map_or((&[][..], false), |(bytes, ended)| (bytes, *ended));
        Arrived { bytes: &bytes[self.consumed.min(bytes.len())..], ended }
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed += bytes;
        if self.arrived.as_ref().is_some_and(|(arrived, _)| self.consumed >= arrived.len()) {
            self.arrived = None;
        }
    }

    fn poll_interrupt(&mut self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Poll<Result<(), TransportError>> {
        Poll::Pending
    }

    fn class_request(&mut self, request: ClassRequest) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        Box::pin(async move { Ok(vec![0; request.answer_bytes().min(2)]) })
    }

    fn clear_halts(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async { Ok(()) })
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        (vec(any::<u8>(), 0..80), any::<bool>()).prop_map(|(bytes, ended)| Said::Bytes(bytes, ended)),
        Just(Said::Stall),
        prop_oneof![Just(0x2001u16), any::<u16>()].prop_map(Said::Response),
        (any::<u32>(), vec(any::<u8>(), 0..80)).prop_map(|(length, bytes)| Said::Data(length, bytes)),
        vec(any::<u8>(), 0..80).prop_map(|bytes| Said::Data(bytes.len() as u32 + 12, bytes)),
    ]
}

/// Each call once; only whether it ends matters.
async fn calls(mtp: &mut Initiator) {
    let (handle, storage) = (ObjectHandle(5), StorageId(0x0001_0001));
    let _ = mtp.get_device_info().await;
    let _ = mtp.open_session().await;
    let _ = mtp.storage_ids().await;
    let _ = mtp.object_handles(ObjectFilter::children(storage, Parent::Root)).await;
    let _ = mtp.object_info(handle).await;
    let _ = mtp.object_property_list(PropertyQuery::children(handle)).await;
    let mut bytes = Vec::new();
    if let Ok(size) = mtp.get_object(handle, Some(50), &mut bytes).await {
        assert_eq!((size, bytes.len()), (50, 50));
    }
    let mut part = Vec::new();
    let _ = mtp.get_partial_object(handle, 0, 30, &mut part).await;
    assert!(part.len() <= 30);
    let _ = mtp.send_object(3_000, &mut &[7; 3_000][..]).await;
    let _ = mtp.device_property_description(tandem_mtp::codes::DevicePropertyCode::VOLUME).await;
    let _ = mtp.object_properties_supported(FormatCode::MP3).await;
    let _ = mtp.repair().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_device_says_every_call_ends(says in vec(vec(said(), 0..4), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut mtp = Initiator::new(Box::new(Script::new(says)), Options::default());
            let ended = timeout(Duration::from_secs(4_000), calls(&mut mtp)).await;
            assert!(ended.is_ok(), "a call hangs");
        });
    }
}

async fn answered(says: Vec<Said>) -> Result<Vec<StorageId>, Error> {
    let open = vec![Said::Response(R::OK.0)];
    let mut mtp = Initiator::new(Box::new(Script::new(vec![open, says])), Options::default());
    mtp.open_session().await.unwrap();
    mtp.storage_ids().await
}

fn ids() -> Vec<u8> {
    vec![1, 0, 0, 0, 1, 0, 1, 0]
}

#[tokio::test(start_paused = true)]
async fn answers_in_order_are_read() {
    let ok = || Said::Response(R::OK.0);
    let good = answered(vec![Said::Data(20, ids()), ok()]).await;
    assert_eq!(good.unwrap(), [StorageId(0x0001_0001)]);
    // late zero-length packets, and a byte where one should be
    let empty = || Said::Bytes(Vec::new(), true);
    let good =
        answered(vec![empty(), Said::Data(20, ids()), empty(), Said::Bytes(vec![9], true), ok()]).await;
    assert_eq!(good.unwrap(), [StorageId(0x0001_0001)]);
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_are_not_believed() {
    let ok = || Said::Response(R::OK.0);
    let cases = [
        (vec![ok()], "a response without data"),
        (vec![Said::Data(20, ids()), Said::Data(20, ids()), ok()], "data that nobody asked for"),
        (vec![Said::Data(2_000, ids()), ok()], "8 of 1988 bytes"),
        (vec![Said::Data(0x7000_0000, ids())], "33554432 are the most"),
        (vec![Said::Data(16, vec![200, 0, 0, 0]), ok()], "the bytes end at 4"),
        (vec![Said::Bytes(vec![0xFF; 64], true)], "no container"),
    ];
    for (says, expected) in cases {
        let error = answered(says.clone()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{says:?}: {error}");
    }
    let refused = answered(vec![Said::Response(R::STORE_NOT_AVAILABLE.0)]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Refused, Some(R::STORE_NOT_AVAILABLE)));
}

/// The daemon's tasks move between threads.
#[test]
fn calls_can_be_made_from_any_thread() {
    fn moves<T: Send>(_: T) {}
    let mut mtp = Initiator::new(Box::new(Script::new(Vec::new())), Options::default());
    moves(mtp.get_object(ObjectHandle(1), None, &mut tokio::io::sink()));
    moves(mtp.send_object(1, &mut tokio::io::empty()));
    moves(mtp.repair());
    moves(mtp.next_event());
    moves(mtp.set_object_references(ObjectHandle(1), &[]));
    moves(shared::Shared::new(Box::new(Script::new(Vec::new()))));
}
