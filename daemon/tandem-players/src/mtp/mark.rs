//! The partnership's mark on an MTP player: `WMPInfo.xml` at the storage's root, and the relationship in device property
//! 0xD401 (SynchronizationPartner), where the device has one and keeps what it is told.
//!
//! It must not lose another program's file: what can't be read gets another name before a new file takes its place.

use super::error::Fail;
use super::send::bytes_request;
use super::session::{Session, ask};
use super::tree::Known;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Mark, Transfer, WriteRequest};
use tandem_model::wmp_info::{self as mark, LIMIT, MarkError};
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{DataType, DevicePropertyCode, FormatCode, OperationCode};

const NAME: &str = "WMPInfo.xml";
/// How many damaged files are kept at most.
const MOST_DAMAGED: usize = 99;
const PARTNER: DevicePropertyCode = DevicePropertyCode::SYNCHRONIZATION_PARTNER;

fn path(name: &str) -> Result<DevicePath, Fail> {
    DevicePath::parse(name).ok_or_else(|| Fail::Player(PlayerError::NameRejected(name.to_owned())))
}

impl Session {
    /// The mark; `None` when there is none that can be read.
    pub(crate) async fn mark(&mut self) -> Result<Option<Mark>, Fail> {
        let (_, content) = self.mark_file().await?;
        match content {
            Some(Ok(text)) => match mark::parse(&text) {
                Ok(Some(mark)) => return Ok(Some(mark)),
                Ok(None) => {}
                Err(error) => tracing::warn!("{NAME} on the device holds no partnership: {error}"),
            },
            Some(Err(error)) => tracing::warn!("{NAME} on the device can't be read: {error}"),
            None => {}
        }
        let relationship = self.partner().await?.and_then(|text| Guid::parse(&text));
        let relationship = relationship.filter(|relationship| *relationship != Guid::ZERO);
        Ok(relationship.map(|relationship| Mark { device: Guid::ZERO, relationship }))
    }

    /// Puts the mark there, beside whatever else the file holds.
    pub(crate) async fn set_mark(&mut self, mark: Mark) -> Result<(), Fail> {
        let in_property = self.set_partner(mark.relationship).await?;
        if !self.formats().contains(&FormatCode::UNDEFINED) {
            if !in_property {
                tracing::info!("the device keeps no mark: other computers can't see whose it is");
            }
            return Ok(());
        }
        match self.write_mark_file(mark).await {
            Ok(()) => Ok(()),
            Err(Fail::Player(error @ (PlayerError::Removed | PlayerError::TimedOut(_)))) => Err(error.into()),
            Err(Fail::Player(error)) if in_property => {
                tracing::info!("the device takes no {NAME}, its property holds the mark: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn write_mark_file(&mut self, mark: Mark) -> Result<(), Fail> {
        let (mut there, content) = self.mark_file().await?;
        let failed = |error: MarkError| Fail::Player(PlayerError::Other(format!("{NAME}: {error}")));
        let merged = match &content {
            None => mark::merge(None, mark),
            Some(Ok(text)) => mark::merge(Some(text), mark),
            Some(Err(error)) => Err(MarkError::Xml(error.to_string())),
        };
        let text = match merged {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!("{NAME} on the device is set aside: {error}");
                if let Some((_, known)) = there.take() {
                    self.set_aside(known).await?;
                }
                mark::merge(None, mark).map_err(failed)?
            }
        };
        if content.is_some_and(|content| content.is_ok_and(|before| before == text)) {
            return Ok(());
        }
        let temporary = path(&format!("{NAME}.{:032x}.new", mark.device.0))?;
        // what a cut has left: the device's own number is the same in every attempt
        if let Some(remains) = self.find(temporary.as_str()).await?.filter(|remains| !remains.is_folder) {
            self.delete_known(&temporary, remains).await?;
        }
        let name = there.as_ref().map_or(NAME, |(name, _)| name.as_str());
        let expect = there.as_ref().map_or(Expect::Nothing, |(_, known)| Expect::This(known.facts));
        let request = bytes_request(path(name)?, temporary, mark::encode(&text), 0);
        self.write(&WriteRequest { expect, ..request }, &Transfer::default(), &mut Vec::new()).await.map(drop)
    }

    /// Takes the mark away: with its file where that holds nothing else, else only the partnership in it.
    pub(crate) async fn remove_mark(&mut self, mark: Mark) -> Result<(), Fail> {
        let ended = Mark { relationship: Guid::ZERO, ..mark };
        if self.partner().await?.and_then(|text| Guid::parse(&text)) == Some(mark.relationship) {
            self.set_partner(Guid::ZERO).await?;
        }
        let (there, content) = self.mark_file().await?;
        let Some((name, known)) = there else { return Ok(()) };
        let alone = |mark| mark::merge(None, mark).ok();
        let is_ours = content
            .and_then(Result::ok)
            .is_some_and(|text| [mark, ended].into_iter().any(|mark| alone(mark).as_ref() == Some(&text)));
        if is_ours {
            self.delete_known(&path(&name)?, known).await
        } else {
            self.write_mark_file(ended).await
        }
    }

    /// The file as it is at the root in whatever case, and its text.
    async fn mark_file(
        &mut self,
    ) -> Result<(Option<(String, Known)>, Option<Result<String, MarkError>>), Fail> {
        let root = self.children("").await?;
        let Some((name, known)) = root.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME)) else {
            return Ok((None, None));
        };
        let text = if known.is_folder {
            Err(MarkError::Xml("it is a folder".to_owned()))
        } else if known.facts.size > LIMIT as u64 {
            Err(MarkError::TooLarge)
        } else {
            mark::decode(&self.read(&path(&name)?, LIMIT as u64).await?)
        };
        Ok((Some((name, known)), Some(text)))
    }

