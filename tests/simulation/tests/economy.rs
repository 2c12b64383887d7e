//! What costs no copying: each change alone, between two runs, with the writes of the second one counted.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use simulation::{Event, Fault, Flavour, Harm, History, LibraryEdit, Outcome, Stores, UserEdit, played};

/// Nine songs are put on a player; then this happens, and a run follows.
fn after(flavour: Flavour, change: Event) -> Outcome {
    let mut events: Vec<Event> =
        (0..9).map(|number| Event::Library(LibraryEdit::Add { playlist: number % 2, size: 700 })).collect();
    events.extend([Event::Run(Vec::new()), change, Event::Run(Vec::new())]);
    let outcome = played(&History { flavour, clusters: 300, seed: 1, events }, Stores::Memory);
    assert!(outcome.violations.is_empty(), "{flavour:?}: {:#?}", outcome.violations);
    outcome
}

/// How often this was done in the run after the change.
fn count(outcome: &Outcome, operation: &str) -> usize {
    let connections: Vec<&[&str]> = outcome.names.split(|name| name.starts_with('\n')).collect();
    connections[2].iter().filter(|name| **name == operation).count()
}

/// How many operations this connection had; the first is the one with the number 1.
fn length(outcome: &Outcome, connection: usize) -> u16 {
    let connections: Vec<&[&str]> = outcome.names.split(|name| name.starts_with('\n')).collect();
    u16::try_from(connections[connection].len()).unwrap()
}

#[test]
fn what_has_the_same_bytes_is_not_copied_again() {
    for flavour in Flavour::ALL {
        let changes = [
            LibraryEdit::NewDisk,
            LibraryEdit::TouchAll,
            LibraryEdit::Touch(3),
            LibraryEdit::Rename(3),
            LibraryEdit::MoveAlbum(3),
        ];
        for change in changes {
            let outcome = after(flavour, Event::Library(change.clone()));
            // a song's place on the player stays, and so do the lists
            assert_eq!(count(&outcome, "write"), 0, "{flavour:?} {change:?}");
        }
    }
}

#[test]
fn what_lies_on_a_full_player_already_is_not_copied_beside_itself() {
    for flavour in [Flavour::Exact, Flavour::Fat] {
        let add = |number: u8| Event::Library(LibraryEdit::Add { playlist: number % 2, size: 700 });
        let mut events: Vec<Event> = (0..9).map(add).collect();
        events.extend((0..9).map(|song| Event::User(UserEdit::Copy(song))));
        events.push(Event::Run(Vec::new()));
        // the songs, and room for a few of them beside
        let outcome = played(&History { flavour, clusters: 26, seed: 1, events }, Stores::Memory);
        assert!(outcome.violations.is_empty(), "{flavour:?}: {:#?}", outcome.violations);
        let run = outcome.names.split(|name| name.starts_with('\n')).nth(1).unwrap();
        let written = run.iter().filter(|name| ["write", "send"].contains(name)).count();
        assert_eq!(written, 2, "only the playlists are written: {run:?}");
    }
}

#[test]
fn new_tags_are_told_where_that_is_enough_and_other_music_is_copied() {
    for flavour in Flavour::ALL {
        for longer in [false, true] {
            let outcome = after(flavour, Event::Library(LibraryEdit::Retag { track: 3, longer }));
            let told = usize::from(flavour == Flavour::Mtp);
            assert_eq!(count(&outcome, "update-metadata"), told, "{flavour:?}");
            // the list names the new title
            assert_eq!(count(&outcome, "write"), 2 - told, "{flavour:?}");
        }
        let outcome = after(flavour, Event::Library(LibraryEdit::Reencode(3)));
        assert_eq!((count(&outcome, "update-metadata"), count(&outcome, "write")), (0, 1), "{flavour:?}");
    }
}

#[test]
fn what_the_user_moved_on_the_player_is_found_by_its_lasting_id() {
    for flavour in Flavour::ALL {
        let outcome = after(flavour, Event::User(UserEdit::Move(3)));
        let is_found = matches!(flavour, Flavour::Mtp | Flavour::MtpInPlace);
        assert_eq!(outcome.skipped, usize::from(!is_found), "{flavour:?}");
    }
}

