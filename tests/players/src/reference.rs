//! The reference synchronisation: partner, change, remove, each held against the player's objects, and each followed by a
//! run that has nothing to do.
//!
//! It must not excuse a player by its name: a refusal counts only where the profile's facts give its reason.

use crate::facts::{Facts, Playlists, Refusal};
use crate::shelf::{FIRST, OTHER_MUSIC, OTHER_TAGS, Pool};
use crate::stage::Stage;
use crate::witness::{Expectation, Tally, Thing, check, foreign_damage, resolves, seed, things};
use std::sync::Arc;
use std::time::Duration;

/// The playlists, by priority.
pub const PLAYLISTS: [&str; 3] = ["Morning", "Evening", "Both"];
/// How long a player may take to be looked at, by the runtime's clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs in which a player may still be filled up.
const MOST_FILLING: u32 = 60;

/// How a player fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as it should be.
    Passed {
        /// After the first run.
        tally: Tally,
        /// How it got its playlists.
        playlists: Playlists,
        /// Of the whole of it.
        transactions: u64,
    },
    /// It can't be synchronised, and its facts say why.
    Refused(Refusal),
    /// What is wrong, one a line.
    Failed(String),
}

/// The library's playlists before anything changes: most tracks are in two of them, and one is in a playlist twice.
pub fn set_playlists(stage: &Stage, tracks: usize) {
    let third = tracks / 3;
    stage.shelf.set_playlist(PLAYLISTS[0], (0..2 * third).collect());
    stage.shelf.set_playlist(PLAYLISTS[1], (third..tracks).rev().collect());
    stage.shelf.set_playlist(PLAYLISTS[2], (0..tracks).step_by(7).chain([0]).collect());
}

/// Tracks added, removed, changed and retagged, a playlist in another order, and another picture beside an album. The pool has a tenth more tracks than the library.
pub fn change_library(stage: &Stage, tracks: usize) {
    let few = (tracks / 20).max(1);
    for number in tracks..tracks + few {
        stage.shelf.add(number, FIRST);
    }
    for number in 0..few {
        stage.shelf.remove(number);
        stage.shelf.add(2 * few + number, OTHER_MUSIC);
        stage.shelf.add(3 * few + number, OTHER_TAGS);
    }
    let mut reordered = stage.shelf.items(PLAYLISTS[1]);
    reordered.rotate_left(few);
    reordered.extend(tracks..tracks + few);
    stage.shelf.set_playlist(PLAYLISTS[1], reordered);
    stage.shelf.set_cover(0, b"another one");
}

/// A stage with a player on which others have put their own.
pub struct Scene {
    /// The stage.
    pub stage: Stage,
    /// The player's facts.
    pub facts: Facts,
    /// What others have put there.
    pub foreign: Vec<Thing>,
}

impl Scene {
    /// Starts one, allowed to show its files.
    ///
    /// # Errors
    /// When the profile can't be used.
    pub async fn start(profile: &str, text: &str, pool: &Arc<Pool>, tracks: usize) -> Result<Self, String> {
        let facts = Facts::read(text)?;
        let stage = Stage::start(profile, pool, tracks).await?;
        stage.player().allow();
        seed(stage.player(), &stage.player().storages())?;
        let foreign = things(stage.player());
        Ok(Self { stage, facts, foreign })
    }

    /// Holds the player against the library as it is now.
    ///
    /// # Errors
    /// All that is wrong.
    pub async fn check(&self, playlists: &[&str]) -> Result<Tally, String> {
        let left_out = self.stage.left_out().await?;
        let left_out =
            left_out.into_iter().filter_map(|(media, error, _)| Some((media, error?.as_str().to_owned())));
        let (facts, foreign) = (&self.facts, &*self.foreign);
        let playlists = self.stage.shelf.wanted(playlists);
        let covers = self.stage.shelf.covers();
        let expected = Expectation { facts, foreign, playlists, covers, left_out: left_out.collect() };
        let tally = check(self.stage.player(), &expected, &self.stage.entries())?;
        resolves(self.stage.player(), &expected.playlists)?;
        Ok(tally)
    }

    /// Checks, then runs once more and sees that nothing was done. Where not everything fits, a run may find that more
    /// does than was reckoned, until it doesn't.
    async fn check_twice(&mut self, playlists: &[&str]) -> Result<Tally, String> {
        let mut tally = self.check(playlists).await?;
        for _ in 0..MOST_FILLING {
            let before = things(self.stage.player());
            self.stage.sync().await?;
            self.no_failure()?;
            let changes = self.stage.snapshot().map_or(0, |snapshot| snapshot.last_sync.change_count);
            if things(self.stage.player()) == before && changes == 0 {
                return Ok(tally);
            }
            if tally.no_fit == 0 {
                return Err(format!("a run with nothing to do changed {changes} files"));
            }
            tally = self.check(playlists).await?;
        }
        Err("the player fills and fills".to_owned())
    }

