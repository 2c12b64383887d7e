//! The session of a device as a pure function from (state, event) to (state, effects).
//!
//! ```text
//!             arrived              initialised            Start, or a reason of its own
//!   absent ──────────► initializing ──────────► stopped ───────────────────────────► synchronizing
//!      ▲                                        ▲  │  ▲ ended                          │ Stop   │ ended
//!      │ departed (from everywhere)             │  │  └──────────── stopping ◄─────────┘        │
//!      └────────────────────────────────────────│  │◄──────────────────────────────────────────┘
//!                                               │  └─ EstimateSyncSize ─► estimating ─► stopped
//! ```
//!
//! One job at a time holds the device. A departure ends the phase at once, but the job may need a moment to notice;
//! what arrives meanwhile waits for it.

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// The device isn't there.
    #[default]
    Absent,
    /// It is being opened for the first time since it came.
    Initializing,
    /// Nothing goes on.
    Stopped,
    /// A run goes on.
    Synchronizing,
    /// A run goes on and was asked to end.
    Stopping,
    /// An estimate is being made.
    Estimating,
}

/// What a session is, besides what others know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// A job holds the device, or has not yet noticed that it is gone.
    pub(crate) job: bool,
    /// A run is to begin as soon as nothing holds the device.
    pub(crate) run_wanted: bool,
    /// The device is to be initialised as soon as nothing holds it.
    pub(crate) open_wanted: bool,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The device came.
    Arrived,
    /// The device went.
    Departed,
    /// The device was opened and looked at, or could not be.
    Initialized,
    /// The device isn't what it was taken for: look at it again.
    LookAgain,
    /// A run is asked for, by a client or for a reason of the session's own.
    RunWanted,
    /// A client wants the run to end.
    StopWanted,
    /// The run has ended.
    RunEnded,
    /// The run's plan was carried out, and what it was planned from has changed meanwhile.
    RunGoesOn,
    /// An estimate was accepted.
    EstimateWanted,
    /// The estimate has ended, or was cancelled and has ended.
    EstimateEnded,
    /// A client wants the estimate to end.
    CancelEstimation,
    /// Another job (a partnership, an ejection) was started on an idle device.
    JobStarted,
    /// That job has ended.
    JobEnded,
}

/// What the session's task does because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Open the device and look at it.
    Initialize,
    /// Begin a run, or its next plan.
    StartRun,
    /// Begin the estimate.
    StartEstimate,
    /// Ask the job to end at the next safe point.
    CancelJob,
}

