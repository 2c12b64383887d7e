//! Proxy of `org.tandemd.Sync1.Playlist`, made from `org.tandemd.Sync1.Playlist.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// One playlist, below its library's path. Only the library's owner and root may call it, as with the library itself. WMP's counterpart is IWMPPlaylist.
///
/// Positions count from 0.
#[proxy(
    interface = "org.tandemd.Sync1.Playlist",
    default_service = "org.tandemd.Sync1",
    assume_defaults = true
)]
pub trait Playlist {
    /// Name property
    ///
    /// As the user sees it; two playlists may share one. Setting it fails with `ReadOnly` on a playlist file. WMP's name.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn set_name(&self, value: &str) -> zbus::Result<()>;

    /// Kind property
    ///
    /// How it gets its items: `static`, `auto` or `file`.
    #[zbus(property)]
    fn kind(&self) -> zbus::Result<String>;

    /// Rule property
    ///
    /// The rule of an auto playlist, else empty.
    #[zbus(property)]
    fn rule(&self) -> zbus::Result<String>;

    /// Count property
    ///
    /// How many items it has now. WMP's count.
    #[zbus(property)]
    fn count(&self) -> zbus::Result<u32>;

    /// SyncPriorities property
    ///
    /// To which of the owner's partnerships it is assigned: partnership index to priority; lower goes first.
    #[zbus(property)]
    fn sync_priorities(&self) -> zbus::Result<std::collections::HashMap<u32, u32>>;

    /// SyncOnly property
    ///
    /// Whether it is for synchronisation only, and hidden from ordinary lists. WMP's attribute SyncOnly.
    #[zbus(property)]
    fn sync_only(&self) -> zbus::Result<bool>;

    /// GetItems method
    ///
    /// Media of the playlist. WMP's item.
    ///
    /// # Arguments
    ///
    /// * `first` - From this position.
    /// * `count` - So many; 0: to the end.
    /// * `media` - Their URIs.
    fn get_items(&self, first: u32, count: u32) -> zbus::Result<Vec<String>>;

    /// GetUnresolved method
    ///
    /// Which of its entries are no tracks of the library now, in their order: of a static playlist URIs of files that are gone, of a playlist file what is written there, of an auto playlist none. A run reports them as `source-missing`.
    ///
    /// # Arguments
    ///
    /// * `entries` - The entries.
    fn get_unresolved(&self) -> zbus::Result<Vec<String>>;

    /// Append method
    ///
    /// Adds items at the end; static playlists only. WMP's appendItem.
    ///
    /// # Arguments
    ///
    /// * `media` - URIs, in order.
    fn append(&self, media: &[&str]) -> zbus::Result<()>;

    /// Insert method
    ///
    /// Inserts items; static playlists only. WMP's insertItem.
    ///
    /// # Arguments
    ///
    /// * `index` - Before the item at this position; the count itself is the end.
    /// * `media` - URIs, in order.
    fn insert(&self, index: u32, media: &[&str]) -> zbus::Result<()>;

    /// Remove method
    ///
    /// Removes items; static playlists only. WMP's removeItem.
    ///
    /// # Arguments
    ///
    /// * `index` - From this position.
    /// * `count` - So many.
    fn remove(&self, index: u32, count: u32) -> zbus::Result<()>;

    /// Move method
    ///
    /// Moves one item; static playlists only. WMP's moveItem.
    ///
    /// # Arguments
    ///
    /// * `from` - Its position.
    /// * `to` - Its new position.
    fn move_(&self, from: u32, to: u32) -> zbus::Result<()>;

    /// Clear method
    ///
    /// Removes all items; static playlists only. WMP's clear.
    fn clear(&self) -> zbus::Result<()>;

    /// GetItemInfo method
    ///
    /// One of WMP's string-typed attributes. WMP's getItemInfo.
    ///
    /// # Arguments
    ///
    /// * `name` - `Name`, `SyncOnly`, or `Sync01` to `Sync16`.
    /// * `value` - `SyncOnly`: `True` or `False`. `SyncNN`: the priority for the partnership of that index in decimal; `0`: not synchronised.
    fn get_item_info(&self, name: &str) -> zbus::Result<String>;

    /// SetItemInfo method
    ///
    /// Sets one of WMP's attributes. `SyncNN` fails with `PartnershipNotExist` without a partnership of that index. WMP's setItemInfo.
    ///
    /// # Arguments
    ///
    /// * `name` - As in `GetItemInfo`.
    /// * `value` - `SyncNN`: the priority in decimal or as `0x` and hexadecimal, lower goes first; `0` ends the assignment.
    fn set_item_info(&self, name: &str, value: &str) -> zbus::Result<()>;

    /// Delete method
    ///
    /// Deletes a static or auto playlist, and its assignments. A playlist file is `ReadOnly`.
    fn delete(&self) -> zbus::Result<()>;
}
