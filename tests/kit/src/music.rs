//! A music library in a temporary directory, made of real files: tagged ones of any size, small ones from an encoder,
//! playlists, and whatever bytes a test wants. It names files by paths that need not be Unicode.

use crate::audio::{Tags, flac, mp3, wav};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A short tone from an encoder, tagged with "Asset Artist", "Asset Album" and "Asset EXTENSION".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// Ogg Vorbis, 4 KB.
    Ogg,
    /// Opus, 1 KB.
    Opus,
    /// AAC in MPEG-4, 2 KB.
    M4a,
}

impl Asset {
    /// The file's bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Ogg => include_bytes!("../assets/tone.ogg"),
            Self::Opus => include_bytes!("../assets/tone.opus"),
            Self::M4a => include_bytes!("../assets/tone.m4a"),
        }
    }
}

/// A library's directory, gone when the value is dropped.
#[derive(Debug)]
pub struct MusicLibrary {
    dir: TempDir,
}

/// The path of a track of [`MusicLibrary::with_tracks`] below the library's folder.
#[must_use]
pub fn track(number: usize) -> String {
    format!("Artist {:02}/Album {:02}/{number:05} Title.mp3", number / 100, number / 10)
}

/// The paths of such tracks.
#[must_use]
pub fn tracks(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(track).collect()
}

impl Default for MusicLibrary {
    fn default() -> Self {
        Self::new()
    }
}

impl MusicLibrary {
    /// An empty library.
    ///
    /// # Panics
    /// When the temporary directory can't be written.
    #[must_use]
    pub fn new() -> Self {
        Self { dir: TempDir::with_prefix("tandem-music-").expect("the temporary directory can be written") }
    }

    /// A library of `count` MP3 files of about `size` bytes, ten to an album: `Artist NN/Album NN/NNNNN Title.mp3`.
    #[must_use]
    pub fn with_tracks(count: usize, size: u64) -> Self {
        let library = Self::new();
        for number in 0..count {
            let (artist, album) =
                (format!("Artist {:02}", number / 100), format!("Album {:02}", number / 10));
            let title = format!("Title {number:05}");
            library.add(track(number), &artist, &album, &title, size.saturating_sub(1200));
        }
        library
    }

    /// A library of `count` FLAC files of exactly `size` bytes, most of them a hole, so that they take next to no space:
    /// `Artist/Album/NNNNN Title.flac`.
    ///
    /// # Panics
    /// When the temporary directory can't be written.
    #[must_use]
    pub fn with_large_tracks(count: usize, size: u64) -> Self {
        let library = Self::new();
        for number in 0..count {
            let path = format!("Artist/Album/{number:05} Title.flac");
            let path = library.add(path, "Artist", "Album", &format!("Title {number:05}"), 0);
            let file = std::fs::OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(size)).expect("the temporary directory can be written");
        }
        library
    }

    /// The library's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The absolute path of a file.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// A file's URI, as the contract writes it.
    #[must_use]
    pub fn uri(&self, relative: impl AsRef<Path>) -> String {
        file_uri(&self.path(relative))
    }

    /// Writes a tagged file (`mp3`, `flac` or `wav`, by its extension) with about `padding` bytes more than the
    /// smallest, and makes its folders. What is there is replaced, under a new inode. Returns its absolute path.
    ///
    /// # Panics
    /// For another extension: [`Self::add_asset`] and [`Self::add_bytes`] make such files.
    pub fn add(
        &self,
        relative: impl AsRef<Path>,
        artist: &str,
        album: &str,
        title: &str,
        padding: u64,
    ) -> PathBuf {
        let tags = Tags { artist, album, title };
        let extension =
            relative.as_ref().extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let bytes = match extension.as_deref() {
            Some("mp3") => mp3(&tags, padding),
            Some("flac") => flac(&tags, padding),
            Some("wav") => wav(&tags, padding),
            other => {
                panic!("{other:?}: only mp3, flac and wav are made with tags; use add_asset or add_bytes")
            }
        };
        self.add_bytes(relative, &bytes)
    }

    /// Writes an encoder's file.
    pub fn add_asset(&self, relative: impl AsRef<Path>, asset: Asset) -> PathBuf {
        self.add_bytes(relative, asset.bytes())
    }

    /// Writes any bytes, and makes the file's folders.
    pub fn add_bytes(&self, relative: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.path(relative);
        write_file(&path, bytes);
        path
    }

    /// Writes a playlist file with these lines.
    pub fn add_playlist(&self, relative: impl AsRef<Path>, lines: &[&str]) -> PathBuf {
        let mut text = String::from("#EXTM3U\n");
        for line in lines {
            writeln!(text, "{line}").expect("writing to a String can't fail");
        }
        self.add_bytes(relative, text.as_bytes())
    }

    /// Deletes a file.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn remove(&self, relative: impl AsRef<Path>) {
        let path = self.path(relative);
        std::fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Moves a file or folder, and makes the folders that it needs.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let (from, to) = (self.path(from), self.path(to));
        make_parent(&to);
        std::fs::rename(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// A path's `file://` URI: every byte that is neither unreserved nor `/` is percent-encoded.
fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            write!(uri, "%{byte:02X}").expect("writing to a String can't fail");
        }
    }
    uri
}

