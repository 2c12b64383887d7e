//! Which request is allowed in which state, and why not: one table. Pure.

use super::machine::Phase;
use tandem_model::device::Status;
use tandem_model::error::RequestError;

/// A request to a device's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    CreatePartnership,
    DeletePartnership,
    Start,
    Stop,
    Estimate,
    CancelEstimation,
    Preview,
    ChangeSetting,
    Rename,
    ShowSettings,
    Eject,
}

/// What the table asks of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    pub(crate) name: &'a str,
    pub(crate) phase: Phase,
    pub(crate) status: Status,
    /// What is missing where the status is manual.
    pub(crate) missing: &'a str,
}

/// What a request needs; the columns of the table.
struct Needs {
    connected: bool,
    partnership: bool,
    idle: bool,
}

const fn needs(request: Request) -> Needs {
    let (connected, partnership, idle) = match request {
        //                           connected  partnership  not synchronising
        Request::CreatePartnership => (true, false, true),
        Request::DeletePartnership | Request::Stop | Request::CancelEstimation | Request::Rename => {
            (false, false, false)
        }
        Request::Start => (true, true, false),
        Request::Estimate | Request::Preview => (true, true, true),
        Request::ChangeSetting => (false, true, false),
        Request::ShowSettings => (true, true, false),
        Request::Eject => (true, false, false),
    };
    Needs { connected, partnership, idle }
}

/// Whether the request may go ahead.
pub(crate) fn admit(request: Request, facts: &Facts<'_>) -> Result<(), RequestError> {
    let name = || facts.name.to_owned();
    let needs = needs(request);
    if needs.connected && facts.phase == Phase::Absent {
        return Err(RequestError::NotConnected(name()));
    }
    if facts.status == Status::ManualDevice && request != Request::Eject {
        return Err(RequestError::ManualDevice(name(), facts.missing.to_owned()));
    }
    if needs.connected && facts.phase == Phase::Initializing {
        return Err(RequestError::Initializing(name()));
    }
    if request == Request::DeletePartnership && facts.status == Status::PartnershipAnother {
        return Err(RequestError::PartnershipNotExist(format!(
            "{} is partnered with another computer; only that one can end it",
            facts.name
        )));
    }
    if needs.partnership && facts.status != Status::PartnershipExists {
        return Err(RequestError::PartnershipNotExist(format!(
            "{} has no partnership with this computer; create one first",
            facts.name
        )));
    }
    if needs.idle && matches!(facts.phase, Phase::Synchronizing | Phase::Stopping) {
        return Err(RequestError::SyncInProgress(name()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUESTS: [Request; 11] = [
        Request::CreatePartnership,
        Request::DeletePartnership,
        Request::Start,
        Request::Stop,
        Request::Estimate,
        Request::CancelEstimation,
        Request::Preview,
        Request::ChangeSetting,
        Request::Rename,
        Request::ShowSettings,
        Request::Eject,
    ];
    const PHASES: [Phase; 6] = [
        Phase::Absent,
        Phase::Initializing,
        Phase::Stopped,
        Phase::Synchronizing,
        Phase::Stopping,
        Phase::Estimating,
    ];
    const STATUSES: [Status; 6] = [
        Status::Unknown,
        Status::PartnershipExists,
        Status::PartnershipDeclined,
        Status::PartnershipAnother,
        Status::ManualDevice,
        Status::NewDevice,
    ];

    fn facts(phase: Phase, status: Status) -> Facts<'static> {
        Facts { name: "player", phase, status, missing: "a provider" }
    }

    #[test]
    fn refusals_say_what_is_in_the_way() {
        let refused = |request, phase, status| admit(request, &facts(phase, status)).unwrap_err();
        let exists = Status::PartnershipExists;
        assert!(matches!(refused(Request::Start, Phase::Absent, exists), RequestError::NotConnected(_)));
        assert!(matches!(
            refused(Request::Start, Phase::Initializing, exists),
            RequestError::Initializing(_)
        ));
        assert!(matches!(
            refused(Request::Start, Phase::Stopped, Status::NewDevice),
            RequestError::PartnershipNotExist(_)
        ));
        assert!(matches!(
            refused(Request::Estimate, Phase::Synchronizing, exists),
            RequestError::SyncInProgress(_)
        ));
        assert!(matches!(
            refused(Request::DeletePartnership, Phase::Stopped, Status::PartnershipAnother),
            RequestError::PartnershipNotExist(_)
        ));
        assert!(matches!(
            refused(Request::Start, Phase::Stopped, Status::ManualDevice),
            RequestError::ManualDevice(..)
        ));
    }

    proptest! {
        #[test]
        fn stopping_is_always_allowed_and_nothing_starts_without_a_partnership(
            request in 0usize..11, phase in 0usize..6, status in 0usize..5,
        ) {
            let (request, facts) = (REQUESTS[request], facts(PHASES[phase], STATUSES[status]));
            let admitted = admit(request, &facts).is_ok();
            if request == Request::Stop && facts.status != Status::ManualDevice {
                prop_assert!(admitted);
            }
            if request == Request::Start && admitted {
                prop_assert!(facts.status == Status::PartnershipExists && facts.phase != Phase::Absent);
            }
        }
    }
}
