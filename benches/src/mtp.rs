//! An MTP player with many tracks: the first listing, folder by folder, and a run that finds nothing to do, in time and in
//! transactions. The player is simulated in this process, so that its own work is part of each time.

use crate::figures::{Table, begin_peak, median, peak_above, shown};
use players::shelf::Pool;
use players::stage::Stage;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandem_model::path::DevicePath;
use tandem_model::player::{Close, PlayerOpener};
use tandem_players::{Players, Simulated};

/// One that lists whole folders and has lasting ids, one that is listed as phones are, and one that knows no lists.
const PROFILES: [&str; 3] = ["classic", "phone", "classic-no-lists"];
const ROUNDS: usize = 5;
const PLAYLIST: &str = "Everything";
/// How long a player may take to be looked at.
const PATIENCE: Duration = Duration::from_secs(60);
/// An id that no object has: to find it, everything is listed.
const UNKNOWN: &str = "/puoid/fedcba9876543210fedcba9876543210";

/// What a session took of a simulated player.
#[derive(Clone, Copy, Default)]
struct Cost {
    transactions: u64,
    bytes: u64,
}

impl Cost {
    /// So far, over all sessions.
    fn of(simulated: &Simulated) -> Self {
        let player = simulated.player();
        Self { transactions: player.transactions(), bytes: player.told_bytes() }
    }

    fn since(self, before: Self) -> Self {
        Self { transactions: self.transactions - before.transactions, bytes: self.bytes - before.bytes }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transactions, {} KB", self.transactions, self.bytes / 1000)
    }
}

/// All profiles.
pub(crate) async fn measure(table: &mut Table, tracks: usize) {
    let pool = Pool::unchanging(tracks);
    for profile in PROFILES {
        println!("filling a simulated player: {profile}");
        of_profile(table, profile, &pool).await;
    }
}

async fn of_profile(table: &mut Table, profile: &str, pool: &Arc<Pool>) {
    let tracks = pool.count();
    let mut stage = Stage::start(profile, pool, tracks).await.expect("it is a profile of the project's own");
    stage.player().allow();
    stage.shelf.set_playlist(PLAYLIST, (0..tracks).collect());
    assert!(stage.plug(PATIENCE).await, "{profile} is initialised");
    stage.rest().await.expect("the engine comes to rest");
    stage.partner(&[PLAYLIST]).await.expect("it can be partnered");
    let there = stage.entries().len();
    assert!(there > tracks / 2, "{there} of {tracks} tracks are on {profile}: {:?}", stage.failures);
    let paths: Vec<DevicePath> = stage.entries().into_iter().map(|entry| entry.path).collect();
    let (mut listings, mut listed) = (Vec::new(), Cost::default());
    let (mut looks, mut looked) = (Vec::new(), Cost::default());
    for _ in 0..ROUNDS {
        let (taken, cost) = session(&stage.simulated, &[]).await;
        listings.push(taken);
        listed = cost;
        let (taken, cost) = session(&stage.simulated, &paths).await;
        looks.push(taken);
        looked = cost;
    }
    let (mut runs, mut ran) = (Vec::new(), Cost::default());
    let resident = begin_peak();
    for _ in 0..ROUNDS {
        let before = Cost::of(&stage.simulated);
        runs.push(stage.timed_sync().await.expect("a run comes to its end"));
        ran = Cost::of(&stage.simulated).since(before);
    }
    let peak = peak_above(resident);
    let listing = median(listings);
    table.alone(
        &format!("{profile}: first listing, {there} files"),
        &format!("{} by {listed}", shown(listing)),
        "",
    );
    for (what, taken, cost) in
        [("look at what is known", median(looks), looked), ("run with nothing to do", median(runs), ran)]
    {
        table.against(&format!("{profile}: {what}, {cost}"), taken, ("first listing", listing), 0.1);
    }
    table.alone(&format!("{profile}: resident memory that those runs add, peak"), &peak, "");
    stage.end().await.expect("the engine ends");
}

/// How long a session takes with opening and closing, and what it costs, in which these files are looked at; or
/// without any, in which all is listed that is in the folders that music and playlists go to, each folder by itself.
async fn session(simulated: &Arc<Simulated>, known: &[DevicePath]) -> (Duration, Cost) {
    let players = Players::new(None, Vec::new()).with_simulated(vec![Arc::clone(simulated)]);
    let before = Cost::of(simulated);
    let begun = Instant::now();
    let player = players.open(&simulated.arrival()).await.expect("it can be opened");
    if known.is_empty() {
        let found = player.storage().find(vec![UNKNOWN.to_owned()]).await;
        assert_eq!(found, Ok(vec![None]), "no object has that id");
    } else {
        let found = player.storage().facts(known.to_vec()).await.expect("it tells of its files");
        assert!(found.iter().all(Option::is_some), "all are there");
    }
    player.close(Close::Release).await.expect("it can be closed");
    (begun.elapsed(), Cost::of(simulated).since(before))
}
