//! Makes a failing history small: leaves out what isn't needed for it to fail, until nothing more can be left out.

use crate::event::{Event, History};

/// The smallest history that was found to fail still.
pub fn shrink(history: &History, mut fails: impl FnMut(&History) -> bool) -> History {
    let mut smallest = history.clone();
    loop {
        let before = smallest.clone();
        leave_out_events(&mut smallest, &mut fails);
        leave_out_faults(&mut smallest, &mut fails);
        if smallest == before {
            return smallest;
        }
    }
}

fn leave_out_events(smallest: &mut History, fails: &mut impl FnMut(&History) -> bool) {
    let mut size = smallest.events.len().max(1);
    while size > 0 {
        let mut at = 0;
        while at < smallest.events.len() {
            let mut smaller = smallest.clone();
            smaller.events.drain(at..(at + size).min(smallest.events.len()));
            if fails(&smaller) { *smallest = smaller } else { at += size }
        }
        size /= 2;
    }
}

fn leave_out_faults(smallest: &mut History, fails: &mut impl FnMut(&History) -> bool) {
    for at in 0..smallest.events.len() {
        let mut fault = 0;
        loop {
            let mut smaller = smallest.clone();
            let (Event::Run(faults) | Event::Stay(faults)) = &mut smaller.events[at] else { break };
            if fault >= faults.len() {
                break;
            }
            faults.remove(fault);
            if fails(&smaller) { *smallest = smaller } else { fault += 1 }
        }
    }
}