/// Three songs are on a player that is read back; then three more come and one holds other music, with this harm.
fn read_back(flavour: Flavour, faults: Vec<Fault>) -> Outcome {
    let add = |number: u8| Event::Library(LibraryEdit::Add { playlist: number % 2, size: 700 });
    let mut events: Vec<Event> = (0..3).map(add).collect();
    events.extend([Event::Run(Vec::new()), Event::Verify(true)]);
    events.extend((0..3).map(add));
    events.extend([Event::Library(LibraryEdit::Reencode(0)), Event::Run(faults)]);
    let outcome = played(&History { flavour, clusters: 300, seed: 1, events }, Stores::Memory);
    assert!(outcome.violations.is_empty(), "{flavour:?}: {:#?}", outcome.violations);
    outcome
}

#[test]
fn what_is_kept_as_something_else_is_sent_once_more() {
    for flavour in Flavour::ALL {
        let usual = read_back(flavour, Vec::new());
        let writes = count(&usual, "write");
        let once_more = |at| {
            let outcome = read_back(flavour, vec![Fault { at, harm: Harm::Lie }]);
            assert!(count(&outcome, "write") <= writes + 1, "{flavour:?} at {at}");
            count(&outcome, "write") - writes
        };
        assert_eq!(
            (0..90).map(once_more).sum::<usize>(),
            writes,
            "{flavour:?}: each write was done once more"
        );
        assert!(count(&usual, "hash") >= writes, "{flavour:?}: each file was read back");
    }
}

/// Where a file that is read back is another one by now, it is the user's, whenever he has put it there.
#[test]
fn what_the_user_changes_while_it_is_read_back_stays_his() {
    for flavour in Flavour::ALL {
        for at in 0..length(&read_back(flavour, Vec::new()), 2) {
            for number in [0, 3] {
                read_back(flavour, vec![Fault { at, harm: Harm::User(UserEdit::Change(number)) }]);
            }
        }
    }
}

#[test]
fn what_was_finished_when_a_run_is_stopped_is_not_looked_at_again() {
    for flavour in Flavour::ALL {
        let run = |faults: Vec<Fault>| {
            let add = |number: u8| Event::Library(LibraryEdit::Add { playlist: number % 2, size: 700 });
            let mut events: Vec<Event> = (0..20).map(add).collect();
            events.extend([Event::Run(faults), Event::Run(Vec::new())]);
            let outcome = played(&History { flavour, clusters: 900, seed: 1, events }, Stores::Memory);
            assert!(outcome.violations.is_empty(), "{flavour:?}: {:#?}", outcome.violations);
            outcome
        };
        for at in 0..length(&run(Vec::new()), 1) {
            let stopped = run(vec![Fault { at, harm: Harm::Stop }]);
            assert_eq!(count(&stopped, "hash"), 0, "{flavour:?} at {at}");
        }
    }
}

#[test]
fn a_file_system_that_turns_read_only_costs_no_run() {
    let run = |faults| {
        let mut events: Vec<Event> =
            (0..4).map(|_| Event::Library(LibraryEdit::Add { playlist: 0, size: 700 })).collect();
        events.push(Event::Run(faults));
        let outcome =
            played(&History { flavour: Flavour::Fat, clusters: 300, seed: 1, events }, Stores::Memory);
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        let connections: Vec<&[&str]> = outcome.names.split(|name| name.starts_with('\n')).collect();
        connections[1].to_vec()
    };
    let all = run(Vec::new());
    let count = |names: &[&str], operation| names.iter().filter(|name| **name == operation).count();
    let at = all.iter().position(|name| *name == "write").unwrap();
    let harmed = run(vec![Fault { at: u16::try_from(at).unwrap(), harm: Harm::ReadOnly }]);
    // once more for what could not be written, by the same run
    assert_eq!(count(&harmed, "open"), count(&all, "open") + 1);
    assert_eq!(count(&harmed, "write"), count(&all, "write") + 1);
}
