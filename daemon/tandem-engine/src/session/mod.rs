//! The session of one device: one task owns its state; everyone else holds a handle or reads its snapshot.

mod actor;
pub(crate) mod handle;
mod jobs;
mod look;
mod machine;
mod meter;
mod publisher;
mod requests;
mod retries;
mod run_job;
mod settings;
mod view;

pub(crate) use actor::{Context, spawn};
pub(crate) use run_job::assign_default_set;
pub(crate) use view::show_record;
