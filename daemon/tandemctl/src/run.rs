//! When has the run that `Start` asked for ended? Pure: it is told what was announced and read, in order, and keeps
//! no time itself.
//!
//! `Start` begins a run when there is nothing to do too, joins a run that is on, and a run may be over before its answer
//! arrives. The daemon announces `synchronizing` and then `stopped` for each run.

/// What is known of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `Start` hasn't been answered yet.
    Starting,
    /// Accepted, and no run is to be seen: one is about to begin, perhaps behind something else.
    Unclear,
    /// It runs.
    Running,
    /// It has ended.
    Ended,
    /// No run has begun for as long as it was waited for.
    NotBegun,
    /// The device went away.
    Gone,
}

impl Phase {
    /// Whether nothing more is to be waited for.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::NotBegun | Self::Gone)
    }
}

/// Follows one device's run.
#[derive(Debug)]
pub(crate) struct Run {
    phase: Phase,
    /// The engine synchronises, as far as announced.
    synchronizing: bool,
    /// A whole run, from its beginning, was announced before `Start` was answered.
    whole_run: bool,
    /// `synchronizing` was announced since the subscription.
    began: bool,
}

impl Run {
    /// With what the device did when the subscription had been made and `Start` had not yet been called.
    pub(crate) fn new(synchronizing: bool) -> Self {
        Self { phase: Phase::Starting, synchronizing, whole_run: false, began: false }
    }

    /// What is known now.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// `DeviceSyncStateChange` was announced.
    pub(crate) fn state(&mut self, state: &str) {
        if self.phase.is_over() {
            return;
        }
        match state {
            "unknown" => self.gone(),
            "synchronizing" => {
                self.synchronizing = true;
                self.began = true;
                if self.phase == Phase::Unclear {
                    self.phase = Phase::Running;
                }
            }
            "stopped" if self.synchronizing => {
                self.synchronizing = false;
                self.whole_run |= self.began;
                if self.phase == Phase::Running || self.phase == Phase::Unclear && self.began {
                    self.phase = Phase::Ended;
                }
            }
            _ => {}
        }
    }

    /// `Start` was answered, and all that was announced before has been told; `state` was read after it.
    pub(crate) fn accepted(&mut self, state: &str) {
        if self.phase != Phase::Starting {
            return;
        }
        self.phase = if state == "synchronizing" {
            self.synchronizing = true;
            Phase::Running
        } else if self.whole_run {
            Phase::Ended
        } else {
            // the end of a run may not have been told yet; or one that was on before ended before `Start` came, and
            // another may follow
            Phase::Unclear
        };
    }

    /// The wait for a run to begin is over.
    pub(crate) fn waited(&mut self) {
        if self.phase == Phase::Unclear {
            self.phase = Phase::NotBegun;
        }
    }

    /// The device went away.
    pub(crate) fn gone(&mut self) {
        if !self.phase.is_over() {
            self.phase = Phase::Gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_run_ends_when_it_stops() {
        let mut run = Run::new(false);
        run.accepted("stopped");
        assert_eq!(run.phase(), Phase::Unclear);
        run.state("synchronizing");
        assert_eq!(run.phase(), Phase::Running);
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Ended);
    }

    #[test]
    fn a_run_that_was_over_before_the_answer_is_seen() {
        let mut run = Run::new(false);
        run.state("synchronizing");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Starting);
        run.accepted("stopped");
        assert_eq!(run.phase(), Phase::Ended);
    }

    #[test]
    fn the_state_read_may_be_newer_than_what_was_announced() {
        let mut run = Run::new(false);
        run.state("synchronizing");
        run.accepted("stopped");
        assert_eq!(run.phase(), Phase::Unclear);
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Ended);

        let mut run = Run::new(false);
        run.accepted("synchronizing");
        run.state("synchronizing");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Ended);
    }

    #[test]
    fn the_end_of_an_earlier_run_is_not_taken_for_the_end_of_this_one() {
        let mut run = Run::new(true);
        run.state("stopped");
        run.accepted("stopped");
        assert_eq!(run.phase(), Phase::Unclear);
        run.state("synchronizing");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Ended);
    }

    #[test]
    fn the_late_word_of_an_earlier_end_ends_nothing() {
        let mut run = Run::new(true);
        run.accepted("stopped");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Unclear);
        run.waited();
        assert_eq!(run.phase(), Phase::NotBegun);
    }

    #[test]
    fn a_run_that_is_on_is_joined() {
        let mut run = Run::new(true);
        run.accepted("synchronizing");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Ended);
    }

    #[test]
    fn a_device_that_goes_away_ends_the_wait() {
        let mut run = Run::new(true);
        run.accepted("synchronizing");
        run.state("unknown");
        assert_eq!(run.phase(), Phase::Gone);
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Gone);
    }

    #[test]
    fn an_estimation_is_no_run() {
        let mut run = Run::new(false);
        run.accepted("estimating");
        run.state("stopped");
        assert_eq!(run.phase(), Phase::Unclear);
        run.waited();
        assert_eq!(run.phase(), Phase::NotBegun);
    }

    proptest! {
        /// However a run's two announcements fall about the answer, it is seen to end, and not before it stops.
        #[test]
        fn every_interleaving_ends(before in 0usize..3, read_late: bool, joined: bool) {
            let states = ["synchronizing", "stopped"];
            let mut run = Run::new(joined);
            if joined {
                run.state("stopped");
            }
            for state in &states[..before] {
                run.state(state);
            }
            let read = if read_late { 2 } else { before };
            run.accepted(if read == 1 { "synchronizing" } else { "stopped" });
            for state in &states[before..] {
                prop_assert_ne!(run.phase(), Phase::Ended);
                run.state(state);
            }
            prop_assert_eq!(run.phase(), Phase::Ended);
        }
    }
}