    /// Whether the storage has such a file, whatever is in it.
    pub(crate) async fn has_mark_file(&mut self) -> Result<bool, Fail> {
        let root = self.children("").await?;
        Ok(root.iter().any(|(name, _)| name.eq_ignore_ascii_case(NAME)))
    }

    async fn set_aside(&mut self, known: Known) -> Result<(), Fail> {
        for number in 1..=MOST_DAMAGED {
            let aside =
                if number == 1 { format!("{NAME}.damaged") } else { format!("{NAME}.damaged.{number}") };
            if self.find(&aside).await?.is_none() {
                self.rename(known.handle, &aside).await?;
                self.tree.forget_folder("");
                return Ok(());
            }
        }
        Err(PlayerError::Exists(format!("{NAME}.damaged")).into())
    }

    fn has_partner(&self) -> bool {
        self.has_property(PARTNER)
    }

    /// Whether a device property is announced and can be asked for.
    pub(crate) fn has_property(&self, property: DevicePropertyCode) -> bool {
        let announced =
            self.initiator.device().is_some_and(|device| device.device_properties.contains(&property));
        announced && self.initiator.supports(OperationCode::GET_DEVICE_PROP_VALUE)
    }

    async fn partner(&mut self) -> Result<Option<String>, Fail> {
        if self.has_partner() { self.device_text(PARTNER).await } else { Ok(None) }
    }

    /// A device property that is a text; `None` where the device refuses it.
    pub(crate) async fn device_text(&mut self, property: DevicePropertyCode) -> Result<Option<String>, Fail> {
        let answer =
            ask!(self, "asking for a name", self.initiator.device_property(property, DataType::STRING));
        Ok(self.unless_lost(answer)?.and_then(|value| value.as_text().map(str::to_owned)))
    }

    /// Sets the partner; tells whether the device kept it.
    async fn set_partner(&mut self, relationship: Guid) -> Result<bool, Fail> {
        if !self.has_partner() || !self.initiator.supports(OperationCode::SET_DEVICE_PROP_VALUE) {
            return Ok(false);
        }
        let text = relationship.to_string();
        if self.partner().await?.as_ref() == Some(&text) {
            return Ok(true);
        }
        let value = Value::from(text.as_str());
        let set = ask!(self, "telling the partner", self.initiator.set_device_property(PARTNER, &value));
        // many devices answer OK and keep what they had
        Ok(self.unless_lost(set)?.is_some() && self.partner().await? == Some(text))
    }
}
