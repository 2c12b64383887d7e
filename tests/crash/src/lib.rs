//! Kills and cuts at random instants. Here: randomness that can be repeated, a witness that counts what happens in a
//! folder without asking the daemon, and a daemon with a player and a library. It proves nothing by itself.

mod random;
mod stage;
mod witness;

pub use random::Random;
pub use stage::Stage;
pub use witness::{Seen, Witness};
