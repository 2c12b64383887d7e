//! Players that lie in a library's folder, mounted there or folders themselves, and those that one of its folders lies
//! in: what is on one came from a library, so it is no part of it. Else each run would find what the last one has copied,
//! and copy it again.
//!
//! It looks at no file; what is a player is told by the listing of its folder.

use super::super::walk::PLAYER_MARK;
use super::Pass;
use crate::failure::Result;
use crate::folders::player_above;
use std::path::Path;

/// What is told of a library's folder that lies in a player.
pub(in crate::scan) fn in_player(folder: &Path, player: &Path) -> String {
    format!(
        "the library's folder {} lies in the player {}, for that holds {PLAYER_MARK}; set the library's folders to ones \
         outside of it",
        folder.display(),
        player.display()
    )
}

impl Pass<'_> {
    /// Whether a folder lies on a player that this scan came by.
    pub(super) fn is_on_player(&self, path: &Path) -> bool {
        self.players.iter().any(|player| path != player && path.starts_with(player))
    }

    /// Whether a library's folder lies in a player; tells of one that does. It is not looked into, and kept as it was.
    pub(super) fn is_in_player(&mut self, folder: &Path) -> bool {
        let Some(player) = player_above(folder) else { return false };
        self.trouble(folder, &in_player(folder, &player));
        true
    }

    /// Takes a player, with all on it, out of the library. One of the library's own folders is kept as it was, and told
    /// of.
    pub(super) fn leave_out_player(&mut self, path: &Path, is_root: bool) -> Result<()> {
        self.players.push(path.to_owned());
        if is_root {
            let words = format!(
                "the library's folder {} is a player, for it holds {PLAYER_MARK}; set the library's folders without it",
                path.display()
            );
            self.trouble(path, &words);
            return Ok(());
        }
        // it is watched on, for it may be no player any more one day
        self.watcher.forget_below(path);
        self.take_out(path)
    }
}
