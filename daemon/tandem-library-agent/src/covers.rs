//! Pictures of albums: found in a track's file or beside it, decoded and made small enough for a player.
//!
//! A picture may come from anywhere: its size is bounded before it is decoded, a panic of the decoder is caught, and only
//! what was encoded here goes out. One that can't be shown is none.

use crate::failure::Result;
use crate::files::{self, Place};
use crate::index::Index;
use crate::scan::tags;
use crate::scan::walk::Root;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use rustix::fs::{FileType, Stat};
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tandem_model::id::TrackId;
use tandem_model::library::{Cover, CoverLimits};
use xxhash_rust::xxh3::Xxh3;

/// Names of a picture beside an album's tracks, the one that counts first.
const BESIDE: [&str; 10] = [
    "cover.jpg",
    "Cover.jpg",
    "folder.jpg",
    "Folder.jpg",
    "front.jpg",
    "cover.jpeg",
    "folder.jpeg",
    "cover.png",
    "Cover.png",
    "folder.png",
];
/// Bytes of a picture that is decoded, at most.
const MOST_BYTES: u64 = 16 << 20;
/// Pixels of a side of one.
const MOST_PIXELS: u32 = 6000;
/// Bytes that its decoder may allocate.
const MOST_MEMORY: u64 = 128 << 20;
/// Tried one after the other until the result is small enough; then it gets fewer pixels.
const QUALITIES: [u8; 4] = [90, 80, 65, 50];
/// Pixels of a side below which nothing is to be seen.
const LEAST_PIXELS: u16 = 16;

/// The picture of the album that a track belongs to, within limits.
pub(crate) fn cover(index: &Index, track: TrackId, limits: CoverLimits) -> Result<Option<Cover>> {
    let place = files::place(index, track)?;
    let file = File::from(files::open_at(&place)?);
    let embedded = tags::picture(&file, place.name()).and_then(|bytes| shown(&bytes, limits));
    Ok(embedded.or_else(|| {
        let (_, file, stat) = beside(&place)?;
        let length = u64::try_from(stat.st_size).ok().filter(|length| *length <= MOST_BYTES)?;
        let mut bytes = Vec::new();
        File::from(file).take(length).read_to_end(&mut bytes).ok()?;
        shown(&bytes, limits)
    }))
}

/// A number that is another one when another picture lies beside a track; 0 where none does.
pub(crate) fn stamp(index: &Index, track: TrackId) -> u64 {
    let Some((name, _, stat)) = files::place(index, track).ok().and_then(|place| beside(&place)) else {
        return 0;
    };
    let mut hasher = Xxh3::new();
    hasher.update(name.as_bytes());
    for number in [stat.st_size, stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.digest().max(1)
}

/// The picture beside a track: which, open, and what the file system tells of it.
fn beside(place: &Place) -> Option<(&'static str, OwnedFd, Stat)> {
    let root = Root::open(&place.folder).ok()?;
    BESIDE.into_iter().find_map(|name| {
        let file = root.open_file(&place.relative.with_file_name(name)).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some((name, file, stat))
    })
}

/// A picture as a JPEG file within limits; nothing where that can't be.
fn shown(bytes: &[u8], limits: CoverLimits) -> Option<Cover> {
    // the decoder has no state that outlives the call
    catch_unwind(AssertUnwindSafe(|| encoded(decoded(bytes, limits)?, limits))).unwrap_or_else(|_| {
        tracing::warn!("the decoder of pictures failed on one; it is left out");
        None
    })
}

/// The picture, no larger than it may be, on white where it is transparent.
fn decoded(bytes: &[u8], limits: CoverLimits) -> Option<RgbImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png)) {
        return None;
    }
    let mut bounds = Limits::default();
    bounds.max_image_width = Some(MOST_PIXELS);
    bounds.max_image_height = Some(MOST_PIXELS);
    bounds.max_alloc = Some(MOST_MEMORY);
    reader.limits(bounds);
    let image =
        reader.decode().inspect_err(|error| tracing::debug!(%error, "a picture can't be shown")).ok()?;
    let (width, height) = (u32::from(limits.width), u32::from(limits.height));
    let image = if image.width() > width || image.height() > height {
        image.resize(width, height, FilterType::Triangle)
    } else {
        image
    };
    Some(if image.color().has_alpha() { on_white(&image) } else { image.into_rgb8() })
}

