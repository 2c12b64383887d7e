//! Tells a player what a track's tags say, in the properties that it lets be set: many players read no tags themselves.
//!
//! It must not fail a file that arrived: what the player doesn't take, it goes without.

use super::error::Fail;
use super::session::{Session, ask};
use tandem_model::player::Tags;
use tandem_mtp::codec::MAX_STRING_UNITS;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};

/// The properties that say what tags say.
const TELLING: [Property; 5] =
    [Property::NAME, Property::ARTIST, Property::ALBUM_NAME, Property::ALBUM_ARTIST, Property::DURATION];

/// As much of a text as the protocol can say.
fn sayable(text: &str) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= MAX_STRING_UNITS
    };
    text.chars().filter(|c| !c.is_control()).take_while(fits).collect()
}

/// What there is to tell with one property; `None` where that isn't known.
fn value(property: Property, tags: &Tags) -> Option<Value> {
    let text = match property {
        Property::NAME => &tags.title,
        Property::ARTIST => &tags.artist,
        Property::ALBUM_NAME => &tags.album,
        Property::ALBUM_ARTIST => &tags.album_artist,
        _ => {
            let duration = u32::try_from(tags.duration_ms).ok().filter(|duration| *duration > 0);
            return duration.map(Value::U32);
        }
    };
    let text = sayable(text);
    (!text.is_empty()).then(|| Value::from(text.as_str()))
}

impl Session {
    /// Sets what can be set of what is known.
    pub(super) async fn tell_tags(
        &mut self,
        object: ObjectHandle,
        format: FormatCode,
        tags: &Tags,
    ) -> Result<(), Fail> {
        if *tags == Tags::default() {
            return Ok(());
        }
        let settable = self.settable(format).await?;
        let element = |&property: &Property| {
            value(property, tags).map(|value| PropertyElement { object, property, value })
        };
        let elements: Vec<PropertyElement> = settable.iter().filter_map(element).collect();
        if elements.len() > 1 && self.initiator.supports(OperationCode::SET_OBJECT_PROP_LIST) {
            let set = ask!(self, "telling the tags", self.initiator.set_object_property_list(&elements));
            if self.unless_lost(set)?.is_some() {
                return Ok(());
            }
        }
        for PropertyElement { property, value, .. } in elements {
            let set =
                ask!(self, "telling a tag", self.initiator.set_object_property(object, property, &value));
            if self.unless_lost(set)?.is_none() {
                tracing::debug!("the device doesn't take {property} of a track");
            }
        }
        Ok(())
    }

    /// Which of these properties can be set of objects of a format, as the device describes them.
    async fn settable(&mut self, format: FormatCode) -> Result<Vec<Property>, Fail> {
        if let Some(known) = self.settable.get(&format) {
            return Ok(known.clone());
        }
        let listed = self.ability(format).await?;
        let mut settable = Vec::new();
        if self.initiator.supports(OperationCode::SET_OBJECT_PROP_VALUE) {
            for property in TELLING.into_iter().filter(|property| listed.properties.contains(property)) {
                let asked = ask!(
                    self,
                    "asking for a property",
                    self.initiator.object_property_description(property, format)
                );
                let description = self.unless_lost(asked)?;
                let fits = description.is_some_and(|known| {
                    let is_number = property == Property::DURATION;
                    let data_type = if is_number { DataType::UINT32 } else { DataType::STRING };
                    known.writable && known.data_type == data_type
                });
                if fits {
                    settable.push(property);
                }
            }
        }
        self.settable.insert(format, settable.clone());
        Ok(settable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_the_protocol_can_say() {
        assert_eq!(sayable("a\u{0}b\n"), "ab");
        assert_eq!(sayable(&"n".repeat(300)).len(), MAX_STRING_UNITS);
        // one character of two units that doesn't fit any more
        assert_eq!(
            sayable(&format!("{}\u{1d11e}", "n".repeat(MAX_STRING_UNITS - 1))).len(),
            MAX_STRING_UNITS - 1
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let tags = Tags { title: "T".into(), ..Tags::default() };
        let told: Vec<Property> =
            TELLING.into_iter().filter(|property| value(*property, &tags).is_some()).collect();
        assert_eq!(told, [Property::NAME]);
    }
}
