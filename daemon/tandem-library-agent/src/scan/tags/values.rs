//! What tags say, whatever their format: fields with their values, in the order of the file.

/// A field of a tag that the index keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Title,
    Artist,
    AlbumArtist,
    Album,
    Genre,
    Composer,
    Comment,
    Label,
    Date,
    /// The number of the track, perhaps with that of all tracks behind a slash.
    Track,
    /// The number of the disc, likewise.
    Disc,
}

/// The values of one tag, as they are in it.
pub(crate) type Values = Vec<(Field, String)>;
