//! What goes wrong between the daemon and a provider, and what it is for the engine.
//!
//! A provider's words are quoted, and never trusted: they are cut and cleaned before anybody sees them.

use super::offer::Offer;
use std::sync::Arc;
use tandem_model::error::PlayerError;

/// Characters of a provider's error message that are passed on.
const MOST_TOLD: usize = 200;

const PREFIX: &str = "org.tandemd.Provider1.Error.";

/// What a provider answers when it refuses; the contract's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    InterfaceDead,
    NotSupported,
    NoSpace,
    Exists,
    NotFound,
    Busy,
    InvalidArgument,
    Failed,
}

impl Word {
    /// The word of this name; one that the contract doesn't have is a failure like any other.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "InterfaceDead" => Self::InterfaceDead,
            "NotSupported" => Self::NotSupported,
            "NoSpace" => Self::NoSpace,
            "Exists" => Self::Exists,
            "NotFound" => Self::NotFound,
            "Busy" => Self::Busy,
            "InvalidArgument" => Self::InvalidArgument,
            _ => Self::Failed,
        }
    }
}

/// Why a call of a provider brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The provider has left the bus, or somebody else has its name now.
    Gone,
    /// It didn't answer in time.
    Late,
    /// It refused.
    Refused(Word, String),
    /// It has no such object, interface or member.
    Missing(String),
    /// The bus doesn't let us call it.
    Forbidden(String),
    /// It answered what can't be.
    Lie(String),
    /// Something else.
    Other(String),
}

impl Fault {
    /// What it is for the engine, while `doing` something with what `about` names.
    pub(super) fn told(self, doing: &str, about: &str) -> PlayerError {
        let failed = |what: &str| PlayerError::Other(format!("{doing} failed: {what}"));
        match self {
            Self::Gone => PlayerError::ProviderGone(doing.to_owned()),
            Self::Refused(Word::InterfaceDead, _) => PlayerError::Removed,
            Self::Late => PlayerError::TimedOut(doing.to_owned()),
            Self::Refused(Word::NoSpace, _) => PlayerError::Full,
            Self::Refused(Word::Exists, _) => PlayerError::Exists(about.to_owned()),
            Self::Refused(Word::NotFound, _) => PlayerError::NotFound(about.to_owned()),
            Self::Refused(Word::Busy, _) => PlayerError::Busy("its provider, which is busy".to_owned()),
            Self::Refused(word, text) => failed(&format!("the provider answered {word:?}: {text}")),
            Self::Missing(text) => failed(&format!("the provider lacks what was called: {text}")),
            Self::Forbidden(text) => PlayerError::NotPermitted(format!(
                "{doing}: the bus does not let the provider be called ({text}); see that its policy file allows that"
            )),
            Self::Lie(text) => PlayerError::ProviderWrong(format!(
                "{doing} failed: the provider answered what can't be: {text}"
            )),
            Self::Other(text) => failed(&text),
        }
    }

    /// What the bus library's error is.
    pub(super) fn of(error: &zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                by_name(name.as_str(), text.as_deref().unwrap_or("no reason given"))
            }
            zbus::Error::FDO(error) => {
                let name = zbus::DBusError::name(&**error);
                by_name(name.as_str(), zbus::DBusError::description(&**error).unwrap_or("no reason given"))
            }
            zbus::Error::InputOutput(_) => Self::Gone,
            error => Self::Other(told(&error.to_string())),
        }
    }
}

fn by_name(name: &str, text: &str) -> Fault {
    let text = told(text);
    if let Some(word) = name.strip_prefix(PREFIX) {
        return Fault::Refused(Word::named(word), text);
    }
    match name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or_default() {
        "ServiceUnknown" | "NameHasNoOwner" | "NoReply" | "Disconnected" | "NoServer" => Fault::Gone,
        "Timeout" | "TimedOut" => Fault::Late,
        "UnknownObject" | "UnknownInterface" | "UnknownMethod" | "UnknownProperty" => Fault::Missing(text),
        "AccessDenied" => Fault::Forbidden(text),
        "NotSupported" => Fault::Refused(Word::NotSupported, text),
        "InvalidArgs" => Fault::Refused(Word::InvalidArgument, text),
        _ => Fault::Other(format!("{}: {text}", told(name))),
    }
}

