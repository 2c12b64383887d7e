//! Kills and cuts at random instants.