/// The session after the event, and what is to be done.
pub(crate) fn step(state: State, event: Event) -> (State, Vec<Effect>) {
    let mut next = state;
    let mut effects = Vec::new();
    match event {
        Event::Arrived if state.phase == Phase::Absent => {
            next.phase = Phase::Initializing;
            next.open_wanted = true;
        }
        Event::Departed => {
            next = State { job: state.job, ..State::default() };
            if state.job {
                effects.push(Effect::CancelJob);
            }
        }
        Event::Initialized => {
            next.job = false;
            if state.phase == Phase::Initializing && !state.open_wanted {
                next.phase = Phase::Stopped;
            }
        }
        Event::LookAgain if state.phase == Phase::Stopped => {
            next.phase = Phase::Initializing;
            next.open_wanted = true;
        }
        Event::RunWanted => match state.phase {
            Phase::Initializing | Phase::Stopped | Phase::Estimating | Phase::Stopping => {
                next.run_wanted = true;
                if state.phase == Phase::Estimating {
                    effects.push(Effect::CancelJob);
                }
            }
            Phase::Absent | Phase::Synchronizing => {}
        },
        Event::StopWanted => {
            next.run_wanted = false;
            if state.phase == Phase::Synchronizing {
                next.phase = Phase::Stopping;
                effects.push(Effect::CancelJob);
            }
        }
        Event::EstimateWanted if matches!(state.phase, Phase::Stopped | Phase::Estimating) => {
            next.phase = Phase::Estimating;
            if state.job {
                effects.push(Effect::CancelJob);
            } else {
                next.job = true;
                effects.push(Effect::StartEstimate);
            }
        }
        Event::CancelEstimation if state.phase == Phase::Estimating && state.job => {
            effects.push(Effect::CancelJob);
        }
        Event::RunGoesOn if state.phase == Phase::Synchronizing => effects.push(Effect::StartRun),
        Event::JobStarted => next.job = true,
        Event::RunEnded | Event::EstimateEnded | Event::JobEnded => {
            next.job = false;
            let ended = match event {
                Event::RunEnded => matches!(state.phase, Phase::Synchronizing | Phase::Stopping),
                Event::EstimateEnded => state.phase == Phase::Estimating,
                _ => false,
            };
            if ended {
                next.phase = Phase::Stopped;
            }
        }
        Event::Arrived
        | Event::LookAgain
        | Event::RunGoesOn
        | Event::EstimateWanted
        | Event::CancelEstimation => {}
    }
    if !next.job && next.open_wanted {
        next.open_wanted = false;
        next.job = true;
        effects.push(Effect::Initialize);
    } else if !next.job && next.run_wanted && next.phase == Phase::Stopped {
        next.run_wanted = false;
        next.job = true;
        next.phase = Phase::Synchronizing;
        effects.push(Effect::StartRun);
    }
    (next, effects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(events: &[Event]) -> (State, Vec<Effect>) {
        events.iter().fold((State::default(), Vec::new()), |(state, mut effects), event| {
            let (state, more) = step(state, *event);
            effects.extend(more);
            (state, effects)
        })
    }

    #[test]
    fn a_plugged_in_player_is_opened_and_run() {
        let (state, effects) =
            after(&[Event::Arrived, Event::Initialized, Event::RunWanted, Event::RunEnded]);
        assert_eq!(effects, [Effect::Initialize, Effect::StartRun]);
        assert_eq!(state.phase, Phase::Stopped);
    }

    #[test]
    fn a_replugged_player_waits_for_the_job_that_has_not_noticed() {
        let events = [Event::Arrived, Event::Initialized, Event::RunWanted, Event::Departed, Event::Arrived];
        let (state, effects) = after(&events);
        assert_eq!(effects, [Effect::Initialize, Effect::StartRun, Effect::CancelJob]);
        assert_eq!(state.phase, Phase::Initializing);
        let (state, effects) = step(state, Event::RunEnded);
        assert_eq!((state.phase, effects), (Phase::Initializing, vec![Effect::Initialize]));
    }

    #[test]
    fn start_while_stopping_runs_again() {
        let events = [
            Event::Arrived,
            Event::Initialized,
            Event::RunWanted,
            Event::StopWanted,
            Event::RunWanted,
            Event::RunEnded,
        ];
        let (state, effects) = after(&events);
        assert_eq!(state.phase, Phase::Synchronizing);
        assert_eq!(effects.last(), Some(&Effect::StartRun));
    }

    #[test]
    fn a_run_that_plans_again_is_the_same_run() {
        let events = [Event::Arrived, Event::Initialized, Event::RunWanted, Event::RunGoesOn];
        let (state, effects) = after(&events);
        assert_eq!(effects, [Effect::Initialize, Effect::StartRun, Effect::StartRun]);
        assert!(state.phase == Phase::Synchronizing && state.job);
        let (state, effects) = step(state, Event::RunEnded);
        assert_eq!((state.phase, state.job, effects), (Phase::Stopped, false, Vec::new()));
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            Just(Event::Arrived),
            Just(Event::Departed),
            Just(Event::RunWanted),
            Just(Event::StopWanted),
            Just(Event::EstimateWanted),
            Just(Event::CancelEstimation),
            Just(Event::RunEnded),
        ];
        proptest::collection::vec(event, 0..60)
    }

    /// The job in progress and the event that its end is.
    fn end_of(effect: Effect) -> Option<Event> {
        match effect {
            Effect::Initialize => Some(Event::Initialized),
            Effect::StartRun => Some(Event::RunEnded),
            Effect::StartEstimate => Some(Event::EstimateEnded),
            Effect::CancelJob => None,
        }
    }

    proptest! {
        #[test]
        fn one_job_at_a_time_and_no_session_gets_stuck(events in events()) {
            let mut state = State::default();
            let mut job: Option<Event> = None;
            let take = |state: &mut State, event: Event, job: &mut Option<Event>| -> Result<(), TestCaseError> {
                let (next, effects) = step(*state, event);
                *state = next;
                for effect in effects {
                    match end_of(effect) {
                        Some(end) => {
                            prop_assert!(job.is_none(), "two jobs on one device");
                            *job = Some(end);
                        }
                        None => prop_assert!(job.is_some(), "cancelled what isn't there"),
                    }
                }
                prop_assert_eq!(state.job, job.is_some());
                Ok(())
            };
            for event in events {
                // The generated `RunEnded` stands for "whatever job there is ends".
                let event = if event == Event::RunEnded {
                    match job.take() { Some(end) => end, None => continue }
                } else { event };
                take(&mut state, event, &mut job)?;
            }
            for _ in 0..8 {
                if let Some(end) = job.take() {
                    take(&mut state, end, &mut job)?;
                }
            }
            prop_assert!(job.is_none());
            prop_assert!(matches!(state.phase, Phase::Absent | Phase::Stopped), "{:?}", state);
        }
    }
}
