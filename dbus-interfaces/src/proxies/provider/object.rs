//! Proxy of `org.tandemd.Provider1.Object`, made from `org.tandemd.Provider1.Object.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// A file of an open device, beside `org.tandemd.Provider1.Storage` on the same object. WMDM's counterpart is IMDSPObject2. A folder that isn't a root storage has it too, so that it can be deleted, renamed and moved; its two transfers are `NotSupported`.
///
/// Descriptors are pipes, sockets or files, used from where they stand, in one direction, without seeking. They may block: they are read and written where that stops neither the bus nor another device. The provider closes them before it answers.
///
/// A transfer ends early when its other end is closed; that is how the daemon cancels. It must go on as long as the descriptor does: the daemon gives up a provider that neither reads nor writes for 30 seconds, or doesn't answer within 60 seconds of the end. Of two transfers of one file the second fails with `Busy`, and so do `Delete`, `Rename` and `Move` during one. Transfers of different files may run at the same time, and the next file is made before the one before it is answered for; where the device takes one at a time, those calls wait or fail with `Busy`, and the daemon then sends one after the other.
#[proxy(interface = "org.tandemd.Provider1.Object", assume_defaults = true)]
pub trait Object {
    /// WriteOnClearChannel method
    ///
    /// Replaces the file's bytes with what the descriptor gives, read to its end. It answers when the device has the bytes, so that a power cut doesn't lose them, and never before, unless the caller calls `Flush` for that: what the daemon tells its user rests on it. `NoSpace` when the device is full. `InvalidArgument` when the descriptor gave more or fewer than `size` bytes; never more than `size` are written. After an error the file may hold any part of what was given, and its `Size` says how much; the daemon then deletes it. The modification time that was set before is kept. IMDSPObject2::WriteOnClearChannel.
    ///
    /// # Arguments
    ///
    /// * `source` - Where the bytes come from.
    /// * `size` - How many bytes it gives.
    /// * `written` - How many bytes the device has: `size`.
    fn write_on_clear_channel(&self, source: zbus::Fd<'_>, size: u64) -> zbus::Result<u64>;

    /// ReadOnClearChannel method
    ///
    /// Writes bytes of the file to a descriptor, as they are on the device. `Failed` when the descriptor takes no more. IMDSPObject2::ReadOnClearChannel.
    ///
    /// # Arguments
    ///
    /// * `offset` - From this byte, counted from 0; at or after the end: none are read.
    /// * `size` - At most so many; fewer only at the end of the file.
    /// * `sink` - Where they go.
    /// * `read` - How many were written to it.
    fn read_on_clear_channel(&self, offset: u64, size: u64, sink: zbus::Fd<'_>) -> zbus::Result<u64>;

    /// Delete method
    ///
    /// Deletes the file or folder; its object is gone when the call has answered. Playlists that refer to it lose it. IMDSPObject::Delete.
    ///
    /// # Arguments
    ///
    /// * `recursive` - False: a folder that isn't empty is refused with `InvalidArgument`. True: with everything in it; after an error a part of that may be gone.
    fn delete(&self, recursive: bool) -> zbus::Result<()>;

    /// Rename method
    ///
    /// Gives it another name in its folder, in one step: at any instant it has the old name or the new one, with all its bytes. `Exists` when another storage has that name, which is never replaced; the same name is no error. `NotSupported` where the device can't. IMDSPObject::Rename.
    ///
    /// # Arguments
    ///
    /// * `name` - The new name.
    fn rename(&self, name: &str) -> zbus::Result<()>;

    /// Move method
    ///
    /// Moves it to another folder of the same root storage, with what is in it, under its name and in one step. `Exists` when the name is taken there, `InvalidArgument` when that is no folder or lies within what is moved, `NotSupported` where the device can't. IMDSPObject::Move.
    ///
    /// # Arguments
    ///
    /// * `folder` - The folder's object, or the root storage's.
    fn move_(&self, folder: &zbus::ObjectPath<'_>) -> zbus::Result<()>;
}
