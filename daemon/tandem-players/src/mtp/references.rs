//! Objects without bytes that refer to others: playlists, and albums with what is told of them.
//!
//! It must not refer to what isn't there, nor fail an album for what the player doesn't take of it.

use super::announce::Announcement;
use super::error::Fail;
use super::formats::{self, ABSTRACT_ALBUM, ABSTRACT_PLAYLISTS};
use super::session::{Session, ask};
use super::source::Outgoing;
use super::tags::sayable;
use super::tree::Known;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, WriteRequest};
use tandem_mtp::codes::{FormatCode, ObjectHandle, OperationCode};
use tandem_mtp::initiator::Parent;

/// What refers to other objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referring {
    Playlist,
    Album,
}

impl Referring {
    /// What an object of this name is; `None` for a file.
    pub(super) fn of(path: &DevicePath) -> Option<Self> {
        match path.name().rsplit_once('.')?.1 {
            formats::REFERENCES => Some(Self::Playlist),
            formats::ALBUM => Some(Self::Album),
            _ => None,
        }
    }

    fn format(self, listed: &[FormatCode]) -> FormatCode {
        match self {
            Self::Playlist => {
                let format = ABSTRACT_PLAYLISTS.into_iter().find(|format| listed.contains(format));
                format.unwrap_or(FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST)
            }
            Self::Album => ABSTRACT_ALBUM,
        }
    }
}

impl Session {
    /// Whether the player keeps what an object refers to.
    pub(super) fn keeps_references(&self) -> bool {
        let needed = [OperationCode::GET_OBJECT_REFERENCES, OperationCode::SET_OBJECT_REFERENCES];
        needed.into_iter().all(|operation| self.initiator.supports(operation)) && !self.traits.no_references
    }

    /// An object that refers to the files that the request's text names. One that is there already refers to the new ones in
    /// one step.
    pub(super) async fn write_references(
        &mut self,
        request: &WriteRequest,
        kind: Referring,
        place: Parent,
        old: Option<Known>,
        mut source: Outgoing<'_>,
    ) -> Result<(Known, u128), Fail> {
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut source, &mut text)
            .await
            .map_err(|error| PlayerError::Source(error.to_string()))?;
        let mut tracks = Vec::new();
        for path in formats::playlist_items(&text, request.path.parent().as_ref()) {
            // it holds what is there
            if let Some(track) = self.find(path.as_str()).await? {
                tracks.push(track.handle);
            }
        }
        let session = self.number;
        let handle = match old {
            Some(old) => old.handle,
            None => self.announced_references(request, kind, place).await?,
        };
        match self.fill_references(request, kind, handle, &tracks).await {
            Ok((known, is_whole)) => {
                self.tree.put(request.path.as_str(), known);
                Ok((known, if is_whole { source.hash() } else { 0 }))
            }
            Err(error) => {
                if old.is_none() {
                    self.drop_remains(session, handle, request.path.as_str()).await?;
                }
                Err(error)
            }
        }
    }

    async fn announced_references(
        &mut self,
        request: &WriteRequest,
        kind: Referring,
        place: Parent,
    ) -> Result<ObjectHandle, Fail> {
        let name = request.path.name();
        let title = match kind {
            Referring::Album => sayable(&request.tags.title),
            Referring::Playlist => name.rsplit_once('.').map_or(name, |(title, _)| title).to_owned(),
        };
        let (format, title) = (kind.format(self.formats()), Some(&*title));
        let modified_ns = Some(request.modified_ns);
        let announcement = Announcement { place, format, name, title, size: 0, modified_ns };
        self.announced(&announcement, &request.path, request.path.as_str()).await
    }

    /// Has an object refer to these, and tells what is told of it; as the device tells of it then, and whether nothing is
    /// missing for want of space.
    async fn fill_references(
        &mut self,
        request: &WriteRequest,
        kind: Referring,
        handle: ObjectHandle,
        tracks: &[ObjectHandle],
    ) -> Result<(Known, bool), Fail> {
        let doing = "telling what belongs to a playlist or an album";
        ask!(self, doing, self.initiator.set_object_references(handle, tracks))?;
        let mut is_whole = true;
        if kind == Referring::Album {
            self.tell_tags(handle, ABSTRACT_ALBUM, &request.tags).await?;
            match &request.cover {
                Some(cover) => is_whole = self.tell_cover(handle, cover).await?,
                None if request.expect != Expect::Nothing => self.clear_cover(handle).await?,
                None => {}
            }
        }
        let known = self.look(handle).await?;
        let known = known.ok_or_else(|| PlayerError::VerifyFailed(request.path.as_str().to_owned()))?;
        Ok((known, is_whole))
    }

    /// Whether what is at a path refers to exactly these files.
    pub(super) async fn refers_to(&mut self, path: &DevicePath, files: &[DevicePath]) -> Result<bool, Fail> {
        if !self.keeps_references() {
            return Ok(false);
        }
        let Some(there) = self.find(path.as_str()).await?.filter(|there| !there.is_folder) else {
            return Ok(false);
        };
        let mut wanted = Vec::with_capacity(files.len());
        for file in files {
            match self.find(file.as_str()).await? {
                Some(known) => wanted.push(known.handle),
                None => return Ok(false),
            }
        }
        let asked = ask!(self, "asking for references", self.initiator.object_references(there.handle));
        Ok(self.unless_lost(asked)?.is_some_and(|found| found == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_others_is_told_from_files_by_its_ending() {
        let kind = |path| Referring::of(&DevicePath::parse(path).unwrap());
        assert_eq!(kind("Playlists/Morning.pla"), Some(Referring::Playlist));
        assert_eq!(kind("Albums/Ann - One.alb"), Some(Referring::Album));
        assert_eq!((kind("Music/alb"), kind("Music/a.mp3")), (None, None));
    }
}
