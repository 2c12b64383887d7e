//! Each fault, at transactions spread over a small synchronisation: `make test-players` has it strike at every one.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::runtime;
use players::shelf::Pool;
use players::sweep::with_fault;
use tandem_mtp::responder::{Fault, profile};

const TRACKS: usize = 4;
/// Between two transactions at which a fault strikes; the first one moves with the fault.
const STEP: u32 = 23;

fn sweep(name: &str) {
    let text = profile::OWN.iter().find(|(known, _)| *known == name).unwrap().1;
    let pool = Pool::new(TRACKS + 1);
    let clean = runtime().block_on(with_fault(name, text, &pool, TRACKS, None)).unwrap();
    let mut struck = 0;
    for (fault, first) in Fault::ALL.into_iter().zip(0..) {
        let mut at = first;
        while u64::from(at) < clean.transactions {
            let run = runtime().block_on(with_fault(name, text, &pool, TRACKS, Some((fault, at))));
            struck += usize::from(run.unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}")).struck);
            at += STEP;
        }
    }
    assert!(struck > 0, "no fault struck");
}

#[test]
fn a_classic_player() {
    sweep("classic");
}

#[test]
fn a_phone() {
    sweep("phone");
}

#[test]
fn a_player_with_albums_and_their_pictures() {
    sweep("art-and-albums");
}

#[test]
fn a_player_that_can_neither_rename_nor_list_folders() {
    sweep("minimal");
}
