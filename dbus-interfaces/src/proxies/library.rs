//! Proxy of `org.tandemd.Sync1.Library`, made from `org.tandemd.Sync1.Library.xml`.
//!
//! Never edited by hand: change the XML and run this crate's tests with `UPDATE_PROXIES=1`.

use zbus::proxy;

/// One user's media library, at `/org/tandemd/Sync1/libraries/u` and the user id. Only its owner and root may call it; to others every call and property answers `NotAuthorized`, and `GetAll` is `org.freedesktop.DBus.Error.AccessDenied`.
///
/// On the system bus its changes are announced to connections of the owner that have called the service, and a caller of `GetManagedObjects` sees the object without its properties. Changes of the properties are announced while a connection that has called a method of the library is on the bus; reading one always tells what is true then. WMP's counterpart is IWMPMediaCollection.
#[proxy(
    interface = "org.tandemd.Sync1.Library",
    default_service = "org.tandemd.Sync1",
    assume_defaults = true
)]
pub trait Library {
    /// Folders property
    ///
    /// The directories that the library holds, as absolute paths; set by `SetFolders`. Bytes that aren't UTF-8 are shown as U+FFFD.
    #[zbus(property)]
    fn folders(&self) -> zbus::Result<Vec<String>>;

    /// TrackCount property
    ///
    /// How many tracks it holds.
    #[zbus(property)]
    fn track_count(&self) -> zbus::Result<u32>;

    /// PlaylistCount property
    ///
    /// How many playlists it holds, those for synchronisation only among them.
    #[zbus(property)]
    fn playlist_count(&self) -> zbus::Result<u32>;

    /// Scanning property
    ///
    /// Whether a scan runs.
    #[zbus(property)]
    fn scanning(&self) -> zbus::Result<bool>;

    /// LastScanTime property
    ///
    /// When the last scan ended, seconds since 1970; 0: never.
    #[zbus(property)]
    fn last_scan_time(&self) -> zbus::Result<u64>;

    /// Trouble property
    ///
    /// Why the library looks wrong, in words for the user: a folder that is missing, empty, unreadable, not mounted or in a player, a scan that failed, a damaged file, a playlist file that can't be read. Empty: it doesn't. While it looks wrong, its tracks and that playlist's entries are kept as they were, and no run deletes anything from a device without `AllowMassDeletion`; for a playlist file, from a device that it is assigned to.
    #[zbus(property)]
    fn trouble(&self) -> zbus::Result<String>;

    /// SetFolders method
    ///
    /// Sets which directories the library holds, and scans them. At first it is the user's XDG music directory.
    ///
    /// # Arguments
    ///
    /// * `paths` - Absolute paths of directories that are no players and lie in none, else `InvalidArgument`.
    fn set_folders(&self, paths: &[&str]) -> zbus::Result<()>;

    /// Scan method
    ///
    /// Starts a scan; `Scanning` turns false at its end. Changes on disk are noticed without it too.
    fn scan(&self) -> zbus::Result<()>;

    /// GetPlaylists method
    ///
    /// All playlists, by name.
    ///
    /// # Arguments
    ///
    /// * `playlists` - Their objects.
    fn get_playlists(&self) -> zbus::Result<Vec<zbus::OwnedObjectPath>>;

    /// GetPlaylist method
    ///
    /// The playlist of a name; the first, if several share it. Fails with `NotFound`.
    ///
    /// # Arguments
    ///
    /// * `name` - Its name, exactly.
    /// * `playlist` - Its object.
    fn get_playlist(&self, name: &str) -> zbus::Result<zbus::OwnedObjectPath>;

    /// CreatePlaylist method
    ///
    /// Makes a static playlist. An item that isn't in the library yet must be a music file below one of its folders: a file that isn't there is `NotFound`; a directory, a symbolic link, a file of another kind or one elsewhere is `InvalidArgument`; no playlist is made then.
    ///
    /// # Arguments
    ///
    /// * `name` - Its name. Several playlists may share one.
    /// * `media` - URIs of its items, in order.
    /// * `playlist` - Its object.
    fn create_playlist(&self, name: &str, media: &[&str]) -> zbus::Result<zbus::OwnedObjectPath>;

