//! Players that nobody has seen, made from the project's own profiles: each ends in step, or is refused for what its facts
//! say. `make test-players` takes more of them, also made from the profiles of real players.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::mutant::{self, stranger};
use players::reference::Outcome;
use players::runtime;
use players::shelf::Pool;
use tandem_mtp::responder::profile;

const SEEDS: std::ops::Range<u64> = 0..24;
/// Seeds whose players were not synchronised once: without an operation that all need, with junk in the headers of data,
/// and with property lists that leave out objects of some formats.
const KEPT: [u64; 8] = [30, 40, 45, 51, 60, 82, 87, 95];

#[test]
fn players_that_nobody_has_seen_end_in_step_or_are_refused() {
    // the seeds that were kept made their players from these
    let is_older = |(name, _): &&(&str, &str)| *name != "spl-playlists";
    let profiles: Vec<&str> = profile::OWN.iter().filter(is_older).map(|(_, text)| *text).collect();
    let pool = Pool::new(mutant::TRACKS + 1);
    let mut passed = 0;
    for seed in SEEDS.chain(KEPT) {
        let outcome = runtime().block_on(stranger(&profiles, seed, &pool));
        assert!(!matches!(outcome, Outcome::Failed(_)), "seed {seed}: {outcome:?}");
        passed += usize::from(matches!(outcome, Outcome::Passed { .. }));
    }
    assert!(passed > 20, "most can be synchronised: {passed}");
}