fn on_white(image: &DynamicImage) -> RgbImage {
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let blend = |color: u8| {
            let (color, alpha) = (u32::from(color), u32::from(alpha));
            u8::try_from((color * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([red, green, blue].map(blend))
    })
}

/// The picture as a baseline JPEG file, which old players can read, of no more bytes than allowed.
fn encoded(mut image: RgbImage, limits: CoverLimits) -> Option<Cover> {
    loop {
        let (width, height) = (u16::try_from(image.width()).ok()?, u16::try_from(image.height()).ok()?);
        for quality in QUALITIES {
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(&image).ok()?;
            if u32::try_from(jpeg.len()).is_ok_and(|bytes| bytes <= limits.bytes) {
                return Some(Cover { jpeg, width, height });
            }
        }
        if width.min(height) < 2 * LEAST_PIXELS {
            return None;
        }
        let (width, height) = (u32::from(width / 2), u32::from(height / 2));
        image = image::imageops::resize(&image, width, height, FilterType::Triangle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    const LIMITS: CoverLimits = CoverLimits { bytes: 20_000, width: 200, height: 160 };

    /// A picture in which no two neighbours are alike, so that it takes many bytes.
    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let pixel = |x: u32, y: u32| {
            let mixed = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761);
            Rgb(mixed.to_le_bytes()[..3].try_into().unwrap())
        };
        let image = DynamicImage::from(RgbImage::from_fn(width, height, pixel));
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    fn read(cover: &Cover) -> DynamicImage {
        image::load_from_memory_with_format(&cover.jpeg, ImageFormat::Jpeg).unwrap()
    }

    #[test]
    fn a_picture_is_made_to_fit_and_keeps_its_shape() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let cover = shown(&picture(800, 400, format), LIMITS).unwrap();
            let image = read(&cover);
            assert_eq!((image.width(), image.height()), (u32::from(cover.width), u32::from(cover.height)));
            assert!(cover.jpeg.len() <= 20_000 && cover.width <= 200 && cover.height <= 160);
            assert_eq!(cover.width, cover.height * 2);
        }
        let small = shown(&samples::png([10, 20, 30]), LIMITS).unwrap();
        assert_eq!((small.width, small.height), (8, 8), "it isn't blown up");
    }

    #[test]
    fn it_is_a_baseline_file() {
        let cover = shown(&picture(300, 300, ImageFormat::Jpeg), LIMITS).unwrap();
        let frame = |kind: u8| cover.jpeg.windows(2).any(|pair| pair == [0xFF, kind]);
        assert!(cover.jpeg.starts_with(&[0xFF, 0xD8, 0xFF]) && frame(0xC0) && !frame(0xC2));
    }

    #[test]
    fn what_is_transparent_is_shown_on_white() {
        let image = image::RgbaImage::from_pixel(32, 32, image::Rgba([0, 0, 0, 0]));
        let mut bytes = Vec::new();
        DynamicImage::from(image).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        let cover = shown(&bytes, LIMITS).unwrap();
        assert!(read(&cover).to_rgb8().pixels().all(|pixel| pixel.0.iter().all(|value| *value > 250)));
    }

    #[test]
    fn few_bytes_make_fewer_pixels_and_too_few_make_none() {
        let tight = CoverLimits { bytes: 1500, ..LIMITS };
        let cover = shown(&picture(400, 400, ImageFormat::Jpeg), tight).unwrap();
        assert!(cover.jpeg.len() <= 1500 && cover.width < 160);
        assert_eq!(shown(&picture(400, 400, ImageFormat::Jpeg), CoverLimits { bytes: 100, ..LIMITS }), None);
    }

    #[test]
    fn what_claims_to_be_huge_is_not_decoded() {
        let mut png = picture(4, 4, ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        assert_eq!(shown(&png, LIMITS), None);
        assert_eq!(shown(b"GIF89a\x01\0\x01\0", LIMITS), None);
        assert_eq!(shown(b"", LIMITS), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn damaged_pictures_are_shown_or_not(png: bool, at in 0usize..4000, bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut file = picture(40, 40, if png { ImageFormat::Png } else { ImageFormat::Jpeg });
            let at = at % file.len();
            let end = (at + bytes.len()).min(file.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
            if let Some(cover) = shown(&file, LIMITS) {
                prop_assert!(cover.jpeg.len() <= 20_000 && cover.width <= 200 && cover.height <= 160);
            }
            let _ = shown(&file[..at], LIMITS);
        }
    }
}