    /// CreateAutoPlaylist method
    ///
    /// Makes an auto playlist: a rule that is asked anew each time.
    ///
    /// # Arguments
    ///
    /// * `name` - Its name.
    /// * `rule` - A rule such as `(genre == "Jazz")`, as tandem-rules(7) and `tandemctl help rules` describe them; `InvalidArgument` names the column of an error.
    /// * `playlist` - Its object.
    fn create_auto_playlist(&self, name: &str, rule: &str) -> zbus::Result<zbus::OwnedObjectPath>;

    /// ImportPlaylist method
    ///
    /// Makes a static playlist of an M3U, M3U8, PLS, XSPF or WPL file. Entries that name no media of the library are left out; `ImportPlaylistWithReport` tells which.
    ///
    /// # Arguments
    ///
    /// * `path` - The file's absolute path.
    /// * `playlist` - The playlist's object.
    fn import_playlist(&self, path: &str) -> zbus::Result<zbus::OwnedObjectPath>;

    /// ImportPlaylistWithReport method
    ///
    /// As `ImportPlaylist`, and tells which entries were left out.
    ///
    /// # Arguments
    ///
    /// * `path` - The file's absolute path.
    /// * `playlist` - The playlist's object.
    /// * `unresolved` - The entries that name no media of the library, as written in the file, in its order. What isn't UTF-8 is taken for Latin-1.
    fn import_playlist_with_report(&self, path: &str) -> zbus::Result<(zbus::OwnedObjectPath, Vec<String>)>;

    /// Search method
    ///
    /// Media that match a rule. While the library is scanned for the first time this waits for the end of that, but no longer than 20 seconds.
    ///
    /// # Arguments
    ///
    /// * `rule` - A rule as in `CreateAutoPlaylist`.
    /// * `media` - Their URIs.
    fn search(&self, rule: &str) -> zbus::Result<Vec<String>>;

    /// GetMediaInfo method
    ///
    /// A media file's attributes by WMP's names.
    ///
    /// # Arguments
    ///
    /// * `media` - Its URI.
    /// * `info` - Text as `s`: `Title`, `Author`, `WM/AlbumTitle`, `WM/AlbumArtist`, `WM/Genre`, `WM/Composer`, `WM/Publisher`, `WM/Year`, `Description`, `MediaType` (`audio`) and `SourceURL`, empty ones left out. Numbers as `t`: `WM/TrackNumber` and `WM/PartOfSet`, left out where they aren't known; `Duration` in milliseconds, `FileSize` in bytes, `Bitrate` in bits a second (a rule's `bitrate` is in kbit/s), `AcquisitionTime` and `UserLastPlayedTime` in seconds since 1970, the latter left out if never, `UserRating` (0 to 99) and `UserPlayCount`. `SyncState` as `u`: sixteen fields of two bits, device 1 lowest; high bit set: on the device; high bit clear and low bit set: it did not fit; both clear: not there for another reason.
    fn get_media_info(
        &self,
        media: &str,
    ) -> zbus::Result<std::collections::HashMap<String, zbus::OwnedVariant>>;

    /// SetMediaInfo method
    ///
    /// Sets one attribute in the library's index; the file stays as it is.
    ///
    /// # Arguments
    ///
    /// * `media` - The media's URI.
    /// * `name` - `UserRating` or `UserPlayCount`; others of `GetMediaInfo` are `ReadOnly`, and unknown ones `InvalidArgument`.
    /// * `value` - A whole number of any integer type, or a string of digits: `UserRating` 0 to 99, where WMP's stars are 1, 25, 50, 75 and 99 and 0 is not rated; `UserPlayCount` 0 to 4294967295. Else `InvalidArgument`.
    fn set_media_info(&self, media: &str, name: &str, value: &zbus::Variant<'_>) -> zbus::Result<()>;
}
