//! Every operation of two runs, on the device and in the store, with each harm that can come to it; each is followed by a
//! run that nothing disturbs, and a look at everything. `TANDEM_STORES=real` has it on the real stores.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::{Event, Fault, Flavour, Harm, History, LibraryEdit, Stores, Unkept, UserEdit, When, played};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const HARMS: [(&str, Harm); 15] = [
    ("error", Harm::Error),
    ("full", Harm::Full),
    ("read-only", Harm::ReadOnly),
    ("short", Harm::Short),
    ("hang", Harm::Hang),
    ("unplug before", Harm::Unplug(When::Before)),
    ("unplug within", Harm::Unplug(When::Within)),
    ("unplug after", Harm::Unplug(When::After)),
    ("kill before", Harm::Kill(When::Before)),
    ("kill within", Harm::Kill(When::Within)),
    ("kill after", Harm::Kill(When::After)),
    ("cut, zeros", Harm::PowerCut(Unkept::Zeros)),
    ("cut, a part", Harm::PowerCut(Unkept::Part)),
    ("cut, empty", Harm::PowerCut(Unkept::Empty)),
    ("stop", Harm::Stop),
];

fn stores() -> Stores {
    match std::env::var("TANDEM_STORES").as_deref() {
        Ok("real") => Stores::Real,
        Ok(other) => panic!("TANDEM_STORES is `{other}`: it can only be `real`"),
        Err(_) => Stores::Memory,
    }
}

/// A partnership is made and a run fills the player; then much changes, and a second run follows.
fn reference(flavour: Flavour, first: Vec<Fault>, second: Vec<Fault>) -> History {
    let mut events: Vec<Event> = (0..9)
        .map(|number| {
            Event::Library(LibraryEdit::Add { playlist: number % 2, size: 300 + u16::from(number) * 150 })
        })
        .collect();
    let users = [UserEdit::Add { place: 0, size: 200 }, UserEdit::Add { place: 6, size: 200 }];
    events.extend(users.map(Event::User));
    events.push(Event::Run(first));
    let changes = [
        LibraryEdit::Delete(1),
        LibraryEdit::Retag { track: 2, longer: true },
        LibraryEdit::Retag { track: 3, longer: false },
        LibraryEdit::Reencode(6),
        LibraryEdit::Rename(4),
        LibraryEdit::Touch(5),
        LibraryEdit::RenamePlaylist(1),
        LibraryEdit::Add { playlist: 0, size: 700 },
        LibraryEdit::Add { playlist: 1, size: 40 },
    ];
    events.extend(changes.map(Event::Library));
    events.extend([UserEdit::Change(2), UserEdit::Move(0)].map(Event::User));
    events.push(Event::Run(second));
    History { flavour, clusters: 200, seed: 1, events }
}

/// How many operations the first and the second run have.
fn operations(flavour: Flavour) -> [u16; 2] {
    let outcome = played(&reference(flavour, Vec::new(), Vec::new()), stores());
    assert!(outcome.violations.is_empty(), "{flavour:?}: {:#?}", outcome.violations);
    let connections: Vec<usize> =
        outcome.names.split(|name| name.starts_with('\n')).map(<[&str]>::len).collect();
    [connections[1], connections[2]].map(|count| u16::try_from(count).unwrap())
}

struct Case {
    flavour: usize,
    harm: usize,
    history: History,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (flavour_number, flavour) in Flavour::ALL.into_iter().enumerate() {
        let counts = operations(flavour);
        for (harm_number, (_, harm)) in HARMS.iter().enumerate() {
            for (run, count) in counts.into_iter().enumerate() {
                for at in 0..count {
                    let fault = vec![Fault { at, harm: harm.clone() }];
                    let mut runs = [Vec::new(), Vec::new()];
                    runs[run] = fault;
                    let [first, second] = runs;
                    let history = reference(flavour, first, second);
                    cases.push(Case { flavour: flavour_number, harm: harm_number, history });
                }
            }
        }
    }
    cases
}

#[test]
fn every_harm_at_every_operation_ends_in_step() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let violations = played(&case.history, stores()).violations;
                    if !violations.is_empty() {
                        failed.lock().unwrap().push((case, violations));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{:>15} {:>8} {:>8} {:>8} {:>11}", "", "Exact", "Fat", "Mtp", "MtpInPlace");
    for (number, (name, _)) in HARMS.iter().enumerate() {
        let count =
            |flavour| cases.iter().filter(|case| (case.harm, case.flavour) == (number, flavour)).count();
        println!("{name:>15} {:>8} {:>8} {:>8} {:>11}", count(0), count(1), count(2), count(3));
    }
    println!("{} cases, {} violations", cases.len(), failed.len());
    for (case, violations) in failed.iter().take(20) {
        println!("{}\n    {}", serde_json::to_string(&case.history).unwrap(), violations.join("\n    "));
    }
    assert!(failed.is_empty(), "{} of {} cases failed", failed.len(), cases.len());
}
