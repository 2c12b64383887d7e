//! A call that is being answered: arguments out of the message, an answer or an error back. Once the arguments are taken
//! the message is gone, and its descriptors with it: a caller that waits for the end of a pipe may rely on that.

use dbus_interfaces::provider::Error;
use zbus::message::{Builder, Flags, Message};
use zbus::names::{OwnedInterfaceName, OwnedUniqueName};
use zbus::{DBusError, OwnedObjectPath, fdo};

/// Why a call fails: by the contract's errors, or by D-Bus's own.
#[derive(Debug)]
pub(crate) enum Failure {
    Provider(Error),
    Bus(fdo::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // What goes wrong on the way is told as a failure, whatever it is called inside.
            Error::ZBus(error) => Self::Provider(Error::Failed(error.to_string())),
            error => Self::Provider(error),
        }
    }
}

impl From<fdo::Error> for Failure {
    fn from(error: fdo::Error) -> Self {
        Self::Bus(error)
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        Self::Provider(Error::Failed(error.to_string()))
    }
}

pub(crate) type Answer = Result<Message, Failure>;

/// A call without its arguments.
pub(crate) struct Call {
    /// What a reply refers to.
    stub: Message,
    pub(crate) path: OwnedObjectPath,
    /// `None` when the caller named none.
    pub(crate) interface: Option<OwnedInterfaceName>,
    pub(crate) member: String,
    pub(crate) sender: OwnedUniqueName,
    pub(crate) wants_answer: bool,
}

impl Call {
    /// Takes a method call apart; `None` for what isn't one.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let header = message.header();
        let (path, member, sender) = (header.path()?, header.member()?, header.sender()?);
        let stub = Message::method_call(path.clone(), member.clone())
            .sender(sender.clone())
            .serial(message.primary_header().serial_num())
            .build(&())
            .ok()?;
        Some(Self {
            stub,
            path: path.to_owned().into(),
            interface: header.interface().map(|name| name.to_owned().into()),
            member: member.to_string(),
            sender: sender.to_owned().into(),
            wants_answer: !message.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED),
        })
    }

    /// An answer with this body.
    pub(crate) fn answer<B: serde::Serialize + zbus::DynamicType>(&self, body: &B) -> Answer {
        Ok(self.builder().build(body)?)
    }

    fn builder(&self) -> Builder<'static> {
        Message::method_return(&self.stub.header())
    }

    /// The reply that tells of a failure.
    pub(crate) fn refusal(&self, failure: &Failure) -> zbus::Result<Message> {
        match failure {
            Failure::Provider(error) => error.create_reply(&self.stub.header()),
            Failure::Bus(error) => error.create_reply(&self.stub.header()),
        }
    }
}

/// A call's arguments. The message, with the descriptors that it holds, ends here.
pub(crate) fn arguments<T>(message: Message) -> Result<T, Failure>
where
    T: for<'d> zbus::wire::DynamicDeserialize<'d>,
{
    let body = message.body();
    body.deserialize().map_err(|error| {
        let found = body.signature().to_string();
        fdo::Error::InvalidArgs(format!("the arguments `{found}` don't fit: {error}")).into()
    })
}
