//! The partnership's mark as `WMPInfo.xml` at the storage's root, for devices whose providers keep none.
//!
//! It must not lose another program's file: what can't be read gets another name before a new file takes its
//! place.

use super::fault::Fault;
use super::session::Session;
use super::tree::Known;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Mark, Source, Tags, WriteRequest};
use tandem_model::wmp_info::{self, LIMIT, MarkError};

const NAME: &str = "WMPInfo.xml";
/// How many damaged files are kept at most.
const MOST_DAMAGED: usize = 99;

/// The file as it is at the root, in whatever case.
struct MarkFile {
    path: DevicePath,
    known: Known,
    text: Result<String, MarkError>,
}

fn path(name: &str) -> Result<DevicePath, PlayerError> {
    DevicePath::parse(name).ok_or_else(|| PlayerError::NameRejected(name.to_owned()))
}

fn failed(error: &MarkError) -> PlayerError {
    PlayerError::Other(format!("{NAME}: {error}"))
}

impl Session {
    /// The mark; `None` when there is none that can be read.
    pub(super) async fn mark_in_file(&mut self) -> Result<Option<Mark>, PlayerError> {
        let Some(there) = self.mark_file().await? else { return Ok(None) };
        Ok(there.text.and_then(|text| wmp_info::parse(&text)).unwrap_or_else(|error| {
            tracing::warn!("{NAME} on the device holds no partnership: {error}");
            None
        }))
    }

    /// Puts the mark there, beside whatever else the file holds. A device that takes no such file is used
    /// without.
    pub(super) async fn set_mark_in_file(&mut self, mark: Mark) -> Result<(), PlayerError> {
        match self.write_mark_file(mark).await {
            Err(error) if !error.ends_run() => {
                tracing::info!(
                    "the device keeps no mark, and other computers can't see whose it is: {error}"
                );
                Ok(())
            }
            written => written,
        }
    }

    /// Takes the mark away: with its file where that holds nothing else, else only the partnership in it.
    pub(super) async fn remove_mark_in_file(&mut self, mark: Mark) -> Result<(), PlayerError> {
        let ended = Mark { relationship: tandem_model::id::Guid::ZERO, ..mark };
        let Some(MarkFile { path, known, text }) = self.mark_file().await? else { return Ok(()) };
        let alone = |mark| wmp_info::merge(None, mark).ok();
        let is_ours = text.is_ok_and(|text| [alone(mark), alone(ended)].contains(&Some(text)));
        if !is_ours {
            return self.write_mark_file(ended).await;
        }
        self.delete_known(&path, &known).await?;
        self.peer.flush().await
    }

    async fn write_mark_file(&mut self, mark: Mark) -> Result<(), PlayerError> {
        let mut there = self.mark_file().await?;
        let before = there.as_ref().and_then(|there| there.text.clone().ok());
        let merged = match &there {
            Some(MarkFile { text: Err(error), .. }) => Err(error.clone()),
            _ => wmp_info::merge(before.as_deref(), mark),
        };
        let text = match merged {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!("{NAME} on the device is set aside: {error}");
                if let Some(there) = there.take() {
                    self.set_aside(&there).await?;
                }
                wmp_info::merge(None, mark).map_err(|error| failed(&error))?
            }
        };
        if there.is_some() && before.as_ref() == Some(&text) {
            return Ok(());
        }
        // the device's own number is the same in every attempt, and so is what a cut has left
        let temporary = path(&format!("{:032x}.part", mark.device.0))?;
        let told = |fault: Fault| fault.told("looking for its mark", NAME);
        let remains = self.find(temporary.as_str()).await.map_err(told)?;
        if let Some(remains) = remains.filter(|remains| !remains.is_folder) {
            self.delete_known(&temporary, &remains).await?;
        }
        let bytes: Arc<[u8]> = wmp_info::encode(&text).into();
        let request = WriteRequest {
            path: there.as_ref().map_or_else(|| path(NAME), |there| Ok(there.path.clone()))?,
            temporary,
            expect: there.as_ref().map_or(Expect::Nothing, |there| Expect::This(there.known.facts)),
            size: bytes.len() as u64,
            modified_ns: 0,
            source: Source::Bytes(bytes),
            tags: Tags::default(),
            cover: None,
        };
        self.write(&request, &Arc::default()).await?;
        self.peer.flush().await
    }

    async fn mark_file(&mut self) -> Result<Option<MarkFile>, PlayerError> {
        let told = |fault: Fault| fault.told("looking for its mark", NAME);
        let root = self.children("").await.map_err(told)?;
        let Some((name, known)) = root.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME)) else {
            return Ok(None);
        };
        let path = path(&name)?;
        let text = if known.is_folder {
            Err(MarkError::Xml("it is a folder".to_owned()))
        } else if known.facts.size > LIMIT as u64 {
            Err(MarkError::TooLarge)
        } else {
            wmp_info::decode(&self.read(&path, LIMIT as u64).await?)
        };
        Ok(Some(MarkFile { path, known, text }))
    }

    async fn set_aside(&mut self, damaged: &MarkFile) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("setting a file aside", NAME);
        let Some(known) = self.as_listed(damaged.path.as_str(), &damaged.known).await? else { return Ok(()) };
        for number in 1..=MOST_DAMAGED {
            let aside =
                if number == 1 { format!("{NAME}.damaged") } else { format!("{NAME}.damaged.{number}") };
            if self.find(&aside).await.map_err(told)?.is_none() {
                self.tree.forget("");
                return match self.peer.rename(&known.object, &path(&aside)?).await? {
                    true => Ok(()),
                    false => Err(PlayerError::Unsupported(format!("renaming {NAME}"))),
                };
            }
        }
        Err(PlayerError::Exists(format!("{NAME}.damaged")))
    }
}
