//! One wire that two initiators use, one after the other.
//!
//! It must not change what goes over it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tandem_model::BoxFuture;
use tandem_mtp::transport::{Arrived, ClassRequest, Transport, TransportError};

#[derive(Clone)]
pub(crate) struct Shared {
    transport: Arc<Mutex<Box<dyn Transport>>>,
    space: Vec<u8>,
    arrived: Option<(Vec<u8>, bool)>,
}

impl Shared {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport: Arc::new(Mutex::new(transport)), space: vec![0; 512], arrived: None }
    }
}

impl Transport for Shared {
    fn max_packet_size(&self) -> usize {
        self.transport.lock().unwrap().max_packet_size()
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.transport.lock().unwrap().poll_out(context)
    }

    fn out_space(&mut self) -> &mut [u8] {
        &mut self.space
    }

    fn out_filled(&mut self, bytes: usize) {
        let mut transport = self.transport.lock().unwrap();
        transport.out_space()[..bytes].copy_from_slice(&self.space[..bytes]);
        transport.out_filled(bytes);
    }

    fn poll_out_end(&mut self, context: &mut Context<'_>, empty: bool) -> Poll<Result<(), TransportError>> {
        self.transport.lock().unwrap().poll_out_end(context, empty)
    }

    fn poll_out_abort(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.transport.lock().unwrap().poll_out_abort(context)
    }

    fn poll_in(&mut self, context: &mut Context<'_>, expected: u64) -> Poll<Result<(), TransportError>> {
        let mut transport = self.transport.lock().unwrap();
        let ready = transport.poll_in(context, expected);
        let arrived = transport.arrived();
        self.arrived = Some((arrived.bytes.to_vec(), arrived.ended));
        ready
    }

    fn arrived(&self) -> Arrived<'_> {
        let (bytes, ended) = self.arrived.as_ref().map_or((&[][..], false), |(bytes, ended)| (bytes, *ended));
        Arrived { bytes, ended }
    }

    fn consume(&mut self, bytes: usize) {
        let mut transport = self.transport.lock().unwrap();
        transport.consume(bytes);
        let arrived = transport.arrived();
        self.arrived = Some((arrived.bytes.to_vec(), arrived.ended));
    }

    fn poll_interrupt(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<Result<(), TransportError>> {
        self.transport.lock().unwrap().poll_interrupt(context, into)
    }

    fn class_request(&mut self, request: ClassRequest) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        Box::pin(std::future::poll_fn(move |context| {
            let mut transport = self.transport.lock().unwrap();
            let mut future = transport.class_request(request);
            future.as_mut().poll(context)
        }))
    }

    fn clear_halts(&mut self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(std::future::poll_fn(move |context| {
            let mut transport = self.transport.lock().unwrap();
            let mut future = transport.clear_halts();
            future.as_mut().poll(context)
        }))
    }
}
