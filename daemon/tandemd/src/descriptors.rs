//! How many files the daemon may have open: those of a group that is written and of one that is finished, for every player
//! that is filled at the same time. It must not change what the administrator has allowed at most.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for as many players as one library has partnerships.
const WANTED: u64 = 16_384;

/// Allows this process as many as it may allow itself. The system's daemon is told by its unit, which doesn't let it ask.
pub(crate) fn allow_enough() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| WANTED.min(maximum));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::warn!("no more than {} files can be open at once: {error}", current.unwrap_or_default());
    }
}
