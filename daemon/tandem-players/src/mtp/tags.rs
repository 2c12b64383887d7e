//! Tells a player what a track's tags say, in the properties that it lets be set: many players read no tags themselves.
//!
//! It must not fail a file that arrived: what the player doesn't take, it goes without.

use super::error::Fail;
use super::formats;
use super::session::{Session, ask};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{ObjectFacts, Tags};
use tandem_mtp::codec::MAX_STRING_UNITS;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode};

/// The properties that say what tags say.
const TELLING: [Property; 7] = [
    Property::NAME,
    Property::ARTIST,
    Property::ALBUM_NAME,
    Property::ALBUM_ARTIST,
    Property::GENRE,
    Property::TRACK,
    Property::DURATION,
];

/// Formats by one of which it is decided whether a player goes by what it is told, the most usual one first.
const CHANGEABLE_BY: [FormatCode; 3] = [FormatCode::MP3, FormatCode::WMA, FormatCode::AAC];

/// As much of a text as the protocol can say.
pub(super) fn sayable(text: &str) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= MAX_STRING_UNITS
    };
    text.chars().filter(|c| !c.is_control()).take_while(fits).collect()
}

fn text(property: Property, tags: &Tags) -> Option<&str> {
    match property {
        Property::NAME => Some(&tags.title),
        Property::ARTIST => Some(&tags.artist),
        Property::ALBUM_NAME => Some(&tags.album),
        Property::ALBUM_ARTIST => Some(&tags.album_artist),
        Property::GENRE => Some(&tags.genre),
        _ => None,
    }
}

/// How a property of [`TELLING`] is laid out.
fn data_type(property: Property) -> DataType {
    match property {
        Property::TRACK => DataType::UINT16,
        Property::DURATION => DataType::UINT32,
        _ => DataType::STRING,
    }
}

/// What a property is to be told; empty where that isn't known.
fn value(property: Property, tags: &Tags) -> Value {
    match (text(property, tags), property) {
        (Some(text), _) => Value::from(sayable(text).as_str()),
        (None, Property::TRACK) => Value::U16(u16::try_from(tags.track_number).unwrap_or(0)),
        (None, _) => Value::U32(u32::try_from(tags.duration_ms).unwrap_or(0)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        value => value.as_number() == Some(0),
    }
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
        let element =
            |&property: &Property| PropertyElement { object, property, value: value(property, tags) };
        let elements = settable.iter().map(element).filter(|element| !is_empty(&element.value)).collect();
        for property in self.tell(elements).await? {
            tracing::debug!("the device doesn't take {property} of a track");
        }
        Ok(())
    }

    /// Sets properties; those that the device doesn't take come back.
    async fn tell(&mut self, elements: Vec<PropertyElement>) -> Result<Vec<Property>, Fail> {
        let by_list = self.initiator.supports(OperationCode::SET_OBJECT_PROP_LIST);
        if elements.len() > 1 && by_list && !self.traits.no_set_property_list {
            let set = ask!(self, "telling the tags", self.initiator.set_object_property_list(&elements));
            if self.unless_lost(set)?.is_some() {
                return Ok(Vec::new());
            }
        }
        let mut refused = Vec::new();
        for PropertyElement { object, property, value } in elements {
            let set =
                ask!(self, "telling a tag", self.initiator.set_object_property(object, property, &value));
            if self.unless_lost(set)?.is_none() {
                refused.push(property);
            }
        }
        Ok(refused)
    }

    /// Whether the player keeps of music what its tags say, and takes changes of it.
    pub(super) async fn takes_tags(&mut self) -> Result<bool, Fail> {
        let listed = self.formats();
        let sound = CHANGEABLE_BY.into_iter().find(|format| listed.contains(format));
        let Some(sound) = sound.filter(|_| !self.traits.plays_more_than_listed) else { return Ok(false) };
        self.goes_by_tags(sound).await
    }

    /// Whether what a person sees of a track of this format can be set, and be read again.
    async fn goes_by_tags(&mut self, format: FormatCode) -> Result<bool, Fail> {
        let settable = self.settable(format).await?;
        let needed = [Property::NAME, Property::ARTIST, Property::ALBUM_NAME];
        Ok(needed.iter().all(|property| settable.contains(property))
            && self.initiator.supports(OperationCode::GET_OBJECT_PROP_VALUE))
    }

    /// Tells what the tags of a file that is there say now, and sees that the device has kept it.
    pub(super) async fn change_tags(&mut self, path: &DevicePath, tags: &Tags) -> Result<ObjectFacts, Fail> {
        let unsupported = || Fail::Player(PlayerError::Unsupported(path.as_str().to_owned()));
        let known = self.file(path).await?;
        let format = formats::of_file(path.name(), self.formats());
        if !self.goes_by_tags(format).await? {
            return Err(unsupported());
        }
        let object = known.handle;
        let element =
            |&property: &Property| PropertyElement { object, property, value: value(property, tags) };
        let elements: Vec<PropertyElement> = self.settable(format).await?.iter().map(element).collect();
        if !self.tell(elements.clone()).await?.is_empty() {
            return Err(unsupported());
        }
        // many devices answer OK and keep what they had
        for PropertyElement { property, value, .. } in elements {
            let told = ask!(
                self,
                "asking for a tag",
                self.initiator.object_property(object, property, value.data_type())
            );
            if self.unless_lost(told)?.as_ref() != Some(&value) {
                return Err(unsupported());
            }
        }
        let now = self.look(object).await?.ok_or_else(unsupported)?;
        self.tree.put(path.as_str(), now);
        Ok(now.facts)
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
                let fits =
                    description.is_some_and(|known| known.writable && known.data_type == data_type(property));
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
            TELLING.into_iter().filter(|property| !is_empty(&value(*property, &tags))).collect();
        assert_eq!(told, [Property::NAME]);
    }
}