/// A provider as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Blamed(Arc<str>);

impl Blamed {
    /// The provider that makes this offer.
    pub(super) fn new(offer: &Offer) -> Self {
        let Offer { name, bus_name, .. } = offer;
        Self(format!("`{}` (`{bus_name}`)", told(name)).into())
    }

    /// An error with the provider that is to blame for it, if one is, and with what helps.
    pub(super) fn named(&self, error: PlayerError) -> PlayerError {
        let with = |what: String, rest: &str| format!("{what}: its service provider {} {rest}", self.0);
        match error {
            PlayerError::TimedOut(doing) => PlayerError::TimedOut(with(
                doing,
                "hangs; restart that program, and report it to its author if it hangs again",
            )),
            PlayerError::ProviderGone(doing) => PlayerError::ProviderGone(with(
                doing,
                "crashed or was ended; its journal may say why; start it again, and report it to its author if it \
                 ends again",
            )),
            PlayerError::ProviderWrong(what) => {
                PlayerError::ProviderWrong(with(what, "has a defect; report that to its author"))
            }
            error => error,
        }
    }
}

/// A foreign text as it may be shown.
pub(super) fn told(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(clean).take(MOST_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_contract_has_its_meaning() {
        let of = |word: &str| by_name(&format!("{PREFIX}{word}"), "why").told("writing", "a.mp3");
        assert_eq!(of("InterfaceDead"), PlayerError::Removed);
        assert_eq!(of("NoSpace"), PlayerError::Full);
        assert_eq!(of("Exists"), PlayerError::Exists("a.mp3".to_owned()));
        assert_eq!(of("NotFound"), PlayerError::NotFound("a.mp3".to_owned()));
        assert!(matches!(of("Busy"), PlayerError::Busy(_)));
        for word in ["NotSupported", "InvalidArgument", "Failed", "Whatever"] {
            assert!(of(word).to_string().contains("why"), "{word}");
        }
    }

    #[test]
    fn the_bus_tells_of_what_is_gone_late_or_forbidden() {
        let of =
            |word: &str| by_name(&format!("org.freedesktop.DBus.Error.{word}"), "why").told("writing", "");
        for gone in ["NoReply", "ServiceUnknown", "NameHasNoOwner"] {
            assert_eq!(of(gone), PlayerError::ProviderGone("writing".to_owned()));
        }
        assert!(matches!(of("TimedOut"), PlayerError::TimedOut(_)));
        assert!(matches!(of("AccessDenied"), PlayerError::NotPermitted(text) if text.contains("policy")));
        assert!(of("UnknownMethod").to_string().contains("lacks"));
    }

    #[test]
    fn what_a_provider_is_to_blame_for_names_it_and_what_helps() {
        let offer = Offer {
            name: "Example players".to_owned(),
            bus_name: "org.example.Players".try_into().unwrap(),
            root: "/p".try_into().unwrap(),
            parameters: super::super::parameters::Parameters::default(),
        };
        let named = |fault: Fault| Blamed::new(&offer).named(fault.told("writing a file", "a.mp3"));
        for (fault, what, remedy) in [
            (Fault::Late, "hangs", "restart that program"),
            (Fault::Gone, "crashed or was ended", "start it again"),
            (Fault::Lie("a size below 0".to_owned()), "a size below 0", "report that to its author"),
        ] {
            let told = named(fault).to_string();
            for part in [what, remedy, "`Example players` (`org.example.Players`)", "writing a file"] {
                assert!(told.contains(part), "{told}");
            }
        }
        let dead = Fault::Refused(Word::InterfaceDead, "why".to_owned());
        assert_eq!(named(dead), PlayerError::Removed, "the provider says that the device is gone");
    }

    #[test]
    fn what_a_provider_says_is_cut_and_cleaned() {
        assert_eq!(told("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(told(&"x".repeat(10_000)).len(), MOST_TOLD);
    }
}
