//! Objects: listed, read, made, moved and deleted.
//!
//! It must not format a store, delete without a handle, or take a size from anywhere but the device and the caller.

use super::transaction::{Data, Expected};
use super::{Error, Initiator};
use crate::codec::Dataset;
use crate::codec::container::Parameters;
use crate::codec::object_info::ObjectInfo;
use crate::codec::property_list::{PropertyElement, PropertyList};
use crate::codes::{FormatCode, ObjectHandle, OperationCode, StorageId};
use tokio::io::{AsyncRead, AsyncWrite};

/// Where to list, or where to make something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// The storage's root.
    Root,
    /// A folder.
    Folder(ObjectHandle),
}

impl Parent {
    /// As listings and creations say it.
    const fn number(self) -> u32 {
        match self {
            Self::Root => ObjectHandle::ALL_ONES.0,
            Self::Folder(handle) => handle.0,
        }
    }

    /// As moves and copies say it.
    const fn destination(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Folder(handle) => handle.0,
        }
    }
}

/// Which objects to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFilter {
    /// On this storage, or on [`StorageId::ALL`].
    pub storage: StorageId,
    /// Of this format alone. Many devices refuse it.
    pub format: Option<FormatCode>,
    /// Right below this; `None` for every object of the storage.
    pub parent: Option<Parent>,
}

impl ObjectFilter {
    /// Everything right below a folder or the root.
    #[must_use]
    pub const fn children(storage: StorageId, parent: Parent) -> Self {
        Self { storage, format: None, parent: Some(parent) }
    }

    fn parameters(self) -> [u32; 3] {
        let format = self.format.map_or(0, |format| u32::from(format.0));
        [self.storage.0, format, self.parent.map_or(0, Parent::number)]
    }
}

/// An object that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Where the device put it.
    pub storage: StorageId,
    /// Below which folder; see [`ObjectHandle::is_root_of`].
    pub parent: ObjectHandle,
    /// Its handle.
    pub handle: ObjectHandle,
}

impl From<Parameters> for Created {
    fn from(parameters: Parameters) -> Self {
        Self {
            storage: StorageId(parameters.get(0)),
            parent: ObjectHandle(parameters.get(1)),
            handle: ObjectHandle(parameters.get(2)),
        }
    }
}

impl Initiator {
    /// How many objects there are; GetNumObjects.
    ///
    /// # Errors
    /// As for every operation: see [`Error::kind`].
    pub async fn object_count(&mut self, filter: ObjectFilter) -> Result<u32, Error> {
        let operation = OperationCode::GET_NUM_OBJECTS;
        Ok(self.transact(operation, &filter.parameters(), Data::None).await?.get(0))
    }

