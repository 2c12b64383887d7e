//! What a player takes of albums: whether it has objects for them, and which pictures.
//!
//! It must not send a picture that the player's own description doesn't allow.

use super::error::Fail;
use super::formats::ABSTRACT_ALBUM;
use super::session::{Session, ask};
use tandem_model::error::PlayerError;
use tandem_model::library::{Cover, CoverLimits};
use tandem_model::path::DevicePath;
use tandem_model::player::AlbumStyle;
use tandem_mtp::codec::property::{Form, ObjectPropertyDescription};
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};

/// The most that is sent of a picture, whatever a player allows: many say any number and mean less, and every album has one.
const MOST: CoverLimits = CoverLimits { bytes: 64 * 1024, width: 320, height: 320 };
/// Pixels of a side, or bytes, below which a limit leaves nothing to be seen; 0 is said where no limit is meant.
const LEAST_PIXELS: u32 = 16;
const LEAST_BYTES: u32 = 2048;

/// What tells of a picture besides its bytes.
const TELLING: [Property; 4] = [
    Property::REPRESENTATIVE_SAMPLE_FORMAT,
    Property::REPRESENTATIVE_SAMPLE_SIZE,
    Property::REPRESENTATIVE_SAMPLE_HEIGHT,
    Property::REPRESENTATIVE_SAMPLE_WIDTH,
];

/// The largest number that a property takes, where that says something.
fn most(description: &ObjectPropertyDescription) -> Option<u32> {
    let number = match &description.form {
        Form::Range { maximum, .. } => maximum.as_number(),
        Form::ByteArray(bytes) => Some(i128::from(*bytes)),
        Form::Enumeration(values) => values.iter().filter_map(Value::as_number).max(),
        _ => None,
    };
    number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
}

/// What pictures may be at most, from the descriptions of what tells of them; `None` where none can be sent.
fn limits(data: &ObjectPropertyDescription, told: &[ObjectPropertyDescription]) -> Option<CoverLimits> {
    let jpeg = Value::U16(FormatCode::EXIF_JPEG.0);
    let of = |property| told.iter().find(|description| description.property == property);
    let takes_jpeg = of(Property::REPRESENTATIVE_SAMPLE_FORMAT).is_none_or(|known| known.form.allows(&jpeg));
    if !data.writable || data.data_type != DataType::AUINT8 || !takes_jpeg {
        return None;
    }
    let bytes = [Some(data), of(Property::REPRESENTATIVE_SAMPLE_SIZE)].into_iter().flatten().filter_map(most);
    let bytes = bytes.fold(MOST.bytes, u32::min);
    let pixels = |property, most_at_all: u16| {
        of(property)
            .and_then(most)
            .map_or(most_at_all, |most| u16::try_from(most).map_or(most_at_all, |most| most.min(most_at_all)))
    };
    let width = pixels(Property::REPRESENTATIVE_SAMPLE_WIDTH, MOST.width);
    let height = pixels(Property::REPRESENTATIVE_SAMPLE_HEIGHT, MOST.height);
    let is_seen = bytes >= LEAST_BYTES && u32::from(width.min(height)) >= LEAST_PIXELS;
    is_seen.then_some(CoverLimits { bytes, width, height })
}

impl Session {
    /// How albums are told to the player; `None` when it doesn't list them.
    pub(super) async fn album_style(
        &mut self,
        folder: Option<DevicePath>,
    ) -> Result<Option<AlbumStyle>, Fail> {
        if !self.formats().contains(&ABSTRACT_ALBUM) {
            return Ok(None);
        }
        let mut cover = None;
        let settable = self.initiator.supports(OperationCode::SET_OBJECT_PROP_VALUE);
        if let Some(data) = self.described(Property::REPRESENTATIVE_SAMPLE_DATA).await? {
            let mut told = Vec::new();
            for property in TELLING {
                told.extend(self.described(property).await?);
            }
            cover = limits(&data, &told).filter(|_| settable);
            let is_dimension = |property| {
                [Property::REPRESENTATIVE_SAMPLE_HEIGHT, Property::REPRESENTATIVE_SAMPLE_WIDTH]
                    .contains(&property)
            };
            let crashes = self.traits.no_cover_dimensions;
            told.retain(|known| known.writable && !(crashes && is_dimension(known.property)));
            self.told_of_covers = told;
        }
        Ok(Some(AlbumStyle { folder, cover }))
    }

    /// What the player says of a property of albums; `None` where they don't have it.
    async fn described(&mut self, property: Property) -> Result<Option<ObjectPropertyDescription>, Fail> {
        if !self.ability(ABSTRACT_ALBUM).await?.properties.contains(&property) {
            return Ok(None);
        }
        let asked = ask!(
            self,
            "asking for a property",
            self.initiator.object_property_description(property, ABSTRACT_ALBUM)
        );
        self.unless_lost(asked)
    }