fn make_parent(path: &Path) {
    let parent = path.parent().expect("a file below a temporary directory has a parent");
    std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
}

/// Writes a whole new file and makes its folders; what is there is replaced in one step.
///
/// # Panics
/// When it can't be written.
pub fn write_file(path: &Path, bytes: &[u8]) {
    make_parent(path);
    let parent = path.parent().expect("a file below a temporary directory has a parent");
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".kit-").tempfile_in(parent)?;
        file.write_all(bytes)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode)?;
        file.persist(path)?;
        Ok(())
    };
    write().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_sets_the_size() {
        let library = MusicLibrary::new();
        for extension in ["mp3", "flac", "wav"] {
            let size = |padding| {
                let path = library.add(format!("Ann/Ä.{extension}"), "Ann", "Älbum", "Ä", padding);
                std::fs::metadata(path).unwrap().len()
            };
            assert_eq!(size(20_000_000) - size(100), 19_999_900 + if extension == "flac" { 4 } else { 0 });
        }
    }

    #[test]
    fn the_same_arguments_make_the_same_bytes() {
        let (one, two) = (MusicLibrary::with_tracks(25, 4000), MusicLibrary::with_tracks(25, 4000));
        assert_eq!(crate::tree(one.dir()), crate::tree(two.dir()));
        let mut sizes = crate::tree(one.dir()).into_values().collect::<Vec<_>>();
        sizes.dedup();
        assert_eq!(sizes.len(), 25, "no two tracks are equal");
    }

    #[test]
    fn a_decoder_takes_every_format_and_reads_its_tags() {
        let library = MusicLibrary::new();
        let mut files = vec![
            (library.add_asset("a.ogg", Asset::Ogg), "Asset ogg"),
            (library.add_asset("a.opus", Asset::Opus), "Asset opus"),
            (library.add_asset("a.m4a", Asset::M4a), "Asset m4a"),
        ];
        for extension in ["mp3", "flac", "wav"] {
            files.push((library.add(format!("a.{extension}"), "Zoë", "Album", "Tïtle", 70_000), "Tïtle"));
        }
        for (file, title) in files {
            let run = std::process::Command::new("ffprobe")
                .args([
                    "-v",
                    "error",
                    "-count_frames",
                    "-show_entries",
                    "stream=nb_read_frames:stream_tags=title",
                ])
                .args(["-show_entries", "format_tags=title"])
                .arg(&file)
                .output();
            let Ok(output) = run else {
                eprintln!("skipped: ffprobe isn't installed");
                return;
            };
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                text.contains(title) && text.contains("nb_read_frames"),
                "{}: {text}{errors}",
                file.display()
            );
            assert!(errors.is_empty(), "{}: {errors}", file.display());
        }
    }

    #[test]
    fn uris_keep_any_bytes() {
        let name = Path::new(std::ffi::OsStr::from_bytes(b"/a b/\xff%\n.mp3"));
        assert_eq!(file_uri(name), "file:///a%20b/%FF%25%0A.mp3");
    }
}