    /// Their handles; GetObjectHandles.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_handles(&mut self, filter: ObjectFilter) -> Result<Vec<ObjectHandle>, Error> {
        let operation = OperationCode::GET_OBJECT_HANDLES;
        let handles: Vec<u32> = self.dataset(operation, &filter.parameters()).await?;
        Ok(handles.into_iter().map(ObjectHandle).collect())
    }

    /// What PTP tells of an object; GetObjectInfo.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn object_info(&mut self, handle: ObjectHandle) -> Result<ObjectInfo, Error> {
        self.dataset(OperationCode::GET_OBJECT_INFO, &[handle.0]).await
    }

    /// Copies an object's bytes into `sink` and returns how many; GetObject. With `size` (from ObjectSize) anything else
    /// than so many is an error, and an object of 4 GiB and more is read even from a device that forgets how to end it.
    ///
    /// # Errors
    /// As for every operation; [`Error::Incomplete`] when bytes are missing.
    pub async fn get_object(
        &mut self,
        handle: ObjectHandle,
        size: Option<u64>,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<u64, Error> {
        let mut received = 0;
        let expected = size.map_or(Expected::Unknown, Expected::Exactly);
        let data = Data::Receive { sink, expected, received: &mut received };
        self.transact(OperationCode::GET_OBJECT, &[handle.0], data).await?;
        Ok(received)
    }

    /// Copies a part of an object into `sink` and returns how many bytes there were, fewer than `length` at the object's
    /// end; GetPartialObject64 where it is offered, else GetPartialObject.
    ///
    /// # Errors
    /// As for every operation; [`Error::NotOffered`] beyond 4 GiB where the device counts with 32 bits.
    pub async fn get_partial_object(
        &mut self,
        handle: ObjectHandle,
        offset: u64,
        length: u32,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<u64, Error> {
        let (low, high) = halves(offset);
        let wide = self.supports(OperationCode::GET_PARTIAL_OBJECT_64);
        let (operation, parameters) = match (wide, high) {
            (true, _) => (OperationCode::GET_PARTIAL_OBJECT_64, vec![handle.0, low, high, length]),
            (false, 0) => (OperationCode::GET_PARTIAL_OBJECT, vec![handle.0, low, length]),
            (false, _) => return Err(Error::NotOffered(OperationCode::GET_PARTIAL_OBJECT_64)),
        };
        let mut received = 0;
        let expected = Expected::AtMost(u64::from(length));
        let data = Data::Receive { sink, expected, received: &mut received };
        self.transact(operation, &parameters, data).await?;
        Ok(received)
    }

    /// Deletes an object; a folder with all that is in it; DeleteObject.
    ///
    /// # Errors
    /// As for every operation; a handle that means all objects is refused on this side.
    pub async fn delete_object(&mut self, handle: ObjectHandle) -> Result<(), Error> {
        let operation = OperationCode::DELETE_OBJECT;
        if handle == ObjectHandle::ALL_ONES || handle == ObjectHandle::ROOT {
            return Err(Error::NotOffered(operation));
        }
        self.transact(operation, &[handle.0, 0], Data::None).await.map(drop)
    }

    /// Announces an object, whose bytes [`Initiator::send_object`] then sends; SendObjectInfo. A folder, and whatever
    /// else has size 0, is complete with it.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn send_object_info(
        &mut self,
        storage: StorageId,
        parent: Parent,
        info: &ObjectInfo,
    ) -> Result<Created, Error> {
        let operation = OperationCode::SEND_OBJECT_INFO;
        let parameters = [storage.0, parent.number()];
        Ok(self.send_dataset(operation, &parameters, &info.encode()?).await?.into())
    }

    /// Announces an object together with its properties; SendObjectPropList. The elements' objects are 0; storage, parent,
    /// format and size are not among them. When the device refuses one, the fourth parameter of the refusal is its index.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn send_object_property_list(
        &mut self,
        storage: StorageId,
        parent: Parent,
        format: FormatCode,
        size: u64,
        elements: &[PropertyElement],
    ) -> Result<Created, Error> {
        let (low, high) = halves(size);
        let parameters = [storage.0, parent.number(), u32::from(format.0), high, low];
        let list = PropertyList(elements.to_vec()).encode()?;
        let operation = OperationCode::SEND_OBJECT_PROP_LIST;
        Ok(self.send_dataset(operation, &parameters, &list).await?.into())
    }

    /// Sends the bytes of the object announced last; SendObject. Dropped or failed, it leaves a part of the object or
    /// nothing: the handle of the announcement tells which, and is to be deleted.
    ///
    /// # Errors
    /// As for every operation; [`Error::SourceEnded`] when the source has fewer bytes than `size`.
    pub async fn send_object(
        &mut self,
        size: u64,
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), Error> {
        let data = Data::Send { source, size };
        self.transact(OperationCode::SEND_OBJECT, &[], data).await.map(drop)
    }

    /// Moves an object; MoveObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn move_object(
        &mut self,
        handle: ObjectHandle,
        storage: StorageId,
        parent: Parent,
    ) -> Result<(), Error> {
        let parameters = [handle.0, storage.0, parent.destination()];
        self.transact(OperationCode::MOVE_OBJECT, &parameters, Data::None).await.map(drop)
    }

    /// Copies an object and returns the copy; CopyObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn copy_object(
        &mut self,
        handle: ObjectHandle,
        storage: StorageId,
        parent: Parent,
    ) -> Result<ObjectHandle, Error> {
        let parameters = [handle.0, storage.0, parent.destination()];
        let answer = self.transact(OperationCode::COPY_OBJECT, &parameters, Data::None).await?;
        Ok(ObjectHandle(answer.get(0)))
    }

    /// Begins changing an object in place; Android's BeginEditObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn begin_edit(&mut self, handle: ObjectHandle) -> Result<(), Error> {
        self.transact(OperationCode::BEGIN_EDIT_OBJECT, &[handle.0], Data::None).await.map(drop)
    }

    /// Writes `size` bytes from `offset` on, between begin and end of editing; Android's SendPartialObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn send_partial_object(
        &mut self,
        handle: ObjectHandle,
        offset: u64,
        size: u32,
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), Error> {
        let (low, high) = halves(offset);
        let data = Data::Send { source, size: u64::from(size) };
        let parameters = [handle.0, low, high, size];
        self.transact(OperationCode::SEND_PARTIAL_OBJECT, &parameters, data).await.map(drop)
    }

    /// Cuts or extends an object, between begin and end of editing; Android's TruncateObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn truncate_object(&mut self, handle: ObjectHandle, size: u64) -> Result<(), Error> {
        let (low, high) = halves(size);
        let parameters = [handle.0, low, high];
        self.transact(OperationCode::TRUNCATE_OBJECT, &parameters, Data::None).await.map(drop)
    }

    /// Ends changing an object in place; Android's EndEditObject.
    ///
    /// # Errors
    /// As for every operation.
    pub async fn end_edit(&mut self, handle: ObjectHandle) -> Result<(), Error> {
        self.transact(OperationCode::END_EDIT_OBJECT, &[handle.0], Data::None).await.map(drop)
    }
}

/// Low and high 32 bits.
const fn halves(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}