    /// Gives an album its picture, and tells whether that is settled: one that the player refuses, the album goes without, but
    /// for one that only had no space.
    pub(super) async fn tell_cover(&mut self, album: ObjectHandle, cover: &Cover) -> Result<bool, Fail> {
        let data = Value::U8Array(cover.jpeg.clone());
        let property = Property::REPRESENTATIVE_SAMPLE_DATA;
        let set = ask!(self, "sending a cover", self.initiator.set_object_property(album, property, &data));
        let has_space = !matches!(set, Err(Fail::Player(PlayerError::Full)));
        if self.unless_lost(set)?.is_none() {
            tracing::debug!(has_space, "the device doesn't take the cover of an album");
            return Ok(has_space);
        }
        let number = |property| match property {
            Property::REPRESENTATIVE_SAMPLE_FORMAT => i128::from(FormatCode::EXIF_JPEG.0),
            Property::REPRESENTATIVE_SAMPLE_SIZE => cover.jpeg.len() as i128,
            Property::REPRESENTATIVE_SAMPLE_HEIGHT => i128::from(cover.height),
            _ => i128::from(cover.width),
        };
        for description in self.told_of_covers.clone() {
            let property = description.property;
            let value = Value::from_number(description.data_type, number(property));
            let Some(value) = value.filter(|value| description.form.allows(value)) else { continue };
            let told =
                ask!(self, "telling of a cover", self.initiator.set_object_property(album, property, &value));
            if self.unless_lost(told)?.is_none() {
                tracing::debug!("the device doesn't take {property} of a cover");
            }
        }
        Ok(true)
    }

    /// Takes away the picture that an album may have.
    pub(super) async fn clear_cover(&mut self, album: ObjectHandle) -> Result<(), Fail> {
        let property = Property::REPRESENTATIVE_SAMPLE_DATA;
        let settable = self.initiator.supports(OperationCode::SET_OBJECT_PROP_VALUE);
        if !settable || !self.ability(ABSTRACT_ALBUM).await?.properties.contains(&property) {
            return Ok(());
        }
        let nothing = Value::U8Array(Vec::new());
        let set =
            ask!(self, "removing a cover", self.initiator.set_object_property(album, property, &nothing));
        if self.unless_lost(set)?.is_none() {
            tracing::debug!("the device keeps the cover of an album");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(property: Property, data_type: DataType, form: Form) -> ObjectPropertyDescription {
        let default = Value::empty(data_type).unwrap();
        ObjectPropertyDescription { property, data_type, writable: true, default, group: 0, form }
    }

    fn data(form: Form) -> ObjectPropertyDescription {
        description(Property::REPRESENTATIVE_SAMPLE_DATA, DataType::AUINT8, form)
    }

    fn range(property: Property, maximum: u32) -> ObjectPropertyDescription {
        let (minimum, maximum, step) = (Value::U32(0), Value::U32(maximum), Value::U32(1));
        description(property, DataType::UINT32, Form::Range { minimum, maximum, step })
    }

    #[test]
    fn the_tightest_of_what_a_player_says_counts() {
        let size = range(Property::REPRESENTATIVE_SAMPLE_SIZE, 20_480);
        let width = range(Property::REPRESENTATIVE_SAMPLE_WIDTH, 176);
        let told = [size.clone(), width];
        let found = limits(&data(Form::ByteArray(u32::MAX)), &told).unwrap();
        assert_eq!(found, CoverLimits { bytes: 20_480, width: 176, height: MOST.height });
        assert_eq!(limits(&data(Form::ByteArray(4096)), &told).unwrap().bytes, 4096);
        let endless = [range(Property::REPRESENTATIVE_SAMPLE_HEIGHT, u32::MAX)];
        assert_eq!(limits(&data(Form::None), &endless), Some(MOST));
        let none_told = [range(Property::REPRESENTATIVE_SAMPLE_SIZE, 0)];
        assert_eq!(limits(&data(Form::None), &none_told), Some(MOST), "0 says nothing");
    }

    #[test]
    fn what_takes_no_picture_that_can_be_seen_gets_none() {
        let png = Form::Enumeration(vec![Value::U16(FormatCode::PNG.0)]);
        let png = description(Property::REPRESENTATIVE_SAMPLE_FORMAT, DataType::UINT16, png);
        assert_eq!(limits(&data(Form::None), &[png]), None);
        assert_eq!(limits(&data(Form::None), &[range(Property::REPRESENTATIVE_SAMPLE_WIDTH, 8)]), None);
        assert_eq!(limits(&data(Form::ByteArray(100)), &[]), None);
        assert_eq!(limits(&ObjectPropertyDescription { writable: false, ..data(Form::None) }, &[]), None);
        let text = ObjectPropertyDescription { data_type: DataType::STRING, ..data(Form::None) };
        assert_eq!(limits(&text, &[]), None);
    }
}
