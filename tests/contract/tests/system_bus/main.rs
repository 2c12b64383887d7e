//! Proves on a private system bus what users may not do to each other. Only root can become somebody else; for others there
//! is nothing to prove.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod privacy;
mod registration;
mod stage;
