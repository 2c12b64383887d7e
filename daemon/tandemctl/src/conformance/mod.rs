//! The conformance suite for service providers: calls a provider as the daemon would, holds the answers against
//! `org.tandemd.Provider1.*.xml`, and cleans up. It knows the contract and nothing of any provider's inside.

mod calls;
mod changed_items;
mod changes;
mod device;
mod folders;
mod metadata;
mod names;
mod references;
mod root;
mod session;
mod together;
mod transfers;
mod words;

pub(crate) use calls::{Fault, Provider};
pub(crate) use session::{Session, Target};

use dbus_interfaces::proxies::provider::StorageProxy;
use std::future::Future;
use std::pin::Pin;

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The provider does something else than the contract says.
    Wrong(String),
    /// The device doesn't have what is optional.
    NotOffered(String),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Wrong(fault.to_string())
    }
}

/// What a check comes to.
pub(crate) type Verdict = Result<(), Problem>;

/// A check's work; it may have to open the device anew.
type Work = for<'a> fn(&'a mut Session) -> Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// One thing that a provider has to do, or may.
pub(crate) struct Check {
    /// What it is, as a statement that should be true.
    pub(crate) name: &'static str,
    /// What to do when it isn't.
    pub(crate) remedy: &'static str,
    work: Work,
}

impl Check {
    pub(crate) async fn run(&self, session: &mut Session) -> Verdict {
        (self.work)(session).await
    }
}

/// A check from its name, its remedy and an `async fn(&mut Session) -> Verdict`.
macro_rules! check {
    ($name:literal, $remedy:literal, $work:path) => {
        $crate::conformance::Check { name: $name, remedy: $remedy, work: |session| Box::pin($work(session)) }
    };
}
use check;

/// All checks, in the order in which they run.
pub(crate) fn checks() -> Vec<Check> {
    let groups = [
        root::checks(),
        device::checks(),
        folders::checks(),
        names::checks(),
        transfers::checks(),
        changes::checks(),
        together::checks(),
        changed_items::checks(),
        metadata::checks(),
        references::checks(),
        root::last_checks(),
    ];
    groups.into_iter().flatten().collect()
}

/// Fails a check unless something holds.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Problem::Wrong(otherwise())) }
}

/// Fails a check unless a call was refused with one of these words.
fn refused<T>(what: &str, answer: Result<T, Fault>, words: &[&str]) -> Verdict {
    match answer {
        Ok(_) => Err(Problem::Wrong(format!("{what} succeeded; it must fail with {}", words.join(" or ")))),
        Err(fault) if words.contains(&fault.word.as_str()) => Ok(()),
        Err(fault) => {
            Err(Problem::Wrong(format!("{what} failed with {fault}; it must be {}", words.join(" or "))))
        }
    }
}

/// Whether an optional call is missing.
fn offered<T>(what: &str, answer: Result<T, Fault>) -> Result<T, Problem> {
    answer.map_err(|fault| match fault.word.as_str() {
        "NotSupported" => Problem::NotOffered(format!("{what}: {}", fault.message)),
        _ => fault.into(),
    })
}

/// The names in a folder, in the order of the provider.
async fn names_in(folder: &StorageProxy<'static>, provider: &Provider) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for path in provider.ask(folder.enum_storage(0, 0)).await? {
        let storage = provider.storage(&path).await?;
        names.push(provider.ask(storage.name()).await?);
    }
    Ok(names)
}
