//! A simulated MTP player, opened as the daemon opens one.

#![allow(unreachable_pub, dead_code, reason = "each suite uses its share of it")]
#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Player, PlayerOpener, Source, Tags, Transfer, WriteRequest, Written};
use tandem_players::mtp::Families;
use tandem_players::{Players, Simulated};

pub fn simulated(profile: &str) -> Arc<Simulated> {
    Arc::new(Simulated::new(profile, None).unwrap())
}

pub async fn open(simulated: &Arc<Simulated>) -> Result<Arc<dyn Player>, PlayerError> {
    let players = Players::new(None, Vec::new())
        .with_families(Families::load(&[]).unwrap())
        .with_simulated(vec![Arc::clone(simulated)]);
    players.open(&simulated.arrival()).await
}

pub fn path(text: &str) -> DevicePath {
    DevicePath::parse(text).unwrap()
}

pub async fn put(player: &dyn Player, at: &str, bytes: &[u8]) -> Result<Written, PlayerError> {
    let request = WriteRequest {
        path: path(at),
        temporary: path(".tandem/0123456789abcdef0123456789abcdef.part"),
        expect: Expect::Nothing,
        size: bytes.len() as u64,
        modified_ns: 0,
        source: Source::Bytes(bytes.into()),
        tags: Tags::default(),
        cover: None,
    };
    player.storage().write(request, &Arc::new(Transfer::default())).await
}
