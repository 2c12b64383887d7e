//! Has a player keep the date of a file's source where it lets that be set, and has not taken it from the announcement.
//!
//! It must not fail a file that arrived, nor go on with what the player has once not kept.

use super::error::Fail;
use super::session::{Session, ask};
use super::times;
use super::tree::Known;
use tandem_model::player::ObjectFacts;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, FormatCode, ObjectPropertyCode as Property, OperationCode};

const DATE: Property = Property::DATE_MODIFIED;

impl Session {
    /// Sets the date of a file that has just arrived, unless the device tells it already; as the device tells of it then.
    pub(super) async fn dated(
        &mut self,
        known: Known,
        format: FormatCode,
        modified_ns: i64,
    ) -> Result<Known, Fail> {
        let wanted = ObjectFacts { modified_ns, ..known.facts };
        let is_kept = |facts: ObjectFacts| facts.modified_ns != 0 && wanted.matches(&facts);
        // 0 is no date
        if modified_ns == 0 || is_kept(known.facts) || !self.can_set_dates(format).await? {
            return Ok(known);
        }
        let date = Value::from(times::to_text(modified_ns).as_str());
        let set = ask!(self, "telling a date", self.initiator.set_object_property(known.handle, DATE, &date));
        self.unless_lost(set)?;
        // what it answers is one thing, what it keeps another; and a change may be seen in more than the date
        let now = self.look(known.handle).await?.unwrap_or(known);
        if !is_kept(now.facts) {
            tracing::debug!("the device doesn't keep dates that it is told");
            self.keeps_dates.insert(format, false);
        }
        Ok(now)
    }

    async fn can_set_dates(&mut self, format: FormatCode) -> Result<bool, Fail> {
        if let Some(known) = self.keeps_dates.get(&format) {
            return Ok(*known);
        }
        let mut can = self.initiator.supports(OperationCode::SET_OBJECT_PROP_VALUE)
            && self.ability(format).await?.properties.contains(&DATE);
        if can {
            let asked =
                ask!(self, "asking for a property", self.initiator.object_property_description(DATE, format));
            let description = self.unless_lost(asked)?;
            can = description.is_some_and(|known| known.writable && known.data_type == DataType::STRING);
        }
        self.keeps_dates.insert(format, can);
        Ok(can)
    }
}