    fn no_failure(&mut self) -> Result<(), String> {
        if self.stage.failures.is_empty() { Ok(()) } else { Err(self.stage.failures.join("\n")) }
    }

    /// Nothing but what others put there.
    ///
    /// # Errors
    /// What else there is.
    pub fn check_empty(&self) -> Result<(), String> {
        let left = things(self.stage.player());
        if left == self.foreign {
            return Ok(());
        }
        let mut wrong = foreign_damage(self.stage.player(), &self.foreign);
        let more = left.iter().filter(|thing| !self.foreign.contains(thing));
        wrong.extend(more.map(|thing| format!("`{}` is left over", thing.path())));
        Err(wrong.join("\n"))
    }

    async fn synchronise(&mut self, tracks: usize) -> Result<Tally, String> {
        let at = |place: &'static str| move |error: String| format!("{place}: {error}");
        set_playlists(&self.stage, tracks);
        self.stage.partner(&PLAYLISTS).await.map_err(at("partnering"))?;
        self.no_failure().map_err(at("the first run"))?;
        let tally = self.check_twice(&PLAYLISTS).await.map_err(at("the first run"))?;
        change_library(&self.stage, tracks);
        self.stage.sync().await.map_err(at("the change"))?;
        self.no_failure().map_err(at("the change"))?;
        self.check_twice(&PLAYLISTS).await.map_err(at("the change"))?;
        self.unassign().await.map_err(at("without assignments"))?;
        for (name, priority) in PLAYLISTS.into_iter().zip(1..) {
            self.stage.assign(name, priority).await.map_err(at("assigned again"))?;
        }
        self.no_failure().map_err(at("assigned again"))?;
        self.check_twice(&PLAYLISTS).await.map_err(at("assigned again"))?;
        self.stage.part().await.map_err(at("parting"))?;
        self.no_failure().map_err(at("parting"))?;
        self.check_empty().map_err(at("parting"))?;
        Ok(tally)
    }

    /// One playlist after the other is assigned no longer, until nothing is.
    async fn unassign(&mut self) -> Result<(), String> {
        self.stage.assign(PLAYLISTS[2], 0).await?;
        self.no_failure()?;
        self.check(&PLAYLISTS[..2]).await?;
        self.stage.assign(PLAYLISTS[0], 0).await?;
        self.stage.forget_failures();
        self.stage.allow_mass_deletion().await?;
        self.stage.sync().await?;
        self.no_failure()?;
        self.check(&PLAYLISTS[1..2]).await?;
        self.stage.assign(PLAYLISTS[1], 0).await?;
        // the guard may have stopped that one, as it should
        self.stage.forget_failures();
        self.stage.allow_mass_deletion().await?;
        self.stage.sync().await?;
        self.no_failure()?;
        self.check_twice(&[]).await.map(drop)
    }

    /// What the engine says of a player that it can't open.
    async fn refused(&mut self, refusal: Refusal) -> Result<(), String> {
        let shown = self.stage.plug(PATIENCE).await;
        if refusal == Refusal::NoStorage {
            return if shown { Err("it was opened without a storage".to_owned()) } else { Ok(()) };
        }
        if !shown {
            return Err(format!("it should be refused, because {}, and is waited for", refusal.reason()));
        }
        self.stage.rest().await?;
        let told = self.stage.partner(&PLAYLISTS).await;
        let told = told.err().ok_or_else(|| format!("it was taken, though {}", refusal.reason()))?;
        if !told.contains(refusal.told()) {
            return Err(format!("it was refused with `{told}`, though {}", refusal.reason()));
        }
        self.check_empty()
    }
}

/// Synchronises a player of this profile, or sees that it is refused. `text` is the profile's JSON.
pub async fn reference(profile: &str, text: &str, pool: &Arc<Pool>, tracks: usize) -> Outcome {
    match tried(profile, text, pool, tracks).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    }
}

async fn tried(profile: &str, text: &str, pool: &Arc<Pool>, tracks: usize) -> Result<Outcome, String> {
    let mut scene = Scene::start(profile, text, pool, tracks).await?;
    if let Some(refusal) = scene.facts.refusal() {
        scene.refused(refusal).await?;
        scene.stage.end().await?;
        return Ok(Outcome::Refused(refusal));
    }
    if !scene.stage.plug(PATIENCE).await {
        return Err("it isn't initialised".to_owned());
    }
    scene.stage.rest().await?;
    scene.no_failure()?;
    let tally = scene.synchronise(tracks).await?;
    let (playlists, transactions) = (scene.facts.playlists(), scene.stage.player().transactions());
    scene.stage.end().await?;
    Ok(Outcome::Passed { tally, playlists, transactions })
}
