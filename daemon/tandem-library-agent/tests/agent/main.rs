//! Proves that the agent as its own process, asked through the daemon's client, finds music, follows every change,
//! answers, and survives hostile files, its own death and a second client.

#![cfg(test)]

#[path = "../../src/samples.rs"]
mod samples;

mod kit;

mod files;
mod playlists;
mod process;
