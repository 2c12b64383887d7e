//! Sessions and storages: what comes before any object.
//!
//! It must not open a session twice at once: a device has one.

use super::transaction::Data;
use super::{Error, ErrorKind, Initiator, Session};
use crate::codec::Dataset;
use crate::codec::device_info::DeviceInfo;
use crate::codec::storage_info::StorageInfo;
use crate::codes::{OperationCode, ResponseCode, StorageId};

/// Any number but 0 and 0xFFFFFFFF; there is one session on a wire.
const SESSION_ID: u32 = 1;

impl Initiator {
    /// Asks the device what it is; GetDeviceInfo. It needs no session.
    ///
    /// # Errors
    /// As for every operation: see [`Error::kind`].
    pub async fn get_device_info(&mut self) -> Result<DeviceInfo, Error> {
        self.repair().await?;
        let transaction = if self.has_session() { self.next_transaction()? } else { 0 };
        let operation = OperationCode::GET_DEVICE_INFO;
        let mut bytes = Vec::new();
        self.transact_as(operation, &[], Data::Collect(&mut bytes), transaction).await?;
        let info: DeviceInfo = decode(operation, &bytes)?;
        self.device = Some(info.clone());
        Ok(info)
    }

    /// Opens a session; OpenSession. One that somebody left open is closed first, so that transactions begin anew. A
    /// device that doesn't answer at once, or answers with what was left over in its pipes, is asked twice.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn open_session(&mut self) -> Result<(), Error> {
        if self.has_session() {
            self.session = Session::Closed;
        }
        match self.try_open_session().await {
            Err(error) if error.kind() == ErrorKind::Retryable => self.try_open_session().await,
            result => result,
        }
    }

    async fn try_open_session(&mut self) -> Result<(), Error> {
        match self.repair().await {
            Ok(()) | Err(Error::SessionLost) => {}
            Err(error) => return Err(error),
        }
        // the standard's text numbers this transaction 1; there are devices that take nothing but 0
        let operation = OperationCode::OPEN_SESSION;
        let opened = self.transact_as(operation, &[SESSION_ID], Data::None, 0).await;
        match opened {
            Ok(_) => {}
            Err(Error::Refused { code: ResponseCode::SESSION_ALREADY_OPEN, .. }) => {
                self.transact_as(OperationCode::CLOSE_SESSION, &[], Data::None, 1).await?;
                self.transact_as(operation, &[SESSION_ID], Data::None, 0).await?;
            }
            Err(error) => return Err(error),
        }
        self.session = Session::Open(1);
        Ok(())
    }

    /// Closes the session; CloseSession. Without one it does nothing.
    ///
    /// # Errors
    /// As for every operation; the session counts as closed all the same.
    pub async fn close_session(&mut self) -> Result<(), Error> {
        if !self.has_session() {
            return Ok(());
        }
        let closed = self.transact(OperationCode::CLOSE_SESSION, &[], Data::None).await;
        if self.has_session() {
            self.session = Session::Closed;
        }
        match closed {
            Ok(_) | Err(Error::SessionLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The storages; GetStorageIDs. None: a phone that is locked, or a player that is still starting.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn storage_ids(&mut self) -> Result<Vec<StorageId>, Error> {
        let ids: Vec<u32> = self.dataset(OperationCode::GET_STORAGE_IDS, &[]).await?;
        Ok(ids.into_iter().map(StorageId).collect())
    }

    /// A storage's kind and space; GetStorageInfo.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn storage_info(&mut self, storage: StorageId) -> Result<StorageInfo, Error> {
        self.dataset(OperationCode::GET_STORAGE_INFO, &[storage.0]).await
    }

    /// An operation that answers with a dataset.
    pub(super) async fn dataset<T: Dataset>(
        &mut self,
        operation: OperationCode,
        parameters: &[u32],
    ) -> Result<T, Error> {
        let mut bytes = Vec::new();
        self.transact(operation, parameters, Data::Collect(&mut bytes)).await?;
        decode(operation, &bytes)
    }

    /// An operation that sends a dataset.
    pub(super) async fn send_dataset(
        &mut self,
        operation: OperationCode,
        parameters: &[u32],
        bytes: &[u8],
    ) -> Result<crate::codec::container::Parameters, Error> {
        let size = bytes.len() as u64;
        let mut source = bytes;
        self.transact(operation, parameters, Data::Send { source: &mut source, size }).await
    }
}

fn decode<T: Dataset>(operation: OperationCode, bytes: &[u8]) -> Result<T, Error> {
    T::decode(bytes).map_err(|source| Error::Malformed { operation, source })
}
